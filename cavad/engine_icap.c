/*
 * ICAP: the file is sent to the server (RESPMOD of RFC 3507), as a reply of
 * a web server would be, and the server says what it thinks of it.
 *
 * Each exchange is a thread (icap_job.c), so that neither reading the file
 * nor TLS nor a name that takes long to look up holds the loop up; there are
 * never more of them than the server may have connections. Connections are
 * kept and used again.
 *
 * Only 204 is clean, and 204 is what a server says as well of what it does
 * not look at: its limit of size has to be told here (icap_size_maximum),
 * and the heartbeat sends the test file of EICAR, see icap_job.c.
 *
 * The ISTag of a service changes with its signatures, and is no time. A tag
 * that follows another one is taken for signatures of the moment in which it
 * was seen; the first one after a start tells nothing.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cavad/engine.h"
#include "cavad/icap_job.h"
#include "common/req.h"

#define ICAP_HEARTBEAT_TIMEOUT 5	/* s */

struct engine {
	struct icap_jobs *jobs;
	struct tevent_fd *fde;
	struct icap_session **idle;	/* last used last */
	unsigned int idle_num;
	unsigned int idle_max;
	uint64_t size_max;		/* 0 = any */
	int64_t preview;		/* as OPTIONS said; -1 = none */
	char istag[ICAP_ISTAG_MAX];
	int64_t signature_time;		/* s, 0 = not known */
	char service[VERDICT_TEXT_MAX];
	int64_t test_interval;		/* ms */
	int64_t tested;			/* ms, monotonic; 0 = test it now */
	struct trace *trace;
};

struct engine_icap_state {
	struct engine *engine;
	struct icap_job *job;		/* NULL once it is done */
	struct engine_answer answer;
	struct engine_status status;
};

static int engine_icap_destructor(struct engine *e);
static void engine_icap_readable(struct tevent_context *ev,
				 struct tevent_fd *fde, uint16_t flags,
				 void *private_data);
static void engine_icap_done(struct tevent_req *req, struct icap_job *job);

/* --- where it is --- */

static int engine_icap_create_as(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev,
				 const struct server_object *server, bool tls,
				 struct engine **result, char **error)
{
	struct icap_target target = { .url = NULL };
	struct engine *e = NULL;
	int ret = icap_link_library();

	if (ret != 0) {
		return ret;
	}
	ret = icap_target_parse(server->server_uri, tls, &target);
	if (ret == EINVAL) {
		*error = talloc_asprintf(mem_ctx, "server_uri %s: not of the "
					 "form %s://HOST[:PORT]/SERVICE",
					 server->server_uri,
					 tls ? "icaps" : "icap");
	}
	if (ret == 0) {
		target.ca_file = strdup(server->ca_file);
		ret = target.ca_file == NULL ? ENOMEM : 0;
	}
	if (ret == 0) {
		e = talloc_zero(mem_ctx, struct engine);
		ret = e == NULL ? ENOMEM : icap_jobs_create(&target, &e->jobs);
	}
	if (ret != 0) {
		icap_target_free(&target);
		talloc_free(e);
		icap_link_library_end();
		return ret;
	}
	talloc_set_destructor(e, engine_icap_destructor);
	e->preview = -1;
	e->size_max = server->icap_size_maximum;
	e->test_interval = (int64_t)server->icap_test_interval * 1000;
	e->idle_max = server->connections_maximum;
	e->idle = talloc_array(e, struct icap_session *, e->idle_max);
	e->fde = tevent_add_fd(ev, e, icap_jobs_fd(e->jobs), TEVENT_FD_READ,
			       engine_icap_readable, e);
	if (e->idle == NULL || e->fde == NULL) {
		talloc_free(e);
		return ENOMEM;
	}
	*result = e;
	return 0;
}

static int engine_icap_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			      const struct config *config,
			      const struct server_object *server,
			      struct engine **result, char **error)
{
	(void)config;
	return engine_icap_create_as(mem_ctx, ev, server, false, result,
				     error);
}

static int engine_icaps_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       const struct config *config,
			       const struct server_object *server,
			       struct engine **result, char **error)
{
	(void)config;
	return engine_icap_create_as(mem_ctx, ev, server, true, result,
				     error);
}

static int engine_icap_destructor(struct engine *e)
{
	while (e->idle_num > 0) {
		icap_session_close(e->idle[--e->idle_num]);
	}
	TALLOC_FREE(e->fde);	/* before its descriptor may go */
	icap_jobs_release(e->jobs);
	icap_link_library_end();
	return 0;
}

/* --- exchanges --- */

static void engine_icap_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state)
{
	struct engine_icap_state *state =
		tevent_req_data(req, struct engine_icap_state);

	(void)req_state;
	if (state->job != NULL) {
		state->job->private_data = NULL;
		icap_job_cancel(state->job);
		state->job = NULL;
	}
}

