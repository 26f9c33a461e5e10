/*
 * cavactl selftest: the whole path, step by step, with what mends it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cavactl/selftest.h"

static const struct output_column selftest_columns[] = {
	{ "RESULT", "result", OUT_TEXT },
	{ "STEP", "step", OUT_TEXT },
	{ "ABOUT", "about", OUT_TEXT },
	{ "TEXT", "text", OUT_TEXT },
	{ "MEND", "mend", OUT_TEXT },
	{ NULL, NULL, 0 }
};

const char *selftest_string(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s == NULL ? "" : s;
}

/* "ok       server    av1: ..." */
static void selftest_print(const json_t *step)
{
	const char *about = selftest_string(step, "about");
	const char *mend = selftest_string(step, "mend");

	printf("%-8s %-9s ", selftest_string(step, "result"),
	       selftest_string(step, "step"));
	output_text(stdout, about);
	printf("%s", about[0] != '\0' ? ": " : "");
	output_text(stdout, selftest_string(step, "text"));
	printf("\n");
	if (mend[0] != '\0') {
		printf("%-18s -> ", "");
		output_text(stdout, mend);
		printf("\n");
	}
	fflush(stdout);
}

/* Takes step. */
static void selftest_take(struct selftest *t, json_t *step)
{
	if (step == NULL) {
		output_error("out of memory");
		t->failed = true;
		return;
	}
	if (strcmp(selftest_string(step, "result"), SELFTEST_FAILED) == 0) {
		t->failed = true;
	}
	if (t->ctl->format == OUTPUT_TEXT) {
		selftest_print(step);
	}
	json_array_append_new(t->steps, step);
}

void selftest_step(struct selftest *t, const char *step, const char *about,
		   const char *result, const char *mend, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len = 0;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len == -1) {
		text = NULL;
	}
	selftest_take(t, text == NULL ? NULL : json_pack(
		"{s:s, s:s, s:s, s:s, s:s}", "step", step, "about", about,
		"result", result, "text", text, "mend",
		mend == NULL ? "" : mend));
	free(text);
}

/* What cavad says of itself. */
static enum cavactl_exit selftest_cavad(struct selftest *t)
{
	json_t *reply = NULL;
	json_t *step = NULL;
	size_t i = 0;
	enum cavactl_exit ret = cavactl_call(
		t->ctl, "POST", "/platform/11/avscan/selftest", NULL, &reply);

	json_array_foreach(json_object_get(reply, "selftest"), i, step) {
		selftest_take(t, json_incref(step));
	}
	json_decref(reply);
	if (ret != CAVACTL_OK) {
		return ret;
	}
	ret = cavactl_call(t->ctl, "GET", "/platform/11/avscan/zones", NULL,
			   &t->zones);
	return ret != CAVACTL_OK ? ret :
		cavactl_call(t->ctl, "GET",
			     "/platform/11/avscan/nodes/local/status", NULL,
			     &t->status);
}

static void selftest_show(const struct selftest *t)
{
	json_t *all = NULL;

	switch (t->ctl->format) {
	case OUTPUT_JSON:
		all = json_pack("{s:O}", "selftest", t->steps);
		output_json(all);
		json_decref(all);
		return;
	case OUTPUT_CSV:
		output_csv(t->steps, selftest_columns);
		return;
	case OUTPUT_TEXT:
		break;
	}
	printf("%s\n", t->failed ? "It does not all work: mend what has "
	       "failed, the first one first." : "It works.");
}

static enum cavactl_exit cmd_selftest(const struct cavactl *ctl,
				      const char **args)
{
	struct selftest t = { .ctl = ctl, .steps = json_array() };
	enum cavactl_exit ret = selftest_cavad(&t);

	(void)args;
	if (ret == CAVACTL_OK && geteuid() != 0) {
		selftest_step(&t, "root", "", SELFTEST_WARNING, "run it as "
			      "root", "Samba's configuration is not looked "
			      "at, and no test file goes through zones and "
			      "servers");
	} else if (ret == CAVACTL_OK) {
		selftest_samba(&t);
		selftest_files(&t);
	}
	if (ret == CAVACTL_OK) {
		selftest_show(&t);
		ret = t.failed ? CAVACTL_NO_VERDICT : CAVACTL_OK;
	}
	json_decref(t.steps);
	json_decref(t.zones);
	json_decref(t.status);
	return ret;
}

static const struct cavactl_option selftest_options[] = {
	{ "user", 'U', "NAME",
	  "read test files over SMB as that account, too" },
	{ "password-file", 'P', "FILE", "its password is the first line" },
	{ "host", 'H', "HOST", "where smbd is (localhost)" },
	{ "smb-conf", 'c', "FILE", "another smb.conf" },
	{ NULL, '\0', NULL, NULL }
};

const struct cavactl_command commands_selftest[] = {
	{ "selftest", "", 0, 0,
	  "does everything work? exit status 3: it does not",
	  cmd_selftest, .options = selftest_options,
	  .examples = "selftest\n"
		      "selftest --user alice --password-file /root/alice" },
	{ NULL }
};
