/*
 * cavactl events: what an administrator should have heard of, newest first.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavactl/cavactl.h"

#define EVENTS_PATH "/platform/11/avscan/events"

static const struct output_column events_columns[] = {
	{ "ID", "id", OUT_NUMBER },
	{ "SINCE", "since", OUT_TEXT | OUT_NOT_CSV },
	{ "UNTIL", "until", OUT_TEXT | OUT_NOT_CSV },
	{ "NUMBER", "event", OUT_NUMBER | OUT_NOT_TEXT },
	{ "SINCE", "time_noticed", OUT_TIME | OUT_NOT_TEXT },
	{ "LAST", "last_event", OUT_TIME | OUT_NOT_TEXT },
	{ "UNTIL", "resolve_time", OUT_TIME | OUT_NOT_TEXT },
	{ "COUNT", "count", OUT_NUMBER },
	{ "SEVERITY", "severity", OUT_TEXT },
	{ "EVENT", "name", OUT_TEXT },
	{ "ABOUT", "about", OUT_TEXT },
	{ "MEANING", "meaning", OUT_TEXT | OUT_NOT_TEXT },
	{ "MESSAGE", "message", OUT_TEXT | OUT_NOT_TEXT },
	{ NULL, NULL, 0 }
};

static void events_time(json_t *row, const char *from, const char *to,
			const char *none)
{
	const json_t *time = json_object_get(row, from);
	char text[64] = "";

	if (json_is_integer(time)) {
		output_time(text, sizeof(text), json_integer_value(time));
	}
	json_object_set_new(row, to, json_string(
		text[0] != '\0' ? text : none));
}

static void events_prepare(json_t *row)
{
	const json_t *first = json_object_get(row, "time_noticed");
	const json_t *over = json_object_get(row, "resolve_time");

	events_time(row, "time_noticed", "since", "");
	events_time(row, "resolve_time", "until", "it is up");
	if (json_equal(first, over) && json_integer_value(
		json_object_get(row, "count")) == 1) {
		json_object_set_new(row, "until", json_string(""));
	}
}

/* What it is not, is said. */
static bool events_id(const char *text)
{
	if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text)) {
		return true;
	}
	fprintf(stderr, "cavactl: %s is no number of an event; cavactl events "
		"shows them\n", text);
	return false;
}

static enum cavactl_exit events_list(const struct cavactl *ctl,
				     const char *path)
{
	return cavactl_show(ctl, path, "events", events_columns,
			    events_prepare, "Nothing has happened yet.");
}

static enum cavactl_exit events(const struct cavactl *ctl, const char **args)
{
	(void)args;
	return events_list(ctl, EVENTS_PATH "?limit=100");
}

/* Those that are older than number args[0]. */
static enum cavactl_exit events_before(const struct cavactl *ctl,
				       const char **args)
{
	char path[128] = "";

	if (!events_id(args[0])) {
		return CAVACTL_REFUSED;
	}
	snprintf(path, sizeof(path), EVENTS_PATH "?limit=100&before=%.20s",
		 args[0]);
	return events_list(ctl, path);
}

static void event_line(const char *name, const char *text)
{
	printf("%-9s ", name);
	output_text(stdout, text == NULL ? "" : text);
	printf("\n");
}

static void event_print(json_t *row)
{
	static const char *const lines[] = {
		"name", "severity", "meaning", "about", "message", "since",
		"last", "until",
	};
	const char *detail = NULL;
	json_t *value = NULL;
	size_t i = 0;

	events_time(row, "time_noticed", "since", "");
	events_time(row, "last_event", "last", "");
	events_time(row, "resolve_time", "until", "it is up");
	printf("%-9s %lld\n", "event", (long long)json_integer_value(
		json_object_get(row, "event")));
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		event_line(lines[i], json_string_value(
			json_object_get(row, lines[i])));
	}
	printf("%-9s %lld\n", "count", (long long)json_integer_value(
		json_object_get(row, "count")));
	json_object_foreach(json_object_get(row, "details"), detail, value) {
		event_line(detail, json_string_value(value));
	}
}

static enum cavactl_exit events_view(const struct cavactl *ctl,
				     const char **args)
{
	char path[128] = "";
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (!events_id(args[0])) {
		return CAVACTL_REFUSED;
	}
	snprintf(path, sizeof(path), EVENTS_PATH "/%.20s", args[0]);
	ret = cavactl_call(ctl, "GET", path, NULL, &reply);
	if (ret != CAVACTL_OK) {
		return ret;
	}
	if (ctl->format == OUTPUT_JSON) {
		output_json(reply);
	} else if (ctl->format == OUTPUT_CSV) {
		output_csv(json_object_get(reply, "events"), events_columns);
	} else {
		event_print(json_array_get(json_object_get(reply, "events"),
					   0));
	}
	json_decref(reply);
	return CAVACTL_OK;
}

const struct cavactl_command commands_events[] = {
	{ "events", "", 0, 0,
	  "the last hundred things that you should know", events,
	  .examples = "events --watch", .watch = true },
	{ "events before", "ID", 1, 1,
	  "the hundred before that one", events_before,
	  .examples = "events before 4711" },
	{ "events view", "ID", 1, 1,
	  "all there is to know of one", events_view,
	  .examples = "events view 4712" },
	{ NULL }
};
