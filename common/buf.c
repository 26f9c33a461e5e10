/*
 * Bytes with a sticky error: see buf.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/buf.h"

#include <errno.h>
#include <string.h>

struct buf buf_writer(void *data, size_t size)
{
	return (struct buf) { .data = data, .size = size };
}

struct buf buf_reader(const void *data, size_t size)
{
	return (struct buf) { .data = (uint8_t *)data, .size = size };
}

size_t buf_left(const struct buf *b)
{
	return b->error != 0 ? 0 : b->size - b->pos;
}

/* The next `len` bytes, or NULL and the sticky error. */
static uint8_t *buf_take(struct buf *b, size_t len, int error)
{
	uint8_t *p = NULL;

	if (b->error != 0) {
		return NULL;
	}
	if (len > b->size - b->pos) {
		b->error = error;
		return NULL;
	}
	p = b->data + b->pos;
	b->pos += len;
	return p;
}

static void buf_put_le(struct buf *b, uint64_t v, size_t len)
{
	uint8_t *p = buf_take(b, len, EMSGSIZE);
	size_t i = 0;

	for (i = 0; p != NULL && i < len; i++) {
		p[i] = (uint8_t)(v >> (8 * i));
	}
}

static uint64_t buf_get_le(struct buf *b, size_t len)
{
	const uint8_t *p = buf_take(b, len, EBADMSG);
	uint64_t v = 0;
	size_t i = 0;

	for (i = 0; p != NULL && i < len; i++) {
		v |= (uint64_t)p[i] << (8 * i);
	}
	return v;
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put_le(b, v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
	buf_put_le(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
	buf_put_le(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
	buf_put_le(b, v, 8);
}

void buf_put_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_put_u8(b, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	buf_put_u8(b, (uint8_t)v);
}

void buf_put_bytes(struct buf *b, const void *p, size_t len)
{
	uint8_t *to = buf_take(b, len, EMSGSIZE);

	if (to != NULL && len > 0) {
		memcpy(to, p, len);
	}
}

void buf_put_str(struct buf *b, const char *s)
{
	size_t len = s == NULL ? 0 : strlen(s);

	if (len > UINT16_MAX && b->error == 0) {
		b->error = EMSGSIZE;
	}
	buf_put_u16(b, (uint16_t)len);
	buf_put_bytes(b, s, len);
	buf_put_u8(b, 0);
}

uint8_t buf_get_u8(struct buf *b)
{
	return (uint8_t)buf_get_le(b, 1);
}

uint16_t buf_get_u16(struct buf *b)
{
	return (uint16_t)buf_get_le(b, 2);
}

uint32_t buf_get_u32(struct buf *b)
{
	return (uint32_t)buf_get_le(b, 4);
}

uint64_t buf_get_u64(struct buf *b)
{
	return buf_get_le(b, 8);
}

uint64_t buf_get_varint(struct buf *b)
{
	uint64_t v = 0;
	uint8_t byte = 0x80;
	unsigned int shift = 0;

	for (shift = 0; (byte & 0x80) != 0; shift += 7) {
		byte = buf_get_u8(b);
		if (shift == 63 && byte > 1) {
			b->error = b->error != 0 ? b->error : EBADMSG;
			return 0;
		}
		v |= (uint64_t)(byte & 0x7f) << shift;
	}
	return v;
}

void buf_get_bytes(struct buf *b, void *p, size_t len)
{
	const uint8_t *from = buf_take(b, len, EBADMSG);

	if (from == NULL) {
		memset(p, 0, len);
		return;
	}
	memcpy(p, from, len);
}

const char *buf_get_str(struct buf *b)
{
	size_t len = buf_get_u16(b);
	const char *s = (const char *)buf_take(b, len + 1, EBADMSG);

	if (s == NULL) {
		return "";
	}
	if (memchr(s, '\0', len + 1) != s + len) {
		b->error = EBADMSG;
		return "";
	}
	return s;
}

int buf_finish(const struct buf *b)
{
	if (b->error != 0) {
		return b->error;
	}
	return b->pos == b->size ? 0 : EBADMSG;
}
