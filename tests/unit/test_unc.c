/*
 * From a path to a UNC path, and what has none.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cavad/unc.h"

static void test_names(void **p)
{
	static const struct {
		const char *name;
		bool valid;
	} rows[] = {
		{ "a", true }, { "with blank", true }, { ".hidden", true },
		{ "a.b.c", true }, { " first", true }, { "a'b%41#$&", true },
		{ "gr\xc3\xbcn", true }, { "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true }, { "\xf4\x8f\xbf\xbf", true },
		{ "\x7f", true },
		{ "", false }, { ".", false }, { "..", false },
		{ "dot.", false }, { "blank ", false }, { " ", false },
		{ "a\\b", false }, { "a:b", false }, { "a\"b", false },
		{ "a*b", false }, { "a<b", false }, { "a>b", false },
		{ "a?b", false }, { "a|b", false }, { "a\nb", false },
		{ "a\x01", false }, { "\x1f", false },
		{ "@GMT-2024.01.02-03.04.05", false }, { "@gmt-", false },
		{ "@GMT", true }, { "a@GMT-2024.01.02-03.04.05", true },
		/* what is no UTF-8 */
		{ "\x80", false }, { "\xff", false }, { "\xc3", false },
		{ "a\xc3", false }, { "\xc3(", false }, { "\xe2\x82", false },
		{ "\xc0\xaf", false }, { "\xc1\xbf", false },
		{ "\xe0\x80\xaf", false }, { "\xf0\x80\x80\xaf", false },
		{ "\xed\xa0\x80", false }, { "\xf4\x90\x80\x80", false },
		{ "\xf8\x88\x80\x80\x80", false },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(unc_name_valid(rows[i].name,
						strlen(rows[i].name)),
				 rows[i].valid);
	}
	/* the length counts: nothing behind it is looked at */
	assert_true(unc_name_valid("ab:", 2));
	assert_true(unc_name_valid("@GMT-2024.01.02-03.04.05", 4));
	assert_false(unc_name_valid("\xc3\xbc", 1));
}

static void test_path(void **p)
{
	static const struct {
		const char *root, *path, *unc;
	} rows[] = {
		{ "/srv", "/srv/a.doc", "\\\\h\\CHECK$\\a.doc" },
		{ "/srv", "/srv/d/e/a b", "\\\\h\\CHECK$\\d\\e\\a b" },
		{ "/srv/", "/srv/a", "\\\\h\\CHECK$\\a" },
		{ "/", "/srv/a", "\\\\h\\CHECK$\\srv\\a" },
		{ "/srv", "/srv", NULL }, { "/srv", "/srv/", NULL },
		{ "/srv", "/srvxy/a", NULL }, { "/srv", "/other/a", NULL },
		{ "/srv", "srv/a", NULL }, { "/srv", "", NULL },
		{ "/srv", "/srv//a", NULL }, { "/srv", "/srv/a/", NULL },
		{ "/srv", "/srv/../etc/passwd", NULL },
		{ "/srv", "/srv/d/./a", NULL },
		{ "/srv", "/srv/d\\e/a", NULL }, { "/srv", "/srv/d./a", NULL },
		{ "/srv", "/srv/a\xff", NULL },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TALLOC_CTX *frame = talloc_new(NULL);
		char *unc = NULL;
		int ret = unc_path(frame, "h", "CHECK$", rows[i].root,
				   rows[i].path, &unc);

		assert_int_equal(ret, rows[i].unc == NULL ? EINVAL : 0);
		if (rows[i].unc != NULL) {
			assert_string_equal(unc, rows[i].unc);
		} else {
			assert_null(unc);
		}
		talloc_free(frame);
	}
}

static void test_host(void **p)
{
	static const char *const pool[] = { "10.0.0.1", "fd00::1:2",
					    "files.example", NULL };
	static const char *const none[] = { NULL };
	TALLOC_CTX *frame = talloc_new(NULL);
	char name[HOST_NAME_MAX + 1] = "";

	(void)p;
	assert_string_equal(unc_host(frame, pool, 0), "10.0.0.1");
	assert_string_equal(unc_host(frame, pool, 1),
			    "fd00--1-2.ipv6-literal.net");
	assert_string_equal(unc_host(frame, pool, 2), "files.example");
	assert_string_equal(unc_host(frame, pool, 3), "10.0.0.1");
	assert_string_equal(unc_host(frame, pool, UINT_MAX), "10.0.0.1");
	assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
	assert_string_equal(unc_host(frame, none, 5), name);
	assert_string_equal(unc_host(frame, NULL, 5), name);
	talloc_free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_path),
		cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
