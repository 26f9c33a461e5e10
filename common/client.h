/*
 * smbd's end of the scan socket, free of Samba.
 *
 * A client connects when there is something to say, says HELLO, and keeps
 * the filter that CONFIG brings. Rules:
 *
 * 1. Nothing here blocks but client_ask_sync() and client_check(), which
 *    poll() the socket for at most the time they are given and run no
 *    event loop: what else arrives meanwhile is handled later, from an
 *    immediate event.
 * 2. A notice is acknowledged or it is in the spool. On its way it wakes
 *    cavad as a rule only some ms later (client_notice.c). Without a connection
 *    it goes to the spool at once; when a connection ends, or the client is
 *    freed, what was not acknowledged goes there. Twice does no harm.
 * 3. A question that was asked when the connection ended is asked again on
 *    the next one, tried every CLIENT_RETRY ms for at most CLIENT_GRACE ms
 *    until cavad says something (one that waits in poll(): within its time).
 *    A new question without a connection ends at once with ENOTCONN.
 * 4. Freeing a request cancels it (CANCEL is sent).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_CLIENT_H
#define COMMON_CLIENT_H

#include <talloc.h>
#include <tevent.h>

#include "common/proto.h"

#define CLIENT_RETRY 200	/* ms */
#define CLIENT_GRACE 10000	/* ms */

struct client;

struct client_ops {
	/*
	 * Returns a connected non-blocking close-on-exec SOCK_SEQPACKET
	 * socket, or -1 and errno. smbd becomes root around it.
	 */
	int (*connect)(void *private_data);

	/* Puts one encoded NOTICE into the spool; 0 or errno. */
	int (*spool)(void *private_data, const uint8_t *msg, size_t len);

	/* A new filter has come. May be NULL. */
	void (*config)(void *private_data, const struct filter *filter);

	/* up or down, once a change; error = why (0, errno). May be NULL. */
	void (*state)(void *private_data, bool up, int error);
};

/*
 * Does not connect yet. hello is copied. NULL = no memory. Freeing the
 * client ends its requests' service: they never finish (free them first).
 */
struct client *client_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     const struct client_ops *ops, void *private_data,
			     const struct proto_hello *hello);

/* Connects if it is not connected; 0 or errno. Cheap when it is. */
int client_connect(struct client *c);

#define CLIENT_LATE 500

/*
 * ask->id is filled in here. cavad answers within ask->wait_ms; when it does
 * not, ends with ETIMEDOUT CLIENT_LATE ms later. ENOTCONN by rule 3.
 */
struct tevent_req *client_ask_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct client *c,
				   const struct proto_ask *ask);

/* Strings of the answer are allocated on mem_ctx. 0 or errno. */
int client_ask_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		    struct proto_answer *answer);

/* The same, waiting at most wait_ms in poll(); 0 or errno. */
int client_ask_sync(struct client *c, TALLOC_CTX *mem_ctx,
		    const struct proto_ask *ask, struct proto_answer *answer);

/* notice->seq is filled in here. 0: sent or spooled; errno: lost. */
int client_notice(struct client *c, const struct proto_notice *notice);

/* One way; dropped when cavad is away. */
void client_restamp(struct client *c, const struct proto_restamp *restamp);

/* One way, now or not at all: was there a connection to take it? */
bool client_count(struct client *c, const struct proto_count *count);

/* One way; dropped when there is no connection. */
void client_fetched(struct client *c, const struct proto_fetched *fetched);

/* Lost without a connection: a hint. */
void client_ahead(struct client *c, const struct proto_ahead *ahead);

/* Waits at most wait_ms. 0 and an answer, or errno (= refuse). */
int client_check(struct client *c, TALLOC_CTX *mem_ctx, uint32_t wait_ms,
		 const struct proto_check *check,
		 struct proto_check_answer *answer);

/* PROTO_WHAT_LIST: names as talloc'd string, each ended by '\n'. */
int client_check_names(struct client *c, TALLOC_CTX *mem_ctx,
		       uint32_t wait_ms, const struct proto_check *check,
		       char **names);

#endif
