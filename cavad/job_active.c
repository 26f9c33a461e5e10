/*
 * The work of one run: batches of the walk, scans of what is in them, and
 * how far it got.
 *
 * 1. Batches. A run has at most BATCHES batches of the walk at a time. The
 *    cursor that is committed is that of the last batch of which, and of all
 *    before it, every file has its answer; what a batch has counted is added
 *    to the record at that moment. So a crash repeats some files, which are
 *    current then, and forgets none and counts none twice.
 * 2. Room. A run keeps as many scans under way as its impact gives it of the
 *    lane for the batch, which clients' scans go before.
 * 3. What no server could take is asked again after the next tick.
 * 4. After a file, or instead of it where its own verdict is current, its
 *    named streams are asked about.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/files_msg.h"
#include "cavad/job_private.h"
#include "cavad/queue.h"
#include "cavad/scan_streams.h"
#include "common/log.h"

#define BATCHES 4

static void walk_came(struct tevent_req *subreq);
static void ask_answered(struct tevent_req *subreq);
static void stream_answered(void *private_data,
			    const struct scan_answer *answer);
static void streams_answered(struct tevent_req *subreq);
static void saved(struct tevent_req *subreq);

static const struct job_object job_of_paths = {
	.name = "", .impact = JOB_HIGH, .priority = 1, .pool = SERVER_POOL
};

static const struct job_object job_recovery = {
	.name = JOB_RECOVERY, .impact = JOB_LOW, .priority = 10,
	.pool = SERVER_POOL
};

const struct job_object *active_object(const struct active *a)
{
	if (a->run->job[0] == '\0') {
		return &job_of_paths;
	}
	if (strcmp(a->run->job, JOB_RECOVERY) == 0) {
		return &job_recovery;
	}
	return config_job(a->jobs->config, a->run->job);
}

/* --- the record --- */

void active_put_ended(struct tevent_req *subreq)
{
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret != 0) {
		log_warning("the state of a run cannot be kept: %s; after a "
			    "restart it goes on from an earlier place",
			    strerror(ret));
	}
}

void active_save(struct active *a)
{
	struct jobs *jobs = a->jobs;

	if (!a->dirty || a->put != NULL) {
		return;
	}
	a->put = store_run_put_send(a, jobs->ev, jobs->store, a->run);
	if (a->put == NULL) {
		return;		/* at the next tick */
	}
	a->dirty = false;
	tevent_req_set_callback(a->put, saved, a);
}

static void saved(struct tevent_req *subreq)
{
	struct active *a = tevent_req_callback_data(subreq, struct active);
	int ret = store_write_recv(subreq);

	a->put = NULL;
	talloc_free(subreq);
	if (ret != 0) {
		log_warning("run %llu: its progress cannot be kept: %s; after "
			    "a restart it goes on from an earlier place",
			    (unsigned long long)a->run->id, strerror(ret));
	}
}

void active_drop(struct active *a)
{
	struct batch *b = NULL;

	TALLOC_FREE(a->walk);
	while ((b = TAILQ_FIRST(&a->batches)) != NULL) {
		TAILQ_REMOVE(&a->batches, b, entry);
		talloc_free(b);		/* and its scan requests */
	}
	a->batch_count = 0;
	a->under_way = 0;
	a->walk_done = false;
	TALLOC_FREE(a->walk_cursor);
}

const char *active_title(TALLOC_CTX *mem_ctx, const struct job_run *run)
{
	return talloc_asprintf(mem_ctx, "run %llu%s%s",
			       (unsigned long long)run->id,
			       run->job[0] == '\0' ? "" : " of job ",
			       run->job);
}

void active_ended(struct active *a, enum job_state state)
{
	active_drop(a);
	a->run->state = state;
	a->run->ended = time(NULL);
	log_notice("%s: %s; %llu files seen, %llu scanned, %llu infected, "
		   "%llu without a verdict%s%s", active_title(a, a->run),
		   job_state_text(state),
		   (unsigned long long)a->run->counts.files,
		   (unsigned long long)a->run->counts.scanned,
		   (unsigned long long)a->run->counts.found,
		   (unsigned long long)a->run->counts.unanswered,
		   a->run->why[0] == '\0' ? "" : "; ", a->run->why);
	if (a->report != NULL) {
		a->jobs->ended(a->jobs->watch_private, a->report, a->run);
	}
}

