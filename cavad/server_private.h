/*
 * What server.c (the servers), server_set.c (which there are),
 * server_state.c (what is thought of them) and server_scan.c (the scans asked
 * of them) share, and nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SERVER_PRIVATE_H
#define CAVAD_SERVER_PRIVATE_H

#include <netinet/in.h>
#include <sys/queue.h>

#include "cavad/server.h"

#define SERVER_START_WAIT 3	/* s that scans wait for first heartbeats */
#define SERVER_LEAVE_WAIT 5	/* s that a server out of use has for scans */
#define SERVER_PROBE_MAX 10	/* s for a probe while others are online */
#define SERVER_PROBE_SKIP_MAX 7	/* good heartbeats between two probes */
#define SERVER_BEAT_PAUSE 1000000	/* us between heartbeats out of turn */
#define SERVER_SCAN_MAX 86400	/* s; a longer timeout is cut to it */
#define SERVER_TRIED_MAX 8	/* servers that one scan is asked of */
#define SERVER_ADDRESSES 4	/* last ones a heartbeat came back from */

/*
 * A server as it is asked at present. With another configuration it gets a
 * new one; the old one is freed when nobody uses it any more.
 */
struct server_engine {
	const struct engine_ops *ops;
	struct engine *engine;
	struct server_object *object;
	struct in6_addr *fetch;	/* fetch_addresses, IPv4 as mapped */
	size_t fetch_count;
	uint32_t users;		/* scans, and a heartbeat */
	bool retired;
	LIST_ENTRY(server_engine) entry;	/* retired */
};

/* Milliseconds would do; the clock has us. */
struct server_times {
	int64_t least, last;
	int64_t average;	/* see server_average() */
};

struct server_pool;

struct server {
	struct servers *servers;
	const struct server_object *object;	/* of the engine */
	struct server_engine *engine;
	struct server_pool *pool;	/* NULL: on the way out */
	uint64_t serial;	/* never used twice */
	char *former;		/* name it had before, or NULL */
	bool in_use;		/* may get scans */
	enum server_state state;
	struct engine_status last;
	uint32_t connections;	/* in use: scans, and a heartbeat */
	uint32_t timeouts;	/* of scans, in a row */
	bool probe_open;	/* SUSPECTED: one scan may try it */
	uint32_t probe_skip;	/* good heartbeats until the next probe */
	uint32_t probe_skip_next;	/* 1, 3, 7: if that one fails too */
	uint64_t answers;	/* to scans, whatever they said */

	struct tevent_req *heartbeat;	/* running */
	struct server_engine *heartbeat_engine;	/* what it is asked through */
	struct tick *tick;		/* of the next one */
	struct tevent_timer *leave_timer;	/* out of use, has scans */
	bool heartbeat_due;	/* waits for a free connection */
	int64_t heartbeat_began;	/* 0 = never */
	uint64_t answers_before;	/* when it began */

	uint64_t good_heartbeats;
	uint64_t scan_requests;
	uint64_t scan_failures;
	struct server_times heartbeat_rtt;
	struct server_times scan_rtt;

	struct in6_addr seen[SERVER_ADDRESSES];
	size_t seen_count;
};

/* Servers that stand in for each other; at most four of them are used. */
struct server_pool {
	const char *name;
	size_t count;
	size_t enabled;
	struct server *in_use[SERVER_IN_USE_MAX];	/* best first */
	size_t in_use_count;
	bool all_offline;	/* the event is up */
};

struct server_ask;

struct servers {
	struct tevent_context *ev;
	const struct config *config;
	struct events *events;
	struct counters *counters;
	struct server **all;	/* in the order of the configuration */
	size_t count;
	struct server **leaving;	/* until their last scan ends */
	size_t leaving_count;
	struct server_pool *pools;
	size_t pool_count;
	struct cee_settings *cee;	/* that the engines have */
	uint64_t last_serial;
	LIST_HEAD(, server_engine) retired;
	struct tevent_timer *start_timer;	/* first heartbeats */
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

/* Some server of the pool has not been heard of yet, nor is it too late. */
bool servers_starting(const struct servers *s,
		      const struct server_pool *pool);

/* NULL = there is none of that name; NULL is the default pool's. */
struct server_pool *servers_pool(const struct servers *s, const char *name);

bool server_pool_usable(const struct server_pool *pool);

/* A heartbeat was answered from there. */
void server_remember_address(struct server *server, const char *text);

/* What events about a pool are about. */
const char *server_pool_what(const struct server_pool *pool);

/* From server_set.c. */

/* Frees what nobody uses any more. From the loop only. */
void servers_sweep(struct servers *s);

/* From server_scan.c. */

/* Gives waiting scans their places. */
void servers_dispatch(struct servers *s);

/* Takes back every scan of a server that is out of use. */
void server_take_all_back(struct server *server);

/* Ends every scan, since the servers go away. */
void servers_abandon(struct servers *s);

/* From server_state.c. */

/* Connections at a time: ours, or fewer if it wants fewer. */
uint32_t server_limit(const struct server *server);

/* A connection may be taken; it is free again. */
bool server_room(const struct server *server);
void server_connection_free(struct server *server);

/* One heartbeat at once, or as soon as a connection is free. */
void server_heartbeat(struct server *server);
void server_heartbeat_time(void *private_data);	/* of tick: the same */

/* The event of its state, when its name changes. */
void server_event_off(struct server *server);
void server_event_on(struct server *server);

/* Into use: what is thought of it begins anew, with a heartbeat. */
void server_use(struct server *server);

/*
 * Out of use, for STANDBY or DISABLED: no heartbeats, no events, no new
 * scans; those under way have SERVER_LEAVE_WAIT.
 */
void server_unuse(struct server *server, enum server_state state);

/* One scan tried it, and it gave no verdict. */
void server_probe_failed(struct server *server);

/* The event, if nothing of the pool is or may be online. */
void server_pool_check_offline(struct servers *s, struct server_pool *pool);

/*
 * A scan ended at the server; `error` as of scan_recv(), `took` in us.
 * Decides what that says about the server.
 */
void server_answered(struct server *server, int error,
		     const struct engine_answer *answer, int64_t took);

#endif
