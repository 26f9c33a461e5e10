/* includes: cavad/engine.c
 *
 * Servers that come, go and change while scans run; pools. With the scripted
 * engine, and with tests/fakes/fake_cee.py: limits while everything changes
 * under load.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/server_test.h"

static const struct engine_answer clean = { .result = VERDICT_CLEAN };

/* The configuration is now these objects, a bit each. */
static void use(struct fixture *f, unsigned int mask)
{
	int n = 0;
	int i;

	for (i = 0; i < FAKES; i++) {
		if (mask & (1U << i)) {
			f->list[n++] = &f->objects[i];
		}
	}
	f->list[n] = NULL;
}

static void update(struct fixture *f, unsigned int mask)
{
	char *error = NULL;
	int ret;

	use(f, mask);
	ret = servers_update(f->servers, &f->config, &error);
	if (ret != 0) {
		fail_msg("%s", error);
	}
}

static struct result *scan_in(struct fixture *f, const char *pool)
{
	struct engine_scan s = {
		.id = 1, .path = "/srv/file.bin", .unc = "\\\\h\\x", .fd = -1,
		.size = 5, .timeout = 60, .pool = pool,
	};
	struct result *r = talloc_zero(f, struct result);

	r->req = servers_scan_send(r, f->ev, f->servers, &s, picked, f);
	assert_non_null(r->req);
	tevent_req_set_callback(r->req, answered, r);
	return r;
}

/* Which. */

static void test_added(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create(f, 0);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_NO_SERVER, ""));
	update(f, 1);
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_NO_SERVER, ""));
	answer_with(0, 0, VERDICT_CLEAN);
	r = wait_done(f, scan(f, 10));	/* waits for its first heartbeat */
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	update(f, 3);
	wait_state(f, 1, SERVER_ONLINE);
	assert_int_equal(servers_count(f->servers), 2);
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);
	assert_int_equal(servers_status(f->servers, 0).scan_requests, 1);
}

static void test_unchanged(void **state)
{
	struct fixture *f = *state;
	struct server_engine *engine = NULL;
	int i;

	f->config.cee.heartbeat_interval = 3600;
	create_online(f, 2);
	engine = f->servers->all[0]->engine;
	for (i = 0; i < 10; i++) {
		update(f, 3);
		turn(f);
	}
	assert_ptr_equal(f->servers->all[0]->engine, engine);
	assert_int_equal(fakes.beats[0], 1);
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);
}

/* A scan under way may end; what it says counts. */
static void test_removed(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;
	struct result *other = NULL;

	strcpy(fakes.beat[0].address, "10.0.0.7");
	create_online(f, 2);
	r = scan(f, 60);
	wait_running(f, 0, 1);
	update(f, 2);
	assert_int_equal(servers_count(f->servers), 1);
	assert_string_equal(servers_status(f->servers, 0).name, "s1");
	turn(f);
	assert_false(r->done);
	/* it may still fetch what it was asked about */
	assert_true(servers_address(f->servers, "s0", "10.0.0.7"));
	other = scan(f, 60);
	wait_running(f, 1, 1);
	fake_end(fakes.running[0][0], 0, &clean);
	wait_done(f, r);
	assert_string_equal(r->server, "s0");
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	turn(f);
	assert_int_equal(f->servers->leaving_count, 0);
	assert_false(servers_address(f->servers, "s0", "10.0.0.7"));
	fake_end(fakes.running[1][0], 0, &clean);
	wait_done(f, other);
	assert_int_equal(fakes.asked[0], 1);
}

/* ... but not for ever. */
static void test_removed_and_hangs(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 2);
	answer_with(1, 0, VERDICT_CLEAN);
	r = scan(f, 60);
	wait_running(f, 0, 1);
	update(f, 2);
	wait_done(f, r);
	assert_string_equal(r->server, "s1");
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	assert_int_equal(fakes.running_count[0], 0);
	turn(f);
	assert_int_equal(f->servers->leaving_count, 0);
}

