/*
 * Lanes: order, limits, who is raised to where.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cavad/queue.h"

static const struct queue_limits many = { { 100, 100, 100, 100 }, 100 };

struct test {
	struct queue q;
	struct queue_entry e[10];
};

static int set_up(void **p)
{
	static struct test t;

	memset(&t, 0, sizeof(t));
	queue_init(&t.q);
	*p = &t;
	return 0;
}

static void assert_next(struct test *t, int i)
{
	assert_ptr_equal(queue_next(&t->q, &many), &t->e[i]);
	assert_int_equal(t->e[i].state, QUEUE_RUNNING);
}

static void test_lane_of(void **p)
{
	(void)p;
	assert_int_equal(queue_lane_of(0, true, false), QUEUE_FAST);
	assert_int_equal(queue_lane_of(QUEUE_LARGE, true, true), QUEUE_FAST);
	assert_int_equal(queue_lane_of(QUEUE_LARGE, false, true), QUEUE_OWED);
	assert_int_equal(queue_lane_of(QUEUE_LARGE, false, false),
			 QUEUE_BATCH);
	assert_int_equal(queue_lane_of(QUEUE_LARGE + 1, true, false),
			 QUEUE_SLOW);
	assert_int_equal(queue_lane_of(QUEUE_LARGE + 1, false, true),
			 QUEUE_SLOW);
}

/* Each lane runs, and slow and batch leave room for fast. */
static void test_limits(void **p)
{
	uint32_t capacity;

	(void)p;
	for (capacity = 0; capacity < 200; capacity++) {
		struct queue_limits l = queue_limits_of(capacity);
		uint32_t rest = l.running[QUEUE_SLOW] +
				l.running[QUEUE_BATCH];

		assert_true(l.running[QUEUE_FAST] >= 1);
		assert_true(l.running[QUEUE_SLOW] >= 1);
		assert_true(l.running[QUEUE_OWED] >= 1);
		assert_true(l.running[QUEUE_BATCH] >= l.running[QUEUE_OWED]);
		assert_true(capacity < 4 || rest < capacity);
		assert_true(capacity < 8 || rest <= capacity * 5 / 8);
		assert_true(l.alone >= l.running[QUEUE_BATCH]);
		assert_true(capacity < 2 || l.alone < capacity);
		assert_true(capacity < 3 ||
			    l.alone + l.running[QUEUE_SLOW] < capacity);
		rest = l.alone + l.running[QUEUE_SLOW];
		assert_true(capacity < 8 || capacity - rest >= capacity / 8);
	}
	assert_int_equal(queue_limits_of(20).running[QUEUE_FAST], 20);
	assert_int_equal(queue_limits_of(20).running[QUEUE_SLOW], 2);
	assert_int_equal(queue_limits_of(20).running[QUEUE_OWED], 5);
	assert_int_equal(queue_limits_of(20).running[QUEUE_BATCH], 10);
	assert_int_equal(queue_limits_of(20).alone, 15);
}

static void test_order(void **p)
{
	struct test *t = *p;

	queue_add(&t->q, &t->e[0], QUEUE_BATCH, false);
	queue_add(&t->q, &t->e[1], QUEUE_SLOW, false);
	queue_add(&t->q, &t->e[2], QUEUE_SLOW, true);
	queue_add(&t->q, &t->e[3], QUEUE_FAST, true);
	queue_add(&t->q, &t->e[4], QUEUE_FAST, true);
	assert_next(t, 3);	/* fast first, and there in order */
	assert_next(t, 4);
	assert_next(t, 2);	/* whom somebody waits for */
	assert_next(t, 1);
	assert_next(t, 0);
	assert_null(queue_next(&t->q, &many));
	assert_int_equal(t->q.running[QUEUE_FAST], 2);
	assert_int_equal(t->q.running[QUEUE_SLOW], 2);
	assert_int_equal(t->q.running[QUEUE_BATCH], 1);
}

