/*
 * From a schedule to moments. See schedule.h.
 *
 * libical walks the days of the rule in local dates; it is started at the
 * last beginning of a counted unit before `after`, not in 1970. Times of a
 * day and the zone are done here: mktime() does not say what it does with
 * times that do not exist or come twice.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/schedule.h"

#include <libical/ical.h>
#include <stdint.h>
#include <stdio.h>

#define DAY 86400
#define MONDAY 4	/* 5 January 1970, days since the epoch */

static int64_t offset_at(time_t t)
{
	struct tm tm = { 0 };

	localtime_r(&t, &tm);
	return tm.tm_gmtoff;
}

/* The first moment behind lo that has not the offset of lo. */
static time_t change_between(time_t lo, time_t hi)
{
	int64_t before = offset_at(lo);
	time_t mid = 0;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (offset_at(mid) == before) {
			lo = mid;
		} else {
			hi = mid;
		}
	}
	return hi;
}

/* wall: what the clock shows, as if it were UTC. */
static time_t moment_of(int64_t wall)
{
	int64_t before = offset_at(wall - DAY);
	int64_t after = offset_at(wall + DAY);
	int64_t large = before > after ? before : after;
	int64_t small = before > after ? after : before;

	if (offset_at(wall - large) == large) {
		return wall - large;
	}
	if (offset_at(wall - small) == small || before == after) {
		return wall - small;
	}
	return change_between(wall - DAY, wall + DAY);
}

/* Where counting begins: the unit that `day` lies in, or one before. */
static struct icaltimetype anchor_of(const struct schedule *s, int64_t day)
{
	struct icaltimetype t = icaltime_null_time();
	struct tm tm = { 0 };
	time_t at = day * DAY;
	int64_t months = 0;

	if (s->unit == SCHEDULE_DAY) {
		at = (day - day % s->interval) * DAY;
	}
	if (s->unit == SCHEDULE_WEEK) {
		day -= MONDAY;
		at = (day - day % (7 * s->interval) + MONDAY) * DAY;
	}
	gmtime_r(&at, &tm);
	if (s->unit == SCHEDULE_MONTH) {
		months = (tm.tm_year - 70) * 12 + tm.tm_mon;
		months -= months % s->interval;
		tm.tm_year = 70 + months / 12;
		tm.tm_mon = months % 12;
		tm.tm_mday = 1;
	}
	if (s->unit == SCHEDULE_YEAR) {
		tm.tm_mon = 0;
		tm.tm_mday = 1;
	}
	t.year = tm.tm_year + 1900;
	t.month = tm.tm_mon + 1;
	t.day = tm.tm_mday;
	t.is_date = 1;
	return t;
}

/* Adds what there is on that day; how many there are then. */
static unsigned int times_of(const struct schedule *s, int64_t day,
			     time_t after, time_t *times, unsigned int n,
			     unsigned int max)
{
	unsigned int minute = s->from;
	time_t last = n > 0 ? times[n - 1] : after;
	time_t t = 0;

	while (n < max && minute <= s->to) {
		t = moment_of(day * DAY + minute * INT64_C(60));
		if (t > last) {
			times[n++] = last = t;
		}
		if (s->step == 0) {
			break;
		}
		minute += s->step;
	}
	return n;
}

unsigned int schedule_next(const struct schedule *s, time_t after,
			   time_t *times, unsigned int max)
{
	static const char *const units[] = {
		"DAILY", "WEEKLY", "MONTHLY", "YEARLY"
	};
	char rule[SCHEDULE_RULE_MAX + 64] = "";
	struct icaltimetype day = icaltime_null_time();
	icalrecur_iterator *days = NULL;
	unsigned int n = 0;

	tzset();
	if (after < 30 * DAY) {		/* a clock that was never set */
		after = 30 * DAY;
	}
	snprintf(rule, sizeof(rule), "FREQ=%s;INTERVAL=%u%s", units[s->unit],
		 s->interval, s->rule);
	day = anchor_of(s, (after + offset_at(after)) / DAY - 1);
	days = icalrecur_iterator_new(icalrecurrencetype_from_string(rule),
				      day);
	while (days != NULL && n < max) {
		day = icalrecur_iterator_next(days);
		if (icaltime_is_null_time(day)) {
			break;
		}
		n = times_of(s, icaltime_as_timet(day) / DAY, after, times, n,
			     max);
	}
	icalrecur_iterator_free(days);
	return n;
}
