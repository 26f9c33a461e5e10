/* includes: cavad/engine_clamd.c */
/*
 * What clamd says to a scan and to VERSION. Only "...: OK" is clean.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "cavad/engine_clamd.c"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"fd[10]: OK", "fd[10]: Eicar-Test-Signature FOUND",
		"fd[10]: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
		"fd[10]: Heuristics.Encrypted.PDF FOUND",
		"fd[10]: Can't allocate memory ERROR",
		"INSTREAM size limit exceeded. ERROR", "UNKNOWN COMMAND",
		"ClamAV 1.4.1/27300/Mon Nov 23 09:12:13 2026",
		"ClamAV 1.4.1", NULL };

	return fuzz_seed_text(texts, i, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct engine_answer answer = { .result = VERDICT_FAILED };
	struct engine_status status = { .online = false };
	char text[CLAMD_REPLY_MAX] = "";

	memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
	engine_clamd_judge(text, &answer);
	if (answer.result == VERDICT_CLEAN &&
	    (strlen(text) < 4 || strcmp(text + strlen(text) - 4, ": OK"))) {
		abort();
	}
	if (answer.result == VERDICT_INFECTED &&
	    strstr(text, "FOUND") == NULL) {
		abort();
	}
	if (memchr(answer.threat, '\0', sizeof(answer.threat)) == NULL ||
	    memchr(answer.detail, '\0', sizeof(answer.detail)) == NULL) {
		abort();
	}
	engine_clamd_version(text, &status);
	if (memchr(status.version, '\0', sizeof(status.version)) == NULL ||
	    memchr(status.vendor, '\0', sizeof(status.vendor)) == NULL) {
		abort();
	}
	return 0;
}
