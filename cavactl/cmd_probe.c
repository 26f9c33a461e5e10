/*
 * cavactl servers probe: the raw exchange with one antivirus server.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavactl/cavactl.h"

static const struct output_column probe_columns[] = {
	{ "WHAT", "what", OUT_TEXT },
	{ "US", "us", OUT_NUMBER },
	{ "ERROR", "error", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const char *probe_string(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s == NULL ? "" : s;
}

/* "> " in front of each line. The text is printable already. */
static void probe_lines(const char *mark, const json_t *bytes)
{
	const char *text = probe_string(bytes, "text");

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		printf("%s %.*s\n", mark, (int)len, text);
		text += len + (text[len] == '\n');
	}
	if (json_is_true(json_object_get(bytes, "cut"))) {
		printf("%s ... %lld bytes in all\n", mark,
		       (long long)json_integer_value(json_object_get(
			       bytes, "bytes")));
	}
}

static void probe_decoded(const json_t *decoded)
{
	const char *name = NULL;
	json_t *value = NULL;

	json_object_foreach((json_t *)decoded, name, value) {
		const char *text = json_string_value(value);
		char number[32] = "";

		if (json_is_integer(value) && json_integer_value(value) != 0) {
			output_time(number, sizeof(number),
				    json_integer_value(value));
			text = number;
		} else if (json_is_boolean(value)) {
			text = json_is_true(value) ? "yes" : "no";
		}
		if (text == NULL || text[0] == '\0') {
			continue;
		}
		printf("  %s: ", name);
		output_text(stdout, text);
		printf("\n");
	}
}

static void probe_exchange(const json_t *e)
{
	long long us = json_integer_value(json_object_get(e, "us"));
	const json_t *sent = json_object_get(e, "sent");

	printf("\n%s, %lld.%03lld ms\n", probe_string(e, "what"), us / 1000,
	       us % 1000);
	if (sent == NULL) {
		printf("(an engine of this type sends nothing)\n");
	}
	probe_lines(">", sent);
	probe_lines("<", json_object_get(e, "received"));
	if (probe_string(e, "error")[0] != '\0') {
		printf("  no answer: %s\n", probe_string(e, "error"));
	}
	probe_decoded(json_object_get(e, "decoded"));
}

static void probe_print(const json_t *said)
{
	const char *expected = probe_string(said, "expected");
	const json_t *e = NULL;
	size_t i = 0;

	printf("%s, %s, %s\n", probe_string(said, "server_name"),
	       probe_string(said, "server_type"),
	       probe_string(said, "server_uri"));
	json_array_foreach(json_object_get(said, "exchanges"), i, e) {
		probe_exchange(e);
	}
	printf("\n");
	if (expected[0] != '\0') {
		printf("The scan %s.\n", expected);
	}
	printf("%s\n", json_is_true(json_object_get(said, "good")) ?
	       "All is well with this server." :
	       "This is not what a good server says.");
}

static enum cavactl_exit probe(const struct cavactl *ctl, const char **args)
{
	json_t *body = json_pack("{s:s}", "server", args[0]);
	json_t *reply = NULL;
	const json_t *said = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (body == NULL) {
		output_error("%s: not UTF-8", args[0]);
		return CAVACTL_REFUSED;
	}
	ret = cavactl_call(ctl, "POST", "/platform/11/avscan/probe", body,
			   &reply);
	json_decref(body);
	if (ret != CAVACTL_OK) {
		return ret;
	}
	said = json_object_get(reply, "probe");
	if (ctl->format == OUTPUT_JSON) {
		output_json(reply);
	} else if (ctl->format == OUTPUT_CSV) {
		output_csv(json_object_get(said, "exchanges"), probe_columns);
	} else {
		probe_print(said);
	}
	if (!json_is_true(json_object_get(said, "good"))) {
		ret = CAVACTL_NO_VERDICT;
	}
	json_decref(reply);
	return ret;
}

const struct cavactl_command commands_probe[] = {
	{ "servers probe", "SERVER", 1, 1,
	  "ask it now; show the bytes on the wire", probe,
	  .examples = "servers probe av1" },
	{ NULL }
};
