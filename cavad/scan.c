/*
 * Questions about files, and who waits for the answers.
 *
 * 1. One scan of a file at a time, found by identity; any number wait for
 *    it. A question by path alone learns the identity first.
 * 2. An answer is never older than its question. Who comes while a scan is
 *    under way joins it, as what changes between its begin and its end voids
 *    it. Who comes while a record is being looked up, or once the comparison
 *    at the end was asked for, is late: the next scan is theirs, and it
 *    starts with a look at the record, so that it costs little. A notice is
 *    late whenever a server may have begun to read. Nobody is late for what
 *    waits for its turn to be looked at.
 * 3. Scans outlive those that wait. Requests end through
 *    tevent_req_defer_callback(), so that no callback disturbs a walk.
 * 4. Readers of what is clean do not wait for its record to be written where
 *    ctime is sure to tell of any change: they compare it with the answer,
 *    and need no more. Everybody else waits until the scan has ended.
 * 5. At most scan_maximum scans are in memory; a quarter of that is kept for
 *    questions that somebody waits for, an eighth more for any but what closes
 *    owe, which is without end where a tree is copied.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cavad/ident_hash.h"
#include "cavad/scan_private.h"
#include "common/req.h"

static void scans_usable(void *private_data);
static void scans_woken(struct tevent_context *ev,
			struct tevent_immediate *im, void *private_data);

/* The table. */

struct scan *scan_find(const struct scans *s, const struct ident *ident)
{
	size_t bucket = ident_hash(ident) % SCAN_BUCKETS;
	struct scan *scan = NULL;

	LIST_FOREACH(scan, &s->buckets[bucket], bucket) {
		if (ident_equal(&scan->ident, ident)) {
			return scan;
		}
	}
	return NULL;
}

void scan_hash(struct scan *scan)
{
	size_t bucket = ident_hash(&scan->ident) % SCAN_BUCKETS;

	LIST_INSERT_HEAD(&scan->scans->buckets[bucket], scan, bucket);
	scan->hashed = true;
}

static int scan_destructor(struct scan *scan)
{
	struct scans *s = scan->scans;

	if (scan->hashed) {
		LIST_REMOVE(scan, bucket);
	}
	LIST_REMOVE(scan, entry);
	s->count--;
	s->aheads -= scan->ahead;
	if (scan->pool != NULL) {
		queue_remove(&scan->pool->queue, &scan->queue);
	}
	outstanding_end(s->outstanding, &scan->outstanding);
	/* before its descriptor, which it borrows */
	TALLOC_FREE(scan->subreq);
	if (scan->fd != -1) {
		close(scan->fd);
	}
	if (scan->locked) {
		scan_let_go(scan);
	}
	return 0;
}

static bool scan_source_urgent(enum scan_source source)
{
	return source == SCAN_ON_ACCESS || source == SCAN_MANUAL ||
	       source == SCAN_SELFTEST;
}

/* NULL = no memory. */
static struct scan *scan_create(struct scans *s,
				const struct scan_request *request)
{
	struct scan *scan = talloc_zero(s, struct scan);

	if (scan == NULL) {
		return NULL;
	}
	scan->scans = s;
	scan->fd = -1;
	TAILQ_INIT(&scan->waiters);
	TAILQ_INIT(&scan->late);
	if (request->pool != NULL) {
		scan->pool = scan_pool_get(s, request->pool);
	}
	scan->have_ident = request->have_ident;
	scan->ident = request->ident;
	scan->path = talloc_strdup(scan, request->path != NULL ?
				   request->path : "");
	scan->user = talloc_strdup(scan, request->user != NULL ?
				   request->user : "");
	scan->client = talloc_strdup(scan, request->client != NULL ?
				     request->client : "");
	scan->share = talloc_strdup(scan, request->share != NULL ?
				    request->share : "");
	if (request->asked != NULL) {
		scan->asked = talloc_strdup(scan, request->asked);
	}
	if (scan->path == NULL || scan->user == NULL ||
	    scan->client == NULL || scan->share == NULL) {
		talloc_free(scan);
		return NULL;
	}
	LIST_INSERT_HEAD(&s->all, scan, entry);
	s->count++;
	talloc_set_destructor(scan, scan_destructor);
	if (scan->have_ident) {
		scan_hash(scan);
	}
	return scan;
}

/* Those that wait. */

