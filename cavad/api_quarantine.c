/*
 * The state of one file over the API, and its quarantine: as OneFS has them
 * (/platform/3/antivirus/quarantine/PATH), below check_root.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cavad/api_allow.h"
#include "cavad/quarantine.h"
#include "common/uri.h"

const char *api_files_text(int error, enum files_status status, int io)
{
	if (error != 0) {
		return strerror(error);
	}
	switch (status) {
	case FILES_GONE:
		return "there is no such file";
	case FILES_NOT_REGULAR:
		return "not a regular file";
	case FILES_OUTSIDE:
		return "not below check_root";
	case FILES_CHANGED:
		return "it has changed meanwhile";
	default:
		return strerror(io);
	}
}

/* What follows .../quarantine/ is the path without its first slash. */
static const char *quarantine_path(struct api_call *call)
{
	char *path = NULL;

	if (uri_is(call->tail) && uri_path(call, call->tail, &path) == 0) {
		return path;
	}
	return talloc_asprintf(call, "%s%s", call->tail[0] == '/' ? "" : "/",
			       call->tail);
}

static void quarantine_error(struct api_call *call, int error,
			     enum files_status status, int io)
{
	api_error(call, status == FILES_GONE && error == 0 ? 404 : 409,
		  "file", "%s: %s", quarantine_path(call),
		  api_files_text(error, status, io));
}

/* --- GET --- */

/* The record in force: the database overrides the file. False: none. */
static bool quarantine_record(struct api_call *call,
			      const struct files_begun *begun,
			      struct verdict *v, enum verdict_state *state)
{
	int64_t min = config_signature_min(call->api->config, false);
	int ret = store_result_get(call->api->store, &begun->ident, v);

	if (ret == 0 && (verdict_quarantined(v) ||
			 content_equal(&v->content, &begun->content))) {
		*state = verdict_is_old(v, min) ? VERDICT_STATE_STALE :
						  VERDICT_STATE_CLEAN;
		return true;
	}
	*v = begun->record;
	*state = verdict_state(begun->have_record ? v : NULL,
			       &begun->content, min);
	return begun->have_record;
}

static const char *quarantine_result(bool have, const struct verdict *v)
{
	if (!have) {
		return "never_scanned";
	}
	switch (v->result) {
	case VERDICT_CLEAN:
		return "clean";
	case VERDICT_INFECTED:
		return verdict_quarantined(v) ? "quarantined" :
			"infected_no_action_taken";
	case VERDICT_SKIPPED:
		return "skipped_per_settings";
	default:
		return "unknown_status (unscannable)";
	}
}

static void quarantine_seen(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	struct files_begun begun = { .fd = -1 };
	enum verdict_state state = VERDICT_STATE_NONE;
	struct verdict v = { .result = VERDICT_NONE };
	bool have = false;
	int ret = files_begin_recv(subreq, call, &begun);

	TALLOC_FREE(subreq);
	if (ret != 0 || begun.status != FILES_OK) {
		quarantine_error(call, ret, begun.status, begun.error);
		return;
	}
	have = quarantine_record(call, &begun, &v, &state);
	api_reply(call, 200, json_pack(
		"{s:o, s:b, s:s, s:s, s:o, s:o, s:o, s:o}",
		"file", api_file(call, begun.path),
		"quarantined", (int)verdict_quarantined(&v),
		"scan_result", quarantine_result(have, &v),
		"scan_status", have && verdict_state_current(state) ?
			       "current" : "not_current",
		"last_scan", v.scan_time == 0 ? json_null() :
			json_integer(v.scan_time / 1000000000),
		"last_istag", v.signature_time == 0 ? json_null() :
			json_sprintf("%lld", (long long)v.signature_time),
		"threat", api_text(v.threat),
		"server", api_text(v.server)));
}

void api_quarantine_view(struct api_call *call)
{
	const struct files_begin begin = { .path = quarantine_path(call) };
	struct tevent_req *subreq = NULL;

	subreq = files_begin_send(call, call->api->ev, call->api->files,
				  &begin);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, quarantine_seen, call);
}

/* --- PUT --- */

static bool quarantine_wanted(const struct api_call *call)
{
	const json_t *on = json_object_get(call->body, "quarantined");

	return on == NULL || json_is_true(on);
}

static void quarantine_done(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	struct quarantine_result r = { .status = FILES_IO };
	const char *reason = json_string_value(json_object_get(call->body,
							       "reason"));
	bool on = quarantine_wanted(call);
	int ret = quarantine_recv(subreq, call, &r);

	TALLOC_FREE(subreq);
	if (ret != 0 || r.status != FILES_OK) {
		quarantine_error(call, ret, r.status, r.error);
		return;
	}
	if (!on && !r.was) {
		api_error(call, 409, "quarantined", "%s is not quarantined",
			  r.path);
		return;
	}
	/* handles that are open are looked at again */
	ipc_config_changed(call->api->ipc);
	api_audit(call, talloc_asprintf(call, "quarantine %s", r.path),
		  "%s%s%s", on ? "set" : "lifted", reason == NULL ? "" : ": ",
		  reason == NULL ? "" : reason);
	api_reply(call, 204, NULL);
}

const struct api_field api_quarantine_fields[] = {
	{ "quarantined", JSON_TRUE, false, 0 },
	{ "reason", JSON_STRING, false, THREAT_TEXT_MAX },
	{ NULL, JSON_NULL, false, 0 }
};

void api_quarantine_change(struct api_call *call)
{
	struct api *api = call->api;
	struct quarantine_request request = {
		.path = quarantine_path(call), .who = call->user,
	};
	struct tevent_req *subreq = NULL;
	const char *reason = NULL;

	if (!api_body(call, api_quarantine_fields)) {
		return;
	}
	reason = json_string_value(json_object_get(call->body, "reason"));
	request.on = quarantine_wanted(call);
	request.why = reason != NULL ? reason : "by hand";
	subreq = quarantine_send(call, api->ev, api->files, api->store,
				 api->threats, &request);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, quarantine_done, call);
}
