/*
 * Schedules: phrases, what is wrong with others, and the moments they mean,
 * over changes of the clock too.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/schedule.h"

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static struct schedule parsed(const char *phrase)
{
	struct schedule s = { .interval = 0 };
	char error[512] = "";
	int ret = schedule_parse(phrase, &s, error, sizeof(error));

	if (ret != 0) {
		print_error("%s: %s\n", phrase, error);
	}
	assert_int_equal(ret, 0);
	return s;
}

/* "2026-03-29 01:59" of the clock in UTC */
static time_t utc(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return timegm(&tm);
}

/* Local times behind `after` (in UTC), with the zone's letters. */
static void check_next(const char *phrase, const char *after,
		       const char *expected)
{
	struct schedule s = parsed(phrase);
	char text[512] = "";
	time_t times[4] = { 0 };
	struct tm tm = { 0 };
	unsigned int n = schedule_next(&s, utc(after), times, 4);
	unsigned int i = 0;
	size_t len = 0;

	for (i = 0; i < n; i++) {
		localtime_r(&times[i], &tm);
		len = strlen(text);
		strftime(text + len, sizeof(text) - len, i == 0 ?
			 "%a %Y-%m-%d %H:%M %Z" : "; %a %Y-%m-%d %H:%M %Z",
			 &tm);
	}
	assert_string_equal(text, expected);
}

static void test_echo(void **p)
{
	static const struct {
		const char *phrase;
		const char *echo;
	} rows[] = {
		{ "every Friday at 22:00", "every Friday at 22:00" },
		{ "Every  FRI at 10 PM", "every Friday at 22:00" },
		{ "every 2 weeks on Monday at 01:00",
		  "every 2 weeks on Monday at 01:00" },
		{ "every other Monday at 1",
		  "every 2 weeks on Monday at 01:00" },
		{ "every Mon of every 3 weeks",
		  "every 3 weeks on Monday at 00:00" },
		{ "the last Sunday of every month at 3:30",
		  "the last Sunday of every month at 03:30" },
		{ "the first Mon of every other month at 12 am",
		  "the 1st Monday of every 2 months at 00:00" },
		{ "every day", "every day at 00:00" },
		{ "every 1st day", "every day at 00:00" },
		{ "every 3 days at 12:05 pm", "every 3 days at 12:05" },
		{ "every 6 hours", "every 6 hours" },
		{ "every day every 6 hours", "every day every 6 hours" },
		{ "every hour from 8:00 to 6 pm",
		  "every hour between 08:00 and 18:00" },
		{ "every weekday at 1:00 am", "every weekday at 01:00" },
		{ "every weekday every 30 minutes between 20:00 and 22:00",
		  "every weekday every 30 minutes between 20:00 and 22:00" },
		{ "yearly on January 3 at 00:00",
		  "yearly on January 3 at 00:00" },
		{ "every year on Jan 3rd", "yearly on January 3 at 00:00" },
		{ "yearly on the last Friday of June at 7:15am",
		  "yearly on the last Friday of June at 07:15" },
		{ "yearly on the 3rd of May",
		  "yearly on the 3rd day of May at 00:00" },
		{ "every Monday, Wednesday, and Friday at 22:00",
		  "every Monday, Wednesday, Friday at 22:00" },
		{ "every week", "every week on Monday at 00:00" },
		{ "every month on the 15th at 4:00",
		  "the 15th day of every month at 04:00" },
		{ "every month", "the 1st day of every month at 00:00" },
		{ "the 2nd weekday of every month",
		  "the 2nd weekday of every month at 00:00" },
		{ "the last day of every month",
		  "the last day of every month at 00:00" },
		{ "the 22nd of every month at 11:59 pm",
		  "the 22nd day of every month at 23:59" },
	};
	struct schedule s;
	size_t i = 0;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s = parsed(rows[i].phrase);
		assert_string_equal(s.text, rows[i].echo);
		s = parsed(s.text);
		assert_string_equal(s.text, rows[i].echo);
	}
}

