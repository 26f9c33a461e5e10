/*
 * POST /platform/11/antivirus/scan: one file, now.
 *
 * OneFS's reply is report_id and result; the rest of the verdict is beside
 * them. ignore_previous_scan_status is true unless the request says
 * otherwise, as there. A file whose name is no UTF-8 is named by a file URI,
 * in the request and in the reply (common/uri.h).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <string.h>
#include <time.h>

#include "cavad/api_private.h"
#include "cavad/zone.h"
#include "common/uri.h"

#define API_PATH_MAX 4096
#define API_FILE_MAX (3 * API_PATH_MAX + 8)	/* as a URI */

const struct api_field api_scan_fields[] = {
	{ "file", JSON_STRING, true, API_FILE_MAX },
	{ "ignore_previous_scan_status", JSON_TRUE, false, 0 },
	{ "policy", JSON_STRING, false, 255 },
	{ "report_id", JSON_STRING, false, 255 },
	{ NULL, JSON_NULL, false, 0 }
};

static void api_scanned(struct tevent_req *subreq);

/* The path that is meant; NULL when it is none, which has been said. */
static const char *api_scan_path(struct api_call *call)
{
	const char *file = json_string_value(json_object_get(call->body,
							     "file"));
	char *path = NULL;
	int ret = 0;

	if (uri_is(file)) {
		ret = uri_path(call, file, &path);
		file = path;
	}
	if (ret == 0 && file[0] == '/' && strlen(file) < API_PATH_MAX) {
		return file;
	}
	api_error(call, 400, "file", "file must be an absolute path below "
		  "check_root (%s), or a URI of it (file:///...)",
		  call->api->config->settings.check_root);
	return NULL;
}

void api_scan(struct api_call *call)
{
	struct scan_request request = { .source = SCAN_MANUAL };
	struct tevent_req *subreq = NULL;
	json_t *ignore = NULL;

	if (!api_body(call, api_scan_fields)) {
		return;
	}
	request.path = api_scan_path(call);
	if (request.path == NULL) {
		return;
	}
	ignore = json_object_get(call->body, "ignore_previous_scan_status");
	request.ignore_previous = ignore == NULL || json_is_true(ignore);
	request.tiered = zones_tiered(call->api->zones, request.path);
	request.user = "administrator";
	request.client = "API";
	subreq = scan_send(call, call->api->ev, call->api->scans, &request);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, api_scanned, call);
}

/* The report's name; the report itself comes with reports. */
static char *api_report_id(struct api_call *call)
{
	const char *given = json_string_value(json_object_get(call->body,
							      "report_id"));

	if (given != NULL) {
		return talloc_strdup(call, given);
	}
	return talloc_asprintf(call, "M-%llx-%llu",
			       (unsigned long long)time(NULL),
			       (unsigned long long)call->api->next_report++);
}

static void api_scanned(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	struct scan_answer a = { .path = NULL };
	const struct verdict *v = &a.verdict;
	json_t *path = NULL;
	int ret = scan_recv(subreq, call, &a);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_error(call, 500, NULL, "%s", strerror(ret));
		return;
	}
	path = json_string(a.path == NULL ? "" : a.path);
	if (path == NULL) {	/* it is no UTF-8 */
		path = json_string(uri_of_path(call, a.path));
	}
	api_reply(call, 200, json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I,"
		" s:b}",
		"report_id", api_report_id(call),
		"result", verdict_result_text(v->result),
		"reason", verdict_reason_text(v->reason),
		"file", path,
		"threat", api_text(v->threat), "server", api_text(v->server),
		"engine", api_text(v->engine),
		"size", (json_int_t)v->content.size,
		"duration", (json_int_t)a.duration,
		"scan_time", (json_int_t)(v->scan_time / 1000000000),
		"signature_timestamp", (json_int_t)v->signature_time,
		"from_record", (int)a.from_record));
}
