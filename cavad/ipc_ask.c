/*
 * Questions of smbds about files.
 *
 * Each lives until its scan has an answer, its time is up, it is cancelled
 * or its connection ends; the scan goes on in any case. One that wants to
 * wait only if a scan is owed and finds none is undecided at first (ipc.c
 * says why).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>

#include "cavad/ipc_private.h"
#include "common/log.h"

static void ipc_ask_scan(struct ipc_ask *ask);
static void ipc_ask_scanned(struct tevent_req *subreq);
static void ipc_ask_time(struct tevent_context *ev,
			 struct tevent_timer *timer, struct timeval now,
			 void *private_data);

static int ipc_ask_destructor(struct ipc_ask *ask)
{
	if (ask->undecided != NULL) {
		TAILQ_REMOVE(ask->undecided, ask, undecided_entry);
	}
	TAILQ_REMOVE(&ask->peer->asks, ask, entry);
	ask->peer->asks_count--;
	return 0;
}

static void ipc_answer(struct ipc_peer *peer, uint64_t id,
		       const struct verdict *v)
{
	const struct proto_message m = {
		.number = PROTO_ANSWER,
		.u.answer = {
			.id = id,
			.result = v->result,
			.reason = v->reason,
			.content = v->content,
			.threat = v->threat,
			.server = v->server,
		},
	};

	ipc_peer_send(peer, &m);
}

static void ipc_answer_without(struct ipc_peer *peer, uint64_t id,
			       enum verdict_result result,
			       enum verdict_reason reason)
{
	const struct verdict v = { .result = result, .reason = reason };

	ipc_answer(peer, id, &v);
}

/*
 * No verdict. Where the store alone knows that the file was infected, smbd
 * is told, so that open_on_fail lets nobody read it.
 */
static void ipc_answer_failed(struct ipc_peer *peer, uint64_t id,
			      const struct ident *ident,
			      const struct verdict *v)
{
	struct verdict was = *v;

	if (scan_was_infected(peer->ipc->scans, ident)) {
		was.reason = VERDICT_REASON_WAS_INFECTED;
	}
	ipc_answer(peer, id, &was);
}

/* SMB waited for it. */
static void ipc_ask_count(const struct ipc_ask *ask)
{
	struct counters *c = ask->peer->ipc->counters;

	c->scan_blocked++;
	c->scan_blocked_sync += ask->why == PROTO_WHY_SYNC;
	c->scan_block_time += (uint64_t)(ipc_now() - ask->began);
	histogram_add(&c->wait_time, (uint64_t)(ipc_now() - ask->began));
}

static struct ipc_ask *ipc_ask_create(struct ipc_peer *peer,
				      const struct proto_ask *m)
{
	struct tevent_timer *timer = NULL;
	struct ipc_ask *ask = talloc_zero(peer, struct ipc_ask);
	struct timeval when;

	if (ask == NULL) {
		return NULL;
	}
	when = tevent_timeval_current_ofs(m->wait_ms / 1000,
					  m->wait_ms % 1000 * 1000);
	timer = tevent_add_timer(peer->ipc->ev, ask, when, ipc_ask_time, ask);
	ask->path = talloc_strdup(ask, m->path);
	ask->user = talloc_strdup(ask, m->user);
	ask->client = talloc_strdup(ask, m->client);
	if (timer == NULL || ask->path == NULL || ask->user == NULL ||
	    ask->client == NULL) {
		talloc_free(ask);
		return NULL;
	}
	ask->peer = peer;
	ask->id = m->id;
	ask->why = m->why;
	ask->ident = m->ident;
	ask->began = ipc_now();
	TAILQ_INSERT_TAIL(&peer->asks, ask, entry);
	peer->asks_count++;
	talloc_set_destructor(ask, ipc_ask_destructor);
	return ask;
}

static struct ipc_ask *ipc_ask_find(struct ipc_peer *peer, uint64_t id)
{
	struct ipc_ask *ask = NULL;

	TAILQ_FOREACH(ask, &peer->asks, entry) {
		if (ask->id == id) {
			return ask;
		}
	}
	return NULL;
}

static void ipc_ask_start(struct ipc_ask *ask, uint8_t owed_only);
static void ipc_ask_waited(struct tevent_req *subreq);

/* Its record is about to be written anew: look at it then. */
static void ipc_ask_wait(struct ipc_ask *ask)
{
	struct ipc *ipc = ask->peer->ipc;
	struct tevent_req *subreq = NULL;

	subreq = restamp_wait_send(ask, ipc->ev, ipc->restamps, &ask->ident);
	if (subreq == NULL) {
		ipc_ask_start(ask, ask->owed_only);
		return;
	}
	tevent_req_set_callback(subreq, ipc_ask_waited, ask);
}

static void ipc_ask_waited(struct tevent_req *subreq)
{
	struct ipc_ask *ask = tevent_req_callback_data(subreq,
						       struct ipc_ask);

	restamp_wait_recv(subreq);
	talloc_free(subreq);
	ipc_ask_start(ask, ask->owed_only);
}

