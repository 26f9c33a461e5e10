/*
 * What is done about one file, and lasts: quarantine, release, truncate,
 * delete; for a worker.
 *
 * The file is found by its identity, and what is destroyed is what was judged:
 * size, mtime and ctime are compared before. Nobody's work is taken from
 * under his hands: while somebody has the file open for writing no read lease
 * is to be had, and nothing is truncated or deleted. It stays denied, and the
 * scan that follows his close answers once more. Who only reads, smbd for the
 * client whose read is being denied among them, is not in the way.
 *
 * A quarantine is in the record on the file, so it goes with it wherever it
 * is moved, and holds while cavad is away. Where the file cannot have one the
 * caller keeps it. What is released is as outdated as any record after a
 * change: the next reader waits for a scan.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_respond.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cavad/files_held.h"

static enum files_status respond_io(struct files_responded *r, int error)
{
	r->error = error;
	return FILES_IO;
}

/* The record as it shall be, on the file or with the caller. */
static enum files_status respond_put(int fd, struct files_responded *r)
{
	struct files_ended ended = { .record = r->record };
	enum files_status status = files_record_put(fd, &ended);
	int ret = 0;

	if (status == FILES_IO) {
		return respond_io(r, ended.error);
	}
	ret = content_of_fd(fd, &r->content);
	if (ret != 0) {
		return respond_io(r, ret);
	}
	if (status == FILES_NO_ATTRIBUTE) {
		r->record.content = r->content;
		r->record.stamp = r->content.ctime;
	}
	return status;
}

static enum files_status respond_quarantine(int fd, struct files_responded *r)
{
	int ret = verdict_read(fd, &r->record);

	r->was = ret == 0 && verdict_quarantined(&r->record);
	if (ret != 0 || r->record.result != VERDICT_INFECTED) {
		r->record = (struct verdict) { .result = VERDICT_INFECTED };
	}
	r->record.reason = VERDICT_REASON_QUARANTINED;
	return respond_put(fd, r);
}

/* What never was infected has no record afterwards. */
static enum files_status respond_release(int fd, struct files_responded *r)
{
	int ret = verdict_read(fd, &r->record);

	r->was = ret == 0 && verdict_quarantined(&r->record);
	if (!r->was) {
		r->record = (struct verdict) { .result = VERDICT_NONE };
		return FILES_OK;
	}
	r->record.reason = VERDICT_REASON_NONE;
	r->record.stamp = 0;	/* current for nothing */
	if (r->record.threat[0] != '\0') {
		return respond_put(fd, r);
	}
	r->record = (struct verdict) { .result = VERDICT_NONE };
	ret = fremovexattr(fd, VERDICT_XATTR);
	return ret == 0 ? FILES_OK : respond_io(r, errno);
}

/* Does nobody write? Where there are no leases nobody can say. */
static int respond_alone(int fd)
{
	int ret = held_lease(fd);

	if (ret == 0) {
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	}
	return ret == EAGAIN ? ETXTBSY : 0;
}

static bool respond_same(int fd, const struct content *judged)
{
	struct content now;
	int ret = content_of_fd(fd, &now);

	return ret == 0 && content_equal(&now, judged);
}

static enum files_status respond_truncate(const struct files_found *found,
					  const struct content *judged,
					  struct files_responded *r)
{
	char link[64] = "";
	enum files_status status = FILES_CHANGED;
	int fd = -1;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", found->fd);
	/* EAGAIN while the lease of the scan that has ended is held */
	fd = open(link, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1) {
		return respond_io(r, errno);
	}
	if (respond_same(fd, judged)) {
		status = ftruncate(fd, 0) == 0 ? FILES_OK :
			 respond_io(r, errno);
		(void)content_of_fd(fd, &r->content);
	}
	close(fd);
	return status;
}

static enum files_status respond_delete(const struct files_root *root,
					const struct files_found *found,
					struct files_responded *r)
{
	enum files_status status = files_unlink(root, found, &r->error);
	struct stat st = { 0 };

	if (status == FILES_OK && fstat(found->fd, &st) == 0) {
		r->links = (uint32_t)st.st_nlink;
	}
	return status;
}

static enum files_status respond(const struct files_root *root,
				 const struct files_respond *ask,
				 const struct files_found *found, int fd,
				 struct files_responded *r)
{
	int ret = 0;

	if (ask->action == FILES_QUARANTINE) {
		return respond_quarantine(fd, r);
	}
	if (ask->action == FILES_RELEASE) {
		return respond_release(fd, r);
	}
	ret = respond_alone(fd);
	if (ret != 0) {
		return respond_io(r, ret);
	}
	if (!respond_same(fd, &ask->content)) {
		return FILES_CHANGED;
	}
	return ask->action == FILES_TRUNCATE ?
		respond_truncate(found, &ask->content, r) :
		respond_delete(root, found, r);
}

void files_respond(const struct files_root *root,
		   const struct files_respond *ask,
		   struct files_found *found, struct files_responded *r)
{
	const struct ident *want = ask->have_ident ? &ask->ident : NULL;
	int fd = -1;
	int ret = 0;

	r->status = files_find(root, want, ask->path, found);
	if (r->status != FILES_OK) {
		r->error = found->error;
		return;
	}
	r->ident = found->ident;
	r->path = found->path;
	ret = files_reopen(found->fd, &fd);
	if (ret == 0) {
		ret = content_of_fd(fd, &r->content);
	}
	r->status = ret != 0 ? respond_io(r, ret) :
		    respond(root, ask, found, fd, r);
	if (fd != -1) {
		close(fd);
	}
}