static void scan_waiter_off(struct scan_waiter *w)
{
	if (w->scan == NULL) {
		return;
	}
	if (w->late) {
		TAILQ_REMOVE(&w->scan->late, w, entry);
	} else {
		TAILQ_REMOVE(&w->scan->waiters, w, entry);
	}
	w->scan = NULL;
}

static void scan_waiter_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state)
{
	struct scan_waiter *w = tevent_req_data(req, struct scan_waiter);

	(void)req_state;
	scan_waiter_off(w);
}

/* Rule 2. */
static bool scan_too_late(const struct scan *scan, enum scan_source source)
{
	switch (scan->state) {
	case SCAN_LOOKUP:
		/* those for whom it is came before the request was out */
		return scan->subreq != NULL;
	case SCAN_END:
		return true;
	case SCAN_QUEUED:
	case SCAN_PAUSE:
		return false;
	case SCAN_BEGIN:
	case SCAN_ASK:
		return source == SCAN_NOTICE;
	}
	return false;
}

/* Its question is one of those that this scan answers. */
static void scan_answers(struct scan *scan, const struct scan_waiter *w)
{
	scan->sources |= SCAN_FROM(w->source);
	if (scan->report == NULL && w->report != NULL) {
		scan->report = talloc_strdup(scan, w->report);
	}
}

static void scan_join(struct scan *scan, struct scan_waiter *w)
{
	w->scan = scan;
	w->late = scan_too_late(scan, w->source);
	if (w->late) {
		TAILQ_INSERT_TAIL(&scan->late, w, entry);
	} else {
		TAILQ_INSERT_TAIL(&scan->waiters, w, entry);
		scan->ignore_previous |= w->ignore_previous;
		scan->job |= w->job;
		scan_answers(scan, w);
	}
	scan->manual |= w->source == SCAN_MANUAL;
	if (!scan_source_urgent(w->source)) {
		return;
	}
	scan->urgent = true;
	if (scan->pool != NULL) {
		queue_raise(&scan->pool->queue, &scan->queue);
	}
	if (scan->subreq != NULL) {
		files_raise(scan->scans->files, scan->id);
	}
	scans_wake(scan->scans);	/* it may leave another lane's place */
}

void scan_take_waiters(struct scan *scan, struct scan *from)
{
	struct scan_waiters *lists[] = { &from->waiters, &from->late };
	struct scan_waiter *w = NULL;
	size_t i;

	for (i = 0; i < 2; i++) {
		while ((w = TAILQ_FIRST(lists[i])) != NULL) {
			scan_waiter_off(w);
			scan_join(scan, w);
		}
	}
}

void scan_waiters_in_time(struct scan *scan)
{
	struct scan_waiter *w = TAILQ_FIRST(&scan->late);
	struct scan_waiter *next = NULL;

	for (; w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (scan_too_late(scan, w->source)) {
			continue;
		}
		TAILQ_REMOVE(&scan->late, w, entry);
		TAILQ_INSERT_TAIL(&scan->waiters, w, entry);
		w->late = false;
		scan_answers(scan, w);
	}
}

bool scan_request_keep(TALLOC_CTX *mem_ctx, struct scan_request *request)
{
	const char **texts[] = { &request->path, &request->user,
				 &request->client, &request->share,
				 &request->pool, &request->asked,
				 &request->report };
	size_t i = 0;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (*texts[i] == NULL) {
			continue;
		}
		*texts[i] = talloc_strdup(mem_ctx, *texts[i]);
		if (*texts[i] == NULL) {
			return false;
		}
	}
	return true;
}

/* A request ends with FAILED or SKIPPED before there was a scan. */
static void scan_refuse(struct scan_waiter *w, enum verdict_result result,
			enum verdict_reason reason)
{
	w->answer.verdict.result = result;
	w->answer.verdict.reason = reason;
	tevent_req_done(w->req);
}

static void scan_count_request(struct counters *c, enum scan_source source)
{
	c->all_scan_requests++;
	switch (source) {
	case SCAN_ON_ACCESS:
	case SCAN_NOTICE:
	case SCAN_AHEAD:
		c->on_demand_scan_requests++;
		break;
	case SCAN_MANUAL:
	case SCAN_SELFTEST:
		c->manual_scan_requests++;
		break;
	case SCAN_JOB:
		c->job_scan_requests++;
		break;
	}
}

/* Is it the read for which the scan was begun, and counted, ahead? */
static bool scan_was_ahead(const struct scan *scan, enum scan_source source)
{
	return scan != NULL && scan->ahead && source == SCAN_ON_ACCESS &&
		(scan->sources & SCAN_FROM(SCAN_ON_ACCESS)) == 0;
}

