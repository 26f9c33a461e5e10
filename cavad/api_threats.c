/*
 * Threats over the API: what was found, and its release.
 *
 * Fields as OneFS's threat reports have them, ours beside them. A list looks
 * at THREATS_LOOKS rows at most, so a page of a filtered list may be short,
 * or empty, and still have a `resume`.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/api_allow.h"
#include "cavad/api_page.h"
#include "cavad/quarantine.h"
#include "common/uri.h"

#define THREATS_LOOKS 10000

json_t *api_file(struct api_call *call, const char *path)
{
	json_t *json = json_string(path);

	return json != NULL ? json : json_string(uri_of_path(call, path));
}

json_t *api_digest(const uint8_t digest[DIGEST_SIZE])
{
	char hex[2 * DIGEST_SIZE + 1] = "";
	size_t i = 0;

	for (i = 0; i < DIGEST_SIZE; i++) {
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	}
	return json_string(hex);
}

static json_t *threat_json(struct api_call *call, const struct threat *t)
{
	return json_pack(
		"{s:o, s:o, s:s, s:o, s:o, s:s, s:I, s:s, s:o, s:o, s:s, s:o,"
		" s:o, s:o, s:I, s:I, s:I, s:o, s:o}",
		"id", json_sprintf("%" PRIu64, t->id),
		"scan_id", api_text(t->report),
		"policy_id", "",
		"file", api_file(call, t->path),
		"threat", api_text(t->threat),
		"remediation", threat_remediation(t->state),
		"time", (json_int_t)(t->found / 1000000000),
		"state", threat_state_text(t->state),
		"server", api_text(t->server),
		"engine", api_text(t->engine),
		"source", t->source,
		"user", api_text(t->user),
		"client", api_text(t->client),
		"share", api_text(t->share),
		"last_seen", (json_int_t)(t->last / 1000000000),
		"count", (json_int_t)t->count,
		"size", (json_int_t)t->content.size,
		"hash", t->hashed ? api_digest(t->digest) : json_null(),
		"allow", t->allow == 0 ? json_null() :
			 json_sprintf("%" PRIu64, t->allow));
}

static json_t *threat_history_json(const struct threat *t)
{
	json_t *list = json_array();
	uint32_t i = 0;

	for (i = 0; i < t->changes; i++) {
		const struct threat_change *c = &t->history[i];

		json_array_append_new(list, json_pack(
			"{s:I, s:s, s:o, s:o}",
			"time", (json_int_t)(c->when / 1000000000),
			"state", threat_state_text(c->state),
			"who", api_text(c->who), "why", api_text(c->why)));
	}
	return list;
}

/* --- list --- */

enum { FILTER_FILE, FILTER_REMEDIATION, FILTER_SCAN, FILTER_STATE };

static const char *const threat_filters[] = {
	[FILTER_FILE] = "file", [FILTER_REMEDIATION] = "remediation",
	[FILTER_SCAN] = "scan_id", [FILTER_STATE] = "state", NULL
};

struct threats_page {
	struct api_call *call;
	const struct api_page *page;
	json_t *rows;
	uint64_t skip;
};

/* The file, or a directory above it. */
static bool threat_below(const char *path, const char *file)
{
	size_t len = strlen(file);

	while (len > 0 && file[len - 1] == '/') {
		len--;
	}
	return strncmp(path, file, len) == 0 &&
		(path[len] == '\0' || path[len] == '/');
}

static bool threat_wanted(const struct api_page *page,
			  const struct threat *t)
{
	const char *const *f = page->filters;

	return (f[FILTER_FILE] == NULL ||
		threat_below(t->path, f[FILTER_FILE])) &&
		(f[FILTER_REMEDIATION] == NULL ||
		 strcmp(threat_remediation(t->state),
			f[FILTER_REMEDIATION]) == 0) &&
		(f[FILTER_STATE] == NULL ||
		 strcmp(threat_state_text(t->state), f[FILTER_STATE]) == 0);
}

static bool threats_row(void *private_data, struct threat *t)
{
	struct threats_page *p = private_data;

	if (!threat_wanted(p->page, t)) {
		return true;
	}
	if (p->skip > 0) {
		p->skip--;
		return true;
	}
	json_array_append_new(p->rows, threat_json(p->call, t));
	return json_array_size(p->rows) < p->page->limit;
}