static void test_errors(void **p)
{
	static const struct {
		const char *phrase;
		const char *error;
	} rows[] = {
		{ "", "something is missing at the end: every, the, or" },
		{ "daily", "\"daily\" is not understood; accepted here: every"
		},
		{ "every frday at 1", "\"frday\" is not understood; did you "
		  "mean Friday?" },
		{ "every", "something is missing at the end: day, weekday" },
		{ "every Friday 22:00", "\"22:00\" is not understood; accepted "
		  "here: at 22:00, every 6 hours, or nothing more" },
		{ "every Friday at", "something is missing at the end: a time"
		},
		{ "every Friday at noon", "\"noon\" is not understood; "
		  "accepted here: a time" },
		{ "every Friday at 24:00", "24:00: times go from 00:00" },
		{ "every Friday at 22:60", "22:60: times go from 00:00" },
		{ "every Friday at 13 pm", "13 pm: with am and pm" },
		{ "every Friday at 0 am", "0 am: with am and pm" },
		{ "every Friday at 10:5", "\"10:5\" is not understood" },
		{ "every Friday at 22:00 please", "\"please\" is not "
		  "understood; accepted here: nothing more" },
		{ "every 0 days", "\"0\": counting begins with 1" },
		{ "every 400 days", "400 days are too many: at most 366" },
		{ "every 24 hours", "24 hours are too many: at most 23" },
		{ "every 2 weekdays", "every 2 weekdays cannot be counted" },
		{ "every 99999 days", "\"99999\" is not understood" },
		{ "the 6th Monday of every month", "6 of that day in a month" },
		{ "the 32nd of every month", "32 days in a month are too" },
		{ "the last of every month", "\"of\" is not understood; "
		  "accepted here: day, weekday" },
		{ "the last Sunday of month", "\"month\" is not understood; "
		  "accepted here: every" },
		{ "yearly on February 30", "30 days in that month are too "
		  "many: at most 29" },
		{ "yearly on the 31st of June", "June has at most 30 days" },
		{ "yearly on the 22nd weekday of February",
		  "February has at most 29 days, and 21 weekdays; the last "
		  "of them comes each year" },
		{ "yearly on 3 January", "\"3\" is not understood; accepted "
		  "here: a month" },
		{ "every hour between 20:00 and 4:00", "it would end (04:00) "
		  "before it begins (20:00)" },
		{ "every hour between 20:00 to 22:00", "\"to\" is not "
		  "understood; accepted here: and" },
		{ "every Monday and", "something is missing at the end: a "
		  "day of the week" },
	};
	struct schedule s = { .interval = 77 };
	char error[512] = "";
	size_t i = 0;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		error[0] = '\0';
		assert_int_not_equal(schedule_parse(rows[i].phrase, &s, error,
						    sizeof(error)), 0);
		if (strncmp(error, rows[i].error,
			    strlen(rows[i].error)) != 0) {
			print_error("%s: %s\n", rows[i].phrase, error);
			fail();
		}
		assert_int_equal(s.interval, 77);
	}
}

