/*
 * An event as JSON: see event_json.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/event_json.h"

#include <string.h>

#include "common/log.h"
#include "common/uri.h"

static json_t *event_json_text(const char *text)
{
	json_t *json = json_string(text);
	size_t size = 4 * strlen(text) + 6;
	char *escaped = NULL;

	if (json != NULL) {
		return json;
	}
	escaped = talloc_size(NULL, size);
	if (escaped != NULL) {
		log_escape(escaped, size, text);
		json = json_string(escaped);
	}
	talloc_free(escaped);
	return json != NULL ? json : json_string("");
}

static json_t *event_json_path(const char *path)
{
	json_t *json = json_string(path);
	char *uri = NULL;

	if (json == NULL) {
		uri = uri_of_path(NULL, path);
		json = uri == NULL ? NULL : json_string(uri);
		talloc_free(uri);
	}
	return json != NULL ? json : json_string("");
}

static json_t *event_json_details(const struct event_detail *d)
{
	json_t *details = json_object();

	for (; d != NULL && d->name != NULL; d++) {
		json_object_set_new(details, d->name,
				    strcmp(d->name, "path") == 0 ?
				    event_json_path(d->value) :
				    event_json_text(d->value));
	}
	return details;
}

static json_t *event_json_time(int64_t ns)
{
	return ns == 0 ? json_null() : json_integer(ns / 1000000000);
}

json_t *event_json(const struct event_row *row)
{
	const struct event *e = &row->event;

	return json_pack("{s:I, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:I, s:o}", "id", (json_int_t)row->id,
			 "event", (int)e->number,
			 "name", event_json_text(e->name),
			 "severity", event_severity_text(e->severity),
			 "meaning", event_json_text(e->meaning),
			 "about", event_json_text(e->what),
			 "message", event_json_text(e->text),
			 "time_noticed", event_json_time(e->since),
			 "last_event", event_json_time(e->last),
			 "resolve_time", event_json_time(row->ended),
			 "count", (json_int_t)e->count,
			 "details", event_json_details(e->details));
}
