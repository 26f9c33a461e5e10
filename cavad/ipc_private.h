/*
 * What ipc.c (the socket and all connections), ipc_peer.c (one of them),
 * ipc_notice.c (its notices) and ipc_ask.c (questions about files) share, and
 * nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_IPC_PRIVATE_H
#define CAVAD_IPC_PRIVATE_H

#include <sys/queue.h>
#include <sys/types.h>

#include "cavad/restamp.h"
#include "cavad/ipc.h"
#include "common/proto.h"
#include "common/tick.h"

#define IPC_OUT_MAX 256		/* messages a peer has not taken */
#define IPC_ASKS_MAX 1024	/* questions of a peer at a time */
#define IPC_NOTICES_MAX 1024	/* notices not committed; then no reading */
#define IPC_WRITERS_MAX 16384	/* files a peer writes at a time */
#define IPC_TURN 1		/* messages of a peer in a turn of the loop:
				 * most often there is no other */
#define IPC_DRAIN 4096		/* messages of a peer in a drain */
#define IPC_BOX_MAX 4096	/* more than fit into a mailbox */
#define IPC_LOOK 30000000	/* us */

struct ipc_ask {
	TAILQ_ENTRY(ipc_ask) entry;	/* of the peer */
	TAILQ_ENTRY(ipc_ask) undecided_entry;
	struct ipc_asks *undecided;	/* the list it is on, or NULL */
	struct ipc_peer *peer;
	uint64_t id;
	struct ident ident;
	char *path;
	char *user;
	char *client;
	uint8_t why;		/* enum proto_why */
	uint8_t owed_only;	/* enum proto_owed */
	int64_t began;		/* monotonic ms */
};

TAILQ_HEAD(ipc_asks, ipc_ask);

struct ipc_notice {
	TAILQ_ENTRY(ipc_notice) entry;
	struct ipc_peer *peer;
	uint64_t seq;
	bool committed;
};

struct ipc_writer {
	LIST_ENTRY(ipc_writer) entry;
	struct ident ident;
	unsigned int handles;
};

struct ipc_out {
	TAILQ_ENTRY(ipc_out) entry;
	size_t len;
	uint8_t data[];
};

struct ipc_peer {
	TAILQ_ENTRY(ipc_peer) entry;
	struct ipc *ipc;
	int fd;			/* -1 = closed, freed soon */
	struct tevent_fd *fde;
	struct tevent_immediate *soon;	/* ACK, or the end */
	int box;		/* the mailbox, or -1 */
	bool hello;
	pid_t pid;		/* that connected */
	uint8_t role;
	char *zone;
	char *share;
	uint64_t seq;		/* of the last notice */
	uint64_t committed;	/* up to here */
	uint64_t acked;		/* and the peer knows */
	struct ipc_asks asks;
	unsigned int asks_count;
	TAILQ_HEAD(, ipc_notice) notices;
	unsigned int notices_count;
	LIST_HEAD(, ipc_writer) writers;
	unsigned int writers_count;
	TAILQ_HEAD(, ipc_out) out;
	unsigned int out_count;
};

struct ipc {
	struct tevent_context *ev;
	const struct config *config;
	struct scans *scans;
	struct check *check;
	struct zones *zones;
	struct events *events;
	struct counters *counters;
	struct restamps *restamps;
	int fd;
	struct tevent_fd *fde;
	struct tevent_timer *pause;	/* of accepting */
	struct tevent_immediate *decide;
	struct tick *look;	/* at the mailboxes, while there are any */
	TAILQ_HEAD(, ipc_peer) peers;
	unsigned int peers_count;
	struct ipc_asks undecided;	/* is a scan of it owed? */
};

/* From ipc.c. */

int64_t ipc_now(void);

/* Reads every mailbox within IPC_LOOK. */
void ipc_look_soon(struct ipc *ipc);

/* Decide soon what is undecided. */
void ipc_decide_soon(struct ipc *ipc);

/* From ipc_peer.c. */

/* Takes fd, of a process that is root. 0 or errno; fd is closed then. */
int ipc_peer_create(struct ipc *ipc, int fd, pid_t pid);

/* Reads and serves at most `max` messages; the peer may be closed after. */
void ipc_peer_read(struct ipc_peer *peer, unsigned int max);

void ipc_peer_send(struct ipc_peer *peer, const struct proto_message *m);
void ipc_peer_config(struct ipc_peer *peer);

/* What it listens to: after a change of what is under way. */
void ipc_peer_flags(struct ipc_peer *peer);

/* boxed: it was in the mailbox. */
void ipc_peer_message(struct ipc_peer *peer, const uint8_t *data, size_t len,
		      bool boxed);

/* ipc_ack(), once for all that is committed in this turn of the loop. */
void ipc_peer_ack_soon(struct ipc_peer *peer);

/* 0, EAGAIN or errno. 0 as well when the other side is gone. */
int ipc_peer_write(int fd, const uint8_t *data, size_t len);

/* It sent what it must not: counted, logged, closed. */
void ipc_peer_bad(struct ipc_peer *peer, const char *what);

/* Ends the connection; it is freed soon. */
void ipc_peer_close(struct ipc_peer *peer);

/* From ipc_notice.c. */

void ipc_notice(struct ipc_peer *peer, const struct proto_notice *m);
void ipc_ring(struct ipc_peer *peer, const struct proto_ring *m);

/* Says up to where notices are committed, if it was not said. */
void ipc_ack(struct ipc_peer *peer);

/* The connection has ended: what it wrote is treated as closed. */
void ipc_writers_gone(struct ipc_peer *peer);

/* As recv(), and takes a mailbox that comes along. */
ssize_t ipc_box_receive(struct ipc_peer *peer, uint8_t data[PROTO_MAX],
			int flags);

/* Can it be one? */
bool ipc_box_fits(int fd);

/* The peer keeps its mailbox, if there are descriptors enough. */
void ipc_box_begin(struct ipc_peer *peer);

/* Reads and serves all that is there; the peer may be closed after. */
void ipc_box_read(struct ipc_peer *peer);

void ipc_box_close(struct ipc_peer *peer);

/* From ipc_ask.c. */

void ipc_ask(struct ipc_peer *peer, const struct proto_ask *m);
void ipc_ahead(struct ipc_peer *peer, const struct proto_ahead *m);
void ipc_ask_cancel(struct ipc_peer *peer, uint64_t id);

/* owed: wait for it; else "not owed". */
void ipc_ask_decided(struct ipc_ask *ask, bool owed);

#endif
