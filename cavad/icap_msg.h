/*
 * ICAP/1.0 (RFC 3507) as bytes: the two requests that cavad sends and a
 * reply read as it comes.
 *
 * Pure: no sockets, no files. A reply is fed in pieces of any size; each
 * line, the header, the encapsulated HTTP header and the body have limits,
 * and what breaks a rule of the protocol is EBADMSG, what is over a limit
 * EMSGSIZE; both are sticky. Only a 204 without a finding is clean.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ICAP_MSG_H
#define CAVAD_ICAP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cavad/engine.h"

#define ICAP_LINE_MAX 2048
#define ICAP_HEADER_MAX 16384		/* of each of the two headers */
#define ICAP_BODY_MAX (16 * 1024 * 1024)
#define ICAP_ISTAG_MAX 64

enum icap_part {
	ICAP_STATUS,		/* "ICAP/1.0 204 No Content" */
	ICAP_HEADER,
	ICAP_HTTP,		/* encapsulated header, discarded but for its
				 * status */
	ICAP_CHUNK,		/* "1f4; extension" */
	ICAP_DATA,
	ICAP_DATA_END,
	ICAP_TRAILER,
	ICAP_WHOLE
};

struct icap_reply {
	enum icap_part part;
	int error;		/* 0, EBADMSG, EMSGSIZE; sticky */
	int status;		/* 100, 200, 204, ... */
	int http_status;	/* of the encapsulated reply, 0 = none */
	bool close;		/* "Connection: close" */
	bool respmod;		/* Methods has RESPMOD */
	bool allow_204;
	bool found;		/* one of the X- headers names a finding */
	int64_t preview;	/* bytes, -1 = not said */
	uint32_t connections;	/* Max-Connections, 0 = not said */
	uint32_t ttl;		/* s, 0 = not said */
	char istag[ICAP_ISTAG_MAX];		/* without its quotes */
	char service[VERDICT_TEXT_MAX];
	char threat[VERDICT_TEXT_MAX];

	/* private */
	char line[ICAP_LINE_MAX];
	size_t line_len;
	size_t part_len;	/* bytes of this part so far */
	bool encapsulated;	/* the header was there */
	bool has_body;
	uint64_t http_len;	/* bytes of the encapsulated header */
	uint64_t chunk;		/* bytes that are left of it */
	uint64_t body;
	unsigned int violation;	/* lines since X-Violations-Found, 0 = none */
};

void icap_reply_init(struct icap_reply *r);

/* How many bytes were taken; fewer than len only when the reply is whole or
 * wrong. What is left then belongs to the next reply. */
size_t icap_reply_feed(struct icap_reply *r, const void *data, size_t len);

/* What a whole reply to RESPMOD says of the file. `answer` is zeroed. */
void icap_reply_judge(const struct icap_reply *r,
		      struct engine_answer *answer);

/* Length, or 0 when it does not fit. `host` with its port if any. */
size_t icap_options(char *out, size_t size, const char *host,
		    const char *service);

/*
 * The header of a RESPMOD with the HTTP header in it; chunks follow. The
 * file's name is not told. preview: bytes that come first, -1 = no preview.
 */
size_t icap_respmod(char *out, size_t size, const char *host,
		    const char *service, int64_t preview, uint64_t file_size);

#endif
