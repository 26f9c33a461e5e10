/* Reports as records, numbers and times; the rest is in
 * tests/daemon/test_reports.py.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cavad/report.h"
#include "cavad/report_seen.h"

static struct report sample(void)
{
	return (struct report) {
		.number = 17, .kind = REPORT_KIND_JOB, .status = REPORT_FAILED,
		.start = 1, .end = 2, .job = 3, .files = 4, .reviewed = 5,
		.tiered = 6, .tiered_reviewed = 7, .size = UINT64_MAX,
		.bytes_fetched = 8, .bytes_handed = 9, .bytes_passed = 10,
		.infections = 11, .fails = 12, .unscannable = 13,
		.skipped = 14, .scan_time = 15,
		.name = "", .policy = "weekend", .service = "ICAP",
	};
}

static void assert_same(const struct report *a, const struct report *b)
{
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->status, b->status);
#define R(tag, name, json, text) assert_int_equal(a->name, b->name);
	REPORT_NUMBERS(R)
#undef R
#define R(tag, name, json) assert_string_equal(a->name, b->name);
	REPORT_TEXTS(R)
#undef R
}

static void test_record(void **state)
{
	struct report r = sample();
	uint8_t bytes[REPORT_RECORD_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	struct report *got = NULL;
	size_t len = 0;
	size_t i = 0;

	(void)state;
	report_put(&b, &r);
	assert_int_equal(b.error, 0);
	len = b.pos;
	b = buf_reader(bytes, len);
	got = report_get(NULL, 17, &b);
	assert_non_null(got);
	assert_same(got, &r);
	talloc_free(got);
	/* torn anywhere, it is no other report */
	for (i = 0; i < len; i++) {
		b = buf_reader(bytes, i);
		got = report_get(NULL, 17, &b);
		if (got != NULL) {
			assert_int_equal(got->kind, REPORT_KIND_JOB);
			assert_true(got->start <= 1 && got->files <= 4);
		}
		talloc_free(got);
	}
}

/* The example of docs/protocol.md. */
static void test_example(void **state)
{
	static const uint8_t record[] = {
		0x01, 0x01, 0x00, 'M', 0x02, 0x01, 0x00, 0x03,
		0x03, 0x08, 0x00, 0x00, 0xe1, 0xf5, 0x05, 0, 0, 0, 0,
		0x06, 0x08, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0,
		0x21, 0x06, 0x00, 'M', 'A', 'N', 'U', 'A', 'L',
	};
	struct report r = {
		.kind = REPORT_KIND_MANUAL, .status = REPORT_SUCCEEDED,
		.start = 100000000, .files = 1,
		.name = "", .policy = "MANUAL", .service = "",
	};
	uint8_t bytes[REPORT_RECORD_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	(void)state;
	report_put(&b, &r);
	assert_int_equal(b.pos, sizeof(record));
	assert_memory_equal(bytes, record, sizeof(record));
}

/* What a later version has written, and what an earlier one had not. */
static void test_other_versions(void **state)
{
	static const uint8_t later[] = {
		0xc8, 0x03, 0x00, 'n', 'e', 'w',	/* an unknown text */
		0x01, 0x01, 0x00, 'A',
		0x1f, 0x08, 0x00, 1, 2, 3, 4, 5, 6, 7, 8,	/* number */
		0x1e, 0x02, 0x00, 9, 9,		/* one of another size */
		0x02, 0x01, 0x00, 0xee,		/* a status of theirs */
		0x06, 0x08, 0x00, 5, 0, 0, 0, 0, 0, 0, 0,
	};
	static const uint8_t earlier[] = { 0x01, 0x01, 0x00, 'A' };
	static const uint8_t wide[] = {
		0x01, 0x08, 0x00, 0, 0, 0, 0x14, 0, 0, 0, 0,
	};
	struct buf b = buf_reader(later, sizeof(later));
	struct report *r = report_get(NULL, 1, &b);

	(void)state;
	assert_non_null(r);
	assert_int_equal(r->kind, REPORT_KIND_ON_ACCESS);
	assert_int_equal(r->files, 5);
	assert_int_equal(r->status, REPORT_FAILED);
	assert_string_equal(r->policy, "");
	talloc_free(r);
	b = buf_reader(earlier, sizeof(earlier));
	r = report_get(NULL, 1, &b);
	assert_non_null(r);
	assert_int_equal(r->status, REPORT_STARTED);
	talloc_free(r);
	b = buf_reader(later, 6);
	assert_null(report_get(NULL, 1, &b));	/* of no kind */
	b = buf_reader(wide, sizeof(wide));
	assert_null(report_get(NULL, 1, &b));	/* of none that is a letter */
}

static void test_ids(void **state)
{
	static const char *const bad[] = {
		"", "A", "A-", "A-0", "A-01", "A-1x", "A--1", "B-1", "a-1",
		"A-99999999999999999999", "A1", " A-1",
	};
	struct report r = sample();
	char id[REPORT_ID_MAX];
	enum report_kind kind = 0;
	size_t i = 0;

	(void)state;
	report_id(&r, id);
	assert_string_equal(id, "J-17");
	assert_int_equal(report_id_number("J-17", &kind), 17);
	assert_int_equal(kind, REPORT_KIND_JOB);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(report_id_number(bad[i], &kind), 0);
	}
	r.name = "mine";
	report_id(&r, id);
	assert_string_equal(id, "mine");
}

