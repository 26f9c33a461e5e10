/*
 * What is old goes, a few rows at a time, and its space is used again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include <sys/stat.h>

#include "cavad/store_expiry.h"

#define DAY 86400

static void put_results(struct test *t, uint64_t from, unsigned int n,
			enum verdict_result result, time_t when)
{
	struct verdict v = {
		.result = result,
		.content = { .size = 1, .mtime = 2, .ctime = 3 },
		.scan_time = (int64_t)when * 1000000000,
		.engine = "ClamAV 1.4.1", .server = "av",
	};
	struct ident ident = { .fsid = 1 };
	unsigned int i = 0;

	for (i = 0; i < n; i++) {
		ident.ino = from + i;
		watch(t, store_result_put_send(t, t->ev, t->store, &ident,
					       &v));
	}
	wait_for(t, t->ended + n);
	assert_int_equal(t->failed, 0);
}

static bool there(struct test *t, uint64_t ino)
{
	const struct ident ident = { .fsid = 1, .ino = ino };
	struct verdict v;

	return store_result_get(t->store, &ident, &v) == 0;
}

static void test_what_goes(void **p)
{
	struct test *t = *p;
	struct store_cursor cursor = { .len = 0 };

	put_results(t, 1, 1, VERDICT_CLEAN, 100 * DAY);
	put_results(t, 2, 1, VERDICT_INFECTED, 100 * DAY);
	put_results(t, 3, 1, VERDICT_SKIPPED, 100 * DAY);
	put_results(t, 4, 1, VERDICT_UNSCANNABLE, 100 * DAY);
	put_results(t, 5, 1, VERDICT_CLEAN, 160 * DAY);
	assert_int_equal(store_results_expire(t->store, t->ev, 100 * DAY, 10,
					      &cursor), 0);
	assert_int_equal(store_results_expire(t->store, t->ev, 101 * DAY, 10,
					      &cursor), 1);
	store_flush(t->store);
	assert_false(there(t, 1));
	assert_true(there(t, 2) && there(t, 3) && there(t, 4) &&
		    there(t, 5));
}

/* A walk goes on where it was, and begins again behind the last. */
static void test_few_at_a_time(void **p)
{
	struct test *t = *p;
	struct store_cursor cursor = { .len = 0 };
	unsigned int gone = 0;
	unsigned int n = 0;
	uint64_t ino = 0;

	put_results(t, 1, 95, VERDICT_CLEAN, DAY);
	for (n = 0; n < 10; n++) {
		unsigned int now = store_results_expire(
			t->store, t->ev, 2 * DAY, 10, &cursor);

		assert_int_equal(now, n < 9 ? 10 : 5);
		gone += now;
		store_flush(t->store);
	}
	assert_int_equal(gone, 95);
	assert_int_equal(cursor.len, 0);
	for (ino = 1; ino <= 95; ino++) {
		assert_false(there(t, ino));
	}
}

/* What was written meanwhile is not what was seen. */
static void test_newer_stays(void **p)
{
	struct test *t = *p;
	struct store_cursor cursor = { .len = 0 };
	const struct ident ident = { .fsid = 1, .ino = 1 };
	const struct verdict bad = { .result = VERDICT_INFECTED,
				     .scan_time = 1 };
	struct verdict v;

	put_results(t, 1, 1, VERDICT_CLEAN, DAY);
	/* sent first, committed while the old one is seen */
	watch(t, store_result_put_send(t, t->ev, t->store, &ident, &bad));
	(void)store_results_expire(t->store, t->ev, 2 * DAY, 10, &cursor);
	store_flush(t->store);
	assert_int_equal(store_result_get(t->store, &ident, &v), 0);
	assert_int_equal(v.result, VERDICT_INFECTED);
}

static off_t file_size(struct test *t)
{
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/data.mdb", t->dir);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* 100,000 verdicts come and go, three times: the file stays as it is. */
static void test_space_comes_back(void **p)
{
	struct test *t = *p;
	struct store_cursor cursor = { .len = 0 };
	const unsigned int n = 100000;
	off_t first = 0;
	unsigned int round = 0;
	unsigned int gone = 0;
	unsigned int calls = 0;

	for (round = 0; round < 3; round++) {
		put_results(t, 1 + round * n, n, VERDICT_CLEAN, DAY);
		first = round == 0 ? file_size(t) : first;
		for (gone = 0, calls = 0; gone < n; calls++) {
			gone += store_results_expire(t->store, t->ev, 2 * DAY,
						     500, &cursor);
			store_flush(t->store);
		}
		assert_true(calls <= n / 500 + 1);
	}
	assert_true(file_size(t) < first + first / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_goes),
		TEST(test_few_at_a_time),
		TEST(test_newer_stays),
		TEST(test_space_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