static void test_last_one_goes(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;
	struct result *waits = NULL;

	f->objects[0].connections_maximum = 1;
	create_online(f, 1);
	r = scan(f, 60);
	wait_running(f, 0, 1);
	waits = scan(f, 60);
	update(f, 0);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_NO_SERVER, ""));
	wait_done(f, waits);
	assert_int_equal(waits->answer.reason, VERDICT_REASON_NO_SERVER);
	assert_false(r->done);
	wait_done(f, r);
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
}

/* The old scans and the new ones together stay below the limit. */
static void test_comes_back(void **state)
{
	struct fixture *f = *state;
	struct result *old = NULL;
	struct result *new = NULL;
	int i;

	f->objects[0].connections_maximum = 2;
	f->config.cee.heartbeat_interval = 3600;
	create_online(f, 1);
	old = scan(f, 60);
	new = scan(f, 60);
	wait_running(f, 0, 2);
	for (i = 0; i < 5; i++) {
		update(f, 0);
		update(f, 1);
		turn(f);
	}
	assert_int_equal(servers_status(f->servers, 0).connections, 2);
	fake_end(fakes.running[0][0], 0, &clean);
	fake_end(fakes.running[0][0], 0, &clean);
	wait_done(f, old);
	wait_done(f, new);
	wait_state(f, 0, SERVER_ONLINE);
	scan(f, 60);
	wait_running(f, 0, 1);
	assert_int_equal(fakes.most[0], 2);
	assert_null(f->servers->all[0]->leave_timer);
}

static void test_changed(void **state)
{
	struct fixture *f = *state;
	struct result *r[4] = { NULL };
	int i;

	f->config.cee.heartbeat_interval = 3600;
	create_online(f, 1);
	for (i = 0; i < 4; i++) {
		r[i] = scan(f, 60);
	}
	wait_running(f, 0, 4);
	f->objects[0].connections_maximum = 2;
	update(f, 1);
	assert_int_equal(servers_status(f->servers, 0).connections, 4);
	assert_int_equal(servers_status(f->servers, 0).connections_maximum, 2);
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);
	for (i = 0; i < 3; i++) {
		fake_end(fakes.running[0][0], 0, &clean);
	}
	turn(f);
	scan(f, 60);
	scan(f, 60);
	while (servers_status(f->servers, 0).connections != 2) {
		turn(f);
	}
	turn(f);
	assert_in_range(fakes.running_count[0], 1, 2);
	for (i = 0; i < 4; i++) {
		while (!r[i]->done) {
			if (fakes.running_count[0] > 0) {
				fake_end(fakes.running[0][0], 0, &clean);
			}
			turn(f);
		}
		assert_int_equal(r[i]->answer.result, VERDICT_CLEAN);
	}
	turn(f);
	assert_true(LIST_EMPTY(&f->servers->retired));
}

static void test_renamed(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 1);
	r = scan(f, 60);
	wait_running(f, 0, 1);
	fakes.beat_error[0] = ECONNREFUSED;
	wait_state(f, 0, SERVER_OFFLINE);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE, "s0"));
	strcpy(f->names[0], "new");
	update(f, 1);
	assert_string_equal(servers_status(f->servers, 0).name, "new");
	assert_int_equal(state_of(f, 0), SERVER_OFFLINE);
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE,
				 "s0"));
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE,
				"new"));
	assert_true(servers_address(f->servers, "s0", "10.0.0.1"));
	assert_true(servers_address(f->servers, "new", "10.0.0.1"));
	fake_end(fakes.running[0][0], 0, &clean);
	wait_done(f, r);
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
}

/* Another uri is another server. */
static void test_other_uri(void **state)
{
	struct fixture *f = *state;

	create_online(f, 1);
	strcpy(f->uris[0], "fake:3");
	update(f, 1);
	assert_int_equal(state_of(f, 0), SERVER_UNKNOWN);
	wait_state(f, 0, SERVER_ONLINE);
	assert_int_equal(fakes.beats[3], 1);
	assert_int_equal(servers_status(f->servers, 0).good_heartbeats, 1);
}

