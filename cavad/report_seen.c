/*
 * Open addressing, at most half full.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/report_seen.h"

#include <stdlib.h>

#include "cavad/ident_hash.h"

#define SEEN_FIRST 256

/* False: it is there. There is room. */
static bool seen_put(struct report_seen *seen, uint64_t hash)
{
	size_t i = (size_t)hash & (seen->size - 1);

	while (seen->slots[i] != 0) {
		if (seen->slots[i] == hash) {
			return false;
		}
		i = (i + 1) & (seen->size - 1);
	}
	seen->slots[i] = hash;
	seen->count++;
	return true;
}

/* False = no memory. */
static bool seen_grow(struct report_seen *seen)
{
	struct report_seen more = {
		.size = seen->size == 0 ? SEEN_FIRST : seen->size * 2,
	};
	size_t i = 0;

	more.slots = calloc(more.size, sizeof(*more.slots));
	if (more.slots == NULL) {
		return false;
	}
	for (i = 0; i < seen->size; i++) {
		if (seen->slots[i] != 0) {
			(void)seen_put(&more, seen->slots[i]);
		}
	}
	free(seen->slots);
	*seen = more;
	return true;
}

bool report_seen_add(struct report_seen *seen, const struct ident *ident)
{
	uint64_t hash = (uint64_t)ident_hash(ident);

	if (seen->count >= seen->size / 2 &&
	    (seen->count >= REPORT_SEEN_MAX || !seen_grow(seen))) {
		return true;
	}
	return seen_put(seen, hash == 0 ? 1 : hash);
}

void report_seen_clear(struct report_seen *seen)
{
	free(seen->slots);
	*seen = (struct report_seen) { .slots = NULL };
}
