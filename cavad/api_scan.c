/*
 * POST /platform/11/antivirus/scan: one file, now.
 *
 * OneFS's reply is report_id and result; the rest of the verdict is beside
 * them. policy: the name of a job, whose pool of servers scans the file;
 * server: that one alone; selftest: it is a test file, and what is found no
 * threat. ignore_previous_scan_status is true unless the request says
 * otherwise, as there. A file whose name is no UTF-8 is named by a file URI,
 * in the request and in the reply (common/uri.h).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/api_private.h"
#include "cavad/scan_streams.h"
#include "cavad/zone.h"
#include "common/log.h"
#include "common/uri.h"

#define API_PATH_MAX 4096
#define API_SELFTEST_NAME ".cavactl-selftest-"
#define API_FILE_MAX (3 * API_PATH_MAX + 8)	/* as a URI */

const struct api_field api_scan_fields[] = {
	{ "file", JSON_STRING, true, API_FILE_MAX },
	{ "ignore_previous_scan_status", JSON_TRUE, false, 0 },
	{ "policy", JSON_STRING, false, 255 },
	{ "report_id", JSON_STRING, false, 255 },
	{ "server", JSON_STRING, false, 128 },
	{ "selftest", JSON_TRUE, false, 0 },
	{ NULL, JSON_NULL, false, 0 }
};

static void api_scanned(struct tevent_req *subreq);
static void api_streams_scanned(struct tevent_req *subreq);
static void api_scan_reported(struct tevent_req *subreq);

/* On the API: who hangs up gets no answer, but there is a report. */
struct api_scanning {
	struct api *api;
	struct api_scan_link *link;
	struct api_call *call;	/* NULL = it has ended */
	bool selftest;
	struct report_part *part;
	char *report;
	struct scan_request request;
	struct scan_answer answer;	/* the worst one */
};

/* On the call; NULL when the scan has ended before it. */
struct api_scan_link {
	struct api_scanning *scanning;
};

static int api_scan_link_destructor(struct api_scan_link *link)
{
	if (link->scanning != NULL) {
		link->scanning->call = NULL;
		link->scanning->link = NULL;
	}
	return 0;
}

static int api_scanning_destructor(struct api_scanning *s)
{
	if (s->link != NULL) {
		s->link->scanning = NULL;
	}
	return 0;
}

const char *api_path(struct api_call *call, const char *name,
		     const char *text)
{
	char *path = NULL;
	int ret = 0;

	if (text != NULL && uri_is(text)) {
		ret = uri_path(call, text, &path);
		text = path;
	}
	if (ret == 0 && text != NULL && text[0] == '/' &&
	    strlen(text) < API_PATH_MAX) {
		return text;
	}
	api_error(call, 400, name, "%s must be an absolute path below "
		  "check_root (%s), or a URI of it (file:///...)", name,
		  call->api->config->settings.check_root);
	return NULL;
}

static bool api_scan_is_selftest(const struct api_call *call)
{
	return json_is_true(json_object_get(call->body, "selftest"));
}

/* No other file's threats are kept from the list. False: answered. */
static bool api_scan_selftest_name(struct api_call *call, const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (!api_scan_is_selftest(call) ||
	    strncmp(name, API_SELFTEST_NAME, strlen(API_SELFTEST_NAME)) == 0) {
		return true;
	}
	api_error(call, 400, "selftest", "%s is no test file: names of test "
		  "files begin with " API_SELFTEST_NAME, name);
	return false;
}

/* NULL: the call is answered. */
static struct api_scanning *api_scan_begin(struct api_call *call)
{
	const char *id = json_string_value(json_object_get(call->body,
							   "report_id"));
	const char *policy = json_string_value(json_object_get(call->body,
							       "policy"));
	struct api_scanning *s = talloc_zero(call->api, struct api_scanning);
	struct api_scan_link *link = talloc_zero(call, struct api_scan_link);
	const char *why = NULL;

