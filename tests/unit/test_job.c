/* includes: cavad/job_due.c */
/*
 * Jobs, the parts without files: records of runs, shares of the lane, and
 * what is due when, with a clock of the test's own.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/job_boot.h"
#include "cavad/job_due.c"
#include "tests/unit/store_test.h"

static void test_record(void **p)
{
	uint8_t data[JOB_RECORD_MAX];
	struct buf b = buf_writer(data, sizeof(data));
	const char *paths[] = { "/srv/a", "/srv/b" };
	struct job_infected infected[] = { { "/srv/a/x", "Eicar" } };
	struct job_run run = {
		.id = 7, .state = JOB_PAUSED_USER, .started = 5, .ended = 6,
		.job = "docs", .force = true, .expected = 9, .index = 1,
		.cursor = (char *)"d/e/", .why = "no", .paths = paths,
		.path_count = 2, .infected = infected, .infected_count = 1,
		.counts = { .directories = 1, .unanswered = 3 },
	};
	struct job_run *got = NULL;
	size_t len = 0;

	(void)p;
	job_run_put(&b, &run);
	assert_int_equal(b.error, 0);
	len = b.pos;
	memset(data + len, 7, 20);	/* a later version's */
	b = buf_reader(data, len + 20);
	got = job_run_get(NULL, 7, &b);
	assert_non_null(got);
	assert_int_equal(got->state, JOB_PAUSED_USER);
	assert_int_equal(got->started + got->ended, 11);
	assert_string_equal(got->job, "docs");
	assert_true(got->force);
	assert_int_equal(got->expected, 9);
	assert_int_equal(got->index, 1);
	assert_string_equal(got->cursor, "d/e/");
	assert_string_equal(got->why, "no");
	assert_int_equal(got->path_count, 2);
	assert_string_equal(got->paths[1], "/srv/b");
	assert_int_equal(got->counts.directories, 1);
	assert_int_equal(got->counts.unanswered, 3);
	assert_int_equal(got->infected_count, 1);
	assert_string_equal(got->infected[0].threat, "Eicar");
	talloc_free(got);
	for (; len > 0; len--) {
		b = buf_reader(data, len - 1);
		assert_null(job_run_get(NULL, 7, &b));
	}
}

static bool count_run(void *private_data, struct job_run *run)
{
	uint64_t *seen = private_data;

	*seen = *seen * 10 + run->id;
	return true;
}

static void test_store(void **p)
{
	struct test *t = *p;
	struct job_run run = { .job = "docs", .why = "" };
	uint64_t seen = 0;

	for (run.id = 1; run.id < 5; run.id++) {
		assert_int_equal(wait_one(t, store_run_put_send(
			t, t->ev, t->store, &run)), 0);
	}
	assert_int_equal(wait_one(t, store_run_del_send(t, t->ev, t->store,
							3)), 0);
	assert_int_equal(store_run_each(t->store, 0, count_run, &seen), 0);
	assert_int_equal(seen, 124);
	assert_int_equal(store_run_each(t->store, 1, count_run, &seen), 0);
	assert_int_equal(seen, 12424);
}

/* The largest record fits: longest cursor, most paths, most names. */
static void test_record_full(void **p)
{
	static uint8_t data[JOB_RECORD_MAX];
	struct buf b = buf_writer(data, sizeof(data));
	struct job_run *run = talloc_zero(NULL, struct job_run);
	char *name = talloc_zero_size(run, 256);
	unsigned int i = 0;

	(void)p;
	run->cursor = talloc_zero_size(run, 4096);
	memset(run->cursor, 'c', 4096 - 1);
	memset(name, 'n', 255);
	run->job = run->why = name;
	run->paths = talloc_zero_array(run, const char *, JOB_PATHS_MAX);
	for (i = 0; i < JOB_PATHS_MAX; i++) {
		run->paths[i] = name + 255 - JOB_PATHS_BYTES / JOB_PATHS_MAX;
	}
	run->path_count = JOB_PATHS_MAX;
	for (i = 0; i < 5000; i++) {
		job_run_found(run, name + 250, "T");
	}
	assert_in_range(run->infected_count, 100, 4999);
	job_run_put(&b, run);
	assert_int_equal(b.error, 0);
	talloc_free(run);
}

