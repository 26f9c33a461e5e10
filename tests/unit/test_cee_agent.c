/* includes: common/access.c cee_agent/clamd.c cee_agent/clamd_conf.c
 * cee_agent/fetch_error.c cee_agent/tally.c cee_agent/unc.c
 *
 * What cee_agent decides without asking anyone: who may ask, which paths
 * are fit, what the words of clamd and of its configuration mean, which
 * clamd is next, what an error is called.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/access.c"
#include "cee_agent/clamd.c"
#include "cee_agent/clamd_conf.c"
#include "cee_agent/fetch_error.c"
#include "cee_agent/tally.c"
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
	clamd_judge("fd[10]: OK", &answer);
	assert_int_equal(answer.verdict, CLAMD_CLEAN);
	clamd_judge("fd[9]: Win.Test FOUND", &answer);
	assert_int_equal(answer.verdict, CLAMD_INFECTED);
	assert_string_equal(answer.text, "Win.Test");
	clamd_judge("fd[x]: OK", &answer);
	assert_int_equal(answer.verdict, CLAMD_ERROR);
	clamd_judge("fd[10: OK", &answer);
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

static uint64_t smallest(const char *text, const char **option)
{
	struct clamd_limits limits;
	char *copy = strdup(text);
	uint64_t least;

	clamd_conf_parse(copy, &limits);
	free(copy);
	least = clamd_conf_smallest(&limits, option);
	return limits.alert_exceeds ? least + 1 : least;
}

static void test_clamd_conf(void **state)
{
	static const uint64_t mega = 1 << 20;
	const char *option = NULL;

	(void)state;
	assert_int_equal(smallest("", &option), 100 * mega);
	assert_string_equal(option, "MaxFileSize");
	assert_int_equal(smallest("#MaxFileSize 1M\n  MaxFileSize\t20m\r\n",
				  &option), 20 * mega);
	assert_int_equal(smallest("MaxFileSize 0\nStreamMaxLength 2G\n",
				  &option), 400 * mega);
	assert_string_equal(option, "MaxScanSize");
	assert_int_equal(smallest("StreamMaxLength 10K", &option), 10240);
	assert_string_equal(option, "StreamMaxLength");
	assert_int_equal(smallest("AlertExceedsMax yes\nMaxFileSize 5",
				  &option), 6);
	assert_int_equal(smallest("AlertExceedsMax no\nMaxFileSize 5",
				  &option), 5);
	/* what is not understood is not taken for "no limit" */
	assert_int_equal(smallest("MaxFileSize lots", &option), 1);
	assert_int_equal(smallest("MaxFileSize 5X", &option), 1);
	assert_int_equal(smallest("maxfilesize 5", &option), 100 * mega);
	assert_int_equal(smallest("MaxFileSize", &option), 100 * mega);
}

static void test_order(void **state)
{
	struct tally *t = tally_create(NULL);
	unsigned int in_use[AGENT_CLAMDS_MAX] = { 2, 1, 1, 0 };
	uint8_t order[AGENT_CLAMDS_MAX];

	(void)state;
	t->num_clamds = 4;
	t->clamds[1].scans = 7;
	t->clamds[3].state = CLAMD_FAILED;
	assert_int_equal(tally_order(t, in_use, order), 4);
	assert_memory_equal(order, ((uint8_t[]) { 2, 1, 0, 3 }), 4);
	t->clamds[3].state = CLAMD_ANSWERED;
	tally_order(t, in_use, order);
	assert_memory_equal(order, ((uint8_t[]) { 3, 2, 1, 0 }), 4);
	t->num_clamds = 1;
	assert_int_equal(tally_order(t, in_use, order), 1);
	assert_int_equal(order[0], 0);
	talloc_free(t);
}

static uint32_t told(int error, bool connected, char text[512])
{
	const struct storage storage = { .name = "nas", .share = "CHECK$",
					 .user = "svc", .port = 445 };
	const struct fetch_error e = { .storage = &storage, .host = "h",
				       .what = "open", .why = "",
				       .error = error,
				       .connected = connected };

	return fetch_error_text(&e, text, 512);
}

static void test_fetch_error(void **state)
{
	char text[512];

	(void)state;
	assert_int_equal(told(ENOENT, true, text), CEE_ERROR_FILE_NOT_FOUND);
	assert_string_equal(text, "open over SMB: No such file or directory");
	/* a share that is gone is no file that is gone */
	assert_int_equal(told(ENOENT, false, text), CEE_ERROR_FAIL);
	assert_non_null(strstr(text, "h has no share CHECK$"));
	assert_int_equal(told(EACCES, false, text), CEE_ERROR_ACCESS_DENIED);
	assert_non_null(strstr(text, "h does not let svc in: check user"));
	assert_int_equal(told(EACCES, true, text), CEE_ERROR_ACCESS_DENIED);
	assert_non_null(strstr(text, "avvendor list`, fetch_addresses"));
	assert_int_equal(told(ETIMEDOUT, false, text), CEE_ERROR_TIMEOUT);
	assert_int_equal(told(ECONNREFUSED, false, text), CEE_ERROR_FAIL);
	assert_non_null(strstr(text, "cannot connect to h port 445"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_unc),
		cmocka_unit_test(test_unc_length),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_clamd_conf),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_fetch_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
