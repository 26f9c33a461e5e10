/*
 * cavactl threats: what was found, and the way out for what was found
 * wrongly.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavactl/cavactl.h"

#define THREATS_PATH "/platform/3/antivirus/reports/threats"
#define THREATS_SHOWN 100	/* rows, unless --limit says otherwise */

static const struct output_column threats_columns[] = {
	{ "ID", "id", OUT_NUMBER },
	{ "FOUND", "time", OUT_TIME },
	{ "STATE", "state", OUT_TEXT },
	{ "THREAT", "threat", OUT_TEXT },
	{ "FILE", "file", OUT_TEXT },
	{ "COUNT", "count", OUT_NUMBER | OUT_NOT_TEXT },
	{ "LAST SEEN", "last_seen", OUT_TIME | OUT_NOT_TEXT },
	{ "REMEDIATION", "remediation", OUT_TEXT | OUT_NOT_TEXT },
	{ "SERVER", "server", OUT_TEXT },
	{ "USER", "user", OUT_TEXT },
	{ "CLIENT", "client", OUT_TEXT | OUT_NOT_TEXT },
	{ "SHARE", "share", OUT_TEXT | OUT_NOT_TEXT },
	{ "SOURCE", "source", OUT_TEXT | OUT_NOT_TEXT },
	{ "REPORT", "scan_id", OUT_TEXT | OUT_NOT_TEXT },
	{ "HASH", "hash", OUT_TEXT | OUT_NOT_TEXT },
	{ "ALLOWED BY", "allow", OUT_TEXT | OUT_NOT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct output_column threat_columns[] = {
	{ "id", "id", OUT_TEXT },
	{ "file", "file", OUT_TEXT },
	{ "threat", "threat", OUT_TEXT },
	{ "state", "state", OUT_TEXT },
	{ "remediation", "remediation", OUT_TEXT },
	{ "found", "time", OUT_TIME },
	{ "last seen", "last_seen", OUT_TIME },
	{ "count", "count", OUT_NUMBER },
	{ "server", "server", OUT_TEXT },
	{ "engine", "engine", OUT_TEXT },
	{ "source", "source", OUT_TEXT },
	{ "user", "user", OUT_TEXT },
	{ "client", "client", OUT_TEXT },
	{ "share", "share", OUT_TEXT },
	{ "report", "scan_id", OUT_TEXT },
	{ "size", "size", OUT_SIZE },
	{ "SHA-256", "hash", OUT_TEXT },
	{ "allowed by", "allow", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct output_column history_columns[] = {
	{ "WHEN", "time", OUT_TIME },
	{ "STATE", "state", OUT_TEXT },
	{ "WHO", "who", OUT_TEXT },
	{ "WHY", "why", OUT_TEXT },
	{ NULL, NULL, 0 }
};

/* --- rows of some pages --- */

json_t *threats_fetch(const struct cavactl *ctl, const char *query,
		      size_t wanted, enum cavactl_exit *ret)
{
	json_t *all = json_array();
	char *path = NULL;
	bool more = true;

	if (asprintf(&path, THREATS_PATH "?%s", query) == -1) {
		path = NULL;
	}
	while (more && path != NULL) {
		json_t *reply = NULL;
		const char *resume = NULL;

		*ret = cavactl_call(ctl, "GET", path, NULL, &reply);
		free(path);
		path = NULL;
		if (*ret != CAVACTL_OK) {
			json_decref(all);
			return NULL;
		}
		json_array_extend(all, json_object_get(reply, "reports"));
		resume = json_string_value(json_object_get(reply, "resume"));
		more = resume != NULL && json_array_size(all) < wanted;
		if (more && asprintf(&path, THREATS_PATH "?resume=%s",
				     resume) == -1) {
			path = NULL;
		}
		json_decref(reply);
	}
	return all;
}

enum cavactl_exit threats_show(const struct cavactl *ctl, json_t *rows,
			       const char *none)
{
	if (ctl->format == OUTPUT_JSON) {
		json_t *json = json_pack("{s:O}", "reports", rows);

		output_json(json);
		json_decref(json);
	} else if (ctl->format == OUTPUT_CSV) {
		output_csv(rows, threats_columns);
	} else if (json_array_size(rows) == 0) {
		printf("%s\n", none);
	} else {
		output_table(rows, threats_columns);
	}
	json_decref(rows);
	return CAVACTL_OK;
}

/* Adds "&name=value" to the query. */
static void threats_filter(const struct cavactl *ctl, const char *option,
			   const char *name, char **query)
{
	const char *value = cavactl_option(ctl, option);
	char *escaped = value == NULL ? NULL : http_escape(value);
	char *longer = NULL;

	if (escaped != NULL && *query != NULL &&
	    asprintf(&longer, "%s&%s=%s", *query, name, escaped) != -1) {
		free(*query);
		*query = longer;
	}
	free(escaped);
}

static enum cavactl_exit threats(const struct cavactl *ctl, const char **args)
{
	enum cavactl_exit ret = CAVACTL_REFUSED;
	long long limit = THREATS_SHOWN;
	char *query = NULL;
	json_t *rows = NULL;

	(void)args;
	if (!cavactl_number(ctl, "limit", 1, 1000000, &limit) ||
	    asprintf(&query, "limit=%lld", limit < 1000 ? limit :
		     1000LL) == -1) {
		return CAVACTL_REFUSED;
	}
	threats_filter(ctl, "state", "state", &query);
	threats_filter(ctl, "below", "file", &query);
	threats_filter(ctl, "report", "scan_id", &query);
	rows = threats_fetch(ctl, query, (size_t)limit, &ret);
	free(query);
	return rows == NULL ? ret :
		threats_show(ctl, rows, "Nothing that is infected is known.");
}

/* --- one --- */

/* What it is not, is said. */
static bool threat_id(const char *text)
{
	if (text[0] != '\0' && strlen(text) <= 20 &&
	    strspn(text, "0123456789") == strlen(text)) {
		return true;
	}
	output_error("%s is no number of a threat; cavactl threats shows them",
		     text);
	return false;
}

static enum cavactl_exit threats_view(const struct cavactl *ctl,
				      const char **args)
{
	char path[128] = "";
	json_t *reply = NULL;
	const json_t *row = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (!threat_id(args[0])) {
		return CAVACTL_REFUSED;
	}
	snprintf(path, sizeof(path), THREATS_PATH "/%.20s", args[0]);
	ret = cavactl_call(ctl, "GET", path, NULL, &reply);
	if (ret != CAVACTL_OK) {
		return ret;
	}
	row = json_array_get(json_object_get(reply, "reports"), 0);
	if (ctl->format == OUTPUT_JSON) {
		output_json(reply);
	} else {
		output_record(ctl->format, row, threat_columns);
	}
	if (ctl->format == OUTPUT_TEXT) {
		printf("\n");
		output_table(json_object_get(row, "history"),
			     history_columns);
	}
	json_decref(reply);
	return CAVACTL_OK;
}

/* --- release --- */

static const struct output_column released_columns[] = {
	{ "ID", "id", OUT_NUMBER },
	{ "ENTRY", "allow", OUT_NUMBER },
	{ "KIND", "kind", OUT_TEXT },
	{ "FILE", "file", OUT_TEXT },
	{ "THREAT", "threat", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static void threat_released(const json_t *reply)
{
	output_text(stdout, json_string_value(json_object_get(reply,
							      "file")));
	printf(" can be read from now on: ");
	output_text(stdout, json_string_value(json_object_get(reply,
							      "threat")));
	printf(" is allowed in it.\nTake it back with: cavactl allow remove "
	       "%s\n", json_string_value(json_object_get(reply, "allow")));
}

static enum cavactl_exit threats_release(const struct cavactl *ctl,
					 const char **args)
{
	const char *by = cavactl_option(ctl, "by");
	json_t *body = NULL;
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (!threat_id(args[0])) {
		return CAVACTL_REFUSED;
	}
	body = json_pack("{s:s, s:s}", "id", args[0],
			 "kind", by == NULL ? "file" : by);
	if (!allow_terms(ctl, body)) {
		json_decref(body);
		return CAVACTL_REFUSED;
	}
	ret = cavactl_call(ctl, "POST", "/platform/11/avscan/threats/release",
			   body, &reply);
	json_decref(body);
	if (ret == CAVACTL_OK && ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, reply, released_columns);
	} else if (ret == CAVACTL_OK) {
		threat_released(reply);
	}
	json_decref(reply);
	return ret;
}

/* --- rescan --- */

static const struct output_column rescanned_columns[] = {
	{ "file", "file", OUT_TEXT },
	{ "result", "result", OUT_TEXT },
	{ "reason", "reason", OUT_TEXT },
	{ "threat", "threat", OUT_TEXT },
	{ "server", "server", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static enum cavactl_exit threats_rescan(const struct cavactl *ctl,
					const char **args)
{
	json_t *body = json_pack("{s:s}", "id", args[0]);
	json_t *reply = NULL;
	const char *result = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (threat_id(args[0])) {
		ret = cavactl_call(ctl, "POST",
				   "/platform/11/avscan/threats/rescan", body,
				   &reply);
	}
	json_decref(body);
	if (ret != CAVACTL_OK) {
		return ret;
	}
	output_record(ctl->format, reply, rescanned_columns);
	result = json_string_value(json_object_get(reply, "result"));
	if (result != NULL && strcmp(result, "infected") == 0) {
		ret = CAVACTL_INFECTED;
	} else if (result == NULL || strcmp(result, "clean") != 0) {
		ret = CAVACTL_NO_VERDICT;
	}
	json_decref(reply);
	return ret;
}

static const struct cavactl_option threats_options[] = {
	{ "state", '\0', "STATE", "infected, quarantined, truncated, deleted, "
	  "repaired, released, allowed, gone" },
	{ "below", '\0', "PATH", "of this file, or below this directory" },
	{ "report", '\0', "REPORT", "found by that job run or scan" },
	{ "limit", '\0', "N", "so many of them (100)" },
	{ NULL }
};

static const struct cavactl_option release_options[] = {
	{ "reason", '\0', "TEXT", "why it is none; kept, and in the audit "
	  "trail" },
	{ "by", '\0', "KIND", "file (until its content changes), hash (this "
	  "content anywhere), threat (this name in any file)" },
	{ "expires", '\0', "WHEN", "30d, 12h, 2w, or 2027-01-31" },
	{ NULL }
};

const struct cavactl_command commands_threats[] = {
	{ "threats", "", 0, 0,
	  "what was found, newest first", threats,
	  threats_options, .examples = "threats --state quarantined\n"
	  "threats --below /srv/docs --format csv", .watch = true },
	{ "threats view", "ID", 1, 1,
	  "all there is to know of one, and its history", threats_view,
	  .examples = "threats view 12" },
	{ "threats release", "ID", 1, 1,
	  "it is a false positive: readers go on at once", threats_release,
	  release_options,
	  .examples = "threats release 12 --reason 'our own installer'\n"
	  "threats release 12 --by hash --expires 30d --reason ticket-4711" },
	{ "threats rescan", "ID", 1, 1,
	  "ask the antivirus server once more", threats_rescan,
	  .examples = "threats rescan 12" },
	{ NULL }
};
