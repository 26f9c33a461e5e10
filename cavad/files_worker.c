/*
 * A worker of the files process: opens, leases, compares, records.
 *
 * A plain poll loop. Requests are served one after the other (cavad's end
 * has one under way per worker, and replaces a worker that hangs in the
 * kernel); what stays behind between them is a table of files held open:
 *
 * - scanned: from begin with lock to end, under the caller's scan_id, with
 *   the read lease where one was to be had. The lease is the lock: whoever
 *   opens the file for writing waits, and SIGIO, which tells us so, is
 *   ignored, since the scan's end comes anyway. The kernel waits with them
 *   for at most /proc/sys/fs/lease-break-time (45 s) and then takes the lease
 *   away; what is written after that voids the answer like any other change.
 * - settling: after end, until T has passed (files_record.c says why), and
 *   the record is checked once more unless the lease held until then.
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
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cavad/files_record.h"
#include "cavad/files_stream.h"
#include "cavad/files_worker.h"
#include "common/spool.h"

#define SETTLE_MAX 1000		/* ms; the clock may be set back meanwhile */
#define SETTLE_TICK 20		/* ms; the same */
#define SETTLE_XATTR "security.cava.none"	/* of no file */

struct held {
	uint64_t scan_id;
	int fd;
	bool leased;
	bool settling;
	int64_t started;	/* settling: monotonic ms */
	struct files_written written;
};

struct worker {
	int sock;
	const struct files_root *root;
	const char *spool_dir;
	struct held *held[FILES_HELD];
	unsigned int held_num;
	uint8_t in[FILES_MSG_MAX];
	uint8_t out[FILES_MSG_MAX];
};

static int64_t monotonic_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* 0; EAGAIN while anybody has the file open for writing; errno: none here */
static int lease_take(int fd)
{
	int ret = fcntl(fd, F_SETLEASE, F_RDLCK);

	return ret == -1 ? errno : 0;
}

/* False too when somebody waits for it: then the kernel may take it away. */
static bool lease_holds(const struct held *h)
{
	return h->leased && fcntl(h->fd, F_GETLEASE) == F_RDLCK;
}

static struct held *held_find(struct worker *w, uint64_t scan_id)
{
	unsigned int i = 0;

	for (i = 0; i < w->held_num; i++) {
		if (!w->held[i]->settling && w->held[i]->scan_id == scan_id) {
			return w->held[i];
		}
	}
	return NULL;
}

/* Takes fd over; NULL when there is no room: then fd is still the caller's. */
static struct held *held_add(struct worker *w, uint64_t scan_id, int fd)
{
	struct held *h = NULL;

	if (w->held_num < FILES_HELD) {
		h = calloc(1, sizeof(*h));
	}
	if (h == NULL) {
		return NULL;
	}
	h->scan_id = scan_id;
	h->fd = fd;
	h->leased = lease_take(fd) == 0;
	w->held[w->held_num++] = h;
	return h;
}

static void held_drop(struct worker *w, struct held *h)
{
	unsigned int i = 0;

	while (w->held[i] != h) {
		i++;
	}
	w->held[i] = w->held[--w->held_num];
	close(h->fd);		/* and the lease goes */
	free(h);
}

/* Ends what has settled; returns the timeout for poll(). */
static int worker_settle(struct worker *w)
{
	struct held *h = NULL;
	unsigned int i = 0;
	int timeout = -1;
	int wait = 0;

	while (i < w->held_num) {
		h = w->held[i];
		if (!h->settling) {
			i++;
			continue;
		}
		if (files_record_due(h->written.record.stamp) ||
		    monotonic_ms() - h->started > SETTLE_MAX) {
			if (!lease_holds(h)) {
				files_record_check(h->fd, &h->written);
			}
			held_drop(w, h);
			continue;
		}
		wait = files_record_wait(h->written.record.stamp);
		if (timeout == -1 || wait < timeout) {
			timeout = wait;
		}
		i++;
	}
	return timeout;
}

