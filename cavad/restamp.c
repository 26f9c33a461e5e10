/*
 * A verdict outlives a change of metadata: see restamp.h.
 *
 * One entry a file. A client changes an ACL, an attribute and a time one
 * after the other, so further RESTAMPs come while one is under way: one that
 * begins where the entry ends makes it longer, another takes its place, and
 * the entry is done over. At most RESTAMP_RUNNING files are open at a time.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <sys/queue.h>

#include "cavad/ident_hash.h"
#include "cavad/restamp.h"
#include "common/log.h"
#include "common/req.h"

#define RESTAMP_BUCKETS 1024
#define RESTAMP_RUNNING 16
#define RESTAMP_ROUNDS 8	/* for one file, then it is let go */

struct restamp_waiter {
	LIST_ENTRY(restamp_waiter) entry;
	struct restamp_entry *of;	/* NULL = over */
	struct tevent_req *req;
};

struct restamp_entry {
	LIST_ENTRY(restamp_entry) bucket;
	TAILQ_ENTRY(restamp_entry) queue;	/* not yet running */
	struct restamps *all;
	struct ident ident;
	char *path;
	struct content before;
	struct content after;
	bool running;
	bool more;		/* before or after moved since it began */
	unsigned int rounds;
	uint64_t id;
	struct verdict record;
	struct tevent_req *subreq;
	LIST_HEAD(, restamp_waiter) waiters;
};

struct restamps {
	struct tevent_context *ev;
	struct files *files;
	struct counters *counters;
	LIST_HEAD(, restamp_entry) buckets[RESTAMP_BUCKETS];
	TAILQ_HEAD(, restamp_entry) queue;
	unsigned int count;
	unsigned int running;
	uint64_t last_id;
};

static void restamp_begun(struct tevent_req *subreq);
static void restamp_ended(struct tevent_req *subreq);

struct restamps *restamps_create(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev,
				 struct files *files,
				 struct counters *counters)
{
	struct restamps *r = talloc_zero(mem_ctx, struct restamps);

	if (r == NULL) {
		return NULL;
	}
	r->ev = ev;
	r->files = files;
	r->counters = counters;
	/* apart from the ids of scans, which count up from 1 */
	r->last_id = UINT64_C(1) << 63;
	TAILQ_INIT(&r->queue);
	return r;
}

static struct restamp_entry *restamp_find(const struct restamps *r,
					  const struct ident *ident)
{
	struct restamp_entry *e = NULL;
	size_t bucket = ident_hash(ident) % RESTAMP_BUCKETS;

	LIST_FOREACH(e, &r->buckets[bucket], bucket) {
		if (ident_equal(&e->ident, ident)) {
			return e;
		}
	}
	return NULL;
}

static void restamps_start(struct restamps *r);

static void restamp_done(struct restamp_entry *e)
{
	struct restamps *r = e->all;
	struct restamp_waiter *w = NULL;

	LIST_REMOVE(e, bucket);
	r->count--;
	r->running--;
	while ((w = LIST_FIRST(&e->waiters)) != NULL) {
		LIST_REMOVE(w, entry);
		w->of = NULL;
		tevent_req_defer_callback(w->req, r->ev);
		tevent_req_done(w->req);
	}
	talloc_free(e);
	restamps_start(r);
}

static void restamp_begin(struct restamp_entry *e)
{
	struct restamps *r = e->all;
	struct files_begin begin = {
		.scan_id = ++r->last_id,
		.have_ident = true,
		.ident = e->ident,
		.path = e->path,
		.lock = true,
	};

	e->id = begin.scan_id;
	e->more = false;
	e->rounds++;
	e->subreq = files_begin_send(e, r->ev, r->files, &begin);
	if (e->subreq == NULL) {
		restamp_done(e);
		return;
	}
	tevent_req_set_callback(e->subreq, restamp_begun, e);
}

static void restamps_start(struct restamps *r)
{
	struct restamp_entry *e = NULL;

	while (r->running < RESTAMP_RUNNING &&
	       (e = TAILQ_FIRST(&r->queue)) != NULL) {
		TAILQ_REMOVE(&r->queue, e, queue);
		e->running = true;
		r->running++;
		restamp_begin(e);
	}
}

