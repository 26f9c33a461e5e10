/*
 * cavactl allow: findings that an administrator says are false.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cavactl/cavactl.h"
#include "cavactl/path.h"

#define ALLOW_PATH "/platform/11/avscan/allow"

static const struct output_column allow_columns[] = {
	{ "ID", "id", OUT_NUMBER },
	{ "KIND", "kind", OUT_TEXT },
	{ "WHAT", "what", OUT_TEXT | OUT_NOT_CSV },
	{ "FILE", "file", OUT_TEXT | OUT_NOT_TEXT },
	{ "HASH", "hash", OUT_TEXT | OUT_NOT_TEXT },
	{ "THREAT", "threat", OUT_TEXT | OUT_NOT_TEXT },
	{ "REASON", "reason", OUT_TEXT },
	{ "AUTHOR", "author", OUT_TEXT },
	{ "MADE", "made", OUT_TIME },
	{ "EXPIRES", "expires", OUT_TIME },
	{ NULL, NULL, 0 }
};

/* What the entry is about, in one column. */
static void allow_prepare(json_t *row)
{
	const char *kind = json_string_value(json_object_get(row, "kind"));
	const char *from = kind != NULL && strcmp(kind, "file") == 0 ?
		"file" : kind != NULL && strcmp(kind, "hash") == 0 ?
		"hash" : "threat";

	json_object_set(row, "what", json_object_get(row, from));
}

static enum cavactl_exit allow_list(const struct cavactl *ctl,
				    const char **args)
{
	(void)args;
	return cavactl_show(ctl, ALLOW_PATH, "allow", allow_columns,
			    allow_prepare, "Nothing that is infected is "
			    "allowed.");
}

/* --- when it ends --- */

/* "30d": seconds from now; 0: it is none. */
static time_t allow_in(const char *text)
{
	static const struct {
		char unit;
		long seconds;
	} units[] = {
		{ 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 },
	};
	char *end = NULL;
	unsigned long n = strtoul(text, &end, 10);
	size_t i = 0;

	if (end == text || end[0] == '\0' || end[1] != '\0' || n > 100000) {
		return 0;
	}
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (end[0] == units[i].unit) {
			return (time_t)n * units[i].seconds;
		}
	}
	return 0;
}

static time_t allow_at(const char *text)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *end = strptime(text, "%Y-%m-%d %H:%M", &tm);

	if (end == NULL) {
		tm = (struct tm) { .tm_isdst = -1 };
		end = strptime(text, "%Y-%m-%d", &tm);
	}
	return end == NULL || *end != '\0' ? 0 : mktime(&tm);
}

bool allow_terms(const struct cavactl *ctl, json_t *body)
{
	const char *reason = cavactl_option(ctl, "reason");
	const char *expires = cavactl_option(ctl, "expires");
	time_t at = 0;

	if (reason == NULL || reason[0] == '\0') {
		output_error("--reason is needed: why it is a false positive");
		return false;
	}
	if (json_object_set_new(body, "reason", json_string(reason)) != 0) {
		output_error("--reason: not UTF-8");
		return false;
	}
	if (expires == NULL) {
		return true;
	}
	at = allow_in(expires);
	at = at != 0 ? time(NULL) + at : allow_at(expires);
	if (at <= time(NULL)) {
		output_error("--expires=%s: accepted are 30m, 12h, 30d, 2w, "
			     "2027-01-31 and '2027-01-31 18:00', later than "
			     "now", expires);
		return false;
	}
	return json_object_set_new(body, "expires", json_integer(at)) == 0;
}

/* --- add and remove --- */

/* {"kind", and what it is about}; NULL: which has been said. */
static json_t *allow_about(const struct cavactl *ctl)
{
	const char *file = cavactl_option(ctl, "file");
	const char *hash = cavactl_option(ctl, "hash");
	const char *threat = cavactl_option(ctl, "threat");
	json_t *body = NULL;
	char *path = NULL;

	if ((file != NULL) + (hash != NULL) + (threat != NULL) != 1) {
		output_error("one of --file, --hash and --threat says what is "
			     "allowed");
		return NULL;
	}
	if (file == NULL) {
		body = json_pack("{s:s, s:s}", "kind",
				 hash != NULL ? "hash" : "threat",
				 hash != NULL ? "hash" : "threat",
				 hash != NULL ? hash : threat);
		if (body == NULL) {
			output_error("not UTF-8");
		}
		return body;
	}
	path = cavactl_absolute(file);
	if (path == NULL) {
		output_error("%s: there is no such directory", file);
		return NULL;
	}
	body = json_pack("{s:s, s:o}", "kind", "file", "file",
			 path_json(path));
	free(path);
	return body;
}

static enum cavactl_exit allow_add(const struct cavactl *ctl,
				   const char **args)
{
	static const struct output_column added[] = {
		{ "ID", "id", OUT_NUMBER },
		{ NULL, NULL, 0 }
	};
	json_t *body = allow_about(ctl);
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	(void)args;
	if (body == NULL) {
		return CAVACTL_REFUSED;
	}
	if (allow_terms(ctl, body)) {
		ret = cavactl_call(ctl, "POST", ALLOW_PATH, body, &reply);
	}
	json_decref(body);
	if (ret == CAVACTL_OK && ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, reply, added);
	} else if (ret == CAVACTL_OK) {
		printf("Entry %s of the allow-list is in force.\n",
		       json_string_value(json_object_get(reply, "id")));
	}
	json_decref(reply);
	return ret;
}

static enum cavactl_exit allow_remove(const struct cavactl *ctl,
				      const char **args)
{
	enum cavactl_exit ret = cavactl_delete(ctl, ALLOW_PATH, args[0]);

	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		printf("Entry %s is gone; what it let through is denied, and "
		       "scanned again.\n", args[0]);
	}
	return ret;
}

static const struct cavactl_option allow_options[] = {
	{ "file", '\0', "PATH", "this file, until its content changes" },
	{ "hash", '\0', "SHA256", "this content, wherever it is; cavactl "
	  "threats view shows it" },
	{ "threat", '\0', "NAME", "what is found under this name, in any "
	  "file" },
	{ "reason", '\0', "TEXT", "why; kept, and in the audit trail" },
	{ "expires", '\0', "WHEN", "30d, 12h, 2w, or 2027-01-31" },
	{ NULL }
};

const struct cavactl_command commands_allow[] = {
	{ "allow list", "", 0, 0,
	  "what is let through although it is infected", allow_list,
	  .examples = "allow list --format csv", .watch = true },
	{ "allow add", "", 0, 0,
	  "let it through from now on", allow_add, allow_options,
	  .examples = "allow add --file /srv/setup.exe --reason 'our own "
	  "installer'\nallow add --threat PUA.Win.Tool --expires 30d --reason "
	  "ticket-4711" },
	{ "allow remove", "ID", 1, 1,
	  "no longer, from now on", allow_remove,
	  .examples = "allow remove 3" },
	{ NULL }
};
