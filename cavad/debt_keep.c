/*
 * When a debt is written into the store.
 *
 * 1. Most debts are paid a few ms after they were made. So nothing is written
 *    at once: DEBT_PATIENCE after the first that is not written, all are, in
 *    one commit. What is paid before costs the disk nothing.
 * 2. A notice ends, and with that is acknowledged, when what it said is
 *    committed or paid. Until then it is its smbd's to keep (client.h). What
 *    a scan has left to be written (a threat, a verdict that is no file's)
 *    is committed before the notice ends.
 * 3. That a debt is paid has no hurry (the store's patience): a row too many
 *    costs one look at the record.
 * 4. When the connection of an smbd ends all are written, and at the end of
 *    cavad: who had sent the notice may not be there to send it again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cavad/debt_private.h"
#include "common/log.h"

#define DEBT_PATIENCE 150000	/* us; the next bell of an smbd and a bit */

/* One write of one debt, and the notices that wait for it. */
struct debt_write {
	struct debt *debt;
	uint8_t kind;
	struct debt_notices notices;
};

static void debt_written(struct tevent_req *subreq);

static uint64_t debt_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Notices. */

/* Deferred: what a notice calls may free the debt, or all of them. */
static void notices_end(struct debts *d, struct debt_notices *notices,
			int error)
{
	struct debt_notice_state *state = NULL;

	while ((state = LIST_FIRST(notices)) != NULL) {
		LIST_REMOVE(state, entry);
		state->waits = false;
		tevent_req_defer_callback(state->req, d->ev);
		if (error != 0) {
			tevent_req_error(state->req, error);
		} else {
			tevent_req_done(state->req);
		}
	}
}

static void notices_forget(struct debt_notices *notices)
{
	struct debt_notice_state *state = NULL;

	while ((state = LIST_FIRST(notices)) != NULL) {
		LIST_REMOVE(state, entry);
		state->waits = false;
	}
}

/* The notice was freed; its debt is written all the same. */
static void debt_notice_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state)
{
	struct debt_notice_state *state =
		tevent_req_data(req, struct debt_notice_state);

	(void)req_state;
	if (state->waits) {
		LIST_REMOVE(state, entry);
		state->waits = false;
	}
}

/* Writes. */

static int debt_write_destructor(struct debt_write *write)
{
	notices_forget(&write->notices);
	return 0;
}

static void debt_unmark(struct debt *debt)
{
	if (debt->unwritten) {
		TAILQ_REMOVE(&debt->debts->unwritten, debt, unwritten_entry);
		debt->unwritten = false;
	}
}

static struct tevent_req *debt_store_send(TALLOC_CTX *mem_ctx,
					  struct debt *debt)
{
	struct debts *d = debt->debts;
	const struct store_pending p = {
		.kind = debt->kind,
		.since = debt->since,
		.ident = debt->ident,
		.path = debt_text(debt->path),
		.user = debt_text(debt->user),
		.client = debt_text(debt->client),
	};

	if (debt->kind == DEBT_NONE) {
		return store_pending_del_send(mem_ctx, d->ev, d->store,
					      &debt->ident);
	}
	return store_pending_put_send(mem_ctx, d->ev, d->store, &p);
}

/* Has the store say what the debt says. 0 or ENOMEM. */
static int debt_write(struct debt *debt)
{
	struct debt_write *write = talloc_zero(debt, struct debt_write);
	struct debt_notice_state *state = NULL;
	struct tevent_req *subreq = NULL;

	debt_unmark(debt);
	if (write == NULL) {
		return ENOMEM;
	}
	subreq = debt_store_send(write, debt);
	if (subreq == NULL) {
		talloc_free(write);
		return ENOMEM;
	}
	write->debt = debt;
	write->kind = debt->kind;
	while ((state = LIST_FIRST(&debt->notices)) != NULL) {
		LIST_REMOVE(state, entry);
		LIST_INSERT_HEAD(&write->notices, state, entry);
	}
	talloc_set_destructor(write, debt_write_destructor);
	debt->stored = debt->kind;
	debt->writes++;
	tevent_req_set_callback(subreq, debt_written, write);
	return 0;
}

