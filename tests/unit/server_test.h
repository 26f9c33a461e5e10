/*
 * What the tests of the servers share: a scripted engine in the table beside
 * the real ones, and scans whose end is kept.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_SERVER_TEST_H
#define TESTS_SERVER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "cavad/server_private.h"
#include "common/req.h"
#include "tests/unit/fake_cee.h"

/*
 * The scripted engine, "fake:N": heartbeats end as beat[N] says; a scan
 * waits until the test ends it, or ends at once when at_once[N] is set.
 */
#define FAKES 6

struct engine {
	int n;
};

struct fake_scan {
	struct tevent_req *req;
	struct engine *e;
	struct engine_scan scan;
	struct engine_answer answer;
	bool ended;
};

static struct {
	int beat_error[FAKES];
	bool beat_silent[FAKES];	/* does not end by itself */
	struct tevent_req *beating[FAKES];	/* such a one */
	struct engine_status beat[FAKES];
	int beats[FAKES];
	uint32_t overdue;		/* of the scans asked for */
	bool at_once[FAKES];
	int error[FAKES];		/* with at_once */
	struct engine_answer answer[FAKES];
	struct fake_scan *running[FAKES][64];
	int running_count[FAKES];
	int most[FAKES];
	int asked[FAKES];
	uint32_t timeout[FAKES];	/* of the last scan */
} fakes;

static int fake_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		       const struct config *config,
		       const struct server_object *server,
		       struct engine **result, char **error)
{
	struct engine *e = talloc_zero(mem_ctx, struct engine);

	(void)ev;
	(void)config;
	(void)error;
	e->n = atoi(server->server_uri + 5);
	*result = e;
	return 0;
}

static void fake_scan_cleanup(struct tevent_req *req,
			      enum tevent_req_state req_state)
{
	struct fake_scan *s = tevent_req_data(req, struct fake_scan);
	int n = s->e->n;
	int i;

	(void)req_state;
	for (i = 0; i < fakes.running_count[n]; i++) {
		if (fakes.running[n][i] == s) {
			fakes.running[n][i] =
				fakes.running[n][--fakes.running_count[n]];
		}
	}
}

static void fake_end(struct fake_scan *s, int error,
		     const struct engine_answer *answer)
{
	struct tevent_req *req = s->req;

	s->answer = *answer;
	if (error != 0) {
		tevent_req_error(req, error);
		return;
	}
	tevent_req_done(req);
}

static struct tevent_req *fake_scan_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct engine *e,
					 const struct engine_scan *scan)
{
	struct fake_scan *s = NULL;
	struct tevent_req *req = NULL;
	int n = e->n;

	req = tevent_req_create(mem_ctx, &s, struct fake_scan);
	s->req = req;
	s->e = e;
	s->scan = *scan;
	fakes.asked[n]++;
	fakes.timeout[n] = scan->timeout;
	if (fakes.at_once[n]) {
		fake_end(s, fakes.error[n], &fakes.answer[n]);
		return tevent_req_post(req, ev);
	}
	fakes.running[n][fakes.running_count[n]++] = s;
	if (fakes.running_count[n] > fakes.most[n]) {
		fakes.most[n] = fakes.running_count[n];
	}
	tevent_req_set_cleanup_fn(req, fake_scan_cleanup);
	return req;
}

static int fake_scan_recv(struct tevent_req *req,
			  struct engine_answer *answer)
{
	struct fake_scan *s = tevent_req_data(req, struct fake_scan);
	int error = req_error(req);

	*answer = s->answer;
	tevent_req_received(req);
	return error;
}

static struct tevent_req *fake_heartbeat_send(TALLOC_CTX *mem_ctx,
					      struct tevent_context *ev,
					      struct engine *e)
{
	struct fake_scan *s = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &s, struct fake_scan);
	s->e = e;
	fakes.beats[e->n]++;
	if (fakes.beat_silent[e->n]) {
		fakes.beating[e->n] = req;
		return req;
	}
	if (fakes.beat_error[e->n] != 0) {
		tevent_req_error(req, fakes.beat_error[e->n]);
	} else {
		tevent_req_done(req);
	}
	return tevent_req_post(req, ev);
}

static int fake_heartbeat_recv(struct tevent_req *req,
			       struct engine_status *status)
{
	struct fake_scan *s = tevent_req_data(req, struct fake_scan);
	int error = req_error(req);

	*status = fakes.beat[s->e->n];
	tevent_req_received(req);
	return error;
}

#define FAKE_OPS(SCHEME, FETCHES, FD) { \
	.name = SCHEME, .scheme = SCHEME, .fetches = FETCHES, \
	.wants_fd = FD, .create = fake_create, \
	.scan_send = fake_scan_send, .scan_recv = fake_scan_recv, \
	.heartbeat_send = fake_heartbeat_send, \
	.heartbeat_recv = fake_heartbeat_recv, \
}

static const struct engine_ops fake_ops = FAKE_OPS("fake", true, false);
static const struct engine_ops fakefd_ops = FAKE_OPS("fafd", false, true);

/* in place of the table of cavad/engine.c */
const struct engine_ops *engine_find(const char *uri)
{
	if (strncmp(uri, "fake:", 5) == 0) {
		return &fake_ops;
	}
	if (strncmp(uri, "fafd:", 5) == 0) {
		return &fakefd_ops;
	}
	if (strncmp(uri, "cee:", 4) == 0) {
		return &engine_cee;
	}
	return strcmp(uri, "null:") == 0 ? &engine_null : NULL;
}