/* False: there is no such state, and the call is answered. */
static bool threat_filter_known(struct api_call *call, const char *name,
				const char *value,
				const char *(*text)(enum threat_state state))
{
	char *accepted = talloc_strdup(call, "");
	enum threat_state state = THREAT_INFECTED;

	for (state = 0; state < THREAT_STATE_COUNT; state++) {
		if (value == NULL || strcmp(value, text(state)) == 0) {
			return true;
		}
		accepted = talloc_asprintf(call, "%s%s%s", accepted,
					   state == 0 ? "" : ", ",
					   text(state));
	}
	api_error(call, 400, name, "%s = \"%.100s\": not one of %s", name,
		  value, accepted);
	return false;
}

void api_threat_list(struct api_call *call)
{
	static const char *const sorts[] = { "time", "id", NULL };
	static const struct api_page_spec spec = {
		.sorts = sorts, .descending = true, .filters = threat_filters,
		.sorts_why = "as many as there may be, they are read in the "
			"order in which they were found; file, remediation, "
			"scan_id and state narrow the list",
	};
	struct threats_range range = { .looks = THREATS_LOOKS };
	struct threats_page p = { .call = call };
	struct api_page page;
	uint64_t last = 0;
	uint64_t total = 0;
	int ret = 0;

	if (!api_page(call, &spec, &page) ||
	    !threat_filter_known(call, "state", page.filters[FILTER_STATE],
				 threat_state_text) ||
	    !threat_filter_known(call, "remediation",
				 page.filters[FILTER_REMEDIATION],
				 threat_remediation)) {
		return;
	}
	range.from = page.after == NULL ? 0 : strtoull(page.after, NULL, 10);
	range.oldest_first = !page.descending;
	range.report = page.filters[FILTER_SCAN];
	p.page = &page;
	p.skip = page.offset;
	p.rows = json_array();
	range.looks += page.offset;
	ret = threats_each(call->api->threats, &range, threats_row, &p,
			   &last);
	ret = ret != 0 ? ret : threats_count(call->api->threats, &total);
	if (ret != 0) {
		json_decref(p.rows);
		api_error_store(call, ret);
		return;
	}
	api_page_reply(call, &page, "reports", p.rows, last == 0 ? NULL :
		       talloc_asprintf(call, "%" PRIu64, last), total);
}

/* --- one --- */

/* The row of an id; NULL: the call is answered. */
static struct threat *threat_of(struct api_call *call, const char *text)
{
	struct threat *t = NULL;
	char *end = NULL;
	uint64_t id = 0;

	errno = 0;
	id = strtoull(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && text[0] != '-') {
		t = threats_get(call->api->threats, call, id);
	}
	if (t == NULL) {
		api_error(call, 404, "id", "there is no threat %s", text);
	}
	return t;
}

void api_threat_view(struct api_call *call)
{
	struct threat *t = threat_of(call, call->tail);
	json_t *json = NULL;

	if (t == NULL) {
		return;
	}
	json = threat_json(call, t);
	json_object_set_new(json, "history", threat_history_json(t));
	api_reply(call, 200, json_pack("{s:[o]}", "reports", json));
}

/* --- release: an entry of the allow-list, and the end of a quarantine --- */

struct threat_release {
	struct api_call *call;
	struct threat *t;
	const char *reason;
	enum allow_kind kind;
	uint64_t entry;
};

static void threat_released(struct tevent_req *subreq);
static void threat_lifted(struct tevent_req *subreq);

static void threat_release_done(struct threat_release *r)
{
	struct api_call *call = r->call;
	struct api *api = call->api;

	(void)threats_change(api->threats, r->t->id, THREAT_ALLOWED, r->entry,
			     call->user, r->reason);
	api_audit(call, talloc_asprintf(call, "threat %" PRIu64, r->t->id),
		  "%s in %s released by %s, entry %" PRIu64 " of the "
		  "allow-list: %s", r->t->threat, r->t->path,
		  allow_kind_text(r->kind), r->entry, r->reason);
	api_reply(call, 200, json_pack(
		"{s:o, s:o, s:s, s:o, s:o}",
		"id", json_sprintf("%" PRIu64, r->t->id),
		"allow", json_sprintf("%" PRIu64, r->entry),
		"kind", allow_kind_text(r->kind),
		"file", api_file(call, r->t->path),
		"threat", api_text(r->t->threat)));
}

/* By its content if that is known; then other files with it stay as is. */
static bool threat_entry(struct api_call *call, const struct threat *t,
			 enum allow_kind kind, struct allow *entry)
{
	*entry = (struct allow) {
		.kind = kind, .ident = t->ident, .content = t->content,
		.hashed = t->hashed, .path = t->path, .threat = t->threat,
		.author = call->user,
	};
	memcpy(entry->digest, t->digest, sizeof(entry->digest));
	if (kind == ALLOW_HASH && !t->hashed) {
		api_error(call, 409, "kind", "threat %" PRIu64 " has no hash "
			  "(larger than 1 GiB, or a named stream found by its "
			  "bytes alone): release it by file or threat", t->id);
		return false;
	}
	if (t->threat[0] == '\0') {
		api_error(call, 409, "id", "threat %" PRIu64 " was "
			  "quarantined by hand, and nothing was found in it: "
			  "cavactl quarantine release %s", t->id, t->path);
		return false;
	}
	return true;
}

