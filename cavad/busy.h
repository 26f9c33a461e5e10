/*
 * Files that change faster than they can be scanned: databases that many
 * write and read.
 *
 * A scan whose every try was voided by a change is not begun again by the
 * next reader for BUSY_TIME; he gets the same answer at once. So a file
 * costs the antivirus servers a bounded number of scans, however many read
 * it. What is owed (a close, a rename), asked by hand or by a job is scanned
 * all the same.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_BUSY_H
#define CAVAD_BUSY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ident.h"
#include "common/verdict.h"

#define BUSY_TIME 10000		/* ms */
#define BUSY_FILES 64		/* known at a time; the oldest goes */

/* All zero: none. */
struct busy {
	struct busy_file {
		struct ident ident;
		int64_t until;		/* ms, of the caller's clock */
		struct verdict verdict;
	} files[BUSY_FILES];
	unsigned int next;
};

/* It kept changing; this was the last answer. */
void busy_add(struct busy *b, const struct ident *ident,
	      const struct verdict *verdict, int64_t now);

/* The answer of before, or NULL. */
const struct verdict *busy_find(const struct busy *b,
				const struct ident *ident, int64_t now);

#endif
