/*
 * Pages: limit, resume, sort, dir and offset; what is wrong with them is
 * said; pages one after the other are the list, whatever comes and goes.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define api_error test_error
#define api_reply test_reply
#define api_http_query test_query
#define api_http_query_each test_query_each

#include "cavad/api_page.c"

static const char *query[16];	/* name, value, ... */
static json_t *answer;
static unsigned int code;
static char message[512];

const char *test_query(struct api_call *call, const char *name)
{
	size_t i = 0;

	(void)call;
	for (i = 0; query[i] != NULL; i += 2) {
		if (strcmp(query[i], name) == 0) {
			return query[i + 1];
		}
	}
	return NULL;
}

void test_query_each(struct api_call *call,
		     void (*fn)(void *private_data, const char *name),
		     void *private_data)
{
	size_t i = 0;

	(void)call;
	for (i = 0; query[i] != NULL; i += 2) {
		fn(private_data, query[i]);
	}
}

void test_reply(struct api_call *call, unsigned int status, json_t *json)
{
	(void)call;
	code = status;
	json_decref(answer);
	answer = json;
}

void test_error(struct api_call *call, unsigned int status,
		const char *field, const char *fmt, ...)
{
	va_list ap;

	(void)call;
	(void)field;
	code = status;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
}

static const char *const sorts[] = { "id", "name", "size", NULL };
static const char *const filters[] = { "file", "state", NULL };
static const struct api_page_spec spec = {
	.sorts = sorts, .filters = filters
};

/* "b7 a2": rows of id, and a name and a size that are often the same. */
static json_t *rows_of(const char *text)
{
	json_t *rows = json_array();

	for (; *text != '\0'; text += 2 + (text[2] == ' ')) {
		json_array_append_new(rows, json_pack(
			"{s:s%, s:s%, s:i}", "id", text, 2, "name", text, 1,
			"size", text[1] - '0'));
	}
	return rows;
}

/* The ids of the answer as rows_of() takes them. */
static char *ids(TALLOC_CTX *mem_ctx)
{
	char *text = talloc_strdup(mem_ctx, "");
	json_t *row = NULL;
	size_t i = 0;

	json_array_foreach(json_object_get(answer, "rows"), i, row) {
		text = talloc_asprintf_append(
			text, "%s%s", i == 0 ? "" : " ",
			json_string_value(json_object_get(row, "id")));
	}
	return text;
}

static struct api_call *ask(TALLOC_CTX *mem_ctx, const char *const *asked,
			    const char *rows)
{
	struct api_call *call = talloc_zero(mem_ctx, struct api_call);
	size_t i = 0;

	for (i = 0; asked[i] != NULL; i++) {
		query[i] = asked[i];
	}
	query[i] = NULL;
	code = 0;
	api_page_list(call, &spec, "rows", rows_of(rows));
	return call;
}

#define ASK(...) ((const char *const[]) { __VA_ARGS__, NULL })

static char *resume(TALLOC_CTX *mem_ctx)
{
	const char *text = json_string_value(json_object_get(answer,
							     "resume"));

	return text == NULL ? NULL : talloc_strdup(mem_ctx, text);
}

static void test_sort(void **p)
{
	TALLOC_CTX *frame = talloc_new(NULL);

	(void)p;
	ask(frame, ASK(NULL), "b1 a2 c0");
	assert_int_equal(code, 200);
	assert_string_equal(ids(frame), "a2 b1 c0");
	assert_null(resume(frame));
	assert_int_equal(json_integer_value(json_object_get(answer, "total")),
			 3);
	ask(frame, ASK("sort", "size"), "b1 a2 c0 a1");
	assert_string_equal(ids(frame), "c0 a1 b1 a2");
	ask(frame, ASK("sort", "size", "dir", "desc"), "b1 a2 c0 a1");
	assert_string_equal(ids(frame), "a2 b1 a1 c0");
	ask(frame, ASK("offset", "2", "limit", "4294967295"), "b1 a2 c0 a1");
	assert_string_equal(ids(frame), "b1 c0");
	ask(frame, ASK("offset", "9"), "b1 a2");
	assert_string_equal(ids(frame), "");
	talloc_free(frame);
}