const struct engine_ops *engine_row(unsigned int i)
{
	return i == 0 ? &fake_ops : NULL;
}

/* The fixture. */

struct result {
	struct tevent_req *req;
	bool done;
	int error;
	bool fetches;
	struct engine_answer answer;
	char server[VERDICT_TEXT_MAX];
};

struct fixture {
	struct tevent_context *ev;
	struct config config;
	struct server_object objects[FAKES];
	struct server_object *list[FAKES + 1];
	char names[FAKES][16];
	char uris[FAKES][64];
	struct events *events;
	struct counters counters;
	struct servers *servers;
	int usable;		/* times it was told */
	char *picked;		/* names of servers, in order */
};

static int setup(void **state)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	int i;

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	memset(&fakes, 0, sizeof(fakes));
	f->ev = tevent_context_init(f);
	f->events = events_create(f);
	assert_non_null(f->ev);
	assert_non_null(f->events);
	f->picked = talloc_strdup(f, "");
	f->config.settings.service_enabled = true;
	f->config.settings.node = 1;
	f->config.settings.scan_maximum = 1000;
	f->config.cee.heartbeat_interval = 1;
	f->config.cee.heartbeat_action = 9;
	f->config.cee.scan_action = 1;
	f->config.servers = f->list;
	for (i = 0; i < FAKES; i++) {
		snprintf(f->names[i], sizeof(f->names[i]), "s%d", i);
		snprintf(f->uris[i], sizeof(f->uris[i]), "fake:%d", i);
		f->objects[i].name = f->names[i];
		f->objects[i].server_uri = f->uris[i];
		f->objects[i].ca_file = "";
		f->objects[i].enabled = true;
		f->objects[i].connections_maximum = 20;
		fakes.beat[i] = (struct engine_status) {
			.online = true, .av_ok = true, .version = "Fake",
			.vendor = "FakeAV 1", .signature_time = 77,
			.address = "10.0.0.1",
		};
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	talloc_free(f);
	return 0;
}

static void became_usable(void *private_data)
{
	((struct fixture *)private_data)->usable++;
}

static void create(struct fixture *f, int count)
{
	char *error = NULL;
	int ret;
	int i;

	for (i = 0; i < count; i++) {
		f->list[i] = &f->objects[i];
	}
	ret = servers_create(f, f->ev, &f->config, f->events, &f->counters,
			     &f->servers, &error);
	if (ret != 0) {
		fail_msg("%s", error);
	}
	servers_on_usable(f->servers, became_usable, f);
}

static void turn(struct fixture *f)
{
	assert_int_equal(tevent_loop_once(f->ev), 0);
}

static enum server_state state_of(struct fixture *f, size_t i)
{
	return servers_status(f->servers, i).state;
}

static void wait_state(struct fixture *f, size_t i, enum server_state state)
{
	while (state_of(f, i) != state) {
		turn(f);
	}
}

static void create_online(struct fixture *f, int count)
{
	int i;

	create(f, count);
	for (i = 0; i < count && i < SERVER_IN_USE_MAX; i++) {
		wait_state(f, i, SERVER_ONLINE);
	}
	while (f->usable == 0) {
		turn(f);
	}
}

static bool event_is_up(struct fixture *f, enum event_number number,
			const char *what)
{
	const struct event *e = NULL;
	unsigned int i;

	for (i = 0; (e = events_up(f->events, i)) != NULL; i++) {
		if (e->number == number && strcmp(e->what, what) == 0) {
			return true;
		}
	}
	return false;
}

static void answered(struct tevent_req *req)
{
	struct result *r = tevent_req_callback_data_void(req);

	r->error = servers_scan_recv(req, &r->answer, r->server, &r->fetches);
	TALLOC_FREE(r->req);
	r->done = true;
}

static void picked(void *private_data, const char *server, bool fetches)
{
	struct fixture *f = private_data;

	(void)fetches;
	f->picked = talloc_asprintf_append(f->picked, "%s ", server);
}

static struct result *scan_of(struct fixture *f, const char *unc, int fd,
			      uint32_t timeout)
{
	struct engine_scan s = {
		.id = 1, .path = "/srv/file.bin", .unc = unc, .fd = fd,
		.size = 5, .timeout = timeout, .overdue = fakes.overdue,
	};
	struct result *r = talloc_zero(f, struct result);

	r->req = servers_scan_send(r, f->ev, f->servers, &s, picked, f);
	assert_non_null(r->req);
	tevent_req_set_callback(r->req, answered, r);
	return r;
}

static struct result *scan(struct fixture *f, uint32_t timeout)
{
	return scan_of(f, "\\\\h\\CHECK$\\file.bin", -1, timeout);
}

static struct result *wait_done(struct fixture *f, struct result *r)
{
	while (!r->done) {
		turn(f);
	}
	assert_int_equal(r->error, 0);
	return r;
}

static void answer_with(int n, int error, enum verdict_result result)
{
	fakes.at_once[n] = true;
	fakes.error[n] = error;
	fakes.answer[n] = (struct engine_answer) {
		.result = result,
		.reason = result == VERDICT_FAILED ?
			VERDICT_REASON_SERVER_ERROR : 0,
		.server_fault = result == VERDICT_FAILED,
	};
}

/* Until the engines have so many scans. */
static void wait_running(struct fixture *f, int n, int count)
{
	while (fakes.running_count[n] < count) {
		turn(f);
	}
}

#endif
