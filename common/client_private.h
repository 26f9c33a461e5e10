/*
 * What client.c, client_notice.c and client_sync.c share: the state of a
 * client, and the functions of its connection.
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
	int box;		/* the mailbox, or -1 */
	bool box_taken;		/* cavad has said that it reads it */
	size_t unrung;		/* bytes in it that cavad was not told of */
	struct tick *bell;
	uint64_t next_seq;	/* of notices; each connection counts anew */
	uint64_t acked;
	uint64_t boxed;		/* the last that went into the mailbox */
	uint64_t passed;	/* the last that went another way */
	struct client_list out;
	struct client_list unacked;
	struct client_list in;	/* came while a sync call waited */
	struct client_ask_state *asks;
};

/* From common/client.c */

bool client_list_add(TALLOC_CTX *mem_ctx, struct client_list *list,
		     uint64_t seq, const uint8_t *data, size_t len);
void client_list_drop(struct client_list *list);

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

/* From common/client_notice.c */

/* Says HELLO on a new connection, and hands over the mailbox. As send. */
int client_box_hello(struct client *c);

/* What CONFIG says of it. 0, or what ends the connection. */
int client_box_taken(struct client *c, bool taken);

/* The connection is over: spools what is not acknowledged. */
void client_box_close(struct client *c);

/* 0, or what ends the connection. */
int client_acknowledged(struct client *c, uint64_t seq);

/* At its time: tells cavad that there is something in the mailbox. */
void client_ring(void *private_data);

#endif
