/*
 * Readers of what is clean have their answer before the record is written,
 * where nothing can be read under that answer but what was scanned. Servers
 * are the test's (scan_test.h), files process and store the real ones; its
 * workers are stopped while the record is due.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"

#include <fcntl.h>
#include <signal.h>

#define QUIET (2 * FILES_STAMP_AHEAD / 1000000)	/* ms */

static void signal_children(pid_t pid, int sig, unsigned int depth)
{
	char path[64] = "";
	FILE *f = NULL;
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
		 (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%d", &child) == 1) {
		if (depth == 0) {
			kill(child, sig);
		} else {
			signal_children(child, sig, depth - 1);
		}
	}
	fclose(f);
}

/* The workers of the files process, which is our child. */
static void workers(int sig)
{
	signal_children(getpid(), sig, 1);
}

static bool ended(struct tevent_req *req)
{
	return !tevent_req_is_in_progress(req);
}

/* Old enough that any change to it is another ctime. */
static char *make_old_file(struct test *t)
{
	char *path = make_file(t, "a");

	turn_for(t, QUIET);
	return path;
}

/* It stays unanswered while its record cannot be written, and no longer. */
static void waits_for_record(struct test *t, struct tevent_req *req,
			     enum verdict_result result)
{
	turn_for(t, 50);
	assert_false(ended(req));
	workers(SIGCONT);
	assert_int_equal(answer_of(t, req).verdict.result, result);
}

static void test_readers_first(void **p)
{
	struct test *t = *p;
	char *path = make_old_file(t);
	struct tevent_req *reader = ask(t, path, SCAN_ON_ACCESS, false);
	struct tevent_req *job = ask(t, path, SCAN_JOB, false);
	struct scan_answer answer;
	struct content now;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(content_of_fd(fd, &now), 0);
	close(fd);
	RUNNING(t, 1);
	workers(SIGSTOP);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, ended(reader));
	answer = answer_of(t, reader);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_true(content_equal(&answer.verdict.content, &now));
	assert_int_equal(state_of(path), VERDICT_STATE_NONE);
	waits_for_record(t, job, VERDICT_CLEAN);
	assert_int_equal(state_of(path), VERDICT_STATE_CLEAN);
	assert_int_equal(t->counters.files_processed, 1);
}

/* A writer who is there would be seen by nobody. */
static void test_open_for_writing(void **p)
{
	struct test *t = *p;
	char *path = make_old_file(t);
	int writer = open_writer(path);
	struct tevent_req *reader = ask(t, path, SCAN_ON_ACCESS, false);

	RUNNING(t, 1);
	workers(SIGSTOP);
	fake_end(t->servers, VERDICT_CLEAN);
	waits_for_record(t, reader, VERDICT_CLEAN);
	close(writer);
}

/* Unlocked for a writer while the server was asked. */
static void test_let_go(void **p)
{
	struct test *t = *p;
	char *path = make_old_file(t);
	struct ident ident = ident_at(path);
	struct tevent_req *reader = ask(t, path, SCAN_ON_ACCESS, false);

	RUNNING(t, 1);
	scan_unlock(t->scans, &ident);
	workers(SIGSTOP);
	fake_end(t->servers, VERDICT_CLEAN);
	waits_for_record(t, reader, VERDICT_CLEAN);
}

static void test_infected(void **p)
{
	struct test *t = *p;
	char *path = make_old_file(t);
	struct tevent_req *reader = ask(t, path, SCAN_ON_ACCESS, false);

	RUNNING(t, 1);
	workers(SIGSTOP);
	fake_end(t->servers, VERDICT_INFECTED);
	waits_for_record(t, reader, VERDICT_INFECTED);
	assert_int_equal(state_of(path), VERDICT_STATE_INFECTED);
}

/* Its verdict goes to the store as well, which the module asks about. */
static void test_with_manual(void **p)
{
	struct test *t = *p;
	char *path = make_old_file(t);
	struct tevent_req *manual = ask(t, path, SCAN_MANUAL, true);
	struct tevent_req *reader = ask(t, path, SCAN_ON_ACCESS, false);

	RUNNING(t, 1);
	workers(SIGSTOP);
	fake_end(t->servers, VERDICT_CLEAN);
	waits_for_record(t, reader, VERDICT_CLEAN);
	assert_int_equal(answer_of(t, manual).verdict.result, VERDICT_CLEAN);
}

/* The first try was of a quiet file; that says nothing of the second. */
static void test_second_try(void **p)
{
	struct test *t = *p;
	char *path = make_old_file(t);
	struct tevent_req *reader = NULL;
	int writer = -1;

	t->servers->fetches = true;
	reader = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	assert_true(scan_wrong_file(t->scans, path));
	fake_end(t->servers, VERDICT_CLEAN);
	t->servers->fetches = false;
	writer = open_writer(path);
	RUNNING(t, 1);
	workers(SIGSTOP);
	fake_end(t->servers, VERDICT_CLEAN);
	waits_for_record(t, reader, VERDICT_CLEAN);
	close(writer);
}

/* The database knows something older, which overrides the record. */
static void test_known_to_the_database(void **p)
{
	struct test *t = *p;
	char *path = make_old_file(t);
	struct ident ident = ident_at(path);
	struct verdict old = { .result = VERDICT_INFECTED };
	struct tevent_req *reader = NULL;
	struct tevent_req *put = store_result_put_send(t, t->ev, t->store,
						       &ident, &old);

	assert_true(tevent_req_poll(put, t->ev));
	assert_int_equal(store_write_recv(put), 0);
	reader = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	workers(SIGSTOP);
	fake_end(t->servers, VERDICT_CLEAN);
	waits_for_record(t, reader, VERDICT_CLEAN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_readers_first),
		TEST(test_open_for_writing),
		TEST(test_let_go),
		TEST(test_infected),
		TEST(test_with_manual),
		TEST(test_second_try),
		TEST(test_known_to_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