static void test_days(void **p)
{
	(void)p;
	zone("UTC");
	check_next("every Friday at 22:00", "2026-11-20 21:59",
		   "Fri 2026-11-20 22:00 UTC; Fri 2026-11-27 22:00 UTC; "
		   "Fri 2026-12-04 22:00 UTC; Fri 2026-12-11 22:00 UTC");
	check_next("every Friday at 22:00", "2026-11-20 22:00",
		   "Fri 2026-11-27 22:00 UTC; Fri 2026-12-04 22:00 UTC; "
		   "Fri 2026-12-11 22:00 UTC; Fri 2026-12-18 22:00 UTC");
	check_next("the last Sunday of every month at 3:30",
		   "2026-01-31 00:00",
		   "Sun 2026-02-22 03:30 UTC; Sun 2026-03-29 03:30 UTC; "
		   "Sun 2026-04-26 03:30 UTC; Sun 2026-05-31 03:30 UTC");
	check_next("the 31st of every month", "2026-01-31 00:00",
		   "Tue 2026-03-31 00:00 UTC; Sun 2026-05-31 00:00 UTC; "
		   "Fri 2026-07-31 00:00 UTC; Mon 2026-08-31 00:00 UTC");
	check_next("the last weekday of every month at 1 am",
		   "2026-01-31 00:00",
		   "Fri 2026-02-27 01:00 UTC; Tue 2026-03-31 01:00 UTC; "
		   "Thu 2026-04-30 01:00 UTC; Fri 2026-05-29 01:00 UTC");
	check_next("yearly on the 21st weekday of February",
		   "2026-01-01 00:00",
		   "Tue 2028-02-29 00:00 UTC; Fri 2036-02-29 00:00 UTC; "
		   "Wed 2040-02-29 00:00 UTC; Mon 2044-02-29 00:00 UTC");
	check_next("yearly on the 22nd weekday of June", "2026-01-01 00:00",
		   "Tue 2026-06-30 00:00 UTC; Wed 2027-06-30 00:00 UTC; "
		   "Fri 2028-06-30 00:00 UTC; Wed 2032-06-30 00:00 UTC");
	check_next("every weekday at 1:00 am", "2026-11-20 02:00",
		   "Mon 2026-11-23 01:00 UTC; Tue 2026-11-24 01:00 UTC; "
		   "Wed 2026-11-25 01:00 UTC; Thu 2026-11-26 01:00 UTC");
	check_next("every 6 hours", "2026-11-20 17:00",
		   "Fri 2026-11-20 18:00 UTC; Sat 2026-11-21 00:00 UTC; "
		   "Sat 2026-11-21 06:00 UTC; Sat 2026-11-21 12:00 UTC");
	check_next("every 7 hours between 1:00 and 20:00", "2026-11-20 02:00",
		   "Fri 2026-11-20 08:00 UTC; Fri 2026-11-20 15:00 UTC; "
		   "Sat 2026-11-21 01:00 UTC; Sat 2026-11-21 08:00 UTC");
	check_next("yearly on February 29 at 5:00", "2026-01-01 00:00",
		   "Tue 2028-02-29 05:00 UTC; Sun 2032-02-29 05:00 UTC; "
		   "Fri 2036-02-29 05:00 UTC; Wed 2040-02-29 05:00 UTC");
	check_next("yearly on the 2nd Sunday of May", "2026-01-01 00:00",
		   "Sun 2026-05-10 00:00 UTC; Sun 2027-05-09 00:00 UTC; "
		   "Sun 2028-05-14 00:00 UTC; Sun 2029-05-13 00:00 UTC");
}

/* What "every second" counts does not move with the day that is asked. */
static void check_stable(const char *phrase, unsigned int days)
{
	struct schedule s = parsed(phrase);
	time_t start = utc("2025-12-20 00:00");
	time_t times[40] = { 0 };
	unsigned int n = schedule_next(&s, start, times, 40);
	time_t next = 0;
	time_t t = 0;
	unsigned int i = 0;

	assert_int_equal(n, 40);
	for (t = start; t < start + (time_t)days * 86400; t += 43200) {
		while (times[i] <= t) {
			i++;
		}
		assert_int_equal(schedule_next(&s, t, &next, 1), 1);
		assert_int_equal(next, times[i]);
	}
}

