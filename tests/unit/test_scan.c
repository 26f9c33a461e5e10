/* includes: cavad/server.c
 *
 * Scans: one of a file at a time, answers that are never older than their
 * question, records, what does not count as clean. Servers are the test's
 * (scan_test.h), files process and store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/scan_private.h"
#include "tests/unit/scan_test.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

static void test_clean_then_from_record(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = ask(t, path, SCAN_ON_ACCESS, false);
	struct scan_answer answer;

	RUNNING(t, 1);
	assert_int_equal(t->servers->running[0]->scan.size, 10);
	assert_int_equal(t->servers->running[0]->scan.timeout, 600);
	assert_int_equal(t->servers->running[0]->scan.overdue, 60);
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_false(answer.from_record);
	assert_true(answer.duration > 0);
	assert_string_equal(answer.path, path);
	WAIT_FOR(t, state_of(path) == VERDICT_STATE_CLEAN);

	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_true(answer.from_record);
	assert_string_equal(answer.verdict.server, FAKE_NAME);
	assert_int_equal(t->servers->asked, 1);
	assert_int_equal(t->counters.scan_current, 1);
	assert_int_equal(t->counters.files_processed, 1);

	req = ask(t, path, SCAN_ON_ACCESS, true);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_INFECTED);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_INFECTED);
	assert_string_equal(answer.verdict.threat, "Eicar");
	assert_int_equal(state_of(path), VERDICT_STATE_INFECTED);
}

/* What the asker compares the open file with. */
static void test_answer_has_content(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct content now;
	struct scan_answer answer;
	int fd, i;

	t->servers->at_once = true;
	for (i = 0; i < 2; i++) {
		answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
		fd = open(path, O_PATH | O_CLOEXEC);
		assert_int_equal(content_of_fd(fd, &now), 0);
		close(fd);
		assert_true(content_equal(&now, &answer.verdict.content));
		assert_int_equal(answer.from_record, i == 1);
	}
}

static void test_many_wait_one_is_asked(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *reqs[1000];
	int i;

	for (i = 0; i < 500; i++) {
		reqs[i] = ask(t, path, SCAN_ON_ACCESS, false);
	}
	RUNNING(t, 1);
	for (; i < 1000; i++) {
		reqs[i] = ask(t, path, SCAN_ON_ACCESS, false);
	}
	fake_end(t->servers, VERDICT_CLEAN);
	for (i = 0; i < 1000; i++) {
		struct scan_answer answer = answer_of(t, reqs[i]);

		assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
		talloc_free(answer.path);
	}
	assert_int_equal(t->servers->asked, 1);
	assert_int_equal(t->counters.all_scan_requests, 1000);
	assert_int_equal(t->counters.on_demand_scan_requests, 1000);
}

static void test_scan_outlives_those_that_wait(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *one = ask(t, path, SCAN_ON_ACCESS, false);
	struct tevent_req *two = ask(t, path, SCAN_ON_ACCESS, false);

	talloc_free(one);
	RUNNING(t, 1);
	talloc_free(two);
	assert_int_equal(t->servers->running_count, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, state_of(path) == VERDICT_STATE_CLEAN);
}

static int freed;

static void free_others(struct tevent_req *req)
{
	struct tevent_req **reqs = tevent_req_callback_data_void(req);
	int i;

	for (i = 0; i < 3; i++) {
		TALLOC_FREE(reqs[i]);
	}
	freed++;
}

static void test_callback_frees_other_waiters(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *reqs[3];
	int i;

	freed = 0;
	for (i = 0; i < 3; i++) {
		reqs[i] = ask(t, path, SCAN_ON_ACCESS, false);
		tevent_req_set_callback(reqs[i], free_others, reqs);
	}
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	WAIT_FOR(t, freed > 0);
	turn_for(t, 30);
	assert_int_equal(freed, 1);
}

static void test_end_of_scans_ends_requests(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = ask(t, path, SCAN_ON_ACCESS, false);
	struct scan_answer answer;

	RUNNING(t, 1);
	TALLOC_FREE(t->scans);
	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(scan_recv(req, t, &answer), ECANCELED);
}

