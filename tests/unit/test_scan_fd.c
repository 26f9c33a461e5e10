/*
 * Which scans are handed a descriptor of the file, and what is done where the
 * engine had no need of one. Servers are the test's (scan_test.h), files
 * process and store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_private.h"
#include "cavad/scan_private.h"
#include "tests/unit/scan_test.h"

#include <signal.h>

#include "cavad/threat.h"

static void nothing(void *private_data, const struct allow *entry,
		    bool there, const char *why)
{
	(void)private_data;
	(void)entry;
	(void)there;
	(void)why;
}

static unsigned int delete_it(void *private_data, const char *path)
{
	(void)private_data;
	(void)path;
	return THREAT_DELETE;
}

/* What is infected is to be deleted, or denied. */
static struct threats *use_threats(struct test *t, bool delete,
				   struct allows **allows)
{
	struct threats *threats = NULL;

	assert_int_equal(threats_create(t, t->ev, t->store, t->events,
					&threats), 0);
	assert_int_equal(allows_create(t, t->ev, t->store, nothing, NULL,
				       allows), 0);
	scans_use_threats(t->scans, threats, *allows,
			  delete ? delete_it : NULL, NULL);
	return threats;
}

/* An entry by the hash of other content. */
static void allow_other(struct test *t, struct allows *allows)
{
	const struct allow entry = {
		.kind = ALLOW_HASH, .hashed = true, .digest = { 7 },
		.path = "", .threat = "", .reason = "", .author = "root",
	};
	struct tevent_req *req = allows_add_send(t, t->ev, allows, &entry);
	uint64_t id = 0;

	assert_non_null(req);
	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(allows_recv(req, &id), 0);
}

/* As an smbd asks, whose zone says in which pool. */
static struct tevent_req *ask_in_pool(struct test *t, const char *path)
{
	const struct scan_request request = {
		.source = SCAN_ON_ACCESS,
		.have_ident = true,
		.ident = ident_at(path),
		.path = path,
		.pool = SERVER_POOL,
	};
	struct tevent_req *req = scan_send(t, t->ev, t->scans, &request);

	assert_non_null(req);
	return req;
}

static bool under_way(const struct test *t)
{
	unsigned int i;

	for (i = 0; i < FILES_WORKERS; i++) {
		if (!TAILQ_EMPTY(&t->files->workers[i].under_way)) {
			return true;
		}
	}
	return false;
}

static struct tevent_req *scan_infected(struct test *t, const char *path)
{
	struct tevent_req *req = ask_in_pool(t, path);

	RUNNING(t, 1);
	assert_false(t->servers->running[0]->has_fd);
	fake_end(t->servers, VERDICT_INFECTED);
	return req;
}

/* The row of it, or a failure. */
static struct threat *row_of(struct test *t, struct threats *threats,
			     const struct ident *ident)
{
	struct threat *row = threats_find(threats, t, ident, "Eicar");

	assert_non_null(row);
	return row;
}

/* It is opened for its hash, which is that of the content. */
static void test_infected_is_hashed(void **p)
{
	struct test *t = *p;
	struct allows *allows = NULL;
	struct threats *threats = use_threats(t, false, &allows);
	char *path = make_file(t, "a");		/* "some text\n" */
	struct ident ident = ident_at(path);
	struct tevent_req *req = scan_infected(t, path);
	struct threat *row = NULL;
	uint8_t want[DIGEST_SIZE];

	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_INFECTED);
	row = row_of(t, threats, &ident);
	assert_true(row->hashed);
	digest_of("some text\n", 10, want);
	assert_memory_equal(row->digest, want, DIGEST_SIZE);
}

/* Found infected, and the worker that opens it for its hash dies. */
static void dies_at_it(struct test *t)
{
	unsigned int i;

	for (i = 0; i < FILES_WORKERS; i++) {
		WAIT_FOR(t, t->files->workers[i].sock != -1);
		assert_int_equal(kill(t->files->workers[i].pid, SIGSTOP), 0);
	}
	fake_end(t->servers, VERDICT_INFECTED);
	WAIT_FOR(t, under_way(t));
	for (i = 0; i < FILES_WORKERS; i++) {
		assert_int_equal(kill(t->files->workers[i].pid, SIGKILL), 0);
	}
}

