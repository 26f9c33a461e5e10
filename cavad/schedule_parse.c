/*
 * The grammar of schedules. See schedule.h.
 *
 *   DAYS [TIMES]
 *
 *   DAYS   every [other | N] day | every weekday
 *          every [other | N] week [on D, D and D]
 *          every [other] D, D and D [of every [other | N] week]
 *          every [other | N] month [on the WHICH]
 *          the WHICH of every [other | N] month
 *          yearly on MONTH N | yearly on the WHICH of MONTH
 *          nothing, when TIMES begins with "every": each day
 *   WHICH  N, or last or N (or first, second ...) with day, weekday or D
 *   D      a day of the week; three letters are enough, as for MONTH
 *   TIMES  at TIME | every [N] hours | every [N] minutes, the last two with
 *          [between TIME and TIME] or [from TIME to TIME]; otherwise 00:00
 *   TIME   HH[:MM] [am | pm]
 *
 * Case does not matter, N may have st, nd, rd or th behind it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/near.h"
#include "cavad/schedule.h"

#define WORDS_MAX 64
#define MONDAY_TO_FRIDAY "MO,TU,WE,TH,FR"

struct parser {
	char data[SCHEDULE_TEXT_MAX * 2];	/* small letters */
	const char *words[WORDS_MAX + 1];	/* "" behind the last */
	unsigned int pos;
	struct schedule s;
	char *error;
	size_t error_size;
	bool failed;
};

static const char *const day_names[] = {
	"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
	"Sunday", NULL
};
static const char *const day_codes[] = {
	"MO", "TU", "WE", "TH", "FR", "SA", "SU"
};
static const char *const month_names[] = {
	"January", "February", "March", "April", "May", "June", "July",
	"August", "September", "October", "November", "December", NULL
};
static const unsigned int month_days[] = {
	31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
};

__attribute__((format(printf, 2, 3)))
static void fail(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	if (p->failed) {
		return;
	}
	p->failed = true;
	va_start(ap, fmt);
	vsnprintf(p->error, p->error_size, fmt, ap);
	va_end(ap);
}

/* The word at hand is none of what could stand here. */
static void fail_word(struct parser *p, const char *accepted)
{
	static const char *const words[] = {
		"every", "the", "yearly", "other", "day", "weekday", "week",
		"month", "year", "hours", "minutes", "last", "between", "from",
		"Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
		"Saturday", "Sunday", "January", "February", "March", "April",
		"June", "July", "August", "September", "October", "November",
		"December", NULL
	};
	const char *word = p->words[p->pos];
	const char *meant = NULL;

	if (p->failed) {
		return;
	}
	meant = near_name(words, word);
	if (word[0] == '\0') {
		fail(p, "something is missing at the end: %s", accepted);
		return;
	}
	if (meant != NULL && strcasecmp(meant, word) != 0) {
		fail(p, "\"%.40s\" is not understood; did you mean %s? "
		     "Accepted here: %s", word, meant, accepted);
		return;
	}
	fail(p, "\"%.40s\" is not understood; accepted here: %s", word,
	     accepted);
}

static bool at_end(const struct parser *p)
{
	return p->words[p->pos][0] == '\0';
}

/* Takes the word if it is this one. */
static bool take(struct parser *p, const char *word)
{
	if (p->failed || strcmp(p->words[p->pos], word) != 0) {
		return false;
	}
	p->pos++;
	return true;
}

/* "week" or "weeks" */
static bool take_unit(struct parser *p, const char *word)
{
	size_t len = strlen(word);
	const char *have = p->words[p->pos];

	if (p->failed || strncmp(have, word, len) != 0 ||
	    (have[len] != '\0' && strcmp(have + len, "s") != 0)) {
		return false;
	}
	p->pos++;
	return true;
}

static void expect(struct parser *p, const char *word)
{
	if (!take(p, word)) {
		fail_word(p, word);
	}
}

