/* includes: cavad/history.c */
/*
 * The last day by the minute: what a minute had, and the oldest that goes.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cavad/history.c"

/* The clock of time() is behind: it is the minute before, still. */
static void minute(struct history *h)
{
	int64_t before = h->began.time;

	history_minute(h, (struct timeval) { .tv_sec = before + 60 });
	assert_int_equal(h->began.time, before + 60);
}

static void test_rows(void **p)
{
	struct tevent_context *ev = tevent_context_init(NULL);
	struct counters c = { .files_processed = 5, .scan_blocked = 1 };
	struct history *h = history_create(ev, ev, &c);
	struct history_row row;
	int i = 0;

	(void)p;
	assert_true(history_row(h, 0, &row));
	assert_int_equal(row.scans, 0);		/* of before */
	assert_int_equal(row.time % 60, 0);
	assert_false(history_row(h, 1, &row));
	c.files_processed += 2;
	c.scan_fails++;
	c.cee_infected_count++;
	assert_true(history_row(h, 0, &row));
	assert_int_equal(row.scans, 3);
	minute(h);
	c.scan_block_time += 7;
	assert_true(history_row(h, 0, &row));
	assert_int_equal(row.scans, 3);
	assert_int_equal(row.failures, 1);
	assert_int_equal(row.infections, 1);
	assert_int_equal(row.wait_time, 0);
	assert_true(history_row(h, 1, &row));
	assert_int_equal(row.scans, 0);
	assert_int_equal(row.wait_time, 7);
	for (i = 0; i < HISTORY_MINUTES; i++) {
		c.files_processed = (uint64_t)(1000 + i);
		minute(h);
	}
	assert_true(history_row(h, 0, &row));
	assert_int_equal(row.scans, 1000 - 7);	/* of the first of these */
	assert_int_equal(row.wait_time, 7);
	assert_true(history_row(h, HISTORY_MINUTES - 1, &row));
	assert_int_equal(row.scans, 1);
	assert_true(history_row(h, HISTORY_MINUTES, &row));
	assert_int_equal(row.scans, 0);
	assert_false(history_row(h, HISTORY_MINUTES + 1, &row));
	talloc_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