/* Never the old verdict. */
static void test_changed_is_scanned_again(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	int writer = open_writer(path);
	struct tevent_req *req = ask(t, path, SCAN_ON_ACCESS, false);
	struct scan_answer answer;

	RUNNING(t, 1);
	change_file(path);
	fake_end(t->servers, VERDICT_CLEAN);
	RUNNING(t, 1);
	assert_true(tevent_req_is_in_progress(req));
	assert_int_equal(state_of(path), VERDICT_STATE_NONE);
	fake_end(t->servers, VERDICT_INFECTED);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_INFECTED);
	assert_int_equal(t->servers->asked, 2);
	assert_int_equal(t->counters.scan_changed, 1);
	close(writer);
}

static struct scan_answer keeps_changing(struct test *t, const char *path,
					 enum verdict_result result)
{
	int writer = open_writer(path);
	struct tevent_req *req = ask(t, path, SCAN_ON_ACCESS, false);
	int i;

	for (i = 0; i < 5; i++) {
		RUNNING(t, 1);
		change_file(path);
		fake_end(t->servers, result);
	}
	close(writer);
	return answer_of(t, req);
}

static void test_keeps_changing(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct scan_answer answer = keeps_changing(t, path, VERDICT_CLEAN);

	assert_int_equal(answer.verdict.result, VERDICT_FAILED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_CHANGED);
	assert_int_equal(t->servers->asked, 5);

	/* the next reader has the same answer, and no server is asked */
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.result, VERDICT_FAILED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_CHANGED);
	assert_int_equal(t->servers->asked, 5);
	assert_int_equal(t->counters.scan_busy, 1);

	/* open_on_fail must not let it through */
	path = make_file(t, "b");
	answer = keeps_changing(t, path, VERDICT_INFECTED);
	assert_int_equal(answer.verdict.result, VERDICT_INFECTED);
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.result, VERDICT_INFECTED);
	assert_int_equal(t->servers->asked, 10);
	assert_int_equal(state_of(path), VERDICT_STATE_NONE);
	assert_int_equal(t->counters.files_processed, 0);
}

static void test_fetched_or_not(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	char *other = make_file(t, "other");
	struct ident other_ident = ident_at(other);
	struct scan_answer answer;
	struct tevent_req *req = NULL;
	const struct event *event = NULL;

	t->servers->fetches = true;
	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	scan_fetched(t->scans, &other_ident);
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_FAILED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_NOT_FETCHED);
	assert_int_equal(state_of(path), VERDICT_STATE_NONE);
	event = events_up(t->events, 0);
	assert_non_null(event);
	assert_int_equal(event->number, EVENT_CAVA_NOT_FETCHED);
	assert_string_equal(event->what, FAKE_NAME);

	/* before the server was picked does not count either */
	req = ask(t, path, SCAN_ON_ACCESS, false);
	scan_fetched(t->scans, &ident);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_NOT_FETCHED);

	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	scan_fetched(t->scans, &ident);
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_null(events_up(t->events, 0));
}

static void test_wrong_file_voids(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct scan_answer answer;
	struct tevent_req *req = NULL;
	int i;

	t->servers->fetches = true;
	assert_false(scan_wrong_file(t->scans, path));
	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	scan_fetched(t->scans, &ident);
	assert_true(scan_wrong_file(t->scans, path));
	fake_end(t->servers, VERDICT_CLEAN);
	RUNNING(t, 1);
	scan_fetched(t->scans, &ident);
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);

	req = ask(t, path, SCAN_ON_ACCESS, true);
	for (i = 0; i < 4; i++) {
		RUNNING(t, 1);
		scan_fetched(t->scans, &ident);
		assert_true(scan_wrong_file(t->scans, path));
		fake_end(t->servers, VERDICT_CLEAN);
	}
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_WRONG_FILE);
	assert_int_equal(t->servers->asked, 6);
}

/* A server that cannot find the file since it has another name by now. */
static void test_renamed_while_asked(void **p)
{
	static const enum verdict_result said[] = { VERDICT_FAILED,
						    VERDICT_CLEAN };
	struct test *t = *p;
	char *path = make_file(t, "a");
	char *other = talloc_asprintf(t, "%s.new", path);
	struct ident ident = ident_at(path);
	struct tevent_req *req = NULL;
	struct scan_answer answer;
	size_t i;

	t->servers->fetches = true;
	for (i = 0; i < 2; i++) {
		req = ask(t, path, SCAN_ON_ACCESS, true);
		RUNNING(t, 1);
		assert_string_equal(t->servers->running[0]->path, path);
		assert_int_equal(rename(path, other), 0);
		fake_end(t->servers, said[i]);
		RUNNING(t, 1);
		assert_string_equal(t->servers->running[0]->path, other);
		scan_fetched(t->scans, &ident);
		fake_end(t->servers, VERDICT_CLEAN);
		answer = answer_of(t, req);
		assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
		assert_int_equal(rename(other, path), 0);
	}
	assert_int_equal(t->servers->asked, 4);
	assert_null(events_up(t->events, 0));
}