static void test_intervals(void **p)
{
	(void)p;
	zone("UTC");
	check_next("every 2 weeks on Monday at 01:00", "2026-11-20 00:00",
		   "Mon 2026-11-23 01:00 UTC; Mon 2026-12-07 01:00 UTC; "
		   "Mon 2026-12-21 01:00 UTC; Mon 2027-01-04 01:00 UTC");
	check_next("every 5 days", "1970-03-01 00:00",
		   "Mon 1970-03-02 00:00 UTC; Sat 1970-03-07 00:00 UTC; "
		   "Thu 1970-03-12 00:00 UTC; Tue 1970-03-17 00:00 UTC");
	check_next("the 10th day of every 5 months", "2026-01-15 00:00",
		   "Fri 2026-04-10 00:00 UTC; Thu 2026-09-10 00:00 UTC; "
		   "Wed 2027-02-10 00:00 UTC; Sat 2027-07-10 00:00 UTC");
	check_stable("every 2 weeks on Monday, Sunday at 01:00", 200);
	check_stable("every 3 weeks on Wednesday at 23:00", 200);
	check_stable("every 7 days at 12:00", 200);
	check_stable("the last Friday of every 2 months at 6:00", 400);
	check_stable("the 31st day of every 3 months", 400);
}

static void test_berlin(void **p)
{
	(void)p;
	zone("Europe/Berlin");
	/* 02:00 to 03:00 of 29 March is left out */
	check_next("every day at 2:30", "2026-03-28 00:00",
		   "Sat 2026-03-28 02:30 CET; Sun 2026-03-29 03:00 CEST; "
		   "Mon 2026-03-30 02:30 CEST; Tue 2026-03-31 02:30 CEST");
	check_next("every 30 minutes", "2026-03-29 00:40",
		   "Sun 2026-03-29 03:00 CEST; Sun 2026-03-29 03:30 CEST; "
		   "Sun 2026-03-29 04:00 CEST; Sun 2026-03-29 04:30 CEST");
	/* 02:00 to 03:00 of 25 October comes twice */
	check_next("every day at 2:30", "2026-10-24 00:00",
		   "Sat 2026-10-24 02:30 CEST; Sun 2026-10-25 02:30 CEST; "
		   "Mon 2026-10-26 02:30 CET; Tue 2026-10-27 02:30 CET");
	check_next("every day at 2:30", "2026-10-25 00:30",
		   "Mon 2026-10-26 02:30 CET; Tue 2026-10-27 02:30 CET; "
		   "Wed 2026-10-28 02:30 CET; Thu 2026-10-29 02:30 CET");
	check_next("every hour", "2026-10-24 23:30",
		   "Sun 2026-10-25 02:00 CEST; Sun 2026-10-25 03:00 CET; "
		   "Sun 2026-10-25 04:00 CET; Sun 2026-10-25 05:00 CET");
	/* the day is the local one */
	check_next("every Friday", "2026-11-19 23:30",
		   "Fri 2026-11-27 00:00 CET; Fri 2026-12-04 00:00 CET; "
		   "Fri 2026-12-11 00:00 CET; Fri 2026-12-18 00:00 CET");
}

static void test_new_york(void **p)
{
	(void)p;
	zone("America/New_York");
	check_next("every day at 2:00", "2026-03-07 08:00",
		   "Sun 2026-03-08 03:00 EDT; Mon 2026-03-09 02:00 EDT; "
		   "Tue 2026-03-10 02:00 EDT; Wed 2026-03-11 02:00 EDT");
	check_next("every day at 1:30", "2026-10-31 12:00",
		   "Sun 2026-11-01 01:30 EDT; Mon 2026-11-02 01:30 EST; "
		   "Tue 2026-11-03 01:30 EST; Wed 2026-11-04 01:30 EST");
	check_next("every Friday at 22:00", "2026-11-21 02:30",
		   "Fri 2026-11-20 22:00 EST; Fri 2026-11-27 22:00 EST; "
		   "Fri 2026-12-04 22:00 EST; Fri 2026-12-11 22:00 EST");
	check_next("the 1st of every month at 23:30", "2026-11-02 04:29",
		   "Sun 2026-11-01 23:30 EST; Tue 2026-12-01 23:30 EST; "
		   "Fri 2027-01-01 23:30 EST; Mon 2027-02-01 23:30 EST");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_berlin),
		cmocka_unit_test(test_new_york),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
