/* includes: cavad/command.c cavad/event_delivery.c */
/*
 * Events that are told: what the environment of a command has in it, and a
 * queue that has a bound. The rest is tests/daemon/test_event_delivery.py.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <sys/resource.h>

#include "tests/unit/store_test.h"
#include "tests/unit/no_memory.h"

#include "cavad/command.c"
#include "cavad/event_delivery.c"

static const char *env_of(char **env, const char *name)
{
	size_t len = strlen(name);

	for (; *env != NULL; env++) {
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
			return *env + len + 1;
		}
	}
	return NULL;
}

static void test_environment(void **p)
{
	struct test *t = *p;
	const struct event_detail details[] = {
		{ "user", "DOM\\u" }, { "path", "/a\nCAVA_STATE=x\xff" },
		{ NULL, NULL },
	};
	struct event_row row = { .id = 5, .event = {
		.what = "$(reboot)\n", .text = "caf\xc3\xa9", .count = 10,
		.last = 1700000000LL * 1000000000, .details = details } };
	char **env = NULL;

	event_describe(&row.event, EVENT_SW_AVSCAN_CAVA_INFECTED);
	env = event_environment(t, event_change_text(EVENT_COUNTED), &row);
	assert_non_null(env);
	assert_string_equal(env_of(env, "CAVA_EVENT"), "400060108");
	assert_string_equal(env_of(env, "CAVA_EVENT_NAME"),
			    "SW_AVSCAN_CAVA_INFECTED");
	assert_string_equal(env_of(env, "CAVA_EVENT_ID"), "5");
	assert_string_equal(env_of(env, "CAVA_STATE"), "repeated");
	assert_string_equal(env_of(env, "CAVA_SEVERITY"), "critical");
	assert_string_equal(env_of(env, "CAVA_WHAT"), "$(reboot)\\x0a");
	assert_string_equal(env_of(env, "CAVA_TEXT"), "caf\xc3\xa9");
	assert_string_equal(env_of(env, "CAVA_COUNT"), "10");
	assert_string_equal(env_of(env, "CAVA_TIME"), "2023-11-14T22:13:20Z");
	assert_string_equal(env_of(env, "CAVA_USER"), "DOM\\u");
	assert_string_equal(env_of(env, "CAVA_PATH"),
			    "/a\\x0aCAVA_STATE=x\\xff");
}

struct world {
	struct config config;
	struct counters counters;
	struct events *events;
	struct event_history *history;
	struct event_delivery *delivery;
};

static struct world *world(struct test *t, const char *command)
{
	struct world *w = talloc_zero(t, struct world);
	char *error = NULL;

	object_defaults(w, &object_settings, &w->config.settings);
	assert_int_equal(object_set(w, &object_settings, &w->config.settings,
				    "event_command", command, &error), 0);
	w->events = events_create(w);
	assert_non_null(w->events);
	assert_int_equal(event_history_create(w, t->ev, t->store, w->events,
					      &w->history), 0);
	assert_int_equal(event_delivery_create(
		w, t->ev, &w->config, t->store, w->events, w->history,
		&w->counters, &w->delivery), 0);
	return w;
}

static void test_bound(void **p)
{
	struct test *t = *p;
	struct world *w = world(t, "/bin/sleep 1000");
	unsigned int i = 0;
	const struct event *up = NULL;

	for (i = 0; i < DELIVERY_MAX + 5; i++) {
		event_log(w->events, EVENT_CAVA_CHECK_CHANGED, "x", "%u", i);
	}
	assert_int_equal(w->counters.events_dropped, 5);
	assert_int_equal(w->delivery->channels[0].count, DELIVERY_MAX);
	/* the one under way stays */
	assert_int_equal(TAILQ_FIRST(&w->delivery->channels[0].queue)->change,
			 1);
	up = events_up(w->events, 0);
	assert_int_equal(up->number, EVENT_CAVA_EVENTS_LOST);
	assert_int_equal(up->count, 5);
	talloc_free(w);		/* kills the command */
}

/* What is milder than event_severity is not told. */
static void test_severity(void **p)
{
	struct test *t = *p;
	struct world *w = world(t, "/bin/true");

	w->config.settings.event_severity = EVENT_CRITICAL;
	event_log(w->events, EVENT_CAVA_CHECK_CHANGED, "x", "%s", "");
	assert_int_equal(w->delivery->channels[0].count, 0);
	event_log(w->events, EVENT_SW_AVSCAN_CAVA_INFECTED, "x", "%s", "");
	assert_int_equal(w->delivery->channels[0].count, 1);
	while (w->counters.events_told == 0) {
		assert_int_equal(w->counters.events_untold, 0);
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	talloc_free(w);
}

/* One that cannot be started is no reason to try for ever. */
static void test_no_such_command(void **p)
{
	struct test *t = *p;
	struct world *w = world(t, "/no/such/program");
	const struct event *up = NULL;

	event_log(w->events, EVENT_CAVA_CHECK_CHANGED, "x", "%s", "");
	assert_int_equal(w->delivery->channels[0].count, 1);
	while (w->counters.events_untold == 0) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	assert_int_equal(w->delivery->channels[0].count, 0);
	up = events_up(w->events, 0);
	assert_int_equal(up->number, EVENT_CAVA_EVENTS_UNTOLD);
	assert_string_equal(up->what, "event_command");
	assert_string_equal(up->text, "/no/such/program: cannot be started: "
			    "No such file or directory; this event is not "
			    "told again");
	talloc_free(w);
}

/*
 * No descriptor for the pipe of the command, so it cannot be started now: it
 * is told why, and it is tried again.
 */
static void test_no_descriptor(void **p)
{
	struct test *t = *p;
	struct world *w = world(t, "/bin/true");
	struct rlimit old = { .rlim_cur = 0 };
	struct rlimit none = { .rlim_cur = 0 };

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	event_log(w->events, EVENT_CAVA_CHECK_CHANGED, "x", "%s", "");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	while (w->counters.events_untold == 0) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	assert_int_equal(w->delivery->channels[0].count, 1);
	assert_string_equal(events_up(w->events, 0)->text, "/bin/true: cannot "
			    "be started: Too many open files; it is tried "
			    "again");
	while (w->counters.events_told == 0) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	assert_int_equal(w->counters.events_untold, 1);
	assert_null(events_up(w->events, 0));
	talloc_free(w);
}

static void test_no_memory(void **p)
{
	struct test *t = *p;
	struct command command = { .line = "/bin/true", .input = "" };
	struct tevent_req *req = NULL;
	char *why = NULL;
	int ret = 0;

	no_memory = true;
	req = command_send(t, t->ev, &command);
	no_memory = false;
	assert_non_null(req);
	assert_true(tevent_req_poll(req, t->ev));
	ret = command_recv(req, t, &why);
	assert_int_equal(ret, ENOMEM);
	assert_true(command_may_go_later(ret));
	assert_string_equal(why, "cannot be started: Cannot allocate memory");
	talloc_free(req);
	talloc_free(why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_environment),
		TEST(test_bound),
		TEST(test_severity),
		TEST(test_no_descriptor),
		TEST(test_no_memory),
		TEST(test_no_such_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