/* The scan begins anew, it is not judged. */
static void test_worker_dies_at_it(void **p)
{
	struct test *t = *p;
	struct allows *allows = NULL;
	struct threats *threats = use_threats(t, false, &allows);
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct tevent_req *req = ask_in_pool(t, path);

	RUNNING(t, 1);
	dies_at_it(t);
	WAIT_FOR(t, t->servers->asked == 2);
	fake_end(t->servers, VERDICT_INFECTED);
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_INFECTED);
	assert_true(row_of(t, threats, &ident)->hashed);
}

/* Again and again: what may be allowed by the hash is not deleted. */
static void test_unsure_is_denied(void **p)
{
	struct test *t = *p;
	struct allows *allows = NULL;
	struct threats *threats = use_threats(t, true, &allows);
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct tevent_req *req = ask_in_pool(t, path);
	struct threat *row = NULL;
	unsigned int i;

	allow_other(t, allows);
	for (i = 1; i <= SCAN_VOIDS + 1; i++) {
		WAIT_FOR(t, t->servers->asked == i);
		dies_at_it(t);
	}
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_INFECTED);
	row = row_of(t, threats, &ident);
	assert_false(row->hashed);
	assert_int_equal(row->state, THREAT_INFECTED);
	assert_non_null(strstr(row->history[0].why, "not deleted"));
	assert_int_equal(access(path, F_OK), 0);

	/* and when there is one, it is known not to be */
	req = ask_in_pool(t, path);
	WAIT_FOR(t, t->servers->running_count == 1);
	fake_end(t->servers, VERDICT_INFECTED);
	(void)answer_of(t, req);
	assert_int_equal(access(path, F_OK), -1);
	assert_true(row_of(t, threats, &ident)->hashed);
}

/* Who puts another file in its place has no say in what is hashed. */
static void test_another_in_its_place(void **p)
{
	struct test *t = *p;
	struct allows *allows = NULL;
	struct threats *threats = use_threats(t, false, &allows);
	char *path = make_file(t, "a");
	struct ident ident = ident_at(path);
	struct tevent_req *req = ask_in_pool(t, path);
	uint8_t want[DIGEST_SIZE];

	RUNNING(t, 1);
	assert_int_equal(rename(path, talloc_asprintf(t, "%s2", path)), 0);
	write_file(path, "other text");
	fake_end(t->servers, VERDICT_INFECTED);
	WAIT_FOR(t, t->servers->asked == 2);	/* the name moved its ctime */
	fake_end(t->servers, VERDICT_INFECTED);
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_INFECTED);
	digest_of("some text\n", 10, want);
	assert_memory_equal(row_of(t, threats, &ident)->digest, want,
			    DIGEST_SIZE);
}

/* Between the look at the file and its turn an engine came that wants one. */
static void test_begun_anew_with_one(void **p)
{
	struct test *t = *p;
	struct tevent_req *req = ask_in_pool(t, make_file(t, "a"));

	t->servers->wants_fd = true;	/* the look has been sent without */
	RUNNING(t, 1);
	assert_true(t->servers->running[0]->has_fd);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_CLEAN);
	assert_int_equal(t->servers->asked, 1);
}

/* Between its turn and the answer: no server is there that could take it. */
static void test_asked_again_with_one(void **p)
{
	struct test *t = *p;
	struct tevent_req *req = ask_in_pool(t, make_file(t, "a"));
	struct fake_ask *first = NULL;

	RUNNING(t, 1);
	first = t->servers->running[0];
	assert_false(first->has_fd);
	t->servers->wants_fd = true;
	first->answer.result = VERDICT_FAILED;
	first->answer.reason = VERDICT_REASON_NO_SERVER;
	tevent_req_done(first->req);
	WAIT_FOR(t, t->servers->asked == 2);
	assert_true(t->servers->running[0]->has_fd);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_CLEAN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_infected_is_hashed),
		TEST(test_worker_dies_at_it),
		TEST(test_unsure_is_denied),
		TEST(test_another_in_its_place),
		TEST(test_begun_anew_with_one),
		TEST(test_asked_again_with_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
