/*
 * Jobs: see job.h; the work of one run is in job_active.c.
 *
 * Every TICK all runs are looked at. One that cannot work waits for a
 * reason, which is its state as others see it: no server of its pool is
 * online (paused_system), the hour (paused_policy), a run with a lower
 * priority number works (paused_priority). Its scans under way end.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cavad/files_msg.h"
#include "cavad/job_private.h"
#include "cavad/object_check.h"
#include "common/log.h"
#include "common/tick.h"

#define TICK 1			/* s */
#define RUNS_MAX 100		/* under way */
#define PURGE_TICKS 3600
#define PURGE_MAX 1000		/* records at a time */

static void jobs_time(void *private_data);

static struct active *active_find(struct jobs *jobs, uint64_t id)
{
	struct active *a = NULL;

	LIST_FOREACH(a, &jobs->active, entry) {
		if (a->run->id == id) {
			return a;
		}
	}
	return NULL;
}

/* --- who works --- */

/* Priority aside. */
static enum job_state wait_of(const struct active *a)
{
	const struct job_object *job = active_object(a);
	struct jobs *jobs = a->jobs;
	time_t now = time(NULL);
	struct tm tm = { 0 };

	localtime_r(&now, &tm);
	if (a->run->state != JOB_RUNNING) {
		return a->run->state;
	}
	if (job_share((enum job_impact)job->impact, 1, &tm) == 0) {
		return JOB_PAUSED_POLICY;
	}
	if (!jobs->config->settings.service_enabled ||
	    !servers_pool_usable(jobs->servers, job->pool)) {
		return JOB_PAUSED_SYSTEM;
	}
	return JOB_RUNNING;
}

static void set_wait(struct active *a, enum job_state wait)
{
	if (wait == a->wait) {
		return;
	}
	a->wait = wait;
	if (wait == JOB_PAUSED_SYSTEM) {
		log_notice("%s waits: no antivirus server of pool %s is "
			   "online, or service_enabled is no",
			   active_title(a, a->run), active_object(a)->pool);
	}
}

/* Waits, and the lowest number among those that do not. */
static void look_at_all(struct jobs *jobs)
{
	struct active *a = NULL;
	struct active *next = NULL;
	uint64_t first = UINT64_MAX;

	for (a = LIST_FIRST(&jobs->active); a != NULL; a = next) {
		next = LIST_NEXT(a, entry);
		if (active_object(a) == NULL) {
			active_fail(a, a->run->job, "this job is no more");
			active_finish(a, JOB_CANCELLED_SYSTEM);
		} else if (a->tries >= JOB_WALK_TRIES) {
			active_finish(a, JOB_FAILED);
		} else if (wait_of(a) == JOB_RUNNING &&
			   active_object(a)->priority < first) {
			first = active_object(a)->priority;
		}
	}
	LIST_FOREACH(a, &jobs->active, entry) {
		enum job_state wait = wait_of(a);

		if (wait == JOB_RUNNING && active_object(a)->priority > first) {
			wait = JOB_PAUSED_PRIORITY;
		}
		set_wait(a, wait);
	}
}

static uint64_t seen_of(const struct active *a)
{
	uint64_t files = a->run->counts.files;
	const struct batch *b = NULL;

	TAILQ_FOREACH(b, &a->batches, entry) {
		files += b->counts.files;
	}
	return files;
}

static void start_due(void *private_data, const char *job)
{
	struct jobs *jobs = talloc_get_type_abort(private_data, struct jobs);
	const struct job_start start = { .job = job };
	struct tevent_req *req = NULL;
	uint64_t id = 0;
	char *why = NULL;

	req = job_start_send(jobs, jobs, &start, &id, &why);
	if (req == NULL) {
		log_warning("job %s is due and does not start: %s", job,
			    why == NULL ? "out of memory" : why);
	} else {
		tevent_req_set_callback(req, active_put_ended, NULL);
	}
	TALLOC_FREE(why);
}

/*
 * Owed until it has started: one that is under way may be past what a second
 * failure took.
 */
static void recover(struct jobs *jobs)
{
	if (!job_boot_unclean(jobs->boot) || jobs->count >= RUNS_MAX ||
	    job_running(jobs, JOB_RECOVERY) != 0) {
		return;
	}
	start_due(jobs, JOB_RECOVERY);
	if (job_running(jobs, JOB_RECOVERY) != 0) {
		job_boot_recovers(jobs->boot);
	}
}

