/*
 * The allow-list over the API.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api_allow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cavad/api_page.h"
#include "cavad/hash.h"
#include "common/uri.h"

#define ALLOW_PATH_MAX 4096

void api_allow_error(struct api_call *call, int error)
{
	if (error == E2BIG) {
		api_error(call, 409, NULL, "the allow-list has %d entries, "
			  "which is the most: remove some", ALLOW_MAX);
		return;
	}
	if (error == ENOENT) {
		api_error(call, 404, "id", "the allow-list has no entry %s",
			  call->tail);
		return;
	}
	api_error_store(call, error);
}

bool api_allow_kind(struct api_call *call, enum allow_kind *kind)
{
	const char *text = json_string_value(json_object_get(call->body,
							     "kind"));

	if (text == NULL || allow_kind_of(text, kind)) {
		return true;
	}
	api_error(call, 400, "kind", "kind is %s; accepted: file, hash, "
		  "threat", text);
	return false;
}

bool api_allow_terms(struct api_call *call, struct allow *entry)
{
	json_t *expires = json_object_get(call->body, "expires");

	entry->made = (int64_t)time(NULL);
	entry->author = call->user;
	entry->reason = json_string_value(json_object_get(call->body,
							  "reason"));
	if (expires == NULL) {
		return true;
	}
	entry->expires = json_integer_value(expires);
	if (entry->expires > entry->made && entry->expires <= UINT32_MAX) {
		return true;
	}
	api_error(call, 400, "expires", "expires is %lld; accepted: seconds "
		  "since the epoch, later than now (%lld)",
		  (long long)entry->expires, (long long)entry->made);
	return false;
}

/* --- list --- */

static json_t *allow_json(struct api_call *call, const struct allow *e)
{
	return json_pack(
		"{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o}",
		"id", json_sprintf("%" PRIu64, e->id),
		"kind", allow_kind_text(e->kind),
		"file", api_file(call, e->path),
		"hash", e->hashed && e->kind != ALLOW_THREAT ?
			api_digest(e->digest) : json_null(),
		"threat", api_text(e->threat),
		"reason", api_text(e->reason),
		"author", api_text(e->author),
		"made", (json_int_t)e->made,
		"expires", e->expires == 0 ? json_null() :
			   json_integer((json_int_t)e->expires));
}

void api_allow_list(struct api_call *call)
{
	static const char *const sorts[] = {
		"made", "expires", "kind", "author", NULL
	};
	static const struct api_page_spec spec = { .sorts = sorts };
	const struct allow *e = NULL;
	json_t *rows = json_array();
	unsigned int i = 0;

	while ((e = allows_entry(call->api->allows, i++)) != NULL) {
		json_array_append_new(rows, allow_json(call, e));
	}
	api_page_list(call, &spec, "allow", rows);
}

/* --- add --- */

struct allow_add {
	struct api_call *call;
	struct allow entry;
	int fd;
};

static void allow_found(struct tevent_req *subreq);
static void allow_hashed(struct tevent_req *subreq);
static void allow_added(struct tevent_req *subreq);

static int allow_add_destructor(struct allow_add *add)
{
	if (add->fd != -1) {
		close(add->fd);
	}
	return 0;
}

static void allow_put(struct allow_add *add)
{
	struct api *api = add->call->api;
	struct tevent_req *subreq = allows_add_send(add, api->ev, api->allows,
						    &add->entry);

	if (subreq == NULL) {
		api_error(add->call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, allow_added, add);
}

static void allow_added(struct tevent_req *subreq)
{
	struct allow_add *add = tevent_req_callback_data(subreq,
							 struct allow_add);
	struct api_call *call = add->call;
	const struct allow *e = &add->entry;
	uint64_t id = 0;
	int ret = allows_recv(subreq, &id);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_allow_error(call, ret);
		return;
	}
	api_audit(call, talloc_asprintf(call, "allow %" PRIu64, id),
		  "added by %s%s%s: %s", allow_kind_text(e->kind),
		  e->kind == ALLOW_HASH ? "" : " ",
		  e->kind == ALLOW_FILE ? e->path :
		  e->kind == ALLOW_THREAT ? e->threat : "", e->reason);
	api_reply(call, 201, json_pack("{s:o}", "id",
				       json_sprintf("%" PRIu64, id)));
}

/* 64 hex digits of the body; false: the call is answered. */
static bool allow_hash(struct api_call *call, struct allow *entry)
{
	const char *hex = json_string_value(json_object_get(call->body,
							    "hash"));
	size_t i = 0;

	if (hex == NULL || strlen(hex) != 2 * DIGEST_SIZE ||
	    strspn(hex, "0123456789abcdefABCDEF") != 2 * DIGEST_SIZE) {
		api_error(call, 400, "hash", "hash is %s; accepted: SHA-256, "
			  "64 hex digits", hex == NULL ? "missing" : hex);
		return false;
	}
	for (i = 0; i < DIGEST_SIZE; i++) {
		unsigned int byte = 0;

		(void)sscanf(hex + 2 * i, "%2x", &byte);
		entry->digest[i] = (uint8_t)byte;
	}
	entry->hashed = true;
	return true;
}

