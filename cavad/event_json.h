/*
 * An event as JSON: what the API, event_command and event_webhook say.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_EVENT_JSON_H
#define CAVAD_EVENT_JSON_H

#include <jansson.h>

#include "cavad/event_history.h"

/*
 * {"id", "event" (number), "name", "severity", "meaning", "about", "message",
 * "time_noticed", "last_event", "resolve_time" (s, or null), "count",
 * "details": {"user": ...}}. What is no UTF-8 has \xNN in it; a path is a
 * file URI then (common/uri.h).
 */
json_t *event_json(const struct event_row *row);

#endif
