/*
 * A worker of the files process: opens, leases, compares, records.
 *
 * A plain poll loop. Requests are served one after the other (cavad's end
 * has one, or a bunch, under way per worker, and replaces a worker that hangs
 * in the kernel); while there are more, the replies are kept, to go out
 * together (files_reply.c). What stays behind between them is a table of
 * files held open (files_held.c), and begins that wait for a writer
 * (files_settle.c): those are answered LATER and then, at any time, for good.
 *
 * An end that comes for a scan this worker does not know (the one that
 * began it is gone) opens the file anew by its identity; the comparison with
 * `before` does not depend on who made it.
 *
 * When the socket to cavad ends, the worker ends, and every lease with it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cavad/files_held.h"
#include "cavad/files_reply.h"
#include "cavad/files_respond.h"
#include "cavad/files_settle.h"
#include "cavad/files_stream.h"
#include "cavad/files_worker.h"
#include "common/spool.h"
#include "common/tiered.h"

/* A begin: from its message to its reply. */
struct beginning {
	uint32_t id;
	uint64_t scan_id;
	bool want_fd;		/* if it is locked, or was not to be */
	bool held;		/* fd is that of a struct held */
	int fd;			/* with lock: the file; -1 */
	struct files_found found;
	bool bare;		/* it surely had no record when it was read */
	struct content read;	/* of what begun.record is the record; .size
				 * UINT64_MAX = of nothing yet */
	struct files_begun begun;
};

struct worker {
	int sock;
	const struct files_root *root;
	const char *spool_dir;
	struct files_held held;
	struct files_settle *settle;
	struct files_replies replies;
	struct files_in in;
	uint8_t out[FILES_MSG_MAX];
};

/* FILES_IO, and the errno with it. */
static enum files_status io_error(int *result, int error)
{
	*result = error;
	return FILES_IO;
}

/*
 * FUSE says what it remembers, leases are this host's, and another may write.
 */
static bool begin_is_quiet(const struct beginning *b)
{
	int64_t due = 0;

	if (__builtin_add_overflow(b->begun.content.ctime, FILES_STAMP_AHEAD,
				   &due)) {
		return false;
	}
	return files_record_due(due) && !b->found.fuse;
}

/*
 * The lock, and what the file is. 0; EINPROGRESS: once b->fd has settled;
 * errno.
 */
static int begin_lock(struct worker *w, struct beginning *b)
{
	struct held *h = NULL;
	int ret = files_reopen(b->found.fd, &b->fd);

	if (ret != 0) {
		return ret;
	}
	b->begun.locked = true;
	h = held_add(&w->held, b->scan_id, b->fd, &b->found.ident);
	b->held = h != NULL;
	b->begun.leased = h != NULL && h->leased;
	ret = content_of_fd(b->fd, &b->begun.content);
	if (b->begun.leased) {
		b->begun.quiet = ret == 0 && begin_is_quiet(b);
		return ret;
	}
	if (ret == 0) {
		ret = files_settle_start(w->settle, b->fd, &b->begun.content,
					 b);
	}
	return ret == 0 ? EINPROGRESS : ret;
}

/* Nothing of it stays. */
static enum files_status begin_failed(struct worker *w, struct beginning *b,
				      int error)
{
	struct held *h = b->held ? held_find(&w->held, b->scan_id) : NULL;

	if (h != NULL) {
		held_drop(&w->held, h);
	} else if (b->fd != -1) {
		close(b->fd);
	}
	b->fd = -1;
	b->begun.locked = false;
	b->begun.leased = false;
	b->begun.quiet = false;
	return io_error(&b->begun.error, error);
}

static void begin_read_record(struct beginning *b)
{
	bool quiet = begin_is_quiet(b);
	int ret = verdict_read_path(b->found.fd, &b->begun.record);

	b->begun.have_record = ret == 0;
	b->bare = quiet && ret == ENODATA;
	b->read = b->begun.content;
}

