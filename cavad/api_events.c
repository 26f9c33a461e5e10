/*
 * Events over the API: those that are up and those that were.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/api_http.h"
#include "cavad/event_history.h"

#define EVENTS_LIMIT 1000	/* rows of an answer */

static const char *event_severity_name(enum event_severity severity)
{
	static const char *const names[] = {
		[EVENT_INFO] = "information",
		[EVENT_WARNING] = "warning",
		[EVENT_CRITICAL] = "critical",
	};

	return names[severity];
}

static json_t *event_time(int64_t ns)
{
	return ns == 0 ? json_null() : json_integer(ns / 1000000000);
}

static json_t *api_event(const struct event_row *row)
{
	const struct event *e = &row->event;

	return json_pack("{s:I, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:I}", "id", (json_int_t)row->id,
			 "event", (int)e->number, "name", api_text(e->name),
			 "severity", event_severity_name(e->severity),
			 "meaning", api_text(e->meaning),
			 "about", api_text(e->what),
			 "message", api_text(e->text),
			 "time_noticed", event_time(e->since),
			 "last_event", event_time(e->last),
			 "resolve_time", event_time(row->ended),
			 "count", (json_int_t)e->count);
}

/* A number in the query; false when the call is answered. */
static bool events_number(struct api_call *call, const char *name,
			  uint64_t max, uint64_t *result)
{
	const char *text = api_http_query(call, name);
	char *end = NULL;

	if (text == NULL) {
		return true;
	}
	errno = 0;
	*result = strtoull(text, &end, 10);
	if (errno != 0 || strspn(text, "0123456789") != strlen(text) ||
	    *result < 1 || *result > max) {
		api_error(call, 400, name, "%s is a number from 1 to %" PRIu64,
			  name, max);
		return false;
	}
	return true;
}

void api_event_list(struct api_call *call)
{
	struct event_row *rows = NULL;
	json_t *list = NULL;
	json_t *resume = NULL;
	uint64_t before = 0;
	uint64_t limit = EVENTS_LIMIT;
	size_t count = 0;
	size_t i = 0;
	int ret = 0;

	if (!events_number(call, "limit", EVENTS_LIMIT, &limit) ||
	    !events_number(call, "resume", INT64_MAX, &before)) {
		return;
	}
	ret = event_history_list(call->api->history, call, before, limit,
				 &rows, &count);
	if (ret != 0) {
		api_error(call, 500, NULL, "the database: %s", strerror(ret));
		return;
	}
	list = json_array();
	for (i = 0; i < count; i++) {
		json_array_append_new(list, api_event(&rows[i]));
	}
	resume = count == limit && rows[count - 1].id > 1 ?
		 json_sprintf("%" PRIu64, rows[count - 1].id) : json_null();
	api_reply(call, 200, json_pack("{s:o, s:o, s:I}", "events", list,
				       "resume", resume, "total",
				       (json_int_t)count));
}

void api_event_view(struct api_call *call)
{
	struct event_row *row = NULL;
	char *end = NULL;
	uint64_t id = strtoull(call->tail, &end, 10);
	int ret = *end != '\0' ? ENOENT :
		  event_history_get(call->api->history, call, id, &row);

	if (ret == ENOENT) {
		api_error(call, 404, NULL, "there is no event %s", call->tail);
		return;
	}
	if (ret != 0) {
		api_error(call, 500, NULL, "the database: %s", strerror(ret));
		return;
	}
	api_reply(call, 200, json_pack("{s:[o]}", "events", api_event(row)));
}