	if (api_scan_is_selftest(call)) {
		policy = "SELFTEST";
	}
	if (s != NULL) {
		s->selftest = api_scan_is_selftest(call);
		s->call = call;
		s->api = call->api;
		s->part = report_part_begin(s, call->api->reports, id,
					    policy == NULL ? REPORT_MANUAL :
					    policy, &why);
	}
	if (s == NULL || link == NULL || s->part == NULL) {
		api_error(call, why == NULL ? 500 : 409, why == NULL ? NULL :
			  "report_id", "%s", why == NULL ? "out of memory" :
			  why);
		talloc_free(s);
		return NULL;
	}
	link->scanning = s;
	s->link = link;
	talloc_set_destructor(s, api_scanning_destructor);
	talloc_set_destructor(link, api_scan_link_destructor);
	return s;
}

/* That server alone. False: there is none, and the call is answered. */
static bool api_scan_server(struct api_call *call,
			    struct scan_request *request)
{
	const char *name = json_string_value(json_object_get(call->body,
							     "server"));
	size_t i = 0;

	if (name == NULL) {
		return true;
	}
	for (i = 0; i < servers_count(call->api->servers); i++) {
		struct server_status s = servers_status(call->api->servers,
							i);

		if (strcmp(s.name, name) == 0) {
			request->asked = name;
			request->pool = s.pool;
			return true;
		}
	}
	api_error(call, 404, "server", "there is no server %s; cavactl "
		  "servers lists them", name);
	return false;
}

/* As the job of that name would, if there is one: by its pool. */
static void api_scan_policy(struct api_call *call,
			    struct scan_request *request)
{
	const char *name = json_string_value(json_object_get(call->body,
							     "policy"));
	const struct job_object *job = name == NULL ? NULL :
		config_job(call->api->config, name);

	if (job != NULL) {
		request->pool = job->pool;
		request->tiered = job->scan_cloudpool_files;
	}
}

void api_scan(struct api_call *call)
{
	struct scan_request request = { .source = SCAN_MANUAL };
	struct api_scanning *s = NULL;
	struct tevent_req *subreq = NULL;
	json_t *ignore = NULL;

	if (!api_body(call, api_scan_fields)) {
		return;
	}
	request.path = api_path(call, "file", json_string_value(
		json_object_get(call->body, "file")));
	if (request.path == NULL ||
	    !api_scan_selftest_name(call, request.path)) {
		return;
	}
	request.tiered = zones_tiered(call->api->zones, request.path);
	api_scan_policy(call, &request);
	if (!api_scan_server(call, &request)) {
		return;
	}
	s = api_scan_begin(call);
	if (s == NULL) {
		return;
	}
	ignore = json_object_get(call->body, "ignore_previous_scan_status");
	request.ignore_previous = ignore == NULL || json_is_true(ignore);
	if (s->selftest) {
		request.source = SCAN_SELFTEST;
	}
	request.user = call->user;
	request.client = "API";
	request.report = report_part_id(s->part);
	s->request = request;
	if (scan_request_keep(s, &s->request)) {
		subreq = scan_send(s, s->api->ev, s->api->scans, &s->request);
	}
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		talloc_free(s);
		return;
	}
	tevent_req_set_callback(subreq, api_scanned, s);
}

static void api_scan_count(struct api_scanning *s,
			   const struct scan_answer *a)
{
	const struct report_scan scan = {
		.verdict = &a->verdict,
		.duration = a->duration,
		.from_record = a->from_record,
		.tiered = a->tiered,
		.selftest = s->selftest,
		.bytes_fetched = a->bytes_fetched,
		.bytes_handed = a->bytes_sent,
		.bytes_passed = a->bytes_passed,
	};

	report_part_add(s->part, &scan);
}

/* Which answer is that of the whole file? */
static unsigned int api_scan_badness(const struct verdict *v)
{
	if (verdict_denied(v)) {
		return 4;
	}
	switch (v->result) {
	case VERDICT_FAILED:
		return 3;
	case VERDICT_UNSCANNABLE:
		return 2;
	case VERDICT_SKIPPED:
		return 1;
	default:
		return 0;
	}
}

