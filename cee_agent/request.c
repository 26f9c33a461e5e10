/*
 * A CEE request and its reply. See request.h.
 *
 * 1. A heartbeat asks clamd for its version, each time: it says whether a
 *    scan would work now.
 * 2. A scan is for a file on the configured share of a configured host.
 *    Anything else is refused here, or our credentials would go to any
 *    server that a request names.
 * 3. Audit events (action 11) and actions nobody knows: ERROR_SETUP, that
 *    is "no such facility". What is no request at all: ERROR_BAD_REQUEST.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cee_agent/request.h"
#include "cee_agent/unc.h"
#include "common/cee_msg.h"
#include "common/log.h"
#include "common/req.h"

#define REQUEST_DTD_VERSION "2.1.0"	/* of the reply we imitate */
#define REQUEST_STATUS_TIMEOUT 1500	/* ms; storage waits for 3 s */

struct request_state {
	struct agent *agent;
	const char *from;
	struct cee_request *request;	/* NULL = not understood */
	struct timeval start;
	struct cee_reply reply;
	struct job_result result;	/* reply points into it */
};

static void request_done(struct tevent_req *subreq);

/* Pure: what a worker's result is in CEE's words. */
static void request_fill(struct cee_reply *reply,
			 const struct job_result *result)
{
	reply->status = result->status;
	reply->limit = result->limit;
	reply->bytes = result->bytes;
	reply->signature_time = result->signature_time;
	reply->av_vendor = result->vendor;
	reply->threat = result->threat;
	reply->detail = result->detail;
}

/*
 * Pure: the job a scan request asks for. CEE_SUCCESS, or the status of the
 * refusal with *why.
 */
static uint32_t request_job(TALLOC_CTX *mem_ctx,
			    const struct agent_config *config,
			    const struct cee_request *r, struct job *job,
			    const char **why)
{
	const struct storage *s = NULL;
	uint64_t timeout = config->timeout;
	struct unc *unc = NULL;
	int ret;

	ret = unc_parse(mem_ctx, r->name, &unc);
	if (ret != 0) {
		*why = "the name is no UNC path of a file";
		return ret == ENOMEM ? CEE_ERROR_RESOURCES :
				       CEE_ERROR_BAD_REQUEST;
	}
	s = agent_config_storage(config, unc->host);
	if (s == NULL) {
		*why = "no [storage] with this host is configured";
		return CEE_ERROR_ACCESS_DENIED;
	}
	if (strcasecmp(s->share, unc->share) != 0) {
		*why = "not on the share configured for this host";
		return CEE_ERROR_ACCESS_DENIED;
	}
	if (r->timeout != 0 && r->timeout < timeout) {
		timeout = r->timeout;
	}
	memset(job, 0, offsetof(struct job, path));
	job->kind = JOB_SCAN;
	job->size = r->size;
	job->timeout = (uint32_t)timeout * 1000;
	strcpy(job->host, unc->host);	/* no longer than a host may be */
	strcpy(job->path, unc->path);	/* unc_parse() bounds it */
	return CEE_SUCCESS;
}

/* 0 and a job, or the reply is in `state` already: ECANCELED. */
static int request_prepare(struct request_state *state, const void *data,
			   size_t len, struct job *job)
{
	const struct agent_config *config = state->agent->config;
	struct cee_reply *reply = &state->reply;
	struct cee_request *r = NULL;
	int ret;

	reply->cee_version = talloc_strdup(state, config->version);
	if (reply->cee_version == NULL) {
		reply->status = CEE_ERROR_RESOURCES;
		reply->detail = "out of memory";
		return ECANCELED;
	}
	ret = cee_request_decode(state, &CEE_PROFILE_DEFAULT, data, len, &r);
	if (ret != 0) {
		reply->status = ret == ENOMEM ? CEE_ERROR_RESOURCES :
						CEE_ERROR_BAD_REQUEST;
		reply->detail = "this is no CheckFileRequest";
		return ECANCELED;
	}
	state->request = r;
	if (r->kind == CEE_HEARTBEAT) {
		reply->heartbeat = true;
		reply->dtd_version = REQUEST_DTD_VERSION;
		memset(job, 0, offsetof(struct job, path));
		job->kind = JOB_STATUS;
		job->timeout = REQUEST_STATUS_TIMEOUT;
		job->path[0] = '\0';
		return 0;
	}
	if (r->kind != CEE_SCAN) {
		reply->status = CEE_ERROR_SETUP;
		reply->detail = "an action that is not served here";
		return ECANCELED;
	}
	reply->scan = true;
	reply->scan_id = r->scan_id;
	reply->status = request_job(state, config, r, job, &reply->detail);
	return reply->status == CEE_SUCCESS ? 0 : ECANCELED;
}

