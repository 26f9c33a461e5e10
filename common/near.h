/*
 * "Did you mean ...?"
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_NEAR_H
#define COMMON_NEAR_H

#include <stddef.h>

/*
 * Pure. The name that `text` most likely meant, case aside, or NULL when
 * none is near. names: ended by NULL. Names over 63 bytes are never near.
 */
const char *near_name(const char *const *names, const char *text);

/* Pure. Edits (insert, delete, replace, swap two) between the two. */
size_t near_distance(const char *a, const char *b);

#endif