/* Of records that are older than report_expiry. */
static bool purge_row(void *private_data, struct job_run *run)
{
	struct jobs *jobs = private_data;
	int64_t expiry = (int64_t)jobs->config->settings.report_expiry;
	struct tevent_req *req = NULL;

	if (!job_state_ended(run->state) ||
	    run->ended > (int64_t)time(NULL) - expiry) {
		return true;
	}
	req = store_run_del_send(jobs, jobs->ev, jobs->store, run->id);
	if (req != NULL) {
		tevent_req_set_callback(req, active_put_ended, NULL);
	}
	return ++jobs->purged < PURGE_MAX;
}

static void purge(struct jobs *jobs)
{
	jobs->purged = 0;
	(void)store_run_each(jobs->store, 0, purge_row, jobs);
}

static void jobs_time(void *private_data)
{
	struct jobs *jobs = talloc_get_type_abort(private_data, struct jobs);
	struct active *a = NULL;
	struct active *next = NULL;

	tick_in(jobs->tick, TICK * 1000000ULL);
	if (jobs->ticks++ % PURGE_TICKS == 0) {
		purge(jobs);
	}
	recover(jobs);
	job_due_look(jobs->due, time(NULL), start_due, jobs);
	look_at_all(jobs);
	for (a = LIST_FIRST(&jobs->active); a != NULL; a = next) {
		next = LIST_NEXT(a, entry);
		a->hold = false;
		a->files[a->ticks++ % JOB_RATE_TICKS] = seen_of(a);
		active_save(a);
		active_work(a);
	}
}

/* --- from outside --- */

static int active_destructor(struct active *a)
{
	LIST_REMOVE(a, entry);
	a->jobs->count--;
	return 0;
}

static void tell_began(struct active *a)
{
	struct jobs *jobs = a->jobs;

	if (jobs->began != NULL) {
		a->report = talloc_strdup(a, jobs->began(jobs->watch_private,
							 a->run));
	}
}

void jobs_watch(struct jobs *jobs,
		const char *(*began)(void *private_data,
				     const struct job_run *run),
		void (*ended)(void *private_data, const char *report,
			      const struct job_run *run),
		void *private_data)
{
	struct active *a = NULL;

	jobs->began = began;
	jobs->ended = ended;
	jobs->watch_private = private_data;
	LIST_FOREACH(a, &jobs->active, entry) {
		tell_began(a);
	}
}

void job_fetched(struct jobs *jobs, uint64_t id, uint64_t bytes)
{
	struct active *a = active_find(jobs, id);

	if (a != NULL) {
		a->run->counts.bytes_fetched += bytes;
		a->dirty = true;
	}
}

/* Takes over the record. NULL = no memory. */
static struct active *activate(struct jobs *jobs, struct job_run *run)
{
	struct active *a = talloc_zero(jobs, struct active);

	if (a == NULL) {
		return NULL;
	}
	a->jobs = jobs;
	a->run = talloc_steal(a, run);
	a->wait = JOB_RUNNING;
	TAILQ_INIT(&a->batches);
	LIST_INSERT_HEAD(&jobs->active, a, entry);
	jobs->count++;
	talloc_set_destructor(a, active_destructor);
	return a;
}

/* The paths of the run, each below no other one. NULL and *why. */
static const char **paths_of(TALLOC_CTX *mem_ctx, struct jobs *jobs,
			     const struct job_start *start, uint32_t *count,
			     char **why)
{
	const struct settings *s = &jobs->config->settings;
	const struct job_object *job = config_job(jobs->config, start->job);
	const char *root[] = { s->check_root, NULL };
	const char **from = start->paths;
	const char **paths = NULL;
	uint32_t n = start->path_count;
	size_t bytes = 0;
	uint32_t i = 0, k = 0;

	if (start->job[0] != '\0') {
		from = job == NULL || job->paths_to_include[0] == NULL ?
			root : job->paths_to_include;
		for (n = 0; from[n] != NULL; n++) {
		}
	}
	if (n == 0 || n > JOB_PATHS_MAX) {
		*why = talloc_asprintf(mem_ctx, "%u paths: 1 to %d are "
				       "accepted", n, JOB_PATHS_MAX);
		return NULL;
	}
	paths = talloc_zero_array(mem_ctx, const char *, n);
	*count = 0;
	for (i = 0; paths != NULL && i < n; i++) {
		if (!object_path_below(from[i], s->check_root) ||
		    strlen(from[i]) >= FILES_PATH_MAX) {
			*why = talloc_asprintf(mem_ctx, "%s: not below "
					       "check_root (%s)", from[i],
					       s->check_root);
			return NULL;
		}
		for (k = 0; k < n; k++) {
			if (k != i && object_path_below(from[i], from[k]) &&
			    (strcmp(from[i], from[k]) != 0 || k < i)) {
				break;
			}
		}
		if (k == n) {
			paths[(*count)++] = talloc_strdup(paths, from[i]);
			bytes += strlen(from[i]);
		}
	}
	if (bytes > JOB_PATHS_BYTES) {
		*why = talloc_asprintf(mem_ctx, "the paths have %zu bytes "
				       "together: at most %d", bytes,
				       JOB_PATHS_BYTES);
		return NULL;
	}
	return paths;
}