/* Each order, each length of a page: together they are the list. */
static void test_pages(void **p)
{
	static const char *const limits[] = { "1", "2", "3", "6", "7" };
	static const char *const dirs[] = { "ASC", "DESC" };
	const char *rows = "a1 a2 b1 B1 c0 c5";
	TALLOC_CTX *frame = talloc_new(NULL);
	char *whole = NULL;
	char *all = NULL;
	char *token = NULL;
	size_t i = 0;

	(void)p;
	for (i = 0; i < 5 * 2 * 3; i++) {
		const char *dir = dirs[i / 5 % 2];
		const char *sort = sorts[i / 10];

		ask(frame, ASK("sort", sort, "dir", dir), rows);
		whole = ids(frame);
		ask(frame, ASK("sort", sort, "dir", dir, "limit",
			       limits[i % 5]), rows);
		all = ids(frame);
		while ((token = resume(frame)) != NULL) {
			ask(frame, ASK("resume", token), rows);
			assert_int_equal(code, 200);
			all = talloc_asprintf_append(all, " %s", ids(frame));
		}
		assert_string_equal(all, whole);
	}
	talloc_free(frame);
}

/* The last row of a page goes, and others come before it. */
static void test_change_between(void **p)
{
	TALLOC_CTX *frame = talloc_new(NULL);

	(void)p;
	ask(frame, ASK("limit", "2"), "b1 c1 d1 e1");
	assert_string_equal(ids(frame), "b1 c1");
	ask(frame, ASK("resume", resume(frame)), "a1 a2 b1 d1 e1 f1");
	assert_string_equal(ids(frame), "d1 e1");
	ask(frame, ASK("resume", resume(frame)), "a1");
	assert_string_equal(ids(frame), "");
	assert_null(resume(frame));
	talloc_free(frame);
}

static void test_filters(void **p)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct api_call *call = talloc_zero(frame, struct api_call);
	struct api_page page;

	(void)p;
	query[0] = "state";
	query[1] = "up";
	query[2] = NULL;
	assert_true(api_page(call, &spec, &page));
	assert_null(page.filters[0]);
	assert_string_equal(page.filters[1], "up");
	assert_null(page.after);
	api_page_reply(call, &page, "rows", json_array(), "17", 99);
	query[0] = "resume";
	query[1] = resume(frame);
	assert_true(api_page(call, &spec, &page));
	assert_null(page.filters[0]);
	assert_string_equal(page.filters[1], "up");
	assert_string_equal(page.after, "17");
	query[0] = "file";
	query[1] = "\xff";
	assert_false(api_page(call, &spec, &page));
	assert_int_equal(code, 400);
	talloc_free(frame);
}

static void test_refused(void **p)
{
	static const struct {
		const char *name, *value, *said;
	} wrong[] = {
		{ "limit", "0", "limit = \"0\": not a whole number from 1 to "
			"4294967295" },
		{ "limit", "-1", "not a whole number" },
		{ "limit", "4294967296", "not a whole number" },
		{ "limit", "", "not a whole number" },
		{ "offset", "1x", "not a whole number from 0" },
		{ "sort", "nam", "sort = \"nam\": not one of id, name, size" },
		{ "dir", "up", "dir = \"up\": not one of ASC, DESC" },
		{ "limt", "1", "did you mean limit?; accepted: limit, resume, "
			"sort, dir, offset, file, state" },
		{ "resume", "", "resume is not what an answer" },
		{ "resume", "WzE", "resume is not what an answer" },
		{ "resume", "bm9uZQ==", "resume is not what an answer" },
		{ "resume", "%", "resume is not what an answer" },
		/* [1, 0, "id", false, "", [null, null, null, null]] */
		{ "resume", "WzEsMCwiaWQiLGZhbHNlLCIiLFtudWxsLG51bGwsbnVsbCxu"
			"dWxsXV0=", "resume is not what an answer" },
	};
	TALLOC_CTX *frame = talloc_new(NULL);
	size_t i = 0;

	(void)p;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ask(frame, ASK(wrong[i].name, wrong[i].value), "a1");
		assert_int_equal(code, 400);
		assert_non_null(strstr(message, wrong[i].said));
	}
	ask(frame, ASK("limit", "1"), "a1 a2");
	ask(frame, ASK("resume", resume(frame), "limit", "1"), "a1 a2");
	assert_int_equal(code, 400);
	assert_non_null(strstr(message, "no other argument"));
	talloc_free(frame);
}

static int teardown(void **p)
{
	(void)p;
	json_decref(answer);
	answer = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_sort, teardown),
		cmocka_unit_test_teardown(test_pages, teardown),
		cmocka_unit_test_teardown(test_change_between, teardown),
		cmocka_unit_test_teardown(test_filters, teardown),
		cmocka_unit_test_teardown(test_refused, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
