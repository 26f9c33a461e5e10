/*
 * A CEE request and its reply: what the bytes of one mean, who does it, and
 * the bytes of the other.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_REQUEST_H
#define CEE_AGENT_REQUEST_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>

#include "cee_agent/pool.h"

/* HTTP and HTTPS */
#define AGENT_LISTENERS 2

struct listener;

struct agent {
	struct tevent_context *ev;
	struct agent_config *config;	/* another one after a reload */
	struct tally *tally;
	struct pool *pool;
	struct listener *listeners[AGENT_LISTENERS];	/* NULL = not served */
};

struct request_reply {
	char *data;
	size_t len;
	bool utf16;
};

/* `from` is for the log. The data is not needed after this. */
struct tevent_req *request_send(TALLOC_CTX *mem_ctx, struct agent *agent,
				const char *from, const void *data,
				size_t len);

/* 0 with a reply, whatever was asked; or errno when there can be none. */
int request_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		 struct request_reply *reply);

#endif
