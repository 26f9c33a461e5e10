/*
 * From a path here to the name an antivirus server opens over SMB.
 *
 * /srv/data/a.doc below check_root /srv is \\HOST\CHECK$\data\a.doc. A Linux
 * file system can hold names that SMB cannot carry; such a file has no UNC
 * path, and it must not get one that means another file.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_UNC_H
#define CAVAD_UNC_H

#include <stdbool.h>
#include <talloc.h>

/* Pure: can SMB carry this name of one file or directory? */
bool unc_name_valid(const char *name, size_t len);

/* 0; EINVAL (not below root, or a name SMB cannot carry); ENOMEM. */
int unc_path(TALLOC_CTX *mem_ctx, const char *host, const char *share,
	     const char *root, const char *path, char **unc);

/*
 * Number `turn` of the pool (NULL-terminated; NULL or empty: the host's own
 * name) as it goes into a UNC path. NULL when out of memory.
 */
char *unc_host(TALLOC_CTX *mem_ctx, const char *const *pool,
	       unsigned int turn);

#endif
