/*
 * What client.c and client_sync.c share: the state of a client, and the
 * functions of its connection.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_CLIENT_PRIVATE_H
#define COMMON_CLIENT_PRIVATE_H

#include <sys/types.h>

#include "common/client.h"
#include "common/tick.h"

/* An encoded message in one of the lists. */
struct client_msg {
	struct client_msg *next;
	uint64_t seq;		/* of a notice */
	size_t len;
	uint8_t data[];
};

struct client_list {
	struct client_msg *first;
	struct client_msg **last;	/* where the next one goes */
	size_t count;
};

struct client_ask_state {
	struct client_ask_state *prev, *next;
	struct tevent_context *ev;
	struct tevent_req *req;
	struct client *client;	/* NULL: freed, or no longer in its list */
	uint64_t id;
	bool asked;		/* on this connection */
	int64_t grace;		/* ms; ENOTCONN after that, 0 = none */
	bool settled;		/* answered, or never asked */
	uint8_t *msg;
	size_t len;
	struct proto_answer answer;	/* strings on the state */
};

struct client {
	struct tevent_context *ev;
	const struct client_ops *ops;
	void *private_data;
	uint8_t *hello;
	size_t hello_len;
	int fd;
	struct tevent_fd *fde;
	struct tick *retry;	/* set while there is something asked */
	struct tevent_immediate *later;
	bool greeted;		/* cavad has said something on it */
	bool down;		/* ops->state(false) was said */
	uint64_t next_id;
	uint64_t next_seq;
	struct client_list out;
	struct client_list unacked;
	struct client_list in;	/* came while a sync call waited */
	struct client_ask_state *asks;
};

/* From common/client.c */

/* Monotonic, in ms. */
int64_t client_now(void);

/*
 * Ends the connection: spools what is not acknowledged, tries again for
 * what is asked. error = why, 0 = cavad closed it.
 */
void client_lost(struct client *c, int error);

/* 0: sent or queued; ENOBUFS: too much is queued; ENOTCONN: lost. */
int client_send(struct client *c, const uint8_t *data, size_t len);

/* Sends what is queued as far as there is room. */
void client_flush(struct client *c);

/* One packet: its length, 0 = none now, -1 = the connection is lost. */
ssize_t client_receive(struct client *c, uint8_t msg[PROTO_MAX]);

/* A message to be handled from the loop. 0, ENOMEM, ENOTCONN: lost. */
int client_keep(struct client *c, const uint8_t *data, size_t len);

#endif