static void debt_write_failed(struct debt *debt, int error)
{
	debt->stored = DEBT_UNKNOWN;
	if (error == ENOSPC) {
		event_raise(debt->debts->events, EVENT_CAVA_STORE_FULL, "",
			    "a scan that is owed cannot be kept: raise "
			    "store_size in cavad.conf");
		return;
	}
	log_error("a scan that is owed cannot be kept (%s): %s",
		  debt_text(debt->path), strerror(error));
}

static void debt_written(struct tevent_req *subreq)
{
	struct debt_write *write =
		tevent_req_callback_data(subreq, struct debt_write);
	struct debt *debt = write->debt;
	struct debts *d = debt->debts;
	int ret;

	ret = store_write_recv(subreq);
	if (ret != 0) {
		debt_write_failed(debt, ret);
	} else {
		event_settle(d->events, EVENT_CAVA_STORE_FULL, "");
		debt_stored(debt);
	}
	debt->writes--;
	notices_end(d, &write->notices, ret);
	talloc_free(write);
	debt_release(debt);
}

/* Those that are not due yet would be soon. */
void debts_write(struct debts *d)
{
	struct debt *debt = NULL;
	int ret;

	while ((debt = TAILQ_FIRST(&d->unwritten)) != NULL) {
		ret = debt_write(debt);
		if (ret != 0) {
			debt_write_failed(debt, ret);
			notices_end(d, &debt->notices, ret);
			debt_release(debt);
		}
	}
}

static void debts_write_time(void *private_data)
{
	struct debts *d = talloc_get_type_abort(private_data, struct debts);
	const struct debt *oldest = TAILQ_FIRST(&d->unwritten);
	uint64_t age;

	if (oldest == NULL) {
		return;
	}
	age = debt_now() - oldest->unwritten_since;
	if (age < DEBT_PATIENCE) {
		tick_in(d->write_tick, DEBT_PATIENCE - age);
		return;
	}
	debts_write(d);
}

void debt_keep(struct debt *debt)
{
	struct debts *d = debt->debts;

	if (debt->unwritten) {
		return;
	}
	debt->unwritten = true;
	debt->unwritten_since = debt_now();
	TAILQ_INSERT_TAIL(&d->unwritten, debt, unwritten_entry);
	if (!tick_is_set(d->write_tick)) {
		tick_in(d->write_tick, DEBT_PATIENCE);
	}
}

void debt_keep_notice(struct debt *debt, struct tevent_req *notice,
		      struct debt_notice_state *state)
{
	state->req = notice;
	state->waits = true;
	LIST_INSERT_HEAD(&debt->notices, state, entry);
	tevent_req_set_cleanup_fn(notice, debt_notice_cleanup);
	debt_keep(debt);
}

void debt_keep_paid(struct debt *debt, uint8_t rest)
{
	struct debts *d = debt->debts;
	int ret;

	debt->kind = rest;
	if (debt->stored != rest && rest != DEBT_NONE) {
		debt_keep(debt);
		return;
	}
	debt_unmark(debt);
	if (!store_is_busy(d->store)) {
		notices_end(d, &debt->notices, 0);
	}
	if (debt->stored == rest && LIST_EMPTY(&debt->notices)) {
		return;
	}
	ret = debt_write(debt);
	if (ret != 0) {
		notices_end(d, &debt->notices, ret);
		/* stays in the store: one look at the record more */
		log_warning("out of memory: the scan of %s is not taken off "
			    "the list of those owed", debt_text(debt->path));
	}
}

void debt_keep_forget(struct debt *debt)
{
	debt_unmark(debt);
	notices_forget(&debt->notices);
}

/* Rule 4. Freeing the debts does not undo what was sent. */
static int debts_keep_destructor(struct debts *d)
{
	debts_write(d);
	return 0;
}

int debts_keep(struct debts *d)
{
	TAILQ_INIT(&d->unwritten);
	d->write_tick = tick_create(d, d->ev, debts_write_time, d);
	if (d->write_tick == NULL) {
		return ENOMEM;
	}
	talloc_set_destructor(d, debts_keep_destructor);
	return 0;
}
