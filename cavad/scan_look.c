/*
 * The first step of a scan: is there a current verdict already, on the file
 * or in the store, which overrides it? If not, the scan waits in a queue; or,
 * when it would not have to, what was looked at is locked by the same request
 * and the scan goes on from there. Nothing stays locked while it waits. What
 * only a notice asks for waits first: it is looked at once, when it has its
 * place in the lane.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <unistd.h>

#include "cavad/scan_private.h"

static void scan_looked_up(struct tevent_req *subreq);

static void scan_skip(struct scan *scan, const struct content *content,
		      enum verdict_reason reason)
{
	struct counters *c = scan->scans->counters;
	const struct verdict v = {
		.result = VERDICT_SKIPPED,
		.reason = reason,
		.content = *content,
	};

	if (reason == VERDICT_REASON_TIERED) {
		c->files_skipped_tiered++;
		c->files_skipped_per_filter++;
	} else {
		c->files_skipped_per_size++;
	}
	scan_finish(scan, &v, false);
}

/*
 * Fetched for a scan is what was just written, what a reader may have
 * scanned (vfs_cava has looked), and what the filter or job says.
 */
static bool scan_stays_tiered(const struct scan *scan)
{
	const struct scan_waiter *w = NULL;

	if (!scan->tiered || TAILQ_EMPTY(&scan->waiters)) {
		return false;
	}
	TAILQ_FOREACH(w, &scan->waiters, entry) {
		if (w->tiered) {
			return false;
		}
	}
	return true;
}

/* What is known of a file that keeps changing, or NULL. */
static const struct verdict *scan_busy(const struct scan *scan)
{
	return busy_find(&scan->scans->busy, &scan->ident,
			 scan_clock() / 1000);
}

static enum queue_lane scan_lane(const struct scan *scan, uint64_t size)
{
	bool owed = scan->sources == SCAN_FROM(SCAN_NOTICE);

	return queue_lane_of(size, scan->urgent, owed);
}

/* Does it have a place in a lane? */
static bool scan_is_running(const struct scan *scan)
{
	return scan->queue.state == QUEUE_RUNNING;
}

/* Would it be begun as soon as it is known that there is none? */
static bool scan_starts_at_once(const struct scan *scan)
{
	enum queue_lane lane = scan_lane(scan, 0);

	return !scan_is_stream(scan) && !scan->ignore_previous &&
		!(scan->have_ident && scan_busy(scan) != NULL) &&
		(scan_is_running(scan) || scan_pool_is_free(scan, lane));
}

static uint64_t scan_size_max(const struct scan *scan)
{
	uint64_t max = scan->scans->config->settings.scan_size_maximum;

	return max != 0 && max < QUEUE_LARGE ? max : QUEUE_LARGE;
}

void scan_lookup(struct scan *scan)
{
	struct scans *s = scan->scans;
	struct files_begin begin = {
		.scan_id = ++s->last_id,
		.have_ident = scan->have_ident,
		.ident = scan->ident,
		.path = scan->path,
		.lock = scan_starts_at_once(scan),
		.want_fd = scan_wants_fd(scan),
		.if_needed = true,
		.lock_max = scan_size_max(scan),
		.lazy = scan_lazy(scan),
	};

	begin.signature_min = config_signature_min(s->config, scan->job);
	scan->id = begin.scan_id;
	scan->state = SCAN_LOOKUP;
	scan->subreq = files_begin_send(scan, s->ev, s->files, &begin);
	if (scan->subreq == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_looked_up, scan);
}

/*
 * Not what may be in another pool than is thought; nor when half of the room
 * for what is owed is taken, some of it by what a look alone would end.
 */
static bool scan_may_wait(struct scan *scan)
{
	struct scans *s = scan->scans;

	return scan_lane(scan, 0) == QUEUE_OWED && scan->path[0] != '\0' &&
		scans_room(s, SCAN_NOTICE) > scans_most(s, SCAN_NOTICE) / 2 &&
		scan_pool_guess(scan);
}

void scan_start(struct scan *scan)
{
	enum queue_lane lane = QUEUE_OWED;

	if (!scan_may_wait(scan)) {
		scan_lookup(scan);
		return;
	}
	if (scan_pool_is_free(scan, lane)) {
		queue_run(&scan->pool->queue, &scan->queue, lane, false);
		scan_lookup(scan);
		return;
	}
	scan->state = SCAN_QUEUED;
	queue_add(&scan->pool->queue, &scan->queue, lane, false);
	scans_wake(scan->scans);
}

void scan_hurry(struct scan *scan)
{
	if (scan->urgent && scan->state == SCAN_QUEUED && !scan->looked) {
		queue_remove(&scan->pool->queue, &scan->queue);
		scan_lookup(scan);
	}
}

/* Is there a current verdict? It is in *v then, with the content of now. */
static bool scan_current(struct scan *scan, const struct files_begun *begun,
			 struct verdict *v)
{
	int64_t min = config_signature_min(scan->scans->config, scan->job);
	enum verdict_state state;
	int ret;

