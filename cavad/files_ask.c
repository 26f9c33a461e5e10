/*
 * The requests of the files process as tevent requests.
 *
 * Each encodes its message, has files.c find a worker, and decodes the reply
 * in its _recv. A request that takes longer than FILES_WAIT in all, waiting
 * for a worker included, ends with ETIMEDOUT.
 *
 * Begin does one thing more. When the file is under a write lease of somebody
 * else (a kernel oplock, say), opening it asks for the lease and fails with
 * EAGAIN until it is given back: tried again a few times, here and not in
 * the worker, which has others to serve.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cavad/files_job.h"
#include "common/req.h"

#define FILES_WAIT 60		/* s */
#define FILES_BUSY_RETRY 100	/* ms */
#define FILES_BUSY_TRIES 50

struct files_ask_state {
	struct files_job *job;
	uint8_t *reply;		/* behind the head */
	size_t len;
	int fd;
};

static void files_ask_cleanup(struct tevent_req *req,
			      enum tevent_req_state req_state);
static void files_ask_done(void *private_data, int error, struct buf *reply,
			   int fd);

static struct tevent_req *files_ask_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct files *f,
					 const struct buf *message,
					 uint32_t number, uint64_t scan_id,
					 bool lock, unsigned int lazy)
{
	struct files_ask_state *state = NULL;
	struct tevent_req *req = NULL;
	struct timeval end;
	int ret = 0;

	req = tevent_req_create(mem_ctx, &state, struct files_ask_state);
	if (req == NULL) {
		return NULL;
	}
	state->fd = -1;
	tevent_req_set_cleanup_fn(req, files_ask_cleanup);
	if (message->error != 0) {
		tevent_req_error(req, message->error);
		return tevent_req_post(req, ev);
	}
	end = tevent_timeval_current_ofs(FILES_WAIT, 0);
	if (!tevent_req_set_endtime(req, ev, end)) {
		return tevent_req_post(req, ev);
	}
	ret = files_job_send(f, message, number, scan_id, lock, lazy,
			     files_ask_done, req, &state->job);
	if (ret != 0) {
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	return req;
}

static void files_ask_done(void *private_data, int error, struct buf *reply,
			   int fd)
{
	struct tevent_req *req = private_data;
	struct files_ask_state *state =
		tevent_req_data(req, struct files_ask_state);

	if (error != 0) {
		tevent_req_error(req, error);
		return;
	}
	state->fd = fd;
	state->len = buf_left(reply);
	state->reply = talloc_memdup(state, reply->data + reply->pos,
				     state->len);
	if (tevent_req_nomem(state->reply, req)) {
		return;
	}
	tevent_req_done(req);
}

static void files_ask_cleanup(struct tevent_req *req,
			      enum tevent_req_state req_state)
{
	struct files_ask_state *state =
		tevent_req_data(req, struct files_ask_state);

	if (state->job != NULL) {
		files_job_drop(state->job);
	}
	if (req_state == TEVENT_REQ_RECEIVED && state->fd != -1) {
		close(state->fd);
		state->fd = -1;
	}
}

/* 0 or errno. The reply lives until the request is received or freed. */
static int files_ask_reply(struct tevent_req *req, struct buf *reply)
{
	struct files_ask_state *state =
		tevent_req_data(req, struct files_ask_state);
	int ret = req_error(req);

	if (ret == 0) {
		*reply = buf_reader(state->reply, state->len);
	}
	return ret;
}

/* The descriptor that came along; the caller's now. */
static int files_ask_fd(struct tevent_req *req)
{
	struct files_ask_state *state =
		tevent_req_data(req, struct files_ask_state);
	int fd = state->fd;

	state->fd = -1;
	return fd;
}

struct files_begin_state {
	struct tevent_context *ev;
	struct files *f;
	struct files_begin begin;
	unsigned int tries;
	struct files_begun begun;	/* .path on this state */
};

static void files_begin_try(struct tevent_req *req);
static void files_begin_done(struct tevent_req *subreq);
static void files_begin_waited(struct tevent_req *subreq);
static void files_begin_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state);

struct tevent_req *files_begin_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct files *f,
				    const struct files_begin *begin)
{
	struct files_begin_state *state = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct files_begin_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->f = f;
	state->begin = *begin;
	state->begun.fd = -1;
	tevent_req_set_cleanup_fn(req, files_begin_cleanup);
	if (begin->path != NULL && strlen(begin->path) >= FILES_PATH_MAX) {
		tevent_req_error(req, ENAMETOOLONG);
		return tevent_req_post(req, ev);
	}
	state->begin.path = talloc_strdup(state, begin->path == NULL ? "" :
					  begin->path);
	if (tevent_req_nomem(state->begin.path, req)) {
		return tevent_req_post(req, ev);
	}
	files_begin_try(req);
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

static void files_begin_try(struct tevent_req *req)
{
	struct files_begin_state *state =
		tevent_req_data(req, struct files_begin_state);
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_BEGIN, 0);
	struct tevent_req *subreq = NULL;

	files_msg_put_begin(&b, &state->begin);
	subreq = files_ask_send(state, state->ev, state->f, &b,
				FILES_MSG_BEGIN, state->begin.scan_id,
				state->begin.lock, state->begin.lazy);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, files_begin_done, req);
}

