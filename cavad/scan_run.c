/*
 * The life of one scan: look up, queue, begin, ask, end.
 *
 *   lookup   A current verdict (on the file, or in the store, which
 *            overrides it) is the answer, and nobody is asked.
 *   queue    See queue.h.
 *   begin    The files process opens the file by its identity, leases it,
 *            and says what it is now.
 *   ask      A server is asked: scan_ask.c.
 *   end      The files process compares the file with what began, and writes
 *            the record if nothing moved. If something did, the answer is
 *            nobody's, and the scan begins again after a pause.
 *
 * What was opened under a scan_id is always let go by an end, with a record
 * or without. What nobody could answer is an answer too: FAILED with its
 * reason, never clean.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cavad/scan_private.h"
#include "common/log.h"

#define SCAN_PAUSE_FIRST 50	/* ms, doubled each time */

static void scan_looked_up(struct tevent_req *subreq);
static void scan_begun(struct tevent_req *subreq);
static void scan_ended(struct tevent_req *subreq);
static void scan_pause(struct scan *scan);
static void scan_paused(struct tevent_req *subreq);
static void scan_store(struct scan *scan);
static void scan_stored(struct tevent_req *subreq);

static int64_t scan_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Answers without a verdict. */

static void scan_fail(struct scan *scan, enum verdict_reason reason,
		      const char *detail)
{
	struct counters *c = scan->scans->counters;
	const struct verdict v = {
		.result = VERDICT_FAILED,
		.reason = reason,
	};

	if (reason == VERDICT_REASON_GONE) {
		scan_cleared(scan, THREAT_GONE, "the file is gone");
	}
	c->scan_fails++;
	if (reason == VERDICT_REASON_TIMEOUT) {
		c->scan_timeouts++;
	}
	/* of the many that no server can take there is one event */
	if (reason == VERDICT_REASON_NO_SERVER ||
	    reason == VERDICT_REASON_GONE) {
		log_debug("no verdict on %s: %s", scan_name(scan),
			  verdict_reason_text(reason));
	} else {
		log_notice("no verdict on %s: %s%s%s", scan_name(scan),
			   verdict_reason_text(reason),
			   detail[0] != '\0' ? ": " : "", detail);
	}
	scan_finish(scan, &v, false);
}

/* The files process did not answer at all. */
static void scan_fail_error(struct scan *scan, int error)
{
	scan_fail(scan, VERDICT_REASON_IO, strerror(error));
}

static void scan_fail_status(struct scan *scan, enum files_status status,
			     int error)
{
	switch (status) {
	case FILES_GONE:
		scan_fail(scan, VERDICT_REASON_GONE, "");
		return;
	case FILES_NOT_REGULAR:
		scan_fail(scan, VERDICT_REASON_NOT_REGULAR, "");
		return;
	case FILES_OUTSIDE:
		scan_fail(scan, VERDICT_REASON_OUTSIDE, "");
		return;
	default:
		scan_fail(scan, VERDICT_REASON_IO, strerror(error));
		return;
	}
}

static bool scan_too_large(const struct scan *scan, uint64_t size)
{
	uint64_t max = scan->scans->config->settings.scan_size_maximum;

	return max != 0 && size > max;
}

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

/* Look up. */

void scan_lookup(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct files_begin begin = {
		.scan_id = ++s->last_id,
		.have_ident = scan->have_ident,
		.ident = scan->ident,
		.path = scan->path,
	};

	scan->state = SCAN_LOOKUP;
	scan->subreq = files_begin_send(scan, s->ev, s->files, &begin);
	if (scan->subreq == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_looked_up, scan);
}

/* The path as it is now; the hint stays when there is no memory for it. */
static void scan_set_path(struct scan *scan, char *path)
{
	if (path == NULL || path[0] == '\0') {
		talloc_free(path);
		return;
	}
	talloc_free(scan->path);
	scan->path = talloc_steal(scan, path);
	scan_set_name(scan);
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
	return state == VERDICT_STATE_CLEAN ||
	       state == VERDICT_STATE_INFECTED ||
	       state == VERDICT_STATE_QUARANTINED ||
	       state == VERDICT_STATE_UNSCANNABLE;
}

/* Known by its path until now. True: another scan has taken over. */
static bool scan_identified(struct scan *scan, const struct ident *ident)
{
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
	talloc_free(scan);
	return true;
}

