/*
 * HTTP for CEE: who is let in, and which request gets which answer.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_LISTENER_H
#define CEE_AGENT_LISTENER_H

#include <talloc.h>

#include "cee_agent/request.h"

struct listener;

/* Serves the listening socket `fd`, which is its own from here. 0 or errno. */
int listener_create(TALLOC_CTX *mem_ctx, struct agent *agent, int fd,
		    struct listener **result);

#endif
