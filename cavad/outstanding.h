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

/* NULL = no memory. It lives until outstanding_end(). */
struct outstanding_entry *outstanding_add(struct outstanding *o,
					  const struct ident *ident,
					  const char *path,
					  const char *server);

/* The server has answered, or another one was picked. *entry is NULL then. */
void outstanding_end(struct outstanding *o, struct outstanding_entry **entry);

/* As scan_outstanding() and scan_outstanding_paths() of scan.h. */
bool outstanding_find(struct outstanding *o, const struct ident *ident,
		      unsigned int i, struct scan_outstanding *result);
void outstanding_paths(struct outstanding *o,
		       void (*fn)(void *private_data, const char *path),
		       void *private_data);

#endif
