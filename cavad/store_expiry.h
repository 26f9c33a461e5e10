/*
 * Verdicts of the table `result` that are old.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_STORE_EXPIRY_H
#define CAVAD_STORE_EXPIRY_H

#include <time.h>

#include "cavad/store.h"
#include "cavad/store_db.h"

/* Where a walk of a table is; all zero: at its start. */
struct store_cursor {
	uint8_t key[DB_KEY_MAX];
	size_t len;
};

/*
 * Looks at the next `max` rows at most, and has the clean ones removed that
 * were scanned before `before` (s since the epoch); from the start again
 * behind the last. Nobody waits for it. How many go.
 */
unsigned int store_results_expire(struct store *s, struct tevent_context *ev,
				  time_t before, unsigned int max,
				  struct store_cursor *cursor);

#endif