void ipc_ask(struct ipc_peer *peer, const struct proto_ask *m)
{
	struct ipc *ipc = peer->ipc;
	struct ipc_ask *ask = NULL;

	if (ipc_ask_find(peer, m->id) != NULL) {
		ipc_peer_bad(peer, "it asks twice with one id");
		return;
	}
	if (!ipc->config->settings.service_enabled) {
		ipc_answer_without(peer, m->id, VERDICT_SKIPPED,
				   VERDICT_REASON_DISABLED);
		return;
	}
	if (peer->asks_count >= IPC_ASKS_MAX) {
		ipc_answer_without(peer, m->id, VERDICT_FAILED,
				   VERDICT_REASON_FULL);
		return;
	}
	ask = ipc_ask_create(peer, m);
	if (ask == NULL) {
		ipc_answer_without(peer, m->id, VERDICT_FAILED,
				   VERDICT_REASON_FULL);
		return;
	}
	if (restamp_busy(ipc->restamps, &ask->ident)) {
		ask->owed_only = m->owed_only;
		ipc_ask_wait(ask);
		return;
	}
	ipc_ask_start(ask, m->owed_only);
}

static void ipc_ask_start(struct ipc_ask *ask, uint8_t owed_only)
{
	struct ipc *ipc = ask->peer->ipc;
	struct ipc_peer *peer = ask->peer;
	uint64_t id = ask->id;

	if (owed_only == PROTO_KNOWN_ONLY &&
	    !scan_was_infected(ipc->scans, &ask->ident)) {
		talloc_free(ask);
		ipc_answer_without(peer, id, VERDICT_NONE,
				   VERDICT_REASON_NOT_OWED);
		return;
	}
	if (owed_only == PROTO_OWED_ONLY &&
	    !scan_owed(ipc->scans, &ask->ident)) {
		ask->undecided = &ipc->undecided;
		TAILQ_INSERT_TAIL(ask->undecided, ask, undecided_entry);
		ipc_decide_soon(ipc);
		return;
	}
	ipc_ask_scan(ask);
}

void ipc_ask_cancel(struct ipc_peer *peer, uint64_t id)
{
	struct ipc_ask *ask = ipc_ask_find(peer, id);

	if (ask == NULL) {
		return;		/* answered already */
	}
	ipc_ask_count(ask);
	talloc_free(ask);
}

void ipc_ask_decided(struct ipc_ask *ask, bool owed)
{
	struct ipc_peer *peer = ask->peer;
	uint64_t id = ask->id;

	TAILQ_REMOVE(ask->undecided, ask, undecided_entry);
	ask->undecided = NULL;
	if (owed) {
		ipc_ask_scan(ask);
		return;
	}
	talloc_free(ask);
	ipc_answer_without(peer, id, VERDICT_NONE, VERDICT_REASON_NOT_OWED);
}

void ipc_ahead(struct ipc_peer *peer, const struct proto_ahead *m)
{
	struct ipc *ipc = peer->ipc;
	const struct scan_request request = {
		.source = SCAN_AHEAD,
		.have_ident = true,
		.ident = m->ident,
		.path = m->path,
		.user = m->user,
		.client = m->client,
		.share = peer->share,
		.pool = config_pool(ipc->config, peer->zone),
	};

	if (ipc->config->settings.service_enabled &&
	    !restamp_busy(ipc->restamps, &m->ident)) {
		scan_ahead(ipc->scans, ipc->ev, &request);
	}
}

static void ipc_ask_scan(struct ipc_ask *ask)
{
	struct ipc_peer *peer = ask->peer;
	const struct scan_request request = {
		.source = SCAN_ON_ACCESS,
		.have_ident = true,
		.ident = ask->ident,
		.path = ask->path,
		.user = ask->user,
		.client = ask->client,
		.share = peer->share,
		.pool = config_pool(peer->ipc->config, peer->zone),
	};
	struct tevent_req *subreq = NULL;
	uint64_t id = ask->id;

	subreq = scan_send(ask, peer->ipc->ev, peer->ipc->scans, &request);
	if (subreq == NULL) {
		talloc_free(ask);
		ipc_answer_without(peer, id, VERDICT_FAILED,
				   VERDICT_REASON_FULL);
		return;
	}
	tevent_req_set_callback(subreq, ipc_ask_scanned, ask);
}

static void ipc_ask_scanned(struct tevent_req *subreq)
{
	struct ipc_ask *ask = tevent_req_callback_data(subreq,
						       struct ipc_ask);
	struct ipc_peer *peer = ask->peer;
	const struct ident ident = ask->ident;
	struct scan_answer answer;
	uint64_t id = ask->id;
	int ret;

	ret = scan_recv(subreq, ask, &answer);
	if (ret != 0 || !answer.from_record) {
		ipc_ask_count(ask);
	}
	talloc_free(ask);	/* the subreq with it */
	if (ret != 0) {
		log_error("a scan ended without an answer: %d", ret);
		answer.verdict = (struct verdict) {
			.result = VERDICT_FAILED,
			.reason = VERDICT_REASON_IO,
		};
	}
	if (answer.verdict.result == VERDICT_CLEAN ||
	    answer.verdict.result == VERDICT_INFECTED) {
		ipc_answer(peer, id, &answer.verdict);
		return;
	}
	ipc_answer_failed(peer, id, &ident, &answer.verdict);
}

static void ipc_ask_time(struct tevent_context *ev,
			 struct tevent_timer *timer, struct timeval now,
			 void *private_data)
{
	struct ipc_ask *ask = talloc_get_type_abort(private_data,
						    struct ipc_ask);
	const struct verdict v = {
		.result = VERDICT_FAILED,
		.reason = VERDICT_REASON_TIMEOUT,
	};
	const struct ident ident = ask->ident;
	struct ipc_peer *peer = ask->peer;
	uint64_t id = ask->id;

	(void)ev;
	(void)timer;
	(void)now;
	ipc_ask_count(ask);
	peer->ipc->counters->scan_timeouts++;
	talloc_free(ask);
	ipc_answer_failed(peer, id, &ident, &v);
}
