/*
 * Where notices wait while cavad is away: see spool.h.
 *
 * Everything goes through a descriptor of the directory. The writer locks,
 * then makes sure that what it locked is still DIR/notices: the reader may
 * have renamed it between open and lock. DIR/taken is looked for under the
 * lock too, since two readers may be at it (a cavad that was just killed
 * left one).
 *
 * What looks like a frame and does not decode is damage, and the next frame
 * is found by its two equal lengths. No user can forge one inside a name:
 * they have NULs in them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SPOOL_NOTICES "notices"
#define SPOOL_TAKEN "taken"
#define SPOOL_OVERFLOW "overflow"
#define SPOOL_TAKEN_OVERFLOW "taken-overflow"	/* went with DIR/taken */

/* 0 and the directory, if it is nobody's but ours. */
static int spool_dir(const char *dir, int *result)
{
	struct stat st;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int ret = 0;

	if (fd == -1) {
		return errno;
	}
	ret = fstat(fd, &st);
	if (ret != 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		close(fd);
		return EPERM;
	}
	*result = fd;
	return 0;
}

static bool spool_same(int dirfd, const char *name, const struct stat *st)
{
	struct stat now;
	int ret = fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW);

	return ret == 0 && now.st_ino == st->st_ino &&
		now.st_dev == st->st_dev;
}

/* Opens and locks DIR/notices; O_CREAT only for who writes. */
static int spool_lock(int dirfd, int flags, int *result, struct stat *st)
{
	for (;;) {
		int fd = openat(dirfd, SPOOL_NOTICES,
				flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
				0600);
		int ret = 0;

		if (fd == -1) {
			return errno;
		}
		do {
			ret = flock(fd, LOCK_EX);
		} while (ret != 0 && errno == EINTR);
		if (ret == 0) {
			ret = fstat(fd, st);
		}
		if (ret != 0) {
			ret = errno;
			close(fd);
			return ret;
		}
		if (!S_ISREG(st->st_mode)) {
			close(fd);
			return EPERM;
		}
		if (spool_same(dirfd, SPOOL_NOTICES, st)) {
			*result = fd;
			return 0;
		}
		close(fd);
	}
}

static void spool_overflow(int dirfd)
{
	int fd = openat(dirfd, SPOOL_OVERFLOW,
			O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd != -1) {
		close(fd);
	}
}

static int spool_write(int fd, off_t end, const uint8_t *msg, size_t len)
{
	uint8_t frame[4];
	struct buf b = buf_writer(frame, sizeof(frame));
	struct iovec iov[] = {
		{ frame, sizeof(frame) }, { (void *)msg, len },
	};
	ssize_t n = -1;
	int ret = 0;

	buf_put_u32(&b, (uint32_t)len);
	n = pwritev(fd, iov, 2, end);
	if (n == (ssize_t)(len + sizeof(frame))) {
		return 0;
	}
	/* Half a frame would hide every later one. */
	ret = n == -1 ? errno : ENOSPC;
	if (ftruncate(fd, end) != 0) {
		ret = errno;
	}
	return ret;
}

int spool_append(const char *dir, const uint8_t *msg, size_t len)
{
	struct stat st;
	int dirfd = -1;
	int fd = -1;
	int ret = 0;

	if (len == 0 || len > PROTO_MAX) {
		return EINVAL;
	}
	ret = spool_dir(dir, &dirfd);
	if (ret != 0) {
		return ret;
	}
	ret = spool_lock(dirfd, O_RDWR | O_CREAT, &fd, &st);
	if (ret != 0) {
		close(dirfd);
		return ret;
	}
	if ((uint64_t)st.st_size + len + 4 > SPOOL_MAX) {
		ret = EFBIG;
	} else {
		ret = spool_write(fd, st.st_size, msg, len);
	}
	if (ret != 0) {
		spool_overflow(dirfd);
	}
	close(fd);
	close(dirfd);
	return ret;
}

static bool spool_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Under the lock of DIR/notices. */
static int spool_rename(int dirfd)
{
	int ret = 0;

	if (spool_there(dirfd, SPOOL_TAKEN)) {
		return 0;	/* another reader was quicker */
	}
	/* before the frames: told twice is better than not at all */
	ret = renameat(dirfd, SPOOL_OVERFLOW, dirfd, SPOOL_TAKEN_OVERFLOW);
	if (ret != 0 && errno != ENOENT) {
		return errno;
	}
	ret = renameat(dirfd, SPOOL_NOTICES, dirfd, SPOOL_TAKEN);
	return ret == 0 ? 0 : errno;
}