static void test_disabled(void **state)
{
	struct fixture *f = *state;
	int beats;

	create_online(f, 1);
	f->objects[0].enabled = false;
	update(f, 1);
	assert_int_equal(state_of(f, 0), SERVER_DISABLED);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_DISABLED, ""));
	assert_false(servers_usable(f->servers));
	beats = fakes.beats[0];
	f->objects[0].enabled = true;
	update(f, 1);
	wait_state(f, 0, SERVER_ONLINE);
	assert_int_equal(fakes.beats[0], beats + 1);
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_DISABLED, ""));
}

static void test_event_goes_with_its_server(void **state)
{
	struct fixture *f = *state;

	fakes.beat_error[0] = ECONNREFUSED;
	create(f, 1);
	wait_state(f, 0, SERVER_OFFLINE);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, ""));
	update(f, 2);
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE,
				 "s0"));
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, ""));
	wait_state(f, 0, SERVER_ONLINE);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	char *error = NULL;
	int ret;

	create_online(f, 2);
	strcpy(f->uris[2], "ftp://x");
	f->objects[0].enabled = false;
	use(f, 7);
	ret = servers_update(f->servers, &f->config, &error);
	assert_int_equal(ret, EINVAL);
	assert_non_null(strstr(error, "[server s2] server_uri ftp://x"));
	assert_int_equal(servers_count(f->servers), 2);
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);
	assert_true(servers_status(f->servers, 0).uri != f->uris[0]);
}

/* What was used before is left in good order. */
static void test_node(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 6);
	r = scan(f, 60);
	wait_running(f, 0, 1);
	assert_int_equal(state_of(f, 4), SERVER_STANDBY);
	f->config.settings.node = 3;
	update(f, 63);		/* 3 4 5 6 */
	assert_int_equal(state_of(f, 0), SERVER_STANDBY);
	assert_int_equal(state_of(f, 1), SERVER_STANDBY);
	assert_int_equal(state_of(f, 2), SERVER_ONLINE);
	wait_state(f, 5, SERVER_ONLINE);
	fake_end(fakes.running[0][0], 0, &clean);
	wait_done(f, r);
	answer_with(2, 0, VERDICT_CLEAN);
	r = wait_done(f, scan(f, 60));
	assert_string_equal(r->server, "s2");
}

/* Nothing is left of them, and callers hear of it. */
static void test_freed_while_leaving(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 2);
	r = scan(f, 60);
	wait_running(f, 0, 1);
	update(f, 2);
	TALLOC_FREE(f->servers);
	while (!r->done) {
		turn(f);
	}
	assert_int_equal(r->error, ECANCELED);
	assert_int_equal(fakes.running_count[0], 0);
}

/* Pools. */

static void test_pools(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	f->objects[1].pool = "icap";
	strcpy(f->uris[1], "fafd:1");
	create_online(f, 2);
	assert_false(servers_want_fd(f->servers, NULL));
	assert_true(servers_want_fd(f->servers, "icap"));
	answer_with(0, 0, VERDICT_CLEAN);
	answer_with(2, 0, VERDICT_INFECTED);
	r = wait_done(f, scan_in(f, "default"));
	assert_string_equal(r->server, "s0");
	f->objects[2].pool = "icap";
	update(f, 7);
	wait_state(f, 2, SERVER_ONLINE);
	r = wait_done(f, scan_in(f, "icap"));
	assert_string_equal(r->server, "s2");	/* s1 wants a descriptor */

	/* no server of another pool helps out */
	fakes.beat_error[0] = ECONNREFUSED;
	wait_state(f, 0, SERVER_OFFLINE);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, ""));
	assert_true(servers_usable(f->servers));
	assert_false(servers_pool_usable(f->servers, "default"));
	assert_true(servers_pool_usable(f->servers, "icap"));
	r = wait_done(f, scan_in(f, NULL));
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
	fakes.beat[1].av_ok = fakes.beat[2].av_ok = false;
	wait_state(f, 1, SERVER_AV_ERROR);
	wait_state(f, 2, SERVER_AV_ERROR);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, "icap"));
	update(f, 1);
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, "icap"));
}