static void files_begin_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct files_begin_state *state =
		tevent_req_data(req, struct files_begin_state);
	struct files_begun *begun = &state->begun;
	const char *path = "";
	struct buf b;
	int ret = files_ask_reply(subreq, &b);

	if (ret == 0) {
		files_msg_get_begun(&b, begun, &path);
		ret = buf_finish(&b);
	}
	if (ret == 0) {
		begun->path = talloc_strdup(state, path);
		begun->fd = files_ask_fd(subreq);
		ret = begun->path == NULL ? ENOMEM : 0;
	}
	TALLOC_FREE(subreq);
	if (ret != 0) {
		tevent_req_error(req, ret);
		return;
	}
	if (begun->status != FILES_IO || begun->error != EAGAIN ||
	    ++state->tries >= FILES_BUSY_TRIES) {
		tevent_req_done(req);
		return;
	}
	TALLOC_FREE(begun->path);
	subreq = tevent_wakeup_send(state, state->ev,
				    tevent_timeval_current_ofs(
					0, FILES_BUSY_RETRY * 1000));
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, files_begin_waited, req);
}

static void files_begin_waited(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct files_begin_state *state =
		tevent_req_data(req, struct files_begin_state);

	tevent_wakeup_recv(subreq);
	TALLOC_FREE(subreq);
	state->begin.lazy = 0;	/* it may have been raised meanwhile */
	files_begin_try(req);
}

static void files_begin_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state)
{
	struct files_begin_state *state =
		tevent_req_data(req, struct files_begin_state);

	if (req_state == TEVENT_REQ_RECEIVED && state->begun.fd != -1) {
		close(state->begun.fd);
		state->begun.fd = -1;
	}
}

int files_begin_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct files_begun *begun)
{
	struct files_begin_state *state =
		tevent_req_data(req, struct files_begin_state);
	int ret = req_error(req);

	if (ret == 0) {
		*begun = state->begun;
		begun->path = talloc_move(mem_ctx, &state->begun.path);
		state->begun.fd = -1;
	}
	tevent_req_received(req);
	return ret;
}

struct tevent_req *files_end_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  struct files *f,
				  const struct files_end *end)
{
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_END, 0);

	files_msg_put_end(&b, end);
	if (end->path != NULL && strlen(end->path) >= FILES_PATH_MAX) {
		b.error = ENAMETOOLONG;
	}
	return files_ask_send(mem_ctx, ev, f, &b, FILES_MSG_END,
			      end->scan_id, false, end->lazy);
}

int files_end_recv(struct tevent_req *req, struct files_ended *ended)
{
	struct buf b;
	int ret = files_ask_reply(req, &b);

	if (ret == 0) {
		files_msg_get_ended(&b, ended);
		ret = buf_finish(&b);
	}
	tevent_req_received(req);
	return ret;
}

struct files_respond_state {
	struct tevent_context *ev;
	struct files *f;
	struct files_respond respond;
	unsigned int tries;
	struct files_responded responded;	/* .path on this state */
};

static void files_respond_try(struct tevent_req *req);
static void files_respond_done(struct tevent_req *subreq);
static void files_respond_waited(struct tevent_req *subreq);

struct tevent_req *files_respond_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct files *f,
				      const struct files_respond *respond)
{
	struct files_respond_state *state = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct files_respond_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->f = f;
	state->respond = *respond;
	state->respond.path = talloc_strdup(state, respond->path);
	if (tevent_req_nomem(state->respond.path, req)) {
		return tevent_req_post(req, ev);
	}
	if (strlen(respond->path) >= FILES_PATH_MAX) {
		tevent_req_error(req, ENAMETOOLONG);
		return tevent_req_post(req, ev);
	}
	files_respond_try(req);
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

static void files_respond_try(struct tevent_req *req)
{
	struct files_respond_state *state =
		tevent_req_data(req, struct files_respond_state);
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_RESPOND, 0);
	struct tevent_req *subreq = NULL;

	files_msg_put_respond(&b, &state->respond);
	subreq = files_ask_send(state, state->ev, state->f, &b,
				FILES_MSG_RESPOND, 0, false, 0);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, files_respond_done, req);
}