static void test_outstanding(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct scan_outstanding o;
	struct tevent_req *req = NULL;

	t->servers->fetches = true;
	req = ask(t, path, SCAN_ON_ACCESS, false);
	assert_false(scan_outstanding(t->scans, &ident, 0, &o));
	RUNNING(t, 1);
	assert_string_equal(t->servers->running[0]->path, path);
	assert_non_null(strstr(t->servers->running[0]->unc, "\\CHECK$\\a"));
	assert_true(scan_outstanding(t->scans, &ident, 0, &o));
	assert_string_equal(o.path, path);
	assert_string_equal(o.server, FAKE_NAME);
	assert_false(o.ended);
	assert_false(scan_outstanding(t->scans, &ident, 1, &o));
	fake_end(t->servers, VERDICT_INFECTED);
	answer_of(t, req);
	assert_true(scan_outstanding(t->scans, &ident, 0, &o));
	assert_true(o.ended);

	/* without any grace it is over with the answer */
	TALLOC_FREE(t->scans);
	t->config->settings.check_grace = 0;
	start_scans(t);
	req = ask(t, path, SCAN_ON_ACCESS, true);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_INFECTED);
	answer_of(t, req);
	assert_false(scan_outstanding(t->scans, &ident, 0, &o));
}

static void test_answers_without_a_scan(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	char *dir = path_in(t, "dir");
	struct scan_answer answer;
	struct tevent_req *req = NULL;

	assert_int_equal(mkdir(dir, 0755), 0);
	answer = answer_of(t, ask(t, dir, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_NOT_REGULAR);

	t->config->settings.scan_size_maximum = 5;
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.result, VERDICT_SKIPPED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_TOO_LARGE);
	assert_int_equal(t->counters.files_skipped_per_size, 1);
	assert_int_equal(state_of(path), VERDICT_STATE_NONE);
	t->config->settings.scan_size_maximum = 0;

	req = ask(t, path, SCAN_JOB, false);
	RUNNING(t, 1);
	assert_int_equal(unlink(path), 0);
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_GONE);
	assert_int_equal(t->servers->asked, 1);
}

/* What SMB cannot carry is asked for by a name made for that one question. */
static void test_alias(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a:b");
	struct ident ident = ident_at(path);
	struct tevent_req *req = NULL;
	struct scan_answer answer;
	char *first = NULL;
	const char *name = NULL;

	t->servers->fetches = true;
	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	name = strrchr(t->servers->running[0]->unc, '\\') + 1;
	assert_memory_equal(name, PROTO_ALIAS, strlen(PROTO_ALIAS));
	assert_string_equal(t->servers->running[0]->path, path);
	first = path_in(t, name);
	assert_string_equal(scan_alias(t->scans, first), path);
	assert_null(scan_alias(t->scans, path_in(t, PROTO_ALIAS "0")));
	assert_null(scan_alias(t->scans, path));
	assert_true(scan_wrong_file(t->scans, first));
	fake_end(t->servers, VERDICT_CLEAN);

	/* void, so once more, by another one */
	RUNNING(t, 1);
	name = strrchr(t->servers->running[0]->unc, '\\') + 1;
	assert_string_not_equal(path_in(t, name), first);
	scan_fetched(t->scans, &ident);
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	/* within check_grace it may be opened again */
	assert_string_equal(scan_alias(t->scans, first), path);
}

static void test_no_server_is_said_at_once(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct scan_answer answer;

	t->servers->online = false;
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.result, VERDICT_FAILED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_NO_SERVER);
	assert_int_equal(t->counters.scan_fails, 1);
}

