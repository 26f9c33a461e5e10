/*
 * Scans of the named streams of a file: see scan_streams.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/scan_streams.h"

#include <errno.h>
#include <string.h>

#include "cavad/scan_private.h"
#include "common/req.h"
#include "common/stream.h"

struct scan_streams_state {
	struct tevent_context *ev;
	struct scans *s;
	struct scan_request request;	/* of the stream that is scanned now */
	struct files_streams streams;
	size_t at;		/* of its name */
	uint32_t count;
	void (*fn)(void *private_data, const struct scan_answer *answer);
	void *private_data;
};

static void scan_streams_listed(struct tevent_req *subreq);
static void scan_streams_next(struct tevent_req *req);
static void scan_streams_answered(struct tevent_req *subreq);

struct tevent_req *scan_streams_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct scans *s,
	const struct scan_request *file,
	void (*fn)(void *private_data, const struct scan_answer *answer),
	void *private_data)
{
	struct scan_streams_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct scan_streams_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->s = s;
	state->request = *file;
	state->fn = fn;
	state->private_data = private_data;
	if (!scan_request_keep(state, &state->request)) {
		tevent_req_error(req, ENOMEM);
		return tevent_req_post(req, ev);
	}
	subreq = files_streams_send(state, ev, s->files, file->have_ident ?
				    &file->ident : NULL, file->path);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, scan_streams_listed, req);
	return req;
}

static void scan_streams_listed(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct scan_streams_state *state =
		tevent_req_data(req, struct scan_streams_state);
	int ret = files_streams_recv(subreq, state, &state->streams);

	TALLOC_FREE(subreq);
	if (ret == 0 && state->streams.status == FILES_IO) {
		ret = state->streams.error;
	} else if (ret == 0 && state->streams.status == FILES_OUTSIDE) {
		ret = EXDEV;	/* those of check_root itself have no path */
	}
	if (tevent_req_error(req, ret)) {
		return;
	}
	if (state->streams.status != FILES_OK) {
		tevent_req_done(req);	/* it is not there any more */
		return;
	}
	state->request.have_ident = true;
	state->request.ident = state->streams.ident;
	scan_streams_next(req);
}

static void scan_streams_next(struct tevent_req *req)
{
	struct scan_streams_state *state =
		tevent_req_data(req, struct scan_streams_state);
	struct ident *ident = &state->request.ident;
	struct tevent_req *subreq = NULL;
	const char *name = state->streams.names + state->at;

	if (state->at >= state->streams.len) {
		tevent_req_done(req);
		return;
	}
	snprintf(ident->stream, sizeof(ident->stream), "%s", name);
	subreq = scan_send(state, state->ev, state->s, &state->request);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, scan_streams_answered, req);
}

static void scan_streams_answered(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct scan_streams_state *state =
		tevent_req_data(req, struct scan_streams_state);
	struct scan_answer answer = { .path = NULL };
	char token[STREAM_TOKEN_MAX];
	char *path = NULL;
	int ret = scan_recv(subreq, state, &answer);

	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	stream_token(state->request.ident.stream, token);
	path = talloc_asprintf(state, "%s:%s", answer.path, token);
	talloc_free(answer.path);
	if (tevent_req_nomem(path, req)) {
		return;
	}
	answer.path = path;
	state->fn(state->private_data, &answer);
	talloc_free(path);
	state->count++;
	state->at += strlen(state->streams.names + state->at) + 1;
	scan_streams_next(req);
}

int scan_streams_recv(struct tevent_req *req, uint32_t *count)
{
	struct scan_streams_state *state =
		tevent_req_data(req, struct scan_streams_state);
	int ret = req_error(req);

	*count = state->count;
	tevent_req_received(req);
	return ret;
}
