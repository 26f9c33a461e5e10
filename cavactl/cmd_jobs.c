/*
 * cavactl jobs: what runs when, what runs now, and how far it is; and the
 * run behind `cavactl scan DIRECTORY`.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cavactl/cavactl.h"
#include "common/uri.h"

#define RUNS_PATH "/platform/10/job/jobs"
#define SCHEDULES_PATH "/platform/11/avscan/schedules"

static const struct output_column jobs_columns[] = {
	{ "JOB", "job_name", OUT_TEXT },
	{ "ENABLED", "enabled", OUT_FLAG },
	{ "SCHEDULE", "schedule", OUT_TEXT },
	{ "NEXT RUN", "next_run", OUT_TIME },
	{ "RUNNING", "running", OUT_NUMBER },
	{ NULL, NULL, 0 }
};

static const struct output_column runs_columns[] = {
	{ "RUN", "id", OUT_NUMBER },
	{ "JOB", "policy", OUT_TEXT },
	{ "STATE", "state", OUT_TEXT },
	{ "STARTED", "start_time", OUT_TIME },
	{ "ENDED", "end_time", OUT_TIME | OUT_NOT_TEXT },
	{ "FILES", "files", OUT_NUMBER },
	{ "CURRENT", "current", OUT_NUMBER },
	{ "SCANNED", "scanned", OUT_NUMBER },
	{ "INFECTED", "found", OUT_NUMBER },
	{ "KNOWN INFECTED", "infected", OUT_NUMBER | OUT_NOT_TEXT },
	{ "NO VERDICT", "unanswered", OUT_NUMBER },
	{ "SKIPPED", "skipped", OUT_NUMBER | OUT_NOT_TEXT },
	{ "FAILED", "failed", OUT_NUMBER | OUT_NOT_TEXT },
	{ "UNSCANNABLE", "unscannable", OUT_NUMBER | OUT_NOT_TEXT },
	{ "A SECOND", "files_per_second", OUT_NUMBER | OUT_NOT_TEXT },
	{ "TIME LEFT", "time_left", OUT_DURATION | OUT_NOT_TEXT },
	{ "ERROR", "error", OUT_TEXT | OUT_NOT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct output_column jobs_times[] = {
	{ "TIME", "time", OUT_TIME },
	{ NULL, NULL, 0 }
};

static const struct output_column jobs_started[] = {
	{ "RUN", "id", OUT_NUMBER },
	{ NULL, NULL, 0 }
};

static enum cavactl_exit jobs_list(const struct cavactl *ctl,
				   const char **args)
{
	(void)args;
	return cavactl_show(ctl, SCHEDULES_PATH, "schedules", jobs_columns,
			    NULL, "There is no job. cavad.conf(5) says how "
			    "one is defined: [job NAME].");
}

static enum cavactl_exit jobs_runs(const struct cavactl *ctl,
				   const char **args)
{
	(void)args;
	return cavactl_show(ctl, RUNS_PATH, "jobs", runs_columns, NULL,
			    "No job has run yet.");
}

/* The run; NULL and *ret: there is none to be had. */
static json_t *run_get(const struct cavactl *ctl, const char *id,
		       enum cavactl_exit *ret)
{
	char path[128] = "";
	json_t *reply = NULL;
	json_t *run = NULL;

	snprintf(path, sizeof(path), RUNS_PATH "/%.40s", id);
	*ret = cavactl_call(ctl, "GET", path, NULL, &reply);
	if (*ret == CAVACTL_OK) {
		run = json_incref(json_array_get(
			json_object_get(reply, "jobs"), 0));
	}
	json_decref(reply);
	return run;
}

static void run_print_infected(const json_t *run)
{
	const json_t *file = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(run, "infected_files"), i, file) {
		output_text(stdout, json_string_value(
			json_object_get(file, "file")));
		printf(": infected ");
		output_text(stdout, json_string_value(
			json_object_get(file, "threat")));
		printf("\n");
	}
}

static void run_print(json_t *run)
{
	const char *name = NULL;
	json_t *value = NULL;

	json_object_foreach(run, name, value) {
		char when[64] = "";

		if (json_is_integer(value) && strstr(name, "_time") != NULL) {
			output_time(when, sizeof(when),
				    json_integer_value(value));
			printf("%-18s %s\n", name, when);
		} else if (json_is_integer(value)) {
			printf("%-18s %lld\n", name,
			       (long long)json_integer_value(value));
		} else if (json_is_string(value) &&
			   json_string_length(value) > 0) {
			printf("%-18s ", name);
			output_text(stdout, json_string_value(value));
			printf("\n");
		}
	}
	run_print_infected(run);
}

