/*
 * cavactl jobs: what runs when, what runs now, and how far it is.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cavactl/run.h"

#define SCHEDULES_PATH "/platform/11/avscan/schedules"

static const struct output_column jobs_columns[] = {
	{ "JOB", "job_name", OUT_TEXT },
	{ "ENABLED", "enabled", OUT_FLAG },
	{ "SCHEDULE", "schedule", OUT_TEXT },
	{ "NEXT RUN", "next_run", OUT_TIME },
	{ "RUNNING", "running", OUT_NUMBER },
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
			    NULL, "There is no job. cavactl jobs create NAME "
			    "--schedule=PHRASE makes one.");
}

static enum cavactl_exit jobs_runs(const struct cavactl *ctl,
				   const char **args)
{
	(void)args;
	return cavactl_show(ctl, RUNS_PATH, "jobs", run_columns, NULL,
			    "No job has run yet.");
}

static enum cavactl_exit runs_view(const struct cavactl *ctl,
				   const char **args)
{
	enum cavactl_exit ret = CAVACTL_OK;
	json_t *run = run_get(ctl, args[0], &ret);

	if (run == NULL) {
		return ret;
	}
	run_print(ctl, run);
	*ctl->ended = run_has_ended(run);
	json_decref(run);
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
		printf("Run %lld has begun; cavactl jobs runs view %lld "
		       "--watch shows how far it is.\n", (long long)id,
		       (long long)id);
	}
	return ret;
}

/* The run of that number, or the one that a job has under way. */
static enum cavactl_exit run_number_of(const struct cavactl *ctl,
				       const char *text, char *id, size_t size)
{
	json_t *reply = NULL;
	const json_t *row = NULL;
	const json_t *running = NULL;
	size_t i = 0;
	enum cavactl_exit ret = CAVACTL_OK;

	snprintf(id, size, "%s", text);
	if (strspn(text, "0123456789") == strlen(text)) {
		return CAVACTL_OK;
	}
	ret = cavactl_call(ctl, "GET", SCHEDULES_PATH, NULL, &reply);
	if (ret != CAVACTL_OK) {
		return ret;
	}
	json_array_foreach(json_object_get(reply, "schedules"), i, row) {
		const char *name = json_string_value(
			json_object_get(row, "job_name"));

		if (name != NULL && strcasecmp(name, text) == 0) {
			running = json_object_get(row, "running");
			break;
		}
	}
	if (json_is_integer(running)) {
		snprintf(id, size, "%lld",
			 (long long)json_integer_value(running));
	} else {
		output_error("%s: %s; cavactl jobs shows them", text,
			     running == NULL ? "there is no such job" :
			     "no run of it is under way");
		ret = CAVACTL_REFUSED;
	}
	json_decref(reply);
	return ret;
}

static enum cavactl_exit run_state(const struct cavactl *ctl,
				   const char *text, const char *state)
{
	char id[64] = "";
	char path[128] = "";
	json_t *body = NULL;
	json_t *reply = NULL;
	enum cavactl_exit ret = run_number_of(ctl, text, id, sizeof(id));

	if (ret != CAVACTL_OK) {
		return ret;
	}
	body = json_pack("{s:s}", "state", state);
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

static const struct cavactl_option jobs_start_options[] = {
	{ "force", 'f', NULL, "files with a current verdict, too" },
	{ NULL, '\0', NULL, NULL }
};

const struct cavactl_command commands_jobs[] = {
	{ "jobs", "", 0, 0,
	  "jobs, and when they run next", jobs_list, .watch = true },
	{ "jobs runs", "", 0, 0,
	  "runs, the last one first, and how far they are", jobs_runs,
	  .examples = "jobs runs --watch", .watch = true },
	{ "jobs runs view", "RUN", 1, 1,
	  "all there is to know of a run", runs_view,
	  .examples = "jobs runs view 12 --watch", .watch = true },
	{ "jobs start", "JOB", 1, 1,
	  "a run of it now", jobs_start, .options = jobs_start_options,
	  .examples = "jobs start nightly --force" },
	{ "jobs pause", "JOB|RUN", 1, 1,
	  "until it is resumed, over a restart too", jobs_pause,
	  .examples = "jobs pause 12" },
	{ "jobs resume", "JOB|RUN", 1, 1,
	  "from where it stood", jobs_resume,
	  .examples = "jobs resume 12" },
	{ "jobs cancel", "JOB|RUN", 1, 1,
	  "for good", jobs_cancel, .examples = "jobs cancel 12" },
	{ "jobs schedule", "PHRASE", 1, CAVACTL_ARGS_ANY,
	  "what it means, and the next five times", jobs_schedule,
	  .examples = "jobs schedule every 2 weeks on Monday at 01:00" },
	{ NULL }
};
