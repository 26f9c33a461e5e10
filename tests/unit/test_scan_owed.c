/*
 * What only a notice asks for is looked at when its turn has come, and once.
 * Servers are the test's (scan_test.h), files process and store the real
 * ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/scan_private.h"
#include "tests/unit/scan_test.h"

#define PLACES 5		/* a quarter of the server's 20 */
#define OWED (PLACES + 3)

struct owed {
	char *paths[OWED];
	struct tevent_req *reqs[OWED];
};

static void owe(struct test *t, struct owed *o)
{
	unsigned int i;

	for (i = 0; i < OWED; i++) {
		if (o->paths[i] == NULL) {
			o->paths[i] = make_file(t, talloc_asprintf(t, "f%u",
								   i));
		}
		o->reqs[i] = ask(t, o->paths[i], SCAN_NOTICE, false);
	}
}

static uint32_t in_lane(struct test *t, enum queue_lane lane)
{
	struct scan_queue_status q;

	assert_true(scan_queue_status(t->scans, lane, &q));
	return q.size;
}

/* They end as they come; each file was looked at once. */
static void all_are_clean(struct test *t, struct owed *o)
{
	unsigned int i;

	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	for (i = 0; i < OWED; i++) {
		assert_int_equal(answer_of(t, o->reqs[i]).verdict.result,
				 VERDICT_CLEAN);
		assert_int_equal(state_of(o->paths[i]), VERDICT_STATE_CLEAN);
	}
	assert_int_equal(t->scans->last_id, OWED);
}

static void test_looked_at_in_turn(void **p)
{
	struct test *t = *p;
	struct owed o = { .paths = { NULL } };

	owe(t, &o);
	assert_int_equal(in_lane(t, QUEUE_OWED), OWED);
	RUNNING(t, PLACES);
	turn_for(t, 30);
	assert_int_equal(t->servers->running_count, PLACES);
	assert_int_equal(t->scans->last_id, PLACES);
	assert_int_equal(leases(o.paths, OWED), PLACES);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, t->servers->asked == PLACES + 1);
	assert_string_equal(t->servers->running[PLACES - 1]->path,
			    o.paths[PLACES]);
	assert_int_equal(t->scans->last_id, PLACES + 1);
	all_are_clean(t, &o);
	assert_int_equal(t->servers->asked, OWED);
	assert_int_equal(in_lane(t, QUEUE_OWED), 0);
	WAIT_FOR(t, leases(o.paths, OWED) == 0);
}

/* What has its verdict gives the place to the next one. */
static void test_current_leaves(void **p)
{
	struct test *t = *p;
	struct owed o = { .paths = { make_file(t, "f0") } };
	struct tevent_req *before = ask(t, o.paths[0], SCAN_MANUAL, false);

	t->servers->at_once = true;
	assert_int_equal(answer_of(t, before).verdict.result, VERDICT_CLEAN);
	t->servers->at_once = false;
	t->scans->last_id = 0;
	owe(t, &o);
	RUNNING(t, PLACES);
	assert_string_equal(t->servers->running[PLACES - 1]->path,
			    o.paths[PLACES]);
	all_are_clean(t, &o);
	assert_int_equal(t->servers->asked, OWED);
}

/* Who waits for one of them does not wait for its turn. */
static void test_reader_goes_first(void **p)
{
	struct test *t = *p;
	struct owed o = { .paths = { NULL } };
	struct tevent_req *reader = NULL;

	owe(t, &o);
	reader = ask(t, o.paths[OWED - 1], SCAN_ON_ACCESS, false);
	assert_int_equal(in_lane(t, QUEUE_OWED), OWED - 1);
	RUNNING(t, PLACES + 1);
	assert_int_equal(in_lane(t, QUEUE_FAST), 1);
	assert_int_equal(t->scans->last_id, PLACES + 1);
	all_are_clean(t, &o);
	assert_int_equal(answer_of(t, reader).verdict.result, VERDICT_CLEAN);
	assert_int_equal(t->servers->asked, OWED);
}

/* Nor for a server, where none is needed. */
static void test_reader_of_current(void **p)
{
	struct test *t = *p;
	char *current = make_file(t, "f7");
	struct owed o = { .paths = { [OWED - 1] = current } };
	struct tevent_req *reader = ask(t, current, SCAN_MANUAL, false);
	struct tevent_req *others[25];
	unsigned int i;

	t->servers->at_once = true;
	assert_int_equal(answer_of(t, reader).verdict.result, VERDICT_CLEAN);
	t->servers->at_once = false;
	owe(t, &o);
	for (i = 0; i < 25; i++) {
		others[i] = ask(t, make_file(t, talloc_asprintf(t, "r%u", i)),
				SCAN_ON_ACCESS, false);
	}
	RUNNING(t, PLACES + 20);
	reader = ask(t, current, SCAN_ON_ACCESS, false);
	assert_true(answer_of(t, reader).from_record);
	assert_true(answer_of(t, o.reqs[OWED - 1]).from_record);
	assert_int_equal(t->servers->running_count, PLACES + 20);
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	for (i = 0; i < 25; i++) {
		answer_of(t, others[i]);
	}
}

