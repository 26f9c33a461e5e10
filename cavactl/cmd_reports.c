/*
 * cavactl reports: what scanning has done, newest first.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavactl/cavactl.h"

#define REPORTS_PATH "/platform/11/antivirus/reports/scans"
#define REPORTS_LISTED 100

static const struct output_column reports_columns[] = {
	{ "ID", "id", OUT_TEXT },
	{ "SOURCE", "source", OUT_TEXT },
	{ "POLICY", "policy_id", OUT_TEXT },
	{ "JOB RUN", "job_id", OUT_NUMBER | OUT_NOT_TEXT },
	{ "STARTED", "start", OUT_TIME },
	{ "ENDED", "end", OUT_TIME | OUT_NOT_TEXT },
	{ "TOOK", "duration", OUT_DURATION },
	{ "STATUS", "status", OUT_TEXT },
	{ "FILES", "files", OUT_NUMBER },
	{ "LOOKED AT", "num_files_rev", OUT_NUMBER | OUT_NOT_TEXT },
	{ "SIZE", "size", OUT_SIZE },
	{ "SENT", "bytes_sent", OUT_SIZE | OUT_NOT_TEXT },
	{ "FETCHED", "bytes_fetched", OUT_SIZE | OUT_NOT_TEXT },
	{ "HANDED", "bytes_handed", OUT_SIZE | OUT_NOT_TEXT },
	{ "PASSED", "bytes_passed", OUT_SIZE | OUT_NOT_TEXT },
	{ "THROUGHPUT", "throughput", OUT_SIZE | OUT_NOT_TEXT },
	{ "INFECTED", "infections", OUT_NUMBER },
	{ "FAILED", "scan_fails", OUT_NUMBER },
	{ "SKIPPED", "skipped", OUT_NUMBER | OUT_NOT_TEXT },
	{ "UNSCANNABLE", "unscannable", OUT_NUMBER | OUT_NOT_TEXT },
	{ "SERVICE", "av_service", OUT_TEXT | OUT_NOT_TEXT },
	{ NULL, NULL, 0 }
};

/* The eleven items of the model first, and what else is known. */
static const struct output_column report_lines[] = {
	{ "report", "id", OUT_TEXT },
	{ "source", "source", OUT_TEXT },
	{ "policy", "policy_id", OUT_TEXT },
	{ "job run", "job_id", OUT_NUMBER },
	{ "started", "start", OUT_TIME },
	{ "ended", "end", OUT_TIME },
	{ "took", "duration", OUT_DURATION },
	{ "status", "status", OUT_TEXT },
	{ "files scanned", "files", OUT_NUMBER },
	{ "files looked at", "num_files_rev", OUT_NUMBER },
	{ "size scanned", "size", OUT_SIZE },
	{ "network use", "utilisation", OUT_TEXT },
	{ "throughput", "rate", OUT_TEXT },
	{ "sent to servers", "bytes_sent", OUT_SIZE },
	{ "passed to clamd", "bytes_passed", OUT_SIZE },
	{ "infected files", "infections", OUT_NUMBER },
	{ "no verdict", "scan_fails", OUT_NUMBER },
	{ "skipped", "skipped", OUT_NUMBER },
	{ "unscannable", "unscannable", OUT_NUMBER },
	{ "tiered files", "num_cloud_files", OUT_NUMBER },
	{ "service", "av_service", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct cavactl_option reports_options[] = {
	{ "policy", 'p', "NAME", "of that job, MANUAL or ON_ACCESS" },
	{ "status", 'S', "STATUS",
	  "Started, Paused, Finish, Succeeded, Failed or Cancelled" },
	{ "limit", 'l', "N", "so many, the newest; default 100" },
	{ NULL, '\0', NULL, NULL }
};

/* Adds an option to the query; longer than it can be is cut. */
static void reports_filter(const struct cavactl *ctl, const char *option,
			   const char *name, char *path, size_t size)
{
	const char *value = cavactl_option(ctl, option);
	char *escaped = value == NULL ? NULL : http_escape(value);
	size_t len = strlen(path);

	if (escaped != NULL) {
		snprintf(path + len, size - len, "&%s=%s", name, escaped);
	}
	free(escaped);
}

static enum cavactl_exit reports_list(const struct cavactl *ctl,
				      const char **args)
{
	long long limit = REPORTS_LISTED;
	char path[2048] = "";

	(void)args;
	if (!cavactl_number(ctl, "limit", 1, 1000, &limit)) {
		return CAVACTL_REFUSED;
	}
	snprintf(path, sizeof(path), REPORTS_PATH "?limit=%lld", limit);
	reports_filter(ctl, "policy", "policy_id", path, sizeof(path));
	reports_filter(ctl, "status", "status", path, sizeof(path));
	return cavactl_show(ctl, path, "reports", reports_columns, NULL,
			    "There is no such report.");
}

static void report_words(json_t *row)
{
	json_t *part = json_object_get(row, "bandwidth_utilisation");
	char text[64] = "link_speed is not set";

	if (json_is_number(part)) {
		snprintf(text, sizeof(text), "%.3g %% of the link",
			 json_number_value(part));
	}
	json_object_set_new(row, "utilisation", json_string(text));
	snprintf(text, sizeof(text), "%lld bytes/s", (long long)
		 json_integer_value(json_object_get(row, "throughput")));
	json_object_set_new(row, "rate", json_string(text));
}

/* What was found, newest first; the first ones. */
static enum cavactl_exit report_infected(const struct cavactl *ctl,
					 const char *id,
					 const char *escaped)
{
	static const struct output_column columns[] = {
		{ "ID", "id", OUT_NUMBER },
		{ "THREAT", "threat", OUT_TEXT },
		{ "STATE", "state", OUT_TEXT },
		{ "INFECTED FILE", "file", OUT_TEXT },
		{ NULL, NULL, 0 }
	};
	enum cavactl_exit ret = CAVACTL_OK;
	json_t *rows = NULL;
	char query[1024] = "";

	snprintf(query, sizeof(query), "limit=%d&scan_id=%s",
		 REPORTS_LISTED, escaped);
	rows = threats_fetch(ctl, query, REPORTS_LISTED, &ret);
	if (rows == NULL) {
		return ret;
	}
	if (json_array_size(rows) > 0) {
		printf("\n");
		output_table(rows, columns);
	}
	if (json_array_size(rows) >= REPORTS_LISTED) {
		printf("More of them: cavactl threats --report %s --limit "
		       "1000000\n", id);
	}
	json_decref(rows);
	return ret;
}

static enum cavactl_exit reports_view(const struct cavactl *ctl,
				      const char **args)
{
	char path[1024] = "";
	char *escaped = http_escape(args[0]);
	json_t *reply = NULL;
	json_t *row = NULL;
	enum cavactl_exit ret = CAVACTL_OK;

	if (escaped == NULL) {
		output_error("out of memory");
		return CAVACTL_REFUSED;
	}
	snprintf(path, sizeof(path), REPORTS_PATH "/%s", escaped);
	ret = cavactl_call(ctl, "GET", path, NULL, &reply);
	if (ret != CAVACTL_OK) {
		free(escaped);
		return ret;
	}
	row = json_array_get(json_object_get(reply, "reports"), 0);
	if (ctl->format == OUTPUT_TEXT) {
		report_words(row);
		output_record(OUTPUT_TEXT, row, report_lines);
		ret = report_infected(ctl, args[0], escaped);
	} else {
		output_record(ctl->format, ctl->format == OUTPUT_JSON ?
			      reply : row, reports_columns);
	}
	json_decref(reply);
	free(escaped);
	return ret;
}

static enum cavactl_exit reports_delete(const struct cavactl *ctl,
					const char **args)
{
	enum cavactl_exit ret = cavactl_delete(ctl, REPORTS_PATH, args[0]);

	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		printf("Report %s is removed.\n", args[0]);
	}
	return ret;
}

const struct cavactl_command commands_reports[] = {
	{ "reports", "", 0, 0, "what scanning has done, newest first",
	  reports_list, reports_options,
	  .examples = "reports --policy weekend\nreports --limit 1000 "
	  "--format csv", .watch = true },
	{ "reports view", "ID", 1, 1, "one of them", reports_view,
	  .examples = "reports view J-18", .watch = true },
	{ "reports delete", "ID", 1, 1, "removes one that has ended",
	  reports_delete, .examples = "reports delete M-17" },
	{ NULL }
};
