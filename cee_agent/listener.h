/*
 * HTTP for CEE, or HTTPS: who is let in, and a loop that serves them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_LISTENER_H
#define CEE_AGENT_LISTENER_H

#include <talloc.h>

#include "cee_agent/request.h"

struct listener;

/*
 * Serves the listening socket `fd`, which stays the caller's, by what the
 * configuration says now. 0 or errno (EINVAL: TLS does not take the
 * certificate or the key).
 */
int listener_create(TALLOC_CTX *mem_ctx, struct agent *agent, int fd,
		    bool https, struct listener **result);

/*
 * Takes no more connections; what is asked on those it has is answered, and
 * with that they end.
 */
void listener_retire(struct listener *l);

/* How many connections, and requests that are not answered yet. */
unsigned int listener_connections(const struct listener *l);
unsigned int listener_requests(const struct listener *l);

#endif
