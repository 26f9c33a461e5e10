/*
 * GET /platform/11/avscan/history: the last day by the minute, oldest first;
 * the last row is the minute that is not over. Times are ms, averages.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api_private.h"
#include "cavad/history.h"

static json_int_t api_history_average(uint64_t sum, uint64_t count)
{
	return count == 0 ? 0 : (json_int_t)(sum / count);
}

void api_history(struct api_call *call)
{
	struct history_row r = { .time = 0 };
	json_t *list = json_array();
	size_t i = 0;

	for (i = 0; history_row(call->api->minutes, i, &r); i++) {
		json_array_append_new(list, json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			"time", (json_int_t)r.time,
			"scans", (json_int_t)r.scans,
			"infections", (json_int_t)r.infections,
			"failures", (json_int_t)r.failures,
			"waits", (json_int_t)r.waits,
			"avg_scan_duration",
			api_history_average(r.scan_time, r.scans),
			"avg_wait_duration",
			api_history_average(r.wait_time, r.waits)));
	}
	api_reply(call, 200, json_pack("{s:o, s:i}", "history", list,
				       "interval", 60));
}
