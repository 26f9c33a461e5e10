/*
 * GET /platform/11/avscan/nodes/{lnn}/status: how this node stands.
 *
 * The fields of the OneFS node status (reference: its platform API), and
 * beside them what it has no field for: engine and uri of a server, smbd
 * connections, pending scans, events that are up.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cavad/api_private.h"

/* "2023-11-14T22:13:20Z"; "unknown" for 0. */
static json_t *api_time(int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32];
	struct tm tm;

	if (seconds == 0 || gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
		return json_string("unknown");
	}
	return json_string(text);
}

/* The model has no empty texts here. */
static json_t *api_known(const char *text)
{
	return api_text(text[0] == '\0' ? "unknown" : text);
}

/* Beside what the model has. */
static json_t *api_server_more(const struct server_status *s)
{
	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
		"pool", s->pool,
		"connections_maximum", (json_int_t)s->connections_maximum,
		"scan_failures", (json_int_t)s->scan_failures,
		"heartbeat_rtt_min", (json_int_t)s->heartbeat_rtt.least,
		"heartbeat_rtt_last", (json_int_t)s->heartbeat_rtt.last,
		"scan_rtt_min", (json_int_t)s->scan_rtt.least,
		"scan_rtt_last", (json_int_t)s->scan_rtt.last);
}

static json_t *api_server(const struct server_status *s)
{
	static const struct engine_status none;
	const struct engine_status *last = s->last == NULL ? &none : s->last;
	json_t *server = NULL;

	server = json_pack(
		"{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o,"
		" s:o}",
		"server_name", s->name,
		"server_state", server_state_text(s->state),
		"server_uri", s->uri,
		"server_type", s->engine,
		"connections", (json_int_t)s->connections,
		"good_heartbeats", (json_int_t)s->good_heartbeats,
		"heartbeat_rtt", (json_int_t)s->heartbeat_rtt.average,
		"scan_requests", (json_int_t)s->scan_requests,
		"scan_rtt", (json_int_t)s->scan_rtt.average,
		"av_vendor", api_text(last->vendor),
		"version", api_text(last->version),
		"signature_timestamp", api_time(last->signature_time),
		"detail", api_text(last->detail));
	json_object_update_new(server, api_server_more(s));
	return server;
}

static json_t *api_servers(const struct api *api)
{
	json_t *list = json_array();
	size_t i = 0;

	for (i = 0; i < servers_count(api->servers); i++) {
		struct server_status s = servers_status(api->servers, i);

		json_array_append_new(list, api_server(&s));
	}
	return list;
}

static uint64_t api_average(uint64_t sum, uint64_t count)
{
	return count == 0 ? 0 : sum / count;
}

static json_t *api_stats(const struct api *api)
{
	const struct counters *c = api->counters;
	struct scan_queue_status q;
	json_t *stats = json_object();
	unsigned int i = 0;

#define C(name, text) \
	json_object_set_new(stats, #name, json_integer((json_int_t)c->name));
	COUNTERS(C)
#undef C
	json_object_set_new(stats, "avg_scan_duration", json_integer(
		(json_int_t)api_average(c->scan_duration, c->files_processed +
					c->scan_fails)));
	json_object_set_new(stats, "avg_scan_block_time", json_integer(
		(json_int_t)api_average(c->scan_block_time,
					c->scan_blocked)));
	for (i = 0; scan_queue_status(api->scans, i, &q); i++) {
		char *name = talloc_asprintf(api, "%s_file_queue_", q.name);
		char *size = talloc_asprintf(name, "%ssize", name);
		char *max = talloc_asprintf(name, "%smax_size", name);

		if (name != NULL && size != NULL && max != NULL) {
			json_object_set_new(stats, size,
					    json_integer(q.size));
			json_object_set_new(stats, max,
					    json_integer(q.size_max));
		}
		talloc_free(name);
	}
	return stats;
}

/* "an antivirus server is offline: av1: it does not answer" */
static json_t *api_event_message(const struct event *e)
{
	char *text = talloc_asprintf(NULL, "%s%s%s%s%s", e->meaning,
				     e->what[0] != '\0' ? ": " : "", e->what,
				     e->text[0] != '\0' ? ": " : "", e->text);
	json_t *json = api_text(text == NULL ? e->meaning : text);

	talloc_free(text);
	return json;
}

static json_t *api_events(const struct api *api, json_t *blocking)
{
	json_t *list = json_array();
	const struct event *e = NULL;
	unsigned int i = 0;

	for (i = 0; (e = events_up(api->events, i)) != NULL; i++) {
		json_array_append_new(list, json_pack(
			"{s:I, s:s, s:s, s:o, s:o, s:I, s:I}",
			"id", (json_int_t)e->number, "name", e->name,
			"severity", event_severity_text(e->severity),
			"about", api_text(e->what),
			"message", api_event_message(e),
			"since", (json_int_t)(e->since / 1000000000),
			"count", (json_int_t)e->count));
		if (e->severity == EVENT_CRITICAL) {
			json_array_append_new(blocking, api_event_message(e));
		}
	}
	return list;
}

/* Of the first server that is online, as the model has one for a node. */
static struct engine_status api_first(const struct api *api)
{
	struct engine_status none = { .online = false };
	size_t i = 0;

	for (i = 0; i < servers_count(api->servers); i++) {
		struct server_status s = servers_status(api->servers, i);

		if (s.state == SERVER_ONLINE && s.last != NULL) {
			return *s.last;
		}
	}
	return none;
}

/* False: the status asked for is not this node's, and that has been said. */
static bool api_status_here(struct api_call *call)
{
	uint64_t node = config_node(call->api->config);
	char here[24] = "";

	snprintf(here, sizeof(here), "%" PRIu64, node);
	if (strcmp(call->tail, here) == 0 ||
	    strcmp(call->tail, "local") == 0) {
		return true;
	}
	api_error(call, 404, "lnn", "this is node %s, not %.100s; a node's "
		  "status is at its own cavad", here, call->tail);
	return false;
}

void api_status(struct api_call *call)
{
	const struct api *api = call->api;
	const struct settings *s = &api->config->settings;
	struct engine_status first = api_first(api);
	json_t *blocking = json_array();
	json_t *events = api_events(api, blocking);
	const char *state = "RUNNING";
	uint64_t pending = 0;
	json_t *status = NULL;

	if (!api_status_here(call)) {
		json_decref(events);
		json_decref(blocking);
		return;
	}
	if (!s->service_enabled) {
		state = "DISABLED";
	} else if (json_array_size(blocking) > 0) {
		state = "FAULTED";
	}
	(void)store_pending_count(api->store, &pending, NULL);
	status = json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I,"
		" s:s, s:s}",
		"system_status", state, "blocking_events", blocking,
		"events", events,
		"cee_version", api_known(first.version),
		"dtd_version", api_known(first.dtd_version),
		"av_vendor", api_known(first.vendor),
		"signature_timestamp", api_time(first.signature_time),
		"server_status", api_servers(api),
		"system_stats", api_stats(api),
		"cavad_version", CAVA_VERSION,
		"smb_connections", (json_int_t)ipc_count(api->ipc),
		"pending_scans", (json_int_t)pending,
		"check_share", s->check_share, "check_root", s->check_root);
	api_reply(call, 200, json_pack(
		"{s:[{s:i, s:i, s:s, s:o}], s:[], s:i}",
		"nodes", "id", (int)config_node(api->config),
		"lnn", (int)config_node(api->config),
		"error", "", "status", status, "errors", "total", 1));
}
