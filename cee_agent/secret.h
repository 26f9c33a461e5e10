/*
 * Files that nobody else may read: passwords, keys, keytabs, tickets.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_SECRET_H
#define CEE_AGENT_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

/* Whose file it may be. */
struct secret_owner {
	const char *user;	/* of this account, or ours; "" = ours */
	bool any;		/* a check by root, for whom it makes no odds */
};

/*
 * The text of a file of at most `max` bytes, or NULL with *error ("must be
 * ...", without its name).
 */
char *secret_read(TALLOC_CTX *mem_ctx, const char *path,
		  const struct secret_owner *owner, size_t max, char **error);

/* The same checks for a file that others will read for us. */
bool secret_is_private(TALLOC_CTX *mem_ctx, const char *path,
		       const struct secret_owner *owner, char **error);

#endif
