/*
 * When a job runs: phrases as OneFS's administrators write them.
 *
 * "every Friday at 22:00", "every 2 weeks on Monday at 01:00", "the last
 * Sunday of every month at 3:30", "every 6 hours", "yearly on January 3".
 * schedule_parse.c makes a recurrence rule of it (RFC 5545), for days, and
 * a list of times within a day; schedule.c asks libical for the days.
 *
 * - Times are those of the host's zone. One that a change of the clock leaves
 *   out is the first moment after the gap; one that comes twice runs once,
 *   the first time.
 * - Every second, third ... week, month or day counts from a fixed one: the
 *   week of Monday 5 January 1970, January 1970, 1 January 1970. So it does
 *   not depend on when the job was made or cavad started.
 * - A day that a month does not have (the 31st) is left out.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SCHEDULE_H
#define CAVAD_SCHEDULE_H

#include <stddef.h>
#include <time.h>

#define SCHEDULE_TEXT_MAX 256
#define SCHEDULE_RULE_MAX 128

enum schedule_unit {
	SCHEDULE_DAY, SCHEDULE_WEEK, SCHEDULE_MONTH, SCHEDULE_YEAR
};

struct schedule {
	enum schedule_unit unit;
	unsigned int interval;		/* every so many of them */
	char rule[SCHEDULE_RULE_MAX];	/* which days of it: ";BYDAY=FR" */
	unsigned int from, to;		/* minutes of the day */
	unsigned int step;		/* minutes; 0 = at `from` alone */
	char text[SCHEDULE_TEXT_MAX];	/* the phrase, as we would write it */
};

/*
 * Pure. 0, or EINVAL: error names the word that is not understood and what
 * is accepted in its place. *s is changed on success only.
 */
int schedule_parse(const char *phrase, struct schedule *s, char *error,
		   size_t error_size);

/*
 * The next times behind `after`, at most `max`; how many there are. What is
 * missed while cavad is down: schedule_next(s, last looked at) is then in
 * the past, and one run makes up for all of them.
 */
unsigned int schedule_next(const struct schedule *s, time_t after,
			   time_t *times, unsigned int max);

#endif
