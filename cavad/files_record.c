/*
 * Writing the verdict's record on an open file, and taking it off again.
 *
 * Why T. The record must say of which content it speaks, and what a reader
 * can see of the content without reading it is size, mtime and ctime. Size
 * and mtime can be restored by who changes a file; ctime cannot, but writing
 * the record moves it, and to a value that is known only afterwards. So the
 * record carries T, a moment just ahead of its own writing, and means "no
 * change since T": the write itself leaves a ctime before T, any change that
 * comes once T has passed leaves one behind it, and between the two a read
 * lease keeps writers out. Two consequences:
 *
 * 1. A file stamp is taken from the coarse clock, up to a tick behind the
 *    fine one. T has passed only when the coarse clock says so.
 * 2. Where somebody has the file open for writing no lease is to be had, and
 *    who writes before T and puts mtime back would have a current record
 *    until T. So the verdict goes to the store, under the ctime as it is:
 *    any change makes another. An infected record is written all the same.
 * 3. Where the file system has no leases, or one was lost, ctime tells: it
 *    is read back after the write and compared once T has passed. The record
 *    goes if it moved, and only if it is still ours. An infected record
 *    stays: it is not current any more, and "was infected" is what readers
 *    shall see. Until T, a local process that has the file open can do it.
 *
 * The record also keeps the ctime that it moves, from the record before it
 * if that is current: vfs_cava/worm.c shows it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#include "cavad/files_record.h"

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)
#define RECORD_TRIES 3		/* writes that came out later than their T */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static bool same_but_ctime(const struct content *a, const struct content *b)
{
	return a->size == b->size && a->mtime == b->mtime;
}

bool files_record_keep(const struct verdict *there, struct verdict *v)
{
	if (!verdict_quarantined(there) || verdict_quarantined(v)) {
		return false;
	}
	if (v->result != VERDICT_INFECTED) {
		memcpy(v->threat, there->threat, sizeof(v->threat));
	}
	v->result = VERDICT_INFECTED;
	v->reason = VERDICT_REASON_QUARANTINED;
	return true;
}

/* Errors that say "not on this file", as opposed to a failing disk. */
static bool no_attribute(int error)
{
	switch (error) {
	case EPERM:		/* immutable, append-only, user namespace */
	case EACCES:
	case EROFS:
	case ENOTSUP:
	case ENOSPC:
	case EDQUOT:
	case E2BIG:
	case ERANGE:
		return true;
	default:
		return false;
	}
}

/*
 * The store keeps it. Nothing moved ctime here, so T is ctime: current as
 * long as nothing does.
 */
static enum files_status keep_in_store(int fd, struct files_ended *ended)
{
	int ret = content_of_fd(fd, &ended->content);

	if (ret != 0) {
		ended->error = ret;
		return FILES_IO;
	}
	ended->record.content = ended->content;
	ended->record.stamp = ended->content.ctime;
	return FILES_NO_ATTRIBUTE;
}

/* Not for ever: an infected record is left for "was infected". */
static void take_back(int fd, const struct verdict *record)
{
	if (record->result != VERDICT_INFECTED) {
		fremovexattr(fd, VERDICT_XATTR);
	}
}

enum files_status files_record_put(int fd, struct files_ended *ended)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t len = verdict_encode(&ended->record, rec, sizeof(rec));
	int ret = 0;

	if (len == 0) {
		ended->error = EMSGSIZE;
		return FILES_IO;
	}
	ret = fsetxattr(fd, VERDICT_XATTR, rec, len, 0);
	if (ret == -1 && no_attribute(errno)) {
		return FILES_NO_ATTRIBUTE;
	}
	if (ret == -1) {
		ended->error = errno;
		return FILES_IO;
	}
	return FILES_OK;
}

/* One try. *again: it took longer than T was ahead. */
static enum files_status write_once(int fd, const struct content *before,
				    struct files_ended *ended, bool *again)
{
	struct verdict *v = &ended->record;
	enum files_status status = FILES_OK;
	int ret = 0;

	v->content = *before;
	v->stamp = clock_ns(CLOCK_REALTIME) + FILES_STAMP_AHEAD;
	status = files_record_put(fd, ended);
	if (status == FILES_NO_ATTRIBUTE) {
		return keep_in_store(fd, ended);
	}
	if (status != FILES_OK) {
		return status;
	}
	ret = content_of_fd(fd, &ended->content);
	if (ret != 0) {
		ended->error = ret;
		return FILES_IO;
	}
	if (!same_but_ctime(before, &ended->content)) {
		take_back(fd, v);
		return FILES_CHANGED;
	}
	*again = ended->content.ctime > v->stamp ||
		ended->content.ctime < v->stamp - SECOND;
	return FILES_OK;
}

/* As keep_in_store(), for a file that somebody has open for writing. */
static enum files_status keep_of_writer(int fd, const struct content *before,
					struct files_ended *ended)
{
	enum files_status status = keep_in_store(fd, ended);

	if (status == FILES_NO_ATTRIBUTE &&
	    !content_equal(before, &ended->content)) {
		return FILES_CHANGED;
	}
	return status;
}

enum files_status files_record_write(int fd, const struct content *before,
				     const struct verdict *record,
				     bool written_to, bool bare,
				     struct files_ended *ended,
				     struct files_written *written)
{
	enum files_status status = FILES_OK;
	struct content expected = *before;
	struct verdict there;
	bool again = true;
	int tries = 0;
	int ret = bare ? ENODATA : verdict_read(fd, &there);

	ended->record = *record;
	ended->record.changed = ret == 0 && there.changed != 0 &&
		verdict_is_current(&there, before) ? there.changed :
		before->ctime;
	if (ret == 0 && files_record_keep(&there, &ended->record)) {
		record = &there;	/* is not taken back either */
	}
	if (written_to && record->result != VERDICT_INFECTED) {
		return keep_of_writer(fd, before, ended);
	}
	for (tries = 0; again && tries < RECORD_TRIES; tries++) {
		ret = tries == 0 ? 0 : content_of_fd(fd, &ended->content);
		if (ret != 0) {
			ended->error = ret;
			return FILES_IO;
		}
		if (!content_equal(&expected, &ended->content)) {
			if (tries > 0) {
				take_back(fd, record);
			}
			return FILES_CHANGED;
		}
		again = false;
		status = write_once(fd, before, ended, &again);
		if (status != FILES_OK) {
			return status;
		}
		expected = ended->content;
	}
	if (again) {
		/* The file system has another clock, or is that slow. */
		take_back(fd, record);
		return keep_in_store(fd, ended);
	}
	written->record = ended->record;
	written->content = ended->content;
	return FILES_OK;
}

bool files_record_due(int64_t stamp)
{
	return clock_ns(CLOCK_REALTIME_COARSE) > stamp;
}

int files_record_wait(int64_t stamp)
{
	int64_t left = stamp - clock_ns(CLOCK_REALTIME_COARSE);

	if (left <= 0) {
		return 1;
	}
	return left > SECOND ? 1000 : (int)(left / MILLISECOND) + 1;
}

void files_record_check(int fd, const struct files_written *written)
{
	struct content now;
	struct verdict there;
	int ret = 0;

	if (written->record.result == VERDICT_INFECTED) {
		return;
	}
	ret = content_of_fd(fd, &now);
	if (ret == 0 && content_equal(&now, &written->content)) {
		return;
	}
	ret = verdict_read(fd, &there);
	if (ret == 0 && there.stamp == written->record.stamp) {
		fremovexattr(fd, VERDICT_XATTR);
	}
}
