/*
 * Where notices wait while cavad is away: see spool.h.
 *
 * Everything goes through a descriptor of the directory. The writer locks,
 * then makes sure that what it locked is still DIR/notices: the reader may
 * have renamed it between open and lock.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/proto.h"

#define SPOOL_NOTICES "notices"
#define SPOOL_TAKEN "taken"
#define SPOOL_OVERFLOW "overflow"

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
		spool_overflow(dirfd);
		ret = EFBIG;
	} else {
		ret = spool_write(fd, st.st_size, msg, len);
	}
	close(fd);
	close(dirfd);
	return ret;
}

static bool spool_taken(int dirfd)
{
	struct stat st;

	return fstatat(dirfd, SPOOL_TAKEN, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int spool_take(const char *dir)
{
	struct stat st;
	int dirfd = -1;
	int fd = -1;
	int ret = spool_dir(dir, &dirfd);

	if (ret != 0) {
		return ret;
	}
	if (spool_taken(dirfd)) {
		close(dirfd);
		return 0;	/* not committed last time: that one first */
	}
	ret = spool_lock(dirfd, O_RDWR, &fd, &st);
	if (ret == ENOENT && spool_taken(dirfd)) {
		ret = 0;	/* by the files process of a cavad before us */
	} else if (ret == 0) {
		ret = renameat(dirfd, SPOOL_NOTICES, dirfd, SPOOL_TAKEN);
		ret = ret == 0 ? 0 : errno;
		close(fd);
	}
	close(dirfd);
	return ret;
}

/* How many of n bytes are whole and sane frames. */
static size_t spool_whole(const uint8_t *data, size_t n)
{
	size_t end = 0;

	for (;;) {
		struct buf b = buf_reader(data + end, n - end);
		uint32_t len = buf_get_u32(&b);

		if (b.error != 0 || len == 0 || len > PROTO_MAX ||
		    len > buf_left(&b)) {
			return end;
		}
		end += 4 + len;
	}
}

int spool_read(const char *dir, uint64_t *offset, uint8_t *data, size_t size,
	       size_t *len)
{
	struct stat st;
	ssize_t n = -1;
	int dirfd = -1;
	int fd = -1;
	int ret = spool_dir(dir, &dirfd);

	*len = 0;
	if (ret != 0) {
		return ret;
	}
	fd = openat(dirfd, SPOOL_TAKEN,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ret = fd == -1 ? errno : 0;
	close(dirfd);
	if (fd == -1) {
		return ret;
	}
	ret = fstat(fd, &st);
	if (ret == 0 && S_ISREG(st.st_mode)) {
		n = pread(fd, data, size, (off_t)*offset);
	}
	ret = n == -1 ? (errno == 0 ? EPERM : errno) : 0;
	close(fd);
	if (ret != 0) {
		return ret;
	}
	*len = spool_whole(data, (size_t)n);
	*offset += *len;
	return 0;
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
	close(dirfd);
	return ret;
}