/* A lane that is full holds up no other. */
static void test_full_lane(void **p)
{
	const struct queue_limits one = { { 1, 1, 1, 1 }, 1 };
	struct test *t = *p;

	queue_add(&t->q, &t->e[0], QUEUE_FAST, true);
	queue_add(&t->q, &t->e[1], QUEUE_FAST, true);
	queue_add(&t->q, &t->e[2], QUEUE_BATCH, false);
	assert_ptr_equal(queue_next(&t->q, &one), &t->e[0]);
	assert_ptr_equal(queue_next(&t->q, &one), &t->e[2]);
	assert_null(queue_next(&t->q, &one));
	queue_remove(&t->q, &t->e[0]);
	assert_int_equal(t->e[0].state, QUEUE_OUT);
	assert_ptr_equal(queue_next(&t->q, &one), &t->e[1]);
}

/* Owed has its own limit, and what runs counts against that of batch. */
static void test_owed(void **p)
{
	const struct queue_limits limits = { { 9, 9, 2, 3 }, 3 };
	struct test *t = *p;
	int i;

	for (i = 0; i < 6; i++) {
		queue_add(&t->q, &t->e[i], i < 3 ? QUEUE_OWED : QUEUE_BATCH,
			  false);
	}
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[0]);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[1]);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[3]);
	assert_null(queue_next(&t->q, &limits));	/* three in all */
	queue_remove(&t->q, &t->e[0]);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[2]);
	assert_null(queue_next(&t->q, &limits));
	queue_remove(&t->q, &t->e[1]);
	assert_false(queue_is_free(&t->q, QUEUE_BATCH, &limits));
	assert_true(queue_is_free(&t->q, QUEUE_OWED, &limits));
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[4]);
	assert_false(queue_is_free(&t->q, QUEUE_OWED, &limits));
}

/* More of the batch run while there is nothing fast, and no more then. */
static void test_alone(void **p)
{
	const struct queue_limits limits = { { 9, 9, 2, 2 }, 4 };
	struct test *t = *p;
	int i;

	for (i = 1; i < 8; i++) {
		queue_add(&t->q, &t->e[i], QUEUE_BATCH, false);
	}
	for (i = 1; i < 5; i++) {
		assert_ptr_equal(queue_next(&t->q, &limits), &t->e[i]);
	}
	assert_null(queue_next(&t->q, &limits));
	queue_add(&t->q, &t->e[0], QUEUE_FAST, true);
	queue_remove(&t->q, &t->e[1]);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[0]);
	assert_null(queue_next(&t->q, &limits));
	queue_remove(&t->q, &t->e[2]);
	assert_null(queue_next(&t->q, &limits));
	queue_remove(&t->q, &t->e[3]);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[5]);
	assert_null(queue_next(&t->q, &limits));
	queue_remove(&t->q, &t->e[0]);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[6]);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[7]);
	queue_remove(&t->q, &t->e[4]);
	queue_add(&t->q, &t->e[4], QUEUE_BATCH, false);
	assert_ptr_equal(queue_next(&t->q, &limits), &t->e[4]);
}

/* Somebody came to wait for one that runs: it counts as fast from then on. */
static void test_raise_running(void **p)
{
	const struct queue_limits limits = { { 9, 9, 2, 2 }, 3 };
	struct test *t = *p;
	int i;

	for (i = 0; i < 5; i++) {
		queue_add(&t->q, &t->e[i], QUEUE_BATCH, false);
	}
	for (i = 0; i < 3; i++) {
		assert_ptr_equal(queue_next(&t->q, &limits), &t->e[i]);
	}
	assert_null(queue_next(&t->q, &limits));
	queue_raise(&t->q, &t->e[2]);
	assert_int_equal(t->q.running[QUEUE_FAST], 1);
	assert_int_equal(t->q.running[QUEUE_BATCH], 2);
	assert_null(queue_next(&t->q, &limits));	/* two, beside it */
	queue_remove(&t->q, &t->e[0]);
	assert_true(queue_is_free(&t->q, QUEUE_OWED, &limits));
	queue_add(&t->q, &t->e[0], QUEUE_FAST, true);
	queue_remove(&t->q, &t->e[2]);
	assert_int_equal(t->q.running[QUEUE_FAST], 0);
	queue_add(&t->q, &t->e[2], QUEUE_BATCH, false);
	queue_remove(&t->q, &t->e[3]);
	queue_run(&t->q, &t->e[3], QUEUE_OWED, false);
	/* one that is fast waits, which is as much as if it ran */
	assert_false(queue_is_free(&t->q, QUEUE_OWED, &limits));
}

