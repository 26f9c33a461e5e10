/*
 * GET /platform/11/avscan/zones: which zones there are, what belongs to
 * them, and which profile they have.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
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

	if (filter == NULL) {
		object_defaults(frame, &object_filter, &object);
		filter = &object;
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
