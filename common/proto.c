/*
 * Messages between smbd and cavad: all of it made from proto.def.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/proto.h"

#include <errno.h>
#include <string.h>

#define PROTO_HEADER 8		/* u32 length, u16 version, u16 number */

static void put_u8(struct buf *b, const uint8_t *v)
{
	buf_put_u8(b, *v);
}

static void put_u32(struct buf *b, const uint32_t *v)
{
	buf_put_u32(b, *v);
}

static void put_u64(struct buf *b, const uint64_t *v)
{
	buf_put_u64(b, *v);
}

static void put_str(struct buf *b, const char *const *v)
{
	if (*v != NULL && strlen(*v) > PROTO_STR_MAX && b->error == 0) {
		b->error = EMSGSIZE;
	}
	buf_put_str(b, *v);
}

static void get_u8(struct buf *b, uint8_t *v)
{
	*v = buf_get_u8(b);
}

static void get_u32(struct buf *b, uint32_t *v)
{
	*v = buf_get_u32(b);
}

static void get_u64(struct buf *b, uint64_t *v)
{
	*v = buf_get_u64(b);
}

static void get_str(struct buf *b, const char **v)
{
	*v = buf_get_str(b);
	if (strlen(*v) > PROTO_STR_MAX && b->error == 0) {
		b->error = EBADMSG;
	}
}

#define put_ident ident_put
#define get_ident ident_get
#define put_content content_put
#define get_content content_get
#define put_filter filter_put
#define get_filter filter_get

#define PUT_FIELD(type, name) put_##type(b, &m->name);
#define GET_FIELD(type, name) get_##type(b, &m->name);
#define PROTO(number, NAME, name, text) \
static void put_##name(struct buf *b, const struct proto_##name *m) \
{ \
	PROTO_FIELDS_##name(PUT_FIELD) \
} \
static void get_##name(struct buf *b, struct proto_##name *m) \
{ \
	PROTO_FIELDS_##name(GET_FIELD) \
}
#include "common/proto.def"
#undef PROTO

static void proto_put(struct buf *b, const struct proto_message *m)
{
	switch (m->number) {
#define PROTO(number, NAME, name, text) \
	case PROTO_##NAME: \
		put_##name(b, &m->u.name); \
		return;
#include "common/proto.def"
#undef PROTO
	}
	b->error = EINVAL;
}

static void proto_get(struct buf *b, struct proto_message *m)
{
	switch (m->number) {
#define PROTO(number, NAME, name, text) \
	case PROTO_##NAME: \
		get_##name(b, &m->u.name); \
		return;
#include "common/proto.def"
#undef PROTO
	}
	b->error = EBADMSG;
}

size_t proto_encode(const struct proto_message *m, uint8_t buf[PROTO_MAX])
{
	struct buf b = buf_writer(buf, PROTO_MAX);
	struct buf header;

	buf_put_u32(&b, 0);
	buf_put_u16(&b, PROTO_VERSION);
	buf_put_u16(&b, (uint16_t)m->number);
	proto_put(&b, m);
	if (b.error != 0) {
		return 0;
	}
	header = buf_writer(buf, 4);
	buf_put_u32(&header, (uint32_t)b.pos);
	return b.pos;
}

static int proto_decode_since(const uint8_t *data, size_t len,
			      uint16_t oldest, struct proto_message *m)
{
	struct buf b = buf_reader(data, len);
	uint32_t length = buf_get_u32(&b);
	uint16_t version = buf_get_u16(&b);

	memset(m, 0, sizeof(*m));
	if (len < PROTO_HEADER || len > PROTO_MAX || length != len) {
		return EBADMSG;
	}
	if (version < oldest || version > PROTO_VERSION) {
		return EPROTONOSUPPORT;
	}
	m->number = buf_get_u16(&b);
	proto_get(&b, m);
	return buf_finish(&b) == 0 ? 0 : EBADMSG;
}

int proto_decode(const uint8_t *data, size_t len, struct proto_message *m)
{
	return proto_decode_since(data, len, PROTO_VERSION, m);
}

int proto_decode_kept(const uint8_t *data, size_t len,
		      struct proto_message *m)
{
	return proto_decode_since(data, len, PROTO_VERSION_KEPT, m);
}

const char *proto_name(unsigned int number)
{
	switch (number) {
#define PROTO(number, NAME, name, text) \
	case number: \
		return #NAME;
#include "common/proto.def"
#undef PROTO
	}
	return "?";
}