/* Its record, and a descriptor for the caller; `error` of what came before */
static enum files_status begin_finish(struct worker *w, struct beginning *b,
				      int error)
{
	int ret = error;

	/* Not a copy of the held one: that would keep the lease alive. */
	if (ret == 0 && b->want_fd) {
		ret = files_reopen(b->found.fd, &b->begun.fd);
	}
	if (ret != 0) {
		return begin_failed(w, b, ret);
	}
	/* a record that comes or goes moves ctime */
	if (!content_equal(&b->read, &b->begun.content)) {
		begin_read_record(b);
	}
	if (b->held) {
		held_find(&w->held, b->scan_id)->bare =
			b->begun.quiet && b->bare;
	} else if (b->fd != -1) {
		close(b->fd);
	}
	b->begun.tiered = b->found.stub && tiered_of_fd(b->found.fd);
	return FILES_OK;
}

/* Is it to be locked? b->begun.content is what it is now. */
static bool begin_needs_lock(const struct files_begin *begin,
			     struct beginning *b)
{
	if (!begin->lock || !begin->if_needed) {
		return begin->lock;
	}
	if (b->begun.content.size > begin->lock_max ||
	    (b->found.stub && tiered_of_fd(b->found.fd))) {
		return false;
	}
	begin_read_record(b);
	return !verdict_state_current(verdict_state(
		b->begun.have_record ? &b->begun.record : NULL,
		&b->begun.content, begin->signature_min));
}

/* Of a found file. *later: begin_settled() goes on. */
static enum files_status begin_found(struct worker *w,
				     const struct files_begin *begin,
				     struct beginning *b, bool *later)
{
	bool lock = false;
	int ret = 0;

	b->scan_id = begin->scan_id;
	b->begun.content = b->found.content;
	lock = begin_needs_lock(begin, b);
	b->want_fd = begin->want_fd && (lock || !begin->if_needed);
	ret = lock ? begin_lock(w, b) : 0;
	if (ret == EINPROGRESS) {
		*later = true;
		return FILES_OK;
	}
	return begin_finish(w, b, ret);
}

static enum files_status worker_begin(struct worker *w,
				      const struct files_begin *begin,
				      struct beginning *b, bool *later)
{
	const struct ident *want = begin->have_ident ? &begin->ident : NULL;
	enum files_status status = FILES_OK;

	if (begin->lock && held_find(&w->held, begin->scan_id) != NULL) {
		return io_error(&b->begun.error, EINVAL);
	}
	status = files_find(w->root, want, begin->path, &b->found);
	if (status != FILES_OK) {
		b->begun.error = b->found.error;
		return status;
	}
	b->begun.ident = b->found.ident;
	b->begun.path = b->found.path;
	if (b->found.ident.stream[0] != '\0') {
		return files_stream_begin(b->found.fd, begin, &b->begun);
	}
	return begin_found(w, begin, b, later);
}

/* 0 or errno. The beginning is over. */
static int begin_reply(struct worker *w, struct beginning *b)
{
	struct buf out = files_msg_start(w->out, FILES_MSG_BEGIN, b->id);
	int ret = 0;

	files_msg_put_begun(&out, &b->begun);
	ret = files_reply(&w->replies, &out, b->begun.fd);
	if (b->found.fd != -1) {
		close(b->found.fd);
	}
	free(b);
	return ret;
}

/* The scan is not one of ours: its file again, by identity. */
static enum files_status end_anew(struct worker *w,
				  const struct files_end *end, int *error,
				  struct held **result)
{
	struct files_found found;
	enum files_status status = FILES_OK;
	int fd = -1;
	int ret = 0;

	status = files_find(w->root, &end->ident, end->path, &found);
	if (status != FILES_OK) {
		*error = found.error;
		return status;
	}
	ret = files_reopen(found.fd, &fd);
	close(found.fd);
	if (ret != 0) {
		return io_error(error, ret);
	}
	*result = held_add(&w->held, end->scan_id, fd, &found.ident);
	if (*result == NULL) {
		close(fd);
		return io_error(error, EMFILE);
	}
	return FILES_OK;
}

/* Is what is held still a file, and the one that is meant? And what it is. */
static enum files_status end_facts(const struct held *h,
				   const struct files_end *end,
				   struct content *now, int *error)
{
	struct stat st = { 0 };
	int ret = fstat(h->fd, &st);

	if (ret == -1) {
		return io_error(error, errno);
	}
	if (st.st_nlink == 0) {
		return FILES_GONE;
	}
	if (!ident_equal(&h->ident, &end->ident)) {
		return io_error(error, EINVAL);
	}
	content_of_stat(&st, now);
	return FILES_OK;
}

