/* includes: common/access.c cee_agent/clamd.c cee_agent/clamd_conf.c
 * cee_agent/unc.c
 *
 * cee_agent: names in requests, what clamd and clamd.conf say, lists of
 * addresses.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>

#include "common/access.c"
#include "cee_agent/clamd.c"
#include "cee_agent/clamd_conf.c"
#include "cee_agent/unc.c"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"\\\\nas\\CHECK$\\dir\\a b.txt", "\\\\::1\\s\\\xc3\xa4",
		"\\\\nas\\CHECK$\\..\\x", "stream: OK",
		"stream: Eicar-Test-Signature FOUND",
		"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
		"stream: Heuristics.Encrypted.Zip FOUND",
		"INSTREAM size limit exceeded. ERROR", "fd[10]: OK",
		"ClamAV 1.4.1/27300/Mon Nov 23 09:12:13 2026",
		"10.1.2.3, 192.168.0.0/23\tfd00::/9",
		"# limits\nMaxFileSize 25M\nMaxScanSize 0\nStreamMaxLength 1G\n"
		"AlertExceedsMax yes\n", NULL };

	return fuzz_seed_text(texts, i, data);
}

static void check_unc(TALLOC_CTX *mem_ctx, const char *text)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_%/:";
	struct unc *unc = NULL;
	const char *url = NULL;
	int ret = unc_parse(mem_ctx, text, &unc);

	if (ret != 0) {
		return;
	}
	if (strlen(unc->path) >= UNC_PATH_MAX || unc->path[0] == '\0' ||
	    strstr(unc->path, "\\\\") != NULL ||
	    strchr(unc->path, '/') != NULL) {
		abort();
	}
	url = unc_url(mem_ctx, unc->host, 445, unc->share, unc->path);
	if (url == NULL || strspn(url, safe) != strlen(url) ||
	    strstr(url, "/../") != NULL || strstr(url, "/./") != NULL) {
		abort();
	}
}

/* "stream: OK", "fd[10]: OK", and nothing else. */
static bool says_clean(const char *text)
{
	int end = 0;

	if (strcmp(text, "stream: OK") == 0) {
		return true;
	}
	if (strncmp(text, "fd[", 3) != 0) {
		return false;
	}
	end = 3 + (int)strspn(text + 3, "0123456789");
	return strcmp(text + end, "]: OK") == 0;
}

static void check_clamd(const char *text)
{
	struct clamd_version version;
	struct clamd_answer answer;

	clamd_judge(text, &answer);
	if ((answer.verdict == CLAMD_CLEAN) != says_clean(text)) {
		abort();
	}
	if (answer.verdict == CLAMD_INFECTED && answer.text[0] == '\0') {
		abort();
	}
	clamd_parse_version(text, &version);
	if (version.signature_time < 0 ||
	    strchr(version.vendor, '/') != NULL) {
		abort();
	}
}

static void check_clamd_conf(TALLOC_CTX *mem_ctx, const char *text)
{
	const char *option = NULL;
	struct clamd_limits limits;

	clamd_conf_parse(talloc_strdup(mem_ctx, text), &limits);
	if (clamd_conf_smallest(&limits, &option) > limits.scan ||
	    option == NULL || limits.file == 0 || limits.stream == 0) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sockaddr_in client = { .sin_family = AF_INET };
	TALLOC_CTX *frame = talloc_new(NULL);
	struct access *access = access_create(frame);
	char *text = talloc_strndup(frame, (const char *)data, size);
	int ret = 0;

	check_unc(frame, text);
	check_clamd(text);
	check_clamd_conf(frame, text);
	ret = access_add(access, text);
	if (ret != 0 && ret != EINVAL) {
		abort();
	}
	(void)access_allows(access, (const void *)&client);
	talloc_free(frame);
	return 0;
}
