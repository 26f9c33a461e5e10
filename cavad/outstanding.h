/*
 * What antivirus servers were asked to fetch: the right inode for CHECK$.
 *
 * An entry is one scan at one server. It is outstanding from the moment the
 * server was picked until it has answered, and stays for check_grace after.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_OUTSTANDING_H
#define CAVAD_OUTSTANDING_H

#include <talloc.h>

#include "cavad/scan.h"

struct outstanding;		/* all of them */
struct outstanding_entry;

struct outstanding *outstanding_create(TALLOC_CTX *mem_ctx, uint32_t grace);
void outstanding_set_grace(struct outstanding *o, uint32_t grace);

/*
 * path: as the server was told. target: where the file is, if that is not
 * the path (an alias), or NULL. NULL = no memory. The entry lives until
 * outstanding_end().
 */
struct outstanding_entry *outstanding_add(struct outstanding *o,
					  const struct ident *ident,
					  const char *path,
					  const char *target,
					  const char *server);

/* Where the file of an alias is, or NULL. Borrowed. */
const char *outstanding_target(struct outstanding *o, const char *alias);

/* The server has answered, or another one was picked. *entry is NULL then. */
void outstanding_end(struct outstanding *o, struct outstanding_entry **entry);

/* Before its end: the report of the scan. Without memory it has none. */
void outstanding_set_report(struct outstanding_entry *entry,
			    const char *report);

/* That of the last scan of this file that ended, or NULL. Borrowed. */
const char *outstanding_report(struct outstanding *o,
			       const struct ident *ident);

/* As scan_outstanding() and scan_outstanding_paths() of scan.h. */
bool outstanding_find(struct outstanding *o, const struct ident *ident,
		      unsigned int i, struct scan_outstanding *result);
void outstanding_paths(struct outstanding *o,
		       void (*fn)(void *private_data, const char *path),
		       void *private_data);

#endif