/* The file's identity and hash are found out first. */
static void allow_file(struct allow_add *add)
{
	struct api_call *call = add->call;
	const char *file = json_string_value(json_object_get(call->body,
							     "file"));
	struct files_begin begin = { .want_fd = true };
	struct tevent_req *subreq = NULL;
	char *path = NULL;

	if (file != NULL && uri_is(file) && uri_path(add, file, &path) == 0) {
		file = path;
	}
	if (file == NULL || file[0] != '/' ||
	    strlen(file) >= ALLOW_PATH_MAX) {
		api_error(call, 400, "file", "file is %s; accepted: an "
			  "absolute path below check_root (%s), or a URI of "
			  "it (file:///...)", file == NULL ? "missing" : file,
			  call->api->config->settings.check_root);
		return;
	}
	begin.path = file;
	subreq = files_begin_send(add, call->api->ev, call->api->files,
				  &begin);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, allow_found, add);
}

static void allow_found(struct tevent_req *subreq)
{
	struct allow_add *add = tevent_req_callback_data(subreq,
							 struct allow_add);
	struct files_begun begun = { .fd = -1 };
	int ret = files_begin_recv(subreq, add, &begun);

	TALLOC_FREE(subreq);
	if (ret != 0 || begun.status != FILES_OK) {
		api_error(add->call, begun.status == FILES_GONE ? 404 : 409,
			  "file", "%s: %s",
			  json_string_value(json_object_get(add->call->body,
							    "file")),
			  api_files_text(ret, begun.status, begun.error));
		return;
	}
	add->fd = begun.fd;
	add->entry.ident = begun.ident;
	add->entry.content = begun.content;
	add->entry.path = begun.path;
	add->entry.threat = begun.have_record ?
		talloc_strdup(add, begun.record.threat) : "";
	subreq = hash_send(add, add->call->api->ev, add->fd);
	if (subreq == NULL || add->entry.threat == NULL) {
		api_error(add->call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, allow_hashed, add);
}

/* One that is too large for a hash is allowed until anything of it moves. */
static void allow_hashed(struct tevent_req *subreq)
{
	struct allow_add *add = tevent_req_callback_data(subreq,
							 struct allow_add);
	int ret = hash_recv(subreq, add->entry.digest);

	TALLOC_FREE(subreq);
	add->entry.hashed = ret == 0;
	allow_put(add);
}

const struct api_field api_allow_fields[] = {
	{ "kind", JSON_STRING, true, 10 },
	{ "file", JSON_STRING, false, 3 * ALLOW_PATH_MAX },
	{ "hash", JSON_STRING, false, 2 * DIGEST_SIZE },
	{ "threat", JSON_STRING, false, VERDICT_TEXT_MAX - 1 },
	{ "reason", JSON_STRING, true, ALLOW_TEXT_MAX },
	{ "expires", JSON_INTEGER, false, 0 },
	{ NULL, JSON_NULL, false, 0 }
};

void api_allow_add(struct api_call *call)
{
	struct allow_add *add = NULL;
	const char *threat = NULL;

	if (!api_body(call, api_allow_fields)) {
		return;
	}
	add = talloc_zero(call, struct allow_add);
	if (add == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	add->call = call;
	add->fd = -1;
	talloc_set_destructor(add, allow_add_destructor);
	add->entry.path = "";
	threat = json_string_value(json_object_get(call->body, "threat"));
	add->entry.threat = threat == NULL ? "" : threat;
	if (!api_allow_kind(call, &add->entry.kind) ||
	    !api_allow_terms(call, &add->entry)) {
		return;
	}
	if (add->entry.kind == ALLOW_FILE) {
		allow_file(add);
		return;
	}
	if (add->entry.kind == ALLOW_THREAT && threat == NULL) {
		api_error(call, 400, "threat", "threat is missing: the name "
			  "as the antivirus server gives it");
		return;
	}
	if (add->entry.kind == ALLOW_THREAT ||
	    allow_hash(call, &add->entry)) {
		allow_put(add);
	}
}

/* --- remove --- */

static void allow_removed(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	int ret = allows_recv(subreq, NULL);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_allow_error(call, ret);
		return;
	}
	api_audit(call, talloc_asprintf(call, "allow %s", call->tail),
		  "removed");
	api_reply(call, 204, NULL);
}

void api_allow_remove(struct api_call *call)
{
	struct tevent_req *subreq = NULL;
	char *end = NULL;
	uint64_t id = strtoull(call->tail, &end, 10);

	if (end == call->tail || *end != '\0') {
		api_allow_error(call, ENOENT);
		return;
	}
	subreq = allows_remove_send(call, call->api->ev, call->api->allows,
				    id);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, allow_removed, call);
}