/* The job has its request then. 0 or errno. */
static int engine_icap_start(struct engine *e, struct tevent_req *req,
			     struct icap_job *job)
{
	struct engine_icap_state *state =
		tevent_req_data(req, struct engine_icap_state);
	int ret = 0;

	if (e->trace != NULL) {
		job->trace = calloc(1, sizeof(*job->trace));
	}
	if (e->idle_num > 0) {
		job->session = e->idle[--e->idle_num];
	}
	job->preview = e->preview;
	job->private_data = req;
	ret = icap_job_start(job);
	if (ret == 0) {
		state->job = job;
	}
	return ret;
}

static struct tevent_req *engine_icap_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   struct engine *e,
					   const struct engine_scan *scan)
{
	struct engine_icap_state *state = NULL;
	struct icap_job *job = NULL;
	struct tevent_req *req = NULL;
	int ret = 0;

	req = tevent_req_create(mem_ctx, &state, struct engine_icap_state);
	if (req == NULL) {
		return NULL;
	}
	state->engine = e;
	tevent_req_set_cleanup_fn(req, engine_icap_cleanup);
	job = icap_job_create(e->jobs, scan != NULL ? scan->timeout :
			      ICAP_HEARTBEAT_TIMEOUT);
	if (tevent_req_nomem(job, req)) {
		return tevent_req_post(req, ev);
	}
	job->heartbeat = scan == NULL;
	job->test = e->tested == 0 ||
		icap_now() - e->tested >= e->test_interval;
	if (scan != NULL) {
		job->content.size = scan->size;
		job->content.fd = fcntl(scan->fd, F_DUPFD_CLOEXEC, 0);
		ret = job->content.fd == -1 ? errno : 0;
	}
	if (ret == 0) {
		ret = engine_icap_start(e, req, job);
	}
	if (ret != 0) {
		icap_job_free(job);
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	return req;
}

static void engine_icap_traced(struct engine *e, const struct trace *t)
{
	size_t kept = t->sent.total;

	trace_sent(e->trace, t->sent.kept, kept < TRACE_MAX ? kept :
		   TRACE_MAX);
	kept = t->received.total;
	trace_received(e->trace, t->received.kept, kept < TRACE_MAX ? kept :
		       TRACE_MAX);
}

/* A session that can be used again is kept, if there is room. */
static void engine_icap_keep(struct engine *e, struct icap_job *job)
{
	if (job->session == NULL || e->idle_num == e->idle_max) {
		return;
	}
	job->session->trace = NULL;
	e->idle[e->idle_num++] = job->session;
	job->session = NULL;
}

/* Another tag than before: signatures of now. */
static void engine_icap_tag(struct engine *e, const char *istag)
{
	if (istag[0] == '\0' || strcmp(istag, e->istag) == 0) {
		return;
	}
	if (e->istag[0] != '\0') {
		e->signature_time = time(NULL);
	}
	snprintf(e->istag, sizeof(e->istag), "%s", istag);
	e->tested = 0;
}

static void engine_icap_readable(struct tevent_context *ev,
				 struct tevent_fd *fde, uint16_t flags,
				 void *private_data)
{
	struct engine *e = private_data;
	struct icap_job *job = icap_job_next(e->jobs);
	struct tevent_req *req = NULL;

	(void)ev;
	(void)fde;
	(void)flags;
	/* one a turn: its caller may free the engine */
	if (job == NULL) {
		return;
	}
	engine_icap_keep(e, job);
	if (job->trace != NULL && e->trace != NULL) {
		engine_icap_traced(e, job->trace);
	}
	if (job->error == 0 && job->reply.error == 0) {
		engine_icap_tag(e, job->reply.istag);
	}
	req = job->private_data;
	if (req != NULL) {
		engine_icap_done(req, job);
		return;
	}
	icap_job_free(job);
}

/* What the answer to a scan says. */
static void engine_icap_answer(struct engine *e, const struct icap_job *job,
			       struct engine_answer *answer)
{
	icap_reply_judge(&job->reply, answer);
	answer->signature_time = e->signature_time;
	answer->bytes = job->sent;
	snprintf(answer->engine, sizeof(answer->engine), "%s", e->service);
}

/* What the two files of a heartbeat have shown. */
static void engine_icap_tested(struct engine *e, const struct icap_job *job,
			       struct engine_status *status)
{
	status->av_ok = job->eicar_found && job->clean_passed;
	e->tested = status->av_ok ? icap_now() : 0;
	if (!job->eicar_found && job->test_status == 204) {
		snprintf(status->detail, sizeof(status->detail), "the test "
			 "file of EICAR passes: the service does not look at "
			 "every type of file, or passes what it cannot scan");
	} else if (!job->eicar_found) {
		snprintf(status->detail, sizeof(status->detail), "the test "
			 "file of EICAR is not found (ICAP status %d): is "
			 "the antivirus behind the service there?",
			 job->test_status);
	} else if (!job->clean_passed) {
		snprintf(status->detail, sizeof(status->detail), "harmless "
			 "text gets no 204: is that allowed in the service?");
	}
}

static void engine_icap_status(struct engine *e, const struct icap_job *job,
			       struct engine_status *status)
{
	const struct icap_reply *r = &job->reply;
	const char *vendor = NULL;

	memcpy(status->address, job->address, sizeof(status->address));
	if (job->options_only) {
		snprintf(status->detail, sizeof(status->detail),
			 r->error != 0 || r->part != ICAP_WHOLE ?
			 "what answers is no ICAP server" :
			 r->status != 200 ? "OPTIONS of the service: ICAP "
			 "status %d" : "the service has no RESPMOD",
			 r->status);
		return;
	}
	status->online = true;
	e->preview = r->preview;
	snprintf(e->service, sizeof(e->service), "%s",
		 r->service[0] != '\0' ? r->service : "ICAP");
	snprintf(status->version, sizeof(status->version), "%s", e->service);
	vendor = strstr(e->service, " - ");
	snprintf(status->vendor, sizeof(status->vendor), "%s",
		 vendor != NULL ? vendor + 3 : e->service);
	status->signature_time = e->signature_time;
	status->connections = r->connections;
	status->av_ok = true;
	if (job->test) {
		engine_icap_tested(e, job, status);
	}
}

static void engine_icap_done(struct tevent_req *req, struct icap_job *job)
{
	struct engine_icap_state *state =
		tevent_req_data(req, struct engine_icap_state);
	struct engine *e = state->engine;
	struct engine_answer *answer = &state->answer;
	int error = job->error;

	state->job = NULL;
	answer->sent = job->sent;
	if (error == EIO || error == ENAMETOOLONG) {
		answer->result = VERDICT_FAILED;
		answer->reason = VERDICT_REASON_IO;
		error = 0;
	} else if (error == 0 && job->heartbeat) {
		engine_icap_status(e, job, &state->status);
	} else if (error == 0) {
		engine_icap_answer(e, job, answer);
	}
	if (job->error != 0) {
		snprintf(answer->detail, sizeof(answer->detail), "%s",
			 job->why);
		snprintf(state->status.detail, sizeof(state->status.detail),
			 "%s", job->why);
	}
	icap_job_free(job);
	if (error != 0) {
		tevent_req_error(req, error);
		return;
	}
	tevent_req_done(req);
}

static struct tevent_req *engine_icap_scan_send(TALLOC_CTX *mem_ctx,
						struct tevent_context *ev,
						struct engine *e,
						const struct engine_scan *scan)
{
	struct engine_icap_state *state = NULL;
	struct tevent_req *req = NULL;

	if (scan->size > 0 &&
	    (e->size_max == 0 || scan->size <= e->size_max)) {
		return engine_icap_send(mem_ctx, ev, e, scan);
	}
	req = tevent_req_create(mem_ctx, &state, struct engine_icap_state);
	if (req == NULL) {
		return NULL;
	}
	state->answer.result = VERDICT_CLEAN;
	state->answer.signature_time = e->signature_time;
	if (scan->size > 0) {
		state->answer.result = VERDICT_UNSCANNABLE;
		state->answer.reason = VERDICT_REASON_LIMIT;
		snprintf(state->answer.detail, sizeof(state->answer.detail),
			 "larger than icap_size_maximum");
	}
	tevent_req_done(req);
	return tevent_req_post(req, ev);
}

static int engine_icap_scan_recv(struct tevent_req *req,
				 struct engine_answer *answer)
{
	struct engine_icap_state *state =
		tevent_req_data(req, struct engine_icap_state);
	int error = req_error(req);

	*answer = state->answer;
	tevent_req_received(req);
	return error;
}

static struct tevent_req *engine_icap_heartbeat_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct engine *e)
{
	return engine_icap_send(mem_ctx, ev, e, NULL);
}

static int engine_icap_heartbeat_recv(struct tevent_req *req,
				      struct engine_status *status)
{
	struct engine_icap_state *state =
		tevent_req_data(req, struct engine_icap_state);
	int error = req_error(req);

	*status = state->status;
	tevent_req_received(req);
	return error;
}

static void engine_icap_trace(struct engine *e, struct trace *t)
{
	e->trace = t;
}

#define ENGINE_ICAP(ENGINE, SCHEME, CREATE) \
const struct engine_ops ENGINE = { \
	.name = "ICAP", \
	.scheme = SCHEME, \
	.wants_fd = true, \
	.create = CREATE, \
	.scan_send = engine_icap_scan_send, \
	.scan_recv = engine_icap_scan_recv, \
	.heartbeat_send = engine_icap_heartbeat_send, \
	.heartbeat_recv = engine_icap_heartbeat_recv, \
	.trace = engine_icap_trace, \
}

ENGINE_ICAP(engine_icap, "icap", engine_icap_create);
ENGINE_ICAP(engine_icaps, "icaps", engine_icaps_create);