/* Index of a name, whole or its first three letters; -1: it is none. */
static int take_name(struct parser *p, const char *const *names)
{
	const char *word = p->words[p->pos];
	int i = 0;

	for (i = 0; !p->failed && names[i] != NULL; i++) {
		if (strcasecmp(word, names[i]) == 0 ||
		    (strlen(word) == 3 &&
		     strncasecmp(word, names[i], 3) == 0)) {
			p->pos++;
			return i;
		}
	}
	return -1;
}

/* "3", "3rd", "third"; 0: it is none. At most four digits. */
static unsigned int take_number(struct parser *p)
{
	static const char *const ordinals[] = {
		"first", "second", "third", "fourth", "fifth"
	};
	const char *word = p->words[p->pos];
	unsigned int value = 0;
	unsigned int i = 0;
	size_t len = strspn(word, "0123456789");
	const char *tail = word + len;

	for (i = 0; !p->failed && i < 5; i++) {
		if (strcmp(word, ordinals[i]) == 0) {
			p->pos++;
			return i + 1;
		}
	}
	if (p->failed || len == 0 || len > 4 ||
	    (tail[0] != '\0' && strcmp(tail, "st") != 0 &&
	     strcmp(tail, "nd") != 0 && strcmp(tail, "rd") != 0 &&
	     strcmp(tail, "th") != 0)) {
		return 0;
	}
	for (i = 0; i < len; i++) {
		value = value * 10 + word[i] - '0';
	}
	if (value == 0) {
		fail(p, "\"%s\": counting begins with 1", word);
	}
	p->pos++;
	return value;
}

/* What stands behind "every": 2 for "other". 1 when it is no number. */
static unsigned int take_interval(struct parser *p)
{
	unsigned int n = 0;

	if (take(p, "other")) {
		return 2;
	}
	n = take_number(p);
	return n == 0 ? 1 : n;
}

static void bound(struct parser *p, unsigned int n, unsigned int max,
		  const char *what)
{
	if (n > max) {
		fail(p, "%u %s are too many: at most %u", n, what, max);
	}
}

__attribute__((format(printf, 2, 3)))
static void add_text(struct parser *p, const char *fmt, ...)
{
	size_t len = strlen(p->s.text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->s.text + len, sizeof(p->s.text) - len, fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3)))
static void add_rule(struct parser *p, const char *fmt, ...)
{
	size_t len = strlen(p->s.rule);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->s.rule + len, sizeof(p->s.rule) - len, fmt, ap);
	va_end(ap);
}

static void set_unit(struct parser *p, enum schedule_unit unit,
		     unsigned int interval)
{
	p->s.unit = unit;
	p->s.interval = interval;
}

static void start_text(struct parser *p, unsigned int n, const char *unit)
{
	if (n == 1) {
		add_text(p, "every %s", unit);
	} else {
		add_text(p, "every %u %ss", n, unit);
	}
}

/* "Monday, Wednesday and Friday" into a set; at least one. */
static unsigned int take_days(struct parser *p)
{
	unsigned int set = 0;
	int day = 0;

	do {
		day = take_name(p, day_names);
		if (day == -1) {
			fail_word(p, "a day of the week (Monday to Sunday)");
			return 0;
		}
		set |= 1U << day;
	} while (take(p, ",") ? (take(p, "and"), true) : take(p, "and"));
	return set;
}

static void put_days(struct parser *p, unsigned int set)
{
	const char *comma = "";
	unsigned int i = 0;

	add_rule(p, ";BYDAY=");
	for (i = 0; i < 7; i++) {
		if ((set & 1U << i) != 0) {
			add_rule(p, "%s%s", comma, day_codes[i]);
			add_text(p, "%s%s", comma[0] != '\0' ? ", " : "",
				 day_names[i]);
			comma = ",";
		}
	}
}

static const char *ordinal(unsigned int n)
{
	if (n / 10 == 1) {
		return "th";
	}
	return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" :
		"th";
}

