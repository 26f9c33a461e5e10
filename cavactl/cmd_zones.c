/*
 * cavactl zones: which shares have which filter, a line a share; a zone more
 * or less.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavactl/cavactl.h"

#define ZONES_PATH "/platform/11/avscan/zones"

static const struct output_column zones_columns[] = {
	{ "ZONE", "zone", OUT_TEXT },
	{ "PROFILE", "profile", OUT_TEXT },
	{ "FILTER", "filter", OUT_TEXT },
	{ "CONN", "connections", OUT_NUMBER },
	{ "SHARE", "share", OUT_TEXT },
	{ "ROOT", "root", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct output_column zones_added[] = {
	{ "ZONE", "id", OUT_TEXT },
	{ NULL, NULL, 0 }
};

/* A zone's share; its first one has what is true of the whole zone. */
static json_t *zones_row(const json_t *zone, const json_t *share, bool whole)
{
	bool enabled = json_is_true(json_object_get(zone, "filter_enabled"));
	bool configured = json_is_true(json_object_get(zone, "configured"));
	const char *profile = json_string_value(
		json_object_get(zone, "scan_profile"));
	json_t *row = json_object();

	json_object_set(row, "zone", json_object_get(zone, "zone_name"));
	if (whole) {
		json_object_set_new(row, "profile", json_string(
			enabled && profile != NULL ? profile : "off"));
		json_object_set_new(row, "filter", json_string(
			configured ? "own" : "defaults"));
		json_object_set(row, "connections",
				json_object_get(zone, "connections"));
	}
	if (share != NULL) {
		json_object_set(row, "share", json_object_get(share, "name"));
		json_object_set(row, "root", json_object_get(share, "root"));
	}
	return row;
}

static void zones_print(enum output_format format, const json_t *zones)
{
	json_t *rows = json_array();
	const json_t *zone = NULL;
	const json_t *share = NULL;
	size_t i = 0;
	size_t k = 0;

	json_array_foreach(zones, i, zone) {
		const json_t *shares = json_object_get(zone, "shares");

		if (json_array_size(shares) == 0) {
			json_array_append_new(rows, zones_row(zone, NULL,
							      true));
		}
		json_array_foreach(shares, k, share) {
			json_array_append_new(rows, zones_row(
				zone, share,
				k == 0 || format == OUTPUT_CSV));
		}
	}
	if (format == OUTPUT_CSV) {
		output_csv(rows, zones_columns);
	} else {
		output_table(rows, zones_columns);
	}
	json_decref(rows);
}

static enum cavactl_exit zones_list(const struct cavactl *ctl,
				    const char **args)
{
	json_t *reply = NULL;
	enum cavactl_exit ret = cavactl_call(
		ctl, "GET", ZONES_PATH, NULL, &reply);

	(void)args;
	if (ret != CAVACTL_OK) {
		return ret;
	}
	if (ctl->format == OUTPUT_JSON) {
		output_json(reply);
	} else {
		zones_print(ctl->format, json_object_get(reply, "zones"));
	}
	json_decref(reply);
	return CAVACTL_OK;
}

static enum cavactl_exit zones_add(const struct cavactl *ctl,
				   const char **args)
{
	json_t *body = json_pack("{s:s}", "zone_name", args[0]);
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_OK;

	if (body == NULL) {
		output_error("%s: not UTF-8", args[0]);
		return CAVACTL_REFUSED;
	}
	ret = cavactl_call(ctl, "POST", ZONES_PATH, body, &reply);
	if (ret == CAVACTL_OK && ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, reply, zones_added);
	} else if (ret == CAVACTL_OK) {
		printf("Shares with cava:zone = ");
		output_text(stdout, args[0]);
		printf(" belong to it; cavactl filters modify ");
		output_text(stdout, args[0]);
		printf(" changes its filter.\n");
	}
	json_decref(reply);
	json_decref(body);
	return ret;
}

static enum cavactl_exit zones_remove(const struct cavactl *ctl,
				      const char **args)
{
	enum cavactl_exit ret = cavactl_delete(ctl, ZONES_PATH, args[0]);

	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		printf("Zone ");
		output_text(stdout, args[0]);
		printf(" is gone.\n");
	}
	return ret;
}

const struct cavactl_command commands_zones[] = {
	{ "zones", "", 0, 0,
	  "zones, their shares, and the profile of each", zones_list,
	  .watch = true },
	{ "zones add", "ZONE", 1, 1,
	  "one with the default filter, before a share has it", zones_add,
	  .examples = "zones add projects" },
	{ "zones remove", "ZONE", 1, 1,
	  "one that no share uses any more", zones_remove,
	  .examples = "zones remove projects" },
	{ NULL }
};
