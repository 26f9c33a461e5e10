/*
 * Antivirus servers: their state, and which one to ask.
 *
 * Servers belong to pools; a scan is asked in one pool. Heartbeats every
 * heartbeat_interval. Of each pool at most 4 servers are in use by a node,
 * starting from server n for node n; among those online, the least loaded;
 * never more than connections_maximum requests at one (a semaphore of the
 * server). A server that fails in the middle of a scan is left and another
 * one asked. After SERVER_SUSPECT timeouts in a row a server is suspect: only
 * heartbeats and one probe scan at a time until one succeeds.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SERVER_H
#define CAVAD_SERVER_H

#include "cavad/counter.h"
#include "cavad/engine.h"
#include "cavad/event.h"

#define SERVER_IN_USE_MAX 4
#define SERVER_SUSPECT 5

enum server_state {
	SERVER_UNKNOWN,		/* not asked yet */
	SERVER_ONLINE,
	SERVER_OFFLINE,
	SERVER_AV_ERROR,	/* answers, but its antivirus does not work */
	SERVER_VERSION,		/* answers, but is older than it must be */
	SERVER_SUSPECTED,
	SERVER_DISABLED,
	SERVER_STANDBY		/* not among this node's four of its pool */
};

struct servers;

/* 0, or EINVAL and *error. Heartbeats start at once. */
int servers_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   const struct config *config, struct events *events,
		   struct counters *counters, struct servers **result,
		   char **error);

/*
 * The servers of `config` instead of those there are, at once, while scans
 * run; also nodes, node, service_enabled and [cee] of it. 0, or ENOMEM, or
 * EINVAL and *error (on s): then nothing has changed. Not from inside a
 * callback of servers_scan_send(). `config` may be freed afterwards; the one
 * of servers_create() is still used for all else and should say the same
 * soon (config_take()).
 *
 * A server is known again by its uri: one that is renamed, or gets other
 * limits, keeps its state, its scans and its count of connections, also when
 * it comes back before its last scan has ended. What
 * was removed, disabled or is not among the four any more gets no new scan;
 * those under way have 5 s to end and are then asked of another.
 */
int servers_update(struct servers *s, const struct config *config,
		   char **error);

/*
 * fn is called, from the loop, each time a scan sent now has a place to go
 * that it had not before: a server came online, or a suspected one may be
 * probed by one scan.
 */
void servers_on_usable(struct servers *s, void (*fn)(void *private_data),
		       void *private_data);

/*
 * fn is called, from the loop, when the oldest signatures of the servers
 * that are online and tell theirs are others than before (s since the
 * epoch): what is scanned from now on has these or newer ones.
 */
void servers_on_signatures(struct servers *s,
			   void (*fn)(void *private_data, int64_t oldest),
			   void *private_data);

/* One is online, of all or of that pool (suspected ones do not count). */
bool servers_usable(const struct servers *s);
bool servers_pool_usable(const struct servers *s, const char *pool);

/* Does any server in use of that pool want a descriptor? NULL = default. */
bool servers_want_fd(const struct servers *s, const char *pool);

/*
 * Picks a server, waits for room at it, asks, and asks another when it
 * fails, until scan->timeout. Ends at once with FAILED/NO_SERVER when none
 * will take it; so send and see, rather than look at servers_usable()
 * first: a suspected server recovers by such a scan, and in the first
 * seconds after the start scans wait for the first heartbeats.
 * picked: called with the server's name each time one was picked, so that
 * the caller knows who may fetch; it must not free scans.
 */
struct tevent_req *servers_scan_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct servers *s,
				     const struct engine_scan *scan,
				     void (*picked)(void *private_data,
						    const char *server,
						    bool fetches),
				     void *private_data);
int servers_scan_recv(struct tevent_req *req, struct engine_answer *answer,
		      char server[VERDICT_TEXT_MAX], bool *fetches);

/*
 * May `addr` (numeric) fetch on behalf of that server? Its fetch_addresses,
 * or else an address that a heartbeat was answered from.
 */
bool servers_address(const struct servers *s, const char *server,
		     const char *addr);

/*
 * One connection of a server, whatever its state, for something else than
 * scans; freeing the loan gives it back. 0; ENOENT (no such server), EBUSY (it
 * has no room), ENOMEM. To be freed before the servers.
 */
struct server;
struct server_loan {
	struct server *server;
	const struct server_object *object;	/* until the next return to
						 * the loop */
};
int servers_borrow(TALLOC_CTX *mem_ctx, struct servers *s, const char *name,
		   struct server_loan **result);

/* For status. Borrowed until the next return to the loop. */
struct server_status {
	const char *name;
	const char *uri;
	const char *engine;
	const char *pool;
	enum server_state state;
	const struct engine_status *last;	/* heartbeat */
	uint32_t connections;
	uint32_t connections_maximum;
	uint64_t good_heartbeats;
	uint64_t scan_requests;
	uint64_t scan_failures;	/* that gave no verdict */
	struct server_rtt {
		uint32_t least, average, last;	/* ms */
	} heartbeat_rtt, scan_rtt;
};

size_t servers_count(const struct servers *s);
struct server_status servers_status(const struct servers *s, size_t i);
const char *server_state_text(enum server_state state);

/*
 * Pure: the servers that a node uses, in order of preference, as indices
 * below `count`. Returns how many, at most SERVER_IN_USE_MAX.
 */
size_t server_order(uint64_t node, size_t count,
		    size_t order[SERVER_IN_USE_MAX]);

#endif
