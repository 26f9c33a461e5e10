/*
 * Which jobs are due: missed runs make one, and a job that is made anew
 * under an old name has missed none.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include "cavad/job_due.h"

#define DAY 86400
#define START 1796000000	/* a moment in 2026 */

static unsigned int started;

static void start(void *private_data, const char *job)
{
	(void)private_data;
	assert_string_equal(job, "daily");
	started++;
}

static struct config *daily(struct test *t)
{
	struct config_refusal refusal;
	struct config *c = NULL;

	assert_int_equal(config_build(t, "f", "[job daily]\n"
				      "schedule = every day at 12:00\n", NULL,
				      &c, &refusal), 0);
	return c;
}

/* Runs that `now` starts. */
static unsigned int look(struct job_due *d, time_t now)
{
	started = 0;
	job_due_look(d, now, start, NULL);
	return started;
}

static void test_missed(void **p)
{
	struct test *t = *p;
	struct config *c = daily(t);
	struct job_due *d = job_due_create(t, t->ev, c, t->store);

	assert_int_equal(look(d, START), 0);
	assert_int_equal(job_due_last(d, "daily"), 0);
	assert_int_equal(look(d, START + 3 * DAY), 1);
	assert_int_equal(look(d, START + 3 * DAY + 1), 0);
	store_flush(t->store);
	assert_int_equal(job_due_last(d, "daily"), START + 3 * DAY);

	/* the next cavad, after two days */
	talloc_free(d);
	d = job_due_create(t, t->ev, c, t->store);
	assert_int_equal(look(d, START + 5 * DAY), 1);
}

static void test_forget(void **p)
{
	struct test *t = *p;
	struct config *c = daily(t);
	struct job_due *d = job_due_create(t, t->ev, c, t->store);

	assert_int_equal(look(d, START), 0);
	assert_int_equal(look(d, START + DAY), 1);
	job_due_forget(d, "Daily");
	job_due_forget(d, "daily");
	store_flush(t->store);
	assert_int_equal(job_due_last(d, "daily"), 0);
	assert_int_equal(look(d, START + 9 * DAY), 0);
	assert_int_equal(look(d, START + 10 * DAY), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_missed),
		TEST(test_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
