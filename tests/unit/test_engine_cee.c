/* includes: cavad/engine_cee.c
 *
 * The CEE engine against tests/fakes/fake_cee.py, a fault at a time: what is
 * not clearly clean is never clean.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cavad/engine_cee.c"
#include "tests/unit/fake_cee.h"

#define UNC "\\\\127.0.0.1\\CHECK$\\dir\\file.bin"
#define PATIENCE 30		/* s: also a busy machine answers by then */

struct fixture {
	struct fake_cee fake;
	struct tevent_context *ev;
	struct config config;
	struct server_object server;
	struct engine *engine;
	char uri[64];
	unsigned int timeout;	/* s, of a scan */
	bool done;
	int error;
	struct engine_answer answer;
	struct engine_status status;
};

static int setup(void **state)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	char *error = NULL;
	int ret;

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	fake_cee_start(&f->fake);
	f->timeout = PATIENCE;
	f->ev = tevent_context_init(f);
	f->config.cee.scan_action = 1;
	f->config.cee.heartbeat_action = 9;
	f->config.cee.source_id = 2;
	snprintf(f->uri, sizeof(f->uri), "cee://127.0.0.1:%u/vee",
		 f->fake.port);
	f->server.name = "a";
	f->server.server_uri = f->uri;
	f->server.ca_file = "";
	f->server.connections_maximum = 20;
	ret = engine_cee.create(f, f->ev, &f->config, &f->server, &f->engine,
				&error);
	assert_int_equal(ret, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_cee_stop(&f->fake);
	talloc_free(f);
	return 0;
}

static void scanned(struct tevent_req *req)
{
	struct fixture *f = tevent_req_callback_data_void(req);

	f->error = engine_cee.scan_recv(req, &f->answer);
	talloc_free(req);
	f->done = true;
}

static void beaten(struct tevent_req *req)
{
	struct fixture *f = tevent_req_callback_data_void(req);

	f->error = engine_cee.heartbeat_recv(req, &f->status);
	talloc_free(req);
	f->done = true;
}

static void wait_done(struct fixture *f)
{
	while (!f->done) {
		assert_int_equal(tevent_loop_once(f->ev), 0);
	}
	f->done = false;
}

static struct engine_answer *scan_unc(struct fixture *f, const char *unc)
{
	struct engine_scan s = {
		.id = 4711, .path = "/srv/dir/file.bin", .unc = unc,
		.fd = -1, .size = 1234, .timeout = f->timeout,
	};
	struct tevent_req *req = NULL;

	req = engine_cee.scan_send(f, f->ev, f->engine, &s);
	assert_non_null(req);
	tevent_req_set_callback(req, scanned, f);
	wait_done(f);
	return &f->answer;
}

static struct engine_answer *scan(struct fixture *f, const char *rule)
{
	fake_cee_rule(&f->fake, "file.bin", rule);
	return scan_unc(f, UNC);
}

static struct engine_status *heartbeat(struct fixture *f, const char *rule)
{
	struct tevent_req *req = NULL;

	fake_cee_rule(&f->fake, "@heartbeat", rule);
	req = engine_cee.heartbeat_send(f, f->ev, f->engine);
	assert_non_null(req);
	tevent_req_set_callback(req, beaten, f);
	wait_done(f);
	return &f->status;
}

static void test_verdicts(void **state)
{
	struct fixture *f = *state;
	struct engine_answer *a = scan(f, "clean");

	assert_int_equal(f->error, 0);
	assert_int_equal(a->result, VERDICT_CLEAN);
	assert_string_equal(a->engine, "Fake 1.0");
	assert_int_equal(a->signature_time, 1700000000);
	assert_string_equal(a->detail, "");

	a = scan(f, "infected Eicar-Test");
	assert_int_equal(a->result, VERDICT_INFECTED);
	assert_string_equal(a->threat, "Eicar-Test");

	a = scan(f, "status 0x8");	/* no name: that of the status */
	assert_int_equal(a->result, VERDICT_INFECTED);
	assert_string_not_equal(a->threat, "");

	a = scan(f, "limit");
	assert_int_equal(a->result, VERDICT_UNSCANNABLE);
	assert_int_equal(a->reason, VERDICT_REASON_LIMIT);

	a = scan(f, "bare 0x0");
	assert_int_equal(a->result, VERDICT_CLEAN);
	a = scan(f, "bare 0x9");
	assert_int_equal(a->result, VERDICT_INFECTED);
}

