/* includes: cavad/engine.c
 *
 * The servers, with a scripted engine in the table beside the real ones:
 * order, load, fail-over, suspicion, events, who may fetch; and with
 * tests/fakes/fake_cee.py: limits under load, a server that dies, scans
 * that are freed in the middle.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/server_test.h"

/* Order. */

static void test_order(void **state)
{
	/* reference: five servers, nodes 1 to 6; servers from 1 */
	static const size_t five[6][4] = {
		{ 1, 2, 3, 4 }, { 2, 3, 4, 5 }, { 3, 4, 5, 1 },
		{ 4, 5, 1, 2 }, { 5, 1, 2, 3 }, { 1, 2, 3, 4 },
	};
	size_t order[SERVER_IN_USE_MAX];
	size_t node;
	size_t i;

	(void)state;
	for (node = 1; node <= 6; node++) {
		assert_int_equal(server_order(node, 5, order), 4);
		for (i = 0; i < 4; i++) {
			assert_int_equal(order[i] + 1, five[node - 1][i]);
		}
	}
	assert_int_equal(server_order(7, 0, order), 0);
	assert_int_equal(server_order(7, 1, order), 1);
	assert_int_equal(order[0], 0);
	assert_int_equal(server_order(2, 2, order), 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 0);
	assert_int_equal(server_order(65535, 11, order), 4);
	assert_int_equal(order[0], 65534 % 11);
}

static void test_standby(void **state)
{
	struct fixture *f = *state;

	f->config.settings.node = 3;
	f->objects[0].enabled = false;	/* enabled: 1 2 3 4 5 */
	create(f, 6);
	assert_int_equal(state_of(f, 0), SERVER_DISABLED);
	wait_state(f, 3, SERVER_ONLINE);
	wait_state(f, 1, SERVER_ONLINE);
	assert_int_equal(state_of(f, 2), SERVER_STANDBY);
	assert_int_equal(fakes.beats[2], 0);
	assert_int_equal(fakes.beats[0], 0);
	/* node 3 begins with the third of those enabled */
	scan(f, 10);
	wait_running(f, 3, 1);
	assert_string_equal(f->picked, "s3 ");
}

static void test_least_loaded(void **state)
{
	struct fixture *f = *state;
	int i;

	create_online(f, 2);
	for (i = 0; i < 6; i++) {
		scan(f, 10);
	}
	wait_running(f, 1, 3);
	assert_int_equal(fakes.running_count[0], 3);
	assert_string_equal(f->picked, "s0 s1 s0 s1 s0 s1 ");
}

static void test_room(void **state)
{
	static const struct engine_answer clean = { .result = VERDICT_CLEAN };
	struct fixture *f = *state;
	struct result *r[7] = { NULL };
	int i;

	f->objects[0].connections_maximum = 2;
	f->config.cee.heartbeat_interval = 3600;
	create_online(f, 1);
	for (i = 0; i < 7; i++) {
		r[i] = scan(f, 10);
	}
	wait_running(f, 0, 2);
	turn(f);
	assert_int_equal(servers_status(f->servers, 0).connections, 2);
	TALLOC_FREE(r[1]->req);		/* one that runs gives its place up */
	TALLOC_FREE(r[3]->req);		/* one that waits */
	for (i = 0; i < 7; i++) {
		while (i != 1 && i != 3 && !r[i]->done) {
			if (fakes.running_count[0] > 0) {
				fake_end(fakes.running[0][0], 0, &clean);
			}
			turn(f);
		}
	}
	assert_int_equal(fakes.most[0], 2);
	assert_int_equal(fakes.asked[0], 6);
	assert_int_equal(f->counters.cee_success_count, 5);
	assert_int_equal(servers_status(f->servers, 0).connections, 0);
}

