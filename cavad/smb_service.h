/*
 * Does Samba answer where antivirus servers are sent to fetch files, and has
 * it the share for them?
 *
 * Each address of this host in ip_pool is asked on port 445 every 30 s: to an
 * SMB2 NEGOTIATE any answer of that protocol will do. Then, without an
 * account, for check_share (smb_talk.h): that it is not there is an event as
 * well; that one cannot be told, as where encryption is required, is none.
 * Two failures in a row are an event about the entry of ip_pool, one success
 * ends it. Nobody is asked while no server that fetches files is enabled, or
 * scanning is off. Without ip_pool it is not known where servers come in:
 * then 127.0.0.1 is asked for the share, and no answer there is no event.
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
