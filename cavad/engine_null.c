/*
 * null: an engine without a server. Every file is clean at once. For tests
 * and for measuring what everything but the antivirus costs; status shows
 * "no antivirus" as its vendor, so that nobody takes it for one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cavad/engine.h"
#include "common/req.h"

#define NULL_VENDOR "no antivirus"

struct engine {
	char nothing;		/* an object to allocate; it has no state */
};

struct engine_null_state {
	uint64_t size;
};

static int engine_null_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			      const struct config *config,
			      const struct server_object *server,
			      struct engine **result, char **error)
{
	struct engine *e = NULL;

	(void)ev;
	(void)config;
	if (strcmp(server->server_uri, "null:") != 0) {
		*error = talloc_asprintf(mem_ctx, "server_uri %s: nothing "
					 "follows null:", server->server_uri);
		return EINVAL;
	}
	e = talloc_zero(mem_ctx, struct engine);
	if (e == NULL) {
		return ENOMEM;
	}
	*result = e;
	return 0;
}

static struct tevent_req *engine_null_scan_send(TALLOC_CTX *mem_ctx,
						struct tevent_context *ev,
						struct engine *e,
						const struct engine_scan *scan)
{
	struct engine_null_state *state = NULL;
	struct tevent_req *req = NULL;

	(void)e;
	req = tevent_req_create(mem_ctx, &state, struct engine_null_state);
	if (req == NULL) {
		return NULL;
	}
	state->size = scan->size;
	tevent_req_done(req);
	return tevent_req_post(req, ev);
}

static int engine_null_scan_recv(struct tevent_req *req,
				 struct engine_answer *answer)
{
	struct engine_null_state *state =
		tevent_req_data(req, struct engine_null_state);
	int error = req_error(req);

	*answer = (struct engine_answer) {
		.result = VERDICT_CLEAN,
		.bytes = state->size,
		.engine = NULL_VENDOR,
	};
	tevent_req_received(req);
	return error;
}

static struct tevent_req *engine_null_heartbeat_send(TALLOC_CTX *mem_ctx,
						     struct tevent_context *ev,
						     struct engine *e)
{
	struct engine_null_state *state = NULL;
	struct tevent_req *req = NULL;

	(void)e;
	req = tevent_req_create(mem_ctx, &state, struct engine_null_state);
	if (req == NULL) {
		return NULL;
	}
	tevent_req_done(req);
	return tevent_req_post(req, ev);
}

static int engine_null_heartbeat_recv(struct tevent_req *req,
				      struct engine_status *status)
{
	int error = req_error(req);

	*status = (struct engine_status) {
		.online = true,
		.av_ok = true,
		.version = "null",
		.vendor = NULL_VENDOR,
	};
	tevent_req_received(req);
	return error;
}

const struct engine_ops engine_null = {
	.name = "null",
	.scheme = "null",
	.create = engine_null_create,
	.scan_send = engine_null_scan_send,
	.scan_recv = engine_null_scan_recv,
	.heartbeat_send = engine_null_heartbeat_send,
	.heartbeat_recv = engine_null_heartbeat_recv,
};