static void test_raise(void **p)
{
	struct test *t = *p;

	queue_add(&t->q, &t->e[0], QUEUE_BATCH, false);
	queue_add(&t->q, &t->e[1], QUEUE_BATCH, false);
	queue_add(&t->q, &t->e[2], QUEUE_SLOW, false);
	queue_add(&t->q, &t->e[3], QUEUE_SLOW, false);
	queue_raise(&t->q, &t->e[1]);
	assert_int_equal(t->e[1].lane, QUEUE_FAST);
	assert_int_equal(t->q.waiting[QUEUE_FAST], 1);
	assert_int_equal(t->q.waiting[QUEUE_BATCH], 1);
	/* a large file stays in its lane */
	queue_raise(&t->q, &t->e[3]);
	queue_raise(&t->q, &t->e[3]);
	assert_int_equal(t->e[3].lane, QUEUE_SLOW);
	assert_int_equal(t->q.waiting[QUEUE_SLOW], 2);
	assert_next(t, 1);
	assert_next(t, 3);
	assert_next(t, 2);
	assert_next(t, 0);
	/* one that is out is left alone */
	queue_raise(&t->q, &t->e[9]);
	assert_int_equal(t->e[9].state, QUEUE_OUT);
	queue_add(&t->q, &t->e[4], QUEUE_OWED, false);
	queue_raise(&t->q, &t->e[4]);
	assert_int_equal(t->e[4].lane, QUEUE_FAST);
}

static void test_remove(void **p)
{
	struct test *t = *p;
	int i, lane;

	for (i = 0; i < 9; i++) {
		queue_add(&t->q, &t->e[i], (enum queue_lane)(i % 3), i % 2);
	}
	assert_next(t, 3);
	for (i = 0; i < 10; i++) {
		queue_remove(&t->q, &t->e[i]);
		queue_remove(&t->q, &t->e[i]);	/* once more is nothing */
	}
	for (lane = 0; lane < QUEUE_LANES; lane++) {
		assert_int_equal(t->q.waiting[lane], 0);
		assert_int_equal(t->q.running[lane], 0);
	}
	assert_null(queue_next(&t->q, &many));
	queue_add(&t->q, &t->e[0], QUEUE_FAST, true);
	assert_next(t, 0);
}

/* Who finds room need not wait, but overtakes nobody. */
static void test_room(void **p)
{
	struct test *t = *p;
	struct queue_limits limits = { { 1, 1, 1, 1 }, 1 };
	struct queue_entry one = { 0 };
	struct queue_entry two = { 0 };

	assert_true(queue_is_free(&t->q, QUEUE_FAST, &limits));
	queue_run(&t->q, &one, QUEUE_FAST, true);
	assert_int_equal(one.state, QUEUE_RUNNING);
	assert_false(queue_is_free(&t->q, QUEUE_FAST, &limits));
	assert_true(queue_is_free(&t->q, QUEUE_BATCH, &limits));
	queue_add(&t->q, &two, QUEUE_FAST, true);
	queue_remove(&t->q, &one);
	assert_false(queue_is_free(&t->q, QUEUE_FAST, &limits));
	assert_ptr_equal(queue_next(&t->q, &limits), &two);
	queue_remove(&t->q, &two);
	assert_true(queue_is_free(&t->q, QUEUE_FAST, &limits));
}

static void test_text(void **p)
{
	(void)p;
	assert_string_equal(queue_lane_text(QUEUE_FAST), "fast");
	assert_string_equal(queue_lane_text(QUEUE_SLOW), "slow");
	assert_string_equal(queue_lane_text(QUEUE_OWED), "owed");
	assert_string_equal(queue_lane_text(QUEUE_BATCH), "batch");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_of), cmocka_unit_test(test_limits),
		cmocka_unit_test_setup(test_order, set_up),
		cmocka_unit_test_setup(test_full_lane, set_up),
		cmocka_unit_test_setup(test_owed, set_up),
		cmocka_unit_test_setup(test_alone, set_up),
		cmocka_unit_test_setup(test_raise_running, set_up),
		cmocka_unit_test_setup(test_raise, set_up),
		cmocka_unit_test_setup(test_remove, set_up),
		cmocka_unit_test_setup(test_room, set_up),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
