/*
 * What jobs leave to clients. Servers are the test's (scan_test.h), files
 * process and store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"

/* One that waits: files are looked at in bunches, which overtake. */
static const char *not_running(struct test *t, char *paths[], int count)
{
	unsigned int k;
	int i;

	for (i = count - 1; i >= 0; i--) {
		for (k = 0; k < t->servers->running_count; k++) {
			if (strcmp(t->servers->running[k]->path,
				   paths[i]) == 0) {
				break;
			}
		}
		if (k == t->servers->running_count) {
			return paths[i];
		}
	}
	fail();
	return NULL;
}

/* Jobs fill their lane; who waits for a file of theirs does not. */
static void test_who_waits_goes_first(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[20];
	struct tevent_req *req = NULL;
	const char *path = NULL;
	char *paths[20];
	int i;

	for (i = 0; i < 20; i++) {
		paths[i] = make_file(t, talloc_asprintf(t, "f%d", i));
		reqs[i] = ask(t, paths[i], SCAN_JOB, false);
	}
	RUNNING(t, 15);		/* three quarters of 20 */
	turn_for(t, 30);
	assert_int_equal(t->servers->running_count, 15);
	path = not_running(t, paths, 20);
	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 16);
	assert_string_equal(t->servers->running[15]->path, path);
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	for (i = 0; i < 20; i++) {
		answer_of(t, reqs[i]);
	}
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_CLEAN);
	assert_int_equal(t->servers->asked, 20);
}

/* Who waits for one that a job has under way is a client who waits. */
static void test_joined_makes_jobs_few(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[20];
	struct tevent_req *reader = NULL;
	char *paths[20];
	int i;

	for (i = 0; i < 20; i++) {
		paths[i] = make_file(t, talloc_asprintf(t, "f%d", i));
		reqs[i] = ask(t, paths[i], SCAN_JOB, false);
	}
	RUNNING(t, 15);
	reader = ask(t, t->servers->running[14]->path, SCAN_ON_ACCESS, false);
	for (i = 0; i < 4; i++) {
		fake_end(t->servers, VERDICT_CLEAN);
		turn_for(t, 30);
	}
	assert_int_equal(t->servers->running_count, 11);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, t->servers->asked == 16);
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	for (i = 0; i < 20; i++) {
		answer_of(t, reqs[i]);
	}
	assert_int_equal(answer_of(t, reader).verdict.result, VERDICT_CLEAN);
	assert_int_equal(t->servers->asked, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_waits_goes_first),
		TEST(test_joined_makes_jobs_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