/* Readers of a file that keeps changing. True: they have their answer. */
static bool scan_is_busy(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct verdict *known = busy_find(&s->busy, &scan->ident,
						scan_now() / 1000000);
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

static void scan_looked_up(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct scans *s = scan->scans;
	struct files_begun begun = { .fd = -1 };
	enum queue_lane lane;
	struct verdict v;
	bool current;
	int ret;

	ret = files_begin_recv(subreq, scan, &begun);
	TALLOC_FREE(scan->subreq);
	if (ret != 0) {
		scan_fail_error(scan, ret);
		return;
	}
	scan_set_path(scan, begun.path);
	if (begun.status != FILES_OK) {
		scan_fail_status(scan, begun.status, begun.error);
		return;
	}
	current = scan_current(scan, &begun, &v) &&
		  scan_known_infected(scan, &begun.ident, &v);
	if (current && !scan->ignore_previous) {
		scan->have_ident = true;
		scan->ident = begun.ident;
		s->counters->scan_current++;
		if (scan_stream_news(scan, &v)) {
			scan->verdict = v;
			scan->verdict.reason = VERDICT_REASON_NONE;
			scan_store(scan);
			return;
		}
		scan_finish(scan, &v, true);
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
	scan->state = SCAN_QUEUED;
	scan_waiters_in_time(scan);
	lane = begun.tiered ? QUEUE_SLOW :
		queue_lane_of(begun.content.size, scan->urgent);
	queue_add(&scan->pool->queue, &scan->queue, lane, scan->urgent);
	scans_wake(s);
}

/* Begin. */

void scan_begin(struct scan *scan)
{
	struct scans *s = scan->scans;
	struct files_begin begin = {
		.have_ident = true,
		.ident = scan->ident,
		.path = scan->path,
		.lock = !scan_is_stream(scan),
		/* what is infected is hashed */
		.want_fd = s->threats != NULL ||
			   servers_want_fd(s->servers, scan->pool->name),
	};

	if (scan->began == 0) {
		scan->began = scan_now() / 1000;
	}
	scan->id = ++s->last_id;
	begin.scan_id = scan->id;
	scan->state = SCAN_BEGIN;
	scan->fetched = false;
	scan->wrong_file = false;
	scan_waiters_in_time(scan);
	scan->subreq = files_begin_send(scan, s->ev, s->files, &begin);
	if (scan->subreq == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_begun, scan);
}

/* Lets go of what was opened; that is the answer then. */
void scan_end_without(struct scan *scan, enum verdict_result result,
		      enum verdict_reason reason)
{
	scan->verdict = (struct verdict) {
		.result = result,
		.reason = reason,
		.content = scan->before,
	};
	scan->let_go = true;
	scan_end(scan);
}

bool scan_may_void(struct scan *scan)
{
	if (scan->voids >= SCAN_VOIDS) {
		return false;
	}
	scan->voids++;
	return true;
}

static void scan_begun(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct files_begun begun = { .fd = -1 };
	int ret;

	ret = files_begin_recv(subreq, scan, &begun);
	TALLOC_FREE(scan->subreq);
	if (ret == EPIPE && scan_may_void(scan)) {
		scan_pause(scan);
		return;
	}
	if (ret != 0) {
		scan_fail_error(scan, ret);
		return;
	}
	scan_set_path(scan, begun.path);
	if (begun.status != FILES_OK) {
		scan_fail_status(scan, begun.status, begun.error);
		return;
	}
	scan->fd = begun.fd;
	scan->before = begun.content;
	if (scan_missed_again(scan)) {
		return;
	}
	if (scan_too_large(scan, begun.content.size)) {
		scan->scans->counters->files_skipped_per_size++;
		scan_end_without(scan, VERDICT_SKIPPED,
				 VERDICT_REASON_TOO_LARGE);
		return;
	}
	scan_ask(scan);
}

/* End. */

void scan_end(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct files_end end = {
		.scan_id = scan->id,
		.ident = scan->ident,
		.path = scan->path,
		.before = scan->before,
		.record = scan->let_go ? NULL : &scan->verdict,
	};

	if (scan->fd != -1) {
		close(scan->fd);
		scan->fd = -1;
	}
	scan->state = SCAN_END;
	if (scan_is_stream(scan) && !scan->let_go) {
		scan_store(scan);	/* of these bytes it is true for good */
		return;
	}
	scan->subreq = files_end_send(scan, s->ev, s->files, &end);
	if (scan->subreq == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_ended, scan);
}

/*
 * Nobody could look at the file again. Clean cannot stand then; infected
 * stands by what was scanned, so that it sticks.
 */
static void scan_end_failed(struct scan *scan, int error)
{
	if (scan->verdict.result == VERDICT_INFECTED) {
		log_warning("%s is infected, which cannot be written on it: "
			    "%s; the database keeps it", scan_name(scan),
			    strerror(error));
		scan->verdict.stamp = scan->verdict.content.ctime;
		scan_store(scan);
		return;
	}
	scan_fail_error(scan, error);
}

/* Counted when it is on the file, or in the store instead. */
static void scan_done(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct verdict *v = &scan->verdict;

	s->counters->files_processed++;
	s->counters->bytes_scanned += v->content.size;
	if (v->result == VERDICT_INFECTED) {
		scan_found(scan);
		return;
	}
	if (v->result == VERDICT_CLEAN) {
		scan_cleared(scan, THREAT_REPAIRED, "found clean");
	}
	scan_finish(scan, v, false);
}

/* An older verdict in the store would override this one on the file. */
static bool scan_wants_store(const struct scan *scan)
{
	struct verdict old;
	int ret;

	if (scan->manual) {
		return true;
	}
	ret = store_result_get(scan->scans->store, &scan->ident, &old);
	return ret != ENOENT;
}

/* It was let go, without a record. */
static void scan_left(struct scan *scan)
{
	if (scan->again) {
		scan->again = false;
		scan_pause(scan);
		return;
	}
	if (scan->verdict.result == VERDICT_SKIPPED) {
		scan_finish(scan, &scan->verdict, false);
		return;
	}
	scan_fail(scan, scan->verdict.reason, "");
}

/*
 * What was scanned is not what is there now. After too many tries one that
 * was infected every time is not handed out as "no verdict": a writer that
 * never stops must not get it past open_on_fail.
 */
static void scan_changed(struct scan *scan)
{
	struct scans *s = scan->scans;
	struct verdict *v = &scan->verdict;
	bool infected = v->result == VERDICT_INFECTED;

	s->counters->scan_changed++;
	scan->changes++;
	if (infected) {
		log_warning("%s was infected (%s) and changed while it was "
			    "scanned", scan_name(scan), v->threat);
	}
	if (scan->changes < SCAN_CHANGES) {
		scan_pause(scan);
		return;
	}
	v->reason = VERDICT_REASON_CHANGED;
	if (!infected) {
		v->result = VERDICT_FAILED;
	}
	busy_add(&s->busy, &scan->ident, v, scan_now() / 1000000);
	if (infected) {
		scan_finish(scan, v, false);
		return;
	}
	scan_fail(scan, VERDICT_REASON_CHANGED, "");
}

static void scan_ended(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct files_ended ended = { .status = FILES_IO };
	int ret;

	ret = files_end_recv(subreq, &ended);
	TALLOC_FREE(scan->subreq);
	if (scan->let_go) {
		scan_left(scan);
		return;
	}
	/* Another worker can do it: it compares with `before` (files.h). */
	if (ret == EPIPE && !scan->ended_again) {
		scan->ended_again = true;
		scan_end(scan);
		return;
	}
	if (ret != 0) {
		scan_end_failed(scan, ret);
		return;
	}
	switch (ended.status) {
	case FILES_OK:
		scan->verdict = ended.record;
		scan->verdict.content = ended.content;
		if (scan_wants_store(scan)) {
			scan_store(scan);
			return;
		}
		scan_done(scan);
		return;
	case FILES_NO_ATTRIBUTE:
		scan->verdict = ended.record;
		scan->verdict.content = ended.content;
		scan_store(scan);
		return;
	case FILES_CHANGED:
		scan_changed(scan);
		return;
	case FILES_IO:
		scan_end_failed(scan, ended.error);
		return;
	default:
		if (scan->verdict.result == VERDICT_INFECTED) {
			log_warning("%s was infected (%s) and is gone",
				    scan_name(scan), scan->verdict.threat);
		}
		scan_fail_status(scan, ended.status, ended.error);
		return;
	}
}

static void scan_store(struct scan *scan)
{
	struct scans *s = scan->scans;
	struct ident key;

	(void)scan_keep_quarantine(scan);
	key = scan_result_key(scan, scan_wants_store(scan));
	scan->subreq = store_result_put_send(scan, s->ev, s->store, &key,
					     &scan->verdict);
	if (scan->subreq == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_stored, scan);
}

/* Whatever became of it, the verdict is true and those that wait get it. */
static void scan_stored(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct events *events = scan->scans->events;
	int ret;

	ret = store_write_recv(subreq);
	TALLOC_FREE(scan->subreq);
	if (ret == ENOSPC) {
		event_raise(events, EVENT_CAVA_STORE_FULL, "",
			    "the verdict on %s was not kept: raise "
			    "store_size in cavad.conf", scan_name(scan));
	} else if (ret != 0) {
		log_error("the verdict on %s was not kept: %s", scan_name(scan),
			  strerror(ret));
	} else {
		event_settle(events, EVENT_CAVA_STORE_FULL, "");
	}
	scan_done(scan);
}

/* Again: waits a little, then begins. Nothing is held. */

static void scan_pause(struct scan *scan)
{
	struct scans *s = scan->scans;
	unsigned int n = scan->changes + scan->voids;
	struct timeval when;

	scan->state = SCAN_PAUSE;
	scan->ended_again = false;
	when = tevent_timeval_current_ofs(0, (SCAN_PAUSE_FIRST << n) * 1000);
	scan->subreq = tevent_wakeup_send(scan, s->ev, when);
	if (scan->subreq == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_paused, scan);
}

static void scan_paused(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);

	tevent_wakeup_recv(subreq);
	TALLOC_FREE(scan->subreq);
	scan_begin(scan);
}
