/*
 * The life of one scan: look up, queue, begin, ask, end.
 *
 *   lookup   Is there a verdict already? scan_look.c.
 *   queue    See queue.h. What only a notice asks for has been here before it
 *            is looked up, and need not come back.
 *   begin    The files process opens the file by its identity, leases it,
 *            and says what it is now. When the scan would not have to wait in
 *            a queue, the look-up has done that as well.
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
#include <unistd.h>

#include "cavad/scan_private.h"
#include "common/log.h"

#define SCAN_PAUSE_FIRST 50	/* ms, doubled each time */

static void scan_begun(struct tevent_req *subreq);
static void scan_ended(struct tevent_req *subreq);
static void scan_pause(struct scan *scan);
static void scan_paused(struct tevent_req *subreq);
static void scan_stored(struct tevent_req *subreq);

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
void scan_fail_error(struct scan *scan, int error)
{
	scan_fail(scan, VERDICT_REASON_IO, strerror(error));
}

void scan_fail_status(struct scan *scan, enum files_status status,
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

bool scan_too_large(const struct scan *scan, uint64_t size)
{
	uint64_t max = scan->scans->config->settings.scan_size_maximum;

	return max != 0 && size > max;
}

/* Begin. */

bool scan_wants_fd(const struct scan *scan)
{
	return scan->pool == NULL ||
		servers_want_fd(scan->scans->servers, scan->pool->name);
}

/* The path as it is now; the hint stays when there is no memory for it. */
void scan_set_path(struct scan *scan, char *path)
{
	if (path == NULL || path[0] == '\0') {
		talloc_free(path);
		return;
	}
	talloc_free(scan->path);
	scan->path = talloc_steal(scan, path);
	scan_set_name(scan);
}

/* It is locked, and its content is known. */
void scan_go(struct scan *scan, const struct files_begun *begun)
{
	scan->locked = false;	/* from here on an end lets it go */
	scan->before = begun->content;
	scan->quiet = begun->quiet;
	if (scan_missed_again(scan)) {
		return;
	}
	if (scan_too_large(scan, scan->before.size)) {
		scan->scans->counters->files_skipped_per_size++;
		scan_end_without(scan, VERDICT_SKIPPED,
				 VERDICT_REASON_TOO_LARGE);
		return;
	}
	scan_ask(scan);
}

unsigned int scan_lazy(const struct scan *scan)
{
	bool ahead = (scan->sources & SCAN_FROM(SCAN_AHEAD)) != 0;

	return scan->urgent || ahead ? 0 : FILES_GATHER;
}

/* What one try begins with. */
void scan_try(struct scan *scan)
{
	if (scan->began == 0) {
		scan->began = scan_clock();
	}
	scan->state = SCAN_BEGIN;
	scan->fetched = false;
	scan->wrong_file = false;
}

void scan_begin(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct files_begin begin = {
		.scan_id = ++s->last_id,
		.have_ident = true,
		.ident = scan->ident,
		.path = scan->path,
		.lock = !scan_is_stream(scan),
		.want_fd = scan_wants_fd(scan),
		.lazy = scan_lazy(scan),
	};

	scan->id = begin.scan_id;
	scan_waiters_in_time(scan);	/* in its state of before */
	scan_try(scan);
	scan->subreq = files_begin_send(scan, s->ev, s->files, &begin);
	if (scan->subreq == NULL) {
		scan_fail_error(scan, ENOMEM);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_begun, scan);
}

/* The end of this try, to the files process. record NULL: it only lets go. */
static struct tevent_req *scan_end_send(TALLOC_CTX *mem_ctx,
					const struct scan *scan,
					const struct verdict *record)
{
	const struct files_end end = {
		.scan_id = scan->id,
		.ident = scan->ident,
		.path = scan->path,
		.before = scan->before,
		.record = record,
		/* whoever writes to it waits for what only lets go */
		.lazy = record != NULL ? scan_lazy(scan) : 0,
	};

	return files_end_send(mem_ctx, scan->scans->ev, scan->scans->files,
			      &end);
}

void scan_let_go(struct scan *scan)
{
	/* not on the scan, which may be about to go */
	struct tevent_req *req = scan_end_send(scan->scans, scan, NULL);

	scan->quiet = false;
	if (req == NULL) {
		log_error("%s cannot be unlocked: %s", scan->path,
			  strerror(ENOMEM));
	}
	talloc_free(req);	/* it is carried out all the same */
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
	scan_go(scan, &begun);
}

/* End. */

/*
 * Its servers are done with it, and an end of which nobody waits takes its
 * time: the next one has the place in the lane meanwhile.
 */
static void scan_leave_lane(struct scan *scan)
{
	if (scan_lazy(scan) > 0) {
		queue_remove(&scan->pool->queue, &scan->queue);
		scans_wake(scan->scans);
	}
}

void scan_end(struct scan *scan)
{
	if (scan->fd != -1) {
		close(scan->fd);
		scan->fd = -1;
	}
	scan->state = SCAN_END;
	scan_leave_lane(scan);
	if (scan_is_stream(scan) && !scan->let_go) {
		scan_store(scan);	/* of these bytes it is true for good */
		return;
	}
	scan->subreq = scan_end_send(scan, scan, scan->let_go ? NULL :
				     &scan->verdict);
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

bool scan_wants_store(const struct scan *scan)
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
	busy_add(&s->busy, &scan->ident, v, scan_clock() / 1000);
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

void scan_store(struct scan *scan)
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

/* scan_leave_lane() */
static void scan_queue_again(struct scan *scan)
{
	enum queue_lane lane = scan->queue.lane;

	if (scan->urgent && lane != QUEUE_SLOW) {
		lane = QUEUE_FAST;
	}
	scan->state = SCAN_QUEUED;
	queue_add(&scan->pool->queue, &scan->queue, lane, scan->urgent);
	scans_wake(scan->scans);
}

static void scan_paused(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);

	tevent_wakeup_recv(subreq);
	TALLOC_FREE(scan->subreq);
	if (scan->queue.state == QUEUE_OUT) {
		scan_queue_again(scan);
	} else {
		scan_begin(scan);
	}
}
