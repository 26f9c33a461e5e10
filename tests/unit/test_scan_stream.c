/* includes: cavad/server.c
 *
 * Scans of named streams: one a content, what sticks, what CHECK$ may say.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"
#include "tests/unit/fds.h"

#include "common/stream.h"

#define ATTRIBUTE "user.DosStream.s:$DATA"

static void put(const char *path, const char *value)
{
	assert_int_equal(setxattr(path, ATTRIBUTE, value, strlen(value) + 1,
				  0), 0);
}

static char *make(struct test *t, const char *name, const char *value)
{
	char *path = make_file(t, name);

	put(path, value);
	return path;
}

static struct ident stream_at(const char *path)
{
	struct ident ident = ident_at(path);

	strcpy(ident.stream, ATTRIBUTE);
	return ident;
}

static struct content content_of(const char *value)
{
	struct content c;

	stream_content((const uint8_t *)value, strlen(value) + 1, &c);
	return c;
}

/* As CHECK$ says it: by what it hands out. */
static struct ident opened(const char *path, const char *value)
{
	struct ident ident = ident_at(path);
	struct content c = content_of(value);
	struct ident bytes;

	stream_result_key(&c, &bytes);
	strcpy(ident.stream, bytes.stream);
	return ident;
}

static struct tevent_req *ask_stream(struct test *t, const char *path)
{
	struct scan_request request = {
		.source = SCAN_ON_ACCESS,
		.have_ident = true,
		.ident = stream_at(path),
		.path = path,
	};
	struct tevent_req *req = scan_send(t, t->ev, t->scans, &request);

	assert_non_null(req);
	return req;
}

static enum verdict_result scanned(struct test *t, const char *path,
				   enum verdict_result result)
{
	struct tevent_req *req = ask_stream(t, path);

	RUNNING(t, 1);
	fake_end(t->servers, result);
	return answer_of(t, req).verdict.result;
}

static void test_once_a_content(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "bytes");
	char *b = make(t, "b", "bytes");
	struct content c = content_of("bytes");
	struct scan_answer answer;
	struct verdict v;

	assert_int_equal(scanned(t, a, VERDICT_CLEAN), VERDICT_CLEAN);
	assert_int_equal(t->servers->asked, 1);
	answer = answer_of(t, ask_stream(t, b));
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_true(answer.from_record);
	assert_true(content_equal(&answer.verdict.content, &c));
	assert_int_equal(t->servers->asked, 1);

	/* the file has no part in it, nor gets a record */
	assert_false(has_record(a, &v));
	put(b, "other");
	assert_int_equal(scanned(t, b, VERDICT_INFECTED), VERDICT_INFECTED);
	assert_int_equal(t->servers->asked, 2);
	put(b, "bytes");
	answer = answer_of(t, ask_stream(t, b));
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
}

static void test_names_and_descriptor(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "bytes");
	struct tevent_req *req = NULL;
	char *name = talloc_asprintf(t, "%s:s", a);

	t->servers->wants_fd = true;
	t->servers->fetches = true;
	req = ask_stream(t, a);
	RUNNING(t, 1);
	assert_string_equal(t->servers->running[0]->path, name);
	assert_non_null(strstr(t->servers->running[0]->unc, "\\a:s"));
	assert_true(t->servers->running[0]->has_fd);
	assert_int_equal(t->servers->running[0]->scan.size, 5);
	talloc_free(req);
}

/* The look hands one over as well, which nothing has locked. */
static void test_no_descriptor_is_left(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "bytes");
	unsigned int before = count_fds(getpid());

	t->servers->wants_fd = true;
	assert_int_equal(scanned(t, a, VERDICT_CLEAN), VERDICT_CLEAN);
	assert_int_equal(count_fds(getpid()), before);
}

/* It is true of the bytes that were scanned, whatever is there now. */
static void test_changed_meanwhile(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "before");
	struct tevent_req *req = ask_stream(t, a);
	struct content c = content_of("before");
	struct scan_answer answer;

	RUNNING(t, 1);
	put(a, "after");
	fake_end(t->servers, VERDICT_CLEAN);
	answer = answer_of(t, req);
	assert_int_equal(answer.verdict.result, VERDICT_CLEAN);
	assert_true(content_equal(&answer.verdict.content, &c));
	assert_int_equal(scanned(t, a, VERDICT_INFECTED), VERDICT_INFECTED);
	assert_int_equal(t->servers->asked, 2);
}

