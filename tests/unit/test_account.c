/*
 * Accounts of the API: the file, and the one rule of who may do what.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cavad/account.h"

/* of "right" */
#define SHA512 "$6$salt$.w0pQqxw2iqmvUAqy5q3yqTnQCQyCGBM2DGbDzFL5jCY." \
	       "0Q3cYFTkZ9gBxsAAfbCb1q5Q.Hkd9ygk6V0a9Hpv0"
#define BCRYPT "$2y$05$abcdefghijklmnopqrstuuqOePqyvJf3Jg9hPl3R4jFBZ8Ri1hZMa"

static void refused(const char *text, const char *why)
{
	struct accounts *a = NULL;
	char *error = NULL;

	assert_int_not_equal(accounts_parse(NULL, text, &a, &error), 0);
	assert_null(a);
	assert_non_null(strstr(error, why));
	talloc_free(error);
}

static void test_parse(void **p)
{
	struct accounts *a = NULL;
	char *error = NULL;

	(void)p;
	assert_int_equal(accounts_parse(NULL, "# who\n\nadmin:" SHA512 "\r\n"
					"ro:" BCRYPT ":read\nx:" BCRYPT
					":all", &a, &error), 0);
	assert_int_equal(a->count, 3);
	assert_int_equal(account_find(a, "admin")->role, API_ROLE_ALL);
	assert_string_equal(account_find(a, "admin")->hash, SHA512);
	assert_int_equal(account_find(a, "ro")->role, API_ROLE_READ);
	assert_int_equal(account_find(a, "x")->role, API_ROLE_ALL);
	assert_null(account_find(a, "Admin"));
	assert_null(account_find(a, ""));
	talloc_free(a);
}

static void test_refused(void **p)
{
	(void)p;
	refused("", "no account");
	refused("# none\n", "no account");
	refused("admin\n", "line 1: not NAME:HASH");
	refused("a:" SHA512 "\n\nb:secret\n", "line 3: not the hash");
	refused("a:\n", "not the hash");
	refused("a:*\n", "not the hash");
	refused("a:$6$\n", "not the hash");
	refused("a:$apr1$x$y\n", "not the hash");
	refused(":" SHA512 "\n", "the name");
	refused("a b:" SHA512 "\n", "the name");
	refused("a:" SHA512 ":write\n", ":read is accepted");
	refused("a:" SHA512 ":read:\n", ":read is accepted");
	refused("a:" SHA512 "\na:" SHA512 "\n", "line 2: an account of that");
}

/* role, method, open: what may be. */
static void test_access(void **p)
{
	static const char *const changes[] = { "POST", "PUT", "DELETE",
					       "PATCH", "get", "", NULL };
	size_t i = 0;

	(void)p;
	assert_int_equal(api_access(API_ROLE_ALL, "GET", false), API_GRANTED);
	assert_int_equal(api_access(API_ROLE_READ, "GET", false),
			 API_GRANTED);
	assert_int_equal(api_access(API_ROLE_READ, "HEAD", false),
			 API_GRANTED);
	assert_int_equal(api_access(API_ROLE_NONE, "GET", false), API_LOGIN);
	assert_int_equal(api_access(API_ROLE_NONE, "GET", true), API_GRANTED);
	for (i = 0; changes[i] != NULL; i++) {
		assert_int_equal(api_access(API_ROLE_ALL, changes[i], false),
				 API_GRANTED);
		assert_int_equal(api_access(API_ROLE_READ, changes[i], false),
				 API_FORBIDDEN);
		assert_int_equal(api_access(API_ROLE_NONE, changes[i], false),
				 API_LOGIN);
	}
}

static void test_equal(void **p)
{
	(void)p;
	assert_true(account_equal("abc", "abc", 3));
	assert_false(account_equal("abc", "abd", 3));
	assert_false(account_equal("xbc", "abc", 3));
	assert_true(account_equal("x", "y", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
