/*
 * One scan's way through the servers: wait for room, ask, ask another.
 *
 * Scans stand in one line, oldest first. Whenever something changes (a
 * scan arrives, a connection is free, a server changes its state) the line
 * is walked from the loop and each scan that waits gets a place:
 *
 * 1. at a suspected server that is open for a probe; with a short time
 *    only, while there are others to turn to afterwards;
 * 2. else at the least loaded server that is online and has room; at equal
 *    load, the one the node prefers;
 * 3. else it goes on waiting, if servers it can use are busy or have not
 *    been heard of since the start;
 * 4. else it ends: with the last failure, or with "no server".
 *
 * A scan may take longer than those who wait for it will wait. When half of
 * that has passed and another server has room, it is asked there instead, so
 * that a server that hangs costs them half their patience and not all of it.
 * With no other to turn to it goes on: one that is overdue counts as a timeout
 * of its server, until the server is suspected; then its overdue scans are
 * taken back.
 *
 * Only servers of the scan's pool count. One that goes out of use
 * (server_set.c) has a moment for the scans it has; what is left then goes to
 * another.
 *
 * A scan asks each server at most once, and at most SERVER_TRIED_MAX. Results
 * are answers and never an errno; callers hear of them from an immediate
 * event, so nothing they do can disturb the walk.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cavad/server_private.h"
#include "common/log.h"
#include "common/req.h"

struct server_ask {
	struct tevent_context *ev;
	struct tevent_req *req;
	struct servers *servers;	/* NULL = out of the line */
	TAILQ_ENTRY(server_ask) entry;
	struct engine_scan scan;
	void (*picked)(void *private_data, const char *server, bool fetches);
	void *private_data;
	int64_t deadline;	/* us */
	uint64_t tried[SERVER_TRIED_MAX];	/* serials */
	unsigned int tried_count;

	struct server *server;	/* asked right now, NULL = waiting */
	struct server_engine *engine;	/* the same */
	struct tevent_req *subreq;
	int64_t began;
	bool probe;
	struct tevent_timer *overdue_timer;
	bool overdue;		/* and its server has been told so */

	struct engine_answer answer;	/* the last one */
	char name[VERDICT_TEXT_MAX];	/* of the server that gave it */
	bool fetches;
	uint64_t sent, passed;	/* of all answers */
};

static void servers_scan_deadline(struct tevent_context *ev,
				  struct tevent_timer *timer,
				  struct timeval now, void *private_data);
static void server_ask_late(struct tevent_context *ev,
			    struct tevent_timer *timer, struct timeval now,
			    void *private_data);
static void server_ask_overdue(struct tevent_context *ev,
			       struct tevent_timer *timer,
			       struct timeval now, void *private_data);
static void servers_scan_asked(struct tevent_req *subreq);

/* The line. */

static void server_ask_release(struct server_ask *ask)
{
	struct server *server = ask->server;

	if (server == NULL) {
		return;
	}
	ask->server = NULL;
	ask->engine->users--;
	ask->engine = NULL;
	TALLOC_FREE(ask->overdue_timer);
	ask->servers->waiting++;
	server_connection_free(server);
}

/* Out of the line; the request may still have to be ended. */
static void server_ask_leave(struct server_ask *ask)
{
	struct servers *s = ask->servers;

	if (s == NULL) {
		return;
	}
	TALLOC_FREE(ask->subreq);
	server_ask_release(ask);
	TAILQ_REMOVE(&s->asks, ask, entry);
	s->waiting--;
	ask->servers = NULL;
}

static void server_ask_cleanup(struct tevent_req *req,
			       enum tevent_req_state req_state)
{
	struct server_ask *ask = tevent_req_data(req, struct server_ask);

	(void)req_state;
	server_ask_leave(ask);
}

static void server_ask_end(struct server_ask *ask)
{
	struct tevent_req *req = ask->req;

	tevent_req_defer_callback(req, ask->ev);
	tevent_req_done(req);
}

