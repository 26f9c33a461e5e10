/*
 * The last day by the minute, in memory, for charts.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_HISTORY_H
#define CAVAD_HISTORY_H

#include <talloc.h>
#include <tevent.h>

#include "cavad/counter.h"

#define HISTORY_MINUTES 1440

/* H(name, sum of counters): what a minute is made of */
#define HISTORY(H) \
	H(scans, c->files_processed + c->scan_fails) \
	H(infections, c->cee_infected_count) \
	H(failures, c->scan_fails) \
	H(waits, c->scan_blocked) \
	H(scan_time, c->scan_duration) \
	H(wait_time, c->scan_block_time)

struct history_row {
	int64_t time;		/* when it began, s since the epoch */
#define H(name, sum) uint64_t name;
	HISTORY(H)
#undef H
};

struct history;

/* NULL = no memory. */
struct history *history_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       const struct counters *counters);

/* Oldest first; the last one is not over. False: no such row. */
bool history_row(struct history *h, size_t i, struct history_row *row);

#endif
