/*
 * A probe of one antivirus server.
 *
 * 1. A heartbeat, as always.
 * 2. If that was answered, a scan. An engine that is handed a descriptor gets
 *    the EICAR test text: a server whose antivirus works says "infected". One
 *    that fetches is asked about a file below CHECK$ that does not exist: a
 *    server that gets as far as looking for it says that it has not found it,
 *    and one that says "clean" is not to be trusted.
 *
 * The test text is in two pieces here, so that no scanner finds this program.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cavad/unc.h"
#include "common/req.h"

static const char probe_text_begin[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}";
static const char probe_text_end[] = "$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!"
				     "$H+H*";

struct probe_state {
	struct tevent_context *ev;
	const struct config *config;
	struct server_loan *loan;
	struct server_object *object;	/* which the engine may look at */
	const struct engine_ops *ops;
	struct engine *engine;
	int fd;
	int64_t began;
	struct probe *probe;
};

static void probe_beaten(struct tevent_req *subreq);
static void probe_scanned(struct tevent_req *subreq);

static int64_t probe_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void probe_cleanup(struct tevent_req *req,
			  enum tevent_req_state req_state)
{
	struct probe_state *state = tevent_req_data(req, struct probe_state);

	if (req_state == TEVENT_REQ_DONE) {
		return;		/* what is received is looked at first */
	}
	TALLOC_FREE(state->engine);
	TALLOC_FREE(state->loan);
	if (state->fd != -1) {
		close(state->fd);
		state->fd = -1;
	}
}

/* 0 or errno */
static int probe_set_up(struct probe_state *state, struct servers *servers,
			const char *name)
{
	char *why = NULL;
	int ret = servers_borrow(state, servers, name, &state->loan);

	if (ret != 0) {
		return ret;
	}
	state->object = object_copy(state, &object_server,
				    state->loan->object);
	state->probe = talloc_zero(state, struct probe);
	if (state->object == NULL || state->probe == NULL) {
		return ENOMEM;
	}
	state->ops = engine_find(state->object->server_uri);
	ret = state->ops->create(state, state->ev, state->config,
				 state->object, &state->engine, &why);
	if (ret != 0) {
		return ret;
	}
	state->probe->name = talloc_strdup(state->probe, state->object->name);
	state->probe->uri = talloc_strdup(state->probe,
					  state->object->server_uri);
	state->probe->engine = state->ops->name;
	return state->probe->name == NULL || state->probe->uri == NULL ?
		ENOMEM : 0;
}

/* What the engine does from here on is written down there. */
static void probe_begin(struct probe_state *state, struct probe_exchange *e)
{
	e->done = true;
	state->began = probe_now();
	if (state->ops->trace == NULL) {
		return;
	}
	e->trace = talloc_zero(state->probe, struct trace);
	state->ops->trace(state->engine, e->trace);
}

static void probe_end(struct probe_state *state, struct probe_exchange *e,
		      int error)
{
	e->took = probe_now() - state->began;
	e->error = error;
	if (state->ops->trace != NULL) {
		state->ops->trace(state->engine, NULL);
	}
}

struct tevent_req *probe_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			      struct servers *servers,
			      const struct config *config, const char *name)
{
	struct tevent_req *req = NULL;
	struct tevent_req *subreq = NULL;
	struct probe_state *state = NULL;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct probe_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->config = config;
	state->fd = -1;
	tevent_req_set_cleanup_fn(req, probe_cleanup);
	ret = probe_set_up(state, servers, name);
	if (ret != 0) {
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	probe_begin(state, &state->probe->heartbeat);
	subreq = state->ops->heartbeat_send(state, ev, state->engine);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, probe_beaten, req);
	return req;
}

/* Pure but for the randomness. NULL = no memory. */
static char *probe_unc(struct probe_state *state)
{
	const struct settings *s = &state->config->settings;
	char *host = unc_host(state, (const char *const *)s->ip_pool, 0);
	uint64_t number = 0;
	ssize_t got = getrandom(&number, sizeof(number), GRND_NONBLOCK);

	if (host == NULL || got != sizeof(number)) {
		return NULL;
	}
	return talloc_asprintf(state, "\\\\%s\\%s\\no-such-file-%016" PRIx64,
			       host, s->check_share, number);
}

static int probe_text_fd(void)
{
	size_t begin = sizeof(probe_text_begin) - 1;
	size_t end = sizeof(probe_text_end) - 1;
	int fd = memfd_create("cavad-probe", MFD_CLOEXEC);
	ssize_t n;

	if (fd == -1) {
		return -1;
	}
	n = pwrite(fd, probe_text_begin, begin, 0);
	if (n == (ssize_t)begin) {
		n = pwrite(fd, probe_text_end, end, (off_t)begin);
	}
	if (n != (ssize_t)end) {
		close(fd);
		return -1;
	}
	return fd;
}

/* 0 or errno */
static int probe_question(struct probe_state *state, struct engine_scan *scan)
{
	*scan = (struct engine_scan) {
		.id = 1,
		.path = "/no-such-file",
		.fd = -1,
		.size = sizeof(probe_text_begin) + sizeof(probe_text_end) - 2,
		.timeout = PROBE_TIMEOUT,
	};
	if (state->ops->fetches) {
		scan->unc = probe_unc(state);
		state->probe->expected = "asked about a file that does not "
			"exist: good is that it was not found";
		return scan->unc == NULL ? ENOMEM : 0;
	}
	state->probe->expected = "asked about the EICAR test text: good is "
		"infected";
	state->fd = probe_text_fd();
	scan->fd = state->fd;
	return state->fd == -1 ? errno : 0;
}

static void probe_beaten(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct probe_state *state = tevent_req_data(req, struct probe_state);
	struct probe *probe = state->probe;
	struct engine_scan scan;
	int ret = state->ops->heartbeat_recv(subreq, &probe->status);

	TALLOC_FREE(subreq);
	probe_end(state, &probe->heartbeat, ret);
	if (ret != 0) {
		tevent_req_done(req);
		return;
	}
	ret = probe_question(state, &scan);
	if (ret != 0) {
		tevent_req_error(req, ret);
		return;
	}
	probe_begin(state, &probe->scan);
	subreq = state->ops->scan_send(state, state->ev, state->engine, &scan);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, probe_scanned, req);
}

/* Pure: see the rules above. */
static bool probe_good(const struct probe *p, bool fetches)
{
	if (!p->status.online || !p->status.av_ok || p->status.too_old ||
	    p->scan.error != 0 || p->answer.timed_out) {
		return false;
	}
	if (!fetches) {
		return p->answer.result == VERDICT_INFECTED;
	}
	return p->answer.result == VERDICT_FAILED && p->answer.not_found;
}

static void probe_scanned(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct probe_state *state = tevent_req_data(req, struct probe_state);
	struct probe *probe = state->probe;
	int ret = state->ops->scan_recv(subreq, &probe->answer);

	TALLOC_FREE(subreq);
	probe_end(state, &probe->scan, ret);
	probe->good = probe_good(probe, state->ops->fetches);
	tevent_req_done(req);
}

int probe_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
	       struct probe **result)
{
	struct probe_state *state = tevent_req_data(req, struct probe_state);
	int error = req_error(req);

	if (error == 0) {
		*result = talloc_steal(mem_ctx, state->probe);
	}
	tevent_req_received(req);
	return error;
}