/* Pure. Was the record current, and is the file what it was left as? */
static bool restamp_holds(const struct restamp_entry *e,
			  const struct files_begun *begun)
{
	enum verdict_state state = VERDICT_STATE_NONE;

	if (begun->status != FILES_OK || !begun->have_record ||
	    !begun->leased || e->before.size != e->after.size ||
	    !content_equal(&begun->content, &e->after)) {
		return false;
	}
	state = verdict_state(&begun->record, &e->before, 0);
	return state == VERDICT_STATE_CLEAN ||
	       state == VERDICT_STATE_INFECTED ||
	       state == VERDICT_STATE_UNSCANNABLE;
}

static void restamp_begun(struct tevent_req *subreq)
{
	struct restamp_entry *e = tevent_req_callback_data(
		subreq, struct restamp_entry);
	struct restamps *r = e->all;
	struct files_begun begun;
	struct files_end end = { .scan_id = e->id, .ident = e->ident,
				 .path = e->path };
	int ret = files_begin_recv(subreq, e, &begun);

	TALLOC_FREE(e->subreq);
	if (ret != 0) {
		restamp_done(e);
		return;
	}
	if (restamp_holds(e, &begun)) {
		e->record = begun.record;
		end.before = begun.content;
		end.record = &e->record;
		r->counters->restamps++;
	}
	e->subreq = files_end_send(e, r->ev, r->files, &end);
	if (e->subreq == NULL) {
		restamp_done(e);
		return;
	}
	tevent_req_set_callback(e->subreq, restamp_ended, e);
}

static void restamp_ended(struct tevent_req *subreq)
{
	struct restamp_entry *e = tevent_req_callback_data(
		subreq, struct restamp_entry);
	struct files_ended ended;
	int ret = files_end_recv(subreq, &ended);

	TALLOC_FREE(e->subreq);
	if (ret == 0 && e->more && e->rounds < RESTAMP_ROUNDS) {
		restamp_begin(e);
		return;
	}
	restamp_done(e);
}

static struct restamp_entry *restamp_make(struct restamps *r,
					  const struct proto_restamp *m)
{
	struct restamp_entry *e = NULL;

	if (r->count >= RESTAMP_MAX) {
		return NULL;
	}
	e = talloc_zero(r, struct restamp_entry);
	if (e == NULL) {
		return NULL;
	}
	e->path = talloc_strdup(e, m->path);
	if (e->path == NULL) {
		talloc_free(e);
		return NULL;
	}
	e->all = r;
	e->ident = m->ident;
	LIST_INIT(&e->waiters);
	LIST_INSERT_HEAD(&r->buckets[ident_hash(&m->ident) % RESTAMP_BUCKETS],
			 e, bucket);
	TAILQ_INSERT_TAIL(&r->queue, e, queue);
	r->count++;
	return e;
}

void restamp(struct restamps *r, const struct proto_restamp *m)
{
	struct restamp_entry *e = restamp_find(r, &m->ident);
	bool longer = e != NULL && content_equal(&e->after, &m->before);

	if (e == NULL) {
		e = restamp_make(r, m);
	}
	if (e == NULL) {
		log_debug("%s: its verdict is not kept over a change of "
			  "metadata: too many at a time", m->path);
		return;
	}
	if (!longer) {
		e->before = m->before;
	}
	e->after = m->after;
	e->more = true;
	restamps_start(r);
}

bool restamp_busy(const struct restamps *r, const struct ident *ident)
{
	return restamp_find(r, ident) != NULL;
}

static void restamp_wait_cleanup(struct tevent_req *req,
				 enum tevent_req_state req_state)
{
	struct restamp_waiter *w = tevent_req_data(req,
						   struct restamp_waiter);

	(void)req_state;
	if (w->of != NULL) {
		LIST_REMOVE(w, entry);
		w->of = NULL;
	}
}

struct tevent_req *restamp_wait_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct restamps *r,
				     const struct ident *ident)
{
	struct restamp_waiter *w = NULL;
	struct tevent_req *req = NULL;
	struct restamp_entry *e = restamp_find(r, ident);

	req = tevent_req_create(mem_ctx, &w, struct restamp_waiter);
	if (req == NULL) {
		return NULL;
	}
	if (e == NULL) {
		tevent_req_done(req);
		return tevent_req_post(req, ev);
	}
	w->req = req;
	w->of = e;
	LIST_INSERT_HEAD(&e->waiters, w, entry);
	tevent_req_set_cleanup_fn(req, restamp_wait_cleanup);
	return req;
}

void restamp_wait_recv(struct tevent_req *req)
{
	tevent_req_received(req);
}