/* A heartbeat is a connection: it waits for one, but not behind a scan. */
static void test_heartbeat_takes_room(void **state)
{
	static const struct engine_answer clean = { .result = VERDICT_CLEAN };
	struct fixture *f = *state;
	int beats;

	f->objects[0].connections_maximum = 1;
	create_online(f, 1);
	fakes.beat_silent[0] = true;
	scan(f, 30);
	scan(f, 30);
	wait_running(f, 0, 1);
	beats = fakes.beats[0];
	while (!f->servers->all[0]->heartbeat_due) {
		turn(f);
	}
	assert_int_equal(fakes.beats[0], beats);
	fake_end(fakes.running[0][0], 0, &clean);
	while (fakes.beats[0] == beats) {
		turn(f);
	}
	assert_int_equal(fakes.asked[0], 1);
	assert_int_equal(servers_status(f->servers, 0).connections, 1);
	tevent_req_done(fakes.beating[0]);
	wait_running(f, 0, 1);
	assert_int_equal(fakes.asked[0], 2);
}

/* Fail over. */

static void test_fail_over(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 3);
	answer_with(0, 0, VERDICT_FAILED);
	answer_with(1, ECONNRESET, 0);
	answer_with(2, 0, VERDICT_INFECTED);
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.result, VERDICT_INFECTED);
	assert_string_equal(r->server, "s2");
	assert_true(r->fetches);
	assert_string_equal(f->picked, "s0 s1 s2 ");
	assert_string_equal(r->answer.engine, "FakeAV 1");
	assert_int_equal(r->answer.signature_time, 77);
	assert_int_equal(f->counters.cee_failure_count, 2);
	assert_int_equal(f->counters.cee_infected_count, 1);
}

static void test_each_once(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 2);
	answer_with(0, 0, VERDICT_FAILED);
	answer_with(1, 0, VERDICT_FAILED);
	strcpy(fakes.answer[1].detail, "the last one");
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(r->answer.reason, VERDICT_REASON_SERVER_ERROR);
	assert_string_equal(r->answer.detail, "the last one");
	assert_int_equal(fakes.asked[0] + fakes.asked[1], 2);
}

static void test_final_answers(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 2);
	answer_with(0, 0, VERDICT_UNSCANNABLE);
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.result, VERDICT_UNSCANNABLE);
	answer_with(0, 0, VERDICT_FAILED);
	fakes.answer[0].server_fault = false;
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(fakes.asked[1], 0);
}

/* A connection that fails is reason for a heartbeat at once. */
static void test_heartbeat_after_error(void **state)
{
	struct fixture *f = *state;

	f->config.cee.heartbeat_interval = 3600;
	create_online(f, 2);
	answer_with(0, ECONNREFUSED, 0);
	answer_with(1, 0, VERDICT_CLEAN);
	fakes.beat_error[0] = ECONNREFUSED;
	wait_done(f, scan(f, 10));
	wait_state(f, 0, SERVER_OFFLINE);
	assert_int_equal(fakes.beats[0], 2);
	assert_int_equal(fakes.beats[1], 1);
}

/* Nobody there. */

static void test_no_server(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create(f, 0);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_NO_SERVER, ""));
	assert_false(servers_usable(f->servers));
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
	TALLOC_FREE(f->servers);

	f->objects[0].enabled = false;
	create(f, 1);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_DISABLED, ""));
}

static void test_offline_and_back(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	fakes.beat_error[0] = ECONNREFUSED;
	fakes.beat[1].online = false;
	create(f, 2);
	r = scan(f, 10);		/* waits for the first heartbeats */
	wait_done(f, r);
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
	assert_int_equal(fakes.asked[0], 0);
	assert_int_equal(state_of(f, 0), SERVER_OFFLINE);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE, "s0"));
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE, "s1"));
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, ""));
	assert_int_equal(f->usable, 0);

	fakes.beat_error[0] = 0;
	wait_state(f, 0, SERVER_ONLINE);
	while (f->usable == 0) {
		turn(f);
	}
	assert_true(servers_usable(f->servers));
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE,
				 "s0"));
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, ""));

	fakes.beat[0].av_ok = false;
	wait_state(f, 0, SERVER_AV_ERROR);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_AV_ERROR, "s0"));
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, ""));
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
}

