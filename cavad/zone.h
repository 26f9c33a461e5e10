/*
 * Zones: named sets of shares, each with a filter of its own.
 *
 * A zone exists because cavad.conf has a section for it, because an
 * administrator made it (cavactl zones add), or because a module announced it
 * (cava:zone); then its filter has the defaults. What was made or
 * announced is kept in the database: at most twice FILTER_ZONES_MAX zones,
 * with those of cavad.conf, and ZONE_SHARES shares. What is beyond that, or
 * has no proper name, is served with the defaults, said once, and not kept.
 *
 * The effective filters are also in STATE_DIR/filters, which a module reads
 * while cavad is away: a line "ZONE HEX" a zone, HEX = filter_put().
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ZONE_H
#define CAVAD_ZONE_H

#include "cavad/config.h"
#include "cavad/counter.h"
#include "cavad/event.h"
#include "cavad/store.h"
#include "common/proto.h"

#define ZONE_SHARES 1024

struct zones;

/* Reads what was announced before, and writes the filters. 0 or errno. */
int zones_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		 const struct config *config, struct store *store,
		 struct counters *counters, struct events *events,
		 struct zones **result);

/* The configuration has changed: writes the filters. 0 or errno. */
int zones_changed(struct zones *z);

/* A share's connection, from its HELLO; ends when it is freed, before z. */
struct zone_member;

/* NULL = no memory. */
struct zone_member *zone_enter(TALLOC_CTX *mem_ctx, struct zones *z,
			       const char *zone, const char *share,
			       const char *root);

/*
 * The pool of servers that scan the file of that path: that of the zone whose
 * share holds it. Of shares within each other it is the innermost, of zones
 * that share a root the first by name. Borrowed.
 */
const char *zones_pool(const struct zones *z, const char *path);

/* By the same rule, the zone, the share ("" = none), and its root. Borrowed. */
const char *zones_name(const struct zones *z, const char *path);
const char *zones_share(const struct zones *z, const char *path);
const char *zones_root(const struct zones *z, const char *path);

/* Are tiered files fetched for scans there? */
bool zones_tiered(const struct zones *z, const char *path);

/* Its threat_response: enum threat_response. */
unsigned int zones_response(const struct zones *z, const char *path);

/* What a member's filter let through unscanned. */
void zone_count(struct zones *z, const struct proto_count *count);

/*
 * Made by an administrator. NULL: refused, *why says it in full, or no
 * memory (*why is NULL). Ends when it is committed; store_write_recv().
 */
struct tevent_req *zone_add_send(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev, struct zones *z,
				 const char *name, char **why);

/* The same for its end. What cavad.conf has, or a share uses, stays. */
struct tevent_req *zone_remove_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct zones *z, const char *name,
				    char **why);

struct zone_share {
	const char *name;
	const char *root;
};

struct zone_status {
	const char *name;
	uint32_t id;
	bool configured;	/* it has a filter of its own */
	unsigned int connections;
	const struct zone_share *shares;	/* ended by name == NULL */
};

/* In the order of their names; i from 0, false after the last. Borrowed. */
bool zone_status(const struct zones *z, unsigned int i,
		 struct zone_status *status);

#endif
