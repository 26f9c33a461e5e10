/* includes: cavad/debt_keep.c */
/*
 * When a debt is written: the test says what time it is, and nothing comes
 * by itself. Servers are the test's, files process and store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"

#include "cavad/scan_private.h"
#include "common/tick.h"

static uint64_t test_now = 1000000;	/* us */
static uint64_t test_ticks_in;		/* us; 0 = the tick is not set */
static int test_write_error;
static bool test_busy;
static unsigned int test_deletes;

static int test_clock(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec) {
		.tv_sec = (time_t)(test_now / 1000000),
		.tv_nsec = (long)(test_now % 1000000) * 1000,
	};
	return 0;
}

static void test_tick_in(struct tick *t, uint64_t us)
{
	(void)t;
	test_ticks_in = us;
}

static bool test_tick_is_set(const struct tick *t)
{
	(void)t;
	return test_ticks_in != 0;
}

static int test_write_recv(struct tevent_req *req)
{
	int ret = store_write_recv(req);

	return test_write_error != 0 ? test_write_error : ret;
}

static bool test_is_busy(struct store *s)
{
	(void)s;
	return test_busy;
}

static struct tevent_req *test_del_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct store *s,
					const struct ident *ident)
{
	test_deletes++;
	return store_pending_del_send(mem_ctx, ev, s, ident);
}

#define clock_gettime test_clock
#define store_is_busy test_is_busy
#define store_pending_del_send test_del_send
#define tick_in test_tick_in
#define tick_is_set test_tick_is_set
#define store_write_recv test_write_recv
#include "cavad/debt_keep.c"
#undef clock_gettime
#undef store_is_busy
#undef store_pending_del_send
#undef tick_in
#undef tick_is_set
#undef store_write_recv

#define OVER(req) (!tevent_req_is_in_progress(req))

static int set_up_keep(void **p)
{
	test_ticks_in = 0;
	test_write_error = 0;
	test_busy = false;
	test_deletes = 0;
	return set_up(p);
}

/* Later, at the time for which the tick was set. */
static void time_comes(struct test *t)
{
	assert_int_not_equal(test_ticks_in, 0);
	test_now += test_ticks_in;
	test_ticks_in = 0;
	debts_write_time(t->scans->debts);
}

/* 0 or errno */
static int end_of(struct test *t, struct tevent_req *req)
{
	int ret;

	WAIT_FOR(t, OVER(req));
	ret = scan_notice_recv(req);
	talloc_free(req);
	return ret;
}

/* Acknowledged, and the database never heard of it. */
static void test_paid_before(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *first = NULL;
	struct tevent_req *second = NULL;

	t->servers->at_once = true;
	first = notice_send(t, path, PROTO_KIND_WILL_WRITE);
	turn_for(t, 30);
	assert_false(OVER(first));
	second = notice_send(t, path, PROTO_KIND_CLOSE);
	assert_int_equal(end_of(t, first), 0);
	assert_int_equal(end_of(t, second), 0);
	assert_int_equal(state_of(path), VERDICT_STATE_CLEAN);
	assert_int_equal(pending(t), 0);
	time_comes(t);
	assert_int_equal(test_deletes, 0);
	assert_int_equal(test_ticks_in, 0);
}

/* What the scan has left to be written comes first: in order, so behind it. */
static void test_paid_in_order(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = NULL;

	test_busy = true;
	t->servers->at_once = true;
	req = notice_send(t, path, PROTO_KIND_CLOSE);
	WAIT_FOR(t, test_deletes == 1);
	assert_false(OVER(req));
	assert_int_equal(end_of(t, req), 0);
	assert_int_equal(pending(t), 0);
}

/* Neither earlier, nor later, nor forgotten. */
static void test_written_in_time(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = notice_send(t, path, PROTO_KIND_CLOSE);

	WAIT_FOR(t, t->servers->running_count == 1);
	assert_int_equal(test_ticks_in, DEBT_PATIENCE);
	store_flush(t->store);
	assert_false(OVER(req));
	assert_int_equal(pending(t), 0);
	time_comes(t);
	assert_int_equal(end_of(t, req), 0);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_CLOSE);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, pending(t) == 0);
}

/* The tick may be that of one that is paid: the next has its full time. */
static void test_the_oldest_counts(void **p)
{
	struct test *t = *p;
	char *paid = make_file(t, "a");
	char *owed = make_file(t, "b");
	char *young = make_file(t, "c");
	struct tevent_req *req = notice_send(t, paid, PROTO_KIND_CLOSE);
	struct tevent_req *late = NULL;

	WAIT_FOR(t, t->servers->running_count == 1);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(end_of(t, req), 0);
	test_now += 4000;
	test_ticks_in -= 4000;
	req = notice_send(t, owed, PROTO_KIND_CLOSE);
	time_comes(t);
	assert_int_equal(test_ticks_in, 4000);
	late = notice_send(t, young, PROTO_KIND_WILL_WRITE);
	time_comes(t);
	assert_int_equal(end_of(t, req), 0);
	assert_int_equal(end_of(t, late), 0);
	assert_int_equal(pending(t), 2);
}

/* A notice that is no more, and a cavad that ends. */
static void test_nobody_waits(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	char *other = make_file(t, "b");
	struct tevent_req *req = notice_send(t, path, PROTO_KIND_CLOSE);

	talloc_free(req);
	time_comes(t);
	WAIT_FOR(t, pending_kind(t, path) == PROTO_KIND_CLOSE);
	req = notice_send(t, other, PROTO_KIND_WILL_WRITE);
	restart(t);
	talloc_free(req);
	assert_int_equal(pending_kind(t, other), PROTO_KIND_WILL_WRITE);
}

/* What could not be written is not taken for written. */
static void test_failed_write(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = notice_send(t, path, PROTO_KIND_CLOSE);

	WAIT_FOR(t, t->servers->running_count == 1);
	test_write_error = EIO;
	time_comes(t);
	assert_int_equal(end_of(t, req), EIO);
	test_write_error = 0;
	req = notice_send(t, path, PROTO_KIND_CLOSE);
	time_comes(t);
	assert_int_equal(end_of(t, req), 0);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_CLOSE);
}

/* A server is back before the debt is where a sweep looks for it. */
static void test_missed_by_a_sweep(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = NULL;

	req = notice_send(t, path, PROTO_KIND_CLOSE);
	WAIT_FOR(t, t->servers->running_count == 1);
	fake_end(t->servers, VERDICT_FAILED);
	turn_for(t, 30);
	assert_int_equal(t->servers->running_count, 0);
	t->servers->usable_fn(t->servers->usable_private);
	turn_for(t, 30);
	assert_int_equal(t->servers->running_count, 0);
	time_comes(t);
	assert_int_equal(end_of(t, req), 0);
	WAIT_FOR(t, t->servers->running_count == 1);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, state_of(path) == VERDICT_STATE_CLEAN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_keep, \
						   tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_paid_before), TEST(test_paid_in_order),
		TEST(test_written_in_time),
		TEST(test_the_oldest_counts), TEST(test_nobody_waits),
		TEST(test_failed_write), TEST(test_missed_by_a_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
