/*
 * cavactl quarantine: files that nobody reads until they are released.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavactl/cavactl.h"
#include "cavactl/path.h"

#define QUARANTINE_PATH "/platform/3/antivirus/quarantine/"

static const struct output_column quarantine_columns[] = {
	{ "file", "file", OUT_TEXT },
	{ "quarantined", "quarantined", OUT_FLAG },
	{ "result", "scan_result", OUT_TEXT },
	{ "status", "scan_status", OUT_TEXT },
	{ "threat", "threat", OUT_TEXT },
	{ "scanned", "last_scan", OUT_TIME },
	{ "server", "server", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static enum cavactl_exit quarantine_list(const struct cavactl *ctl,
					 const char **args)
{
	enum cavactl_exit ret = CAVACTL_REFUSED;
	json_t *rows = NULL;

	(void)args;
	rows = threats_fetch(ctl, "limit=1000&state=quarantined", SIZE_MAX,
			     &ret);
	return rows == NULL ? ret :
		threats_show(ctl, rows, "Nothing is quarantined.");
}

/* Calls the route of the file; *reply may be NULL. */
static enum cavactl_exit quarantine_call(const struct cavactl *ctl,
					 const char *method, const char *file,
					 json_t *body, json_t **reply)
{
	char *path = cavactl_absolute(file);
	char *escaped = path == NULL ? NULL : http_escape(path + 1);
	char *url = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (escaped == NULL) {
		output_error("%s: there is no such directory", file);
	} else if (asprintf(&url, QUARANTINE_PATH "%s", escaped) == -1) {
		url = NULL;
		output_error("out of memory");
	} else {
		ret = cavactl_call(ctl, method, url, body, reply);
	}
	free(url);
	free(escaped);
	free(path);
	return ret;
}

static enum cavactl_exit quarantine_view(const struct cavactl *ctl,
					 const char **args)
{
	json_t *reply = NULL;
	enum cavactl_exit ret = quarantine_call(ctl, "GET", args[0], NULL,
						&reply);

	if (ret == CAVACTL_OK) {
		output_record(ctl->format, reply, quarantine_columns);
	}
	json_decref(reply);
	return ret;
}

static enum cavactl_exit quarantine_set(const struct cavactl *ctl,
					const char *file, bool on)
{
	const char *reason = cavactl_option(ctl, "reason");
	json_t *body = json_pack("{s:b}", "quarantined", (int)on);
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (reason != NULL) {
		json_object_set_new(body, "reason", json_string(reason));
	}
	ret = quarantine_call(ctl, "PUT", file, body, &reply);
	json_decref(body);
	json_decref(reply);
	return ret;
}

static enum cavactl_exit quarantine_add(const struct cavactl *ctl,
					const char **args)
{
	enum cavactl_exit ret = quarantine_set(ctl, args[0], true);

	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		output_text(stdout, args[0]);
		printf(" is quarantined: nobody reads it until cavactl "
		       "quarantine release.\n");
	}
	return ret;
}

/* Of what is infected the quarantine ends, and the verdict does not. */
static enum cavactl_exit quarantine_release(const struct cavactl *ctl,
					    const char **args)
{
	enum cavactl_exit ret = quarantine_set(ctl, args[0], false);

	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		output_text(stdout, args[0]);
		printf(" is not quarantined any more. Is it known infected, "
		       "it is readable\nafter a new clean scan, or when it "
		       "is allowed: cavactl threats release ID\n");
	}
	return ret;
}

static enum cavactl_exit quarantine_rescan(const struct cavactl *ctl,
					   const char **args)
{
	char *path = cavactl_absolute(args[0]);
	json_t *body = NULL;
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (path == NULL) {
		output_error("%s: there is no such directory", args[0]);
		return CAVACTL_REFUSED;
	}
	body = json_pack("{s:o, s:b}", "file", path_json(path),
			 "ignore_previous_scan_status", 1);
	free(path);
	ret = cavactl_call(ctl, "POST", "/platform/11/antivirus/scan", body,
			   &reply);
	json_decref(body);
	json_decref(reply);
	return ret != CAVACTL_OK ? ret : quarantine_view(ctl, args);
}

static const struct cavactl_option quarantine_options[] = {
	{ "reason", '\0', "TEXT", "why; kept, and in the audit trail" },
	{ NULL }
};

const struct cavactl_command commands_quarantine[] = {
	{ "quarantine list", "", 0, 0,
	  "files that nobody reads", quarantine_list,
	  .examples = "quarantine list --format csv" },
	{ "quarantine view", "PATH", 1, 1,
	  "is this file quarantined, and what is known of it",
	  quarantine_view, .examples = "quarantine view /srv/docs/a.doc" },
	{ "quarantine add", "PATH", 1, 1,
	  "nobody reads it from now on, whatever scans say", quarantine_add,
	  quarantine_options,
	  .examples = "quarantine add /srv/docs/a.doc --reason 'to be looked "
	  "at'" },
	{ "quarantine release", "PATH", 1, 1,
	  "its quarantine ends; its verdict does not", quarantine_release,
	  quarantine_options,
	  .examples = "quarantine release /srv/docs/a.doc" },
	{ "quarantine rescan", "PATH", 1, 1,
	  "scan it again; the quarantine holds", quarantine_rescan,
	  .examples = "quarantine rescan /srv/docs/a.doc" },
	{ NULL }
};