/*
 * "last day", "3rd weekday", "2nd Friday", "15th". How many days the month
 * has to have for it to be: in any, eight at least are of a weekend.
 */
static unsigned int parse_which(struct parser *p)
{
	bool last = take(p, "last");
	unsigned int n = last ? 1 : take_number(p);
	int day = 0;

	if (n == 0) {
		fail_word(p, "last, or a number as in 2nd");
		return 0;
	}
	if (last) {
		add_text(p, "last ");
	} else {
		add_text(p, "%u%s ", n, ordinal(n));
	}
	day = take_name(p, day_names);
	if (day != -1) {
		bound(p, n, 5, "of that day in a month");
		add_rule(p, ";BYDAY=%s%u%s", last ? "-" : "", n,
			 day_codes[day]);
		add_text(p, "%s", day_names[day]);
	} else if (take(p, "weekday")) {
		bound(p, n, 23, "weekdays in a month");
		add_rule(p, ";BYDAY=" MONDAY_TO_FRIDAY ";BYSETPOS=%s%u",
			 last ? "-" : "", n);
		add_text(p, "weekday");
		return n + 8;
	} else if (take(p, "day") || !last) {
		bound(p, n, 31, "days in a month");
		add_rule(p, ";BYMONTHDAY=%s%u", last ? "-" : "", n);
		add_text(p, "day");
		return n;
	} else {
		fail_word(p, "day, weekday, or a day of the week");
	}
	return 0;
}

static void parse_week(struct parser *p, unsigned int n)
{
	bound(p, n, 52, "weeks");
	set_unit(p, SCHEDULE_WEEK, n);
	start_text(p, n, "week");
	add_text(p, " on ");
	put_days(p, take(p, "on") ? take_days(p) : 1);
}

static void parse_month(struct parser *p, unsigned int n)
{
	bound(p, n, 12, "months");
	set_unit(p, SCHEDULE_MONTH, n);
	add_text(p, "the ");
	if (take(p, "on")) {
		take(p, "the");
		parse_which(p);
	} else {
		add_rule(p, ";BYMONTHDAY=1");
		add_text(p, "1st day");
	}
	add_text(p, " of ");
	start_text(p, n, "month");
}

/* every Monday and Friday [of every other week] */
static void parse_named_days(struct parser *p, unsigned int n)
{
	unsigned int set = take_days(p);

	if (take(p, "of")) {
		expect(p, "every");
		n = take_interval(p);
		if (!take_unit(p, "week")) {
			fail_word(p, "week");
		}
	}
	bound(p, n, 52, "weeks");
	set_unit(p, SCHEDULE_WEEK, n);
	if (n == 1) {
		add_text(p, "every ");
	} else {
		start_text(p, n, "week");
		add_text(p, " on ");
	}
	put_days(p, set);
}

/* the last Sunday [of every other month] */
static void parse_the(struct parser *p)
{
	unsigned int n = 1;

	add_text(p, "the ");
	parse_which(p);
	if (take(p, "of")) {
		expect(p, "every");
		n = take_interval(p);
		if (!take_unit(p, "month")) {
			fail_word(p, "month");
		}
	}
	bound(p, n, 12, "months");
	set_unit(p, SCHEDULE_MONTH, n);
	add_text(p, " of ");
	start_text(p, n, "month");
}

