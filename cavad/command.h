/*
 * A program of the administrator's is run, once, for something that happened.
 *
 * Without a shell, as the account that cavad has, in a process group of its
 * own, with nothing of cavad's but its stdout and stderr (under systemd they
 * go to the journal). At the end of its time the group is killed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_COMMAND_H
#define CAVAD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

#define COMMAND_WORDS_MAX 64

struct command {
	const char *line;	/* words with blanks between; the first one
				 * is a path */
	char *const *environment;	/* all of it, ended by NULL */
	const char *input;	/* its stdin */
	uint32_t timeout;	/* s */
};

/* Freeing the request kills it. */
struct tevent_req *command_send(TALLOC_CTX *mem_ctx,
				struct tevent_context *ev,
				const struct command *c);

/* 0: exit status 0. Else errno, and *why (on mem_ctx) for a person. */
int command_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx, char **why);

/* Of such an error: it had no memory, process or descriptor to be started. */
bool command_may_go_later(int error);

#endif
