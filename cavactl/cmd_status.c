/*
 * cavactl status: is it working, and if not, why.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavactl/cavactl.h"

static const struct output_column status_servers[] = {
	{ "SERVER", "server_name", OUT_TEXT },
	{ "POOL", "pool", OUT_TEXT },
	{ "STATE", "server_state", OUT_TEXT },
	{ "TYPE", "server_type", OUT_TEXT },
	{ "ANTIVIRUS", "av_vendor", OUT_TEXT },
	{ "SIGNATURES", "signature_timestamp", OUT_TEXT },
	{ "CONN", "connections", OUT_NUMBER },
	{ "SCANS", "scan_requests", OUT_NUMBER },
	{ "SCAN MS", "scan_rtt", OUT_NUMBER },
	{ "BEAT MS", "heartbeat_rtt", OUT_NUMBER },
	{ NULL, NULL, 0 }
};

static const struct output_column status_values[] = {
	{ "NAME", "name", OUT_TEXT },
	{ "VALUE", "value", OUT_TEXT },
	{ NULL, NULL, 0 }
};

/* What is worth a line; everything else is in --format json. */
static const struct {
	const char *name;
	const char *text;
} status_counters[] = {
	{ "all_scan_requests", "scans asked for" },
	{ "scan_current", "answered from a current verdict" },
	{ "cee_success_count", "clean answers" },
	{ "cee_infected_count", "infected answers" },
	{ "cee_failure_count", "failed answers" },
	{ "scan_fails", "scans without a verdict" },
	{ "scan_timeouts", "timeouts" },
	{ "scan_refused", "refused, scan_maximum being reached" },
	{ "files_skipped_per_size", "skipped, too large" },
	{ "files_skipped_per_filter", "skipped by the filter of the zone" },
	{ "files_skipped_profile", "of those, since its profile says so" },
	{ "files_skipped_extension", "of those, by extension" },
	{ "files_skipped_path", "of those, by path" },
	{ "files_skipped_exempt", "of those, to exempt accounts and hosts" },
	{ "files_skipped_tiered", "of those, tiered" },
	{ "scan_changed", "scanned again, the file changed" },
	{ "avg_scan_duration", "ms a scan, on average" },
	{ "avg_scan_block_time", "ms an SMB operation waited, on average" },
	{ "check_refused", "accesses to the check share refused" },
};

static long long status_number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static const char *status_string(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s == NULL ? "" : s;
}

static void status_events(const json_t *node)
{
	const json_t *events = json_object_get(node, "events");
	const json_t *e = NULL;
	size_t i = 0;

	if (json_array_size(events) == 0) {
		return;
	}
	printf("\n");
	json_array_foreach(events, i, e) {
		char since[64];

		output_time(since, sizeof(since), status_number(e, "since"));
		printf("%s: ", status_string(e, "severity"));
		output_text(stdout, status_string(e, "message"));
		printf(", since %s", since);
		if (status_number(e, "count") > 1) {
			printf(", %lld times", status_number(e, "count"));
		}
		printf("\n");
	}
}

static void status_details(const json_t *servers)
{
	const json_t *s = NULL;
	size_t i = 0;

	json_array_foreach(servers, i, s) {
		const char *detail = status_string(s, "detail");

		if (detail[0] == '\0' ||
		    strcmp(status_string(s, "server_state"), "online") == 0) {
			continue;
		}
		printf("%s: ", status_string(s, "server_name"));
		output_text(stdout, detail);
		printf("\n");
	}
}

static void status_print(const json_t *node)
{
	const json_t *stats = json_object_get(node, "system_stats");
	const json_t *servers = json_object_get(node, "server_status");
	size_t i = 0;

	printf("cavad %s: %s\n", status_string(node, "cavad_version"),
	       status_string(node, "system_status"));
	printf("SMB connections: %lld, scans pending: %lld, check share: "
	       "%s\n", status_number(node, "smb_connections"),
	       status_number(node, "pending_scans"),
	       status_string(node, "check_share"));
	printf("queues: fast %lld, slow %lld, owed %lld, batch %lld\n",
	       status_number(stats, "fast_file_queue_size"),
	       status_number(stats, "slow_file_queue_size"),
	       status_number(stats, "owed_file_queue_size"),
	       status_number(stats, "batch_file_queue_size"));
	status_events(node);
	printf("\n");
	output_table(servers, status_servers);
	status_details(servers);
	printf("\n");
	for (i = 0; i < sizeof(status_counters) / sizeof(status_counters[0]);
	     i++) {
		printf("%10lld  %s\n",
		       status_number(stats, status_counters[i].name),
		       status_counters[i].text);
	}
}

/* A line a number: of the node first, then its counters. */
static void status_csv(const json_t *node)
{
	const json_t *const parts[] = {
		node, json_object_get(node, "system_stats")
	};
	json_t *rows = json_array();
	json_t *value = NULL;
	const char *name = NULL;
	size_t i = 0;

	for (i = 0; i < 2; i++) {
		json_object_foreach((json_t *)parts[i], name, value) {
			if (!json_is_array(value) && !json_is_object(value)) {
				json_array_append_new(rows, json_pack(
					"{s:s, s:O}", "name", name,
					"value", value));
			}
		}
	}
	output_csv(rows, status_values);
	json_decref(rows);
}

static enum cavactl_exit status(const struct cavactl *ctl, const char **args)
{
	json_t *reply = NULL;
	const json_t *node = NULL;
	enum cavactl_exit ret = cavactl_call(
		ctl, "GET", "/platform/11/avscan/nodes/local/status", NULL,
		&reply);

	(void)args;
	if (ret != CAVACTL_OK) {
		return ret;
	}
	node = json_object_get(json_array_get(json_object_get(
		reply, "nodes"), 0), "status");
	switch (ctl->format) {
	case OUTPUT_JSON:
		output_json(reply);
		break;
	case OUTPUT_CSV:
		status_csv(node);
		break;
	case OUTPUT_TEXT:
		status_print(node);
		break;
	}
	json_decref(reply);
	return CAVACTL_OK;
}

const struct cavactl_command commands_status[] = {
	{ "status", "", 0, 0,
	  "servers, queues, counters, and what is wrong", status,
	  .examples = "status --watch\n"
		      "status --format=json | jq .nodes[0].status.events",
	  .watch = true },
	{ NULL }
};
