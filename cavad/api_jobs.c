/*
 * /platform/10/job/jobs: runs of jobs, started, paused, resumed, cancelled;
 * /platform/11/avscan/schedules: when jobs run, and what a phrase means.
 *
 * POST has OneFS's shape: type AVScan, and either avscan_params.policy (the
 * job's name) or paths. A run is listed with the state that the OneFS job
 * engine would give it, and what it has counted beside.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/api_page.h"
#include "cavad/schedule.h"
#include "common/uri.h"

#define TIMES_SHOWN 5

struct api_started {
	struct api_call *call;
	uint64_t id;
};

static void api_job_started(struct tevent_req *subreq);
static void api_job_changed(struct tevent_req *subreq);

/* --- what there is --- */

static json_t *api_run_path(const char *path)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	json_t *json = json_string(path);

	if (json == NULL) {	/* it is no UTF-8 */
		json = json_string(uri_of_path(frame, path));
	}
	talloc_free(frame);
	return json;
}

static json_t *api_time(int64_t seconds)
{
	return seconds == 0 ? json_null() : json_integer(seconds);
}

/* Seconds to go, by the files that the run before had; null = not known. */
static json_t *api_time_left(const struct job_run *run, uint64_t rate)
{
	if (rate == 0 || run->expected <= run->counts.files) {
		return json_null();
	}
	return json_integer((run->expected - run->counts.files) / rate);
}

static json_t *api_run(struct api_call *call, const struct job_run *run)
{
	uint64_t rate = job_rate(call->api->jobs, run->id);
	json_t *paths = json_array();
	json_t *infected = json_array();
	json_t *json = NULL;
	uint32_t i = 0;

	for (i = 0; i < run->path_count; i++) {
		json_array_append_new(paths, api_run_path(run->paths[i]));
	}
	for (i = 0; i < run->infected_count; i++) {
		json_array_append_new(infected, json_pack(
			"{s:o, s:o}",
			"file", api_run_path(run->infected[i].path),
			"threat", api_text(run->infected[i].threat)));
	}
	json = json_pack("{s:I, s:s, s:o, s:s, s:o, s:I, s:o, s:o, s:b, s:o,"
			 " s:I, s:o}",
			 "id", (json_int_t)run->id, "type", "AVScan",
			 "policy", api_text(run->job),
			 "state", job_state_text(run->state),
			 "paths", paths,
			 "start_time", (json_int_t)run->started,
			 "end_time", api_time(run->ended),
			 "error", api_text(run->why),
			 "force_run", (int)run->force,
			 "infected_files", infected,
			 "files_per_second", (json_int_t)rate,
			 "time_left", api_time_left(run, rate));
#define W(name, text) json_object_set_new(json, #name, \
		json_integer((json_int_t)run->counts.name));
	RUN_COUNTS(W)
#undef W
	return json;
}

static bool api_run_count(void *private_data, struct job_run *run)
{
	uint64_t *count = private_data;

	(void)run;
	(*count)++;
	return true;
}

/* The run behind id in the order of the page; 0 = there is none. */
static uint64_t api_run_next(const struct api_page *page, uint64_t id,
			     uint64_t last)
{
	if (page->descending) {
		return id == 0 ? last : id - 1;
	}
	return id >= last ? 0 : id + 1;
}

void api_runs(struct api_call *call)
{
	static const char *const sorts[] = { "id", NULL };
	static const struct api_page_spec spec = {
		.sorts = sorts, .descending = true,
	};
	uint64_t last = jobs_last(call->api->jobs);
	struct job_run *run = NULL;
	struct api_page page;
	const char *behind = NULL;
	json_t *list = NULL;
	uint64_t total = 0;
	uint64_t id = 0;

	if (!api_page(call, &spec, &page)) {
		return;
	}
	(void)store_run_each(call->api->store, 0, api_run_count, &total);
	list = json_array();
	id = page.after == NULL ? 0 : strtoull(page.after, NULL, 10);
	while ((id = api_run_next(&page, id, last)) != 0 &&
	       json_array_size(list) < page.limit) {
		run = job_view(call, call->api->jobs, id);
		if (run != NULL && page.offset > 0) {
			page.offset--;
		} else if (run != NULL) {
			json_array_append_new(list, api_run(call, run));
			behind = talloc_asprintf(call, "%llu",
						 (unsigned long long)id);
		}
		talloc_free(run);
	}
	if (json_array_size(list) < page.limit) {
		behind = NULL;
	}
	api_page_reply(call, &page, "jobs", list, behind, total);
}