static void server_ask_fail(struct server_ask *ask,
			    enum verdict_reason reason, const char *detail)
{
	ask->answer = (struct engine_answer) {
		.result = VERDICT_FAILED,
		.reason = reason,
	};
	snprintf(ask->answer.detail, sizeof(ask->answer.detail), "%s",
		 detail);
}

struct tevent_req *servers_scan_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct servers *s,
				     const struct engine_scan *scan,
				     void (*picked)(void *private_data,
						    const char *server,
						    bool fetches),
				     void *private_data)
{
	struct tevent_timer *timer = NULL;
	struct server_ask *ask = NULL;
	struct tevent_req *req = NULL;
	struct timeval when;

	req = tevent_req_create(mem_ctx, &ask, struct server_ask);
	if (req == NULL) {
		return NULL;
	}
	ask->ev = ev;
	ask->req = req;
	ask->scan = *scan;
	ask->picked = picked;
	ask->private_data = private_data;
	server_ask_fail(ask, VERDICT_REASON_NO_SERVER, "");
	if (s->waiting >= s->config->settings.scan_maximum) {
		server_ask_fail(ask, VERDICT_REASON_FULL, "");
		tevent_req_done(req);
		return tevent_req_post(req, ev);
	}
	ask->scan.path = talloc_strdup(ask, scan->path);
	if (tevent_req_nomem(ask->scan.path, req)) {
		return tevent_req_post(req, ev);
	}
	if (scan->pool != NULL) {
		ask->scan.pool = talloc_strdup(ask, scan->pool);
		if (tevent_req_nomem(ask->scan.pool, req)) {
			return tevent_req_post(req, ev);
		}
	}
	if (scan->server != NULL) {
		ask->scan.server = talloc_strdup(ask, scan->server);
		if (tevent_req_nomem(ask->scan.server, req)) {
			return tevent_req_post(req, ev);
		}
	}
	if (scan->unc != NULL) {
		ask->scan.unc = talloc_strdup(ask, scan->unc);
		if (tevent_req_nomem(ask->scan.unc, req)) {
			return tevent_req_post(req, ev);
		}
	}
	if (ask->scan.timeout > SERVER_SCAN_MAX) {
		ask->scan.timeout = SERVER_SCAN_MAX;
	}
	ask->deadline = server_now() + (int64_t)ask->scan.timeout * 1000000;
	when = tevent_timeval_current_ofs(ask->scan.timeout, 0);
	timer = tevent_add_timer(ev, ask, when, servers_scan_deadline, ask);
	if (tevent_req_nomem(timer, req)) {
		return tevent_req_post(req, ev);
	}

	ask->servers = s;
	TAILQ_INSERT_TAIL(&s->asks, ask, entry);
	s->waiting++;
	tevent_req_set_cleanup_fn(req, server_ask_cleanup);
	servers_wake(s);
	return req;
}

/* Time is up. One that was asked times out by itself. */
static void servers_scan_deadline(struct tevent_context *ev,
				  struct tevent_timer *timer,
				  struct timeval now, void *private_data)
{
	struct server_ask *ask = private_data;

	(void)ev;
	(void)timer;
	(void)now;
	if (ask->servers == NULL || ask->server != NULL) {
		return;
	}
	if (ask->answer.reason == VERDICT_REASON_NO_SERVER) {
		server_ask_fail(ask, VERDICT_REASON_TIMEOUT,
				"no antivirus server had room in time");
	}
	server_ask_end(ask);
}

/* Who is asked. */

enum server_pick {
	SERVER_PICKED,
	SERVER_PICK_WAIT,	/* those it can use are busy, or not known */
	SERVER_PICK_NONE,
	SERVER_PICK_UNFIT	/* online, but cannot take this file */
};

static bool server_fit(const struct server *server,
		       const struct engine_scan *scan)
{
	const struct engine_ops *ops = server->engine->ops;

	if (ops->fetches && scan->unc == NULL) {
		return false;
	}
	return !ops->wants_fd || scan->fd != -1;
}

/* a less loaded than b, by the share of connections in use? */
static bool server_less_loaded(const struct server *a, const struct server *b)
{
	uint64_t a_load = (uint64_t)a->connections * server_limit(b);
	uint64_t b_load = (uint64_t)b->connections * server_limit(a);

	return a_load < b_load;
}

