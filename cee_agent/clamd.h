/*
 * One conversation with clamd, blocking: for worker processes only.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_CLAMD_H
#define CEE_AGENT_CLAMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include "cee_agent/config.h"

#define CLAMD_TEXT_MAX 256

enum clamd_verdict {
	CLAMD_ERROR = 0,	/* text says what */
	CLAMD_CLEAN,
	CLAMD_INFECTED,		/* text is the threat */
	CLAMD_LIMIT,		/* over a limit of clamd: not looked at */
	CLAMD_ENCRYPTED,	/* not looked at either */
	CLAMD_TIMEOUT
};

struct clamd_answer {
	enum clamd_verdict verdict;
	char text[CLAMD_TEXT_MAX];
};

struct clamd_version {
	char vendor[CLAMD_TEXT_MAX];	/* "ClamAV 1.4.6" */
	int64_t signature_time;		/* 0 = clamd does not say */
};

struct clamd;	/* freeing it hangs up */

/* timeout: ms for the whole conversation. 0 or errno. */
int clamd_open(TALLOC_CTX *mem_ctx, const struct address *address,
	       uint32_t timeout, struct clamd **result);

/* A whole conversation. 0 or errno (EBADMSG: a reply that is no version). */
int clamd_ask_version(struct clamd *c, struct clamd_version *version);

#define CLAMD_STREAM_HEAD 4	/* bytes before a piece that are written to */

/*
 * A stream: start, any number of pieces, finish. 0 or errno; once an error
 * or EALREADY (clamd has answered before the end) came, only finish is left.
 */
int clamd_stream_start(struct clamd *c);
int clamd_stream_write(struct clamd *c, void *piece, size_t len);

/*
 * Ends the stream, so only for a file that was written whole, or after an
 * error; then the answer is never CLAMD_CLEAN.
 */
void clamd_stream_finish(struct clamd *c, struct clamd_answer *answer);

/*
 * Or the file is handed over, to one on this host. It has to stay as it is
 * until clamd has answered, and for good when it has not. After that more
 * files can be, one after the other, if clamd_goes_on().
 */
bool clamd_takes_fd(const struct clamd *c);
void clamd_pass(struct clamd *c, int fd, struct clamd_answer *answer);
bool clamd_goes_on(const struct clamd *c);

/* Before the next one: timeout as in clamd_open(). */
void clamd_again(struct clamd *c, uint32_t timeout);

/* Was the last one not the first, and the connection over before it? */
bool clamd_was_over(const struct clamd *c);

/* Pure: what a line of clamd's means. */
void clamd_judge(const char *reply, struct clamd_answer *answer);

/* Pure: "ClamAV 1.4.6/27300/Mon Jan  1 08:00:00 2026". 0 or EBADMSG. */
int clamd_parse_version(const char *reply, struct clamd_version *version);

#endif
