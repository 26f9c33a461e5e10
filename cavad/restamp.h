/*
 * A verdict outlives a change of metadata.
 *
 * vfs_cava says: the record was current when the file was `before`, then an
 * operation that touches no content made it `after`, and no writer was near
 * (RESTAMP). The record is written anew with a later T, under the lease, if
 * the file still is `after`. Lost or refused it costs a scan, nothing else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_RESTAMP_H
#define CAVAD_RESTAMP_H

#include "cavad/counter.h"
#include "cavad/files.h"
#include "common/proto.h"

#define RESTAMP_MAX 4096	/* files at a time; more are scanned instead */

struct restamps;

struct restamps *restamps_create(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev,
				 struct files *files,
				 struct counters *counters);

void restamp(struct restamps *r, const struct proto_restamp *m);

/*
 * Ends when no restamp of the file is under way: at once, mostly. Whoever
 * asks for a verdict waits for that first.
 */
struct tevent_req *restamp_wait_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct restamps *r,
				     const struct ident *ident);
void restamp_wait_recv(struct tevent_req *req);
bool restamp_busy(const struct restamps *r, const struct ident *ident);

#endif