/* Scans of the first moments wait for an answer of the servers. */
static void test_start(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	fakes.beat_silent[0] = true;
	answer_with(1, 0, VERDICT_CLEAN);
	create(f, 2);
	assert_false(servers_usable(f->servers));
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	assert_int_equal(state_of(f, 0), SERVER_UNKNOWN);
	TALLOC_FREE(f->servers);

	fakes.beat_silent[1] = true;	/* three seconds, no longer */
	create(f, 2);
	r = wait_done(f, scan(f, 30));
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
}

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	f->objects[0].connections_maximum = 1;
	create_online(f, 1);
	scan(f, 30);
	r = wait_done(f, scan(f, 1));
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(r->answer.reason, VERDICT_REASON_TIMEOUT);
	assert_int_equal(fakes.asked[0], 1);
}

static void test_full(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	f->objects[0].connections_maximum = 1;
	f->config.settings.scan_maximum = 2;
	create_online(f, 1);
	scan(f, 30);
	wait_running(f, 0, 1);
	scan(f, 30);
	scan(f, 30);
	r = wait_done(f, scan(f, 30));
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(r->answer.reason, VERDICT_REASON_FULL);
}

/* Suspicion. */

static void time_out(struct fixture *f, int count)
{
	int i;

	answer_with(0, ETIMEDOUT, 0);
	for (i = 0; i < count; i++) {
		struct result *r = wait_done(f, scan(f, 10));

		assert_int_equal(r->answer.result, VERDICT_FAILED);
		assert_int_equal(r->answer.reason, VERDICT_REASON_TIMEOUT);
		assert_true(r->answer.timed_out);
	}
}

static void test_suspect(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;
	int asked;
	int usable;

	create_online(f, 1);
	time_out(f, SERVER_SUSPECT - 1);
	answer_with(0, 0, VERDICT_CLEAN);
	wait_done(f, scan(f, 10));	/* not in a row */
	time_out(f, SERVER_SUSPECT - 1);
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);
	time_out(f, 1);
	assert_int_equal(state_of(f, 0), SERVER_SUSPECTED);
	assert_true(event_is_up(f, EVENT_CAVA_SERVER_SUSPECT, "s0"));
	assert_false(servers_usable(f->servers));

	/* no ordinary scans */
	asked = fakes.asked[0];
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
	assert_int_equal(fakes.asked[0], asked);

	/* a heartbeat opens the way for one probe; it fails */
	usable = f->usable;
	while (f->usable == usable) {
		turn(f);
	}
	time_out(f, 1);
	assert_int_equal(fakes.asked[0], asked + 1);
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);

	/* one at a time */
	usable = f->usable;
	while (f->usable == usable) {
		turn(f);
	}
	fakes.at_once[0] = false;
	scan(f, 10);
	wait_running(f, 0, 1);
	r = wait_done(f, scan(f, 10));
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);

	/* and that one succeeds */
	fake_end(fakes.running[0][0], 0, &(struct engine_answer) {
		.result = VERDICT_CLEAN });
	wait_state(f, 0, SERVER_ONLINE);
	assert_false(event_is_up(f, EVENT_CAVA_SERVER_SUSPECT, "s0"));
	assert_true(servers_usable(f->servers));
}

/* Late is not given up, unless the server is late with everything. */
static void test_overdue(void **state)
{
	struct fixture *f = *state;
	struct result *late[SERVER_SUSPECT];
	int i;

	create_online(f, 1);
	fakes.overdue = 1;
	for (i = 0; i < SERVER_SUSPECT - 1; i++) {
		late[i] = scan(f, 30);
	}
	wait_running(f, 0, SERVER_SUSPECT - 1);
	while (f->servers->all[0]->timeouts < SERVER_SUSPECT - 1) {
		turn(f);
	}
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);
	assert_false(late[0]->done);
	late[i] = scan(f, 30);
	wait_state(f, 0, SERVER_SUSPECTED);
	for (i = 0; i < SERVER_SUSPECT; i++) {
		wait_done(f, late[i]);
		assert_int_equal(late[i]->answer.reason,
				 VERDICT_REASON_TIMEOUT);
	}
	assert_int_equal(f->servers->all[0]->connections, 0);
}

