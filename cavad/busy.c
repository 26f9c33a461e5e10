/*
 * Files that change faster than they can be scanned: see busy.h. Pure.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/busy.h"

static unsigned int busy_place(const struct busy *b,
			       const struct ident *ident)
{
	unsigned int i;

	for (i = 0; i < BUSY_FILES; i++) {
		if (b->files[i].until != 0 &&
		    ident_equal(&b->files[i].ident, ident)) {
			break;
		}
	}
	return i;
}

void busy_add(struct busy *b, const struct ident *ident,
	      const struct verdict *verdict, int64_t now)
{
	unsigned int i = busy_place(b, ident);

	if (i == BUSY_FILES) {
		i = b->next;
		b->next = (b->next + 1) % BUSY_FILES;
	}
	b->files[i] = (struct busy_file) {
		.ident = *ident,
		.until = now + BUSY_TIME,
		.verdict = *verdict,
	};
}

const struct verdict *busy_find(const struct busy *b,
				const struct ident *ident, int64_t now)
{
	unsigned int i = busy_place(b, ident);

	if (i == BUSY_FILES || b->files[i].until <= now) {
		return NULL;
	}
	return &b->files[i].verdict;
}