static int ending_destructor(struct ending *e)
{
	LIST_REMOVE(e, entry);
	return 0;
}

void active_leave(struct active *a, struct tevent_req *put)
{
	struct ending *e = put == NULL ? NULL : talloc(put, struct ending);

	if (e != NULL) {
		e->run = talloc_steal(e, a->run);
		LIST_INSERT_HEAD(&a->jobs->ending, e, entry);
		talloc_set_destructor(e, ending_destructor);
	}
	talloc_free(a);
}

void active_finish(struct active *a, enum job_state state)
{
	struct jobs *jobs = a->jobs;
	struct tevent_req *put = NULL;

	active_ended(a, state);
	put = store_run_put_send(jobs, jobs->ev, jobs->store, a->run);
	if (put != NULL) {
		tevent_req_set_callback(put, active_put_ended, NULL);
	}
	active_leave(a, put);
}

void active_fail(struct active *a, const char *path, const char *why)
{
	a->run->why = talloc_asprintf(a->run, "%s: %s", path, why);
	if (a->run->why == NULL) {
		a->run->why = "out of memory";
	}
}

/* --- walk --- */

static bool walk_wanted(const struct active *a)
{
	const struct batch *last = TAILQ_LAST(&a->batches, batches);

	return a->walk == NULL && !a->walk_done && a->batch_count < BATCHES &&
		!a->hold && a->tries < JOB_WALK_TRIES &&
		(last == NULL || last->sent == last->walked.count);
}

static void walk_next(struct active *a)
{
	const struct job_object *job = active_object(a);
	struct jobs *jobs = a->jobs;
	struct files_walk ask = {
		.path = a->run->paths[a->run->index],
		.cursor = a->walk_cursor != NULL ? a->walk_cursor :
			a->run->cursor != NULL ? a->run->cursor : "",
		.other_mounts = job->other_mounts,
		.ignore_previous = a->run->force ||
			job->ignore_previous_scan_status,
		.signature_min = config_signature_min(jobs->config, true),
		.rules = FILTER_DEFAULT,
	};
	int ret = 0;

	TALLOC_FREE(a->rules);
	a->rules = talloc_new(a);
	if (config_job(jobs->config, a->run->job) == job) {
		ret = config_job_rules(a->rules, job, &ask.rules);
	}
	if (ret == 0) {
		a->walk = files_walk_send(a, jobs->ev, jobs->files, &ask);
	}
	if (a->walk == NULL) {
		a->hold = true;
		return;
	}
	tevent_req_set_callback(a->walk, walk_came, a);
}

/* The walker was lost, or its file system hangs. */
static void walk_failed(struct active *a, int error)
{
	const char *path = a->run->paths[a->run->index];

	a->hold = true;
	a->tries++;
	if (a->tries < JOB_WALK_TRIES) {
		return;
	}
	active_fail(a, path, error == ETIMEDOUT ?
		 "the walk hangs there: is its file system away?" :
		 strerror(error));
}

static void walk_came(struct tevent_req *subreq)
{
	struct active *a = tevent_req_callback_data(subreq, struct active);
	struct batch *b = talloc_zero(a, struct batch);
	int ret = b == NULL ? ENOMEM :
		files_walk_recv(subreq, b, &b->walked);

	a->walk = NULL;
	talloc_free(subreq);
	if (ret != 0) {
		talloc_free(b);
		walk_failed(a, ret);
		return;
	}
	a->tries = 0;
	if (b->walked.error != 0) {
		active_fail(a, a->run->paths[a->run->index],
			 strerror(b->walked.error));
		b->walked.done = true;
	}
	b->run = a;
	run_counts_add_walk(&b->counts, &b->walked.counts);
	talloc_free(a->walk_cursor);
	a->walk_cursor = talloc_strdup(a, b->walked.cursor);
	a->walk_done = b->walked.done;
	TAILQ_INSERT_TAIL(&a->batches, b, entry);
	a->batch_count++;
	active_work(a);
}

