/*
 * /platform/11/avscan/zones: which zones there are, what belongs to them, and
 * which profile they have; making one, and taking one away again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/api_private.h"

/* A path may be no UTF-8. */
static json_t *api_zone_text(const char *text)
{
	json_t *json = json_string(text);

	return json != NULL ? json : json_string("(not UTF-8)");
}

static json_t *api_zone_shares(const struct zone_share *share)
{
	json_t *list = json_array();

	for (; share->name != NULL; share++) {
		json_array_append_new(list, json_pack(
			"{s:o, s:o}", "name", api_zone_text(share->name),
			"root", api_zone_text(share->root)));
	}
	return list;
}

static json_t *api_zone(const struct config *config,
			const struct zone_status *z)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct filter_object object = { .name = z->name };
	const struct filter_object *filter = config_zone(config, z->name);
	char *profile = NULL;
	json_t *json = NULL;
	int ret = 0;

	if (filter == NULL) {
		filter = &object;
		ret = object_defaults(frame, &object_filter, &object);
	}
	if (ret != 0) {
		talloc_free(frame);
		return NULL;
	}
	profile = object_get(frame, &object_filter, filter, "scan_profile");
	json = json_pack("{s:s, s:b, s:s?, s:b, s:I, s:o}",
			 "zone_name", z->name,
			 "filter_enabled", (int)filter->filter_enabled,
			 "scan_profile", profile,
			 "configured", (int)z->configured,
			 "connections", (json_int_t)z->connections,
			 "shares", api_zone_shares(z->shares));
	talloc_free(frame);
	return json;
}

void api_zones(struct api_call *call)
{
	struct zone_status z;
	json_t *list = json_array();
	unsigned int i = 0;

	for (i = 0; zone_status(call->api->zones, i, &z); i++) {
		json_array_append_new(list, api_zone(call->api->config, &z));
	}
	api_reply(call, 200, json_pack("{s:o, s:i}", "zones", list, "total",
				       (int)i));
}

/* --- changes: committed before they are answered --- */

const struct api_field api_zone_fields[] = {
	{ "zone_name", JSON_STRING, true, 255 },
	{ NULL, JSON_NULL, false, 0 }
};

static void api_zone_added(struct tevent_req *subreq);
static void api_zone_removed(struct tevent_req *subreq);

static void api_zone_refused(struct api_call *call, int status,
			     const char *why)
{
	if (why == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	api_error(call, status, "zone_name", "%s", why);
}

void api_zone_add(struct api_call *call)
{
	struct tevent_req *subreq = NULL;
	const char *name = NULL;
	char *why = NULL;

	if (!api_body(call, api_zone_fields)) {
		return;
	}
	name = json_string_value(json_object_get(call->body, "zone_name"));
	subreq = zone_add_send(call, call->api->ev, call->api->zones, name,
			       &why);
	if (subreq == NULL) {
		api_zone_refused(call, 400, why);
		return;
	}
	tevent_req_set_callback(subreq, api_zone_added, call);
}

static void api_zone_added(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	const char *name = NULL;
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	name = json_string_value(json_object_get(call->body, "zone_name"));
	api_audit(call, talloc_asprintf(call, "zone %s", name), "added");
	api_reply(call, 201, json_pack(
		"{s:O}", "id", json_object_get(call->body, "zone_name")));
}

void api_zone_remove(struct api_call *call)
{
	char *why = NULL;
	struct tevent_req *subreq = zone_remove_send(
		call, call->api->ev, call->api->zones, call->tail, &why);

	if (subreq == NULL) {
		api_zone_refused(call, 409, why);
		return;
	}
	tevent_req_set_callback(subreq, api_zone_removed, call);
}

static void api_zone_removed(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0 && ret != ENOENT) {
		api_error_store(call, ret);
		return;
	}
	api_audit(call, talloc_asprintf(call, "zone %s", call->tail),
		  "removed");
	api_reply(call, 204, NULL);
}
