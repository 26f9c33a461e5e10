/*
 * How far a name is from another, in edits.
 *
 * Optimal string alignment: the table of edit distances between all starts
 * of both words, of which three rows are ever needed. A name is near when at
 * most a third of the letters that were typed had to change.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <string.h>

#include "common/near.h"

#define NEAR_MAX 64		/* bytes with the NUL */

static size_t near_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int near_fold(char c)
{
	return tolower((unsigned char)c);
}

size_t near_distance(const char *a, const char *b)
{
	size_t rows[3][NEAR_MAX];
	size_t a_len = strlen(a), b_len = strlen(b);
	size_t i, j;

	if (a_len >= NEAR_MAX || b_len >= NEAR_MAX) {
		return NEAR_MAX;
	}
	for (j = 0; j <= b_len; j++) {
		rows[0][j] = j;
	}
	for (i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i - 1) % 3];
		const size_t *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			int ca = near_fold(a[i - 1]);
			int cb = near_fold(b[j - 1]);

			row[j] = near_min(above[j], row[j - 1]) + 1;
			row[j] = near_min(row[j],
					  above[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == near_fold(b[j - 2]) &&
			    cb == near_fold(a[i - 2])) {
				row[j] = near_min(row[j], above2[j - 2] + 1);
			}
		}
	}
	return rows[a_len % 3][b_len];
}

const char *near_name(const char *const *names, const char *text)
{
	const char *best = NULL;
	size_t text_len = strlen(text);
	size_t limit = near_min(text_len / 3, NEAR_MAX - 1);
	size_t i;

	for (i = 0; names[i] != NULL; i++) {
		size_t len = strlen(names[i]);
		size_t distance = 0;

		/* Each letter more or less is an edit. */
		if (len > text_len + limit || text_len > len + limit) {
			continue;
		}
		distance = near_distance(names[i], text);
		if (distance <= limit) {
			best = names[i];
			limit = distance;
			if (distance == 0) {
				break;
			}
			limit--;
		}
	}
	return best;
}
