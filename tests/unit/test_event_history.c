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
	int ret = 0;

	assert_non_null(events);
	ret = event_history_create(t, t->ev, t->store, events, &h);
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
	const struct event_detail details[] = {
		{ "user", "u" }, { "path", much }, { NULL, NULL },
	};
	struct event_row row = { .change = 7, .event = {
		.number = 1, .what = much, .text = much, .count = 3,
		.details = details } };
	struct event_row *got = NULL;
	struct buf b = buf_writer(bytes, sizeof(bytes));
	size_t old = 4 + 4 * 8 + 2 * (3 + EVENT_TEXT_MAX);
	size_t len = 0;
	size_t i = 0;

	memset(much, 'x', 19999);
	event_record_put(&b, &row);
	assert_int_equal(b.error, 0);
	len = b.pos;
	b = buf_reader(bytes, len);
	got = event_record_get(t, 9, &b);
	assert_int_equal(buf_finish(&b), 0);
	assert_int_equal(strlen(got->event.what), EVENT_TEXT_MAX);
	assert_int_equal(got->event.count, 3);
	assert_int_equal(got->change, 7);
	assert_string_equal(got->event.name, "");	/* no such row */
	assert_string_equal(got->event.details[0].name, "user");
	assert_string_equal(got->event.details[0].value, "u");
	assert_int_equal(strlen(got->event.details[1].value),
			 EVENT_PATH_MAX);
	assert_null(got->event.details[2].name);
	for (i = 0; i < len; i++) {
		b = buf_reader(bytes, i);
		got = event_record_get(t, 9, &b);
		if (i == old) {		/* what versions before wrote */
			assert_int_equal(got->change, 0);
			continue;
		}
		assert_null(got);
	}
}

/* Details that are too long for a record are left out, the record stays. */
static void test_records_full(void **p)
{
	struct test *t = *p;
	uint8_t bytes[EVENT_RECORD_MAX];
	char *much = talloc_zero_size(t, EVENT_TEXT_MAX + 1);
	struct event_detail details[] = {
		{ "a", much }, { "b", much }, { "c", much }, { "d", much },
		{ "path", "/x" }, { NULL, NULL },
	};
	struct event_row row = { .event = {
		.number = 1, .what = much, .text = much,
		.details = details } };
	struct buf b = buf_writer(bytes, 4 * EVENT_TEXT_MAX);
	struct event_row *got = NULL;

	memset(much, 'x', EVENT_TEXT_MAX);
	event_record_put(&b, &row);
	assert_int_equal(b.error, 0);
	b = buf_reader(bytes, b.pos);
	got = event_record_get(t, 1, &b);
	assert_string_equal(got->event.details[0].name, "a");
	assert_null(got->event.details[1].name);
}

struct heard {
	unsigned int count;
	uint64_t change[8];
	enum event_change how[8];
	char what[8][16];
};

static void hear(void *private_data, enum event_change change,
		 const struct event_row *row)
{
	struct heard *heard = private_data;
	unsigned int i = heard->count;

	assert_in_range(i, 0, 7);
	heard->count++;
	heard->change[i] = row->change;
	heard->how[i] = change;
	snprintf(heard->what[i], sizeof(heard->what[i]), "%s",
		 row->event.what);
}

/* Who listens hears each change, and later what was since a number. */
static void test_watch(void **p)
{
	struct test *t = *p;
	struct events *events = events_create(t);
	struct event_history *h = history(t, events);
	struct heard heard = { .count = 0 };

	assert_int_equal(event_history_watch(h, 0, hear, &heard), 0);
	event_raise(events, EVENT_CAVA_QUEUE_FULL, "a", "%s", "");
	event_raise(events, EVENT_CAVA_QUEUE_FULL, "b", "%s", "");
	event_clear(events, EVENT_CAVA_QUEUE_FULL, "a");
	event_log(events, EVENT_CAVA_CHECK_CHANGED, "c", "%s", "");
	assert_int_equal(heard.count, 4);
	assert_int_equal(heard.change[3], 4);
	assert_int_equal(heard.how[2], EVENT_CLEARED);
	store_flush(t->store);
	events_watch(events, NULL, NULL);
	talloc_free(h);

	/* the next cavad: b is over; 1 was all that had been told */
	heard.count = 0;
	h = history(t, events_create(t));
	assert_int_equal(event_history_changes(h), 5);
	assert_int_equal(event_history_watch(h, 1, hear, &heard), 0);
	assert_int_equal(heard.count, 3);
	assert_string_equal(heard.what[0], "a");
	assert_int_equal(heard.how[0], EVENT_CLEARED);
	assert_string_equal(heard.what[1], "c");
	assert_int_equal(heard.how[1], EVENT_HAPPENED);
	assert_string_equal(heard.what[2], "b");
	assert_int_equal(heard.how[2], EVENT_CLEARED);
	assert_int_equal(heard.change[2], 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_next_start),
		TEST(test_pages_and_bound),
		TEST(test_records),
		TEST(test_records_full),
		TEST(test_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
