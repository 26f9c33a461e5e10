/*
 * The record on a file: what decodes has a result that may be recorded,
 * ends its texts, and is decoded from its own encoding again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "common/verdict.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const enum verdict_result results[] = {
		VERDICT_CLEAN, VERDICT_INFECTED, VERDICT_UNSCANNABLE,
		VERDICT_SKIPPED };
	struct verdict v = { .content = { .size = 68, .mtime = 1 },
			     .stamp = 20, .engine = "ClamAV",
			     .threat = "Eicar", .server = "av0" };

	if (i >= sizeof(results) / sizeof(results[0])) {
		return 0;
	}
	v.result = results[i];
	return verdict_encode(&v, data, VERDICT_RECORD_MAX);
}

static void check_text(const char text[VERDICT_TEXT_MAX])
{
	if (memchr(text, '\0', VERDICT_TEXT_MAX) == NULL) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct content now = { .size = 68, .mtime = 1, .ctime = 10 };
	uint8_t again[VERDICT_RECORD_MAX];
	struct verdict v, w;
	size_t len;
	int ret = verdict_decode(data, size, &v);

	if (ret != 0) {
		return 0;
	}
	check_text(v.engine);
	check_text(v.threat);
	check_text(v.server);
	if (v.result == VERDICT_NONE || v.result > VERDICT_UNSCANNABLE) {
		abort();
	}
	if (verdict_state(&v, &now, 5) == VERDICT_STATE_CLEAN &&
	    (v.result != VERDICT_CLEAN || v.content.size != now.size ||
	     v.content.mtime != now.mtime || v.stamp < now.ctime)) {
		abort();
	}
	len = verdict_encode(&v, again, sizeof(again));
	if (len == 0) {
		abort();	/* three texts of 255 bytes have room */
	}
	ret = verdict_decode(again, len, &w);
	if (ret != 0 || w.result != v.result || w.stamp != v.stamp) {
		abort();
	}
	return 0;
}
