/* includes: cavad/event.c */
/*
 * Events: raised once, counted, cleared; every line and its fields.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Lines go here, not to common/log.c. */
#define log_fields test_log_fields
#include "cavad/event.c"

static char lines[1 << 20];
static unsigned int line_count;

/* "LEVEL|text|field|field|field" */
void log_fields(enum log_level level, const char *const *fields,
		const char *fmt, ...)
{
	size_t len = strlen(lines);
	va_list ap;
	size_t i;

	line_count++;
	len += snprintf(lines + len, sizeof(lines) - len, "%d|", level);
	va_start(ap, fmt);
	len += vsnprintf(lines + len, sizeof(lines) - len, fmt, ap);
	va_end(ap);
	for (i = 0; fields != NULL && fields[i] != NULL; i++) {
		len += snprintf(lines + len, sizeof(lines) - len, "|%s",
				fields[i]);
	}
	snprintf(lines + len, sizeof(lines) - len, "\n");
	assert_true(len + 2 < sizeof(lines));
}

static int set_up(void **p)
{
	lines[0] = '\0';
	line_count = 0;
	*p = events_create(NULL);
	assert_non_null(*p);
	return 0;
}

static int tear_down(void **p)
{
	talloc_free(*p);
	return 0;
}

#define OFFLINE EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE
#define OFFLINE_LINE \
	"4|SW_AVSCAN_CAVA_SERVER_OFFLINE (400060106): an antivirus server " \
	"is offline: cee1: refused 5|CAVA_EVENT=400060106|" \
	"CAVA_EVENT_NAME=SW_AVSCAN_CAVA_SERVER_OFFLINE|CAVA_WHAT=cee1\n"

static void test_raise_and_clear(void **p)
{
	struct events *e = *p;
	const struct event *up = NULL;

	assert_null(events_up(e, 0));
	event_raise(e, OFFLINE, "cee1", "refused %d", 5);
	assert_string_equal(lines, OFFLINE_LINE);
	up = events_up(e, 0);
	assert_non_null(up);
	assert_int_equal(up->number, OFFLINE);
	assert_string_equal(up->name, "SW_AVSCAN_CAVA_SERVER_OFFLINE");
	assert_int_equal(up->severity, EVENT_WARNING);
	assert_string_equal(up->what, "cee1");
	assert_string_equal(up->text, "refused 5");
	assert_int_equal(up->count, 1);
	assert_in_range(event_now() - up->since, 0, 60 * 1000000000LL);
	assert_null(events_up(e, 1));

	event_raise(e, OFFLINE, "cee1", "another text");
	assert_int_equal(up->count, 2);
	assert_string_equal(up->text, "refused 5");
	assert_string_equal(lines, OFFLINE_LINE);

	event_clear(e, OFFLINE, "cee1");
	assert_null(events_up(e, 0));
	assert_string_equal(lines, OFFLINE_LINE
		"5|SW_AVSCAN_CAVA_SERVER_OFFLINE (400060106): an antivirus "
		"server is offline: cee1: over after 0 s, raised 2 times|"
		"CAVA_EVENT=400060106|"
		"CAVA_EVENT_NAME=SW_AVSCAN_CAVA_SERVER_OFFLINE|"
		"CAVA_WHAT=cee1\n");
	event_clear(e, OFFLINE, "cee1");
	assert_int_equal(line_count, 2);
}

/* Number and what together say which. */
static void test_several(void **p)
{
	struct events *e = *p;

	event_raise(e, OFFLINE, "a", "x");
	event_raise(e, OFFLINE, "b", "x");
	event_raise(e, EVENT_CAVA_STORE_FULL, "a", "x");
	event_raise(e, EVENT_CAVA_STORE_FULL, "", "x");
	event_clear(e, OFFLINE, "c");
	event_clear(e, EVENT_CAVA_SPOOL_FULL, "a");
	assert_int_equal(line_count, 4);
	event_clear(e, OFFLINE, "b");
	assert_string_equal(events_up(e, 0)->what, "a");
	assert_int_equal(events_up(e, 0)->number, OFFLINE);
	assert_string_equal(events_up(e, 1)->what, "a");
	assert_int_equal(events_up(e, 1)->number, EVENT_CAVA_STORE_FULL);
	assert_string_equal(events_up(e, 2)->what, "");
	assert_null(events_up(e, 3));
	event_clear(e, OFFLINE, "a");
	event_clear(e, EVENT_CAVA_STORE_FULL, "");
	assert_int_equal(events_up(e, 0)->number, EVENT_CAVA_STORE_FULL);
	assert_null(events_up(e, 1));
}

static void test_settle(void **p)
{
	struct events *e = events_create(NULL);
	struct event *up = NULL;

	(void)p;
	event_settle(e, OFFLINE, "a");
	event_raise(e, OFFLINE, "a", "x");
	event_settle(e, OFFLINE, "a");
	up = (struct event *)events_up(e, 0);
	assert_non_null(up);
	up->last -= EVENT_SETTLE * (int64_t)1000000000;
	event_raise(e, OFFLINE, "a", "x");
	event_settle(e, OFFLINE, "a");
	assert_non_null(events_up(e, 0));
	up->last -= EVENT_SETTLE * (int64_t)1000000000;
	event_settle(e, OFFLINE, "a");
	assert_null(events_up(e, 0));
	talloc_free(e);
}

