/*
 * cavactl status: is it working, and if not, why.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavactl/cavactl.h"

static const struct output_column status_servers[] = {
	{ "SERVER", "server_name", false },
	{ "POOL", "pool", false },
	{ "STATE", "server_state", false },
	{ "TYPE", "server_type", false },
	{ "ANTIVIRUS", "av_vendor", false },
	{ "SIGNATURES", "signature_timestamp", false },
	{ "CONN", "connections", true },
	{ "SCANS", "scan_requests", true },
	{ "SCAN MS", "scan_rtt", true },
	{ "BEAT MS", "heartbeat_rtt", true },
	{ NULL, NULL, false }
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

static void status_events(const json_t *status)
{
	const json_t *events = json_object_get(status, "events");
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

static void status_print(const json_t *status)
{
	const json_t *stats = json_object_get(status, "system_stats");
	const json_t *servers = json_object_get(status, "server_status");
	size_t i = 0;

	printf("cavad %s: %s\n", status_string(status, "cavad_version"),
	       status_string(status, "system_status"));
	printf("SMB connections: %lld, scans pending: %lld, check share: "
	       "%s\n", status_number(status, "smb_connections"),
	       status_number(status, "pending_scans"),
	       status_string(status, "check_share"));
	printf("queues: fast %lld, slow %lld, batch %lld\n",
	       status_number(stats, "fast_file_queue_size"),
	       status_number(stats, "slow_file_queue_size"),
	       status_number(stats, "batch_file_queue_size"));
	status_events(status);
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

enum cavactl_exit cmd_status(const struct cavactl *ctl, const char **args)
{
	json_t *reply = NULL;
	enum cavactl_exit ret = cavactl_call(
		ctl, "GET", "/platform/11/avscan/nodes/1/status", NULL,
		&reply);

	(void)args;
	if (ret != CAVACTL_OK) {
		return ret;
	}
	if (ctl->json) {
		output_json(reply);
	} else {
		status_print(json_object_get(json_array_get(
			json_object_get(reply, "nodes"), 0), "status"));
	}
	json_decref(reply);
	return CAVACTL_OK;
}