struct tevent_req *request_send(TALLOC_CTX *mem_ctx, struct agent *agent,
				const char *from, const void *data,
				size_t len)
{
	struct request_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;
	struct job *job = NULL;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct request_state);
	if (req == NULL) {
		return NULL;
	}
	state->agent = agent;
	state->from = from;
	state->start = tevent_timeval_current();
	job = talloc(state, struct job);
	if (tevent_req_nomem(job, req)) {
		return tevent_req_post(req, agent->ev);
	}
	ret = request_prepare(state, data, len, job);
	if (ret != 0) {
		tevent_req_done(req);
		return tevent_req_post(req, agent->ev);
	}
	subreq = pool_send(state, agent->ev, agent->pool, job);
	TALLOC_FREE(job);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, agent->ev);
	}
	tevent_req_set_callback(subreq, request_done, req);
	return req;
}

static void request_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct request_state *state =
		tevent_req_data(req, struct request_state);
	int ret;

	ret = pool_recv(subreq, &state->result);
	TALLOC_FREE(subreq);
	if (ret != 0) {
		state->reply.status = CEE_ERROR_RESOURCES;
		state->reply.detail = strerror(ret);
	} else {
		request_fill(&state->reply, &state->result);
	}
	tevent_req_done(req);
}

static void request_log_scan(const struct request_state *state,
			     unsigned int ms)
{
	const struct cee_request *r = state->request;
	const struct cee_reply *reply = &state->reply;
	char *text = NULL;

	if (cee_status_infected(reply->status)) {
		log_notice("scan %" PRIu64 " %s: infected: %s (%" PRIu64
			   " bytes, %u ms)", r->scan_id, r->name,
			   reply->threat, reply->bytes, ms);
		return;
	}
	if (reply->status == CEE_SUCCESS) {
		log_info("scan %" PRIu64 " %s: clean (%" PRIu64
			 " bytes, %u ms)", r->scan_id, r->name, reply->bytes,
			 ms);
		return;
	}
	text = talloc_asprintf(NULL, "%s: %s%s: %s", r->name, reply->limit ?
			       "over a limit, " : "",
			       cee_status_text(reply->status),
			       reply->detail == NULL ? "" : reply->detail);
	if (text != NULL) {
		log_warning("scan %" PRIu64 " %s (%u ms)", r->scan_id, text,
			    ms);
		tally_error(state->agent->tally, text);
	}
	talloc_free(text);
}

/* Everything that is not as it should be is said once, here. */
static void request_log(const struct request_state *state)
{
	const struct cee_request *r = state->request;
	const struct cee_reply *reply = &state->reply;
	const char *detail = reply->detail == NULL ? "" : reply->detail;
	struct tally *tally = state->agent->tally;
	struct timeval now = tevent_timeval_current();
	struct timeval took = tevent_timeval_until(&state->start, &now);

	if (r == NULL || r->kind == CEE_OTHER) {
		tally->refused_requests++;
		log_notice("%s asked something else: %s", state->from,
			   detail);
		return;
	}
	if (r->kind == CEE_SCAN) {
		request_log_scan(state, (unsigned int)(
			took.tv_sec * 1000 + took.tv_usec / 1000));
		return;
	}
	tally->heartbeats++;
	if (reply->status != CEE_SUCCESS) {
		log_warning("heartbeat of %s: %s: %s", state->from,
			    cee_status_text(reply->status), detail);
		tally_error(tally, detail);
	}
}

int request_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		 struct request_reply *reply)
{
	struct request_state *state =
		tevent_req_data(req, struct request_state);
	int ret = req_error(req);

	if (ret == 0) {
		request_log(state);
		reply->utf16 = state->request != NULL &&
			       state->request->utf16;
		ret = cee_reply_encode(mem_ctx, &state->reply, reply->utf16,
				       &reply->data, &reply->len);
	}
	tevent_req_received(req);
	return ret;
}
