/*
 * A probe: one heartbeat and one scan asked of one antivirus server, with
 * the bytes that went over the wire, for an administrator.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_PROBE_H
#define CAVAD_PROBE_H

#include "cavad/server.h"
#include "cavad/trace.h"

struct probe_exchange {
	bool done;		/* or else it was not come to */
	int error;		/* of recv(): there was no answer */
	int64_t took;		/* us */
	struct trace *trace;	/* NULL: the engine shows none */
};

struct probe {
	const char *name;
	const char *uri;
	const char *engine;
	struct probe_exchange heartbeat;
	struct engine_status status;
	struct probe_exchange scan;
	struct engine_answer answer;
	const char *expected;	/* what was asked, and what is a good answer */
	bool good;
};

/*
 * Of any server that is configured, whatever its state; takes one of its
 * connections. Through an engine of its own, so that nothing which is asked
 * at the same time is mixed in. Bounded in time by the engine's heartbeat
 * and PROBE_TIMEOUT.
 */
#define PROBE_TIMEOUT 10	/* s */
struct tevent_req *probe_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			      struct servers *servers,
			      const struct config *config, const char *name);

/*
 * 0; ENOENT (no such server), EBUSY (all of its connections are in use),
 * ENOMEM. What the server says or does not say is never an errno.
 */
int probe_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
	       struct probe **result);

#endif
