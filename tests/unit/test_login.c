/* includes: cavad/login.c */
/*
 * Logins: one hash for many, a limit for an address, and requests that go
 * away while they are hashed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cavad/login.c"

/* of "right", by SHA-256 with 1000 rounds */
#define HASH "$5$rounds=1000$abcdefgh$" \
	     "7CVyC8P266q4WSp2xjkRTdYiJnZTV8bjxwkmSMxhVsA"
#define OTHER "$5$rounds=1000$abcdefgh$" \
	      "0000000000000000000000000000000000000000000"

struct test {
	struct tevent_context *ev;
	struct counters counters;
	struct logins *l;
};

static struct accounts *accounts_of(const char *text)
{
	struct accounts *a = NULL;
	char *error = NULL;

	assert_int_equal(accounts_parse(NULL, text, &a, &error), 0);
	return a;
}

static int set_up(void **p)
{
	struct test *t = talloc_zero(NULL, struct test);
	struct events *events = NULL;

	t->ev = tevent_context_init(t);
	events = events_create(t);
	assert_non_null(events);
	assert_int_equal(logins_create(t, t->ev, accounts_of("admin:" HASH),
				       events, &t->counters, &t->l), 0);
	*p = t;
	return 0;
}

static int tear_down(void **p)
{
	talloc_free(*p);
	return 0;
}

static struct tevent_req *begin(struct test *t, const char *name,
				const char *password, const char *from)
{
	struct tevent_req *req = login_send(t, t->ev, t->l, name, password,
					    from);

	assert_non_null(req);
	return req;
}

static int login(struct test *t, const char *name, const char *password,
		 const char *from)
{
	struct tevent_req *req = begin(t, name, password, from);
	int ret = 0;

	assert_true(tevent_req_poll(req, t->ev));
	ret = login_recv(req);
	talloc_free(req);
	return ret;
}

static void test_right_and_known(void **p)
{
	struct test *t = *p;
	struct tevent_req *req = NULL;

	assert_int_equal(login(t, "admin", "right", "::1"), 0);
	req = begin(t, "admin", "right", "::1");
	assert_int_equal(t->l->queued_count, 0);	/* no hash */
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(login_recv(req), 0);
	talloc_free(req);
	assert_int_equal(t->counters.api_login_failures, 0);
	assert_int_equal(login_from(t->l, "::1")->count, 0);

	/* not for ever, and not for another password of the account */
	t->l->known[0].until = login_now();
	req = begin(t, "admin", "right", "::1");
	assert_int_equal(t->l->queued_count, 1);
	talloc_free(req);
	logins_change(t->l, accounts_of("admin:" OTHER));
	assert_int_equal(login(t, "admin", "right", "::1"), EACCES);
}

static void test_wrong(void **p)
{
	struct test *t = *p;
	struct timeval begun = tevent_timeval_current();
	struct timeval took;

	assert_int_equal(login(t, "admin", "wrong", "a"), EACCES);
	took = tevent_timeval_until(&begun, &(struct timeval) {
		tevent_timeval_current().tv_sec,
		tevent_timeval_current().tv_usec });
	assert_true(took.tv_sec >= LOGIN_DELAY);
	assert_int_equal(t->counters.api_login_failures, 1);
	assert_int_equal(login(t, "nobody", "right", "a"), EACCES);
	assert_int_equal(login(t, "admin", "", "a"), EACCES);
	assert_int_equal(login_from(t->l, "a")->count, 3);
}

/* Those under way count: many at a time are no way around. */
static void test_limit(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[LOGIN_FAILURES];
	size_t i = 0;

	assert_int_equal(login(t, "admin", "right", "other"), 0);
	for (i = 0; i < LOGIN_FAILURES; i++) {
		reqs[i] = begin(t, "admin", "guess", "a");
	}
	assert_int_equal(login(t, "admin", "guess", "a"), EBUSY);
	/* known as right: whoever guesses locks nobody out */
	assert_int_equal(login(t, "admin", "right", "a"), 0);
	/* another address is another */
	assert_int_equal(login(t, "admin", "guess", "b"), EACCES);
	for (i = 0; i < LOGIN_FAILURES; i++) {
		assert_true(tevent_req_poll(reqs[i], t->ev));
		assert_int_equal(login_recv(reqs[i]), EACCES);
		talloc_free(reqs[i]);
	}
	assert_int_equal(login(t, "admin", "guess", "a"), EBUSY);
	login_from(t->l, "a")->since -= LOGIN_WINDOW;
	assert_int_equal(login(t, "admin", "guess", "a"), EACCES);
}

static void test_queue(void **p)
{
	struct test *t = *p;
	char from[16];
	int i = 0;

	for (i = 0; i < LOGIN_QUEUE; i++) {
		snprintf(from, sizeof(from), "%d", i);
		begin(t, "admin", "guess", from);
	}
	assert_int_equal(login(t, "admin", "guess", "x"), EAGAIN);
	/* the rest goes with the test, half of it hashed */
}

static void test_gone(void **p)
{
	struct test *t = *p;
	struct tevent_req *req = begin(t, "admin", "guess", "a");
	int i = 0;

	talloc_free(req);
	for (i = 0; i < 1000 && t->l->queued_count > 0; i++) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	assert_int_equal(t->l->queued_count, 0);
	/* it stays a failure: hanging up early is no way to guess for free */
	assert_int_equal(login_from(t->l, "a")->count, 1);
}

/* More addresses than there are rows: the oldest makes room. */
static void test_addresses(void **p)
{
	struct test *t = *p;
	char from[16];
	int i = 0;

	login_from(t->l, "last")->count = 3;
	for (i = 0; i < 2 * LOGIN_FROM_MAX; i++) {
		snprintf(from, sizeof(from), "%d", i);
		login_from(t->l, from);
	}
	assert_int_equal(login_from(t->l, "last")->count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_right_and_known),
		TEST(test_wrong),
		TEST(test_limit),
		TEST(test_queue),
		TEST(test_gone),
		TEST(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
