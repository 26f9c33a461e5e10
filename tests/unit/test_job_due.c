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
static const char *expected = "daily";

static void start(void *private_data, const char *job)
{
	(void)private_data;
	assert_string_equal(job, expected);
	started++;
}

static struct config *named(struct test *t, const char *job)
{
	struct config_refusal refusal;
	struct config *c = NULL;
	char text[128];

	snprintf(text, sizeof(text), "[job %s]\nschedule = every day at "
		 "12:00\n", job);
	assert_int_equal(config_build(t, "f", text, NULL, &c, &refusal), 0);
	return c;
}

static struct config *daily(struct test *t)
{
	return named(t, "daily");
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

/* It neither runs at once, nor is a run that is owed forgotten. */
static void test_rename(void **p)
{
	static const char *const names[] = { "other", "Other", "daily" };
	struct test *t = *p;
	struct config *c = daily(t);
	struct job_due *d = job_due_create(t, t->ev, c, t->store);
	const char *name = "daily";
	time_t now = START;
	size_t i = 0;

	assert_int_equal(look(d, START), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(look(d, now + DAY), 1);
		store_flush(t->store);
		now += DAY;
		*c = *named(t, names[i]);
		expected = names[i];
		if (i == 1) {	/* somebody looked in between */
			assert_int_equal(look(d, now), 0);
		}
		job_due_rename(d, name, names[i]);
		store_flush(t->store);
		name = names[i];
		assert_int_equal(job_due_last(d, name), now);
		assert_int_equal(look(d, now + 1), 0);
		talloc_free(d);
		d = job_due_create(t, t->ev, c, t->store);
		assert_int_equal(look(d, now + 2), 0);
	}
	expected = "daily";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_missed),
		TEST(test_forget),
		TEST(test_rename),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