static void test_count(void **state)
{
	static const struct {
		enum verdict_result result;
		enum verdict_reason reason;
		bool from_record, infected;
		uint64_t files, reviewed, fails, skipped, unscannable, size;
	} rows[] = {
		{ VERDICT_CLEAN, 0, false, false, 1, 1, 0, 0, 0, 10 },
		{ VERDICT_CLEAN, 0, true, false, 0, 1, 0, 0, 0, 0 },
		{ VERDICT_INFECTED, 0, false, true, 1, 1, 0, 0, 0, 10 },
		{ VERDICT_INFECTED, 0, true, true, 0, 1, 0, 0, 0, 0 },
		{ VERDICT_UNSCANNABLE, VERDICT_REASON_LIMIT, false, false,
		  1, 1, 0, 0, 1, 10 },
		{ VERDICT_INFECTED, VERDICT_REASON_ALLOWED, false, false,
		  1, 1, 0, 0, 0, 10 },
		{ VERDICT_SKIPPED, VERDICT_REASON_TOO_LARGE, false, false,
		  0, 1, 0, 1, 0, 0 },
		{ VERDICT_FAILED, VERDICT_REASON_TIMEOUT, false, false,
		  0, 1, 1, 0, 0, 0 },
		{ VERDICT_FAILED, VERDICT_REASON_GONE, false, false,
		  0, 0, 0, 0, 0, 0 },
	};
	size_t i = 0;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct verdict v = { .result = rows[i].result,
					   .reason = rows[i].reason,
					   .content.size = 10 };
		const struct report_scan scan = {
			.verdict = &v, .from_record = rows[i].from_record,
			.bytes_fetched = 1, .bytes_handed = 2,
			.bytes_passed = 3, .duration = 4, .tiered = true,
		};
		struct report r = { .name = "" };

		assert_int_equal(report_count(&r, &scan), rows[i].infected);
		assert_int_equal(r.files, rows[i].files);
		assert_int_equal(r.reviewed, rows[i].reviewed);
		assert_int_equal(r.tiered_reviewed, rows[i].reviewed);
		assert_int_equal(r.tiered, rows[i].files);
		assert_int_equal(r.fails, rows[i].fails);
		assert_int_equal(r.skipped, rows[i].skipped);
		assert_int_equal(r.unscannable, rows[i].unscannable);
		assert_int_equal(r.size, rows[i].size);
		assert_int_equal(r.bytes_fetched, 1);
		assert_int_equal(r.bytes_handed, 2);
		assert_int_equal(r.bytes_passed, 3);
		assert_int_equal(r.scan_time, 4);
		assert_int_equal(r.infections, 0);
	}
}