/* FILES_IO, and the errno with it. */
static enum files_status io_error(int *result, int error)
{
	*result = error;
	return FILES_IO;
}

/*
 * Somebody may have a writable mapping with dirty pages, and what is stored
 * into those moves no time at all. Written back they are clean: the next
 * store is a page fault, and that moves mtime and ctime. (Not on tmpfs.)
 */
static void write_back(int fd)
{
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE |
			      SYNC_FILE_RANGE_WRITE |
			      SYNC_FILE_RANGE_WAIT_AFTER);
}

/*
 * No lease: somebody may write. `content` is what the file was a moment ago.
 * Afterwards every change that it does not show is there to be scanned:
 *
 * 1. A stamp is the coarse clock's, so two changes in a tick look alike.
 *    With the tick over, the next one has another ctime.
 * 2. write() moves ctime first and takes its time over the bytes, for as
 *    long as the page that it copies from takes to come. It holds the lock
 *    of the inode, for which the kernel waits here before it finds that
 *    there is no such attribute.
 */
static void settle(int fd, const struct content *content)
{
	int wait = files_record_wait(content->ctime);

	if (!files_record_due(content->ctime)) {
		(void)poll(NULL, 0, wait < SETTLE_TICK ? wait : SETTLE_TICK);
	}
	write_back(fd);
	(void)fremovexattr(fd, SETTLE_XATTR);
}

/* The lock, and what the file is. 0 or errno. */
static int begin_lock(struct worker *w, uint64_t scan_id, int path_fd,
		      struct files_begun *begun, struct held **result)
{
	int fd = -1;
	int ret = files_reopen(path_fd, &fd);

	if (ret != 0) {
		return ret;
	}
	*result = held_add(w, scan_id, fd);
	begun->leased = *result != NULL && (*result)->leased;
	if (!begun->leased) {
		write_back(fd);
	}
	ret = content_of_fd(fd, &begun->content);
	if (ret == 0 && !begun->leased) {
		settle(fd, &begun->content);
	}
	if (*result == NULL) {
		close(fd);
	}
	return ret;
}

/* Of a found file: record, content, lock, and a descriptor for the caller */
static enum files_status begin_found(struct worker *w,
				     const struct files_begin *begin,
				     int path_fd, struct files_begun *begun)
{
	struct held *h = NULL;
	int ret = begin->lock ?
		  begin_lock(w, begin->scan_id, path_fd, begun, &h) :
		  content_of_fd(path_fd, &begun->content);

	/* Not a copy of the held one: that would keep the lease alive. */
	if (ret == 0 && begin->want_fd) {
		ret = files_reopen(path_fd, &begun->fd);
	}
	if (ret != 0) {
		if (h != NULL) {
			held_drop(w, h);
		}
		begun->leased = false;
		return io_error(&begun->error, ret);
	}
	ret = verdict_read(path_fd, &begun->record);
	begun->have_record = ret == 0;
	return FILES_OK;
}

static enum files_status worker_begin(struct worker *w,
				      const struct files_begin *begin,
				      struct files_begun *begun,
				      struct files_found *found)
{
	const struct ident *want = begin->have_ident ? &begin->ident : NULL;
	enum files_status status = FILES_OK;

	if (begin->lock && held_find(w, begin->scan_id) != NULL) {
		return io_error(&begun->error, EINVAL);
	}
	status = files_find(w->root, want, begin->path, found);
	if (status != FILES_OK) {
		begun->error = found->error;
		return status;
	}
	begun->ident = found->ident;
	begun->path = found->path;
	if (found->ident.stream[0] != '\0') {
		status = files_stream_begin(found->fd, begin, begun);
	} else {
		status = begin_found(w, begin, found->fd, begun);
	}
	close(found->fd);
	return status;
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
	*result = held_add(w, end->scan_id, fd);
	if (*result == NULL) {
		close(fd);
		return io_error(error, EMFILE);
	}
	return FILES_OK;
}