static bool server_tried(const struct server_ask *ask,
			 const struct server *server)
{
	unsigned int i;

	for (i = 0; i < ask->tried_count; i++) {
		if (ask->tried[i] == server->serial) {
			return true;
		}
	}
	return false;
}

/* Is it another one that was asked for? */
static bool server_other(const struct server_ask *ask,
			 const struct server *server)
{
	return ask->scan.server != NULL &&
	       strcmp(ask->scan.server, server->object->name) != 0;
}

/* Without any server at all that is up already. */
static void server_pool_missing(const struct servers *s, const char *pool)
{
	const char *name = pool != NULL ? pool : SERVER_POOL;

	if (s->count > 0) {
		event_raise(s->events, EVENT_SW_AVSCAN_CAVA_NO_SERVER, name,
			    "no [server] has pool = %s, but files are to be "
			    "scanned in it; see pool of [filter] and [server] "
			    "in cavad.conf", name);
	}
}

static enum server_pick server_pick(const struct servers *s,
				    const struct server_ask *ask,
				    struct server **found)
{
	const struct server_pool *pool = servers_pool(s, ask->scan.pool);
	enum server_pick pick = SERVER_PICK_NONE;
	const struct server *best = NULL;
	size_t i;

	if (pool == NULL) {
		server_pool_missing(s, ask->scan.pool);
		return SERVER_PICK_NONE;
	}
	if (ask->tried_count == SERVER_TRIED_MAX) {
		return SERVER_PICK_NONE;
	}
	if (servers_starting(s, pool)) {
		pick = SERVER_PICK_WAIT;
	}
	for (i = 0; i < pool->in_use_count; i++) {
		struct server *server = pool->in_use[i];
		bool probe = server->probe_open && server_room(server);

		if (server_tried(ask, server) || server_other(ask, server)) {
			continue;
		}
		if (server->state != SERVER_ONLINE && !probe) {
			continue;
		}
		if (!server_fit(server, &ask->scan)) {
			if (pick == SERVER_PICK_NONE) {
				pick = SERVER_PICK_UNFIT;
			}
			continue;
		}
		if (probe) {
			*found = server;
			return SERVER_PICKED;
		}
		if (!server_room(server)) {
			pick = best == NULL ? SERVER_PICK_WAIT : pick;
			continue;
		}
		if (best == NULL || server_less_loaded(server, best)) {
			best = server;
			*found = server;
			pick = SERVER_PICKED;
		}
	}
	return pick;
}

/* s that the server gets; a probe is short when others wait behind it. */
static uint32_t server_ask_time(const struct server_ask *ask)
{
	int64_t left = ask->deadline - server_now();
	uint32_t seconds = 1;

	if (left > 0) {
		seconds = (uint32_t)((left + 999999) / 1000000);
	}
	if (ask->probe && server_pool_usable(ask->server->pool)) {
		seconds = (seconds + 1) / 2;
		if (seconds > SERVER_PROBE_MAX) {
			seconds = SERVER_PROBE_MAX;
		}
	}
	return seconds;
}

/* After half of the time to being overdue. */
static void server_ask_alarm(struct server_ask *ask, tevent_timer_handler_t fn)
{
	uint32_t time = ask->scan.overdue;
	struct timeval when = tevent_timeval_current_ofs(
		time / 2, time % 2 * 500000);

	ask->overdue_timer = tevent_add_timer(ask->servers->ev, ask, when, fn,
					      ask);
}