static enum files_status worker_end(struct worker *w,
				    const struct files_end *end,
				    struct files_ended *ended)
{
	struct held *h = held_find(&w->held, end->scan_id);
	enum files_status status = FILES_OK;
	int ret = 0;

	if (end->record == NULL) {
		if (h != NULL) {
			held_drop(&w->held, h);
		}
		return FILES_OK;
	}
	if (h == NULL) {
		status = end_anew(w, end, &ended->error, &h);
	}
	if (status != FILES_OK) {
		return status;
	}
	/* a writer of then may have closed by now */
	ret = held_leased(h) ? 0 : held_lease(h->fd);
	h->leased = ret == 0;
	status = end_facts(h, end, &ended->content, &ended->error);
	if (status == FILES_OK) {
		status = files_record_write(h->fd, &end->before, end->record,
					    ret == EAGAIN, h->bare, ended,
					    &h->written);
	}
	if (status != FILES_OK) {
		held_drop(&w->held, h);
		return status;
	}
	held_settle(h);
	return FILES_OK;
}

/* 0, or errno: then there is no going on. */
static int handle_begin(struct worker *w, uint32_t id, struct buf *in)
{
	struct buf out = files_msg_start(w->out, FILES_MSG_LATER, id);
	struct beginning *b = NULL;
	struct files_begin begin;
	bool later = false;
	int ret = 0;

	files_msg_get_begin(in, &begin);
	ret = buf_finish(in);
	if (ret != 0) {
		return ret;
	}
	b = calloc(1, sizeof(*b));
	if (b == NULL) {
		return ENOMEM;
	}
	b->id = id;
	b->fd = b->found.fd = b->begun.fd = -1;
	b->read.size = UINT64_MAX;
	b->begun.status = worker_begin(w, &begin, b, &later);
	if (later) {
		return files_reply(&w->replies, &out, -1);
	}
	return begin_reply(w, b);
}

/* What handle_begin() left for later. */
static int begin_settled(struct worker *w)
{
	struct beginning *b = files_settle_next(w->settle);

	if (b == NULL) {
		return 0;
	}
	b->begun.status = begin_finish(w, b, 0);
	return begin_reply(w, b);
}

static int handle_end(struct worker *w, uint32_t id, struct buf *in)
{
	struct buf out = files_msg_start(w->out, FILES_MSG_END, id);
	struct files_ended ended = { .status = FILES_OK };
	struct files_end end;
	struct verdict record;
	int ret = 0;

	files_msg_get_end(in, &end, &record);
	ret = buf_finish(in);
	if (ret != 0) {
		return ret;
	}
	ended.status = worker_end(w, &end, &ended);
	files_msg_put_ended(&out, &ended);
	return files_reply(&w->replies, &out, -1);
}

static int handle_spool(struct worker *w, uint32_t id, struct buf *in)
{
	static uint8_t frames[FILES_SPOOL_CHUNK];
	struct buf out = files_msg_start(w->out, FILES_MSG_SPOOL, id);
	uint64_t offset = buf_get_u64(in);
	uint64_t damaged = 0;
	bool overflow = false;
	size_t len = 0;
	int ret = buf_finish(in);

	if (ret != 0) {
		return ret;
	}
	ret = spool_take(w->spool_dir, &overflow);
	if (ret == 0) {
		ret = spool_read(w->spool_dir, &offset, frames,
				 sizeof(frames), &len, &damaged);
	}
	if (ret == ENOENT) {
		ret = 0;
		len = 0;
	}
	buf_put_u32(&out, ret);
	buf_put_u64(&out, offset);
	buf_put_u64(&out, damaged);
	buf_put_u8(&out, overflow);
	buf_put_bytes(&out, frames, ret == 0 ? len : 0);
	return files_reply(&w->replies, &out, -1);
}

static int handle_spool_done(struct worker *w, uint32_t id, struct buf *in)
{
	struct buf out = files_msg_start(w->out, FILES_MSG_SPOOL_DONE, id);
	int ret = buf_finish(in);

	if (ret != 0) {
		return ret;
	}
	ret = spool_done(w->spool_dir);
	buf_put_u32(&out, ret == ENOENT ? 0 : ret);
	return files_reply(&w->replies, &out, -1);
}

