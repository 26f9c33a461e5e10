/* includes: cee_agent/access.c cee_agent/unc.c cee_agent/clamd.c */
/*
 * What cee_agent decides without asking anyone: who may ask, which paths
 * are fit, what clamd's words mean.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cee_agent/access.c"
#include "cee_agent/clamd.c"
#include "cee_agent/unc.c"

static bool allows(const struct access *a, const char *address)
{
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in ip4 = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, address, &ip4.sin_addr) == 1) {
		return access_allows(a, (struct sockaddr *)&ip4);
	}
	assert_int_equal(inet_pton(AF_INET6, address, &ip6.sin6_addr), 1);
	return access_allows(a, (struct sockaddr *)&ip6);
}

static void test_access(void **state)
{
	struct access *a = access_create(NULL);

	(void)state;
	assert_false(allows(a, "127.0.0.1"));
	assert_int_equal(access_add(a, "10.1.2.3, 192.168.0.0/23\tfd00::/9"),
			 0);
	assert_true(allows(a, "10.1.2.3"));
	assert_true(allows(a, "::ffff:10.1.2.3"));
	assert_false(allows(a, "::10.1.2.3"));
	assert_false(allows(a, "10.1.2.2"));
	assert_true(allows(a, "192.168.1.255"));
	assert_false(allows(a, "192.168.2.0"));
	assert_true(allows(a, "fd7f::1"));
	assert_false(allows(a, "fd80::1"));
	assert_false(allows(a, "fc00::1"));

	assert_int_equal(access_add(a, "10.0.0.0/33"), EINVAL);
	assert_int_equal(access_add(a, "::/129"), EINVAL);
	assert_int_equal(access_add(a, "10.0.0.0/"), EINVAL);
	assert_int_equal(access_add(a, "10.0.0.0/-1"), EINVAL);
	assert_int_equal(access_add(a, "10.0.0.0/8x"), EINVAL);
	assert_int_equal(access_add(a, "example.com"), EINVAL);
	assert_false(allows(a, "10.0.0.1"));
	assert_int_equal(access_add(a, "0.0.0.0/0"), 0);
	assert_true(allows(a, "8.8.8.8"));
	assert_false(allows(a, "::1"));
	talloc_free(a);
}

static void test_unc(void **state)
{
	static const char *const bad[] = {
		"", "\\", "\\\\", "\\\\h", "\\\\h\\s", "\\\\h\\s\\",
		"\\\\\\s\\f", "\\\\h\\\\f", "\\\\h\\s\\a\\", "h\\s\\f",
		"//h/s/f", "\\\\h\\s\\a\\\\b", "\\\\h\\s\\.", "\\\\h\\s\\..",
		"\\\\h\\..\\f", "\\\\..\\s\\f", "\\\\h\\s\\a\\..\\b",
		"\\\\h\\s\\a/b", "\\\\h/x\\s\\f", "/\\h\\s\\f",
	};
	struct unc *unc = NULL;
	char *url = NULL;
	size_t i;
	int ret;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ret = unc_parse(NULL, bad[i], &unc);
		assert_int_equal(ret, EINVAL);
	}
	ret = unc_parse(NULL, "\\\\nas.x\\CHECK$\\a b\\..c%2F\xc3\xbc?#@:;",
			&unc);
	assert_int_equal(ret, 0);
	assert_string_equal(unc->host, "nas.x");
	assert_string_equal(unc->share, "CHECK$");
	assert_string_equal(unc->path, "a b\\..c%2F\xc3\xbc?#@:;");
	url = unc_url(unc, unc->host, 445, unc->share, unc->path);
	assert_string_equal(url, "smb://nas.x:445/CHECK%24/a%20b/..c%252F%C3"
			    "%BC%3F%23%40%3A%3B");
	talloc_free(unc);
}

static void test_unc_length(void **state)
{
	char *text = talloc_asprintf(NULL, "\\\\h\\s\\%*s", UNC_PATH_MAX - 1,
				     "x");
	struct unc *unc = NULL;
	int ret;

	(void)state;
	ret = unc_parse(text, text, &unc);
	assert_int_equal(ret, 0);
	assert_int_equal(strlen(unc->path), UNC_PATH_MAX - 1);
	text = talloc_strdup_append(text, "x");
	ret = unc_parse(text, text, &unc);
	assert_int_equal(ret, EINVAL);
	talloc_free(text);
}

static void test_judge(void **state)
{
	struct clamd_answer answer;
	char text[2000];

	(void)state;
	clamd_judge("stream: OK", &answer);
	assert_int_equal(answer.verdict, CLAMD_CLEAN);
	clamd_judge("stream: Win.Test FOUND", &answer);
	assert_int_equal(answer.verdict, CLAMD_INFECTED);
	assert_string_equal(answer.text, "Win.Test");
	clamd_judge("stream: OK FOUND", &answer);
	assert_int_equal(answer.verdict, CLAMD_INFECTED);
	assert_string_equal(answer.text, "OK");
	clamd_judge("stream: Heuristics.Limits.Exceeded FOUND", &answer);
	assert_int_equal(answer.verdict, CLAMD_LIMIT);
	clamd_judge("stream: Heuristics.Encrypted.PDF FOUND", &answer);
	assert_int_equal(answer.verdict, CLAMD_ENCRYPTED);
	clamd_judge("stream: Heuristics.Phishing FOUND", &answer);
	assert_int_equal(answer.verdict, CLAMD_INFECTED);
	clamd_judge("INSTREAM size limit exceeded. ERROR", &answer);
	assert_int_equal(answer.verdict, CLAMD_LIMIT);
	clamd_judge("stream: lstat() failed ERROR", &answer);
	assert_int_equal(answer.verdict, CLAMD_ERROR);
	assert_string_equal(answer.text, "stream: lstat() failed ERROR");
	clamd_judge("/tmp/x: OK", &answer);
	assert_int_equal(answer.verdict, CLAMD_ERROR);
	clamd_judge("stream: OK ", &answer);
	assert_int_equal(answer.verdict, CLAMD_ERROR);
	clamd_judge("", &answer);
	assert_int_equal(answer.verdict, CLAMD_ERROR);

	snprintf(text, sizeof(text), "stream: %1500s FOUND", "x");
	clamd_judge(text, &answer);
	assert_int_equal(answer.verdict, CLAMD_INFECTED);
	assert_int_equal(strlen(answer.text), CLAMD_TEXT_MAX - 1);
}

static void test_version(void **state)
{
	struct clamd_version version;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(clamd_parse_version(
		"ClamAV 1.4.6/27300/Mon Jan  1 08:00:00 2024", &version), 0);
	assert_string_equal(version.vendor, "ClamAV 1.4.6");
	assert_int_equal(version.signature_time, 1704096000);
	assert_int_equal(clamd_parse_version("ClamAV 1.4.6", &version), 0);
	assert_string_equal(version.vendor, "ClamAV 1.4.6");
	assert_int_equal(version.signature_time, 0);
	assert_int_equal(clamd_parse_version("ClamAV 1.4.6/27300/soon",
					     &version), 0);
	assert_int_equal(version.signature_time, 0);
	assert_int_equal(clamd_parse_version("ClamAV 1.4.6\n", &version), 0);
	assert_string_equal(version.vendor, "ClamAV 1.4.6");
	assert_int_equal(clamd_parse_version("", &version), EBADMSG);
	assert_int_equal(clamd_parse_version("UNKNOWN COMMAND", &version),
			 EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_unc),
		cmocka_unit_test(test_unc_length),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