static void parse_yearly(struct parser *p)
{
	unsigned int n = 0;
	int month = 0;

	expect(p, "on");
	set_unit(p, SCHEDULE_YEAR, 1);
	add_text(p, "yearly on ");
	if (take(p, "the")) {
		add_text(p, "the ");
		n = parse_which(p);
		expect(p, "of");
		month = take_name(p, month_names);
		if (month == -1) {
			fail_word(p, "a month (January to December)");
			return;
		}
		if (n > month_days[month]) {
			fail(p, "%s has at most %u days, and %u weekdays; "
			     "the last of them comes each year",
			     month_names[month], month_days[month],
			     month_days[month] - 8);
		}
		add_rule(p, ";BYMONTH=%d", month + 1);
		add_text(p, " of %s", month_names[month]);
		return;
	}
	month = take_name(p, month_names);
	n = month == -1 ? 0 : take_number(p);
	if (n == 0) {
		fail_word(p, month == -1 ? "a month (January to December), "
			  "or \"the last Friday of June\"" :
			  "a day of the month, 1 to 31");
		return;
	}
	bound(p, n, month_days[month], "days in that month");
	add_rule(p, ";BYMONTH=%d;BYMONTHDAY=%u", month + 1, n);
	add_text(p, "%s %u", month_names[month], n);
}

/* HH[:MM] [am|pm], in minutes of the day */
static unsigned int take_time(struct parser *p)
{
	static const char accepted[] = "a time, as 22:00, 3:30 or 10 pm";
	const char *word = p->words[p->pos];
	unsigned int hour = 0;
	unsigned int minute = 0;
	int len = 0;
	const char *tail = NULL;
	bool pm = false;

	if (!isdigit((unsigned char)word[0]) ||
	    sscanf(word, "%2u%n", &hour, &len) != 1) {
		fail_word(p, accepted);
		return 0;
	}
	tail = word + len;
	if (tail[0] == ':') {
		if (!isdigit((unsigned char)tail[1]) ||
		    !isdigit((unsigned char)tail[2])) {
			fail_word(p, accepted);
			return 0;
		}
		minute = (tail[1] - '0') * 10 + tail[2] - '0';
		tail += 3;
	}
	if (tail[0] == '\0' && (strcmp(p->words[p->pos + 1], "am") == 0 ||
				strcmp(p->words[p->pos + 1], "pm") == 0)) {
		tail = p->words[++p->pos];
	}
	pm = strcmp(tail, "pm") == 0;
	if (tail[0] != '\0' && !pm && strcmp(tail, "am") != 0) {
		fail_word(p, accepted);
		return 0;
	}
	if (tail[0] != '\0' && (hour < 1 || hour > 12)) {
		fail(p, "%u %s: with am and pm hours go from 1 to 12", hour,
		     tail);
		return 0;
	}
	hour = tail[0] != '\0' ? hour % 12 + (pm ? 12 : 0) : hour;
	if (hour > 23 || minute > 59) {
		fail(p, "%u:%02u: times go from 00:00 to 23:59", hour, minute);
		return 0;
	}
	p->pos++;
	return hour * 60 + minute;
}

static void parse_range(struct parser *p)
{
	bool between = take(p, "between");

	p->s.from = 0;
	p->s.to = 1439;
	if (!between && !take(p, "from")) {
		return;
	}
	p->s.from = take_time(p);
	expect(p, between ? "and" : "to");
	p->s.to = take_time(p);
	if (p->s.to < p->s.from) {
		fail(p, "it would end (%02u:%02u) before it begins "
		     "(%02u:%02u); a span of hours lies within one day",
		     p->s.to / 60, p->s.to % 60, p->s.from / 60,
		     p->s.from % 60);
	}
	add_text(p, " between %02u:%02u and %02u:%02u", p->s.from / 60,
		 p->s.from % 60, p->s.to / 60, p->s.to % 60);
}

/* "6 hours ...", "30 minutes ..."; false: it is neither. */
static bool parse_step(struct parser *p, unsigned int n)
{
	bool hours = take_unit(p, "hour");

	if (!hours && !take_unit(p, "minute")) {
		return false;
	}
	bound(p, n, hours ? 23 : 1439, hours ? "hours" : "minutes");
	p->s.step = hours ? n * 60 : n;
	add_text(p, "%s", p->s.text[0] != '\0' ? " " : "");
	start_text(p, n, hours ? "hour" : "minute");
	parse_range(p);
	return true;
}