static enum cavactl_exit jobs_view(const struct cavactl *ctl,
				   const char **args)
{
	enum cavactl_exit ret = CAVACTL_OK;
	json_t *run = run_get(ctl, args[0], &ret);

	if (run == NULL) {
		return ret;
	}
	if (ctl->format == OUTPUT_TEXT) {
		run_print(run);
	} else {
		output_record(ctl->format, run, runs_columns);
	}
	*ctl->ended = !json_is_null(json_object_get(run, "end_time"));
	json_decref(run);
	return ret;
}

/* *id: of the new run. Takes body. */
static enum cavactl_exit run_start(const struct cavactl *ctl, json_t *body,
				   json_int_t *id)
{
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (body == NULL) {
		output_error("a name is not UTF-8");
		return CAVACTL_REFUSED;
	}
	ret = cavactl_call(ctl, "POST", RUNS_PATH, body, &reply);
	*id = json_integer_value(json_object_get(reply, "id"));
	json_decref(reply);
	json_decref(body);
	return ret;
}

static enum cavactl_exit jobs_start(const struct cavactl *ctl,
				    const char **args)
{
	json_int_t id = 0;
	json_t *said = NULL;
	enum cavactl_exit ret = run_start(ctl, json_pack(
		"{s:s, s:{s:s, s:b}}", "type", "AVScan", "avscan_params",
		"policy", args[0], "force_run",
		(int)cavactl_flag(ctl, "force")), &id);

	if (ret == CAVACTL_OK && ctl->format != OUTPUT_TEXT) {
		said = json_pack("{s:I}", "id", id);
		output_record(ctl->format, said, jobs_started);
		json_decref(said);
	} else if (ret == CAVACTL_OK) {
		printf("Run %lld has begun; cavactl jobs view %lld shows how "
		       "far it is.\n", (long long)id, (long long)id);
	}
	return ret;
}

static enum cavactl_exit run_state(const struct cavactl *ctl, const char *id,
				   const char *state)
{
	char path[128] = "";
	json_t *body = json_pack("{s:s}", "state", state);
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_OK;

	snprintf(path, sizeof(path), RUNS_PATH "/%.40s", id);
	ret = cavactl_call(ctl, "PUT", path, body, &reply);
	json_decref(body);
	json_decref(reply);
	return ret;
}

static enum cavactl_exit jobs_pause(const struct cavactl *ctl,
				    const char **args)
{
	return run_state(ctl, args[0], "pause");
}

static enum cavactl_exit jobs_resume(const struct cavactl *ctl,
				     const char **args)
{
	return run_state(ctl, args[0], "run");
}

static enum cavactl_exit jobs_cancel(const struct cavactl *ctl,
				     const char **args)
{
	return run_state(ctl, args[0], "cancel");
}

static void jobs_print_schedule(enum output_format format,
				const json_t *reply)
{
	const json_t *at = NULL;
	json_t *rows = json_array();
	size_t i = 0;

	if (format == OUTPUT_TEXT) {
		printf("%s\n", json_string_value(
			json_object_get(reply, "schedule")));
	} else if (format == OUTPUT_JSON) {
		output_json(reply);
	}
	json_array_foreach(json_object_get(reply, "next_runs"), i, at) {
		time_t t = json_integer_value(at);
		char text[64] = "";

		json_array_append_new(rows, json_pack(
			"{s:I}", "time", json_integer_value(at)));
		strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M %Z",
			 localtime(&t));
		if (format == OUTPUT_TEXT) {
			printf("  %s\n", text);
		}
	}
	if (format == OUTPUT_CSV) {
		output_csv(rows, jobs_times);
	}
	json_decref(rows);
}

static enum cavactl_exit jobs_schedule(const struct cavactl *ctl,
				       const char **args)
{
	char phrase[512] = "";
	json_t *body = NULL;
	json_t *reply = NULL;
	size_t len = 0;
	enum cavactl_exit ret = CAVACTL_OK;

	for (; *args != NULL && len < sizeof(phrase); args++) {
		len += snprintf(phrase + len, sizeof(phrase) - len, "%s%s",
				len == 0 ? "" : " ", *args);
	}
	body = json_pack("{s:s}", "schedule", phrase);
	ret = cavactl_call(ctl, "POST", SCHEDULES_PATH, body, &reply);
	if (ret == CAVACTL_OK) {
		jobs_print_schedule(ctl->format, reply);
	}
	json_decref(reply);
	json_decref(body);
	return ret;
}

/* --- cavactl scan DIRECTORY --- */

static json_int_t run_number(const json_t *run, const char *name)
{
	return json_integer_value(json_object_get(run, name));
}

