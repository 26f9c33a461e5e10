/*
 * Rows of threats: the record, the history, the database.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include "cavad/event.h"
#include "cavad/threat.h"

static struct threat found_in(uint64_t ino, const char *threat)
{
	return (struct threat) {
		.ident = { .fsid = 1, .ino = ino }, .path = "/srv/a",
		.threat = threat, .engine = "e", .server = "av",
		.source = "job", .user = "", .client = "", .share = "",
		.report = "R1", .hashed = true, .digest = { 7 }, .stamp = 9,
	};
}

static void test_record(void **unused)
{
	struct threat *t = talloc_zero(NULL, struct threat);
	uint8_t *bytes = talloc_size(t, THREAT_RECORD_MAX);
	struct buf b = buf_writer(bytes, THREAT_RECORD_MAX);
	struct threat *got = NULL;
	unsigned int i = 0;

	(void)unused;
	assert_non_null(t);
	assert_non_null(bytes);
	*t = found_in(2, "Eicar");
	for (i = 0; i < 3 * THREAT_HISTORY_MAX; i++) {
		assert_true(threat_change(t, i == 0 ? THREAT_QUARANTINED :
					  THREAT_ALLOWED, i, "w", "why"));
	}
	threat_put_record(&b, t);
	buf_put_u64(&b, 1);		/* of a later version */
	assert_int_equal(b.error, 0);
	b = buf_reader(bytes, b.pos);
	got = threat_get_record(t, 5, &b);
	assert_non_null(got);
	assert_int_equal(got->id, 5);
	assert_string_equal(got->threat, "Eicar");
	assert_true(got->hashed && got->digest[0] == 7);
	assert_int_equal(got->state, THREAT_ALLOWED);
	assert_int_equal(got->changes, THREAT_HISTORY_MAX);
	assert_int_equal(got->history[0].state, THREAT_QUARANTINED);
	assert_int_equal(got->history[got->changes - 1].when, i - 1);
	talloc_free(t);
}

struct seen {
	uint64_t ids[8];
	size_t count, max;
};

static bool seen(void *private_data, struct threat *row)
{
	struct seen *s = private_data;

	s->ids[s->count++] = row->id;
	return s->count < s->max;
}

static size_t list(struct threats *all, struct threats_range range,
		   struct seen *s, uint64_t *last)
{
	s->count = 0;
	assert_int_equal(threats_each(all, &range, seen, s, last), 0);
	return s->count;
}

static void last_written(struct tevent_req *req)
{
	bool *over = tevent_req_callback_data_void(req);

	assert_int_equal(store_write_recv(req), 0);
	*over = true;
}

/* Until all that was sent is written, and whoever waited knows it. */
static void written(struct test *t)
{
	struct tevent_req *req = store_meta_put_send(t, t->ev, t->store, "k",
						     "v");
	bool over = false;

	tevent_req_set_callback(req, last_written, &over);
	while (!over) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	talloc_free(req);
}

static void test_rows(void **p)
{
	struct test *t = *p;
	struct events *events = events_create(t);
	struct threat found = found_in(2, "Eicar");
	struct threats *all = NULL;
	struct threat *row = NULL;
	struct seen s = { .max = 8 };
	uint64_t one, two, three, last = 0;

	assert_non_null(events);
	assert_int_equal(threats_create(t, t->ev, t->store, events, &all), 0);
	one = threats_found(all, &found, THREAT_INFECTED, "cavad", "w");
	/* before it is on disk, and after */
	assert_int_equal(threats_found(all, &found, THREAT_INFECTED, "cavad",
				       "w"), one);
	written(t);
	assert_int_equal(threats_found(all, &found, THREAT_DELETED, "cavad",
				       "deleted"), one);
	row = threats_get(all, t, one);
	assert_int_equal(row->count, 3);
	assert_int_equal(row->changes, 2);
	found = found_in(2, "Other");
	found.report = "R2";
	two = threats_found(all, &found, THREAT_QUARANTINED, "cavad", "w");
	found = found_in(3, "Eicar");
	three = threats_found(all, &found, THREAT_INFECTED, "cavad", "w");
	assert_true(one < two && two < three);
	written(t);

	assert_int_equal(list(all, (struct threats_range) {
		.looks = 100 }, &s, &last), 3);
	assert_int_equal(last, 0);
	assert_true(s.ids[0] == three && s.ids[2] == one);
	s.max = 2;
	assert_int_equal(list(all, (struct threats_range) {
		.looks = 100, .oldest_first = true }, &s, &last), 2);
	assert_int_equal(last, two);
	s.max = 8;
	assert_int_equal(list(all, (struct threats_range) {
		.looks = 100, .oldest_first = true, .from = last }, &s,
		&last), 1);
	assert_int_equal(s.ids[0], three);
	assert_int_equal(list(all, (struct threats_range) {
		.looks = 100, .report = "R1" }, &s, &last), 2);
	assert_true(s.ids[0] == three && s.ids[1] == one);
	assert_int_equal(list(all, (struct threats_range) {
		.looks = 100, .report = "R" }, &s, &last), 0);

	/* of that file alone, and of those states */
	threats_change_file(all, &row->ident, THREAT_LIVE, THREAT_REPAIRED,
			    "cavad", "clean");
	written(t);
	assert_int_equal(threats_get(all, t, one)->state, THREAT_DELETED);
	assert_int_equal(threats_get(all, t, two)->state, THREAT_REPAIRED);
	assert_int_equal(threats_get(all, t, three)->state, THREAT_INFECTED);

	/* over a restart */
	talloc_free(all);
	assert_non_null(events);
	assert_int_equal(threats_create(t, t->ev, t->store, events, &all), 0);
	found = found_in(4, "Eicar");
	assert_int_equal(threats_found(all, &found, THREAT_INFECTED, "c",
				       "w"), three + 1);
	written(t);
	assert_int_equal(threats_change(all, 999, THREAT_GONE, 0, "c", "w"),
			 ENOENT);
	talloc_free(all);
}