static void api_scan_stream(void *private_data, const struct scan_answer *a)
{
	struct api_scanning *s = talloc_get_type_abort(private_data,
						       struct api_scanning);
	uint32_t duration = s->answer.duration + a->duration;

	if (a->verdict.result == VERDICT_FAILED &&
	    a->verdict.reason == VERDICT_REASON_GONE) {
		return;		/* it was taken away meanwhile */
	}
	api_scan_count(s, a);
	if (api_scan_badness(&a->verdict) >
	    api_scan_badness(&s->answer.verdict)) {
		s->answer = *a;
		s->answer.path = talloc_strdup(s, a->path);
	}
	s->answer.duration = duration;
}

static void api_scan_error(struct api_scanning *s, int error)
{
	if (s->call != NULL) {
		api_error(s->call, 500, NULL, "%s", strerror(error));
	}
	talloc_free(s);
}

static void api_scan_end(struct api_scanning *s)
{
	struct tevent_req *subreq = NULL;

	s->report = talloc_strdup(s, report_part_id(s->part));
	subreq = report_part_end_send(s, s->part);
	TALLOC_FREE(s->part);
	if (s->report == NULL || subreq == NULL) {
		api_scan_error(s, ENOMEM);
		return;
	}
	tevent_req_set_callback(subreq, api_scan_reported, s);
}

static void api_scanned(struct tevent_req *subreq)
{
	struct api_scanning *s = tevent_req_callback_data(
		subreq, struct api_scanning);
	const struct verdict *v = &s->answer.verdict;
	int ret = scan_recv(subreq, s, &s->answer);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_scan_error(s, ret);
		return;
	}
	api_scan_count(s, &s->answer);
	if (s->selftest || (v->result == VERDICT_FAILED &&
			    (v->reason == VERDICT_REASON_GONE ||
			     v->reason == VERDICT_REASON_NOT_REGULAR ||
			     v->reason == VERDICT_REASON_OUTSIDE))) {
		api_scan_end(s);
		return;
	}
	s->request.have_ident = s->answer.ident.ino != 0;
	s->request.ident = s->answer.ident;
	s->request.path = s->answer.path;
	subreq = scan_streams_send(s, s->api->ev, s->api->scans,
				   &s->request, api_scan_stream, s);
	if (subreq == NULL) {
		api_scan_error(s, ENOMEM);
		return;
	}
	tevent_req_set_callback(subreq, api_streams_scanned, s);
}

static void api_streams_scanned(struct tevent_req *subreq)
{
	struct api_scanning *s = tevent_req_callback_data(
		subreq, struct api_scanning);
	uint32_t count = 0;
	const struct scan_answer unread = {
		.path = s->answer.path,
		.verdict = { .result = VERDICT_FAILED,
			     .reason = VERDICT_REASON_IO },
	};
	int ret = scan_streams_recv(subreq, &count);

	TALLOC_FREE(subreq);
	if (ret != 0 && s->answer.verdict.result != VERDICT_FAILED) {
		api_scan_stream(s, &unread);
	}
	api_scan_end(s);
}

static void api_scan_answer(struct api_call *call,
			    const struct api_scanning *s)
{
	const struct scan_answer *a = &s->answer;
	const struct verdict *v = &a->verdict;
	json_t *path = json_string(a->path == NULL ? "" : a->path);

	if (path == NULL) {	/* it is no UTF-8 */
		path = json_string(uri_of_path(call, a->path));
	}
	api_reply(call, 200, json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I,"
		" s:b}",
		"report_id", s->report,
		"result", verdict_result_text(v->result),
		"reason", verdict_reason_text(v->reason),
		"file", path,
		"threat", api_text(v->threat), "server", api_text(v->server),
		"engine", api_text(v->engine),
		"size", (json_int_t)v->content.size,
		"duration", (json_int_t)a->duration,
		"scan_time", (json_int_t)(v->scan_time / 1000000000),
		"signature_timestamp", (json_int_t)v->signature_time,
		"from_record", (int)a->from_record));
}

static void api_scan_reported(struct tevent_req *subreq)
{
	struct api_scanning *s = tevent_req_callback_data(
		subreq, struct api_scanning);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		log_error("report %s cannot be kept: %s", s->report,
			  strerror(ret));
	}
	if (s->call != NULL) {
		api_scan_answer(s->call, s);
	}
	talloc_free(s);
}
