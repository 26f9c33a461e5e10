/*
 * A little at a time: each EXPIRY_TICK at most EXPIRY_ROWS rows of either
 * table are looked at, whatever there is, and sooner again while there is
 * something to remove. The writer's thread removes; its pages are used again.
 *
 * Reports are in the order of their starts, so that a look at the first ones
 * is enough. Of verdicts only clean ones go: what was infected sticks, and a
 * mark (skipped) means that somebody has to wait for a scan. Threats go with
 * their report, or later when they have outlived it (threats_expire()).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/expiry.h"
#include "cavad/store_expiry.h"
#include "common/log.h"
#include "common/tick.h"

#define EXPIRY_TICK 5000000	/* us */
#define EXPIRY_SOON 100000	/* us */
#define EXPIRY_ROWS 500

struct expiry {
	struct tick *tick;
	struct tevent_context *ev;
	const struct config *config;
	struct store *store;
	struct reports *reports;
	struct threats *threats;
	struct store_cursor cursor;
	uint64_t threat;	/* the last one that was looked at */
	unsigned int under_way;	/* removals of reports */
	time_t before;
};

static void expiry_removed(struct tevent_req *subreq)
{
	struct expiry *e = tevent_req_callback_data(subreq, struct expiry);
	int ret = report_remove_recv(subreq);

	talloc_free(subreq);
	e->under_way--;
	if (ret != 0) {
		log_warning("an old report cannot be removed: %s; it is tried "
			    "again", strerror(ret));
	}
}

static bool expiry_report(void *private_data, const struct report *r)
{
	struct expiry *e = private_data;
	struct tevent_req *subreq = NULL;

	if ((time_t)r->start >= e->before) {
		return false;	/* all that follow began later still */
	}
	if (!report_ended(r) || (time_t)r->end >= e->before) {
		return true;
	}
	subreq = report_remove_send(e, e->reports, r);
	if (subreq != NULL) {
		tevent_req_set_callback(subreq, expiry_removed, e);
		e->under_way++;
	}
	return true;
}

static void expiry_time(void *private_data)
{
	struct expiry *e = talloc_get_type_abort(private_data, struct expiry);
	const struct report_range range = { .oldest_first = true,
					    .looks = EXPIRY_ROWS };
	unsigned int gone = 0;
	uint64_t last = 0;

	e->before = time(NULL) - (time_t)e->config->settings.report_expiry;
	if (e->under_way == 0) {
		(void)reports_each(e->reports, &range, expiry_report, e,
				   &last);
	}
	gone = store_results_expire(e->store, e->ev, e->before, EXPIRY_ROWS,
				    &e->cursor);
	gone += threats_expire(e->threats, e->before, &e->threat);
	tick_in(e->tick, e->under_way > 0 || gone > 0 ? EXPIRY_SOON :
							EXPIRY_TICK);
}

struct expiry *expiry_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     const struct config *config, struct store *store,
			     struct reports *reports, struct threats *threats)
{
	struct expiry *e = talloc_zero(mem_ctx, struct expiry);

	if (e == NULL) {
		return NULL;
	}
	e->ev = ev;
	e->config = config;
	e->store = store;
	e->reports = reports;
	e->threats = threats;
	e->tick = tick_create(e, ev, expiry_time, e);
	if (e->tick == NULL) {
		talloc_free(e);
		return NULL;
	}
	tick_in(e->tick, EXPIRY_SOON);
	return e;
}
