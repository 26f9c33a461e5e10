/*
 * Hooks that expose content: each read, and the source of a server-side
 * copy, passes a gate (gate.c) before the next module sees it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

ssize_t cava_pread_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, void *data, size_t n,
		      off_t offset)
{
	struct cava *cava = cava_of(handle);

	if (cava_on(cava) && !cava_gate_fast(cava, fsp)) {
		int ret = cava_gate_sync(cava, fsp);

		if (ret != 0) {
			errno = ret;
			return -1;
		}
	}
	return SMB_VFS_NEXT_PREAD(handle, fsp, data, n, offset);
}

ssize_t cava_sendfile_fn(struct vfs_handle_struct *handle, int tofd,
			 struct files_struct *fsp,
			 const DATA_BLOB *header, off_t offset,
			 size_t n)
{
	struct cava *cava = cava_of(handle);

	if (cava_on(cava) && !cava_gate_fast(cava, fsp)) {
		int ret = cava_gate_sync(cava, fsp);

		if (ret != 0) {
			errno = ret;
			return -1;
		}
	}
	return SMB_VFS_NEXT_SENDFILE(handle, tofd, fsp, header, offset, n);
}

struct cava_pread_state {
	struct tevent_context *ev;
	struct vfs_handle_struct *handle;
	struct files_struct *fsp;
	void *data;
	size_t n;
	off_t offset;
	ssize_t ret;
	struct vfs_aio_state aio;
};

static void cava_pread_cleared(struct tevent_req *subreq);
static void cava_pread_done(struct tevent_req *subreq);

/* A cleared handle costs one fstat: the next module's request is returned
 * as it is, and cava_pread_recv_fn() tells the two apart by their type. */
struct tevent_req *cava_pread_send_fn(
	struct vfs_handle_struct *handle, TALLOC_CTX *mem_ctx,
	struct tevent_context *ev, struct files_struct *fsp, void *data,
	size_t n, off_t offset)
{
	struct cava *cava = cava_of(handle);
	struct cava_pread_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;

	if (!cava_on(cava) || cava_gate_fast(cava, fsp)) {
		return SMB_VFS_NEXT_PREAD_SEND(mem_ctx, ev, handle, fsp, data,
					       n, offset);
	}
	req = tevent_req_create(mem_ctx, &state, struct cava_pread_state);
	if (req == NULL) {
		return NULL;
	}
	*state = (struct cava_pread_state) {
		.ev = ev, .handle = handle, .fsp = fsp, .data = data,
		.n = n, .offset = offset,
	};
	subreq = cava_gate_send(state, ev, cava, fsp, PROTO_WHY_READ);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, cava_pread_cleared, req);
	return req;
}

static void cava_pread_cleared(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct cava_pread_state *state = tevent_req_data(
		req, struct cava_pread_state);
	int ret = cava_gate_recv(subreq);

	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	subreq = SMB_VFS_NEXT_PREAD_SEND(state, state->ev, state->handle,
					 state->fsp, state->data, state->n,
					 state->offset);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, cava_pread_done, req);
}

static void cava_pread_done(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct cava_pread_state *state = tevent_req_data(
		req, struct cava_pread_state);

	state->ret = SMB_VFS_PREAD_RECV(subreq, &state->aio);
	TALLOC_FREE(subreq);
	tevent_req_done(req);
}

ssize_t cava_pread_recv_fn(struct tevent_req *req,
			   struct vfs_aio_state *aio)
{
	struct cava_pread_state *state = talloc_get_type(
		_tevent_req_data(req), struct cava_pread_state);

	if (state == NULL) {
		return SMB_VFS_PREAD_RECV(req, aio);
	}
	if (tevent_req_is_unix_error(req, &aio->error)) {
		return -1;
	}
	*aio = state->aio;
	return state->ret;
}

/* --- server-side copy: its source is read --- */

struct cava_offload_state {
	struct tevent_context *ev;
	struct vfs_handle_struct *handle;
	struct files_struct *fsp;
	uint32_t fsctl;
	uint32_t ttl;
	off_t offset;
	size_t to_copy;
	uint32_t flags;
	uint64_t xferlen;
	DATA_BLOB token;
};

static void cava_offload_cleared(struct tevent_req *subreq);
static void cava_offload_done(struct tevent_req *subreq);

static void cava_offload_next(struct tevent_req *req)
{
	struct cava_offload_state *state = tevent_req_data(
		req, struct cava_offload_state);
	struct tevent_req *subreq = SMB_VFS_NEXT_OFFLOAD_READ_SEND(
		state, state->ev, state->handle, state->fsp, state->fsctl,
		state->ttl, state->offset, state->to_copy);

	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, cava_offload_done, req);
}

struct tevent_req *cava_offload_read_send_fn(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev,
	struct vfs_handle_struct *handle, struct files_struct *fsp,
	uint32_t fsctl, uint32_t ttl, off_t offset, size_t to_copy)
{
	struct cava *cava = cava_of(handle);
	struct cava_offload_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct cava_offload_state);
	if (req == NULL) {
		return NULL;
	}
	*state = (struct cava_offload_state) {
		.ev = ev, .handle = handle, .fsp = fsp, .fsctl = fsctl,
		.ttl = ttl, .offset = offset, .to_copy = to_copy,
	};
	if (!cava_on(cava) || cava_gate_fast(cava, fsp)) {
		cava_offload_next(req);
		if (!tevent_req_is_in_progress(req)) {
			return tevent_req_post(req, ev);
		}
		return req;
	}
	subreq = cava_gate_send(state, ev, cava, fsp, PROTO_WHY_COPY);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, cava_offload_cleared, req);
	return req;
}

static void cava_offload_cleared(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	int ret = cava_gate_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		tevent_req_nterror(req, map_nt_error_from_unix(ret));
		return;
	}
	cava_offload_next(req);
}

static void cava_offload_done(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct cava_offload_state *state = tevent_req_data(
		req, struct cava_offload_state);
	NTSTATUS status = SMB_VFS_NEXT_OFFLOAD_READ_RECV(
		subreq, state->handle, state, &state->flags, &state->xferlen,
		&state->token);

	TALLOC_FREE(subreq);
	if (tevent_req_nterror(req, status)) {
		return;
	}
	tevent_req_done(req);
}

NTSTATUS cava_offload_read_recv_fn(struct tevent_req *req,
				   struct vfs_handle_struct *handle,
				   TALLOC_CTX *mem_ctx,
				   uint32_t *flags, uint64_t *xferlen,
				   DATA_BLOB *token)
{
	struct cava_offload_state *state = tevent_req_data(
		req, struct cava_offload_state);
	NTSTATUS status;

	if (tevent_req_is_nterror(req, &status)) {
		tevent_req_received(req);
		return status;
	}
	*flags = state->flags;
	*xferlen = state->xferlen;
	token->length = state->token.length;
	token->data = talloc_move(mem_ctx, &state->token.data);
	tevent_req_received(req);
	return NT_STATUS_OK;
}
