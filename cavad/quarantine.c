/*
 * Quarantine of one file: the files process writes the record, the database
 * follows where it has a verdict on the file too, then the row of the threat.
 *
 * A verdict in the database overrides the one on the file, so none is left
 * there that says otherwise.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/quarantine.h"
#include "common/req.h"

struct quarantine_state {
	struct tevent_context *ev;
	struct store *store;
	struct threats *threats;
	struct quarantine_request request;	/* .who and .why on this */
	struct files_responded r;
	struct quarantine_result result;
};

static void quarantine_responded(struct tevent_req *subreq);
static void quarantine_stored(struct tevent_req *subreq);
static void quarantine_rows(struct tevent_req *req);

struct tevent_req *quarantine_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct files *files, struct store *store,
				   struct threats *threats,
				   const struct quarantine_request *request)
{
	const struct files_respond respond = {
		.action = request->on ? FILES_QUARANTINE : FILES_RELEASE,
		.have_ident = request->have_ident,
		.ident = request->ident,
		.path = request->path,
	};
	struct quarantine_state *state = NULL;
	struct tevent_req *req = NULL;
	struct tevent_req *subreq = NULL;

	req = tevent_req_create(mem_ctx, &state, struct quarantine_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->store = store;
	state->threats = threats;
	state->request = *request;
	state->request.who = talloc_strdup(state, request->who);
	state->request.why = talloc_strdup(state, request->why);
	subreq = files_respond_send(state, ev, files, &respond);
	if (tevent_req_nomem(state->request.who, req) ||
	    tevent_req_nomem(state->request.why, req) ||
	    tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, quarantine_responded, req);
	return req;
}

/* What the database shall say of it: false = nothing, as now. */
static bool quarantine_verdict(struct quarantine_state *state,
			       struct verdict *v)
{
	struct verdict old = { .result = VERDICT_NONE };
	int ret = store_result_get(state->store, &state->r.ident, &old);
	bool known = ret == 0;

	state->result.was = state->result.was ||
			    (known && verdict_quarantined(&old));
	if (!known && (state->r.status != FILES_NO_ATTRIBUTE ||
		       state->r.record.result == VERDICT_NONE)) {
		return false;
	}
	*v = known && old.result == VERDICT_INFECTED ? old : state->r.record;
	if (state->request.on) {
		v->result = VERDICT_INFECTED;
		v->reason = VERDICT_REASON_QUARANTINED;
		v->content = state->r.content;
		v->stamp = v->content.ctime;
		return true;
	}
	if (!verdict_quarantined(&old)) {
		return false;
	}
	/* of no content: the next reader waits for a scan */
	v->reason = VERDICT_REASON_NONE;
	v->content = (struct content) { .size = 0 };
	if (v->threat[0] == '\0') {
		v->result = VERDICT_SKIPPED;
	}
	return true;
}

static void quarantine_responded(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct quarantine_state *state =
		tevent_req_data(req, struct quarantine_state);
	struct quarantine_result *result = &state->result;
	struct verdict v;
	int ret = files_respond_recv(subreq, state, &state->r);

	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	result->status = state->r.status;
	result->error = state->r.error;
	if (!state->request.on && state->r.was &&
	    result->status == FILES_NO_ATTRIBUTE) {
		result->status = FILES_IO;	/* its record stays as it is */
		result->error = EPERM;
	}
	result->path = state->r.path;
	result->threat = talloc_strdup(state, state->r.record.threat);
	if (tevent_req_nomem(result->threat, req)) {
		return;
	}
	if (result->status != FILES_OK &&
	    result->status != FILES_NO_ATTRIBUTE) {
		tevent_req_done(req);
		return;
	}
	result->was = state->r.was;
	if (!quarantine_verdict(state, &v)) {
		quarantine_rows(req);
		return;
	}
	if (v.threat[0] != '\0') {
		result->threat = talloc_strdup(state, v.threat);
	}
	subreq = store_result_put_send(state, state->ev, state->store,
				       &state->r.ident, &v);
	if (tevent_req_nomem(subreq, req) ||
	    tevent_req_nomem(result->threat, req)) {
		return;
	}
	tevent_req_set_callback(subreq, quarantine_stored, req);
}

static void quarantine_stored(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	quarantine_rows(req);
}

static void quarantine_row_on(struct quarantine_state *state)
{
	const struct quarantine_request *q = &state->request;
	struct threat *row = threats_find(state->threats, state,
					  &state->r.ident,
					  state->result.threat);
	const struct threat fresh = {
		.ident = state->r.ident, .path = state->r.path,
		.threat = state->result.threat, .engine = "", .server = "",
		.source = "manual", .user = q->who, .client = "",
		.share = "", .report = "", .content = state->r.content,
	};

	if (row == NULL) {
		(void)threats_found(state->threats, &fresh,
				    THREAT_QUARANTINED, q->who, q->why);
		return;
	}
	(void)threats_change(state->threats, row->id, THREAT_QUARANTINED, 0,
			     q->who, q->why);
	talloc_free(row);
}

static void quarantine_rows(struct tevent_req *req)
{
	struct quarantine_state *state =
		tevent_req_data(req, struct quarantine_state);
	const struct quarantine_request *q = &state->request;

	state->result.status = FILES_OK;
	if (q->on && !state->result.was) {
		quarantine_row_on(state);
	}
	if (!q->on) {
		threats_change_file(state->threats, &state->r.ident,
				    THREAT_BIT(QUARANTINED), THREAT_RELEASED,
				    q->who, q->why);
	}
	tevent_req_done(req);
}

int quarantine_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		    struct quarantine_result *result)
{
	struct quarantine_state *state =
		tevent_req_data(req, struct quarantine_state);
	int ret = req_error(req);

	if (ret == 0) {
		*result = state->result;
		result->path = talloc_steal(mem_ctx, state->result.path);
		result->threat = talloc_steal(mem_ctx, state->result.threat);
	}
	tevent_req_received(req);
	return ret;
}
