/* includes: cavad/server.c
 *
 * What is owed: kept until it is paid, and no longer. Servers are the
 * test's (scan_test.h), files process and store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/scan_private.h"
#include "tests/unit/scan_test.h"

#include "cavad/debt_private.h"

/* Pure: only a verdict, or that there is nothing to scan, pays. */
static void test_after(void **p)
{
	static const struct {
		enum verdict_result result;
		enum verdict_reason reason;
		enum debt_after after;
	} rows[] = {
		{ VERDICT_CLEAN, VERDICT_REASON_NONE, DEBT_PAID },
		{ VERDICT_INFECTED, VERDICT_REASON_NONE, DEBT_PAID },
		{ VERDICT_INFECTED, VERDICT_REASON_CHANGED, DEBT_KEPT },
		{ VERDICT_UNSCANNABLE, VERDICT_REASON_LIMIT, DEBT_PAID },
		{ VERDICT_SKIPPED, VERDICT_REASON_TOO_LARGE, DEBT_PAID },
		{ VERDICT_FAILED, VERDICT_REASON_GONE, DEBT_PAID },
		{ VERDICT_FAILED, VERDICT_REASON_NOT_REGULAR, DEBT_PAID },
		{ VERDICT_FAILED, VERDICT_REASON_OUTSIDE, DEBT_PAID },
		{ VERDICT_FAILED, VERDICT_REASON_NO_SERVER, DEBT_BLOCKED },
		{ VERDICT_FAILED, VERDICT_REASON_TIMEOUT, DEBT_KEPT },
		{ VERDICT_FAILED, VERDICT_REASON_NOT_FETCHED, DEBT_KEPT },
		{ VERDICT_FAILED, VERDICT_REASON_WRONG_FILE, DEBT_KEPT },
		{ VERDICT_FAILED, VERDICT_REASON_CHANGED, DEBT_KEPT },
		{ VERDICT_FAILED, VERDICT_REASON_IO, DEBT_KEPT },
		{ VERDICT_FAILED, VERDICT_REASON_FULL, DEBT_KEPT },
		{ VERDICT_FAILED, VERDICT_REASON_SERVER_ERROR, DEBT_KEPT },
		{ VERDICT_NONE, VERDICT_REASON_NONE, DEBT_KEPT },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct verdict v = {
			.result = rows[i].result, .reason = rows[i].reason,
		};

		assert_int_equal(debt_after(&v), rows[i].after);
	}
}

static bool owed(struct test *t, const char *path)
{
	struct ident ident = ident_at(path);

	return scan_owed(t->scans, &ident);
}

static void came(struct test *t, const char *path)
{
	struct ident ident = ident_at(path);

	scan_writer_came(t->scans, &ident);
}

static void left(struct test *t, const char *path)
{
	struct ident ident = ident_at(path);

	scan_writer_left(t->scans, &ident);
}

static void test_close_is_paid_by_a_verdict(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	assert_false(owed(t, path));
	notice(t, path, PROTO_KIND_CLOSE);
	assert_true(owed(t, path));
	assert_int_equal(pending_kind(t, path), PROTO_KIND_CLOSE);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0);
	assert_false(owed(t, path));
	assert_int_equal(state_of(path), VERDICT_STATE_CLEAN);
}

/* In the store, but no scan, and nobody waits for it. */
static void test_will_write(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	came(t, path);
	notice(t, path, PROTO_KIND_WILL_WRITE);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_WILL_WRITE);
	assert_false(owed(t, path));
	turn_for(t, 50);
	assert_int_equal(t->servers->asked, 0);
}

static void test_writer_gone(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);

	came(t, path);
	notice(t, path, PROTO_KIND_WILL_WRITE);
	scan_writer_gone(t->scans, &ident);
	assert_true(owed(t, path));
	WAIT_FOR(t, pending_kind(t, path) == PROTO_KIND_CLOSE);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0);
	scan_writer_gone(t->scans, &ident);	/* one that nobody knows */
	turn_for(t, 30);
	assert_int_equal(t->servers->asked, 1);
	assert_int_equal(pending(t), 0);
}

/* Nothing is written while the smbd is there to say it again. */
static void test_smbd_gone(void **p)
{
	struct test *t = *p;
	const struct debts *debts = t->scans->debts;
	struct tevent_req *req = notice_send(t, make_file(t, "a"),
					     PROTO_KIND_CLOSE);

	assert_false(TAILQ_EMPTY(&debts->unwritten));
	scan_write(t->scans);
	assert_true(TAILQ_EMPTY(&debts->unwritten));
	WAIT_FOR(t, pending(t) == 1);
	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(scan_notice_recv(req), 0);
	talloc_free(req);
}

/* A handle that wrote is closed: as ipc_peer.c says it. */
static void closed(struct test *t, const char *path)
{
	struct tevent_req *req = notice_send(t, path, PROTO_KIND_CLOSE);

	left(t, path);
	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(scan_notice_recv(req), 0);
	talloc_free(req);
}

/* One of two writers closes: a scan, and still something to keep. */
static void test_writer_remains(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	t->servers->at_once = true;
	came(t, path);
	came(t, path);
	notice(t, path, PROTO_KIND_WILL_WRITE);
	closed(t, path);
	WAIT_FOR(t, pending_kind(t, path) == PROTO_KIND_WILL_WRITE);
	assert_int_equal(t->servers->asked, 1);
	assert_false(owed(t, path));
	change_file(path);
	closed(t, path);
	WAIT_FOR(t, pending(t) == 0);
	assert_int_equal(t->servers->asked, 2);
}

