/*
 * SHA-256 of a file, in a thread: reading takes as long as it takes.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_HASH_H
#define CAVAD_HASH_H

#include <talloc.h>
#include <tevent.h>

#include "common/digest.h"

#define HASH_MAX (UINT64_C(1) << 30)	/* bytes; what is larger has none */
#define HASH_TIME 60			/* s; or has none */

/* Of what is behind fd, which stays the caller's. */
struct tevent_req *hash_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     int fd);
/* 0; EFBIG, ETIMEDOUT, errno: there is none. */
int hash_recv(struct tevent_req *req, uint8_t digest[DIGEST_SIZE]);

#endif