static void test_pool_that_is_not(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 1);
	r = wait_done(f, scan_in(f, "icap"));
	assert_int_equal(r->answer.result, VERDICT_FAILED);
	assert_int_equal(r->answer.reason, VERDICT_REASON_NO_SERVER);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_NO_SERVER, "icap"));
	f->objects[1].pool = "icap";
	update(f, 3);
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_NO_SERVER, "icap"));
	answer_with(1, 0, VERDICT_CLEAN);
	r = wait_done(f, scan_in(f, "icap"));
	assert_string_equal(r->server, "s1");
}

/* Four of each, from the node's own number on. */
static void test_four_of_each_pool(void **state)
{
	struct fixture *f = *state;

	f->objects[0].pool = "icap";
	f->config.settings.node = 2;
	create(f, 6);			/* default: 1 2 3 4 5; used 2 3 4 5 */
	assert_int_equal(state_of(f, 0), SERVER_UNKNOWN);
	assert_int_equal(state_of(f, 1), SERVER_STANDBY);
	assert_int_equal(state_of(f, 5), SERVER_UNKNOWN);
	assert_string_equal(servers_status(f->servers, 0).pool, "icap");
	assert_string_equal(servers_status(f->servers, 1).pool, "default");
}

/* A server changes its pool in the middle of its scans. */
static void test_changes_its_pool(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	create_online(f, 2);
	r = scan(f, 60);
	wait_running(f, 0, 1);
	f->objects[0].pool = "icap";
	update(f, 3);
	assert_int_equal(state_of(f, 0), SERVER_ONLINE);
	fake_end(fakes.running[0][0], 0, &clean);
	wait_done(f, r);
	assert_int_equal(r->answer.result, VERDICT_CLEAN);
	answer_with(0, 0, VERDICT_CLEAN);
	answer_with(1, 0, VERDICT_CLEAN);
	assert_string_equal(wait_done(f, scan(f, 60))->server, "s1");
	assert_string_equal(wait_done(f, scan_in(f, "icap"))->server, "s0");
}

static void test_too_few(void **state)
{
	struct fixture *f = *state;
	const enum event_number number =
		EVENT_SW_AVSCAN_CAVA_TOO_FEW_SERVERS;

	f->config.settings.nodes = 9;
	create(f, 2);
	assert_true(event_is_up(f, number, ""));
	update(f, 7);
	assert_false(event_is_up(f, number, ""));
	f->objects[2].pool = "icap";
	update(f, 7);
	assert_true(event_is_up(f, number, ""));
	assert_true(event_is_up(f, number, "icap"));
	f->config.settings.nodes = 1;
	update(f, 3);
	assert_false(event_is_up(f, number, ""));
	assert_false(event_is_up(f, number, "icap"));
	f->objects[0].enabled = f->objects[1].enabled = false;
	update(f, 3);		/* that says enough */
	assert_false(event_is_up(f, number, ""));
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_ALL_DISABLED, ""));
}

/* States. */

static void test_too_old(void **state)
{
	struct fixture *f = *state;

	fakes.beat[0].too_old = true;
	strcpy(fakes.beat[0].detail, "CEE 6 is older than 8.0");
	create(f, 1);
	wait_state(f, 0, SERVER_VERSION);
	assert_true(event_is_up(f, EVENT_SW_AVSCAN_CAVA_WRONG_VERSION, "s0"));
	assert_false(servers_usable(f->servers));
	fakes.beat[0].too_old = false;
	wait_state(f, 0, SERVER_ONLINE);
	assert_false(event_is_up(f, EVENT_SW_AVSCAN_CAVA_WRONG_VERSION,
				 "s0"));
}

/* Many failures, one heartbeat a second. */
static void test_no_hammering(void **state)
{
	struct fixture *f = *state;
	int64_t began;
	int i;

	f->config.cee.heartbeat_interval = 3600;
	create_online(f, 2);
	answer_with(0, ECONNRESET, 0);
	answer_with(1, 0, VERDICT_CLEAN);
	began = server_now();
	for (i = 0; i < 500; i++) {
		wait_done(f, scan(f, 60));
	}
	assert_in_range(fakes.beats[0], 1,
			2 + (server_now() - began) / 1000000);
	assert_in_range(fakes.asked[0], 100, 500);
}