int spool_take(const char *dir, bool *overflow)
{
	struct stat st;
	int dirfd = -1;
	int fd = -1;
	int ret = spool_dir(dir, &dirfd);

	*overflow = false;
	if (ret != 0) {
		return ret;
	}
	/* What was not committed last time comes first. */
	if (!spool_there(dirfd, SPOOL_TAKEN)) {
		ret = spool_lock(dirfd, O_RDWR, &fd, &st);
		if (ret == 0) {
			ret = spool_rename(dirfd);
			close(fd);
		} else if (ret == ENOENT &&
			   spool_there(dirfd, SPOOL_TAKEN)) {
			ret = 0;	/* by another reader */
		}
	}
	if (ret == 0) {
		*overflow = spool_there(dirfd, SPOOL_TAKEN_OVERFLOW);
	}
	close(dirfd);
	return ret;
}

/* The size of the frame that data begins with, 0 = there is none. */
static size_t spool_frame(const uint8_t *data, size_t n)
{
	struct buf b = buf_reader(data, n);
	uint32_t len = buf_get_u32(&b);
	uint32_t same = buf_get_u32(&b);
	struct proto_message m;
	int ret = 0;

	if (b.error != 0 || len != same || len > PROTO_MAX || len > n - 4) {
		return 0;
	}
	ret = proto_decode(data + 4, len, &m);
	return ret == EBADMSG ? 0 : 4 + len;
}

/* Opens DIR/taken, a regular file. */
static int spool_open_taken(const char *dir, int *result)
{
	struct stat st;
	int dirfd = -1;
	int fd = -1;
	int ret = spool_dir(dir, &dirfd);

	if (ret != 0) {
		return ret;
	}
	fd = openat(dirfd, SPOOL_TAKEN,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ret = fd == -1 ? errno : 0;
	close(dirfd);
	if (ret != 0) {
		return ret;
	}
	ret = fstat(fd, &st);
	ret = ret != 0 ? errno : S_ISREG(st.st_mode) ? 0 : EPERM;
	if (ret != 0) {
		close(fd);
		return ret;
	}
	*result = fd;
	return 0;
}

/*
 * Of n bytes: how many have to be skipped, and how many of frames follow.
 * Unless these are the last bytes, a frame may end behind them.
 */
static void spool_sort(const uint8_t *data, size_t n, bool last,
		       size_t *skipped, size_t *len)
{
	size_t pos = 0;
	size_t size = 0;

	while (pos < n && (last || n - pos >= SPOOL_CHUNK_MIN)) {
		size = spool_frame(data + pos, n - pos);
		if (size != 0) {
			break;
		}
		pos++;
	}
	*skipped = pos;
	while (size != 0) {
		pos += size;
		size = spool_frame(data + pos, n - pos);
	}
	*len = pos - *skipped;
}

int spool_read(const char *dir, uint64_t *offset, uint8_t *data, size_t size,
	       size_t *len, uint64_t *damaged)
{
	size_t skipped = 0;
	ssize_t n = 0;
	int fd = -1;
	int ret = 0;

	*len = 0;
	*damaged = 0;
	if (size < SPOOL_CHUNK_MIN) {
		return EINVAL;
	}
	ret = spool_open_taken(dir, &fd);
	if (ret != 0) {
		return ret;
	}
	do {
		n = pread(fd, data, size, (off_t)*offset);
		if (n == -1) {
			ret = errno;
			break;
		}
		spool_sort(data, (size_t)n, (size_t)n < size, &skipped, len);
		*damaged += skipped;
		*offset += skipped + *len;
	} while (n > 0 && *len == 0);
	close(fd);
	memmove(data, data + skipped, *len);
	return ret;
}

int spool_done(const char *dir)
{
	int dirfd = -1;
	int ret = spool_dir(dir, &dirfd);

	if (ret != 0) {
		return ret;
	}
	ret = unlinkat(dirfd, SPOOL_TAKEN, 0);
	ret = ret == 0 ? 0 : errno;
	if (ret == 0) {
		(void)unlinkat(dirfd, SPOOL_TAKEN_OVERFLOW, 0);
	}
	close(dirfd);
	return ret;
}