static int handle_respond(struct worker *w, uint32_t id, struct buf *in)
{
	struct buf out = files_msg_start(w->out, FILES_MSG_RESPOND, id);
	struct files_responded responded = { .path = NULL };
	struct files_found found = { .fd = -1 };
	struct files_respond respond;
	int ret = 0;

	files_msg_get_respond(in, &respond);
	ret = buf_finish(in);
	if (ret != 0) {
		return ret;
	}
	files_respond(w->root, &respond, &found, &responded);
	if (found.fd != -1) {
		close(found.fd);
	}
	files_msg_put_responded(&out, &responded);
	return files_reply(&w->replies, &out, -1);
}

static int handle_streams(struct worker *w, uint32_t id, struct buf *in)
{
	static char names[STREAM_LIST_MAX];
	struct buf out = files_msg_start(w->out, FILES_MSG_STREAMS, id);
	struct files_streams streams = { .names = names };
	struct files_found found = { .fd = -1 };
	struct files_begin ask;
	int ret = 0;

	files_msg_get_begin(in, &ask);
	ret = buf_finish(in);
	if (ret != 0) {
		return ret;
	}
	files_streams_list(w->root, &ask, names, &found, &streams);
	if (found.fd != -1) {
		close(found.fd);
	}
	files_msg_put_streams(&out, &streams);
	return files_reply(&w->replies, &out, -1);
}

/* One request. */
static int worker_serve(struct worker *w, struct buf *in)
{
	uint32_t number = buf_get_u32(in);
	uint32_t id = buf_get_u32(in);

	switch (number) {
	case FILES_MSG_BEGIN:
		return handle_begin(w, id, in);
	case FILES_MSG_END:
		return handle_end(w, id, in);
	case FILES_MSG_SPOOL:
		return handle_spool(w, id, in);
	case FILES_MSG_SPOOL_DONE:
		return handle_spool_done(w, id, in);
	case FILES_MSG_RESPOND:
		return handle_respond(w, id, in);
	case FILES_MSG_STREAMS:
		return handle_streams(w, id, in);
	default:
		return EBADMSG;
	}
}

/* One, or a bunch, as they came. */
static int worker_serve_all(struct worker *w)
{
	struct buf in;
	int fd = -1;
	int ret = files_in_recv(&w->in, w->sock, MSG_DONTWAIT);

	files_replies_began(&w->replies);
	while (ret == 0 && files_in_next(&w->in, &in, &fd)) {
		if (fd != -1) {
			close(fd);
			return EBADMSG;
		}
		ret = worker_serve(w, &in);
	}
	if (ret == EAGAIN) {
		return 0;
	}
	return ret == 0 ? files_replies_send(&w->replies) : ret;
}

/* Until there is an error. */
static int worker_loop(struct worker *w)
{
	struct pollfd pfd[] = { { .fd = w->sock, .events = POLLIN },
				{ .fd = -1, .events = POLLIN } };
	int timeout = 0;
	int ret = 0;

	while (ret == 0) {
		timeout = held_settled(&w->held);
		pfd[1].fd = files_settle_fd(w->settle);
		if (poll(pfd, 2, timeout) <= 0) {
			continue;
		}
		if (pfd[1].revents != 0) {
			ret = begin_settled(w);
			/* its reader has waited for long enough */
			ret = ret == 0 ? files_replies_send(&w->replies) : ret;
		}
		if (ret == 0 && pfd[0].revents != 0) {
			ret = worker_serve_all(w);
		}
	}
	return ret;
}

int files_worker_run(int sock, const struct files_root *root,
		     const char *spool_dir)
{
	struct worker *w = calloc(1, sizeof(*w));
	int ret = w == NULL ? ENOMEM : files_settle_create(&w->settle);

	if (ret == 0) {
		w->sock = sock;
		w->replies.sock = sock;
		w->root = root;
		w->spool_dir = spool_dir;
		ret = worker_loop(w);
	}
	free(w);
	if (ret == EPIPE || ret == ECONNRESET) {
		return 0;
	}
	files_msg_log(sock, LOG_LEVEL_ERROR, "a worker ends: %s (a request "
		      "that makes no sense is an error of this program: "
		      "please report it)", strerror(ret));
	return 1;
}
