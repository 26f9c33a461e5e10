/* includes: cavad/share.c
 *
 * What `net` and `testparm` say, and commands that say too much. The whole
 * of --setup-share is in tests/daemon/test_cavad.py.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cavad/share.c"

static void test_in_text(void **p)
{
	(void)p;
	assert_true(share_in_text("[CHECK$]\n", "CHECK$"));
	assert_true(share_in_text("[global]\n\n\n[Check$]\n\tpath = /\n",
				  "CHECK$"));
	assert_true(share_in_text("x\n  [check$]", "CHECK$"));
	assert_false(share_in_text("", "CHECK$"));
	assert_false(share_in_text("\n\n", "CHECK$"));
	assert_false(share_in_text("[CHECK$2]\n[CHECK]\n", "CHECK$"));
	assert_false(share_in_text("\tcomment = [CHECK$]\n", "CHECK$"));
	assert_false(share_in_text("# [CHECK$]\n", "CHECK$"));
}

static void test_has(void **p)
{
	static const char shown[] = "[CHECK$]\n\tpath = /srv\n"
		"\tread only = yes\n\toplocks = no\n\tcomment = a = b";

	(void)p;
	assert_true(share_has(shown, "path", "/srv"));
	assert_true(share_has(shown, "Read Only", "yes"));
	assert_true(share_has(shown, "oplocks", "no"));
	assert_true(share_has(shown, "comment", "a = b"));
	assert_false(share_has(shown, "path", "/sr"));
	assert_false(share_has(shown, "path", "/srv2"));
	assert_false(share_has(shown, "oplocks", "yes"));
	/* "level2 oplocks" is no "oplocks" */
	assert_false(share_has("\tlevel2 oplocks = no\n", "oplocks", "no"));
	assert_false(share_has("", "path", "/srv"));
}

static void test_says_yes(void **p)
{
	static const struct {
		const char *output;
		bool yes;
	} rows[] = {
		{ "Yes\n", true }, { "yes", true }, { "a\nb\nYES\n\n", true },
		{ "No\n", false }, { "", false }, { "\n", false },
		{ "Load smb config files from /yes/smb.conf\nNo\n", false },
		{ "Yes\nNo\n", false }, { "Yesterday\n", false },
	};
	char copy[100];
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strcpy(copy, rows[i].output);
		assert_int_equal(share_says_yes(copy), rows[i].yes);
	}
}

static void test_run(void **p)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	const char *const echo[] = { "echo", "a b", NULL };
	const char *const fails[] = { "sh", "-c", "echo why >&2; exit 3",
				      NULL };
	const char *const dies[] = { "sh", "-c", "kill -9 $$", NULL };
	const char *const none[] = { "/nonexistent/program", NULL };
	const char *const much[] = { "sh", "-c", "yes | head -c 1000000",
				     NULL };
	const char *const reads[] = { "cat", NULL };
	char *output = NULL;

	(void)p;
	assert_int_equal(share_run(frame, echo, &output), 0);
	assert_string_equal(output, "a b\n");
	assert_int_equal(share_run(frame, fails, &output), EIO);
	assert_string_equal(output, "why\n");
	assert_int_equal(share_run(frame, dies, &output), EIO);
	assert_int_equal(share_run(frame, none, &output), ENOEXEC);
	/* more than is kept, and it ends all the same */
	assert_int_equal(share_run(frame, much, &output), 0);
	assert_int_equal(strlen(output), SHARE_OUTPUT_MAX - 1);
	/* nothing to read: no program waits for a person */
	assert_int_equal(share_run(frame, reads, &output), 0);
	assert_string_equal(output, "");
	talloc_free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_text), cmocka_unit_test(test_has),
		cmocka_unit_test(test_says_yes), cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
