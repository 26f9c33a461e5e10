/*
 * The pool of servers that a scan is asked in, and the queues of each pool.
 *
 * Each pool has queues of its own, so that a slow or dead one holds up nobody
 * else's scans. The pool is that of the question (an smbd's zone, a job), or
 * else, for what is owed and what is scanned by hand, that of the zone whose
 * share holds the file. When several ask, the first one's counts.
 *
 * Pools come from the configuration, so there are few; they are kept.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "cavad/scan_private.h"

struct scan_pool *scan_pool_get(struct scans *s, const char *name)
{
	struct scan_pool *pool = NULL;

	LIST_FOREACH(pool, &s->pools, entry) {
		if (strcmp(pool->name, name) == 0) {
			return pool;
		}
	}
	pool = talloc_zero(s, struct scan_pool);
	if (pool == NULL) {
		return NULL;
	}
	pool->name = talloc_strdup(pool, name);
	if (pool->name == NULL) {
		talloc_free(pool);
		return NULL;
	}
	queue_init(&pool->queue);
	LIST_INSERT_HEAD(&s->pools, pool, entry);
	return pool;
}

/* By what is known of its path. NULL = no memory. */
static struct scan_pool *scan_pool_of(const struct scan *scan)
{
	struct scans *s = scan->scans;
	const char *name = SERVER_POOL;

	if (scan->pool != NULL) {
		return scan->pool;
	}
	if (s->pool_fn != NULL) {
		name = s->pool_fn(s->pool_private, scan->path);
	}
	return scan_pool_get(s, name);
}

bool scan_pool_guess(struct scan *scan)
{
	scan->pool_guessed = scan->pool == NULL;
	scan->pool = scan_pool_of(scan);
	return scan->pool != NULL;
}

void scan_pool_choose(struct scan *scan)
{
	struct scan_pool *guessed = scan->pool_guessed ? scan->pool : NULL;

	if (guessed != NULL) {
		scan->pool_guessed = false;
		scan->pool = NULL;
	}
	scan->pool = scan_pool_of(scan);
	if (guessed != NULL && guessed != scan->pool) {
		queue_remove(&guessed->queue, &scan->queue);
		scans_wake(scan->scans);
	}
}

const char *scan_share(const struct scan *scan)
{
	const struct scans *s = scan->scans;

	if (scan->share[0] != '\0') {
		return scan->share;
	}
	return s->share_fn == NULL ? "" : s->share_fn(s->share_private,
						      scan->path);
}

void scans_on_share(struct scans *s,
		    const char *(*fn)(void *private_data, const char *path),
		    void *private_data)
{
	s->share_fn = fn;
	s->share_private = private_data;
}

void scans_on_pool(struct scans *s,
		   const char *(*fn)(void *private_data, const char *path),
		   void *private_data)
{
	s->pool_fn = fn;
	s->pool_private = private_data;
}

/* What the servers of it that are online take at a time. */
static uint32_t scan_pool_capacity(const struct scans *s,
				   const struct scan_pool *pool)
{
	uint32_t capacity = 0;
	size_t count = servers_count(s->servers);
	size_t i;

	for (i = 0; i < count; i++) {
		struct server_status status = servers_status(s->servers, i);

		if (status.state == SERVER_ONLINE &&
		    strcmp(status.pool, pool->name) == 0) {
			capacity += status.connections_maximum;
		}
	}
	return capacity;
}

static struct queue_limits scan_pool_limits(const struct scans *s,
					    const struct scan_pool *pool)
{
	uint32_t capacity = scan_pool_capacity(s, pool);

	/* With none online they still have to be sent, to hear "no server". */
	return queue_limits_of(capacity > 0 ? capacity : 20);
}

bool scan_pool_is_free(const struct scan *scan, enum queue_lane lane)
{
	const struct scan_pool *pool = scan_pool_of(scan);
	struct queue_limits limits;

	if (pool == NULL) {
		return false;
	}
	limits = scan_pool_limits(scan->scans, pool);
	return queue_is_free(&pool->queue, lane, &limits);
}

bool scan_pool_is_idle(struct scans *s, const struct scan_request *request,
		       uint32_t begun)
{
	struct scan asked = { .scans = s, .path = (char *)request->path };
	struct scan_pool *pool = request->pool != NULL ?
		scan_pool_get(s, request->pool) : scan_pool_of(&asked);
	uint32_t capacity = pool == NULL ? 0 : scan_pool_capacity(s, pool);
	struct queue_limits limits = queue_limits_of(capacity);

	return capacity > 0 && begun < limits.running[QUEUE_BATCH] &&
		queue_is_free(&pool->queue, QUEUE_BATCH, &limits);
}

void scan_pool_run(struct scans *s, struct scan_pool *pool)
{
	struct queue_limits limits = scan_pool_limits(s, pool);
	struct queue_entry *e = NULL;

	while ((e = queue_next(&pool->queue, &limits)) != NULL) {
		struct scan *scan = (struct scan *)
			((char *)e - offsetof(struct scan, queue));

		if (scan->looked) {
			scan_begin(scan);
		} else {
			scan_lookup(scan);
		}
	}
}

static void scan_pool_full_over(struct tevent_context *ev,
				struct tevent_timer *timer,
				struct timeval now, void *private_data);

/* It ends when nothing was refused between two looks. */
static void scan_pool_full_watch(struct scans *s)
{
	s->full_timer = tevent_add_timer(
		s->ev, s, tevent_timeval_current_ofs(EVENT_SETTLE, 0),
		scan_pool_full_over, s);
}

void scan_pool_full(struct scans *s)
{
	s->counters->scan_refused++;
	event_raise(s->events, EVENT_CAVA_QUEUE_FULL, "",
		    "%" PRIu32 " scans are under way: further ones are "
		    "refused, and open_on_fail decides; add servers, or raise "
		    "scan_maximum in cavad.conf", s->count);
	if (s->full_timer == NULL) {
		scan_pool_full_watch(s);
	}
}

static void scan_pool_full_over(struct tevent_context *ev,
				struct tevent_timer *timer,
				struct timeval now, void *private_data)
{
	struct scans *s = talloc_get_type_abort(private_data, struct scans);
	const struct event *e = NULL;
	unsigned int i;

	(void)ev;
	(void)timer;
	(void)now;
	s->full_timer = NULL;	/* tevent frees it */
	event_settle(s->events, EVENT_CAVA_QUEUE_FULL, "");
	for (i = 0; (e = events_up(s->events, i)) != NULL; i++) {
		if (e->number == EVENT_CAVA_QUEUE_FULL) {
			scan_pool_full_watch(s);
			return;
		}
	}
}

bool scan_queue_status(const struct scans *s, unsigned int i,
		       struct scan_queue_status *q)
{
	static const enum scan_source sources[QUEUE_LANES] = {
		[QUEUE_FAST] = SCAN_ON_ACCESS,
		[QUEUE_SLOW] = SCAN_ON_ACCESS,
		[QUEUE_OWED] = SCAN_NOTICE,
		[QUEUE_BATCH] = SCAN_JOB,
	};
	const struct scan_pool *pool = NULL;

	if (i >= QUEUE_LANES) {
		return false;
	}
	*q = (struct scan_queue_status) {
		.name = queue_lane_text(i),
		.size_max = (uint32_t)scans_most(s, sources[i]),
	};
	LIST_FOREACH(pool, &s->pools, entry) {
		q->size += pool->queue.waiting[i] + pool->queue.running[i];
	}
	return true;
}