static void test_time_of_day(void **state)
{
	static const char *const bad[] = {
		"", "0:00", "24:00", "00:60", "00:00:60", "00:00:00:00",
		"0000", "00-00", "ab:cd", "00:00:", "00:0a", "1:2:3456",
	};
	size_t i = 0;

	(void)state;
	assert_int_equal(report_time_parse("00:00"), 0);
	assert_int_equal(report_time_parse("23:59"), 86340);
	assert_int_equal(report_time_parse("01:02:03"), 3723);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(report_time_parse(bad[i]), -1);
	}
}

static time_t local(int y, int mon, int d, int h, int m, int s)
{
	struct tm tm = { .tm_year = y - 1900, .tm_mon = mon - 1,
			 .tm_mday = d, .tm_hour = h, .tm_min = m,
			 .tm_sec = s, .tm_isdst = -1 };

	return mktime(&tm);
}

/* Days follow each other without a gap, whatever clocks do meanwhile. */
static void test_days(void **state)
{
	static const int times[] = { 0, 3600 * 2 + 1800, 86399 };
	time_t first = 0, now = 0;
	size_t i = 0;
	int day = 0;

	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	assert_int_equal(report_day_end(local(2026, 3, 10, 12, 0, 0), 0),
			 local(2026, 3, 11, 0, 0, 0));
	assert_int_equal(report_day_end(local(2026, 3, 10, 0, 0, 0), 0),
			 local(2026, 3, 11, 0, 0, 0));
	assert_int_equal(report_day_end(local(2026, 3, 10, 12, 0, 0),
					13 * 3600),
			 local(2026, 3, 10, 13, 0, 0));
	assert_int_equal(report_day_start(local(2026, 3, 10, 12, 0, 0), 0),
			 local(2026, 3, 10, 0, 0, 0));
	assert_int_equal(report_day_start(local(2026, 3, 10, 12, 0, 0),
					  13 * 3600),
			 local(2026, 3, 9, 13, 0, 0));
	/* a day of 23 and one of 25 hours */
	assert_int_equal(report_day_end(local(2026, 3, 29, 0, 0, 0), 0) -
			 local(2026, 3, 29, 0, 0, 0), 23 * 3600);
	assert_int_equal(report_day_end(local(2026, 10, 25, 0, 0, 0), 0) -
			 local(2026, 10, 25, 0, 0, 0), 25 * 3600);
	for (i = 0; i < 3; i++) {
		first = report_day_end(local(2026, 1, 1, 12, 0, 0), times[i]);
		for (now = first, day = 0; day < 365; day++) {
			time_t end = report_day_end(now, times[i]);

			assert_true(end - now >= 22 * 3600);
			assert_true(end - now <= 26 * 3600);
			assert_true(report_day_start(end - 1, times[i]) ==
				    now || end - now != 86400);
			now = end;
		}
		assert_int_equal(now - first, 365 * 86400);
	}
}

static void test_seen(void **state)
{
	struct report_seen seen = { .slots = NULL };
	struct ident ident = { .ino = 1 };
	unsigned int i = 0;

	(void)state;
	for (i = 1; i <= 10000; i++) {
		ident.ino = i;
		assert_true(report_seen_add(&seen, &ident));
		assert_false(report_seen_add(&seen, &ident));
	}
	ident.ino = 1;
	assert_false(report_seen_add(&seen, &ident));
	assert_int_equal(seen.count, 10000);
	assert_true(seen.size < 65536);
	report_seen_clear(&seen);
	assert_true(report_seen_add(&seen, &ident));
	report_seen_clear(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_other_versions),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_time_of_day),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