struct expected {
	const char *job;
	uint64_t files;
};

static bool expected_row(void *private_data, struct job_run *run)
{
	struct expected *e = private_data;

	if (run->state == JOB_SUCCEEDED && strcmp(run->job, e->job) == 0) {
		e->files = run->counts.files;
	}
	return true;
}

/* NULL and *why (NULL = no memory). */
static struct job_run *run_create(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				  const struct job_start *start, char **why)
{
	const struct job_object *job = config_job(jobs->config, start->job);
	struct expected expected = {
		.job = job != NULL ? job->name : start->job
	};
	struct job_run *run = talloc_zero(mem_ctx, struct job_run);

	if (run == NULL) {
		return NULL;
	}
	run->paths = paths_of(run, jobs, start, &run->path_count, why);
	if (run->paths == NULL) {
		*why = talloc_steal(mem_ctx, *why);
		talloc_free(run);
		return NULL;
	}
	if (start->job[0] != '\0') {
		(void)store_run_each(jobs->store, 0, expected_row, &expected);
	}
	run->id = jobs->last + 1;
	run->state = JOB_RUNNING;
	run->started = time(NULL);
	run->job = talloc_strdup(run, expected.job);
	run->force = start->force;
	run->expected = expected.files;
	run->why = "";
	if (run->job == NULL) {
		talloc_free(run);
		return NULL;
	}
	return run;
}

struct tevent_req *job_start_send(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				  const struct job_start *start,
				  uint64_t *id, char **why)
{
	struct job_run *run = NULL;
	struct active *a = NULL;

	*why = NULL;
	if (start->job[0] != '\0' && strcmp(start->job, JOB_RECOVERY) != 0 &&
	    config_job(jobs->config, start->job) == NULL) {
		*why = talloc_asprintf(mem_ctx, "there is no job %s",
				       start->job);
		return NULL;
	}
	if (start->job[0] != '\0' && job_running(jobs, start->job) != 0) {
		*why = talloc_asprintf(mem_ctx, "run %llu of it is under way",
				       (unsigned long long)job_running(
					       jobs, start->job));
		return NULL;
	}
	if (jobs->count >= RUNS_MAX) {
		*why = talloc_asprintf(mem_ctx, "%d runs are under way: no "
				       "more at a time", RUNS_MAX);
		return NULL;
	}
	run = run_create(mem_ctx, jobs, start, why);
	a = run == NULL ? NULL : activate(jobs, run);
	if (a == NULL) {
		return NULL;
	}
	*id = jobs->last = run->id;
	tell_began(a);
	log_notice("%s begins", active_title(a, run));
	look_at_all(jobs);
	active_work(a);
	return store_run_put_send(mem_ctx, jobs->ev, jobs->store, run);
}

struct tevent_req *job_verb_send(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				 uint64_t id, enum job_verb verb, char **why)
{
	struct active *a = active_find(jobs, id);
	struct job_run *run = NULL;
	struct tevent_req *req = NULL;

	*why = NULL;
	if (a == NULL) {
		*why = talloc_asprintf(mem_ctx, "no run %llu is under way",
				       (unsigned long long)id);
		return NULL;
	}
	run = a->run;
	switch (verb) {
	case JOB_VERB_RUN:
		run->state = JOB_RUNNING;
		a->tries = 0;
		break;
	case JOB_VERB_PAUSE:
		run->state = JOB_PAUSED_USER;
		active_drop(a);
		break;
	case JOB_VERB_CANCEL:
		active_ended(a, JOB_CANCELLED_USER);
		break;
	}
	req = store_run_put_send(mem_ctx, jobs->ev, jobs->store, run);
	if (verb == JOB_VERB_CANCEL) {
		active_leave(a, req);
		a = NULL;
	}
	look_at_all(jobs);
	if (a != NULL) {
		active_work(a);
	}
	return req;
}

struct view {
	TALLOC_CTX *mem_ctx;
	uint64_t id;
	struct job_run *run;
};

static bool view_row(void *private_data, struct job_run *run)
{
	struct view *v = private_data;

	if (run->id == v->id) {
		v->run = talloc_steal(v->mem_ctx, run);
	}
	return false;
}