static void server_ask_start(struct server_ask *ask, struct server *server)
{
	const struct engine_ops *ops = server->engine->ops;
	struct servers *s = ask->servers;
	struct engine_scan scan = ask->scan;

	ask->tried[ask->tried_count++] = server->serial;
	ask->probe = server->state == SERVER_SUSPECTED;
	ask->server = server;
	ask->engine = server->engine;
	ask->engine->users++;
	ask->fetches = ops->fetches;
	ask->began = server_now();
	snprintf(ask->name, sizeof(ask->name), "%s", server->object->name);
	s->waiting--;
	server->connections++;
	server->scan_requests++;
	server->probe_open = false;
	scan.timeout = server_ask_time(ask);
	if (!ops->fetches) {
		scan.unc = NULL;
	}

	if (ask->picked != NULL) {
		ask->picked(ask->private_data, ask->name, ask->fetches);
	}
	ask->subreq = ops->scan_send(ask, s->ev, ask->engine->engine, &scan);
	if (ask->subreq == NULL) {
		tevent_req_defer_callback(ask->req, ask->ev);
		tevent_req_oom(ask->req);
		return;
	}
	tevent_req_set_callback(ask->subreq, servers_scan_asked, ask);

	ask->overdue = false;
	if (ask->scan.overdue == 0 || ask->scan.overdue >= scan.timeout) {
		return;
	}
	server_ask_alarm(ask, server_ask_late);
}

void servers_dispatch(struct servers *s)
{
	struct server_ask *ask = NULL;
	struct server_ask *next = NULL;

	for (ask = TAILQ_FIRST(&s->asks); ask != NULL; ask = next) {
		enum server_pick pick;
		struct server *server = NULL;

		next = TAILQ_NEXT(ask, entry);
		if (ask->server != NULL) {
			continue;
		}
		pick = server_pick(s, ask, &server);
		switch (pick) {
		case SERVER_PICKED:
			server_ask_start(ask, server);
			break;
		case SERVER_PICK_WAIT:
			break;
		case SERVER_PICK_UNFIT:
			if (ask->tried_count == 0 && ask->scan.unc == NULL) {
				server_ask_fail(ask, VERDICT_REASON_NAME, "");
			}
			server_ask_end(ask);
			break;
		case SERVER_PICK_NONE:
			server_ask_end(ask);
			break;
		}
	}
}

/* What came of it. */

/* No answer at all, as one. */
static void server_ask_no_answer(struct engine_answer *answer, int error)
{
	answer->result = VERDICT_FAILED;
	answer->server_fault = true;
	answer->timed_out = error == ETIMEDOUT;
	answer->reason = answer->timed_out ? VERDICT_REASON_TIMEOUT :
					     VERDICT_REASON_SERVER_ERROR;
	if (answer->detail[0] == '\0') {
		snprintf(answer->detail, sizeof(answer->detail), "%s",
			 strerror(error));
	}
}

/* The server's own words, or else what its heartbeat said. */
static void server_ask_complete(const struct server *server,
				struct engine_answer *answer)
{
	if (answer->engine[0] == '\0') {
		memcpy(answer->engine, server->last.vendor,
		       sizeof(answer->engine));
	}
	if (answer->signature_time == 0) {
		answer->signature_time = server->last.signature_time;
	}
}

static void servers_count_answer(struct counters *counters,
				 enum verdict_result result, bool selftest)
{
	if (result == VERDICT_CLEAN) {
		counters->cee_success_count++;
	} else if (result == VERDICT_INFECTED) {
		counters->cee_infected_count += !selftest;
	} else if (result == VERDICT_FAILED) {
		counters->cee_failure_count++;
	}
}

/* An answer has come, or none will: the end, or another server. */
static void server_ask_answered(struct server_ask *ask, int error)
{
	struct engine_answer *answer = &ask->answer;
	struct server *server = ask->server;
	int64_t now = server_now();

	if (error != 0) {
		server_ask_no_answer(answer, error);
	}
	server_ask_complete(server, answer);
	servers_count_answer(ask->servers->counters, answer->result,
			     ask->scan.selftest);
	server_ask_release(ask);
	if (ask->probe && answer->result == VERDICT_FAILED) {
		server_probe_failed(server);
	}
	if (!ask->overdue || error != ETIMEDOUT) {
		server_answered(server, error, answer, now - ask->began);
	}
	if (answer->result != VERDICT_FAILED || !answer->server_fault ||
	    now >= ask->deadline) {
		server_ask_end(ask);
		return;
	}
	/* stays in the line */
	log_info("antivirus server %s failed on %s: %s", ask->name,
		 ask->scan.path, answer->detail);
	servers_wake(ask->servers);
}

