/*
 * What nobody waits for goes to the workers in bunches.
 *
 * Each request is a wake-up of a worker and each answer one of cavad, which
 * for a small file is most of what it costs. So begins and ends of which
 * nobody waits are gathered until there are FILES_BUNCH of them, or one of
 * them has waited for as long as it may, and go out together, in one packet.
 *
 * A bunch goes to the last worker that is idle: the same one where it can
 * keep up, so that what it ends and what it begins make one bunch. The first
 * takes no more of them than the ends of what it holds, so that there is
 * always one for those who wait.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_private.h"

void files_bunch_start(struct files_bunch *bunch)
{
	TAILQ_INIT(&bunch->jobs);
	bunch->out.count = 0;
	bunch->out.len = 0;
}

bool files_bunch_take(struct files_bunch *bunch, struct files_jobs *queue)
{
	struct files_job *job = TAILQ_FIRST(queue);

	if (job == NULL ||
	    !files_out_add(&bunch->out, job->data, job->len, -1)) {
		return false;
	}
	TAILQ_REMOVE(queue, job, entry);
	TAILQ_INSERT_TAIL(&bunch->jobs, job, entry);
	return true;
}

void files_bunch_undo(struct files_bunch *bunch)
{
	struct files_job *job = NULL;

	while ((job = TAILQ_LAST(&bunch->jobs, files_jobs)) != NULL) {
		TAILQ_REMOVE(&bunch->jobs, job, entry);
		TAILQ_INSERT_HEAD(job->queue, job, entry);
	}
}

bool files_bunch_takes(const struct files_worker *w)
{
	const struct files *f = w->files;
	unsigned int i = 0;

	if (w->index > 0) {
		return true;
	}
	for (i = 1; i < FILES_WORKERS; i++) {
		if (f->workers[i].sock != -1) {
			return false;
		}
	}
	return true;	/* there is no other */
}

/* Counts no further than a bunch has. */
static unsigned int jobs_count(const struct files_jobs *queue)
{
	const struct files_job *job = NULL;
	unsigned int count = 0;

	TAILQ_FOREACH(job, queue, entry) {
		if (++count == FILES_BUNCH) {
			break;
		}
	}
	return count;
}

/* What there is for this worker, or nothing as long as it is not enough. */
static void bunch_push_to(struct files_worker *w, bool due)
{
	struct files *f = w->files;
	struct files_bunch bunch;
	bool begins = files_bunch_takes(w);

	if (!due && jobs_count(&w->lazy) +
	    (begins ? jobs_count(&f->lazy) : 0) < FILES_BUNCH) {
		return;
	}
	files_bunch_start(&bunch);
	while (files_bunch_take(&bunch, &w->lazy)) {
	}
	while (begins && files_bunch_take(&bunch, &f->lazy)) {
	}
	if (!TAILQ_EMPTY(&bunch.jobs)) {
		files_worker_give(w, &bunch);
	}
}

static bool bunch_empty(const struct files *f)
{
	unsigned int i = 0;

	for (i = 0; i < FILES_WORKERS; i++) {
		if (!TAILQ_EMPTY(&f->workers[i].lazy)) {
			return false;
		}
	}
	return TAILQ_EMPTY(&f->lazy);
}

static void bunch_due(struct tevent_context *ev, struct tevent_timer *te,
		      struct timeval now, void *private_data)
{
	struct files *f = private_data;

	(void)ev;
	(void)te;
	(void)now;
	f->gather = NULL;	/* tevent frees it */
	files_bunch_push(f, true);
}

/* No later than that. */
static void bunch_wait(struct files *f, unsigned int ms)
{
	struct timeval at = tevent_timeval_current_ofs(0, ms * 1000);

	if (f->gather != NULL &&
	    tevent_timeval_compare(&f->gather_at, &at) <= 0) {
		return;
	}
	TALLOC_FREE(f->gather);
	f->gather_at = at;
	f->gather = tevent_add_timer(f->ev, f, at, bunch_due, f);
	if (f->gather == NULL) {
		log_error("out of memory: scans that nobody waits for wait "
			  "until there are more");
	}
}

void files_bunch_added(struct files *f, const struct files_job *job)
{
	bunch_wait(f, job->lazy);
}

void files_bunch_push(struct files *f, bool due)
{
	struct files_worker *w = NULL;
	unsigned int i = FILES_WORKERS;

	while (i-- > 0) {
		w = &f->workers[i];
		if (files_worker_idle(w)) {
			bunch_push_to(w, due);
		}
	}
	if (bunch_empty(f)) {
		TALLOC_FREE(f->gather);
	} else if (f->gather == NULL) {
		bunch_wait(f, FILES_GATHER);	/* for an idle worker */
	}
}

static struct files_job *bunch_find(const struct files_jobs *queue,
				    uint64_t scan_id)
{
	struct files_job *job = NULL;

	TAILQ_FOREACH(job, queue, entry) {
		if (job->scan_id == scan_id) {
			return job;
		}
	}
	return NULL;
}

void files_raise(struct files *f, uint64_t scan_id)
{
	struct files_job *job = bunch_find(&f->lazy, scan_id);
	unsigned int i = 0;

	if (job == NULL) {
		job = bunch_find(&f->again, scan_id);
	}
	for (i = 0; job == NULL && i < FILES_WORKERS; i++) {
		job = bunch_find(&f->workers[i].lazy, scan_id);
	}
	if (job != NULL) {
		TAILQ_REMOVE(job->queue, job, entry);
		files_job_urgent(f, job);
		return;
	}
	/* should its worker be lost, it is not one of those that wait */
	for (i = 0; job == NULL && i < FILES_WORKERS; i++) {
		job = bunch_find(&f->workers[i].under_way, scan_id);
	}
	if (job != NULL) {
		job->lazy = 0;
	}
}
