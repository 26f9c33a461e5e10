/*
 * POST /platform/11/avscan/probe: one antivirus server is asked now, and
 * what went over the wire is shown.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/api_private.h"
#include "cavad/probe.h"

const struct api_field api_probe_fields[] = {
	{ "server", JSON_STRING, true, 128 },
	{ NULL, JSON_NULL, false, 0 }
};

static void api_probed(struct tevent_req *subreq);

void api_probe(struct api_call *call)
{
	struct api *api = call->api;
	struct tevent_req *subreq = NULL;

	if (!api_body(call, api_probe_fields)) {
		return;
	}
	subreq = probe_send(call, api->ev, api->servers, api->config,
			    json_string_value(json_object_get(call->body,
							      "server")));
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, api_probed, call);
}

static json_t *api_probe_bytes(struct api_call *call,
			       const struct trace_bytes *bytes)
{
	char *text = trace_text(call, bytes);
	json_t *json = NULL;

	if (text == NULL) {
		return json_null();
	}
	json = json_pack("{s:I, s:s, s:b}", "bytes", (json_int_t)bytes->total,
			 "text", text, "cut", bytes->total > TRACE_MAX);
	talloc_free(text);
	return json;
}

/* Takes `decoded`. */
static json_t *api_probe_exchange(struct api_call *call, const char *what,
				  const struct probe_exchange *e,
				  json_t *decoded)
{
	json_t *json = json_pack("{s:s, s:I, s:s, s:o}", "what", what,
				 "us", (json_int_t)e->took, "error",
				 e->error == 0 ? "" : strerror(e->error),
				 "decoded", decoded);

	if (e->trace != NULL) {
		json_object_set_new(json, "sent", api_probe_bytes(
			call, &e->trace->sent));
		json_object_set_new(json, "received", api_probe_bytes(
			call, &e->trace->received));
	}
	return json;
}

static json_t *api_probe_status(const struct engine_status *s)
{
	return json_pack("{s:b, s:b, s:b, s:o, s:o, s:o, s:I, s:s, s:o}",
			 "online", s->online, "av_ok", s->av_ok,
			 "too_old", s->too_old,
			 "version", api_text(s->version),
			 "dtd_version", api_text(s->dtd_version),
			 "av_vendor", api_text(s->vendor),
			 "signature_timestamp", (json_int_t)s->signature_time,
			 "address", s->address,
			 "detail", api_text(s->detail));
}

static json_t *api_probe_answer(const struct engine_answer *a)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:o}",
			 "result", verdict_result_text(a->result),
			 "reason", verdict_reason_text(a->reason),
			 "threat", api_text(a->threat),
			 "engine", api_text(a->engine),
			 "signature_timestamp", (json_int_t)a->signature_time,
			 "detail", api_text(a->detail));
}

static json_t *api_probe_json(struct api_call *call, const struct probe *p)
{
	json_t *exchanges = json_array();

	json_array_append_new(exchanges, api_probe_exchange(
		call, "heartbeat", &p->heartbeat,
		api_probe_status(&p->status)));
	if (p->scan.done) {
		json_array_append_new(exchanges, api_probe_exchange(
			call, "scan", &p->scan,
			api_probe_answer(&p->answer)));
	}
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:o}",
			 "server_name", p->name, "server_uri", p->uri,
			 "server_type", p->engine, "good", p->good,
			 "expected", p->expected == NULL ? "" : p->expected,
			 "exchanges", exchanges);
}

static void api_probed(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	const char *name = json_string_value(json_object_get(call->body,
							     "server"));
	struct probe *p = NULL;
	int ret = probe_recv(subreq, call, &p);

	TALLOC_FREE(subreq);
	if (ret == ENOENT) {
		api_error(call, 404, "server", "there is no server %s; "
			  "cavactl servers lists them", name);
		return;
	}
	if (ret == EBUSY) {
		api_error(call, 503, "server", "all connections_maximum of "
			  "server %s are in use; try again", name);
		return;
	}
	if (ret != 0) {
		api_error(call, 500, NULL, "%s", strerror(ret));
		return;
	}
	api_reply(call, 200, json_pack("{s:o}", "probe",
				       api_probe_json(call, p)));
}
