/*
 * Paths as file URIs.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/uri.h"

static void test_there_and_back(void **p)
{
	char path[258] = "/";
	char *uri = NULL;
	char *again = NULL;
	int i;

	(void)p;
	for (i = 1; i < 256; i++) {
		path[i] = (char)i;
	}
	uri = uri_of_path(NULL, path);
	assert_true(uri_is(uri));
	assert_int_equal(uri_path(uri, uri, &again), 0);
	assert_string_equal(again, path);
	talloc_free(uri);
}

static const struct {
	const char *path;
	const char *uri;
} pairs[] = {
	{ "/", "file:///" },
	{ "/srv/a b.txt", "file:///srv/a%20b.txt" },
	{ "/srv/na\xefve-1_2~.txt", "file:///srv/na%EFve-1_2~.txt" },
	{ "/100%", "file:///100%25" },
	{ "/\xc3\xa4\n", "file:///%C3%A4%0A" },
};

static void test_pairs(void **p)
{
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *uri = uri_of_path(NULL, pairs[i].path);
		char *path = NULL;

		assert_string_equal(uri, pairs[i].uri);
		assert_int_equal(uri_path(uri, pairs[i].uri, &path), 0);
		assert_string_equal(path, pairs[i].path);
		talloc_free(uri);
	}
}

static void test_refused(void **p)
{
	static const char *const bad[] = {
		"", "/srv/a", "file:/srv/a", "file://host/srv/a",
		"http:///srv/a", "file:///a%", "file:///a%4", "file:///a%zz",
		"file:///a%00b", "FILE:///a" };
	char *path = NULL;
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(uri_path(NULL, bad[i], &path), EINVAL);
	}
	assert_null(path);
	assert_int_equal(uri_path(NULL, "file:///a%4a%4A", &path), 0);
	assert_string_equal(path, "/aJJ");
	talloc_free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