/* A WILL_WRITE undoes no close that is owed. */
static void test_will_write_after_close(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	notice(t, path, PROTO_KIND_CLOSE);
	RUNNING(t, 1);
	came(t, path);
	notice(t, path, PROTO_KIND_WILL_WRITE);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_CLOSE);
	assert_true(owed(t, path));
}

/* What was noticed while it was scanned is not paid by that scan. */
static void test_newer_notice(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	notice(t, path, PROTO_KIND_CLOSE);
	RUNNING(t, 1);
	change_file(path);
	notice(t, path, PROTO_KIND_CLOSE);
	fake_end(t->servers, VERDICT_CLEAN);
	RUNNING(t, 1);
	assert_int_equal(pending(t), 1);
	assert_int_not_equal(state_of(path), VERDICT_STATE_CLEAN);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0 || t->servers->running_count == 1);
	if (t->servers->running_count == 1) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	WAIT_FOR(t, pending(t) == 0);
	assert_int_equal(state_of(path), VERDICT_STATE_CLEAN);
}

/* Written with the next breath, whatever ended in between. */
static void test_restart(void **p)
{
	struct test *t = *p;
	char *closed = make_file(t, "closed");
	char *written = make_file(t, "written");

	came(t, written);
	notice(t, written, PROTO_KIND_WILL_WRITE);
	notice(t, closed, PROTO_KIND_CLOSE);
	RUNNING(t, 1);
	restart(t);
	assert_true(owed(t, closed));
	RUNNING(t, 2);
	fake_end(t->servers, VERDICT_CLEAN);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0);
	assert_int_equal(state_of(closed), VERDICT_STATE_CLEAN);
	assert_int_equal(state_of(written), VERDICT_STATE_CLEAN);
}

static void usable(struct test *t)
{
	t->servers->online = true;
	t->servers->usable_fn(t->servers->usable_private);
}

static void test_kept_until_a_server_is_back(void **p)
{
	struct test *t = *p;
	char *paths[100];
	char name[16];
	int i;

	t->servers->online = false;
	t->servers->at_once = true;
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		paths[i] = make_file(t, name);
		notice(t, paths[i], PROTO_KIND_CLOSE);
	}
	turn_for(t, 50);
	assert_int_equal(pending(t), 100);
	usable(t);
	WAIT_FOR(t, pending(t) == 0);
	assert_int_equal(t->servers->asked, 100);
	for (i = 0; i < 100; i++) {
		assert_int_equal(state_of(paths[i]), VERDICT_STATE_CLEAN);
	}
}

static void test_failure_is_kept(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	notice(t, path, PROTO_KIND_RENAME);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_FAILED);
	turn_for(t, 50);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_RENAME);
	assert_true(owed(t, path));
	assert_int_equal(t->servers->running_count, 0);
	usable(t);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0);
}

static void test_gone_is_paid(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	t->servers->online = false;
	notice(t, path, PROTO_KIND_CLOSE);
	turn_for(t, 30);
	assert_int_equal(pending(t), 1);
	assert_int_equal(unlink(path), 0);
	usable(t);
	WAIT_FOR(t, pending(t) == 0);
	assert_int_equal(t->servers->asked, 0);
}

/* More than there is room for: all are scanned, a few at a time. */
static void test_more_than_fits(void **p)
{
	struct test *t = *p;
	char name[16];
	int i;

	t->config->settings.scan_maximum = 8;
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		notice(t, make_file(t, name), PROTO_KIND_CLOSE);
	}
	assert_int_equal(pending(t), 50);
	RUNNING(t, 5);		/* of the lane of what is owed */
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	WAIT_FOR(t, pending(t) == 0);
	assert_int_equal(t->servers->asked, 50);
	assert_true(t->servers->most <= 6);
}

/* A copied tree does not fill all the room that jobs have. */
static void test_leaves_room_for_jobs(void **p)
{
	struct test *t = *p;
	struct tevent_req *job = NULL;
	char name[16];
	int i;

	t->config->settings.scan_maximum = 16;
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		notice(t, make_file(t, name), PROTO_KIND_CLOSE);
	}
	RUNNING(t, 5);
	turn_for(t, 50);
	assert_int_equal(t->scans->count, 10);
	job = ask(t, make_file(t, "a"), SCAN_JOB, false);
	RUNNING(t, 6);
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	assert_int_equal(answer_of(t, job).verdict.result, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0);
}

static void test_service_disabled(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	t->config->settings.service_enabled = false;
	notice(t, path, PROTO_KIND_CLOSE);
	turn_for(t, 50);
	assert_int_equal(pending(t), 1);
	assert_int_equal(t->servers->asked, 0);
	/* what happened meanwhile is owed all the same */
	t->config->settings.service_enabled = true;
	restart(t);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after),
		TEST(test_close_is_paid_by_a_verdict), TEST(test_will_write),
		TEST(test_writer_gone), TEST(test_smbd_gone),
		TEST(test_writer_remains),
		TEST(test_will_write_after_close), TEST(test_newer_notice),
		TEST(test_restart), TEST(test_kept_until_a_server_is_back),
		TEST(test_failure_is_kept), TEST(test_gone_is_paid),
		TEST(test_more_than_fits), TEST(test_service_disabled),
		TEST(test_leaves_room_for_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
