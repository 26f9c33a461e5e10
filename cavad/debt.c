/*
 * Who pays, and when.
 *
 * 1. The store is the truth. In memory is what it will hold once all is
 *    written (struct debt, by file; debt_keep.c), but only for files with a
 *    write, a scan or an open writer; the rest is in the store alone. So
 *    memory stays flat whatever number of scans is owed.
 * 2. A notice of a close or a rename asks for a scan at once, whether one
 *    is under way or not; scan.c sees to it that the answer is not older
 *    than the question. Only the answer to the last question counts, so that
 *    a newer notice is never deleted with an older debt.
 * 3. While handles are open for writing, what remains of a paid debt is a
 *    WILL_WRITE, so that a crash of everything still ends in a scan.
 * 4. The sweep takes up what the store has and nobody works on, in the order
 *    of keys, as far as there is room: at start, when notices found no room,
 *    and after failures, DEBT_RETRY s later, then twice as long, at most
 *    DEBT_RETRY_MAX. "No server" ends it; a usable server begins it anew.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/debt_private.h"
#include "cavad/ident_hash.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/req.h"

#define DEBT_PAGE 64		/* debts read from the store at a time */
#define DEBT_RETRY 30		/* s */
#define DEBT_RETRY_MAX 600

static void debt_scanned(struct tevent_req *subreq);
static void debts_woken(struct tevent_context *ev,
			struct tevent_immediate *im, void *private_data);

/* The table. */

static struct debt *debt_find(const struct debts *d,
			      const struct ident *ident)
{
	size_t bucket = ident_hash(ident) % DEBT_BUCKETS;
	struct debt *debt = NULL;

	LIST_FOREACH(debt, &d->buckets[bucket], bucket) {
		if (ident_equal(&debt->ident, ident)) {
			return debt;
		}
	}
	return NULL;
}

static int debt_destructor(struct debt *debt)
{
	debt_keep_forget(debt);
	LIST_REMOVE(debt, bucket);
	return 0;
}

void debt_release(struct debt *debt)
{
	if (!debt->unwritten && debt->writes == 0 && debt->writers == 0 &&
	    debt->scan == NULL) {
		talloc_free(debt);
	}
}

/* What the store has, when it is not known better. */
static uint8_t debt_stored_kind(struct debts *d, const struct ident *ident)
{
	struct store_pending *p = NULL;
	uint8_t kind;
	int ret;

	ret = store_pending_get(d->store, d, ident, &p);
	if (ret != 0) {
		return DEBT_NONE;
	}
	kind = p->kind;
	talloc_free(p);
	return kind;
}

/* NULL = no memory */
static struct debt *debt_make(struct debts *d, const struct ident *ident)
{
	size_t bucket = ident_hash(ident) % DEBT_BUCKETS;
	struct debt *debt = debt_find(d, ident);

	if (debt != NULL) {
		return debt;
	}
	debt = talloc_zero(d, struct debt);
	if (debt == NULL) {
		return NULL;
	}
	debt->debts = d;
	debt->ident = *ident;
	debt->kind = debt_stored_kind(d, ident);
	debt->stored = debt->kind;
	LIST_INSERT_HEAD(&d->buckets[bucket], debt, bucket);
	talloc_set_destructor(debt, debt_destructor);
	return debt;
}

static void debt_set(char **field, struct debt *debt, const char *value)
{
	if (value == NULL || (value[0] == '\0' && *field != NULL)) {
		return;
	}
	talloc_free(*field);
	*field = talloc_strdup(debt, value);
}

/* Scans. */

/* Asks for a scan; one that was asked for before is forgotten (rule 2). */
static void debt_scan(struct debt *debt)
{
	struct debts *d = debt->debts;
	const struct scan_request request = {
		.source = SCAN_NOTICE,
		.have_ident = true,
		.ident = debt->ident,
		.path = debt_text(debt->path),
		.user = debt_text(debt->user),
		.client = debt_text(debt->client),
	};
	struct tevent_req *before = debt->scan;

	if (!d->config->settings.service_enabled) {
		return;
	}
	/* The new one first, so that a scan under way is never without. */
	debt->scan = scan_send(debt, d->ev, d->scans, &request);
	d->active += debt->scan != NULL;
	d->active -= before != NULL;
	talloc_free(before);
	if (debt->scan == NULL) {
		d->again = true;
		return;
	}
	tevent_req_set_callback(debt->scan, debt_scanned, debt);
}

enum debt_after debt_after(const struct verdict *v)
{
	switch (v->result) {
	case VERDICT_CLEAN:
	case VERDICT_UNSCANNABLE:
	case VERDICT_SKIPPED:
		return DEBT_PAID;
	case VERDICT_INFECTED:
		/* infected, but not recorded: the content moved on */
		return v->reason == VERDICT_REASON_CHANGED ? DEBT_KEPT :
							     DEBT_PAID;
	case VERDICT_NONE:
	case VERDICT_FAILED:
		break;
	}
	switch (v->reason) {
	case VERDICT_REASON_GONE:
	case VERDICT_REASON_NOT_REGULAR:
	case VERDICT_REASON_OUTSIDE:
		return DEBT_PAID;
	case VERDICT_REASON_NO_SERVER:
		return DEBT_BLOCKED;
	default:
		return DEBT_KEPT;
	}
}

