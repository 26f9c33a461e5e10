/*
 * cavactl scan: one line a file, and an exit status for scripts. The files of
 * one command are one report; a directory is a run of its own (run.h).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cavactl/run.h"
#include "common/uri.h"

static const struct output_column scan_columns[] = {
	{ "FILE", "file", OUT_TEXT },
	{ "RESULT", "result", OUT_TEXT },
	{ "THREAT", "threat", OUT_TEXT },
	{ "REASON", "reason", OUT_TEXT },
	{ "SERVER", "server", OUT_TEXT },
	{ "MS", "duration", OUT_NUMBER },
	{ "FROM RECORD", "from_record", OUT_FLAG },
	{ "SCANNED", "scan_time", OUT_TIME },
	{ NULL, NULL, 0 }
};

char *cavactl_absolute(const char *path)
{
	char *one = strdup(path);
	char *two = strdup(path);
	char *dir = NULL;
	char *result = NULL;

	if (one != NULL && two != NULL) {
		const char *name = basename(two);

		dir = realpath(dirname(one), NULL);
		if (dir != NULL && asprintf(&result, "%s/%s",
					    strcmp(dir, "/") == 0 ? "" : dir,
					    name) == -1) {
			result = NULL;
		}
	}
	free(dir);
	free(one);
	free(two);
	return result;
}

static const char *scan_string(const json_t *reply, const char *name)
{
	const char *s = json_string_value(json_object_get(reply, name));

	return s == NULL ? "" : s;
}

static enum cavactl_exit scan_exit(const json_t *reply)
{
	const char *result = scan_string(reply, "result");

	if (strcmp(result, "clean") == 0) {
		return CAVACTL_OK;
	}
	return strcmp(result, "infected") == 0 ? CAVACTL_INFECTED :
		CAVACTL_NO_VERDICT;
}

static void scan_print(const json_t *reply)
{
	const char *threat = scan_string(reply, "threat");
	const char *reason = scan_string(reply, "reason");
	const char *server = scan_string(reply, "server");

	output_text(stdout, scan_string(reply, "file"));
	printf(": ");
	output_text(stdout, scan_string(reply, "result"));
	if (threat[0] != '\0') {
		printf(" ");
		output_text(stdout, threat);
	}
	if (reason[0] != '\0') {
		printf(": ");
		output_text(stdout, reason);
	}
	if (json_is_true(json_object_get(reply, "from_record"))) {
		char when[64];

		output_time(when, sizeof(when), json_integer_value(
			json_object_get(reply, "scan_time")));
		printf(" (scanned %s)", when);
	} else if (server[0] != '\0') {
		printf(" (");
		output_text(stdout, server);
		printf(", %lld ms)", (long long)json_integer_value(
			       json_object_get(reply, "duration")));
	}
	printf("\n");
}

/* rows: CSV comes at the end, with one line of names. */
static void scan_show(const struct cavactl *ctl, json_t *reply, json_t *rows)
{
	switch (ctl->format) {
	case OUTPUT_JSON:
		output_json(reply);
		break;
	case OUTPUT_CSV:
		json_array_append(rows, reply);
		break;
	case OUTPUT_TEXT:
		scan_print(reply);
		break;
	}
}

/* A path in JSON: as it is, or as a URI. */
static json_t *scan_name(const char *path)
{
	json_t *name = json_string(path);
	char *uri = NULL;

	if (name == NULL) {	/* it is no UTF-8 */
		uri = uri_of_path(NULL, path);
		name = json_string(uri);
		talloc_free(uri);
	}
	return name;
}

/* All below it, shown until it has ended. */
static enum cavactl_exit scan_directory(const struct cavactl *ctl,
					const char *path)
{
	json_int_t id = 0;
	enum cavactl_exit ret = run_start(ctl, json_pack(
		"{s:s, s:[o], s:{s:b}}", "type", "AVScan", "paths",
		scan_name(path), "avscan_params", "force_run",
		(int)cavactl_flag(ctl, "force")), &id);

	return ret == CAVACTL_OK ? run_follow(ctl, id) : ret;
}

