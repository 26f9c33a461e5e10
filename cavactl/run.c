/*
 * One run of a job: see run.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cavactl/run.h"

const struct output_column run_columns[] = {
	{ "RUN", "id", OUT_NUMBER },
	{ "JOB", "policy", OUT_TEXT },
	{ "STATE", "state", OUT_TEXT },
	{ "STARTED", "start_time", OUT_TIME },
	{ "ENDED", "end_time", OUT_TIME | OUT_NOT_TEXT },
	{ "FILES", "files", OUT_NUMBER },
	{ "CURRENT", "current", OUT_NUMBER },
	{ "SCANNED", "scanned", OUT_NUMBER },
	{ "BYTES", "bytes_scanned", OUT_SIZE },
	{ "INFECTED", "found", OUT_NUMBER },
	{ "KNOWN INFECTED", "infected", OUT_NUMBER | OUT_NOT_TEXT },
	{ "NO VERDICT", "unanswered", OUT_NUMBER },
	{ "SKIPPED", "skipped", OUT_NUMBER | OUT_NOT_TEXT },
	{ "FAILED", "failed", OUT_NUMBER | OUT_NOT_TEXT },
	{ "UNSCANNABLE", "unscannable", OUT_NUMBER | OUT_NOT_TEXT },
	{ "A SECOND", "files_per_second", OUT_NUMBER | OUT_NOT_TEXT },
	{ "TIME LEFT", "time_left", OUT_DURATION },
	{ "ERROR", "error", OUT_TEXT | OUT_NOT_TEXT },
	{ NULL, NULL, 0 }
};

/* Of one run. What it counts comes under its own names. */
static const struct output_column run_head[] = {
	{ "run", "id", OUT_NUMBER },
	{ "job", "policy", OUT_TEXT },
	{ "paths", "paths", OUT_TEXT },
	{ "state", "state", OUT_TEXT },
	{ "error", "error", OUT_TEXT },
	{ "started", "start_time", OUT_TIME },
	{ "ended", "end_time", OUT_TIME },
	{ "current files, too", "force_run", OUT_FLAG },
	{ NULL, NULL, 0 }
};

static json_int_t run_number(const json_t *run, const char *name)
{
	return json_integer_value(json_object_get(run, name));
}

static json_int_t run_infected(const json_t *run)
{
	return run_number(run, "found") + run_number(run, "infected");
}

static json_int_t run_unknown(const json_t *run)
{
	return run_number(run, "unanswered") + run_number(run, "failed") +
		run_number(run, "skipped") + run_number(run, "unscannable");
}

json_t *run_get(const struct cavactl *ctl, const char *id,
		enum cavactl_exit *ret)
{
	char path[128] = "";
	json_t *reply = NULL;
	json_t *run = NULL;

	if (id[0] == '\0' || strspn(id, "0123456789") != strlen(id)) {
		output_error("%s is no number of a run; cavactl jobs runs "
			     "shows them", id);
		*ret = CAVACTL_REFUSED;
		return NULL;
	}
	snprintf(path, sizeof(path), RUNS_PATH "/%.40s", id);
	*ret = cavactl_call(ctl, "GET", path, NULL, &reply);
	if (*ret == CAVACTL_OK) {
		run = json_incref(json_array_get(
			json_object_get(reply, "jobs"), 0));
	}
	if (*ret == CAVACTL_OK && run == NULL) {
		output_error("cavad's answer has no run in it");
		*ret = CAVACTL_REFUSED;
	}
	json_decref(reply);
	return run;
}

bool run_has_ended(const json_t *run)
{
	return json_is_integer(json_object_get(run, "end_time"));
}

static void run_print_infected(const json_t *run)
{
	const json_t *file = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(run, "infected_files"), i, file) {
		const char *name = json_string_value(
			json_object_get(file, "file"));
		const char *threat = json_string_value(
			json_object_get(file, "threat"));

		output_text(stdout, name == NULL ? "" : name);
		printf(": infected ");
		output_text(stdout, threat == NULL ? "" : threat);
		printf("\n");
	}
}

