/*
 * Files that were counted already: hashes of their identities, in memory, at
 * most REPORT_SEEN_MAX. What comes after those counts as new each time.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_REPORT_SEEN_H
#define CAVAD_REPORT_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ident.h"

#define REPORT_SEEN_MAX (1U << 20)

/* All zero: none. */
struct report_seen {
	uint64_t *slots;	/* malloc; 0 = free */
	size_t size;		/* a power of two */
	size_t count;
};

/* Is it new? */
bool report_seen_add(struct report_seen *seen, const struct ident *ident);
void report_seen_clear(struct report_seen *seen);

#endif
