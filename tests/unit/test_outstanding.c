/* includes: cavad/outstanding.c
 *
 * What servers may fetch, and for how long after; the clock is the test's.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t clock_ms = 1000000;

static int test_clock(struct timespec *ts)
{
	ts->tv_sec = clock_ms / 1000;
	ts->tv_nsec = clock_ms % 1000 * 1000000;
	return 0;
}

#define clock_gettime(id, ts) test_clock(ts)
#include "cavad/outstanding.c"
#undef clock_gettime

#define GRACE 10		/* s */

static int set_up(void **p)
{
	*p = outstanding_create(NULL, GRACE);
	return *p == NULL;
}

static int tear_down(void **p)
{
	talloc_free(*p);
	return 0;
}

static struct ident file(uint64_t ino)
{
	return (struct ident) { .fsid = 5, .ino = ino, .btime = 7 };
}

static struct outstanding_entry *add(struct outstanding *o, uint64_t ino,
				     const char *path, const char *server)
{
	struct ident ident = file(ino);
	struct outstanding_entry *e = outstanding_add(o, &ident, path, NULL,
						      server);

	assert_non_null(e);
	return e;
}

/* How many there are of the file; *r is the last. */
static unsigned int find(struct outstanding *o, uint64_t ino,
			 struct scan_outstanding *r)
{
	struct ident ident = file(ino);
	unsigned int i = 0;

	while (outstanding_find(o, &ident, i, r)) {
		i++;
	}
	return i;
}

static void test_from_pick_to_grace(void **p)
{
	struct outstanding *o = *p;
	struct scan_outstanding r;
	struct outstanding_entry *e = add(o, 1, "/srv/a", "av1");

	assert_int_equal(find(o, 2, &r), 0);
	assert_int_equal(find(o, 1, &r), 1);
	assert_string_equal(r.path, "/srv/a");
	assert_string_equal(r.server, "av1");
	assert_false(r.ended);
	clock_ms += 3600 * 1000;	/* a scan may take its time */
	assert_int_equal(find(o, 1, &r), 1);
	assert_false(r.ended);
	outstanding_end(o, &e);
	assert_null(e);
	outstanding_end(o, &e);		/* once more is nothing */
	clock_ms += GRACE * 1000 - 1;
	assert_int_equal(find(o, 1, &r), 1);
	assert_true(r.ended);
	clock_ms += 1;
	assert_int_equal(find(o, 1, &r), 0);
}

/* Inode and birth time and stream, not the inode alone. */
static void test_identity(void **p)
{
	struct outstanding *o = *p;
	struct scan_outstanding r;
	struct ident other = file(1);

	add(o, 1, "/srv/a", "av1");
	other.btime++;
	assert_false(outstanding_find(o, &other, 0, &r));
	other = file(1);
	other.fsid++;
	assert_false(outstanding_find(o, &other, 0, &r));
	other = file(1);
	strcpy(other.stream, "s");
	assert_false(outstanding_find(o, &other, 0, &r));
}

/* One server after another is asked about one file. */
static void test_servers_in_turn(void **p)
{
	struct outstanding *o = *p;
	struct scan_outstanding r;
	struct outstanding_entry *e = add(o, 1, "/srv/a", "av1");
	struct ident ident = file(1);

	outstanding_end(o, &e);
	e = add(o, 1, "/srv/a", "av2");
	assert_int_equal(find(o, 1, &r), 2);
	assert_true(outstanding_find(o, &ident, 0, &r));
	assert_string_equal(r.server, "av2");
	assert_false(r.ended);
	assert_true(outstanding_find(o, &ident, 1, &r));
	assert_string_equal(r.server, "av1");
	assert_true(r.ended);
	clock_ms += GRACE * 1000;
	assert_int_equal(find(o, 1, &r), 1);
	assert_string_equal(r.server, "av2");
	outstanding_end(o, &e);
}

static void test_no_grace(void **p)
{
	struct outstanding *o = outstanding_create(*p, 0);
	struct scan_outstanding r;
	struct outstanding_entry *e = add(o, 1, "/srv/a", "av1");

	assert_int_equal(find(o, 1, &r), 1);
	outstanding_end(o, &e);
	assert_int_equal(find(o, 1, &r), 0);
}

/* The oldest go first; those that are under way never do. */
static void test_bounded(void **p)
{
	struct outstanding *o = *p;
	struct scan_outstanding r;
	unsigned int i;

	add(o, 1, "/srv/under-way", "av1");
	for (i = 0; i < OUTSTANDING_ENDED + 10; i++) {
		struct outstanding_entry *e = add(o, 100 + i, "/srv/x",
						  "av1");

		outstanding_end(o, &e);
	}
	assert_int_equal(o->ended_count, OUTSTANDING_ENDED);
	assert_int_equal(find(o, 100 + 9, &r), 0);
	assert_int_equal(find(o, 100 + 10, &r), 1);
	assert_int_equal(find(o, 1, &r), 1);
}

static void count_path(void *private_data, const char *path)
{
	char *all = private_data;

	strcat(all, path);
}

static void test_paths(void **p)
{
	struct outstanding *o = *p;
	struct outstanding_entry *e = add(o, 1, "/ended", "av1");
	char all[100] = "";

	add(o, 2, "/now", "av1");
	outstanding_end(o, &e);
	outstanding_paths(o, count_path, all);
	assert_string_equal(all, "/now/ended");
	clock_ms += GRACE * 1000;
	all[0] = '\0';
	outstanding_paths(o, count_path, all);
	assert_string_equal(all, "/now");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_from_pick_to_grace), TEST(test_identity),
		TEST(test_servers_in_turn), TEST(test_no_grace),
		TEST(test_bounded), TEST(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