/*
 * A server of its choice gives a verdict of its own. report: NULL = a new
 * one. Takes name.
 */
static json_t *scan_body(const struct cavactl *ctl, json_t *name,
			 json_t *report)
{
	const char *server = cavactl_option(ctl, "server");
	json_t *body = json_pack("{s:o, s:b}", "file", name,
				 "ignore_previous_scan_status",
				 (int)(cavactl_flag(ctl, "force") ||
				       server != NULL));

	if (server != NULL) {
		json_object_set_new(body, "server", json_string(server));
	}
	if (report != NULL) {
		json_object_set(body, "report_id", report);
	}
	return body;
}

/* *report: that of all of them, once the first one is scanned. */
static enum cavactl_exit scan_one(const struct cavactl *ctl, const char *path,
				  json_t *rows, json_t **report)
{
	enum cavactl_exit ret = CAVACTL_OK;
	char *file = cavactl_absolute(path);
	struct stat st;
	json_t *body = NULL;
	json_t *reply = NULL;

	if (file == NULL) {
		output_error("%s: %s", path, strerror(errno));
		return CAVACTL_REFUSED;
	}
	if (lstat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
		ret = scan_directory(ctl, file);
		free(file);
		return ret;
	}
	body = scan_body(ctl, scan_name(file), *report);
	ret = cavactl_call(ctl, "POST", "/platform/11/antivirus/scan", body,
			   &reply);
	if (ret == CAVACTL_OK) {
		ret = scan_exit(reply);
		scan_show(ctl, reply, rows);
		if (*report == NULL) {
			*report = json_incref(json_object_get(reply,
							      "report_id"));
		}
	}
	json_decref(reply);
	json_decref(body);
	free(file);
	return ret;
}

static enum cavactl_exit scan(const struct cavactl *ctl, const char **args)
{
	/* of several files the most serious one, in this order */
	static const int rank[] = {
		[CAVACTL_OK] = 0, [CAVACTL_NO_VERDICT] = 1,
		[CAVACTL_REFUSED] = 2, [CAVACTL_INFECTED] = 3,
		[CAVACTL_UNREACHABLE] = 4,
	};
	unsigned int counts[CAVACTL_UNREACHABLE + 1] = { 0 };
	enum cavactl_exit worst = CAVACTL_OK;
	json_t *rows = json_array();
	json_t *report = NULL;
	bool many = args[1] != NULL && ctl->format == OUTPUT_TEXT;

	for (; *args != NULL; args++) {
		enum cavactl_exit ret = scan_one(ctl, *args, rows,
						 &report);

		counts[ret]++;
		if (rank[ret] > rank[worst]) {
			worst = ret;
		}
		if (ret == CAVACTL_UNREACHABLE) {
			break;
		}
	}
	if (json_array_size(rows) > 0) {
		output_csv(rows, scan_columns);
	}
	json_decref(rows);
	json_decref(report);
	if (many && worst != CAVACTL_UNREACHABLE) {
		printf("%u clean, %u infected, %u without a verdict\n",
		       counts[CAVACTL_OK], counts[CAVACTL_INFECTED],
		       counts[CAVACTL_NO_VERDICT] + counts[CAVACTL_REFUSED] +
		       counts[CAVACTL_UNREACHABLE]);
	}
	return worst;
}

static const struct cavactl_option scan_options[] = {
	{ "force", 'f', NULL, "even if the verdict is current" },
	{ "server", 'S', "NAME", "by that antivirus server alone" },
	{ NULL, '\0', NULL, NULL }
};

const struct cavactl_command commands_scan[] = {
	{ "scan", "PATH...", 1, CAVACTL_ARGS_ANY,
	  "scan now; exit status 2: infected, 3: no verdict", scan,
	  .options = scan_options,
	  .examples = "scan --force /srv/share/report.pdf\n"
		      "scan /srv/share/projects" },
	{ NULL }
};