/* Rule 1. False: the run has ended, and is no more. */
static bool settle(struct active *a)
{
	struct job_run *run = a->run;
	struct batch *b = NULL;

	while ((b = TAILQ_FIRST(&a->batches)) != NULL &&
	       b->sent == b->walked.count && b->open == 0) {
		TAILQ_REMOVE(&a->batches, b, entry);
		a->batch_count--;
		run_counts_add(&run->counts, &b->counts);
		TALLOC_FREE(run->cursor);
		run->cursor = talloc_strdup(run, b->walked.cursor);
		a->dirty = true;
		if (b->walked.done) {
			run->index++;
			TALLOC_FREE(run->cursor);
			a->walk_done = false;
			TALLOC_FREE(a->walk_cursor);
		}
		talloc_free(b);
	}
	if (run->index < run->path_count) {
		return true;
	}
	active_finish(a, run->why[0] == '\0' ? JOB_SUCCEEDED : JOB_FAILED);
	return false;
}

/* --- scans --- */

/* The first batch with files that nobody was asked about. */
static struct batch *batch_open(struct active *a)
{
	struct batch *b = NULL;

	TAILQ_FOREACH(b, &a->batches, entry) {
		if (b->sent < b->walked.count) {
			return b;
		}
	}
	return NULL;
}

static struct scan_request request_of(const struct active *a,
				      const char *path)
{
	const struct job_object *job = active_object(a);

	return (struct scan_request) {
		.source = SCAN_JOB,
		.path = path,
		.ignore_previous = a->run->force ||
			job->ignore_previous_scan_status,
		.user = a->run->job[0] != '\0' ? a->run->job :
			"administrator",
		.client = "job",
		.pool = job->pool,
		.report = a->report,
		.tiered = job->scan_cloudpool_files,
	};
}

/* Of the file, or of its streams. False = no memory. */
static bool asked_send(struct asked *asked)
{
	struct active *a = asked->batch->run;
	struct jobs *jobs = a->jobs;
	struct scan_request request = request_of(a, asked->file.path);
	struct tevent_req *subreq = NULL;

	if (asked->file.content) {
		subreq = scan_send(asked, jobs->ev, jobs->scans, &request);
	} else {
		subreq = scan_streams_send(asked, jobs->ev, jobs->scans,
					   &request, stream_answered, asked);
	}
	if (subreq == NULL) {
		return false;
	}
	tevent_req_set_callback(subreq, asked->file.content ? ask_answered :
				streams_answered, asked);
	return true;
}

static bool ask_one(struct active *a, struct batch *b,
		    const struct files_candidate *file)
{
	struct asked *asked = talloc(b, struct asked);

	if (asked == NULL) {
		return false;
	}
	*asked = (struct asked) { .batch = b, .file = *file };
	if (!asked_send(asked)) {
		talloc_free(asked);
		return false;
	}
	b->open++;
	a->under_way++;
	return true;
}

/* What servers of the pool that are online take for jobs at a time. */
static uint32_t lane_of(struct jobs *jobs, const char *pool)
{
	size_t count = servers_count(jobs->servers);
	uint32_t capacity = 0;
	size_t i = 0;

	for (i = 0; i < count; i++) {
		struct server_status s = servers_status(jobs->servers, i);

		if (s.state == SERVER_ONLINE && strcmp(s.pool, pool) == 0) {
			capacity += s.connections_maximum;
		}
	}
	return queue_limits_of(capacity).alone;
}

static void ask_next(struct active *a)
{
	const struct job_object *job = active_object(a);
	time_t now = time(NULL);
	struct batch *b = NULL;
	struct tm tm = { 0 };
	uint32_t share = 0;

	localtime_r(&now, &tm);
	share = job_share((enum job_impact)job->impact,
			  lane_of(a->jobs, job->pool), &tm);
	while (!a->hold && a->under_way < share &&
	       (b = batch_open(a)) != NULL) {
		if (!ask_one(a, b, &b->walked.candidates[b->sent])) {
			a->hold = true;
			return;
		}
		b->sent++;
	}
}

/* Rule 3. Those that were sent know by themselves what they are about. */
static void ask_again(struct batch *b, const struct files_candidate *file)
{
	b->run->hold = true;
	b->walked.candidates[--b->sent] = *file;
}

/* Was it asked in vain, since no server could take it? */
static bool in_vain(const struct verdict *v)
{
	return v->result == VERDICT_FAILED &&
		(v->reason == VERDICT_REASON_NO_SERVER ||
		 v->reason == VERDICT_REASON_FULL);
}

