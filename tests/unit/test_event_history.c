/*
 * Events in the database: what was, what is, and no more than so many.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include "cavad/event_history.h"

static struct event_history *history(struct test *t, struct events *events)
{
	struct event_history *h = NULL;
	int ret = event_history_create(t, t->ev, t->store, events, &h);

	assert_int_equal(ret, 0);
	return h;
}

/* All that was sent is committed. */
static struct event_row *listed(struct test *t, struct event_history *h,
				uint64_t before, size_t max, size_t *count)
{
	const struct event_range range = { .from = before, .max = max };
	struct event_row *rows = NULL;

	store_flush(t->store);
	assert_int_equal(event_history_list(h, t, &range, &rows, count), 0);
	return rows;
}

static void test_life(void **p)
{
	struct test *t = *p;
	struct events *events = events_create(t);
	struct event_history *h = history(t, events);
	struct event_row *rows = NULL;
	struct event_row *row = NULL;
	size_t count = 0;

	event_raise(events, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE, "a", "gone");
	event_log(events, EVENT_SW_AVSCAN_CAVA_INFECTED, "/f", "threat %d",
		  7);
	rows = listed(t, h, 0, 10, &count);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].id, 2);
	assert_string_equal(rows[0].event.name, "SW_AVSCAN_CAVA_INFECTED");
	assert_string_equal(rows[0].event.what, "/f");
	assert_string_equal(rows[0].event.text, "threat 7");
	assert_int_equal(rows[0].ended, rows[0].event.since);
	assert_int_equal(rows[1].id, 1);
	assert_int_equal(rows[1].ended, 0);
	assert_int_equal(rows[1].event.count, 1);

	event_clear(events, EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE, "a");
	store_flush(t->store);
	assert_int_equal(event_history_get(h, t, 1, &row), 0);
	assert_true(row->ended >= row->event.since);
	assert_int_equal(event_history_get(h, t, 3, &row), ENOENT);
	assert_int_equal(event_history_get(h, t, 0, &row), ENOENT);
}

/* What was up when the last one ended is over; ids go on. */
static void test_next_start(void **p)
{
	struct test *t = *p;
	struct events *events = events_create(t);
	struct event_history *h = history(t, events);
	struct event_row *rows = NULL;
	size_t count = 0;

	event_raise(events, EVENT_CAVA_QUEUE_FULL, "", "%s", "");
	store_flush(t->store);
	events_watch(events, NULL, NULL);
	talloc_free(h);
	events = events_create(t);
	h = history(t, events);
	event_raise(events, EVENT_CAVA_QUEUE_FULL, "", "%s", "");
	rows = listed(t, h, 0, 10, &count);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].id, 2);
	assert_int_equal(rows[0].ended, 0);
	assert_int_not_equal(rows[1].ended, 0);
}

static void test_pages_and_bound(void **p)
{
	struct test *t = *p;
	struct events *events = events_create(t);
	struct event_history *h = history(t, events);
	struct event_row *rows = NULL;
	struct event_row *row = NULL;
	size_t count = 0;
	unsigned int i = 0;
	uint64_t total = 0;
	const struct event_range oldest = {
		.oldest_first = true, .skip = 3, .max = 2
	};
	const struct event_range newest = {
		.oldest_first = true, .from = EVENT_HISTORY_MAX + 49, .max = 9
	};

	for (i = 0; i < EVENT_HISTORY_MAX + 50; i++) {
		event_log(events, EVENT_CAVA_CHECK_CHANGED, "x", "%u", i);
	}
	rows = listed(t, h, 0, 40, &count);
	assert_int_equal(count, 40);
	assert_int_equal(rows[39].id, EVENT_HISTORY_MAX + 11);
	rows = listed(t, h, rows[39].id, 40, &count);
	assert_int_equal(rows[0].id, EVENT_HISTORY_MAX + 10);
	rows = listed(t, h, 60, 40, &count);
	assert_int_equal(count, 9);		/* 59 to 51: 50 have gone */
	assert_int_equal(event_history_get(h, t, 50, &row), ENOENT);
	assert_int_equal(event_history_get(h, t, 51, &row), 0);
	assert_int_equal(event_history_list(h, t, &oldest, &rows, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(rows[0].id, 54);	/* 51 to 53 are passed over */
	assert_int_equal(event_history_list(h, t, &newest, &rows, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].id, EVENT_HISTORY_MAX + 50);
	assert_int_equal(event_history_count(h, &total), 0);
	assert_int_equal(total, EVENT_HISTORY_MAX);
}

static void test_records(void **p)
{
	struct test *t = *p;
	uint8_t bytes[EVENT_RECORD_MAX];
	char *much = talloc_zero_size(t, 20000);
	struct event_row row = { .event = { .number = 1, .what = much,
					    .text = much, .count = 3 } };
	struct event_row *got = NULL;
	struct buf b = buf_writer(bytes, sizeof(bytes));
	size_t i = 0;

	memset(much, 'x', 19999);
	event_record_put(&b, &row);
	assert_int_equal(b.error, 0);
	row.id = b.pos;
	b = buf_reader(bytes, row.id);
	got = event_record_get(t, 9, &b);
	assert_int_equal(strlen(got->event.what), EVENT_TEXT_MAX);
	assert_int_equal(got->event.count, 3);
	assert_string_equal(got->event.name, "");	/* no such row */
	for (i = 0; i < row.id; i++) {
		b = buf_reader(bytes, i);
		assert_null(event_record_get(t, 9, &b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_next_start),
		TEST(test_pages_and_bound),
		TEST(test_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