static void test_counted(void **p)
{
	struct events *e = *p;
	int i;

	for (i = 0; i < 1500; i++) {
		event_raise(e, OFFLINE, "a", "try %d", i);
	}
	assert_int_equal(events_up(e, 0)->count, 1500);
	assert_int_equal(line_count, 4);	/* 1, 10, 100, 1000 */
	assert_non_null(strstr(lines, "try 99 (raised 100 times)"));
}

static void test_bounded(void **p)
{
	struct events *e = *p;
	char what[32];
	int i;

	for (i = 0; i < EVENT_UP_MAX; i++) {
		snprintf(what, sizeof(what), "%d", i);
		event_raise(e, OFFLINE, what, "x");
	}
	assert_int_equal(line_count, EVENT_UP_MAX);
	lines[0] = '\0';
	for (i = 0; i < 150; i++) {
		snprintf(what, sizeof(what), "more %d", i);
		event_raise(e, OFFLINE, what, "x");
	}
	assert_int_equal(e->count, EVENT_UP_MAX);
	assert_null(events_up(e, e->count));
	assert_int_equal(line_count, EVENT_UP_MAX + 3 * 2);
	assert_non_null(strstr(lines, "1024 events are up, no more are kept; "
			       "100 were lost so far"));
	event_raise(e, OFFLINE, "0", "x");
	assert_int_equal(events_up(e, 0)->count, 2);
	event_clear(e, OFFLINE, "0");
	event_raise(e, OFFLINE, "last", "x");
	assert_string_equal(events_up(e, EVENT_UP_MAX - 1)->what, "last");
}

static void test_log(void **p)
{
	struct events *e = *p;

	event_log(e, EVENT_SW_AVSCAN_CAVA_INFECTED, "/srv/x", "%s found",
		  "Eicar");
	event_log(e, EVENT_SW_AVSCAN_CAVA_INFECTED, "/srv/x", "again");
	assert_null(events_up(e, 0));
	assert_int_equal(line_count, 2);
	assert_non_null(strstr(lines, "3|SW_AVSCAN_CAVA_INFECTED "
			       "(400060108): an infected file was found: "
			       "/srv/x: Eicar found|CAVA_EVENT=400060108|"
			       "CAVA_EVENT_NAME=SW_AVSCAN_CAVA_INFECTED|"
			       "CAVA_WHAT=/srv/x\n"));
}

static void test_audit(void **p)
{
	struct events *e = *p;

	event_audit(e, "server a", "admin", "enabled = %s, was %s", "no",
		    "yes");
	assert_null(events_up(e, 0));
	assert_string_equal(lines, "5|CAVA_CHANGED (499000030): changed over "
			    "the API: server a: enabled = no, was yes "
			    "(by admin)|CAVA_EVENT=499000030|"
			    "CAVA_EVENT_NAME=CAVA_CHANGED|CAVA_WHAT=server a|"
			    "CAVA_USER=admin|"
			    "CAVA_CHANGE=enabled = no, was yes\n");
}

/* Journal fields of their own; what is empty is left out. */
static void test_details(void **p)
{
	const struct event_detail details[] = {
		{ "user", "DOM\\u" }, { "share", "" }, { "path", "/srv/a\nb" },
		{ NULL, NULL },
	};

	event_log_details(*p, EVENT_SW_AVSCAN_CAVA_INFECTED, "/srv/x",
			  details, "found");
	assert_non_null(strstr(lines, "/srv/x: found|CAVA_EVENT=400060108|"
			       "CAVA_EVENT_NAME=SW_AVSCAN_CAVA_INFECTED|"
			       "CAVA_WHAT=/srv/x|CAVA_USER=DOM\\u|"
			       "CAVA_PATH=/srv/a\nb\n"));
	assert_null(strstr(lines, "CAVA_SHARE"));
}

/* Every row can be raised: numbers and names are distinct. */
static void test_rows(void **p)
{
	struct events *e = *p;
	unsigned int n = 0;

#define EVENT(row_number, NAME, row_severity, row_text) \
	event_raise(e, EVENT_##NAME, "", "x"); \
	assert_int_equal(events_up(e, n)->number, row_number); \
	assert_string_equal(events_up(e, n)->name, #NAME); \
	assert_int_equal(events_up(e, n)->severity, EVENT_##row_severity); \
	n++;
#include "cavad/event.def"
#undef EVENT
	assert_int_equal(line_count, n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_raise_and_clear),
		TEST(test_settle),
		TEST(test_several),
		TEST(test_counted),
		TEST(test_bounded),
		TEST(test_log),
		TEST(test_audit),
		TEST(test_details),
		TEST(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
