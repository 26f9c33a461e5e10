/*
 * From a path here to the name an antivirus server opens over SMB.
 *
 * /srv/data/a.doc below check_root /srv is \\HOST\CHECK$\data\a.doc. A Linux
 * file system can hold names that SMB cannot carry; such a file has no UNC
 * path of its own, and it must not get one that means another file: it is
 * asked for by an alias (scan_ask.c).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_UNC_H
#define CAVAD_UNC_H

#include <stdbool.h>
#include <talloc.h>

/* Pure: can SMB carry this name of one file or directory? */
bool unc_name_valid(const char *name, size_t len);

#define UNC_PATH_MAX 1000	/* bytes below the share; longer: an alias */

/*
 * 0; EINVAL (not below root, a name SMB cannot carry, one that begins as an
 * alias does, or too long); ENOMEM.
 */
int unc_path(TALLOC_CTX *mem_ctx, const char *host, const char *share,
	     const char *root, const char *path, char **unc);

/*
 * Number `turn` of the pool (NULL-terminated; NULL or empty: the host's own
 * name) as it goes into a UNC path. NULL when out of memory.
 */
char *unc_host(TALLOC_CTX *mem_ctx, const char *const *pool,
	       unsigned int turn);

#endif