/* 1, 3, 7 heartbeats between probes that fail; never more. */
static void test_probes_back_off(void **state)
{
	struct fixture *f = *state;
	struct server *server = NULL;
	uint32_t seen[5];
	int i;

	create_online(f, 1);
	server = f->servers->all[0];
	for (i = 0; i < 5; i++) {
		server_probe_failed(server);
		seen[i] = server->probe_skip;
	}
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 3);
	assert_int_equal(seen[2], 7);
	assert_int_equal(seen[4], SERVER_PROBE_SKIP_MAX);
}

static void test_round_trips(void **state)
{
	struct fixture *f = *state;
	struct server_status s;

	answer_with(0, 0, VERDICT_CLEAN);
	create_online(f, 1);
	wait_done(f, scan(f, 60));
	f->servers->all[0]->scan_rtt = (struct server_times) {
		.least = 2000, .average = 8000, .last = 3000,
	};
	s = servers_status(f->servers, 0);
	assert_int_equal(s.scan_rtt.least, 2);
	assert_int_equal(s.scan_rtt.average, 8);
	assert_int_equal(s.scan_rtt.last, 3);
}

/* Real ones, while everything changes. */

#define STORM 400

static void test_storm(void **state)
{
	struct fixture *f = *state;
	struct result *r[STORM] = { NULL };
	struct fake_cee cee[5];
	unsigned int seed = 4711;
	int sent = 0, done = 0;
	int i;

	f->config.cee.heartbeat_interval = 1;
	for (i = 0; i < 5; i++) {
		fake_cee_start(&cee[i]);
		fake_cee_rule(&cee[i], "default", "delay 0.02\nclean");
		snprintf(f->uris[i], sizeof(f->uris[i]),
			 "cee://127.0.0.1:%u/vee", cee[i].port);
		f->objects[i].connections_maximum = 5;
	}
	create_online(f, 5);
	fake_cee_rule(&cee[3], "default", "close");
	while (done < STORM) {
		while (sent < STORM && sent - done < 120) {
			r[sent++] = scan(f, 60);
		}
		turn(f);
		for (i = 0, done = 0; i < sent; i++) {
			done += r[i]->done;
		}
		if (rand_r(&seed) % 8 == 0) {
			/* 0 stays, so that there is always one */
			f->objects[1].enabled = rand_r(&seed) % 2;
			f->objects[2].clamd_size_maximum = rand_r(&seed) % 2;
			f->config.settings.node = 1 + rand_r(&seed) % 5;
			update(f, 1 | (rand_r(&seed) % 16) << 1);
		}
	}
	for (i = 0; i < STORM; i++) {
		assert_int_equal(r[i]->error, 0);
		assert_int_equal(r[i]->answer.result, VERDICT_CLEAN);
	}
	for (i = 0; i < 5; i++) {
		assert_in_range(fake_cee_number(&cee[i], "peak"), 1, 5);
		fake_cee_stop(&cee[i]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_added),
		TEST(test_unchanged),
		TEST(test_removed),
		TEST(test_removed_and_hangs),
		TEST(test_last_one_goes),
		TEST(test_comes_back),
		TEST(test_changed),
		TEST(test_renamed),
		TEST(test_other_uri),
		TEST(test_disabled),
		TEST(test_event_goes_with_its_server),
		TEST(test_refused),
		TEST(test_node),
		TEST(test_freed_while_leaving),
		TEST(test_pools),
		TEST(test_pool_that_is_not),
		TEST(test_four_of_each_pool),
		TEST(test_changes_its_pool),
		TEST(test_too_few),
		TEST(test_too_old),
		TEST(test_no_hammering),
		TEST(test_probes_back_off),
		TEST(test_round_trips),
		TEST(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
