/*
 * Entries by file, and those that ended in the order of their end.
 *
 * No timers: what has outlived its grace goes at the next look. At most
 * OUTSTANDING_ENDED that ended are kept, the oldest goes first; grace is a
 * courtesy, and memory is not without end.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "cavad/ident_hash.h"
#include "cavad/outstanding.h"

#define OUTSTANDING_BUCKETS 1024
#define OUTSTANDING_ENDED 16384

struct outstanding_entry {
	LIST_ENTRY(outstanding_entry) bucket;
	TAILQ_ENTRY(outstanding_entry) entry;
	struct ident ident;
	char *path;
	char *target;
	char *server;
	char *report;		/* or NULL */
	int64_t ended;		/* monotonic ms, 0 = it has not */
};

TAILQ_HEAD(outstanding_list, outstanding_entry);

struct outstanding {
	int64_t grace;		/* ms */
	LIST_HEAD(, outstanding_entry) buckets[OUTSTANDING_BUCKETS];
	struct outstanding_list open;
	struct outstanding_list ended;	/* oldest first */
	unsigned int ended_count;
};

static int64_t outstanding_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void outstanding_set_grace(struct outstanding *o, uint32_t grace)
{
	o->grace = (int64_t)grace * 1000;
}

struct outstanding *outstanding_create(TALLOC_CTX *mem_ctx, uint32_t grace)
{
	struct outstanding *o = talloc_zero(mem_ctx, struct outstanding);

	if (o == NULL) {
		return NULL;
	}
	outstanding_set_grace(o, grace);
	TAILQ_INIT(&o->open);
	TAILQ_INIT(&o->ended);
	return o;
}

static void outstanding_expire(struct outstanding *o)
{
	struct outstanding_entry *e = NULL;
	int64_t now = outstanding_now();

	while ((e = TAILQ_FIRST(&o->ended)) != NULL) {
		if (now - e->ended < o->grace &&
		    o->ended_count <= OUTSTANDING_ENDED) {
			return;
		}
		TAILQ_REMOVE(&o->ended, e, entry);
		LIST_REMOVE(e, bucket);
		o->ended_count--;
		talloc_free(e);
	}
}

struct outstanding_entry *outstanding_add(struct outstanding *o,
					  const struct ident *ident,
					  const char *path,
					  const char *target,
					  const char *server)
{
	struct outstanding_entry *e = NULL;
	size_t bucket = ident_hash(ident) % OUTSTANDING_BUCKETS;

	e = talloc_zero(o, struct outstanding_entry);
	if (e == NULL) {
		return NULL;
	}
	e->ident = *ident;
	e->path = talloc_strdup(e, path);
	e->target = target == NULL ? NULL : talloc_strdup(e, target);
	e->server = talloc_strdup(e, server);
	if (e->path == NULL || e->server == NULL ||
	    (target != NULL && e->target == NULL)) {
		talloc_free(e);
		return NULL;
	}
	LIST_INSERT_HEAD(&o->buckets[bucket], e, bucket);
	TAILQ_INSERT_TAIL(&o->open, e, entry);
	return e;
}

void outstanding_end(struct outstanding *o, struct outstanding_entry **entry)
{
	struct outstanding_entry *e = *entry;

	if (e == NULL) {
		return;
	}
	*entry = NULL;
	TAILQ_REMOVE(&o->open, e, entry);
	TAILQ_INSERT_TAIL(&o->ended, e, entry);
	o->ended_count++;
	e->ended = outstanding_now();
	outstanding_expire(o);
}

static const char *outstanding_list_target(const struct outstanding_list *l,
					   const char *alias)
{
	const struct outstanding_entry *e = NULL;
	size_t len = strlen(alias);

	TAILQ_FOREACH(e, l, entry) {
		if (e->target != NULL && strncmp(e->path, alias, len) == 0 &&
		    (e->path[len] == '\0' || e->path[len] == ':')) {
			return e->target;
		}
	}
	return NULL;
}

const char *outstanding_target(struct outstanding *o, const char *alias)
{
	const char *target = NULL;

	outstanding_expire(o);
	target = outstanding_list_target(&o->open, alias);
	return target != NULL ? target :
		outstanding_list_target(&o->ended, alias);
}

bool outstanding_find(struct outstanding *o, const struct ident *ident,
		      unsigned int i, struct scan_outstanding *result)
{
	struct outstanding_entry *e = NULL;
	size_t bucket = ident_hash(ident) % OUTSTANDING_BUCKETS;

	outstanding_expire(o);
	LIST_FOREACH(e, &o->buckets[bucket], bucket) {
		if (!ident_equal(&e->ident, ident)) {
			continue;
		}
		if (i == 0) {
			break;
		}
		i--;
	}
	if (e == NULL) {
		return false;
	}
	*result = (struct scan_outstanding) {
		.path = e->path,
		.server = e->server,
		.ended = e->ended != 0,
	};
	return true;
}

void outstanding_set_report(struct outstanding_entry *entry,
			    const char *report)
{
	talloc_free(entry->report);
	entry->report = talloc_strdup(entry, report);
}

const char *outstanding_report(struct outstanding *o,
			       const struct ident *ident)
{
	struct outstanding_entry *e = NULL;
	size_t bucket = ident_hash(ident) % OUTSTANDING_BUCKETS;

	outstanding_expire(o);
	LIST_FOREACH(e, &o->buckets[bucket], bucket) {
		if (ident_equal(&e->ident, ident) && e->ended != 0) {
			return e->report;
		}
	}
	return NULL;
}

void outstanding_paths(struct outstanding *o,
		       void (*fn)(void *private_data, const char *path),
		       void *private_data)
{
	struct outstanding_entry *e = NULL;

	outstanding_expire(o);
	TAILQ_FOREACH(e, &o->open, entry) {
		fn(private_data, e->path);
	}
	TAILQ_FOREACH(e, &o->ended, entry) {
		fn(private_data, e->path);
	}
}