/* Its question came after the comparison was asked for. */
static void test_late_question_looks_again(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *one = ask(t, path, SCAN_ON_ACCESS, false);
	struct tevent_req *two = NULL;
	struct scan_answer answer;

	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	two = ask(t, path, SCAN_ON_ACCESS, false);
	answer = answer_of(t, one);
	assert_false(answer.from_record);
	answer = answer_of(t, two);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_true(answer.from_record);
	assert_int_equal(t->servers->asked, 1);
}

/* The record was read already, perhaps before what he asks about. */
static void test_late_for_the_look(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *one = NULL;
	struct tevent_req *two = NULL;

	t->servers->at_once = true;
	answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	one = ask(t, path, SCAN_ON_ACCESS, false);
	two = ask(t, path, SCAN_ON_ACCESS, true);
	assert_true(answer_of(t, one).from_record);
	assert_false(answer_of(t, two).from_record);
	assert_int_equal(t->servers->asked, 2);
}

static void test_manual_by_path(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	const struct scan_request request = { .source = SCAN_MANUAL,
					      .path = path };
	struct tevent_req *one = ask(t, path, SCAN_ON_ACCESS, false);
	struct tevent_req *two = NULL;
	struct scan_answer answer;
	struct verdict stored;

	RUNNING(t, 1);
	two = scan_send(t, t->ev, t->scans, &request);
	turn_for(t, 30);
	assert_int_equal(t->servers->running_count, 1);
	fake_end(t->servers, VERDICT_CLEAN);
	answer_of(t, one);
	answer = answer_of(t, two);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_true(ident_equal(&answer.ident, &ident));
	assert_int_equal(t->servers->asked, 1);
	assert_int_equal(t->counters.manual_scan_requests, 1);
	assert_int_equal(store_result_get(t->store, &ident, &stored), 0);
	assert_int_equal(stored.result, VERDICT_CLEAN);

	answer = answer_of(t, scan_send(t, t->ev, t->scans, &request));
	assert_true(answer.from_record);
}

static void store_put(struct test *t, const struct ident *ident,
		      const struct verdict *v)
{
	struct tevent_req *req = store_result_put_send(t, t->ev, t->store,
						       ident, v);

	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(store_write_recv(req), 0);
}

static void test_store_overrides_attribute(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct scan_answer answer;
	struct verdict v;

	t->servers->at_once = true;
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	v = answer.verdict;
	v.result = VERDICT_INFECTED;
	store_put(t, &ident, &v);
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.result, VERDICT_INFECTED);
	assert_true(answer.from_record);

	/* it is about other content: not current, and replaced */
	change_file(path);
	assert_true(scan_owed(t->scans, &ident));
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_false(answer.from_record);
	assert_int_equal(store_result_get(t->store, &ident, &v), 0);
	assert_int_equal(v.result, VERDICT_CLEAN);
	assert_false(scan_owed(t->scans, &ident));
}

static bool set_immutable(const char *path, bool on)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int flags = 0;
	int ret = ioctl(fd, FS_IOC_GETFLAGS, &flags);

	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	ret = ret == 0 ? ioctl(fd, FS_IOC_SETFLAGS, &flags) : ret;
	close(fd);
	return ret == 0;
}

static void test_no_attribute_goes_to_the_store(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct scan_answer answer;
	struct tevent_req *req = NULL;

	if (!set_immutable(path, true)) {
		skip();
	}
	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_INFECTED);
	answer = answer_of(t, req);
	set_immutable(path, false);	/* which moves ctime */
	assert_int_equal(answer.verdict.result, VERDICT_INFECTED);
	assert_int_equal(state_of(path), VERDICT_STATE_NONE);
	assert_true(scan_owed(t->scans, &ident));

	t->servers->at_once = true;
	assert_true(set_immutable(path, true));
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_false(answer.from_record);
	answer = answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_true(answer.from_record);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_int_equal(t->servers->asked, 2);
	set_immutable(path, false);
}

