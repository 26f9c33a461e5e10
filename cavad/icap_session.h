/*
 * Exchanges with an ICAP server over one connection: OPTIONS, and RESPMOD of
 * a file. For a thread that may wait; see icap_link.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ICAP_SESSION_H
#define CAVAD_ICAP_SESSION_H

#include "cavad/icap_link.h"
#include "cavad/icap_msg.h"

#define ICAP_WHY 256

struct icap_session {
	struct icap_link *link;
	bool fresh;		/* nothing has come over it yet */
	struct icap_reply reply;
	struct trace *trace;	/* NULL = nobody looks */
	uint64_t sent;		/* bytes of files */
	char why[ICAP_WHY];	/* of an errno, for a person */
};

/* What is to be looked at: a file, or bytes in memory. */
struct icap_content {
	int fd;			/* -1 = data */
	const char *data;
	uint64_t size;
};

/* 0 or errno of icap_link_open(). */
int icap_session_open(const struct icap_target *target,
		      const struct icap_wait *wait,
		      struct icap_session **result, char why[ICAP_WHY]);
void icap_session_close(struct icap_session *s);

/*
 * Both leave the reply in s->reply, whole or with its .error. 0 or errno:
 * ETIMEDOUT, ECONNRESET (and s->fresh: it may have been an old connection's
 * end), ECANCELED, EIO (the file: s->why). *reusable: the connection stands
 * at the start of another exchange. preview -1 = none.
 */
int icap_session_options(struct icap_session *s,
			 const struct icap_target *target,
			 const struct icap_wait *wait, bool *reusable);
int icap_session_respmod(struct icap_session *s,
			 const struct icap_target *target,
			 const struct icap_content *content, int64_t preview,
			 const struct icap_wait *wait, bool *reusable);

#endif
