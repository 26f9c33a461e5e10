/*
 * The files of the administrator's page, in memory.
 *
 * They are read once, at start; a request finds one by its whole path in a
 * table, so that no path ever reaches the file system.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_WEB_H
#define CAVAD_WEB_H

#include <stdint.h>
#include <talloc.h>

#define WEB_FILES_MAX 500
#define WEB_BYTES_MAX 33554432	/* of all together */

struct web;

struct web_file {
	const char *path;	/* "/index.html" */
	const char *type;	/* its media type */
	const char *tag;	/* entity tag, in quotes */
	const uint8_t *data;
	size_t len;
};

/*
 * All files below `dir`, those aside whose name begins with a dot. 0, or
 * errno with *error. A file of no known type is an error.
 */
int web_read(TALLOC_CTX *mem_ctx, const char *dir, struct web **result,
	     char **error);

/* "/" is index.html. NULL: there is no such file. Borrowed. */
const struct web_file *web_find(const struct web *w, const char *path);

#endif
