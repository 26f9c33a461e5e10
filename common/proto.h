/*
 * Messages between smbd and cavad on a unix SOCK_SEQPACKET socket.
 *
 * One packet is one message: u32 length of the whole, u16 version, u16
 * number, the fields. At most PROTO_MAX bytes. What does not decode ends
 * the connection; an unknown version is answered by closing, and named in
 * the log of the side that noticed.
 *
 * HELLO may bring a descriptor, one end of a pair of such sockets: the
 * mailbox, for notices that need not be read at once (client_notice.c).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_PROTO_H
#define COMMON_PROTO_H

#include <stdint.h>

#include "common/buf.h"
#include "common/filter.h"
#include "common/ident.h"
#include "common/verdict.h"

#define PROTO_VERSION 6
#define PROTO_VERSION_KEPT 5	/* the first with today's NOTICE */
#define PROTO_MAX 16384		/* bytes of a whole message */
#define PROTO_STR_MAX 4200	/* PATH_MAX and a little */

enum proto_number {
#define PROTO(number, NAME, name, text) PROTO_##NAME = number,
#include "common/proto.def"
#undef PROTO
};

enum proto_why {
	PROTO_WHY_READ = 0,
	PROTO_WHY_OPEN = 1,
	PROTO_WHY_COPY = 2,
	PROTO_WHY_SYNC = 3	/* a read for which all of that smbd waits */
};

enum proto_owed {
	PROTO_OWED_ANY = 0,	/* scan it */
	PROTO_OWED_ONLY = 1,	/* wait for a scan if one is owed */
	PROTO_KNOWN_ONLY = 2	/* the same if it was found infected */
};

enum proto_kind {
	PROTO_KIND_WILL_WRITE = 0,	/* a handle starts to modify it */
	PROTO_KIND_CLOSE = 1,	/* a handle that modified it is closed */
	PROTO_KIND_RENAME = 2
};

enum proto_what {
	PROTO_WHAT_TREE = 0,	/* connect to CHECK$ */
	PROTO_WHAT_OPEN = 1,	/* open content; ident is what was opened */
	PROTO_WHAT_LIST = 2,	/* list the directory `path` */
	PROTO_WHAT_LOOK = 3,	/* open for attributes; a directory */
	PROTO_WHAT_META = 4,	/* open for a security descriptor, EAs */
	PROTO_WHAT_CHANGE = 5,	/* write, delete or rename: a repair */
	/* what was done; the answer is yes */
	PROTO_WHAT_WRITTEN = 6,
	PROTO_WHAT_RENAMED = 7,	/* path: the new one */
	PROTO_WHAT_DELETED = 8,
	/* the module refuses by itself, path says what; the answer is no */
	PROTO_WHAT_REFUSED = 9,
	/* where does this alias lead? Answered by CHECK_NAMES */
	PROTO_WHAT_ALIAS = 10
};

#define PROTO_ALIAS "cava-alias-"	/* how aliases begin in CHECK$ */

#define PROTO_C_u8 uint8_t
#define PROTO_C_u32 uint32_t
#define PROTO_C_u64 uint64_t
#define PROTO_C_str const char *
#define PROTO_C_ident struct ident
#define PROTO_C_content struct content
#define PROTO_C_filter struct filter
#define PROTO_MEMBER(type, name) PROTO_C_##type name;

#define PROTO(number, NAME, name, text) \
	struct proto_##name { PROTO_FIELDS_##name(PROTO_MEMBER) };
#include "common/proto.def"
#undef PROTO

struct proto_message {
	enum proto_number number;
	union {
#define PROTO(number, NAME, name, text) struct proto_##name name;
#include "common/proto.def"
#undef PROTO
	} u;
};

/*
 * Encodes into buf. Returns the length, or 0 when it does not fit (a string
 * over PROTO_STR_MAX included).
 */
size_t proto_encode(const struct proto_message *m, uint8_t buf[PROTO_MAX]);

/*
 * 0; EPROTONOSUPPORT (other version); EBADMSG. Strings in `m` point into
 * `data` and live as long as it does.
 */
int proto_decode(const uint8_t *data, size_t len, struct proto_message *m);

/* The same of what was kept in a spool, maybe by a version before an update:
 * from PROTO_VERSION_KEPT on it is taken. */
int proto_decode_kept(const uint8_t *data, size_t len,
		      struct proto_message *m);

/* "ASK", or "?" for a number that is none of ours. */
const char *proto_name(unsigned int number);

#endif