/* Is what is held still a file, and the one that is meant? */
static enum files_status end_facts(const struct held *h,
				   const struct files_end *end, int *error)
{
	struct ident ident;
	struct stat st = { 0 };
	int ret = fstat(h->fd, &st);

	if (ret == -1) {
		return io_error(error, errno);
	}
	if (st.st_nlink == 0) {
		return FILES_GONE;
	}
	ret = ident_of_fd(h->fd, &ident);
	if (ret != 0) {
		return io_error(error, ret);
	}
	if (!ident_equal(&ident, &end->ident)) {
		return io_error(error, EINVAL);
	}
	return FILES_OK;
}

static enum files_status worker_end(struct worker *w,
				    const struct files_end *end,
				    struct files_ended *ended)
{
	struct held *h = held_find(w, end->scan_id);
	enum files_status status = FILES_OK;
	int ret = 0;

	if (end->record == NULL) {
		if (h != NULL) {
			held_drop(w, h);
		}
		return FILES_OK;
	}
	if (h == NULL) {
		status = end_anew(w, end, &ended->error, &h);
	}
	if (status != FILES_OK) {
		return status;
	}
	status = end_facts(h, end, &ended->error);
	if (status == FILES_OK) {
		/* a writer of then may have closed by now */
		ret = lease_holds(h) ? 0 : lease_take(h->fd);
		h->leased = ret == 0;
		status = files_record_write(h->fd, &end->before, end->record,
					    ret == EAGAIN, ended,
					    &h->written);
	}
	if (status != FILES_OK) {
		held_drop(w, h);
		return status;
	}
	h->settling = true;
	h->started = monotonic_ms();
	return FILES_OK;
}

/* 0, or errno: then there is no going on. */
static int handle_begin(struct worker *w, uint32_t id, struct buf *in)
{
	struct buf out = files_msg_start(w->out, FILES_MSG_BEGIN, id);
	struct files_begun begun = { .fd = -1, .path = NULL };
	struct files_found found;
	struct files_begin begin;
	int ret = 0;

	files_msg_get_begin(in, &begin);
	ret = buf_finish(in);
	if (ret != 0) {
		return ret;
	}
	begun.status = worker_begin(w, &begin, &begun, &found);
	files_msg_put_begun(&out, &begun);
	ret = files_msg_send(w->sock, &out, begun.fd, 0);
	if (begun.fd != -1) {
		close(begun.fd);
	}
	return ret;
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
	return files_msg_send(w->sock, &out, -1, 0);
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
	return files_msg_send(w->sock, &out, -1, 0);
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
	return files_msg_send(w->sock, &out, -1, 0);
}

static int worker_serve(struct worker *w)
{
	struct buf in;
	uint32_t number = 0;
	uint32_t id = 0;
	size_t len = 0;
	int fd = -1;
	int ret = files_msg_recv(w->sock, w->in, &len, &fd, 0);

	if (ret != 0) {
		return ret;
	}
	if (fd != -1) {
		close(fd);
		return EBADMSG;
	}
	in = buf_reader(w->in, len);
	number = buf_get_u32(&in);
	id = buf_get_u32(&in);
	switch (number) {
	case FILES_MSG_BEGIN:
		return handle_begin(w, id, &in);
	case FILES_MSG_END:
		return handle_end(w, id, &in);
	case FILES_MSG_SPOOL:
		return handle_spool(w, id, &in);
	case FILES_MSG_SPOOL_DONE:
		return handle_spool_done(w, id, &in);
	default:
		return EBADMSG;
	}
}

int files_worker_run(int sock, const struct files_root *root,
		     const char *spool_dir)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	int timeout = 0;
	int ret = w == NULL ? ENOMEM : 0;

	if (ret == 0) {
		w->sock = sock;
		w->root = root;
		w->spool_dir = spool_dir;
	}
	while (ret == 0) {
		timeout = worker_settle(w);
		if (poll(&pfd, 1, timeout) > 0) {
			ret = worker_serve(w);
		}
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
