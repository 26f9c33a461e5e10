/*
 * Named streams that are extended attributes (vfs_streams_xattr).
 *
 * The stream NAME of a file is its attribute user.DosStream.NAME:$DATA, at
 * most 64 KiB; the last byte of the value is a terminator and no content.
 * struct ident names such a stream by the attribute, `stream`, of the file
 * that the rest of it names.
 *
 * 1. What such a stream holds is told by its bytes, since no time of the
 *    file says when an attribute was set: in struct content, size is that of
 *    the content, mtime and ctime are 128 bits of SHA-256 of the value.
 *    Equal struct contents are equal bytes, whoever looks and whenever.
 * 2. So a verdict on a stream is one on its bytes, and good for all streams
 *    that hold the same: stream_result_key().
 * 3. Below CHECK$ a stream is FILE:TOKEN. The token is NAME where that is a
 *    plain one, else "cava-" and 32 hex digits of SHA-256 of the attribute's
 *    name. No two attributes of a file have one token.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ident.h"

#define STREAM_VALUE_MAX 65536	/* XATTR_SIZE_MAX of the kernel */
#define STREAM_NAME_MAX 256	/* XATTR_NAME_MAX, and the NUL */
#define STREAM_TOKEN_MAX 256	/* with the NUL */
#define STREAM_LIST_MAX 65536	/* XATTR_LIST_MAX */

/* Pure. Rule 1. */
void stream_content(const uint8_t *value, size_t len, struct content *c);

/* Pure. Rule 2: where the store keeps the verdict on these bytes. */
void stream_result_key(const struct content *c, struct ident *key);

/* Pure. Rule 3. */
void stream_token(const char *attribute, char token[STREAM_TOKEN_MAX]);

/*
 * Pure. Is that the Finder's information of a file, 60 bytes of AFP_AfpInfo?
 * It is metadata as DOS attributes are, read with each listing of a
 * directory, and 32 bytes of it are a client's: it is not scanned.
 */
bool stream_is_finder_info(const uint8_t *value, size_t len);

/*
 * Has a name in the working directory any? And has it a record (verdict.h)?
 * True also where that cannot be said; no link is followed.
 */
bool stream_perhaps(const char *name, bool *record);

/*
 * The attributes of fd that are such streams and are scanned, each with its
 * NUL behind the other. 0 and *len, errno.
 */
int stream_list(int fd, char names[STREAM_LIST_MAX], size_t *len);

/*
 * The value of an attribute; an O_PATH descriptor will do. 0 and *len,
 * ENODATA, errno.
 */
int stream_read(int fd, const char *attribute,
		uint8_t value[STREAM_VALUE_MAX], size_t *len);

/*
 * Of the attributes user.* of fd: the one whose token this is, or (`token`
 * NULL) one whose value is that content. 0, ENODATA, errno.
 */
int stream_find(int fd, const char *token, const struct content *c,
		char attribute[STREAM_NAME_MAX]);

/* A file in memory that holds the content and nobody can change. */
int stream_memory(const uint8_t *value, size_t len, int *fd);

#endif
