/*
 * Hooks that expose content: each read, and the source of a server-side
 * copy, passes a gate (gate.c) before the next module sees it.
 *
 * Somebody may write between the gate and the read. So a read looks when it
 * has the data, and then only: has the file changed since the handle passed
 * the gate, the data is not handed out, and the read passes it once more. A
 * file that never rests (a database) gets open_on_fail in the end.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#define CAVA_READ_ROUNDS 5	/* changes that one read may meet */

ssize_t cava_pread_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, void *data, size_t n,
		      off_t offset)
{
	struct cava *cava = cava_of(handle);
	unsigned int rounds = 0;
	ssize_t got = -1;

	if (cava_is_check(cava) && cava_check_still(cava) != 0) {
		errno = EACCES;
		return -1;
	}
	if (!cava_on(cava)) {
		got = SMB_VFS_NEXT_PREAD(handle, fsp, data, n, offset);
		cava_fetched(cava, fsp, got);
		return got;
	}
	if (cava_stream_is(fsp)) {
		return cava_stream_pread(handle, fsp, data, n, offset);
	}
	for (rounds = 0; rounds <= CAVA_READ_ROUNDS; rounds++) {
		bool still = false;
		int ret = cava_gate_passed(cava, fsp) ? 0 :
			  cava_gate_sync(cava, fsp);

		if (ret != 0) {
			errno = ret;
			return -1;
		}
		got = SMB_VFS_NEXT_PREAD(handle, fsp, data, n, offset);
		if (got <= 0) {
			return got;
		}
		still = cava_gate_fast(cava, fsp);
		if (still) {
			return got;
		}
	}
	if (cava_gate_restless(cava, fsp)) {
		return got;
	}
	errno = EACCES;
	return -1;
}

/* Turned off at the tree connect (params.c); ENOSYS: smbd reads instead. */
ssize_t cava_sendfile_fn(struct vfs_handle_struct *handle, int tofd,
			 struct files_struct *fsp,
			 const DATA_BLOB *header, off_t offset,
			 size_t n)
{
	struct cava *cava = cava_of(handle);

	if ((cava_on(cava) || cava_is_check(cava)) && cava_is_content(fsp)) {
		errno = ENOSYS;
		return -1;
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
	unsigned int rounds;
	ssize_t ret;
	struct vfs_aio_state aio;
};

static void cava_pread_gate(struct tevent_req *req);
static void cava_pread_cleared(struct tevent_req *subreq);
static void cava_pread_next(struct tevent_req *req);
static void cava_pread_took(struct tevent_req *req);
static void cava_pread_done(struct tevent_req *subreq);

struct tevent_req *cava_pread_send_fn(
	struct vfs_handle_struct *handle, TALLOC_CTX *mem_ctx,
	struct tevent_context *ev, struct files_struct *fsp, void *data,
	size_t n, off_t offset)
{
	struct cava *cava = cava_of(handle);
	struct cava_pread_state *state = NULL;
	struct tevent_req *req = NULL;
	bool scanner = cava_is_check(cava);

	/* told apart in cava_pread_recv_fn() by the type of its state */
	if (!scanner && (!cava_on(cava) || !cava_is_content(fsp))) {
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
	if (scanner && cava_check_still(cava) != 0) {
		tevent_req_error(req, EACCES);
	} else if (scanner || cava_gate_passed(cava, fsp)) {
		cava_pread_next(req);
	} else {
		cava_pread_gate(req);
	}
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

static void cava_pread_gate(struct tevent_req *req)
{
	struct cava_pread_state *state = tevent_req_data(
		req, struct cava_pread_state);
	struct tevent_req *subreq = NULL;

	state->rounds++;
	subreq = cava_gate_send(state, state->ev, cava_of(state->handle),
				state->fsp, PROTO_WHY_READ);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, cava_pread_cleared, req);
}

static void cava_pread_cleared(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	int ret = cava_gate_recv(subreq);

	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	cava_pread_next(req);
}

static void cava_pread_next(struct tevent_req *req)
{
	struct cava_pread_state *state = tevent_req_data(
		req, struct cava_pread_state);
	struct tevent_req *subreq = NULL;

	state->ret = cava_read_now(state->handle, state->fsp, state->data,
				   state->n, state->offset);
	if (state->ret != -1) {
		state->aio = (struct vfs_aio_state) { .error = 0 };
		cava_pread_took(req);
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
	cava_pread_took(req);
}

/* The data is here. */
static void cava_pread_took(struct tevent_req *req)
{
	struct cava_pread_state *state = tevent_req_data(
		req, struct cava_pread_state);
	bool still = true;

	cava_fetched(cava_of(state->handle), state->fsp, state->ret);
	if (state->ret > 0 && !cava_is_check(cava_of(state->handle))) {
		still = cava_gate_fast(cava_of(state->handle), state->fsp);
	}
	if (!still && state->rounds >= CAVA_READ_ROUNDS) {
		still = cava_gate_restless(cava_of(state->handle),
					   state->fsp);
		if (!still) {
			tevent_req_error(req, EACCES);
			return;
		}
	}
	if (!still) {
		cava_pread_gate(req);
		return;
	}
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

/*
 * --- server-side copy: its source is read ---
 *
 * It passes the gate when the client gets the key of the handle. The copy
 * itself is made by descriptor (copy_file_range), past every hook of the
 * source, and into a share that need not have the module. But smbd asks for
 * the size of the source first, by fstat: so a handle that has a key passes
 * the gate once more there if the file has changed since. What is changed
 * while one copy_file_range() runs is copied as it is.
 *
 * smbd asks by fstat for much else, and does not delete on close what it
 * cannot look at. So the gate is there only while a client's IOCTL is at
 * work: nothing else copies.
 */

static bool copy_at_work(const struct cava *cava)
{
	const struct smbXsrv_client *client = cava->handle->conn->sconn->client;
	const struct smbXsrv_connection *xconn = NULL;
	const struct smbd_smb2_request *req = NULL;

	xconn = client == NULL ? NULL : client->connections;
	for (; xconn != NULL; xconn = xconn->next) {
		for (req = xconn->smb2.requests; req != NULL; req = req->next) {
			const uint8_t *hdr = NULL;

			if (req->current_idx + SMBD_SMB2_NUM_IOV_PER_REQ >
			    req->in.vector_count) {
				continue;	/* answered */
			}
			hdr = SMBD_SMB2_IN_HDR_PTR(req);
			if (SVAL(hdr, SMB2_HDR_OPCODE) == SMB2_OP_IOCTL) {
				return true;
			}
		}
	}
	return false;
}

int cava_copy_looks(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_on(cava) ? cava_file_fetch(cava, fsp) :
						 NULL;

	if (file == NULL || !file->keyed || !copy_at_work(cava) ||
	    cava_gate_fast(cava, fsp)) {
		return 0;
	}
	return cava_gate_sync(cava, fsp);
}

static void cava_keyed(struct vfs_handle_struct *handle,
		       struct files_struct *fsp)
{
	struct cava *cava = cava_of(handle);
	struct cava_file *file = cava_on(cava) ? cava_file_make(cava, fsp) :
						 NULL;

	if (file != NULL) {
		file->keyed = true;
	}
}

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
	if (cava_is_check(cava)) {
		cava_check_refuse(cava, "a server-side copy out of CHECK$");
		tevent_req_nterror(req, NT_STATUS_ACCESS_DENIED);
		return tevent_req_post(req, ev);
	}
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
	cava_keyed(state->handle, state->fsp);
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
