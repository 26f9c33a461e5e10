/*
 * Which file: identity instead of a name.
 *
 * A path is a hint that any rename makes wrong. What names a file between
 * smbd, cavad and the files process is (file system, inode, birth time,
 * stream); the kernel's file handle opens it when the path no longer does.
 * `struct content` is what can be known of the content without reading it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_IDENT_H
#define COMMON_IDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define IDENT_HANDLE_MAX 128	/* MAX_HANDLE_SZ of <fcntl.h> */
#define IDENT_STREAM_MAX 768	/* 255 UTF-16 units in UTF-8, rounded up */
#define IDENT_KEY_MAX 40	/* three u64, a 128 bit hash of the stream */

struct ident {
	uint64_t fsid;		/* statfs f_fsid; st_dev where that is 0 */
	uint64_t ino;
	int64_t btime;		/* ns since the epoch; 0 = not known */
	char stream[IDENT_STREAM_MAX];	/* attribute that holds the named
					 * stream (stream.h); "" = the file */
	int32_t handle_type;	/* of name_to_handle_at(2) */
	uint32_t handle_len;	/* 0 = the file system has no handles */
	uint8_t handle[IDENT_HANDLE_MAX];
};

/* Of a named stream: see stream.h. */
struct content {
	uint64_t size;		/* bytes */
	int64_t mtime;		/* ns since the epoch */
	int64_t ctime;		/* ns since the epoch */
};

/* 0 or errno. `fd` may be O_PATH. stream is left "". */
int ident_of_fd(int fd, struct ident *id);

/*
 * The same of a file that was asked for IDENT_STATX already. known may be
 * NULL; if it is that file, its handle is taken over. *fs is what it is on.
 */
#define IDENT_STATX (STATX_BASIC_STATS | STATX_BTIME)
struct statfs;
struct statx;
int ident_of_statx(int fd, const struct statx *stx, const struct ident *known,
		   struct statfs *fs, struct ident *id);

/* 0 or errno; `fd` may be O_PATH. */
int content_of_fd(int fd, struct content *c);
struct stat;
void content_of_stat(const struct stat *st, struct content *c);

/* Of what was asked for STATX_BASIC_STATS. */
void content_of_statx(const struct statx *stx, struct content *c);

/* Same file and stream? Handles are not compared. */
bool ident_equal(const struct ident *a, const struct ident *b);

bool content_equal(const struct content *a, const struct content *b);

/*
 * The database key: fsid, ino, btime big-endian, then 16 bytes of
 * SHA-256 of `stream` if there is one. Returns its length, 24 or 40.
 */
size_t ident_key(const struct ident *id, uint8_t key[IDENT_KEY_MAX]);

void ident_put(struct buf *b, const struct ident *id);
void ident_get(struct buf *b, struct ident *id);
void content_put(struct buf *b, const struct content *c);
void content_get(struct buf *b, struct content *c);

#endif