/* A server that hangs costs half of the patience, if there is another. */
static void test_late_goes_to_another(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;
	struct result *stays = NULL;

	f->objects[1].connections_maximum = 1;
	f->config.cee.heartbeat_interval = 3600;
	create_online(f, 2);
	fakes.overdue = 2;
	r = scan(f, 30);
	wait_running(f, 1, 1);
	assert_int_equal(f->servers->all[0]->timeouts, 1);
	assert_string_equal(f->picked, "s0 s1 ");
	assert_int_equal(fakes.running_count[0], 0);
	stays = scan(f, 30);		/* no room there, so it goes on here */
	wait_running(f, 0, 1);
	while (f->servers->all[0]->timeouts < 2) {
		turn(f);
	}
	assert_int_equal(fakes.running_count[0], 1);
	fake_end(fakes.running[1][0], 0, &(struct engine_answer) {
		.result = VERDICT_CLEAN });
	wait_done(f, r);
	assert_string_equal(r->server, "s1");
	fake_end(fakes.running[0][0], 0, &(struct engine_answer) {
		.result = VERDICT_CLEAN });
	wait_done(f, stays);
	assert_string_equal(stays->server, "s0");
}

static void test_overdue_answer_counts(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 1);
	fakes.overdue = 1;
	r = scan(f, 30);
	while (f->servers->all[0]->timeouts == 0) {
		turn(f);
	}
	fake_end(fakes.running[0][0], 0, &(struct engine_answer) {
		.result = VERDICT_CLEAN });
	wait_done(f, r);
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	assert_int_equal(f->servers->all[0]->timeouts, 0);
}

/* While others are online a probe is short, and its scan goes on there. */
static void test_probe_beside_others(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;
	int usable;

	create_online(f, 2);
	answer_with(1, 0, VERDICT_CLEAN);
	answer_with(0, ETIMEDOUT, 0);
	while (state_of(f, 0) != SERVER_SUSPECTED) {
		r = wait_done(f, scan(f, 60));
		assert_int_equal(r->answer.result, VERDICT_CLEAN);
	}
	usable = f->usable;
	while (f->usable == usable) {
		turn(f);
	}
	f->picked = talloc_strdup(f, "");
	r = wait_done(f, scan(f, 60));
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	assert_string_equal(f->picked, "s0 s1 ");
	assert_int_equal(fakes.timeout[0], 10);
	assert_int_equal(fakes.timeout[1], 60);
}

/* A heartbeat lost while scans are answered: busy, not away. */
static void test_busy_is_not_away(void **state)
{
	struct fixture *f = *state;
	int beats;

	create_online(f, 1);
	answer_with(0, 0, VERDICT_CLEAN);
	fakes.beat_silent[0] = true;
	beats = fakes.beats[0];
	while (fakes.beats[0] == beats) {
		turn(f);
	}
	wait_done(f, scan(f, 10));
	tevent_req_error(fakes.beating[0], ETIMEDOUT);
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);

	beats = fakes.beats[0];
	while (fakes.beats[0] == beats) {
		turn(f);
	}
	tevent_req_error(fakes.beating[0], ETIMEDOUT);	/* and no answer */
	assert_int_equal(state_of(f, 0), SERVER_OFFLINE);
}

/* Fitting. */

static void test_fit(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	strcpy(f->uris[1], "fafd:1");
	create_online(f, 2);
	assert_true(servers_want_fd(f->servers, NULL));
	answer_with(0, 0, VERDICT_CLEAN);
	answer_with(1, 0, VERDICT_INFECTED);
	r = wait_done(f, scan_of(f, NULL, 5, 10));
	assert_string_equal(r->server, "s1");
	assert_false(r->fetches);
	r = wait_done(f, scan_of(f, "\\\\h\\x", -1, 10));
	assert_string_equal(r->server, "s0");
	r = wait_done(f, scan_of(f, NULL, -1, 10));
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(r->answer.reason, VERDICT_REASON_NAME);
}

