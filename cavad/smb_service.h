/*
 * Does Samba answer where antivirus servers are sent to fetch files?
 *
 * Each address of this host in ip_pool is asked on port 445 every 30 s: a
 * connection, an SMB2 NEGOTIATE, and any answer of that protocol will do.
 * Two failures in a row are an event about the entry of ip_pool, one success
 * ends it. Nobody is asked while no server that fetches files is enabled, or
 * scanning is off; and without ip_pool it is not known where servers come in.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SMB_SERVICE_H
#define CAVAD_SMB_SERVICE_H

#include "cavad/ip_pool.h"

struct smb_service;

/* ip_pool must outlive it. 0 or ENOMEM */
int smb_service_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		       const struct config *config,
		       const struct ip_pool *ip_pool, struct events *events,
		       struct smb_service **result);

/* The configuration has changed: looks now. */
void smb_service_look(struct smb_service *s);

#endif