/* Live when its report went: it goes when it is that no more. */
static void test_without_report(void **p)
{
	struct test *t = *p;
	struct events *events = events_create(t);
	time_t later = time(NULL) + 100;
	struct threats *all = NULL;
	struct threat found = found_in(2, "Eicar");
	struct tevent_req *req = NULL;
	uint64_t one, two, from = 0;

	assert_non_null(events);
	assert_int_equal(threats_create(t, t->ev, t->store, events, &all), 0);
	one = threats_found(all, &found, THREAT_INFECTED, "cavad", "w");
	found = found_in(3, "Eicar");
	found.report = "";
	two = threats_found(all, &found, THREAT_QUARANTINED, "me", "by hand");
	written(t);
	req = threats_forget_send(t, all, "R1");
	assert_non_null(req);
	talloc_free(req);
	written(t);
	assert_non_null(threats_get(all, t, one));
	assert_int_equal(threats_expire(all, later, &from), 0);
	assert_int_equal(from, 0);
	assert_int_equal(threats_change(all, one, THREAT_REPAIRED, 0, "c",
					"w"), 0);
	assert_int_equal(threats_change(all, two, THREAT_GONE, 0, "c", "w"),
			 0);
	written(t);
	/* not as long ago as that */
	assert_int_equal(threats_expire(all, time(NULL) - 1, &from), 0);
	assert_int_equal(threats_expire(all, later, &from), 2);
	written(t);
	assert_null(threats_get(all, t, one));
	assert_null(threats_get(all, t, two));
	assert_null(threats_find(all, t, &found.ident, "Eicar"));
	assert_int_equal(threats_expire(all, later, &from), 0);
}

/* One that is found again belongs to that report. */
static void test_again_in_a_report(void **p)
{
	struct test *t = *p;
	struct events *events = events_create(t);
	time_t later = time(NULL) + 100;
	struct threats *all = NULL;
	struct threat found = found_in(2, "Eicar");
	struct seen s = { .max = 8 };
	uint64_t one, last, from = 0;

	assert_non_null(events);
	assert_int_equal(threats_create(t, t->ev, t->store, events, &all), 0);
	one = threats_found(all, &found, THREAT_INFECTED, "cavad", "w");
	written(t);
	talloc_free(threats_forget_send(t, all, "R1"));
	written(t);
	found.report = "R2";
	found.also = "A-1";
	assert_int_equal(threats_found(all, &found, THREAT_GONE, "c", "w"),
			 one);
	written(t);
	assert_int_equal(threats_expire(all, later, &from), 1);
	written(t);
	assert_int_equal(threats_expire(all, later, &from), 0);
	assert_non_null(threats_get(all, t, one));
	assert_int_equal(list(all, (struct threats_range) {
		.looks = 9, .report = "R2" }, &s, &last), 1);
	assert_int_equal(list(all, (struct threats_range) {
		.looks = 9, .report = "A-1" }, &s, &last), 1);
	talloc_free(threats_forget_send(t, all, "A-1"));
	written(t);
	assert_non_null(threats_get(all, t, one));
	talloc_free(threats_forget_send(t, all, "R2"));
	written(t);
	assert_null(threats_get(all, t, one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_report, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_again_in_a_report, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