/* "1234 files (45%): 1000 scanned, 2 infected; 310 a second, 4 min left" */
static void run_progress(FILE *file, const json_t *run)
{
	const char *state = json_string_value(json_object_get(run, "state"));
	json_int_t files = run_number(run, "files");
	json_int_t rate = run_number(run, "files_per_second");
	const json_t *left = json_object_get(run, "time_left");
	char text[64] = "";

	fprintf(file, "%lld files", (long long)files);
	if (json_is_integer(left) && rate > 0) {
		json_int_t all = files + rate * json_integer_value(left);

		fprintf(file, " (about %lld%%)",
			(long long)(all == 0 ? 100 : files * 100 / all));
	}
	fprintf(file, ": %lld scanned, %lld infected; %lld a second",
		(long long)run_number(run, "scanned"),
		(long long)run_infected(run), (long long)rate);
	if (json_is_integer(left)) {
		output_duration(text, sizeof(text), json_integer_value(left));
		fprintf(file, ", %s left", text);
	}
	if (state != NULL && strcmp(state, "running") != 0) {
		fprintf(file, "; %s", state);
	}
}

/* Names as the API has them, so that all that is counted shows. */
static void run_print_counts(json_t *run)
{
	static const char *const others[] = {
		"id", "start_time", "end_time", "files_per_second",
		"time_left", NULL
	};
	const char *name = NULL;
	json_t *value = NULL;

	json_object_foreach(run, name, value) {
		size_t i = 0;

		while (others[i] != NULL && strcmp(others[i], name) != 0) {
			i++;
		}
		if (json_is_integer(value) && others[i] == NULL) {
			printf("%-18s  %lld\n", name,
			       (long long)json_integer_value(value));
		}
	}
}

void run_print(const struct cavactl *ctl, json_t *run)
{
	output_record(ctl->format, run, ctl->format == OUTPUT_TEXT ?
		      run_head : run_columns);
	if (ctl->format != OUTPUT_TEXT) {
		return;
	}
	if (!run_has_ended(run)) {
		printf("%-18s  ", "progress");
		run_progress(stdout, run);
		printf("\n");
	}
	run_print_counts(run);
	run_print_infected(run);
}

enum cavactl_exit run_start(const struct cavactl *ctl, json_t *body,
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

/* --- until it has ended --- */

static enum cavactl_exit run_exit(const json_t *run)
{
	const char *state = json_string_value(json_object_get(run, "state"));

	if (run_infected(run) > 0) {
		return CAVACTL_INFECTED;
	}
	if (state == NULL || strcmp(state, "succeeded") != 0 ||
	    run_unknown(run) > 0) {
		return CAVACTL_NO_VERDICT;
	}
	return CAVACTL_OK;
}

/* One line that is written over and over, as wide as the terminal. */
static void run_draw(const json_t *run)
{
	struct winsize size = { .ws_col = 0 };
	char *line = NULL;
	size_t len = 0;
	FILE *memory = NULL;

	if (!isatty(STDERR_FILENO)) {
		return;
	}
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 ||
	    size.ws_col == 0) {
		size.ws_col = 80;
	}
	memory = open_memstream(&line, &len);
	if (memory != NULL) {
		run_progress(memory, run);
		fclose(memory);
		fprintf(stderr, "\r%.*s\033[K", size.ws_col - 1, line);
		free(line);
	}
}

static void run_print_end(const struct cavactl *ctl, json_t *run)
{
	const char *error = json_string_value(json_object_get(run, "error"));

	if (isatty(STDERR_FILENO)) {
		fputs("\r\033[K", stderr);
	}
	if (ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, run, run_columns);
		return;
	}
	run_print_infected(run);
	printf("%lld files: %lld scanned, %lld current already, %lld "
	       "infected, %lld without a verdict\n",
	       (long long)run_number(run, "files"),
	       (long long)run_number(run, "scanned"),
	       (long long)run_number(run, "current"),
	       (long long)run_infected(run), (long long)run_unknown(run));
	if (error != NULL && error[0] != '\0') {
		output_error("%s", error);
	}
}

enum cavactl_exit run_follow(const struct cavactl *ctl, json_int_t number)
{
	char id[32] = "";
	json_t *run = NULL;
	enum cavactl_exit ret = CAVACTL_OK;

	snprintf(id, sizeof(id), "%lld", (long long)number);
	for (;;) {
		run = run_get(ctl, id, &ret);
		if (run == NULL) {
			return ret;
		}
		if (run_has_ended(run)) {
			break;
		}
		run_draw(run);
		json_decref(run);
		usleep(200000);
	}
	run_print_end(ctl, run);
	ret = run_exit(run);
	json_decref(run);
	return ret;
}
