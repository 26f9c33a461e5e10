/*
 * Paths as file URIs (RFC 8089), for what carries UTF-8 only: JSON.
 *
 * A Linux path is bytes. Where it is no UTF-8 it is written as
 * file:///srv/na%EFve.txt; an absolute path begins with a slash, so the two
 * are told apart by their first character.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_URI_H
#define COMMON_URI_H

#include <stdbool.h>
#include <talloc.h>

bool uri_is(const char *text);

/* NULL = no memory. */
char *uri_of_path(TALLOC_CTX *mem_ctx, const char *path);

/*
 * 0; EINVAL: no file URI of this host, a % without two hex digits, or a NUL
 * byte in it; ENOMEM.
 */
int uri_path(TALLOC_CTX *mem_ctx, const char *uri, char **path);

#endif