static void test_memory_is_bounded(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[9];
	struct scan_queue_status q;
	struct scan_answer answer;
	int i;

	t->config->settings.scan_maximum = 8;
	for (i = 0; i < 9; i++) {
		char *name = talloc_asprintf(t, "f%d", i);

		reqs[i] = ask(t, make_file(t, name), SCAN_ON_ACCESS, false);
	}
	answer = answer_of(t, reqs[8]);
	assert_int_equal(answer.verdict.result, VERDICT_FAILED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_FULL);
	RUNNING(t, 8);
	assert_true(scan_queue_status(t->scans, 0, &q));
	assert_string_equal(q.name, "fast");
	assert_int_equal(q.size, 8);
	assert_int_equal(q.size_max, 8);
	assert_true(scan_queue_status(t->scans, QUEUE_OWED, &q));
	assert_string_equal(q.name, "owed");
	assert_int_equal(q.size_max, 5);
	assert_true(scan_queue_status(t->scans, QUEUE_BATCH, &q));
	assert_int_equal(q.size_max, 6);
	assert_false(scan_queue_status(t->scans, QUEUE_LANES, &q));
	for (i = 0; i < 8; i++) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	for (i = 0; i < 8; i++) {
		answer = answer_of(t, reqs[i]);
		assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	}
}

/* 0 or errno */
static int write_error(const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1) {
		return errno;
	}
	close(fd);
	return 0;
}

/* All were looked up while a server was free, and so locked. */
static void test_what_waits_is_not_locked(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[20];
	char *paths[20];
	int i, locked = 0;

	for (i = 0; i < 20; i++) {
		paths[i] = make_file(t, talloc_asprintf(t, "f%d", i));
		reqs[i] = ask(t, paths[i], SCAN_JOB, false);
	}
	RUNNING(t, 15);
	WAIT_FOR(t, leases(paths, 20) == 15);
	for (i = 0; i < 20; i++) {
		locked += write_error(paths[i]) == EWOULDBLOCK;
	}
	assert_int_equal(locked, 15);
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	for (i = 0; i < 20; i++) {
		assert_int_equal(answer_of(t, reqs[i]).verdict.result,
				 VERDICT_CLEAN);
		assert_int_equal(state_of(paths[i]), VERDICT_STATE_CLEAN);
	}
}

/* Looked up, found current, and let go in one request. */
static void test_what_is_current_is_not_locked(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = NULL;
	uint64_t id = 0;

	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	assert_int_equal(write_error(path), EWOULDBLOCK);
	fake_end(t->servers, VERDICT_CLEAN);
	answer_of(t, req);
	WAIT_FOR(t, write_error(path) == 0);	/* T has passed */
	id = t->scans->last_id;
	answer_of(t, ask(t, path, SCAN_ON_ACCESS, false));
	assert_int_equal(write_error(path), 0);
	assert_int_equal(t->scans->last_id, id + 1);
}

static void test_descriptor_is_handed_over(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = NULL;
	char buf[32] = "";
	int fd;

	t->servers->wants_fd = true;
	req = ask(t, path, SCAN_ON_ACCESS, false);
	RUNNING(t, 1);
	fd = t->servers->running[0]->scan.fd;
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), 10);
	assert_string_equal(buf, "some text\n");
	fake_end(t->servers, VERDICT_CLEAN);
	answer_of(t, req);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_failed_is_not_recorded(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct tevent_req *req = ask(t, path, SCAN_ON_ACCESS, false);
	struct scan_answer answer;
	int fd;

	RUNNING(t, 1);
	fake_end(t->servers, VERDICT_FAILED);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_FAILED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_SERVER_ERROR);
	assert_int_equal(state_of(path), VERDICT_STATE_NONE);
	/* and the lease is gone, or this would fail */
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_clean_then_from_record),
		TEST(test_answer_has_content),
		TEST(test_many_wait_one_is_asked),
		TEST(test_scan_outlives_those_that_wait),
		TEST(test_callback_frees_other_waiters),
		TEST(test_end_of_scans_ends_requests),
		TEST(test_changed_is_scanned_again),
		TEST(test_keeps_changing),
		TEST(test_fetched_or_not),
		TEST(test_wrong_file_voids),
		TEST(test_renamed_while_asked),
		TEST(test_outstanding),
		TEST(test_answers_without_a_scan),
		TEST(test_alias),
		TEST(test_no_server_is_said_at_once),
		TEST(test_late_question_looks_again),
		TEST(test_late_for_the_look),
		TEST(test_manual_by_path),
		TEST(test_store_overrides_attribute),
		TEST(test_no_attribute_goes_to_the_store),
		TEST(test_memory_is_bounded),
		TEST(test_what_waits_is_not_locked),
		TEST(test_what_is_current_is_not_locked),
		TEST(test_descriptor_is_handed_over),
		TEST(test_failed_is_not_recorded),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