/* Takes back what a server that is not trusted any more is late with. */
static void server_ask_take_back(struct servers *s, struct server *server)
{
	struct server_ask *ask = NULL;
	struct server_ask *next = NULL;

	for (ask = TAILQ_FIRST(&s->asks); ask != NULL; ask = next) {
		next = TAILQ_NEXT(ask, entry);
		if (ask->server == server && ask->overdue) {
			TALLOC_FREE(ask->subreq);
			server_ask_answered(ask, ETIMEDOUT);
		}
	}
}

/* A timeout of its server. If that is suspected now, all are taken back. */
static void server_ask_count_late(struct server_ask *ask)
{
	const struct engine_answer none = { .result = VERDICT_FAILED };
	struct server *server = ask->server;

	ask->overdue = true;
	server_answered(server, ETIMEDOUT, &none, 0);
	if (server->state != SERVER_ONLINE) {
		server_ask_take_back(ask->servers, server);
	}
}

/* Is there one that it could be asked of right now? */
static bool server_ask_other(const struct server_ask *ask)
{
	struct server *server = NULL;
	enum server_pick pick = server_pick(ask->servers, ask, &server);

	return pick == SERVER_PICKED && server->state == SERVER_ONLINE;
}

static void server_ask_late(struct tevent_context *ev,
			    struct tevent_timer *timer, struct timeval now,
			    void *private_data)
{
	struct server_ask *ask = private_data;

	(void)ev;
	(void)timer;
	(void)now;
	ask->overdue_timer = NULL;	/* tevent frees it */
	if (!server_ask_other(ask)) {
		server_ask_alarm(ask, server_ask_overdue);
		return;
	}
	server_ask_count_late(ask);
	if (ask->server != NULL) {
		TALLOC_FREE(ask->subreq);
		server_ask_answered(ask, ETIMEDOUT);
	}
}

void server_take_all_back(struct server *server)
{
	struct servers *s = server->servers;
	struct server_ask *ask = NULL;

	TAILQ_FOREACH(ask, &s->asks, entry) {
		if (ask->server == server) {
			log_info("antivirus server %s is out of use: %s is "
				 "asked of another", ask->name,
				 ask->scan.path);
			TALLOC_FREE(ask->subreq);
			server_ask_release(ask);
		}
	}
	servers_wake(s);
}

static void server_ask_overdue(struct tevent_context *ev,
			       struct tevent_timer *timer,
			       struct timeval now, void *private_data)
{
	struct server_ask *ask = private_data;

	(void)ev;
	(void)timer;
	(void)now;
	ask->overdue_timer = NULL;	/* tevent frees it */
	server_ask_count_late(ask);
}

static void servers_scan_asked(struct tevent_req *subreq)
{
	struct server_ask *ask = tevent_req_callback_data_void(subreq);
	int ret;

	ret = ask->engine->ops->scan_recv(subreq, &ask->answer);
	TALLOC_FREE(ask->subreq);
	ask->sent += ask->answer.sent;
	ask->passed += ask->answer.passed;
	if (ret == ENOMEM) {
		tevent_req_defer_callback(ask->req, ask->ev);
		tevent_req_error(ask->req, ENOMEM);
		return;
	}
	server_ask_answered(ask, ret);
}

void servers_abandon(struct servers *s)
{
	struct server_ask *ask = NULL;

	while ((ask = TAILQ_FIRST(&s->asks)) != NULL) {
		server_ask_leave(ask);
		tevent_req_defer_callback(ask->req, ask->ev);
		tevent_req_error(ask->req, ECANCELED);
	}
}

int servers_scan_recv(struct tevent_req *req, struct engine_answer *answer,
		      char server[VERDICT_TEXT_MAX], bool *fetches)
{
	struct server_ask *ask = tevent_req_data(req, struct server_ask);
	int error = req_error(req);

	*answer = ask->answer;
	answer->sent = ask->sent;
	answer->passed = ask->passed;
	memcpy(server, ask->name, VERDICT_TEXT_MAX);
	*fetches = ask->fetches;
	tevent_req_received(req);
	return error;
}
