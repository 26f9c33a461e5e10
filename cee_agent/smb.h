/*
 * Files of storage systems, over SMB: blocking, for worker processes only.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_SMB_H
#define CEE_AGENT_SMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

#include "cee_agent/config.h"

struct smb;	/* sessions, at most one file open; freeing it ends all */

/*
 * Gives the library its configuration, as long as mem_ctx is there; once in
 * a program and before it forks: each process inherits that. 0 or errno.
 */
int smb_start(TALLOC_CTX *mem_ctx);

/* Nothing is connected yet; `slot` is a number no other worker has. */
struct smb *smb_create(TALLOC_CTX *mem_ctx, unsigned int slot);

/* Drops the sessions with one storage; the next open connects anew. */
void smb_reset(struct smb *smb, const struct storage *storage);

/*
 * Opens a file for reading. `host` is one of the storage's; timeout: ms for
 * each answer of the server. 0 or errno.
 */
int smb_open(struct smb *smb, const struct storage *storage,
	     const char *host, const char *path, uint32_t timeout);

/* Its size; reading starts at its beginning again. 0 or errno. */
int smb_size(struct smb *smb, uint64_t *size);

/* Bytes read, fewer than len only at the end of the file; -1 with errno. */
ssize_t smb_read(struct smb *smb, void *data, size_t len);

void smb_close(struct smb *smb);

/* Was the share reached by the last smb_open()? */
bool smb_is_connected(const struct smb *smb);

/* More than errno has to say of the last smb_open(), or "". */
const char *smb_why(const struct smb *smb);

/* How many sessions, each with its tree connect, there have been. */
uint64_t smb_sessions(const struct smb *smb);

/* Does an errno of the last open, or of a read, mean a session is gone? */
bool smb_session_gone(const struct smb *smb, int error);

#endif