static void test_share(void **p)
{
	static const struct {
		enum job_impact impact;
		uint32_t lane;
		int wday, hour;
		uint32_t share;
	} rows[] = {
		{ JOB_LOW, 25, 1, 12, 6 }, { JOB_MEDIUM, 25, 1, 12, 12 },
		{ JOB_HIGH, 25, 1, 12, 25 }, { JOB_LOW, 1, 1, 12, 1 },
		{ JOB_MEDIUM, 1, 1, 12, 1 }, { JOB_HIGH, 0, 1, 12, 1 },
		{ JOB_OFF_HOURS, 25, 1, 8, 6 }, { JOB_OFF_HOURS, 25, 1, 9, 0 },
		{ JOB_OFF_HOURS, 25, 5, 16, 0 },
		{ JOB_OFF_HOURS, 25, 5, 17, 6 },
		{ JOB_OFF_HOURS, 25, 6, 12, 6 },
		{ JOB_OFF_HOURS, 25, 0, 12, 6 },
	};
	struct tm tm = { 0 };
	size_t i = 0;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tm.tm_wday = rows[i].wday;
		tm.tm_hour = rows[i].hour;
		assert_int_equal(job_share(rows[i].impact, rows[i].lane, &tm),
				 rows[i].share);
	}
}

static void test_boot(void **p)
{
	(void)p;
	assert_false(job_boot_is_unclean(NULL, "b"));	/* the first start */
	assert_false(job_boot_is_unclean("b", "b"));
	assert_false(job_boot_is_unclean("stopped", "b"));
	assert_false(job_boot_is_unclean("a", ""));	/* no /proc */
	assert_true(job_boot_is_unclean("a", "b"));
}

struct due_test {
	struct test *t;
	struct job_object job;
	struct job_object *list[2];
	struct config config;
	struct job_due *due;
	unsigned int started;
};

static void due_start(void *private_data, const char *job)
{
	struct due_test *d = private_data;

	assert_string_equal(job, "nightly");
	d->started++;
}

/* How many have been started since the test began. */
static unsigned int look(struct due_test *d, const char *when)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(when, "%Y-%m-%d %H:%M", &tm));
	job_due_look(d->due, timegm(&tm), due_start, d);
	store_flush(d->t->store);
	return d->started;
}

/* cavad ends and starts. */
static void due_restart(struct due_test *d)
{
	TALLOC_FREE(d->due);
	TALLOC_FREE(d->t->store);
	open_store(d->t, 64 * MEGABYTE);
	d->due = job_due_create(d->t, d->t->ev, &d->config, d->t->store);
}

static struct due_test *due_make(struct test *t)
{
	struct due_test *d = talloc_zero(t, struct due_test);

	setenv("TZ", "UTC", 1);
	d->t = t;
	d->job = (struct job_object) { .name = "nightly", .enabled = true,
				       .schedule = "every day at 2:00" };
	d->list[0] = &d->job;
	d->config.jobs = d->list;
	d->due = job_due_create(t, t->ev, &d->config, t->store);
	return d;
}

static void test_due(void **p)
{
	struct due_test *d = due_make(*p);

	assert_int_equal(look(d, "2026-11-20 12:00"), 0);
	assert_int_equal(look(d, "2026-11-21 01:59"), 0);
	assert_int_equal(look(d, "2026-11-21 02:00"), 1);
	assert_int_equal(look(d, "2026-11-21 02:00"), 1);
	assert_int_equal(look(d, "2026-11-22 01:59"), 1);
	assert_int_equal(look(d, "2026-11-22 02:01"), 2);
}

static void test_missed(void **p)
{
	struct due_test *d = due_make(*p);

	assert_int_equal(look(d, "2026-11-20 12:00"), 0);
	due_restart(d);		/* nothing was due meanwhile */
	assert_int_equal(look(d, "2026-11-20 13:00"), 0);
	due_restart(d);		/* four times were */
	assert_int_equal(look(d, "2026-11-24 13:00"), 1);
	assert_int_equal(look(d, "2026-11-24 13:01"), 1);
	due_restart(d);
	assert_int_equal(look(d, "2026-11-24 13:02"), 1);
	assert_int_equal(look(d, "2026-11-25 02:00"), 2);
}

/* Another schedule begins with now; another spelling is no other one. */
static void test_changed(void **p)
{
	struct due_test *d = due_make(*p);

	assert_int_equal(look(d, "2026-11-20 12:00"), 0);
	due_restart(d);
	d->job.schedule = "Every 1 day at 2 AM";
	assert_int_equal(look(d, "2026-11-21 12:00"), 1);
	due_restart(d);
	d->job.schedule = "every day at 3:00";
	assert_int_equal(look(d, "2026-11-24 12:00"), 1);
	assert_int_equal(look(d, "2026-11-25 03:00"), 2);
	d->job.enabled = false;
	assert_int_equal(look(d, "2026-11-26 03:00"), 2);
	assert_int_equal(job_due_next(d->due, &d->job), 0);
	/* the clock was far ahead, and is right again */
	d->job.enabled = true;
	assert_int_equal(look(d, "2036-11-26 12:00"), 3);
	assert_int_equal(look(d, "2026-11-26 12:00"), 3);
	assert_int_equal(look(d, "2026-11-27 03:00"), 4);
}

int main(void)
{
#define STORE_TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_full),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_boot),
		STORE_TEST(store),
		STORE_TEST(due),
		STORE_TEST(missed),
		STORE_TEST(changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
