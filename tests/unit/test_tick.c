/* includes: common/tick.c */
/*
 * A time that is set again and again: none is missed, none comes twice, and
 * setting one takes no memory.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>

#include "common/tick.c"

struct world {
	struct tevent_context *ev;
	struct tick *tick;
	unsigned int came;
	unsigned int again;	/* so many more times, at once */
	bool free;
};

static void came(void *private_data)
{
	struct world *w = private_data;

	w->came++;
	assert_false(tick_is_set(w->tick));
	if (w->again > 0) {
		w->again--;
		tick_in(w->tick, 0);
	}
	if (w->free) {
		TALLOC_FREE(w->tick);
	}
}

static int set_up(void **p)
{
	struct world *w = talloc_zero(NULL, struct world);

	assert_non_null(w);
	w->ev = tevent_context_init(w);
	assert_non_null(w->ev);
	w->tick = tick_create(w, w->ev, came, w);
	assert_non_null(w->tick);
	*p = w;
	return 0;
}

static int tear_down(void **p)
{
	talloc_free(*p);
	return 0;
}

static void enough(struct tevent_context *ev, struct tevent_timer *te,
		   struct timeval now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	*(bool *)private_data = true;
}

/* What comes in so many us; allocations of the tick would be children. */
static unsigned int in(struct world *w, uint32_t us)
{
	size_t blocks = talloc_total_blocks(w->tick);
	bool over = false;

	w->came = 0;
	assert_non_null(tevent_add_timer(w->ev, w,
					 tevent_timeval_current_ofs(0, us),
					 enough, &over));
	while (!over) {
		assert_int_equal(tevent_loop_once(w->ev), 0);
	}
	assert_true(w->tick == NULL ||
		    talloc_total_blocks(w->tick) == blocks);
	return w->came;
}

static void test_comes_once(void **p)
{
	struct world *w = *p;

	assert_false(tick_is_set(w->tick));
	assert_int_equal(in(w, 20000), 0);
	tick_in(w->tick, 10000);
	assert_true(tick_is_set(w->tick));
	assert_int_equal(in(w, 200000), 1);
	assert_false(tick_is_set(w->tick));
	assert_int_equal(in(w, 20000), 0);
}

static void test_again_and_again(void **p)
{
	struct world *w = *p;

	w->again = 9;
	tick_in(w->tick, 0);
	assert_int_equal(in(w, 200000), 10);
}

/* The last time that is set is the one. */
static void test_set_anew(void **p)
{
	struct world *w = *p;

	tick_in(w->tick, 10000);
	tick_in(w->tick, 3600000000ULL);
	assert_int_equal(in(w, 50000), 0);
	tick_in(w->tick, 10000);
	assert_int_equal(in(w, 200000), 1);
}

static void until_due(const struct tick *t)
{
	struct pollfd pfd = { .fd = t->fd, .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, 20000), 1);
}

/* Due already, and then not any more. */
static void test_stopped(void **p)
{
	struct world *w = *p;

	tick_in(w->tick, 0);
	until_due(w->tick);
	tick_stop(w->tick);
	assert_false(tick_is_set(w->tick));
	assert_int_equal(in(w, 20000), 0);
	tick_in(w->tick, 0);
	until_due(w->tick);
	tick_in(w->tick, 3600000000ULL);
	assert_int_equal(in(w, 20000), 0);
	assert_true(tick_is_set(w->tick));
}

static void test_past(void **p)
{
	struct world *w = *p;

	tick_at(w->tick, tevent_timeval_set(0, 0));
	assert_int_equal(in(w, 100000), 1);
	tick_at(w->tick, tevent_timeval_set(1000, 0));
	assert_int_equal(in(w, 100000), 1);
}

static void test_freed_by_itself(void **p)
{
	struct world *w = *p;

	w->free = true;
	tick_in(w->tick, 0);
	assert_int_equal(in(w, 100000), 1);
	assert_null(w->tick);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_comes_once),
		TEST(test_again_and_again),
		TEST(test_set_anew),
		TEST(test_stopped),
		TEST(test_past),
		TEST(test_freed_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
