/*
 * What a text must be beyond its type and length.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_OBJECT_CHECK_H
#define CAVAD_OBJECT_CHECK_H

#include <stdbool.h>

/*
 * Pure. field: its name (field names are unique); text: its value, or one
 * item of a LIST. NULL = fine, else what is wanted.
 */
const char *object_check(const char *field, const char *text);

/* Pure. The NAME of [server NAME]; NULL = fine. */
const char *object_check_name(const char *name);

/* Pure. The NAME of [filter NAME], and of cava:zone; NULL = fine. */
const char *object_check_zone(const char *name);

/* Pure. Is `path` `dir` itself, or below it? Both as object_check() wants. */
bool object_path_below(const char *path, const char *dir);

/* Pure. host:port or host:port/path, which is one of CEE. */
bool object_uri_is_cee(const char *uri);

#endif
