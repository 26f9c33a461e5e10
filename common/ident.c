/*
 * Which file: see ident.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/ident.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "common/digest.h"

#define NSEC_PER_SEC 1000000000LL

static int64_t ident_nsec(int64_t sec, int64_t nsec)
{
	int64_t value = 0;

	if (__builtin_mul_overflow(sec, NSEC_PER_SEC, &value) ||
	    __builtin_add_overflow(value, nsec, &value)) {
		return sec < 0 ? INT64_MIN : INT64_MAX;
	}
	return value;
}

/* Only a hint for opening: a file system without handles leaves it empty. */
static void ident_handle(int fd, struct ident *id)
{
	union {
		struct file_handle handle;
		uint8_t room[sizeof(struct file_handle) + IDENT_HANDLE_MAX];
	} u = { .handle = { .handle_bytes = IDENT_HANDLE_MAX } };
	int mount_id = 0;
	int ret = name_to_handle_at(fd, "", &u.handle, &mount_id,
				    AT_EMPTY_PATH);

	if (ret != 0 || u.handle.handle_bytes > IDENT_HANDLE_MAX) {
		return;
	}
	id->handle_type = u.handle.handle_type;
	id->handle_len = u.handle.handle_bytes;
	memcpy(id->handle, u.handle.f_handle, id->handle_len);
}

int ident_of_fd(int fd, struct ident *id)
{
	struct statx stx;
	struct statfs fs;
	int ret = statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stx);

	return ret == 0 ? ident_of_statx(fd, &stx, NULL, &fs, id) : errno;
}

int ident_of_statx(int fd, const struct statx *stx, const struct ident *known,
		   struct statfs *fs, struct ident *id)
{
	int ret = 0;

	memset(id, 0, sizeof(*id));
	ret = fstatfs(fd, fs);
	if (ret != 0) {
		return errno;
	}
	memcpy(&id->fsid, &fs->f_fsid, sizeof(id->fsid));
	if (id->fsid == 0) {
		id->fsid = (uint64_t)stx->stx_dev_major << 32 |
			stx->stx_dev_minor;
	}
	id->ino = stx->stx_ino;
	if ((stx->stx_mask & STATX_BTIME) != 0) {
		id->btime = ident_nsec(stx->stx_btime.tv_sec,
				       stx->stx_btime.tv_nsec);
	}
	/* without a time of birth an inode's number may be another file's */
	if (known == NULL || known->handle_len == 0 || known->btime == 0 ||
	    known->ino != id->ino || known->fsid != id->fsid ||
	    known->btime != id->btime) {
		ident_handle(fd, id);
		return 0;
	}
	id->handle_type = known->handle_type;
	id->handle_len = known->handle_len;
	memcpy(id->handle, known->handle, known->handle_len);
	return 0;
}

void content_of_statx(const struct statx *stx, struct content *c)
{
	c->size = stx->stx_size;
	c->mtime = ident_nsec(stx->stx_mtime.tv_sec, stx->stx_mtime.tv_nsec);
	c->ctime = ident_nsec(stx->stx_ctime.tv_sec, stx->stx_ctime.tv_nsec);
}

int content_of_fd(int fd, struct content *c)
{
	struct stat st;
	int ret = fstat(fd, &st);

	if (ret != 0) {
		return errno;
	}
	content_of_stat(&st, c);
	return 0;
}

void content_of_stat(const struct stat *st, struct content *c)
{
	c->size = (uint64_t)st->st_size;
	c->mtime = ident_nsec(st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	c->ctime = ident_nsec(st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

bool ident_equal(const struct ident *a, const struct ident *b)
{
	return a->ino == b->ino && a->fsid == b->fsid &&
		a->btime == b->btime && strcmp(a->stream, b->stream) == 0;
}

bool content_equal(const struct content *a, const struct content *b)
{
	return a->size == b->size && a->mtime == b->mtime &&
		a->ctime == b->ctime;
}

static void ident_be64(uint8_t *p, uint64_t v)
{
	int i = 0;

	for (i = 0; i < 8; i++) {
		p[i] = (uint8_t)(v >> (56 - 8 * i));
	}
}

size_t ident_key(const struct ident *id, uint8_t key[IDENT_KEY_MAX])
{
	uint64_t halves[2];

	ident_be64(key, id->fsid);
	ident_be64(key + 8, id->ino);
	ident_be64(key + 16, (uint64_t)id->btime);
	if (id->stream[0] == '\0') {
		return 24;
	}
	/* no FNV: who finds two names with one key has a scan forgotten */
	digest_halves(id->stream, strlen(id->stream), halves);
	ident_be64(key + 24, halves[0]);
	ident_be64(key + 32, halves[1]);
	return 40;
}

void ident_put(struct buf *b, const struct ident *id)
{
	uint32_t len = id->handle_len > IDENT_HANDLE_MAX ?
		0 : id->handle_len;

	buf_put_u64(b, id->fsid);
	buf_put_u64(b, id->ino);
	buf_put_u64(b, (uint64_t)id->btime);
	buf_put_str(b, id->stream);
	buf_put_u32(b, (uint32_t)id->handle_type);
	buf_put_u32(b, len);
	buf_put_bytes(b, id->handle, len);
}

void ident_get(struct buf *b, struct ident *id)
{
	const char *stream = NULL;
	uint32_t len = 0;

	memset(id, 0, sizeof(*id));
	id->fsid = buf_get_u64(b);
	id->ino = buf_get_u64(b);
	id->btime = (int64_t)buf_get_u64(b);
	stream = buf_get_str(b);
	id->handle_type = (int32_t)buf_get_u32(b);
	len = buf_get_u32(b);
	if (b->error == 0 && (strlen(stream) >= IDENT_STREAM_MAX ||
			      len > IDENT_HANDLE_MAX)) {
		b->error = EBADMSG;
	}
	if (b->error != 0) {
		return;
	}
	memcpy(id->stream, stream, strlen(stream) + 1);
	buf_get_bytes(b, id->handle, len);
	id->handle_len = b->error == 0 ? len : 0;
}

void content_put(struct buf *b, const struct content *c)
{
	buf_put_u64(b, c->size);
	buf_put_u64(b, (uint64_t)c->mtime);
	buf_put_u64(b, (uint64_t)c->ctime);
}

void content_get(struct buf *b, struct content *c)
{
	c->size = buf_get_u64(b);
	c->mtime = (int64_t)buf_get_u64(b);
	c->ctime = (int64_t)buf_get_u64(b);
}
