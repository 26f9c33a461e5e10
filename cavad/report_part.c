/*
 * Reports of runs and of individual scans.
 *
 * A run has its report from its begin on; the numbers are copied from the
 * run when it ends, and read from it until then. Several individual scans
 * may be one report: it is in memory while one of them is under way, and
 * each ends with a write of it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cavad/report_private.h"

/* --- runs --- */

static enum report_status status_of(enum job_state state)
{
	switch (state) {
	case JOB_RUNNING:
		return REPORT_STARTED;
	case JOB_PAUSED_USER:
	case JOB_PAUSED_SYSTEM:
	case JOB_PAUSED_POLICY:
	case JOB_PAUSED_PRIORITY:
		return REPORT_PAUSED;
	case JOB_CANCELLED_USER:
	case JOB_CANCELLED_SYSTEM:
		return REPORT_CANCELLED;
	case JOB_SUCCEEDED:
		return REPORT_SUCCEEDED;
	case JOB_FAILED:
	case JOB_STATE_COUNT:
		break;
	}
	return REPORT_FAILED;
}

static void take_run(struct report *r, const struct job_run *run)
{
	const struct run_counts *c = &run->counts;

	r->status = status_of(run->state);
	r->end = (uint64_t)run->ended;
	r->files = c->scanned;
	r->reviewed = c->files;
	r->tiered = c->tiered;
	r->tiered_reviewed = c->tiered_seen;
	r->size = c->bytes_scanned;
	r->bytes_fetched = c->bytes_fetched;
	r->bytes_handed = c->bytes_handed;
	r->bytes_passed = c->bytes_passed;
	r->infections = c->found + c->infected;
	r->fails = c->unanswered + c->failed;
	r->unscannable = c->unscannable;
	r->skipped = c->skipped;
	r->scan_time = c->scan_time;
}

void report_of_run(struct reports *all, struct report *r)
{
	struct job_run *run = all->jobs == NULL ? NULL :
			      job_view(r, all->jobs, r->job);

	if (run != NULL) {
		take_run(r, run);
	}
	talloc_free(run);
}

static void run_key(char key[64], uint64_t run)
{
	snprintf(key, 64, "run/%" PRIu64, run);
}

/* A run goes on after a restart: so does its report. */
static const char *run_began(void *private_data, const struct job_run *run)
{
	struct reports *all = talloc_get_type_abort(private_data,
						    struct reports);
	struct report_open *o = NULL;
	struct report *r = NULL;
	char key[64];

	run_key(key, run->id);
	r = report_indexed_row(all, all, key);
	if (r == NULL || report_ended(r) || r->job != run->id) {
		talloc_free(r);
		r = report_new(all, REPORT_KIND_JOB, run->job[0] == '\0' ?
			       REPORT_MANUAL : run->job, run->started);
	}
	if (r == NULL) {
		return NULL;
	}
	r->job = run->id;
	o = report_open(all, r);
	if (o == NULL) {
		return NULL;
	}
	report_index(all, key, r->number);
	o->held = true;
	o->dirty = true;
	report_save(o);
	return o->id;
}

static void run_ended(void *private_data, const char *report,
		      const struct job_run *run)
{
	struct reports *all = talloc_get_type_abort(private_data,
						    struct reports);
	struct report_open *o = report_open_find(all, report);
	char key[64];

	if (o == NULL) {
		return;
	}
	take_run(o->r, run);
	o->held = false;
	o->dirty = true;
	report_save(o);
	run_key(key, run->id);
	report_index(all, key, 0);
}

void reports_watch_jobs(struct reports *all, struct jobs *jobs)
{
	all->jobs = jobs;
	jobs_watch(jobs, run_began, run_ended, all);
}

/* --- individual scans --- */

struct report_part {
	struct report_open *o;
};

static int part_destructor(struct report_part *part)
{
	if (part->o != NULL) {
		part->o->parts--;
		report_release(part->o);
	}
	return 0;
}

/* A new one with that id, NULL = one of ours. */
static struct report_open *part_new(struct reports *all, const char *id,
				    const char *policy)
{
	struct report *r = report_new(all, REPORT_KIND_MANUAL, policy,
				      time(NULL));
	char key[REPORT_ID_MAX + 8];

	if (r != NULL && id != NULL) {
		r->name = talloc_strdup(r, id);
		if (r->name == NULL) {
			TALLOC_FREE(r);
		}
	}
	if (r == NULL) {
		return NULL;
	}
	if (id != NULL) {
		snprintf(key, sizeof(key), "name/%s", id);
		report_index(all, key, r->number);
	}
	return report_open(all, r);
}

/* In memory, in the store, or new. NULL and *why (NULL: no memory). */
static struct report_open *part_find(struct reports *all, const char *id,
				     const char *policy, const char **why)
{
	struct report_open *o = NULL;
	enum report_kind kind = 0;
	struct report *r = NULL;

	*why = NULL;
	if (id == NULL) {
		return part_new(all, NULL, policy);
	}
	o = report_open_find(all, id);
	r = o != NULL ? o->r : reports_find(all, all, id);
	if (r != NULL && r->kind != REPORT_KIND_MANUAL) {
		*why = "that report is not one of individual scans";
		if (o == NULL) {
			talloc_free(r);
		}
		return NULL;
	}
	if (o != NULL || r != NULL) {
		return o != NULL ? o : report_open(all, r);
	}
	if (report_id_number(id, &kind) != 0) {
		*why = "there is no report with that id; cavad gives ids of "
		       "this form by itself";
		return NULL;
	}
	return part_new(all, id, policy);
}

struct report_part *report_part_begin(TALLOC_CTX *mem_ctx,
				      struct reports *all, const char *id,
				      const char *policy, const char **why)
{
	struct report_part *part = talloc_zero(mem_ctx, struct report_part);

	*why = NULL;
	if (part == NULL) {
		return NULL;
	}
	part->o = part_find(all, id, policy, why);
	if (part->o == NULL) {
		talloc_free(part);
		return NULL;
	}
	part->o->parts++;
	talloc_set_destructor(part, part_destructor);
	return part;
}

const char *report_part_id(const struct report_part *part)
{
	return part->o->id;
}

static void part_written(struct tevent_req *subreq)
{
	struct report_open *o = tevent_req_callback_data(subreq,
							 struct report_open);

	(void)store_write_recv(subreq);
	talloc_free(subreq);
	o->writes--;
	report_release(o);
}

/*
 * It stays in memory until a write behind its own has ended: who adds to it
 * before that must not begin with what the store had.
 */
static void part_linger(struct report_open *o)
{
	struct tevent_req *subreq = report_behind_send(o, o->all);

	if (subreq != NULL) {
		o->writes++;
		tevent_req_set_callback(subreq, part_written, o);
	}
}

void report_part_add(struct report_part *part, const struct report_scan *scan)
{
	part->o->r->infections += report_count(part->o->r, scan);
}

struct tevent_req *report_part_end_send(TALLOC_CTX *mem_ctx,
					struct report_part *part)
{
	struct report_open *o = part->o;
	struct report *r = o->r;
	struct tevent_req *req = NULL;
	time_t now = time(NULL);

	r->end = (uint64_t)now > r->start ? (uint64_t)now : r->start;
	r->status = r->fails > 0 ? REPORT_FAILED : REPORT_SUCCEEDED;
	o->dirty = false;
	req = report_put_send(mem_ctx, o->all, r);
	part_linger(o);
	return req;
}