struct tevent_req *scan_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     struct scans *s,
			     const struct scan_request *request)
{
	struct tevent_req *req = NULL;
	struct scan_waiter *w = NULL;
	struct scan *scan = NULL;

	req = tevent_req_create(mem_ctx, &w, struct scan_waiter);
	if (req == NULL) {
		return NULL;
	}
	w->req = req;
	w->ev = ev;
	w->source = request->source;
	w->ignore_previous = request->ignore_previous;
	w->job = request->source == SCAN_JOB;
	w->tiered = request->tiered || request->source == SCAN_ON_ACCESS ||
		    request->source == SCAN_NOTICE;
	w->answer.ident = request->ident;
	w->answer.path = talloc_strdup(w, request->path != NULL ?
				       request->path : "");
	w->report = talloc_strdup(w, request->report);
	if (tevent_req_nomem(w->answer.path, req) ||
	    (request->report != NULL && tevent_req_nomem(w->report, req))) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_cleanup_fn(req, scan_waiter_cleanup);

	if (request->have_ident) {
		scan = scan_find(s, &request->ident);
	}
	if (!scan_was_ahead(scan, request->source)) {
		scan_count_request(s->counters, request->source);
	}
	if (scan != NULL) {
		scan_join(scan, w);
		scan_hurry(scan);
		return req;
	}
	if (!scans_room(s, request->source)) {
		scan_refuse(w, VERDICT_FAILED, VERDICT_REASON_FULL);
		scan_pool_full(s);
		return tevent_req_post(req, ev);
	}
	scan = scan_create(s, request);
	if (tevent_req_nomem(scan, req)) {
		return tevent_req_post(req, ev);
	}
	scan_join(scan, w);
	scan_start(scan);
	return req;
}

int scan_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
	      struct scan_answer *answer)
{
	struct scan_waiter *w = tevent_req_data(req, struct scan_waiter);
	int ret = req_error(req);

	if (ret == 0) {
		*answer = w->answer;
		answer->path = talloc_move(mem_ctx, &w->answer.path);
	}
	tevent_req_received(req);
	return ret;
}

/* The end of a scan. */

int64_t scan_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static uint32_t scan_duration(const struct scan *scan, bool from_record)
{
	int64_t ms;

	if (from_record || scan->began == 0) {
		return 0;
	}
	ms = (scan_clock() - scan->began) / 1000;
	return ms < 1 ? 1 : (uint32_t)ms;
}

const char *scan_report(const struct scan *scan)
{
	const char *report = scan->report;

	if (report == NULL && (scan->sources & SCAN_FROM_CLIENTS) != 0) {
		report = scan->scans->report;
	}
	return report == NULL ? "" : report;
}

const char *scan_report_also(const struct scan *scan)
{
	bool of_clients = (scan->sources & SCAN_FROM_CLIENTS) != 0;

	return scan->report != NULL && of_clients ? scan->scans->report : NULL;
}

static void scan_tell(struct scan *scan, const struct verdict *verdict,
		      bool from_record, uint32_t duration)
{
	const struct scan_facts facts = {
		.sources = scan->sources,
		.report = scan_report(scan),
		.ident = scan->have_ident ? &scan->ident : NULL,
		.path = scan->path,
		.name = scan_name(scan),
		.verdict = verdict,
		.user = scan->user,
		.client = scan->client,
		.share = scan_share(scan),
		.server = scan->server,
		.bytes_fetched = scan->bytes_fetched,
		.bytes_sent = scan->bytes_sent,
		.bytes_passed = scan->bytes_passed,
		.duration = duration,
		.from_record = from_record,
		.tiered = scan->tiered,
	};
	struct scan_watch *watch = NULL;

	LIST_FOREACH(watch, &scan->scans->watches, entry) {
		watch->fn(watch->private_data, &facts);
	}
}

static void scan_answer(struct scan *scan, struct scan_waiter *w,
			const struct verdict *verdict, bool from_record,
			uint32_t duration)
{
	char *path = NULL;

	scan_waiter_off(w);
	w->answer.verdict = *verdict;
	w->answer.duration = duration;
	w->answer.from_record = from_record;
	w->answer.tiered = scan->tiered;
	w->answer.bytes_fetched = scan->bytes_fetched;
	w->answer.bytes_sent = scan->bytes_sent;
	w->answer.bytes_passed = scan->bytes_passed;
	if (scan->have_ident) {
		w->answer.ident = scan->ident;
	}
	tevent_req_defer_callback(w->req, w->ev);
	path = talloc_strdup(w, scan->path);
	if (tevent_req_nomem(path, w->req)) {
		return;
	}
	TALLOC_FREE(w->answer.path);
	w->answer.path = path;
	tevent_req_done(w->req);
}