static void debt_pay(struct debt *debt, const struct verdict *verdict)
{
	bool file_is_gone = verdict->result == VERDICT_FAILED;
	uint8_t rest = DEBT_NONE;

	if (debt->writers > 0 && !file_is_gone) {
		rest = PROTO_KIND_WILL_WRITE;
	}
	debt_keep_paid(debt, rest);
}

/* Sets the time of the next sweep, unless one is under way. */
static void debts_later(struct debts *d)
{
	if (tick_is_set(d->tick) || d->sweeping) {
		return;
	}
	if (d->failures == 0) {
		if (d->active == 0) {
			d->retry = DEBT_RETRY;
		}
		return;
	}
	tick_in(d->tick, d->retry * 1000000ULL);
}

static void debt_scanned(struct tevent_req *subreq)
{
	struct debt *debt = tevent_req_callback_data(subreq, struct debt);
	struct debts *d = debt->debts;
	enum debt_after after = DEBT_KEPT;
	struct scan_answer answer;
	int ret;

	ret = scan_recv(subreq, debt, &answer);
	TALLOC_FREE(debt->scan);
	d->active--;
	if (ret == 0) {
		after = debt_after(&answer.verdict);
		debt_set(&debt->path, debt, answer.path);
		talloc_free(answer.path);
	}
	switch (after) {
	case DEBT_PAID:
		debt_pay(debt, &answer.verdict);
		break;
	case DEBT_BLOCKED:
		d->sweeping = false;
		d->failures++;
		break;
	case DEBT_KEPT:
		d->failures++;
		break;
	}
	if (ret == 0 && answer.verdict.result == VERDICT_FAILED &&
	    answer.verdict.reason == VERDICT_REASON_FULL) {
		d->again = true;
	}
	debt_release(debt);
	debts_later(d);
	debts_wake(d);
}

/* Notices. */

/*
 * What the debt is after one more notice. A WILL_WRITE does not make a
 * close or rename that is still owed undone.
 */
static uint8_t debt_merge(uint8_t kind, uint8_t notice)
{
	if (notice == PROTO_KIND_WILL_WRITE && kind != DEBT_NONE) {
		return kind;
	}
	return notice;
}

static bool debt_due(const struct debt *debt)
{
	return debt->kind == PROTO_KIND_CLOSE ||
	       debt->kind == PROTO_KIND_RENAME;
}

void debt_stored(struct debt *debt)
{
	struct debts *d = debt->debts;

	/* after failures the next try comes by itself */
	if (debt_due(debt) && debt->scan == NULL && d->failures == 0) {
		d->again = true;
		debts_wake(d);
	}
}

/* 0 or ENOMEM. */
static int debt_notice(struct debts *d, const struct store_pending *notice,
		       struct tevent_req *req,
		       struct debt_notice_state *state)
{
	struct debt *debt = debt_make(d, &notice->ident);

	if (debt == NULL) {
		return ENOMEM;
	}
	debt->kind = debt_merge(debt->kind, notice->kind);
	debt->since = notice->since;
	debt_set(&debt->path, debt, notice->path);
	debt_set(&debt->user, debt, notice->user);
	debt_set(&debt->client, debt, notice->client);
	debt_keep_notice(debt, req, state);
	if (notice->kind == PROTO_KIND_WILL_WRITE) {
		return 0;
	}
	if (scans_room(d->scans, SCAN_NOTICE) ||
	    scan_find(d->scans, &notice->ident) != NULL) {
		debt_scan(debt);
	} else {
		d->again = true;
	}
	return 0;
}

struct tevent_req *debt_notice_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct debts *d,
				    const struct store_pending *notice)
{
	struct debt_notice_state *state = NULL;
	struct tevent_req *req = NULL;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct debt_notice_state);
	if (req == NULL) {
		return NULL;
	}
	ret = debt_notice(d, notice, req, state);
	if (ret != 0) {
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	return req;
}

int debt_notice_recv(struct tevent_req *req)
{
	int ret = req_error(req);

	tevent_req_received(req);
	return ret;
}

bool debt_owed(struct debts *d, const struct ident *ident)
{
	const struct debt *debt = debt_find(d, ident);
	uint8_t kind;

	if (debt != NULL) {
		return debt_due(debt);
	}
	kind = debt_stored_kind(d, ident);
	return kind == PROTO_KIND_CLOSE || kind == PROTO_KIND_RENAME;
}

/* Writers. */

void debt_writer_came(struct debts *d, const struct ident *ident)
{
	struct debt *debt = debt_make(d, ident);

	if (debt != NULL) {
		debt->writers++;
	}
}

void debt_writer_left(struct debts *d, const struct ident *ident)
{
	struct debt *debt = debt_find(d, ident);

	if (debt == NULL || debt->writers == 0) {
		return;
	}
	debt->writers--;
	debt_release(debt);
}

