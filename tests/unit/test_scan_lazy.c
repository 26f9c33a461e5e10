/*
 * What nobody waits for is gathered, and what somebody waits for is not, from
 * when on he does. Servers are the test's (scan_test.h), files process and
 * store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_private.h"
#include "tests/unit/scan_test.h"

static unsigned int gathered(struct test *t)
{
	const struct files_job *job = NULL;
	unsigned int n = 0;
	unsigned int i;

	TAILQ_FOREACH(job, &t->files->lazy, entry) {
		n++;
	}
	for (i = 0; i < FILES_WORKERS; i++) {
		TAILQ_FOREACH(job, &t->files->workers[i].lazy, entry) {
			n++;
		}
	}
	return n;
}

static unsigned int under_way(struct test *t)
{
	const struct files_job *job = NULL;
	unsigned int n = 0;
	unsigned int i;

	for (i = 0; i < FILES_WORKERS; i++) {
		TAILQ_FOREACH(job, &t->files->workers[i].under_way, entry) {
			n++;
		}
	}
	return n;
}

static void assert_clean(struct test *t, struct tevent_req *req)
{
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_CLEAN);
}

static void test_begin_is_raised(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *job = ask(t, path, SCAN_JOB, false);
	struct tevent_req *reader = NULL;

	assert_int_equal(gathered(t), 1);
	reader = ask(t, path, SCAN_ON_ACCESS, false);
	assert_int_equal(gathered(t), 0);
	assert_int_equal(under_way(t), 1);
	t->servers->at_once = true;
	assert_clean(t, job);
	assert_clean(t, reader);
}

static void test_end_is_raised(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *job = ask(t, path, SCAN_JOB, false);
	struct tevent_req *reader = NULL;

	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(gathered(t), 1);
	reader = ask(t, path, SCAN_ON_ACCESS, false);
	assert_int_equal(gathered(t), 0);
	assert_int_equal(under_way(t), 1);
	assert_clean(t, job);
	assert_clean(t, reader);
	assert_int_equal(t->servers->asked, 1);
}

/* It was raised while the server was at it. */
static void test_end_of_raised(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *job = ask(t, path, SCAN_JOB, false);
	struct tevent_req *reader = NULL;

	RUNNING(t, 1);
	reader = ask(t, path, SCAN_ON_ACCESS, false);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(gathered(t), 0);
	assert_int_equal(under_way(t), 1);
	assert_clean(t, job);
	assert_clean(t, reader);
	assert_int_equal(t->servers->asked, 1);
}

static void test_who_is_not_lazy(void **p)
{
	struct test *t = *p;
	enum scan_source sources[] = { SCAN_ON_ACCESS, SCAN_MANUAL,
				       SCAN_AHEAD, SCAN_SELFTEST };
	struct tevent_req *reqs[4];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		reqs[i] = ask(t, make_file(t, talloc_asprintf(t, "f%u", i)),
			      sources[i], false);
		assert_int_equal(gathered(t), 0);
	}
	t->servers->at_once = true;
	for (i = 0; i < 4; i++) {
		assert_clean(t, reqs[i]);
	}
}

static unsigned int in_lanes(struct test *t)
{
	struct scan_queue_status q;
	unsigned int n = 0;
	unsigned int i;

	for (i = 0; scan_queue_status(t->scans, i, &q); i++) {
		n += q.size;
	}
	return n;
}

/* The next one has the place in the lane, and gives it back. */
static void test_changed_queues_again(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *job = ask(t, path, SCAN_JOB, false);

	RUNNING(t, 1);
	assert_int_equal(in_lanes(t), 1);
	change_file(path);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(in_lanes(t), 0);
	RUNNING(t, 1);
	assert_int_equal(in_lanes(t), 1);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_clean(t, job);
	assert_int_equal(t->servers->asked, 2);
	assert_int_equal(in_lanes(t), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_begin_is_raised),
		TEST(test_end_is_raised),
		TEST(test_end_of_raised),
		TEST(test_who_is_not_lazy),
		TEST(test_changed_queues_again),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