static void scan_answer_all(struct scan *scan, const struct verdict *verdict,
			    bool from_record, uint32_t duration)
{
	struct scan_waiter *w = NULL;

	scan->scans->counters->scan_duration += duration;
	if (!from_record) {
		histogram_add(&scan->scans->counters->scan_time, duration);
	}
	while ((w = TAILQ_FIRST(&scan->waiters)) != NULL) {
		scan_answer(scan, w, verdict, from_record, duration);
	}
}

/* Rule 4. */
void scan_answer_readers(struct scan *scan)
{
	struct scan_waiter *w = TAILQ_FIRST(&scan->waiters);
	struct scan_waiter *next = NULL;

	if (!scan->quiet || scan->verdict.result != VERDICT_CLEAN ||
	    w == NULL || scan_wants_store(scan)) {
		return;
	}
	for (; w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->source == SCAN_ON_ACCESS) {
			scan_answer(scan, w, &scan->verdict, false,
				    scan_duration(scan, false));
		}
	}
}

/* Rule 2: those that came too late; they have waited once already. */
static void scan_again_for(struct scans *s, struct scan *old)
{
	struct scan_request request = {
		.have_ident = true,
		.ident = old->ident,
		.path = old->path,
		.user = old->user,
		.client = old->client,
		.share = old->share,
		.pool = old->pool != NULL && !old->pool_guessed ?
			old->pool->name : NULL,
	};
	struct scan_waiter *w = NULL;
	struct scan *scan = scan_create(s, &request);

	if (scan != NULL) {
		scan_take_waiters(scan, old);
		scan_start(scan);
		return;
	}
	while ((w = TAILQ_FIRST(&old->late)) != NULL) {
		scan_waiter_off(w);
		tevent_req_defer_callback(w->req, w->ev);
		tevent_req_oom(w->req);
	}
}

void scan_finish(struct scan *scan, const struct verdict *verdict,
		 bool from_record)
{
	uint32_t duration = scan_duration(scan, from_record);
	struct scans *s = scan->scans;

	if (scan->hashed) {
		LIST_REMOVE(scan, bucket);
		scan->hashed = false;
	}
	scan_tell(scan, verdict, from_record, duration);
	scan_answer_all(scan, verdict, from_record, duration);
	if (!TAILQ_EMPTY(&scan->late)) {
		scan_again_for(s, scan);
	}
	talloc_free(scan);
	scans_wake(s);
	debts_wake(s->debts);
}

/* All of them. */

int scans_watch(struct scans *s,
		void (*fn)(void *private_data,
			   const struct scan_facts *facts),
		void *private_data)
{
	struct scan_watch *watch = talloc_zero(s, struct scan_watch);

	if (watch == NULL) {
		return ENOMEM;
	}
	watch->fn = fn;
	watch->private_data = private_data;
	LIST_INSERT_HEAD(&s->watches, watch, entry);
	return 0;
}

void scans_set_report(struct scans *s, const char *id)
{
	char *report = talloc_strdup(s, id);

	if (report != NULL) {
		talloc_free(s->report);
		s->report = report;
	}
}

uint64_t scans_most(const struct scans *s, enum scan_source source)
{
	uint64_t max = s->config->settings.scan_maximum;
	uint64_t kept = scan_source_urgent(source) ? 0 : max / 4;

	kept += source == SCAN_NOTICE ? max / 8 : 0;
	return max - kept;
}

uint64_t scans_room(const struct scans *s, enum scan_source source)
{
	uint64_t most = scans_most(s, source);

	return s->count < most ? most - s->count : 0;
}

void scans_wake(struct scans *s)
{
	tevent_schedule_immediate(s->wake, s->ev, scans_woken, s);
}

static void scans_woken(struct tevent_context *ev,
			struct tevent_immediate *im, void *private_data)
{
	struct scans *s = talloc_get_type_abort(private_data, struct scans);
	struct scan_pool *pool = NULL;

	(void)ev;
	(void)im;
	LIST_FOREACH(pool, &s->pools, entry) {
		scan_pool_run(s, pool);
	}
}

static void scans_usable(void *private_data)
{
	struct scans *s = talloc_get_type_abort(private_data, struct scans);

	debts_usable(s->debts);
	scans_wake(s);
}

