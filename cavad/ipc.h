/*
 * The scan socket: smbds ask, tell, and get the filter.
 *
 * Peers must be root (SO_PEERCRED). One connection per tree connect. What
 * does not decode, or comes before HELLO, ends the connection and is
 * counted. A connection that does not take its answers is bounded (256
 * messages, then closed).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_IPC_H
#define CAVAD_IPC_H

#include "cavad/check.h"
#include "cavad/scan.h"
#include "cavad/zone.h"

struct ipc;

/* A listening socket, made as root: mode 0600, owned by root. 0 or errno */
int ipc_listen(const char *path, int *fd);

/* Takes fd. zones must outlive it. */
int ipc_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev, int fd,
	       const struct config *config, struct files *files,
	       struct scans *scans,
	       struct check *check, struct zones *zones,
	       struct events *events, struct counters *counters,
	       struct ipc **result);

/* Send CONFIG again to everybody. */
void ipc_config_changed(struct ipc *ipc);

/* Connections that said HELLO. */
unsigned int ipc_count(const struct ipc *ipc);

#endif