	ret = store_result_get(scan->scans->store, &begun->ident, v);
	if (ret == 0 && (verdict_quarantined(v) ||
			 (content_equal(&v->content, &begun->content) &&
			  !verdict_is_old(v, min)))) {
		return true;
	}
	if (scan_is_stream(scan)) {
		return scan_stream_current(scan, &begun->content, v);
	}
	state = verdict_state(begun->have_record ? &begun->record : NULL,
			      &begun->content, min);
	*v = begun->record;
	v->content = begun->content;
	return verdict_state_current(state);
}

/* Known by its path until now. True: another scan has taken over. */
static bool scan_identified(struct scan *scan, const struct ident *ident)
{
	struct scans *s = scan->scans;
	struct scan *other = NULL;

	if (scan->have_ident) {
		return false;
	}
	scan->have_ident = true;
	scan->ident = *ident;
	other = scan_find(scan->scans, ident);
	if (other == NULL) {
		scan_hash(scan);
		return false;
	}
	scan_take_waiters(other, scan);
	scan_hurry(other);
	talloc_free(scan);
	scans_wake(s);
	return true;
}

/* Readers of a file that keeps changing. True: they have their answer. */
static bool scan_is_busy(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct verdict *known = scan_busy(scan);
	const struct scan_waiter *w = NULL;
	struct verdict v;

	if (known == NULL) {
		return false;
	}
	TAILQ_FOREACH(w, &scan->waiters, entry) {
		if (w->source != SCAN_ON_ACCESS) {
			return false;
		}
	}
	s->counters->scan_busy++;
	v = *known;
	scan_finish(scan, &v, false);
	return true;
}

/* There is a verdict. */
static void scan_known(struct scan *scan, const struct ident *ident,
		       const struct verdict *v)
{
	scan->have_ident = true;
	scan->ident = *ident;
	scan->scans->counters->scan_current++;
	if (!scan_stream_news(scan, v)) {
		scan_finish(scan, v, true);
		return;
	}
	scan->verdict = *v;
	scan->verdict.reason = VERDICT_REASON_NONE;
	scan_store(scan);
}

/* Has it a place in that lane, or is there one? */
static bool scan_runs(struct scan *scan, enum queue_lane lane)
{
	struct queue *queue = &scan->pool->queue;

	if (scan_is_running(scan) && (scan->queue.lane == lane ||
				      (scan->queue.lane == QUEUE_OWED &&
				       lane == QUEUE_BATCH))) {
		return true;	/* in that one, or owed and for a job, too */
	}
	if (scan_is_running(scan)) {	/* another one may have its place */
		queue_remove(queue, &scan->queue);
		scans_wake(scan->scans);
	}
	if (!scan->locked || !scan_pool_is_free(scan, lane)) {
		return false;
	}
	queue_run(queue, &scan->queue, lane, scan->urgent);
	return true;
}

/* What was locked goes on at once, if it still may. */
static void scan_queue(struct scan *scan, const struct files_begun *begun)
{
	enum queue_lane lane = scan->tiered ? QUEUE_SLOW :
		scan_lane(scan, begun->content.size);
	bool runs = scan_runs(scan, lane);
	bool served = scan->fd != -1 || !scan_wants_fd(scan);

	scan->looked = true;
	if (runs && scan->locked && served) {
		scan_try(scan);
		scan_waiters_in_time(scan);
		scan_go(scan, begun);
		return;
	}
	if (scan->locked) {
		scan->locked = false;
		scan_let_go(scan);
	}
	if (scan->fd != -1) {	/* of a stream nothing is locked */
		close(scan->fd);
		scan->fd = -1;
	}
	if (runs) {
		scan_begin(scan);
		return;
	}
	scan->state = SCAN_QUEUED;
	scan_waiters_in_time(scan);
	queue_add(&scan->pool->queue, &scan->queue, lane, scan->urgent);
	scans_wake(scan->scans);
}

static void scan_looked_up(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct files_begun begun = { .fd = -1 };
	struct verdict v;
	bool current;
	int ret;

	ret = files_begin_recv(subreq, scan, &begun);
	TALLOC_FREE(scan->subreq);
	if (ret == EPIPE && scan_may_void(scan)) {
		scan_lookup(scan);
		return;
	}
	if (ret != 0) {
		scan_fail_error(scan, ret);
		return;
	}
	scan->fd = begun.fd;
	scan->locked = begun.locked;
	scan_set_path(scan, begun.path);
	if (begun.status != FILES_OK) {
		scan_fail_status(scan, begun.status, begun.error);
		return;
	}
	current = scan_current(scan, &begun, &v) &&
		  scan_known_infected(scan, &begun.ident, &v);
	if (current && !scan->ignore_previous) {
		scan_known(scan, &begun.ident, &v);
		return;
	}
	if (scan_identified(scan, &begun.ident) || scan_is_busy(scan)) {
		return;
	}
	if (scan_too_large(scan, begun.content.size)) {
		scan_skip(scan, &begun.content, VERDICT_REASON_TOO_LARGE);
		return;
	}
	scan->tiered = begun.tiered;
	if (scan_stays_tiered(scan)) {
		scan_skip(scan, &begun.content, VERDICT_REASON_TIERED);
		return;
	}
	scan_pool_choose(scan);
	if (scan->pool == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	scan_queue(scan, &begun);
}