static void parse_times(struct parser *p)
{
	if (take(p, "every")) {
		if (!parse_step(p, take_interval(p))) {
			fail_word(p, "hours, minutes");
		}
		return;
	}
	if (!at_end(p)) {
		if (!take(p, "at")) {
			fail_word(p, "at 22:00, every 6 hours, or nothing "
				  "more");
			return;
		}
		p->s.from = p->s.to = take_time(p);
	}
	add_text(p, " at %02u:%02u", p->s.from / 60, p->s.from % 60);
}

/* Behind the first "every"; true: the times are parsed too. */
static bool parse_every(struct parser *p)
{
	unsigned int n = take_interval(p);
	int day = 0;

	if (parse_step(p, n)) {
		set_unit(p, SCHEDULE_DAY, 1);
		return true;
	}
	if (take_unit(p, "day")) {
		bound(p, n, 366, "days");
		set_unit(p, SCHEDULE_DAY, n);
		start_text(p, n, "day");
		return false;
	}
	if (take_unit(p, "weekday")) {
		if (n != 1) {
			fail(p, "every %u weekdays cannot be counted: use "
			     "\"every weekday\" or \"every %u weeks on "
			     "Monday\"", n, n);
		}
		set_unit(p, SCHEDULE_WEEK, 1);
		add_rule(p, ";BYDAY=" MONDAY_TO_FRIDAY);
		add_text(p, "every weekday");
		return false;
	}
	if (take_unit(p, "week")) {
		parse_week(p, n);
		return false;
	}
	if (take_unit(p, "month")) {
		parse_month(p, n);
		return false;
	}
	if (n == 1 && take(p, "year")) {
		parse_yearly(p);
		return false;
	}
	day = take_name(p, day_names);
	if (day == -1) {
		fail_word(p, "day, weekday, week, month, hours, minutes, a "
			  "day of the week, other or a number before them");
		return false;
	}
	p->pos--;
	parse_named_days(p, n);
	return false;
}

/* Cuts the phrase into small-letter words; a comma is one of them. */
static void split(struct parser *p, const char *phrase)
{
	unsigned int n = 0;
	char *out = p->data;
	size_t len = 0;
	size_t i = 0;

	while (!p->failed && *phrase != '\0') {
		len = strspn(phrase, " \t");
		phrase += len;
		len = *phrase == ',' ? 1 : strcspn(phrase, " \t,");
		if (len == 0) {
			break;
		}
		if (n == WORDS_MAX) {
			fail(p, "more than %d words", WORDS_MAX);
			break;
		}
		p->words[n++] = out;
		for (i = 0; i < len; i++) {
			*out++ = tolower((unsigned char)phrase[i]);
		}
		*out++ = '\0';
		phrase += len;
	}
	for (; n <= WORDS_MAX; n++) {
		p->words[n] = "";
	}
}

static void parse_phrase(struct parser *p)
{
	if (take(p, "every")) {
		if (parse_every(p)) {
			return;
		}
	} else if (take(p, "the")) {
		parse_the(p);
	} else if (take(p, "yearly")) {
		parse_yearly(p);
	} else {
		fail_word(p, "every, the, or yearly, as in \"every Friday at "
			  "22:00\" or \"the last Sunday of every month at "
			  "3:30\"");
	}
	parse_times(p);
}

int schedule_parse(const char *phrase, struct schedule *s, char *error,
		   size_t error_size)
{
	struct parser p = { .error = error, .error_size = error_size };

	if (strlen(phrase) >= SCHEDULE_TEXT_MAX) {
		fail(&p, "longer than %d characters", SCHEDULE_TEXT_MAX - 1);
		return EINVAL;
	}
	split(&p, phrase);
	parse_phrase(&p);
	if (!p.failed && !at_end(&p)) {
		fail_word(&p, "nothing more");
	}
	if (p.failed) {
		return EINVAL;
	}
	*s = p.s;
	return 0;
}
