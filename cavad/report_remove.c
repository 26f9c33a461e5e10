/*
 * A report goes: first what it has found, some rows at a time, then it. So
 * one that was half removed when the power failed is still there to be
 * removed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>

#include "cavad/report_private.h"
#include "common/req.h"

struct report_remove_state {
	struct reports *all;
	uint64_t number;
	char id[REPORT_ID_MAX];
	bool named;
};

static void report_remove_next(struct tevent_req *req);

static bool report_is_made(const struct report_open *o)
{
	return o != NULL && (o->held || o->parts > 0);
}

struct tevent_req *report_remove_send(TALLOC_CTX *mem_ctx,
				      struct reports *all,
				      const struct report *r)
{
	struct report_remove_state *state = NULL;
	struct tevent_req *req = NULL;

	if (!report_ended(r) ||
	    report_is_made(report_open_number(all, r->number))) {
		return NULL;
	}
	req = tevent_req_create(mem_ctx, &state, struct report_remove_state);
	if (req == NULL) {
		return NULL;
	}
	state->all = all;
	state->number = r->number;
	state->named = r->name[0] != '\0';
	report_id(r, state->id);
	report_remove_next(req);
	return tevent_req_is_in_progress(req) ? req :
		tevent_req_post(req, all->ev);
}

static void report_remove_some(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (!tevent_req_error(req, ret)) {
		report_remove_next(req);
	}
}

static void report_removed(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (!tevent_req_error(req, ret)) {
		tevent_req_done(req);
	}
}

static void report_remove_next(struct tevent_req *req)
{
	struct report_remove_state *state = tevent_req_data(
		req, struct report_remove_state);
	struct reports *all = state->all;
	struct report_open *o = report_open_number(all, state->number);
	struct tevent_req *subreq = NULL;
	char key[REPORT_ID_MAX + 8];
	uint8_t number[8];

	if (report_is_made(o)) {
		tevent_req_error(req, EBUSY);
		return;
	}
	if (o != NULL) {	/* it is not in the database yet */
		report_save(o);
		subreq = report_behind_send(state, all);
	} else {
		subreq = threats_forget_send(state, all->threats, state->id);
	}
	if (subreq != NULL) {
		tevent_req_set_callback(subreq, report_remove_some, req);
		return;
	}
	if (state->named) {
		snprintf(key, sizeof(key), "name/%s", state->id);
		report_index(all, key, 0);
	}
	subreq = store_row_del_send(state, all->ev, all->store,
				    STORE_ROWS_REPORT,
				    store_number_key(state->number, number));
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, report_removed, req);
}

int report_remove_recv(struct tevent_req *req)
{
	return req_error(req);
}
