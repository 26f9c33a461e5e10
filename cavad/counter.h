/*
 * Counters, a row each; names as in the OneFS node status where it has one.
 * C(name, "what is counted")
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_COUNTER_H
#define CAVAD_COUNTER_H

#include <stdint.h>

#include "cavad/histogram.h"

#define COUNTERS(C) \
	C(all_scan_requests, "scans asked for, every source together") \
	C(on_demand_scan_requests, "scans asked for by SMB operations") \
	C(job_scan_requests, "scans asked for by jobs") \
	C(manual_scan_requests, "individual scans") \
	C(files_processed, "scans that ended in a verdict") \
	C(files_skipped_per_filter, "files a filter let through unscanned") \
	C(files_skipped_per_size, "files over scan_size_maximum") \
	C(files_skipped_profile, "of those: the zone's profile") \
	C(files_skipped_extension, "of those: file_extensions") \
	C(files_skipped_path, "of those: paths_to_exclude") \
	C(files_skipped_exempt, "of those: exempt_accounts, exempt_hosts") \
	C(files_skipped_tiered, "of those: tiered (scan_cloudpool_files)") \
	C(scan_fails, "scans that ended without a verdict") \
	C(scan_timeouts, "scans, and waits for one, that took too long") \
	C(cee_success_count, "clean answers") \
	C(cee_infected_count, "infected answers") \
	C(cee_failure_count, "failed answers") \
	C(bytes_scanned, "bytes of the files scanned") \
	C(scan_duration, "ms of all scans together") \
	C(scan_block_time, "ms that SMB operations waited, together") \
	C(scan_blocked, "SMB operations that waited") \
	C(scan_blocked_sync, "of those: all of its smbd waited (sync_wait)") \
	C(scan_changed, "scans thrown away since the file changed") \
	C(threats_allowed, "questions answered by the allow-list") \
	C(threats_quarantined, "files quarantined (threat_response)") \
	C(threats_truncated, "files emptied (threat_response)") \
	C(threats_deleted, "files deleted (threat_response)") \
	C(scan_busy, "readers of files that kept changing, answered at once") \
	C(scan_refused, "scans refused at once, scan_maximum being reached") \
	C(scan_current, "questions answered from a current record") \
	C(restamps, "verdicts kept over a change of metadata") \
	C(notices, "notices of written and renamed files") \
	C(check_allowed, "opens of CHECK$ allowed") \
	C(check_refused, "opens and connects of CHECK$ refused") \
	C(check_changes, "files changed through CHECK$ (allow_clean)") \
	C(events_told, "events told to event_command or event_webhook") \
	C(events_untold, "tries of that which failed") \
	C(events_dropped, "events not told, too many were waiting") \
	C(ipc_connections, "connections of smbds, all in all") \
	C(ipc_errors, "connections ended for what they sent") \
	C(api_requests, "requests of the API") \
	C(api_login_failures, "wrong logins of the API on TCP")

struct counters {
#define C(name, text) uint64_t name;
	COUNTERS(C)
#undef C
	struct histogram scan_time;	/* of those no record answered */
	struct histogram wait_time;	/* of SMB operations */
};

#endif