static void run_progress(const json_t *run, bool last)
{
	if (!isatty(STDERR_FILENO)) {
		return;
	}
	fprintf(stderr, "\r%lld files seen, %lld scanned, %lld infected, "
		"%lld a second %s%s", (long long)run_number(run, "files"),
		(long long)run_number(run, "scanned"),
		(long long)(run_number(run, "found") +
			    run_number(run, "infected")),
		(long long)run_number(run, "files_per_second"),
		json_string_value(json_object_get(run, "state")),
		last ? "\n" : "   ");
}

static enum cavactl_exit run_exit(const json_t *run)
{
	const char *state = json_string_value(json_object_get(run, "state"));

	if (run_number(run, "found") + run_number(run, "infected") > 0) {
		return CAVACTL_INFECTED;
	}
	if (strcmp(state, "succeeded") != 0 ||
	    run_number(run, "unanswered") + run_number(run, "failed") +
	    run_number(run, "skipped") + run_number(run, "unscannable") > 0) {
		return CAVACTL_NO_VERDICT;
	}
	return CAVACTL_OK;
}

static void run_print_end(const struct cavactl *ctl, json_t *run)
{
	const char *error = json_string_value(json_object_get(run, "error"));

	if (ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, run, runs_columns);
		return;
	}
	run_print_infected(run);
	printf("%lld files: %lld scanned, %lld current already, %lld "
	       "infected, %lld without a verdict\n",
	       (long long)run_number(run, "files"),
	       (long long)run_number(run, "scanned"),
	       (long long)run_number(run, "current"),
	       (long long)(run_number(run, "found") +
			   run_number(run, "infected")),
	       (long long)(run_number(run, "unanswered") +
			   run_number(run, "failed") +
			   run_number(run, "skipped") +
			   run_number(run, "unscannable")));
	if (error != NULL && error[0] != '\0') {
		output_error("%s", error);
	}
}

enum cavactl_exit jobs_scan_directory(const struct cavactl *ctl,
				      const char *path)
{
	char id[32] = "";
	json_int_t number = 0;
	char *uri = NULL;
	json_t *name = json_string(path);
	json_t *run = NULL;
	enum cavactl_exit ret = CAVACTL_OK;

	if (name == NULL) {	/* it is no UTF-8 */
		uri = uri_of_path(NULL, path);
		name = json_string(uri);
		talloc_free(uri);
	}
	ret = run_start(ctl, json_pack(
		"{s:s, s:[o], s:{s:b}}", "type", "AVScan", "paths", name,
		"avscan_params", "force_run",
		(int)cavactl_flag(ctl, "force")), &number);
	snprintf(id, sizeof(id), "%lld", (long long)number);
	while (ret == CAVACTL_OK) {
		json_decref(run);
		run = run_get(ctl, id, &ret);
		if (run == NULL ||
		    !json_is_null(json_object_get(run, "end_time"))) {
			break;
		}
		run_progress(run, false);
		usleep(200000);
	}
	if (run != NULL) {
		run_progress(run, true);
		run_print_end(ctl, run);
		ret = run_exit(run);
	}
	json_decref(run);
	return ret;
}

static const struct cavactl_option jobs_start_options[] = {
	{ "force", 'f', NULL, "files with a current verdict, too" },
	{ NULL, '\0', NULL, NULL }
};

const struct cavactl_command commands_jobs[] = {
	{ "jobs", "", 0, 0,
	  "jobs, and when they run next", jobs_list, .watch = true },
	{ "jobs runs", "", 0, 0,
	  "the last hundred runs, and how far they are", jobs_runs,
	  .examples = "jobs runs --watch", .watch = true },
	{ "jobs view", "RUN", 1, 1,
	  "all there is to know of a run", jobs_view,
	  .examples = "jobs view 12 --watch", .watch = true },
	{ "jobs start", "JOB", 1, 1,
	  "a run of it now", jobs_start, .options = jobs_start_options,
	  .examples = "jobs start nightly --force" },
	{ "jobs pause", "RUN", 1, 1,
	  "until it is resumed, over a restart too", jobs_pause,
	  .examples = "jobs pause 12" },
	{ "jobs resume", "RUN", 1, 1,
	  "from where it stood", jobs_resume,
	  .examples = "jobs resume 12" },
	{ "jobs cancel", "RUN", 1, 1,
	  "for good", jobs_cancel, .examples = "jobs cancel 12" },
	{ "jobs schedule", "PHRASE", 1, CAVACTL_ARGS_ANY,
	  "what it means, and the next five times", jobs_schedule,
	  .examples = "jobs schedule every 2 weeks on Monday at 01:00" },
	{ NULL }
};