const struct api_field api_release_fields[] = {
	{ "id", JSON_STRING, true, 20 },
	{ "kind", JSON_STRING, false, 10 },
	{ "reason", JSON_STRING, true, ALLOW_TEXT_MAX },
	{ "expires", JSON_INTEGER, false, 0 },
	{ NULL, JSON_NULL, false, 0 }
};

void api_threat_release(struct api_call *call)
{
	struct threat_release *r = NULL;
	struct tevent_req *subreq = NULL;
	struct allow entry;

	if (!api_body(call, api_release_fields)) {
		return;
	}
	r = talloc_zero(call, struct threat_release);
	if (r == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	r->t = threat_of(call, json_string_value(
		json_object_get(call->body, "id")));
	if (r->t == NULL) {
		return;
	}
	r->call = call;
	r->kind = ALLOW_FILE;
	if (!api_allow_kind(call, &r->kind) ||
	    !threat_entry(call, r->t, r->kind, &entry) ||
	    !api_allow_terms(call, &entry)) {
		return;
	}
	r->reason = entry.reason;
	subreq = allows_add_send(r, call->api->ev, call->api->allows, &entry);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, threat_released, r);
}

static void threat_released(struct tevent_req *subreq)
{
	struct threat_release *r =
		tevent_req_callback_data(subreq, struct threat_release);
	struct api *api = r->call->api;
	struct quarantine_request lift = {
		.have_ident = true,
		.ident = r->t->ident,
		.path = r->t->path,
		.who = r->call->user,
		.why = r->reason,
	};
	int ret = allows_recv(subreq, &r->entry);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_allow_error(r->call, ret);
		return;
	}
	if (r->t->state != THREAT_QUARANTINED) {
		threat_release_done(r);
		return;
	}
	subreq = quarantine_send(r, api->ev, api->files, api->store,
				 api->threats, &lift);
	if (subreq == NULL) {
		api_error(r->call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, threat_lifted, r);
}

static void threat_lifted(struct tevent_req *subreq)
{
	struct threat_release *r =
		tevent_req_callback_data(subreq, struct threat_release);
	struct quarantine_result result = { .status = FILES_IO };
	int ret = quarantine_recv(subreq, r, &result);

	TALLOC_FREE(subreq);
	if (ret != 0 || (result.status != FILES_OK &&
			 result.status != FILES_GONE)) {
		api_error(r->call, 409, NULL, "entry %" PRIu64 " of the "
			  "allow-list was made, but the quarantine of %s "
			  "could not be lifted: %s", r->entry, r->t->path,
			  strerror(ret != 0 ? ret : result.error));
		return;
	}
	threat_release_done(r);
}

/* --- scanned once more --- */

static void threat_rescanned(struct tevent_req *subreq);

const struct api_field api_rescan_fields[] = {
	{ "id", JSON_STRING, true, 20 },
	{ NULL, JSON_NULL, false, 0 }
};

void api_threat_rescan(struct api_call *call)
{
	struct scan_request request = { .source = SCAN_MANUAL };
	struct tevent_req *subreq = NULL;
	struct threat *t = NULL;

	if (!api_body(call, api_rescan_fields)) {
		return;
	}
	t = threat_of(call, json_string_value(json_object_get(call->body,
							      "id")));
	if (t == NULL) {
		return;
	}
	request.have_ident = true;
	request.ident = t->ident;
	request.path = t->path;
	request.ignore_previous = true;
	request.tiered = true;
	request.user = call->user;
	request.client = "API";
	subreq = scan_send(call, call->api->ev, call->api->scans, &request);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, threat_rescanned, call);
}

static void threat_rescanned(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	struct scan_answer a = { .path = NULL };
	int ret = scan_recv(subreq, call, &a);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_error(call, 500, NULL, "%s", strerror(ret));
		return;
	}
	api_reply(call, 200, json_pack(
		"{s:s, s:s, s:o, s:o, s:o}",
		"result", verdict_result_text(a.verdict.result),
		"reason", verdict_reason_text(a.verdict.reason),
		"file", api_file(call, a.path),
		"threat", api_text(a.verdict.threat),
		"server", api_text(a.verdict.server)));
}