void debt_writer_gone(struct debts *d, const struct ident *ident)
{
	struct debt *debt = debt_find(d, ident);
	struct store_pending *p = NULL;
	int ret;

	if (debt == NULL || debt->writers == 0) {
		return;
	}
	if (debt->path == NULL) {
		ret = store_pending_get(d->store, debt, ident, &p);
		if (ret == 0) {
			debt_set(&debt->path, debt, p->path);
			debt_set(&debt->user, debt, p->user);
			debt_set(&debt->client, debt, p->client);
			debt->since = p->since;
			talloc_free(p);
		}
	}
	debt->kind = PROTO_KIND_CLOSE;
	debt_keep(debt);
	if (scans_room(d->scans, SCAN_NOTICE)) {
		debt_scan(debt);
	} else {
		d->again = true;
	}
	debt->writers--;
	debt_release(debt);
	debts_wake(d);
}

/* The sweep. */

/* Nobody works on it? Then take it up. */
static void debts_take_up(struct debts *d, const struct store_pending *p)
{
	struct debt *debt = debt_find(d, &p->ident);

	if (debt != NULL) {
		bool waits = debt->kind == DEBT_NONE ||
			     (debt->writers > 0 && !debt_due(debt));

		if (waits || debt->scan != NULL) {
			return;
		}
	}
	debt = debt_make(d, &p->ident);
	if (debt == NULL) {
		d->again = true;
		return;
	}
	if (debt->path == NULL) {
		debt_set(&debt->path, debt, p->path);
		debt_set(&debt->user, debt, p->user);
		debt_set(&debt->client, debt, p->client);
		debt->since = p->since;
	}
	debt_scan(debt);
	debt_release(debt);
}

/* One page. False: the sweep goes no further now. */
static bool debts_sweep_page(struct debts *d)
{
	struct store_pending **list = NULL;
	uint64_t room = scans_room(d->scans, SCAN_NOTICE);
	size_t i;
	int ret;

	if (room == 0) {
		return false;
	}
	/* what finds no room now would be read again and again */
	ret = store_pending_list(d->store, d,
				 d->have_cursor ? &d->cursor : NULL,
				 room < DEBT_PAGE ? room : DEBT_PAGE, &list);
	if (ret != 0) {
		log_error("scans that are owed cannot be read: %s",
			  strerror(ret));
		d->sweeping = false;
		d->failures++;
		return false;
	}
	for (i = 0; list[i] != NULL && scans_room(d->scans, SCAN_NOTICE); i++) {
		d->cursor = list[i]->ident;
		d->have_cursor = true;
		debts_take_up(d, list[i]);
	}
	if (i == 0 && list[i] == NULL) {
		d->sweeping = false;
	}
	talloc_free(list);
	return d->sweeping && scans_room(d->scans, SCAN_NOTICE);
}

static void debts_begin(struct debts *d)
{
	if (!d->config->settings.service_enabled) {
		return;
	}
	tick_stop(d->tick);
	d->sweeping = true;
	d->again = false;
	d->have_cursor = false;
	d->failures = 0;
}

static void debts_woken(struct tevent_context *ev,
			struct tevent_immediate *im, void *private_data)
{
	struct debts *d = talloc_get_type_abort(private_data, struct debts);
	bool more = false;

	(void)ev;
	(void)im;
	if (!d->sweeping && d->again && scans_room(d->scans, SCAN_NOTICE)) {
		debts_begin(d);
	}
	if (d->sweeping) {
		more = debts_sweep_page(d);
	}
	debts_later(d);
	/* one page a turn, so that nobody else has to wait */
	if (more) {
		debts_wake(d);
	}
}

void debts_wake(struct debts *d)
{
	if (!d->sweeping && !d->again) {
		return;
	}
	if (scans_room(d->scans, SCAN_NOTICE)) {
		tevent_schedule_immediate(d->wake, d->ev, debts_woken, d);
	}
}

void debts_look(struct debts *d)
{
	d->again = true;
	debts_wake(d);
}

static void debts_time(void *private_data)
{
	struct debts *d = talloc_get_type_abort(private_data, struct debts);

	d->retry = d->retry * 2 > DEBT_RETRY_MAX ? DEBT_RETRY_MAX :
						   d->retry * 2;
	debts_begin(d);
	debts_wake(d);
}

void debts_usable(struct debts *d)
{
	d->retry = DEBT_RETRY;
	debts_begin(d);
	debts_wake(d);
}

struct debts *debts_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			   struct scans *scans, const struct config *config,
			   struct store *store, struct events *events)
{
	struct debts *d = talloc_zero(mem_ctx, struct debts);
	int ret;

	if (d == NULL) {
		return NULL;
	}
	d->ev = ev;
	d->scans = scans;
	d->config = config;
	d->store = store;
	d->events = events;
	d->retry = DEBT_RETRY;
	d->wake = tevent_create_immediate(d);
	d->tick = tick_create(d, ev, debts_time, d);
	ret = debts_keep(d);
	if (d->wake == NULL || d->tick == NULL || ret != 0) {
		talloc_free(d);
		return NULL;
	}
	debts_look(d);
	return d;
}