static void test_infected_sticks(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "virus");
	char *b = make(t, "b", "virus");
	struct ident ident_a = stream_at(a);
	struct ident ident_b = stream_at(b);

	assert_int_equal(scanned(t, a, VERDICT_INFECTED), VERDICT_INFECTED);
	assert_true(scan_owed(t->scans, &ident_a));
	assert_false(scan_owed(t->scans, &ident_b));

	/* known by its bytes: as if it had been scanned */
	assert_int_equal(answer_of(t, ask_stream(t, b)).verdict.result,
			 VERDICT_INFECTED);
	assert_int_equal(t->servers->asked, 1);
	assert_true(scan_owed(t->scans, &ident_b));
	restart(t);
	assert_true(scan_owed(t->scans, &ident_b));

	put(b, "repaired");
	assert_true(scan_owed(t->scans, &ident_b));
	assert_int_equal(scanned(t, b, VERDICT_CLEAN), VERDICT_CLEAN);
	assert_false(scan_owed(t->scans, &ident_b));
	assert_true(scan_owed(t->scans, &ident_a));
}

static void test_fetched_by_its_bytes(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "bytes");
	struct ident right = opened(a, "bytes");
	struct ident wrong = opened(a, "others");
	struct ident named = stream_at(a);
	struct ident file = ident_at(a);
	struct scan_outstanding o;
	struct tevent_req *req = NULL;
	char *name = talloc_asprintf(t, "%s:s", a);

	t->servers->fetches = true;
	req = ask_stream(t, a);
	RUNNING(t, 1);
	assert_true(scan_outstanding(t->scans, &right, 0, &o));
	assert_string_equal(o.path, name);
	assert_false(scan_outstanding(t->scans, &wrong, 0, &o));
	assert_false(scan_outstanding(t->scans, &named, 0, &o));
	assert_false(scan_outstanding(t->scans, &file, 0, &o));
	assert_false(scan_wrong_file(t->scans, a));
	scan_fetched(t->scans, &wrong);
	scan_fetched(t->scans, &named);
	scan_fetched(t->scans, &file);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(answer_of(t, req).verdict.reason,
			 VERDICT_REASON_NOT_FETCHED);

	req = ask_stream(t, a);
	RUNNING(t, 1);
	scan_fetched(t->scans, &right);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_CLEAN);
}

static void test_wrong_bytes_void(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "bytes");
	struct ident right = opened(a, "bytes");
	struct tevent_req *req = NULL;
	char *name = talloc_asprintf(t, "%s:s", a);

	t->servers->fetches = true;
	req = ask_stream(t, a);
	RUNNING(t, 1);
	scan_fetched(t->scans, &right);
	assert_true(scan_wrong_file(t->scans, name));
	fake_end(t->servers, VERDICT_CLEAN);
	RUNNING(t, 1);
	scan_fetched(t->scans, &right);
	fake_end(t->servers, VERDICT_CLEAN);
	assert_int_equal(answer_of(t, req).verdict.result, VERDICT_CLEAN);
	assert_int_equal(t->servers->asked, 2);
}

static void test_no_such_stream(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct scan_answer answer = answer_of(t, ask_stream(t, a));

	assert_int_equal(answer.verdict.result, VERDICT_FAILED);
	assert_int_equal(answer.verdict.reason, VERDICT_REASON_GONE);
	assert_int_equal(t->servers->asked, 0);
}

/* A file and its streams are scanned side by side. */
static void test_beside_its_file(void **p)
{
	struct test *t = *p;
	char *a = make(t, "a", "bytes");
	struct tevent_req *stream = ask_stream(t, a);
	struct tevent_req *file = ask(t, a, SCAN_ON_ACCESS, false);
	struct scan_answer answers[2];

	RUNNING(t, 2);
	fake_end(t->servers, VERDICT_INFECTED);
	fake_end(t->servers, VERDICT_CLEAN);
	answers[0] = answer_of(t, stream);
	answers[1] = answer_of(t, file);
	assert_true(answers[0].verdict.result != answers[1].verdict.result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, \
						   tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(once_a_content),
		TEST(names_and_descriptor),
		TEST(no_descriptor_is_left),
		TEST(changed_meanwhile),
		TEST(infected_sticks),
		TEST(fetched_by_its_bytes),
		TEST(wrong_bytes_void),
		TEST(no_such_stream),
		TEST(beside_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
