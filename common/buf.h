/*
 * Bytes with a sticky error.
 *
 * A buf reads or writes little-endian fields in memory that the caller owns.
 * The first operation that does not fit sets `error` and every later one
 * does nothing (reads give 0 or ""), so that the code above is a straight
 * line and looks at the error once, at the end.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;		/* borrowed */
	size_t size;		/* bytes that may be read or written */
	size_t pos;		/* next byte */
	int error;		/* 0, EMSGSIZE (full), EBADMSG (reader) */
};

/* Write into `data`, at most `size` bytes. buf.pos is the length so far. */
struct buf buf_writer(void *data, size_t size);

/* Read from `data`; nothing is modified. */
struct buf buf_reader(const void *data, size_t size);

void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
/* Seven bits a byte, the lowest first; the highest says that more follow. */
void buf_put_varint(struct buf *b, uint64_t v);
void buf_put_bytes(struct buf *b, const void *p, size_t len);

/* u16 length, the bytes, a NUL that the length does not count. NULL = "". */
void buf_put_str(struct buf *b, const char *s);

uint8_t buf_get_u8(struct buf *b);
uint16_t buf_get_u16(struct buf *b);
uint32_t buf_get_u32(struct buf *b);
uint64_t buf_get_u64(struct buf *b);
uint64_t buf_get_varint(struct buf *b);	/* over 64 bits: EBADMSG */

/* Copies `len` bytes, or zeroes `p` when they are not there. */
void buf_get_bytes(struct buf *b, void *p, size_t len);

/*
 * A string in place, valid as long as the data. Never NULL. A missing NUL
 * or a NUL inside is an error.
 */
const char *buf_get_str(struct buf *b);

size_t buf_left(const struct buf *b);

/* Of a reader: 0 when all was there and nothing is left; else errno. */
int buf_finish(const struct buf *b);

#endif
