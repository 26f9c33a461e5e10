/*
 * What a storage server asks cee_agent: a hostile one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "common/cee_msg.h"
#include "tests/fuzz/fuzz.h"

static const struct cee_profile profile = { 9, 1 };

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	TALLOC_CTX *frame = NULL;
	struct cee_request r = { .kind = i & 1 ? CEE_HEARTBEAT : CEE_SCAN,
		.action = i & 1 ? 9 : 1, .source_id = 2,
		.source_ip = "192.0.2.1", .cluster_id = "0123",
		.cluster_name = "lab", .scan_id = 7, .size = 68,
		.timeout = 60, .utf16 = i & 2,
		.name = "\\\\192.0.2.1\\CHECK$\\a & b\\\xc3\xa4.txt" };
	char *out = NULL;
	size_t len = 0;
	int ret;

	if (i >= 4) {
		return 0;
	}
	frame = talloc_new(NULL);
	ret = cee_request_encode(frame, &profile, &r, &out, &len);
	if (ret != 0 || len > FUZZ_MAX) {
		abort();
	}
	memcpy(data, out, len);
	talloc_free(frame);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct cee_request *r = NULL;
	char *out = NULL;
	size_t len = 0;
	int ret = cee_request_decode(frame, &profile, data, size, &r);

	if (ret == 0) {
		if (r == NULL || r->name == NULL || r->source_ip == NULL) {
			abort();
		}
		ret = cee_request_encode(frame, &profile, r, &out, &len);
		if (ret == 0 && out == NULL) {
			abort();
		}
	}
	talloc_free(frame);
	return 0;
}