static void test_what_is_asked(void **state)
{
	struct fixture *f = *state;

	scan(f, "clean");
	assert_int_equal(fake_cee_logged(&f->fake, "\"method\": \"PUT\""), 1);
	assert_int_equal(fake_cee_logged(&f->fake, "\"path\": \"/vee\""), 1);
	assert_int_equal(fake_cee_logged(&f->fake, "\"scan_id\": 4711"), 1);
	assert_int_equal(fake_cee_logged(&f->fake, "\"unc\": "
		"\"\\\\\\\\127.0.0.1\\\\CHECK$\\\\dir\\\\file.bin\""), 1);
	assert_int_equal(fake_cee_logged(&f->fake,
					 "\"sourceIP\": \"127.0.0.1\""), 1);
}

static void test_faults(void **state)
{
	static const struct {
		const char *rule;
		int error;
		enum verdict_reason reason;
		const char *detail;
	} faults[] = {
		{ "500", 0, VERDICT_REASON_BAD_REPLY, "HTTP status 500" },
		{ "redirect", 0, VERDICT_REASON_BAD_REPLY, "302" },
		{ "empty", 0, VERDICT_REASON_BAD_REPLY, "empty" },
		{ "garbage", 0, VERDICT_REASON_BAD_REPLY, "CheckFileResponse" },
		{ "not-http", 0, VERDICT_REASON_BAD_REPLY, "" },
		{ "long", 0, VERDICT_REASON_BAD_REPLY, "too long" },
		{ "wrong-id", 0, VERDICT_REASON_BAD_REPLY, "another scan" },
		{ "heartbeat", 0, VERDICT_REASON_BAD_REPLY, "heartbeat" },
		{ "status 0x3 gone", 0, VERDICT_REASON_SERVER_ERROR, "gone" },
		{ "status 0x4", 0, VERDICT_REASON_SERVER_ERROR, "DENIED" },
		{ "status 0x2", 0, VERDICT_REASON_SERVER_ERROR, "AV_NOT" },
		{ "status 0x7", 0, VERDICT_REASON_SERVER_ERROR, "0x7" },
		{ "status 0x99", 0, VERDICT_REASON_SERVER_ERROR, "unknown" },
		{ "bare 0x5", 0, VERDICT_REASON_SERVER_ERROR, "FAIL" },
		{ "status 0x6", 0, VERDICT_REASON_TIMEOUT, "TIMEOUT" },
		{ "hang", ETIMEDOUT, 0, "" },
		{ "slow-drip", ETIMEDOUT, 0, "" },
		{ "close", ECONNRESET, 0, "" },
		{ "truncated", ECONNRESET, 0, "" },
		{ "header-drip", ETIMEDOUT, 0, "" },
		{ "endless", 0, VERDICT_REASON_BAD_REPLY, "too long" },
		{ "headers", 0, VERDICT_REASON_BAD_REPLY, "too long" },
		{ "wrong-type", 0, VERDICT_REASON_BAD_REPLY, "text/html" },
		{ "charset", 0, VERDICT_REASON_BAD_REPLY, "CheckFile" },
		{ "gzip", 0, VERDICT_REASON_BAD_REPLY, "" },
		{ "deep", 0, VERDICT_REASON_BAD_REPLY, "CheckFile" },
		{ "entities", 0, VERDICT_REASON_BAD_REPLY, "CheckFile" },
		{ "external", 0, VERDICT_REASON_BAD_REPLY, "CheckFile" },
		{ "bad-chunk", ECONNRESET, 0, "chunk" },
		{ "two-lengths", 0, VERDICT_REASON_BAD_REPLY, "" },
		{ "early", 0, VERDICT_REASON_BAD_REPLY, "" },
		{ "early", 0, VERDICT_REASON_BAD_REPLY, "" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct engine_answer *a = NULL;

		f->timeout = faults[i].error == ETIMEDOUT ? 1 : PATIENCE;
		a = scan(f, faults[i].rule);
		if (f->error != faults[i].error ||
		    strstr(a->detail, faults[i].detail) == NULL) {
			fail_msg("%s: %s, %s", faults[i].rule,
				 strerror(f->error), a->detail);
		}
		assert_string_not_equal(a->detail, "");
		assert_string_equal(a->threat, "");
		if (f->error != 0) {
			continue;
		}
		assert_int_equal(a->result, VERDICT_FAILED);
		assert_int_equal(a->reason, faults[i].reason);
		assert_true(a->server_fault);
		assert_int_equal(a->timed_out,
				 a->reason == VERDICT_REASON_TIMEOUT);
	}
	fake_cee_kill(&f->fake);
	/* what "early" has left may come first, and is no answer either */
	if (scan(f, "clean") != NULL && f->error == 0) {
		assert_non_null(strstr(f->answer.detail, "another scan"));
	}
	if (scan(f, "clean") == NULL || f->error != ECONNREFUSED) {
		fail_msg("%s, %s", strerror(f->error), f->answer.detail);
	}
}

/* A name that no request can carry is nobody's fault but the name's. */
static void test_names(void **state)
{
	struct fixture *f = *state;
	char *name = talloc_zero_array(f, char, 60000);
	struct engine_answer *a = scan_unc(f, "\\\\h\\CHECK$\\\xff\xfe");

	assert_int_equal(f->error, 0);
	assert_int_equal(a->result, VERDICT_FAILED);
	assert_int_equal(a->reason, VERDICT_REASON_NAME);
	assert_false(a->server_fault);
	memset(name, 'x', 59999);
	a = scan_unc(f, name);
	assert_int_equal(f->error, 0);
	assert_int_equal(a->reason, VERDICT_REASON_NAME);
	assert_int_equal(fake_cee_logged(&f->fake, "scan"), 0);
}

/* An answer to another scan is refused whatever it says. */
static void test_judge_another_scan(void **state)
{
	struct cee_reply reply = {
		.status = CEE_DETECT_VIRUS, .scan = true, .scan_id = 8,
		.av_vendor = "", .threat = "x", .detail = "",
	};
	struct engine_answer a = { 0 };

	(void)state;
	engine_cee_judge(&reply, 7, &a);
	assert_int_equal(a.result, VERDICT_FAILED);
	a = (struct engine_answer) { 0 };
	reply.status = CEE_SUCCESS;
	reply.scan_id = 0;		/* a ScanResponse that does not say */
	engine_cee_judge(&reply, 7, &a);
	assert_int_equal(a.result, VERDICT_FAILED);
	/* "success" and "limit" together are not clean */
	a = (struct engine_answer) { 0 };
	reply.scan_id = 7;
	reply.limit = true;
	engine_cee_judge(&reply, 7, &a);
	assert_int_equal(a.result, VERDICT_UNSCANNABLE);
}

static void test_versions(void **state)
{
	struct fixture *f = *state;
	struct engine_status *s = NULL;

	assert_false(engine_cee_older("8.7.7.0", ""));
	assert_false(engine_cee_older("", ""));
	assert_false(engine_cee_older("8.7", "8.7.0"));
	assert_true(engine_cee_older("8.7.7", "8.10"));
	assert_false(engine_cee_older("9", "8.10"));
	assert_true(engine_cee_older("9.3-beta", "9.3.1"));
	assert_true(engine_cee_older("", "1"));

	f->engine->version_minimum = "9.4";
	s = heartbeat(f, "clean");
	assert_true(s->online && s->too_old);
	assert_string_equal(s->detail, "CEE 9.3.0.0 is older than "
			    "version_minimum = 9.4 of [cee]");
	f->engine->version_minimum = "9.3";
	s = heartbeat(f, "clean");
	assert_true(s->online && !s->too_old);
	s = heartbeat(f, "bare 0x0");
	assert_true(s->online && s->too_old);
}

static void test_heartbeats(void **state)
{
	struct fixture *f = *state;
	struct engine_status *s = heartbeat(f, "clean");

	assert_int_equal(f->error, 0);
	assert_true(s->online && s->av_ok);
	assert_string_equal(s->version, "CEE 9.3.0.0");
	assert_string_equal(s->dtd_version, "2.5.3");
	assert_string_equal(s->vendor, "Fake 1.0");
	assert_string_equal(s->address, "127.0.0.1");
	assert_int_equal(s->signature_time, 1700000000);

	s = heartbeat(f, "bare 0x0");
	assert_true(s->online && s->av_ok);
	s = heartbeat(f, "status 0x2");
	assert_true(s->online && !s->av_ok);
	assert_string_not_equal(s->detail, "");
	s = heartbeat(f, "empty");
	assert_int_equal(f->error, 0);
	assert_false(s->online || s->av_ok);
	assert_string_not_equal(s->detail, "");
	s = heartbeat(f, "503");
	assert_false(s->online || s->av_ok);
	heartbeat(f, "close");
	assert_int_equal(f->error, ECONNRESET);
}

static void test_urls(void **state)
{
	static const struct {
		const char *uri;
		const char *url;
	} rows[] = {
		{ "cee://av1", "http://av1:12228/vee" },
		{ "cee://av1.example.com:80/cee",
		  "http://av1.example.com:80/cee" },
		{ "cee://10.0.0.1/", "http://10.0.0.1:12228/" },
		{ "cees://av1", "https://av1:12443/vee" },
		{ "cee://[fe80::1]:99/x", "http://[fe80::1]:99/x" },
		{ "cee://[::1]", "http://[::1]:12228/vee" },
		{ "cee://", NULL },
		{ "cee:av1", NULL },
		{ "cee://av1:0/", NULL },
		{ "cee://av1:65536", NULL },
		{ "cee://av1:", NULL },
		{ "cee://av1:12x", NULL },
		{ "cee://user:pw@av1/", NULL },
		{ "cee://av1/a b", NULL },
		{ "cee://av1/#x", NULL },
		{ "cee://::1/", NULL },
		{ "cee://[::1", NULL },
		{ "cee://[nonsense]/", NULL },
		{ "cee://-o/", NULL },
		{ "cee://av1\r\nX: y/", NULL },
		{ "cee:///vee", NULL },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *error = NULL;
		char *host = NULL;
		char *url = engine_cee_url(f, rows[i].uri, &host, &error);

		if (rows[i].url == NULL) {
			assert_null(url);
			assert_non_null(strstr(error, rows[i].uri));
			continue;
		}
		assert_string_equal(url, rows[i].url);
	}
}

static void test_cluster_id(void **state)
{
	struct fixture *f = *state;
	char *a = engine_cee_cluster_id(f, "host");
	char *b = engine_cee_cluster_id(f, "host");

	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef"), 36);
	assert_string_equal(a, b);
}

static void test_cancel(void **state)
{
	struct engine_scan s = {
		.id = 1, .path = "/x", .unc = UNC, .fd = -1, .timeout = 30,
	};
	struct fixture *f = *state;
	struct tevent_req *req = NULL;

	fake_cee_rule(&f->fake, "file.bin", "hang");
	req = engine_cee.scan_send(f, f->ev, f->engine, &s);
	tevent_req_set_callback(req, scanned, f);
	fake_cee_wait_logged(&f->fake, f->ev, "file.bin", 1);
	talloc_free(req);
	assert_int_equal(scan(f, "clean")->result, VERDICT_CLEAN);
	assert_false(f->done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_verdicts),
		TEST(test_what_is_asked),
		TEST(test_faults),
		TEST(test_names),
		TEST(test_judge_another_scan),
		TEST(test_heartbeats),
		TEST(test_versions),
		TEST(test_urls),
		TEST(test_cluster_id),
		TEST(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