static void files_respond_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct files_respond_state *state =
		tevent_req_data(req, struct files_respond_state);
	struct files_responded *r = &state->responded;
	const char *path = "";
	struct buf b;
	int ret = files_ask_reply(subreq, &b);

	if (ret == 0) {
		files_msg_get_responded(&b, r, &path);
		ret = buf_finish(&b);
	}
	if (ret == 0) {
		r->path = talloc_strdup(state, path);
		ret = r->path == NULL ? ENOMEM : 0;
	}
	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	if (r->status != FILES_IO || r->error != EAGAIN ||
	    ++state->tries >= FILES_BUSY_TRIES) {
		tevent_req_done(req);
		return;
	}
	TALLOC_FREE(r->path);
	subreq = tevent_wakeup_send(state, state->ev,
				    tevent_timeval_current_ofs(
					0, FILES_BUSY_RETRY * 1000));
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, files_respond_waited, req);
}

static void files_respond_waited(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);

	tevent_wakeup_recv(subreq);
	TALLOC_FREE(subreq);
	files_respond_try(req);
}

int files_respond_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		       struct files_responded *responded)
{
	struct files_respond_state *state =
		tevent_req_data(req, struct files_respond_state);
	int ret = req_error(req);

	if (ret == 0) {
		*responded = state->responded;
		responded->path = talloc_move(mem_ctx,
					      &state->responded.path);
	}
	tevent_req_received(req);
	return ret;
}

struct tevent_req *files_streams_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct files *f,
				      const struct ident *ident,
				      const char *path)
{
	struct files_begin ask = { .have_ident = ident != NULL, .path = path };
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_STREAMS, 0);

	if (ident != NULL) {
		ask.ident = *ident;
	}
	files_msg_put_begin(&b, &ask);
	if (strlen(path) >= FILES_PATH_MAX) {
		b.error = ENAMETOOLONG;
	}
	return files_ask_send(mem_ctx, ev, f, &b, FILES_MSG_STREAMS, 0,
			      false, 0);
}

int files_streams_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		       struct files_streams *streams)
{
	struct buf b;
	int ret = files_ask_reply(req, &b);

	if (ret == 0) {
		files_msg_get_streams(&b, streams);
		ret = buf_finish(&b);
	}
	if (ret == 0) {
		streams->names = talloc_memdup(mem_ctx, streams->names,
					       streams->len);
		ret = streams->names == NULL ? ENOMEM : 0;
	}
	tevent_req_received(req);
	return ret;
}

struct tevent_req *files_spool_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct files *f, uint64_t offset)
{
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_SPOOL, 0);

	buf_put_u64(&b, offset);
	return files_ask_send(mem_ctx, ev, f, &b, FILES_MSG_SPOOL, 0, false, 0);
}

int files_spool_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct files_spooled *spooled)
{
	struct files_spooled got = { .next = 0 };
	struct buf b;
	int ret = files_ask_reply(req, &b);

	if (ret == 0) {
		ret = buf_get_u32(&b);
		got.next = buf_get_u64(&b);
		got.damaged = buf_get_u64(&b);
		got.overflow = buf_get_u8(&b) != 0;
		ret = b.error != 0 ? b.error : ret;
	}
	if (ret == 0) {
		got.len = buf_left(&b);
		got.data = talloc_memdup(mem_ctx, b.data + b.pos, got.len);
		ret = got.data == NULL ? ENOMEM : 0;
	}
	if (ret == 0) {
		*spooled = got;
	}
	tevent_req_received(req);
	return ret;
}

struct tevent_req *files_spool_done_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct files *f)
{
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_SPOOL_DONE, 0);

	return files_ask_send(mem_ctx, ev, f, &b, FILES_MSG_SPOOL_DONE, 0,
			      false, 0);
}

int files_spool_done_recv(struct tevent_req *req)
{
	struct buf b;
	int ret = files_ask_reply(req, &b);

	if (ret == 0) {
		ret = buf_get_u32(&b);
		ret = b.error != 0 ? b.error : ret;
	}
	tevent_req_received(req);
	return ret;
}

struct tevent_req *files_walk_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct files *f,
				   const struct files_walk *walk)
{
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_WALK, 0);

	files_msg_put_walk(&b, walk);
	if (strlen(walk->path) >= FILES_PATH_MAX) {
		b.error = ENAMETOOLONG;
	}
	return files_ask_send(mem_ctx, ev, f, &b, FILES_MSG_WALK, 0, false, 0);
}

int files_walk_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		    struct files_walked *walked)
{
	struct buf b;
	int ret = files_ask_reply(req, &b);

	if (ret == 0) {
		files_msg_get_walked(&b, mem_ctx, walked);
		ret = buf_finish(&b);
	}
	tevent_req_received(req);
	return ret;
}
