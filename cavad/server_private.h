/*
 * What server.c (the servers), server_state.c (what is thought of them) and
 * server_scan.c (the scans asked of them) share, and nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SERVER_PRIVATE_H
#define CAVAD_SERVER_PRIVATE_H

#include <netinet/in.h>
#include <sys/queue.h>

#include "cavad/server.h"

#define SERVER_START_WAIT 3	/* s that scans wait for first heartbeats */
#define SERVER_PROBE_MAX 10	/* s for a probe while others are online */
#define SERVER_SCAN_MAX 86400	/* s; a longer timeout is cut to it */
#define SERVER_ADDRESSES 4	/* last ones a heartbeat came back from */

struct server {
	struct servers *servers;
	const struct server_object *object;
	const struct engine_ops *ops;
	struct engine *engine;
	enum server_state state;
	struct engine_status last;
	uint32_t connections;	/* in use: scans, and a heartbeat */
	uint32_t timeouts;	/* of scans, in a row */
	bool probe_open;	/* SUSPECTED: one scan may try it */
	uint64_t answers;	/* to scans, whatever they said */

	struct tevent_req *heartbeat;	/* running */
	struct tevent_timer *timer;	/* of the next one */
	bool heartbeat_due;	/* waits for a free connection */
	int64_t heartbeat_began;
	uint64_t answers_before;	/* when it began */

	uint64_t good_heartbeats;
	uint64_t scan_requests;
	int64_t heartbeat_rtt;	/* us, see server_average() */
	int64_t scan_rtt;

	struct in6_addr *fetch;	/* fetch_addresses, IPv4 as mapped */
	size_t fetch_count;
	struct in6_addr seen[SERVER_ADDRESSES];
	size_t seen_count;
};

struct server_ask;

struct servers {
	struct tevent_context *ev;
	const struct config *config;
	struct events *events;
	struct counters *counters;
	struct server *all;
	size_t count;
	size_t enabled;
	struct server *in_use[SERVER_IN_USE_MAX];	/* best first */
	size_t in_use_count;
	bool start_over;	/* no more waiting for first heartbeats */
	bool all_offline;	/* the event is up */
	TAILQ_HEAD(, server_ask) asks;	/* oldest first, asked or waiting */
	size_t waiting;
	struct tevent_immediate *wake;
	bool tell_usable;	/* with the next wake */
	void (*signatures_fn)(void *private_data, int64_t oldest);
	void *signatures_private;
	int64_t signatures;	/* that were told; 0 = none yet */
	void (*usable_fn)(void *private_data);
	void *usable_private;
};

/* From server.c. */

/* us of the monotonic clock */
int64_t server_now(void);

/* Soon, from the loop: places for those that wait, news for usable_fn. */
void servers_wake(struct servers *s);

/* Some server in use has not been heard of yet, and it is not too late. */
bool servers_starting(const struct servers *s);

/* A heartbeat was answered from there. */
void server_remember_address(struct server *server, const char *text);

/* From server_scan.c. */

/* Gives waiting scans their places. */
void servers_dispatch(struct servers *s);

/* Ends every scan, since the servers go away. */
void servers_abandon(struct servers *s);

/* From server_state.c. */

/* A connection may be taken; it is free again. */
bool server_room(const struct server *server);
void server_connection_free(struct server *server);

/* One heartbeat at once, or as soon as a connection is free. */
void server_heartbeat(struct server *server);

/*
 * A scan ended at the server; `error` as of scan_recv(), `took` in us.
 * Decides what that says about the server.
 */
void server_answered(struct server *server, int error,
		     const struct engine_answer *answer, int64_t took);

#endif
