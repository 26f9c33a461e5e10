/* includes: cavad/server.c
 *
 * Who watches scans hears of each once, with what it was. Servers are the
 * test's (scan_test.h), files process and store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"

static struct scan_facts last;
static struct verdict last_verdict;
static struct ident last_ident;
static char last_report[64], last_path[128], last_server[64], last_user[64];
static char last_share[64];
static unsigned int told;

static void watch(void *private_data, const struct scan_facts *facts)
{
	unsigned int *count = private_data;

	(*count)++;
	last = *facts;
	last_verdict = *facts->verdict;
	if (facts->ident != NULL) {
		last_ident = *facts->ident;
	}
	snprintf(last_report, sizeof(last_report), "%s", facts->report);
	snprintf(last_path, sizeof(last_path), "%s", facts->path);
	snprintf(last_server, sizeof(last_server), "%s", facts->server);
	snprintf(last_user, sizeof(last_user), "%s", facts->user);
	snprintf(last_share, sizeof(last_share), "%s", facts->share);
}

static int set_up_watch(void **p)
{
	struct test *t = NULL;
	int ret = set_up(p);

	t = *p;
	told = 0;
	assert_int_equal(scans_watch(t->scans, watch, &told), 0);
	return ret;
}

static void test_facts(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	const struct scan_request request = {
		.source = SCAN_ON_ACCESS, .have_ident = true, .ident = ident,
		.path = path, .user = "DOM\\user", .client = "192.0.2.1",
		.share = "docs",
	};
	struct tevent_req *req = scan_send(t, t->ev, t->scans, &request);

	RUNNING(t, 1);
	assert_int_equal(told, 0);
	t->servers->running[0]->answer.sent = 7;
	fake_end(t->servers, VERDICT_INFECTED);
	answer_of(t, req);
	assert_int_equal(told, 1);
	assert_int_equal(last.sources, SCAN_FROM(SCAN_ON_ACCESS));
	assert_string_equal(last_report, "");
	assert_string_equal(last_path, path);
	assert_string_equal(last_server, FAKE_NAME);
	assert_string_equal(last_user, "DOM\\user");
	assert_string_equal(last_share, "docs");
	assert_true(ident_equal(&last_ident, &ident));
	assert_int_equal(last_verdict.result, VERDICT_INFECTED);
	assert_string_equal(last_verdict.threat, "Eicar");
	assert_int_equal(last_verdict.content.size, 10);
	assert_int_equal(last.bytes_sent, 7);
	assert_int_equal(last.bytes_passed, 0);
	assert_true(last.duration > 0);
	assert_false(last.from_record);

	answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(told, 2);
	assert_true(last.from_record);
	assert_int_equal(last_verdict.result, VERDICT_INFECTED);
	assert_int_equal(last.duration, 0);
}

/* Many questions, one scan; what is asked too late is one of its own. */
static void test_once_a_scan(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	const struct scan_request job = {
		.source = SCAN_JOB, .have_ident = true,
		.ident = ident_at(path), .path = path, .report = "J-7",
	};
	struct tevent_req *one = ask(t, path, SCAN_ON_ACCESS, false);
	struct tevent_req *two = NULL;

	RUNNING(t, 1);
	two = scan_send(t, t->ev, t->scans, &job);
	notice(t, path, PROTO_KIND_CLOSE);
	fake_end(t->servers, VERDICT_CLEAN);
	answer_of(t, one);
	answer_of(t, two);
	assert_true(told >= 1);
	WAIT_FOR(t, told == 2 && pending(t) == 0);
	/* the notice's: it came while the server may have begun to read */
	assert_int_equal(last.sources, SCAN_FROM(SCAN_NOTICE));
	assert_string_equal(last_report, "");
	assert_true(last.from_record);
}

static void test_sources_are_joined(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	const struct scan_request job = {
		.source = SCAN_JOB, .have_ident = true,
		.ident = ident_at(path), .path = path, .report = "J-7",
	};
	struct tevent_req *one = ask(t, path, SCAN_ON_ACCESS, false);
	struct tevent_req *two = NULL;

	RUNNING(t, 1);
	two = scan_send(t, t->ev, t->scans, &job);
	fake_end(t->servers, VERDICT_CLEAN);
	answer_of(t, one);
	answer_of(t, two);
	assert_int_equal(told, 1);
	assert_int_equal(last.sources, SCAN_FROM(SCAN_ON_ACCESS) |
			 SCAN_FROM(SCAN_JOB));
	assert_string_equal(last_report, "J-7");
}

static void test_no_verdict_is_told(void **p)
{
	struct test *t = *p;
	const struct scan_request request = {
		.source = SCAN_MANUAL, .path = path_in(t, "none"),
		.report = "M-1",
	};
	unsigned int also = 0;

	assert_int_equal(scans_watch(t->scans, watch, &also), 0);
	answer_of(t, scan_send(t, t->ev, t->scans, &request));
	assert_int_equal(told, 1);
	assert_int_equal(also, 1);
	assert_null(last.ident);
	assert_int_equal(last_verdict.result, VERDICT_FAILED);
	assert_int_equal(last_verdict.reason, VERDICT_REASON_GONE);
	assert_string_equal(last_report, "M-1");
	assert_string_equal(last_server, "");
}

static char late_report[64];
static uint64_t late_bytes;

static void late(void *private_data, const char *report, uint64_t bytes)
{
	(void)private_data;
	snprintf(late_report, sizeof(late_report), "%s", report);
	late_bytes += bytes;
}

/* Bytes of a handle that is closed while the scan goes on, and after it. */
static void test_fetched_bytes(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct ident other = ident_at(t->root);
	struct tevent_req *req = NULL;

	late_bytes = 0;
	t->servers->fetches = true;
	scans_set_report(t->scans, "A-1");
	scans_on_late_bytes(t->scans, late, NULL);
	scan_bytes_fetched(t->scans, &ident, 1);	/* of no scan */
	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	scan_fetched(t->scans, &ident);
	scan_bytes_fetched(t->scans, &ident, 6);
	scan_bytes_fetched(t->scans, &ident, 4);
	scan_bytes_fetched(t->scans, &other, 100);
	fake_end(t->servers, VERDICT_CLEAN);
	answer_of(t, req);
	assert_int_equal(last.bytes_fetched, 10);
	assert_string_equal(last_report, "A-1");
	assert_int_equal(late_bytes, 0);
	scan_bytes_fetched(t->scans, &ident, 3);
	assert_int_equal(late_bytes, 3);
	assert_string_equal(late_report, "A-1");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_watch, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_facts),
		TEST(test_once_a_scan),
		TEST(test_sources_are_joined),
		TEST(test_no_verdict_is_told),
		TEST(test_fetched_bytes),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