/* 0: what stands there is no number, which has been said. */
static uint64_t api_run_id(struct api_call *call)
{
	char *end = NULL;
	unsigned long long id = strtoull(call->tail, &end, 10);

	if (id == 0 || *end != '\0' || call->tail[0] == '-') {
		api_error(call, 404, NULL, "%s: not the number of a run",
			  call->tail);
		return 0;
	}
	return id;
}

void api_run_view(struct api_call *call)
{
	uint64_t id = api_run_id(call);
	struct job_run *run = NULL;

	if (id == 0) {
		return;
	}
	run = job_view(call, call->api->jobs, id);
	if (run == NULL) {
		api_error(call, 404, NULL, "there is no run %llu",
			  (unsigned long long)id);
		return;
	}
	api_reply(call, 200, json_pack("{s:[o]}", "jobs",
				       api_run(call, run)));
}

/* --- start --- */

const struct api_field api_run_fields[] = {
	{ "type", JSON_STRING, true, 100 },
	{ "avscan_params", JSON_OBJECT, false, 0 },
	{ "paths", JSON_ARRAY, false, 0 },
	{ NULL, JSON_NULL, false, 0 }
};

/* False: they make no sense, which has been said. */
static bool api_run_paths(struct api_call *call, struct job_start *start)
{
	json_t *paths = json_object_get(call->body, "paths");
	size_t n = json_array_size(paths);
	const char *text = NULL;
	char *path = NULL;
	size_t i = 0;

	if (n > JOB_PATHS_MAX) {
		api_error(call, 400, "paths", "%zu paths: at most %d are "
			  "accepted", n, JOB_PATHS_MAX);
		return false;
	}
	start->paths = talloc_zero_array(call, const char *, n + 1);
	for (i = 0; start->paths != NULL && i < n; i++) {
		text = json_string_value(json_array_get(paths, i));
		if (text != NULL && uri_is(text) &&
		    uri_path(start->paths, text, &path) == 0) {
			text = path;
		}
		if (text == NULL || text[0] != '/' ||
		    strlen(text) != strnlen(text, 4095)) {
			api_error(call, 400, "paths", "paths must be a list "
				  "of absolute paths, or URIs of them "
				  "(file:///...)");
			return false;
		}
		start->paths[i] = text;
	}
	start->path_count = n;
	return start->paths != NULL;
}

/* The same. */
static bool api_run_params(struct api_call *call, struct job_start *start)
{
	json_t *params = json_object_get(call->body, "avscan_params");
	json_t *value = NULL;
	const char *name = NULL;

	json_object_foreach(params, name, value) {
		if (strcmp(name, "policy") == 0 && json_is_string(value)) {
			start->job = json_string_value(value);
		} else if (strcmp(name, "force_run") == 0 &&
			   json_is_boolean(value)) {
			start->force = json_is_true(value);
		} else {
			api_error(call, 400, "avscan_params", "%s is unknown "
				  "or of another type; accepted: policy (the "
				  "name of a job), force_run (true or false)",
				  name);
			return false;
		}
	}
	if ((start->job[0] == '\0') == (start->path_count == 0)) {
		api_error(call, 400, NULL, "either avscan_params.policy (the "
			  "name of a job) or paths must say what to scan");
		return false;
	}
	return true;
}

void api_run_start(struct api_call *call)
{
	struct job_start start = { .job = "" };
	struct api_started *started = talloc(call, struct api_started);
	struct tevent_req *subreq = NULL;
	const char *type = NULL;
	char *why = NULL;

	if (!api_body(call, api_run_fields)) {
		return;
	}
	type = json_string_value(json_object_get(call->body, "type"));
	if (strcmp(type, "AVScan") != 0) {
		api_error(call, 400, "type", "type = \"%s\": AVScan is "
			  "accepted", type);
		return;
	}
	if (started == NULL || !api_run_paths(call, &start) ||
	    !api_run_params(call, &start)) {
		return;
	}
	started->call = call;
	subreq = job_start_send(call, call->api->jobs, &start, &started->id,
				&why);
	if (subreq == NULL) {
		api_error(call, why == NULL ? 500 : 409, NULL, "%s",
			  why == NULL ? "out of memory" : why);
		return;
	}
	tevent_req_set_callback(subreq, api_job_started, started);
}