void scans_config_changed(struct scans *s)
{
	outstanding_set_grace(s->outstanding, s->config->settings.check_grace);
	scans_usable(s);
}

static void scans_abandon(struct scan_waiters *list)
{
	struct scan_waiter *w = NULL;

	while ((w = TAILQ_FIRST(list)) != NULL) {
		scan_waiter_off(w);
		tevent_req_defer_callback(w->req, w->ev);
		tevent_req_error(w->req, ECANCELED);
	}
}

static int scans_destructor(struct scans *s)
{
	struct scan *scan = NULL;

	servers_on_usable(s->servers, NULL, NULL);
	TALLOC_FREE(s->spooled);
	TALLOC_FREE(s->debts);
	while ((scan = LIST_FIRST(&s->all)) != NULL) {
		scans_abandon(&scan->waiters);
		scans_abandon(&scan->late);
		talloc_free(scan);
	}
	return 0;
}

struct scans *scans_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			   const struct config *config, struct files *files,
			   struct store *store, struct servers *servers,
			   struct events *events, struct counters *counters)
{
	struct scans *s = talloc_zero(mem_ctx, struct scans);

	if (s == NULL) {
		return NULL;
	}
	s->ev = ev;
	s->config = config;
	s->files = files;
	s->store = store;
	s->servers = servers;
	s->events = events;
	s->counters = counters;
	LIST_INIT(&s->pools);
	s->wake = tevent_create_immediate(s);
	s->outstanding = outstanding_create(s, config->settings.check_grace);
	s->debts = debts_create(s, ev, s, config, store, events);
	if (s->wake == NULL || s->outstanding == NULL || s->debts == NULL) {
		talloc_free(s);
		return NULL;
	}
	s->spooled = spooled_create(s, ev, files, s->debts, events);
	if (s->spooled == NULL) {
		talloc_free(s);
		return NULL;
	}
	talloc_set_destructor(s, scans_destructor);
	servers_on_usable(servers, scans_usable, s);
	return s;
}

/* What is owed. */

const char *scan_step(const struct scans *s, const struct ident *ident)
{
	static const char *const steps[] = {
		[SCAN_LOOKUP] = "is there a verdict already?",
		[SCAN_QUEUED] = "queued",
		[SCAN_BEGIN] = "the file is being opened",
		[SCAN_ASK] = "a server is being asked",
		[SCAN_PAUSE] = "the file has changed meanwhile, it begins anew",
		[SCAN_END] = "the verdict is being written",
	};
	const struct scan *scan = scan_find(s, ident);

	return scan == NULL ? NULL : steps[scan->state];
}

bool scan_was_infected(struct scans *s, const struct ident *ident)
{
	struct verdict known;
	int ret = store_result_get(s->store, ident, &known);

	return ret == 0 && known.result == VERDICT_INFECTED;
}

void scans_on_hear(struct scans *s, void (*fn)(void *private_data),
		   void *private_data)
{
	s->hear_fn = fn;
	s->hear_private = private_data;
}

void scan_hear(struct scans *s)
{
	if (s->hear_fn != NULL) {
		s->hear_fn(s->hear_private);
	}
}

bool scan_owed(struct scans *s, const struct ident *ident)
{
	return scan_find(s, ident) != NULL || debt_owed(s->debts, ident) ||
	       scan_was_infected(s, ident);
}

struct tevent_req *scan_notice_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct scans *s,
				    const struct store_pending *notice)
{
	return debt_notice_send(mem_ctx, ev, s->debts, notice);
}

int scan_notice_recv(struct tevent_req *req)
{
	return debt_notice_recv(req);
}

void scan_writer_came(struct scans *s, const struct ident *ident)
{
	debt_writer_came(s->debts, ident);
}

void scan_writer_left(struct scans *s, const struct ident *ident)
{
	debt_writer_left(s->debts, ident);
}

void scan_writer_gone(struct scans *s, const struct ident *ident)
{
	debt_writer_gone(s->debts, ident);
}

void scan_write(struct scans *s)
{
	debts_write(s->debts);
}

void scan_spool_read(struct scans *s)
{
	spooled_read(s->spooled);
}

bool scan_spool_reading(const struct scans *s)
{
	return spooled_reading(s->spooled);
}

void scans_on_spool_read(struct scans *s, void (*fn)(void *private_data),
			 void *private_data)
{
	spooled_on_read(s->spooled, fn, private_data);
}
