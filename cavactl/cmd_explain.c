/*
 * cavactl explain: why a file can be read, or not. A line a fact, and what
 * follows from them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavactl/cavactl.h"

static const struct output_column explain_columns[] = {
	{ "ABOUT", "about", OUT_TEXT },
	{ "FACT", "text", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const char *explain_string(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s == NULL ? "" : s;
}

static void explain_print(const json_t *explain)
{
	const json_t *fact = NULL;
	size_t i = 0;

	output_text(stdout, explain_string(explain, "path"));
	printf("\n");
	json_array_foreach(json_object_get(explain, "facts"), i, fact) {
		printf("  %-9s ", explain_string(fact, "about"));
		output_text(stdout, explain_string(fact, "text"));
		printf("\n");
	}
	output_text(stdout, explain_string(explain, "sentence"));
	printf("\n");
}

/* Exit status: as that of a scan, for a reader. */
static enum cavactl_exit explain_exit(const json_t *explain)
{
	if (strcmp(explain_string(explain, "outcome"), "denied") != 0) {
		return CAVACTL_OK;
	}
	return json_is_true(json_object_get(explain, "infected")) ?
		CAVACTL_INFECTED : CAVACTL_NO_VERDICT;
}

static void explain_show(const struct cavactl *ctl, const json_t *reply)
{
	const json_t *explain = json_object_get(reply, "explain");

	switch (ctl->format) {
	case OUTPUT_JSON:
		output_json(reply);
		return;
	case OUTPUT_CSV:
		output_csv(json_object_get(explain, "facts"),
			   explain_columns);
		return;
	case OUTPUT_TEXT:
		break;
	}
	explain_print(explain);
}

static enum cavactl_exit cmd_explain(const struct cavactl *ctl,
				     const char **args)
{
	char *file = cavactl_absolute(args[0]);
	char *escaped = file == NULL ? NULL : http_escape(file);
	char *path = NULL;
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (file == NULL) {
		output_error("%s: %s", args[0], strerror(errno));
		return CAVACTL_REFUSED;
	}
	if (escaped != NULL &&
	    asprintf(&path, "/platform/11/avscan/explain?path=%s",
		     escaped) != -1) {
		ret = cavactl_call(ctl, "GET", path, NULL, &reply);
	}
	if (ret == CAVACTL_OK) {
		explain_show(ctl, reply);
		ret = explain_exit(json_object_get(reply, "explain"));
	}
	json_decref(reply);
	free(path);
	free(escaped);
	free(file);
	return ret;
}

const struct cavactl_command commands_explain[] = {
	{ "explain", "PATH", 1, 1,
	  "can it be read, and why; exit status 2: denied",
	  cmd_explain, .examples = "explain /srv/finance/report.doc",
	  .watch = true },
	{ NULL }
};