static void test_addresses(void **state)
{
	const char *given[] = { "192.0.2.7", "2001:db8::7", NULL };
	struct fixture *f = *state;

	f->objects[1].fetch_addresses = given;
	strcpy(fakes.beat[1].address, "127.0.0.1");
	strcpy(fakes.beat[2].address, "127.9.9.9");
	create(f, 3);
	assert_false(servers_address(f->servers, "s0", "10.0.0.1"));
	wait_state(f, 0, SERVER_ONLINE);
	wait_state(f, 2, SERVER_ONLINE);

	assert_true(servers_address(f->servers, "s0", "10.0.0.1"));
	assert_true(servers_address(f->servers, "s0", "::ffff:10.0.0.1"));
	assert_false(servers_address(f->servers, "s0", "10.0.0.2"));
	assert_false(servers_address(f->servers, "s0", "127.0.0.1"));
	assert_false(servers_address(f->servers, "s0", ""));
	assert_false(servers_address(f->servers, "nobody", "10.0.0.1"));

	/* given ones stand alone, loopback or not */
	assert_true(servers_address(f->servers, "s1", "192.0.2.7"));
	assert_true(servers_address(f->servers, "s1", "2001:db8:0::7"));
	assert_false(servers_address(f->servers, "s1", "127.0.0.1"));

	/* on this host: whatever loopback address the kernel took */
	assert_true(servers_address(f->servers, "s2", "127.0.0.1"));
	assert_true(servers_address(f->servers, "s2", "::1"));
	assert_false(servers_address(f->servers, "s2", "10.0.0.1"));
}

static void test_bad_objects(void **state)
{
	const char *given[] = { "av1.example.com", NULL };
	struct fixture *f = *state;
	char *error = NULL;
	int ret;

	f->list[0] = &f->objects[0];
	strcpy(f->uris[0], "ftp://x");
	ret = servers_create(f, f->ev, &f->config, f->events, &f->counters,
			     &f->servers, &error);
	assert_int_equal(ret, EINVAL);
	assert_non_null(strstr(error, "[server s0] server_uri ftp://x"));
	strcpy(f->uris[0], "cee://a b");
	ret = servers_create(f, f->ev, &f->config, f->events, &f->counters,
			     &f->servers, &error);
	assert_int_equal(ret, EINVAL);
	assert_non_null(strstr(error, "[server s0] server_uri cee://a b"));
	strcpy(f->uris[0], "fake:0");
	f->objects[0].fetch_addresses = given;
	ret = servers_create(f, f->ev, &f->config, f->events, &f->counters,
			     &f->servers, &error);
	assert_int_equal(ret, EINVAL);
	assert_non_null(strstr(error, "fetch_addresses av1.example.com"));
}

static void test_servers_go_first(void **state)
{
	struct fixture *f = *state;
	struct result *r[3] = { NULL };
	int i;

	f->objects[0].connections_maximum = 1;
	create_online(f, 1);
	for (i = 0; i < 3; i++) {
		r[i] = scan(f, 30);
	}
	wait_running(f, 0, 1);
	TALLOC_FREE(f->servers);
	for (i = 0; i < 3; i++) {
		while (!r[i]->done) {
			turn(f);
		}
		assert_int_equal(r[i]->error, ECANCELED);
	}
}

static void test_null(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	strcpy(f->uris[0], "null:");
	create_online(f, 1);
	r = wait_done(f, scan_of(f, NULL, -1, 10));
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	assert_false(r->fetches);
}

/* Real ones. */

static void use_cee(struct fixture *f, int i, const struct fake_cee *cee)
{
	snprintf(f->uris[i], sizeof(f->uris[i]), "cee://127.0.0.1:%u/vee",
		 cee->port);
}