/* A job that asks for one of them does not put it behind its own. */
static void test_job_joins(void **p)
{
	struct test *t = *p;
	struct owed o = { .paths = { NULL } };
	struct tevent_req *job = NULL;
	unsigned int i;

	owe(t, &o);
	RUNNING(t, PLACES);	/* bunches overtake: the oldest is owed */
	job = ask(t, o.paths[PLACES], SCAN_JOB, false);
	for (i = 0; i < 30; i++) {
		ask(t, make_file(t, talloc_asprintf(t, "j%u", i)), SCAN_JOB,
		    false);
	}
	WAIT_FOR(t, t->servers->asked == 15);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, t->servers->asked == 16);
	assert_string_equal(t->servers->running[14]->path, o.paths[PLACES]);
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	assert_int_equal(answer_of(t, job).verdict.result, VERDICT_CLEAN);
}

/* That one is large is seen when it has a place, which it then gives back. */
static void test_large_changes_lanes(void **p)
{
	struct test *t = *p;
	struct owed o = { .paths = { make_file(t, "f0") } };

	assert_int_equal(truncate(o.paths[0], QUEUE_LARGE + 1), 0);
	owe(t, &o);
	RUNNING(t, PLACES + 1);
	assert_int_equal(in_lane(t, QUEUE_SLOW), 1);
	assert_int_equal(in_lane(t, QUEUE_OWED), OWED - 1);
	t->scans->last_id--;	/* begun, since a look locks nothing large */
	all_are_clean(t, &o);
	assert_int_equal(in_lane(t, QUEUE_SLOW), 0);
}

/* Servers "av", or those of where the first file went. */
static const char *pool_of(void *private_data, const char *path)
{
	(void)private_data;
	return strstr(path, "moved") != NULL ? "moved" : SERVER_POOL;
}

static void test_moved_to_another_pool(void **p)
{
	struct test *t = *p;
	struct owed o = { .paths = { NULL } };
	struct scan_pool *pool = NULL;
	char *moved = path_in(t, "moved");

	scans_on_pool(t->scans, pool_of, NULL);
	owe(t, &o);
	assert_int_equal(rename(o.paths[0], moved), 0);
	o.paths[0] = moved;
	RUNNING(t, PLACES + 1);
	pool = scan_pool_get(t->scans, "moved");
	assert_int_equal(pool->queue.running[QUEUE_OWED], 1);
	pool = scan_pool_get(t->scans, SERVER_POOL);
	assert_int_equal(pool->queue.running[QUEUE_OWED], PLACES);
	all_are_clean(t, &o);
	assert_int_equal(in_lane(t, QUEUE_OWED), 0);
}

/* What came too late for a scan has the pool of where the file is then. */
static void test_guess_is_no_choice(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "f0");
	char *moved = path_in(t, "moved");
	struct tevent_req *req = ask(t, path, SCAN_MANUAL, false);
	struct tevent_req *late = NULL;
	struct scan_pool *pool = NULL;

	t->servers->at_once = true;
	answer_of(t, req);
	t->servers->at_once = false;
	scans_on_pool(t->scans, pool_of, NULL);
	req = ask(t, path, SCAN_NOTICE, false);
	assert_int_equal(rename(path, moved), 0);
	change_file(moved);
	assert_int_equal(utimensat(AT_FDCWD, moved, NULL, 0), 0);
	late = ask(t, moved, SCAN_NOTICE, true);
	RUNNING(t, 1);
	pool = scan_pool_get(t->scans, "moved");
	assert_int_equal(pool->queue.running[QUEUE_OWED], 1);
	t->servers->at_once = true;
	fake_end(t->servers, VERDICT_CLEAN);
	answer_of(t, req);
	answer_of(t, late);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_looked_at_in_turn),
		TEST(test_current_leaves),
		TEST(test_reader_goes_first),
		TEST(test_reader_of_current),
		TEST(test_job_joins),
		TEST(test_large_changes_lanes),
		TEST(test_moved_to_another_pool),
		TEST(test_guess_is_no_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