/* It has not ended before that is kept: else it might go on once more. */
static struct job_run *view_ending(TALLOC_CTX *mem_ctx,
				   const struct ending *e)
{
	struct job_run *run = talloc_memdup(mem_ctx, e->run, sizeof(*run));

	if (run != NULL) {
		run->state = JOB_RUNNING;
		run->ended = 0;
	}
	return run;
}

static struct job_run *view_other(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				  uint64_t id)
{
	struct view v = { .mem_ctx = mem_ctx, .id = id };
	const struct ending *e = NULL;

	LIST_FOREACH(e, &jobs->ending, entry) {
		if (e->run->id == id) {
			return view_ending(mem_ctx, e);
		}
	}
	(void)store_run_each(jobs->store, id - 1, view_row, &v);
	return v.run;
}

struct job_run *job_view(TALLOC_CTX *mem_ctx, struct jobs *jobs, uint64_t id)
{
	struct active *a = active_find(jobs, id);
	struct job_run *run = NULL;
	const struct batch *b = NULL;

	if (id == 0) {
		return NULL;
	}
	if (a == NULL) {
		return view_other(mem_ctx, jobs, id);
	}
	run = talloc_memdup(mem_ctx, a->run, sizeof(*a->run));
	if (run == NULL) {
		return NULL;
	}
	if (run->state == JOB_RUNNING) {
		run->state = a->wait;
	}
	TAILQ_FOREACH(b, &a->batches, entry) {
		run_counts_add(&run->counts, &b->counts);
	}
	return run;
}

uint64_t job_rate(struct jobs *jobs, uint64_t id)
{
	struct active *a = active_find(jobs, id);
	unsigned int span = 0;
	uint64_t now = 0;

	if (a == NULL || a->ticks < 2) {
		return 0;
	}
	span = a->ticks < JOB_RATE_TICKS ? a->ticks - 1 : JOB_RATE_TICKS - 1;
	now = a->files[(a->ticks - 1) % JOB_RATE_TICKS];
	return (now - a->files[(a->ticks - 1 - span) % JOB_RATE_TICKS]) / span;
}

uint64_t job_running(struct jobs *jobs, const char *job)
{
	struct active *a = NULL;

	LIST_FOREACH(a, &jobs->active, entry) {
		if (job[0] != '\0' && strcasecmp(a->run->job, job) == 0) {
			return a->run->id;
		}
	}
	return 0;
}

void job_forget(struct jobs *jobs, const char *job)
{
	job_due_forget(jobs->due, job);
}

void job_renamed(struct jobs *jobs, const char *from, const char *to)
{
	job_due_rename(jobs->due, from, to);
}

int64_t job_last(struct jobs *jobs, const struct job_object *job)
{
	return job_due_last(jobs->due, job->name);
}

int64_t job_next(struct jobs *jobs, const struct job_object *job)
{
	return job_due_next(jobs->due, job);
}

uint64_t jobs_last(const struct jobs *jobs)
{
	return jobs->last;
}

/* --- start --- */

static bool load_row(void *private_data, struct job_run *run)
{
	struct jobs *jobs = private_data;

	jobs->last = run->id;
	if (!job_state_ended(run->state) && run->index < run->path_count &&
	    activate(jobs, run) != NULL) {
		log_notice("%s goes on", active_title(run, run));
	}
	return true;
}

/* Requests that keep a record may be others', and stay. */
static int jobs_destructor(struct jobs *jobs)
{
	struct ending *e = NULL;

	LIST_FOREACH(e, &jobs->ending, entry) {
		talloc_set_destructor(e, NULL);
	}
	return 0;
}

int jobs_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		const struct config *config, struct files *files,
		struct store *store, struct servers *servers,
		struct scans *scans, struct jobs **result)
{
	struct jobs *jobs = talloc_zero(mem_ctx, struct jobs);
	int ret = jobs == NULL ? ENOMEM : 0;

	if (ret == 0) {
		talloc_set_destructor(jobs, jobs_destructor);
		jobs->ev = ev;
		jobs->config = config;
		jobs->files = files;
		jobs->store = store;
		jobs->servers = servers;
		jobs->scans = scans;
		jobs->due = job_due_create(jobs, ev, config, store);
		jobs->boot = job_boot_create(jobs, ev, store);
		jobs->tick = tick_create(jobs, ev, jobs_time, jobs);
		ret = jobs->due == NULL || jobs->boot == NULL ||
		      jobs->tick == NULL ? ENOMEM :
			store_run_each(store, 0, load_row, jobs);
	}
	if (ret != 0) {
		talloc_free(jobs);
		return ret;
	}
	tick_in(jobs->tick, TICK * 1000000ULL);
	*result = jobs;
	return 0;
}

void jobs_stop(struct jobs *jobs)
{
	job_boot_stop(jobs->boot);
}