static void count_failed(struct run_counts *c, const struct verdict *v)
{
	if (v->reason == VERDICT_REASON_GONE ||
	    v->reason == VERDICT_REASON_NOT_REGULAR) {
		c->gone++;
	} else {
		c->unanswered++;
	}
}

static void count_bytes(struct run_counts *c, const struct scan_answer *answer)
{
	c->bytes_fetched += answer->bytes_fetched;
	c->bytes_handed += answer->bytes_sent;
	c->bytes_passed += answer->bytes_passed;
	c->scan_time += answer->duration;
}

static void count_scanned(struct run_counts *c,
			  const struct scan_answer *answer)
{
	const struct verdict *v = &answer->verdict;

	c->scanned++;
	c->tiered += answer->tiered;
	c->bytes_scanned += v->content.size;
	c->clean += v->result == VERDICT_CLEAN;
	c->found += verdict_denied(v);
	c->unscannable += v->result == VERDICT_UNSCANNABLE;
}

static void count_answer(struct batch *b, const struct scan_answer *answer)
{
	const struct verdict *v = &answer->verdict;
	struct run_counts *c = &b->counts;

	count_bytes(c, answer);
	if (v->result == VERDICT_FAILED) {
		if (!in_vain(v)) {
			count_failed(c, v);
		}
		return;
	}
	c->tiered_seen += answer->tiered;
	if (v->result == VERDICT_SKIPPED) {
		c->skipped++;
		return;
	}
	if (verdict_denied(v)) {
		job_run_found(b->run->run, answer->path, v->threat);
	}
	if (!answer->from_record) {
		count_scanned(c, answer);
		return;
	}
	c->current++;
	c->infected += verdict_denied(v);
}

static void asked_end(struct asked *asked, bool again)
{
	struct batch *b = asked->batch;
	struct active *a = b->run;

	if (again) {
		ask_again(b, &asked->file);
	}
	b->open--;
	a->under_way--;
	talloc_free(asked);
	active_work(a);
}

static void ask_answered(struct tevent_req *subreq)
{
	struct asked *asked = tevent_req_callback_data(subreq, struct asked);
	struct scan_answer answer = { .path = NULL };
	int ret = scan_recv(subreq, asked, &answer);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		asked_end(asked, true);
		return;
	}
	count_answer(asked->batch, &answer);
	if (in_vain(&answer.verdict)) {
		asked_end(asked, true);
		return;
	}
	asked->file.content = false;
	if (!asked->file.streams) {
		asked_end(asked, false);
	} else if (active_object(asked->batch->run) == NULL ||
		   !asked_send(asked)) {
		asked_end(asked, true);
	}
}

/* Rule 4: one of them. Counted in vain is none. */
static void stream_answered(void *private_data,
			    const struct scan_answer *answer)
{
	struct asked *asked = talloc_get_type_abort(private_data,
						    struct asked);
	const struct verdict *v = &answer->verdict;
	struct run_counts *c = &asked->batch->counts;

	count_bytes(c, answer);
	if (in_vain(v)) {
		asked->again = true;
		return;
	}
	if (verdict_denied(v)) {
		job_run_found(asked->batch->run->run, answer->path,
			      v->threat);
	}
	if (v->result == VERDICT_FAILED) {
		count_failed(c, v);
	} else if (v->result == VERDICT_SKIPPED) {
		c->skipped++;
	} else if (!answer->from_record) {
		count_scanned(c, answer);
	} else {
		c->infected += verdict_denied(v);
	}
}

static void streams_answered(struct tevent_req *subreq)
{
	struct asked *asked = tevent_req_callback_data(subreq, struct asked);
	struct run_counts *c = &asked->batch->counts;
	uint32_t count = 0;
	int ret = scan_streams_recv(subreq, &count);

	TALLOC_FREE(subreq);
	if (ret == 0 && !asked->again) {
		c->streams += count;
	} else if (ret != 0) {
		c->unanswered++;
	}
	asked_end(asked, asked->again);
}

void active_work(struct active *a)
{
	if (!settle(a) || a->wait != JOB_RUNNING || active_object(a) == NULL) {
		return;
	}
	ask_next(a);
	if (walk_wanted(a)) {
		walk_next(a);
	}
}