static void api_job_started(struct tevent_req *subreq)
{
	struct api_started *started = tevent_req_callback_data(
		subreq, struct api_started);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_error(started->call, ret == ENOSPC ? 503 : 500, NULL,
			  "it runs, but will not survive a restart: %s",
			  strerror(ret));
		return;
	}
	api_audit(started->call, talloc_asprintf(started, "job run %llu",
						 (unsigned long long)
						 started->id), "started");
	api_reply(started->call, 201, json_pack(
		"{s:I}", "id", (json_int_t)started->id));
}

/* --- pause, resume, cancel --- */

const struct api_field api_run_state[] = {
	{ "state", JSON_STRING, true, 20 },
	{ NULL, JSON_NULL, false, 0 }
};

void api_run_change(struct api_call *call)
{
	static const char *const verbs[] = {
		[JOB_VERB_RUN] = "run", [JOB_VERB_PAUSE] = "pause",
		[JOB_VERB_CANCEL] = "cancel"
	};
	uint64_t id = api_run_id(call);
	struct tevent_req *subreq = NULL;
	const char *state = NULL;
	char *why = NULL;
	int verb = 0;

	if (id == 0 || !api_body(call, api_run_state)) {
		return;
	}
	state = json_string_value(json_object_get(call->body, "state"));
	while (verb < 3 && strcmp(verbs[verb], state) != 0) {
		verb++;
	}
	if (verb == 3) {
		api_error(call, 400, "state", "state = \"%s\": run, pause and "
			  "cancel are accepted", state);
		return;
	}
	subreq = job_verb_send(call, call->api->jobs, id, verb, &why);
	if (subreq == NULL) {
		api_error(call, why == NULL ? 500 : 409, NULL, "%s",
			  why == NULL ? "out of memory" : why);
		return;
	}
	tevent_req_set_callback(subreq, api_job_changed, call);
}

static void api_job_changed(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	const char *state = NULL;
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	state = json_string_value(json_object_get(call->body, "state"));
	api_audit(call, talloc_asprintf(call, "job run %s", call->tail),
		  "state = %s", state);
	api_reply(call, 204, NULL);
}

/* --- schedules --- */

/* Each job, when it runs next, and the number of its run. */
void api_schedules(struct api_call *call)
{
	struct job_object **job = NULL;
	struct schedule s = { .text = "" };
	json_t *list = json_array();
	char why[512] = "";
	uint64_t run = 0;

	for (job = call->api->config->jobs; *job != NULL; job++) {
		s.text[0] = '\0';
		(void)schedule_parse((*job)->schedule, &s, why, sizeof(why));
		run = job_running(call->api->jobs, (*job)->name);
		json_array_append_new(list, json_pack(
			"{s:s, s:b, s:s, s:o, s:o}",
			"job_name", (*job)->name,
			"enabled", (int)(*job)->enabled,
			"schedule", s.text,
			"next_run", api_time(job_next(call->api->jobs, *job)),
			"running", run == 0 ? json_null() :
				json_integer((json_int_t)run)));
	}
	api_reply(call, 200, json_pack("{s:o}", "schedules", list));
}

const struct api_field api_schedule_fields[] = {
	{ "schedule", JSON_STRING, true, SCHEDULE_TEXT_MAX - 1 },
	{ NULL, JSON_NULL, false, 0 }
};

void api_schedule(struct api_call *call)
{
	struct schedule s = { .text = "" };
	time_t times[TIMES_SHOWN] = { 0 };
	json_t *list = json_array();
	char why[512] = "";
	unsigned int n = 0;
	unsigned int i = 0;

	if (!api_body(call, api_schedule_fields)) {
		json_decref(list);
		return;
	}
	if (schedule_parse(json_string_value(json_object_get(
				   call->body, "schedule")),
			   &s, why, sizeof(why)) != 0) {
		json_decref(list);
		api_error(call, 400, "schedule", "%s", why);
		return;
	}
	n = schedule_next(&s, time(NULL), times, TIMES_SHOWN);
	for (i = 0; i < n; i++) {
		json_array_append_new(list, json_integer(times[i]));
	}
	api_reply(call, 200, json_pack("{s:s, s:o}", "schedule", s.text,
				       "next_runs", list));
}