static void test_limit_under_load(void **state)
{
	struct fixture *f = *state;
	struct result *r[100] = { NULL };
	struct fake_cee cee[2];
	char path[256] = "";
	char rule[300] = "";
	int i;

	/* they answer once 20 are waiting at each */
	for (i = 0; i < 2; i++) {
		fake_cee_start(&cee[i]);
		snprintf(path, sizeof(path), "%s/go", cee[0].dir);
		snprintf(rule, sizeof(rule), "wait %s\nclean", path);
		fake_cee_rule(&cee[i], "default", rule);
		use_cee(f, i, &cee[i]);
	}
	create_online(f, 2);
	for (i = 0; i < 100; i++) {
		r[i] = scan(f, 60);
	}
	for (i = 0; i < 2; i++) {
		fake_cee_wait_logged(&cee[i], f->ev, "\"kind\": \"scan\"",
				     20);
	}
	assert_int_equal(mkdir(path, 0700), 0);
	for (i = 0; i < 100; i++) {
		wait_done(f, r[i]);
		assert_int_equal(r[i]->answer.result, VERDICT_CLEAN);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(fake_cee_number(&cee[i], "peak"), 20);
		assert_int_equal(fake_cee_number(&cee[i], "connections"), 20);
		fake_cee_stop(&cee[i]);
	}
}

static void test_server_dies(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;
	struct fake_cee cee[2];
	int i;

	f->config.cee.heartbeat_interval = 3600;
	for (i = 0; i < 2; i++) {
		fake_cee_start(&cee[i]);
		use_cee(f, i, &cee[i]);
	}
	fake_cee_rule(&cee[0], "file.bin", "hang");
	create_online(f, 2);
	r = scan(f, 60);
	fake_cee_wait_logged(&cee[0], f->ev, "file.bin", 1);
	fake_cee_kill(&cee[0]);
	wait_done(f, r);
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	assert_string_equal(r->server, "s1");
	wait_state(f, 0, SERVER_OFFLINE);
	for (i = 0; i < 2; i++) {
		fake_cee_stop(&cee[i]);
	}
}

static void test_freed_in_the_middle(void **state)
{
	struct fixture *f = *state;
	struct result *r[3] = { NULL };
	struct fake_cee cee;

	fake_cee_start(&cee);
	use_cee(f, 0, &cee);
	f->objects[0].connections_maximum = 1;
	create_online(f, 1);
	fake_cee_rule(&cee, "file.bin", "hang");
	r[0] = scan(f, 60);
	r[1] = scan(f, 60);
	r[2] = scan(f, 60);
	fake_cee_wait_logged(&cee, f->ev, "file.bin", 1);
	TALLOC_FREE(r[1]->req);
	fake_cee_rule(&cee, "file.bin", "clean");
	TALLOC_FREE(r[0]->req);
	wait_done(f, r[2]);
	assert_int_equal(r[2]->answer.result, VERDICT_CLEAN);
	assert_false(r[0]->done || r[1]->done);
	fake_cee_stop(&cee);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		TEST(test_standby),
		TEST(test_least_loaded),
		TEST(test_room),
		TEST(test_heartbeat_takes_room),
		TEST(test_fail_over),
		TEST(test_each_once),
		TEST(test_final_answers),
		TEST(test_heartbeat_after_error),
		TEST(test_no_server),
		TEST(test_offline_and_back),
		TEST(test_start),
		TEST(test_deadline),
		TEST(test_full),
		TEST(test_suspect),
		TEST(test_overdue),
		TEST(test_late_goes_to_another),
		TEST(test_overdue_answer_counts),
		TEST(test_probe_beside_others),
		TEST(test_busy_is_not_away),
		TEST(test_fit),
		TEST(test_addresses),
		TEST(test_bad_objects),
		TEST(test_servers_go_first),
		TEST(test_null),
		TEST(test_limit_under_load),
		TEST(test_server_dies),
		TEST(test_freed_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
