/*
 * What an antivirus server answers: a hostile one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "common/cee_msg.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	TALLOC_CTX *frame = NULL;
	struct cee_reply r = { .status = CEE_DETECT_VIRUS,
		.cee_version = "8.9", .dtd_version = "1.0",
		.av_vendor = "ClamAV 1.4.1", .signature_time = 1700000000,
		.heartbeat = i & 1, .scan = !(i & 1), .scan_id = 7,
		.threat = "Eicar <&>", .detail = "", .bytes = 68 };
	char *out = NULL;
	size_t len = 0;
	int ret;

	if (i >= 4) {
		return 0;
	}
	frame = talloc_new(NULL);
	ret = cee_reply_encode(frame, &r, i & 2, &out, &len);
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
	struct cee_reply *r = NULL;
	char *out = NULL;
	size_t len = 0;
	int ret = cee_reply_decode(frame, data, size, &r);

	if (ret == 0) {
		if (r == NULL || r->cee_version == NULL ||
		    r->dtd_version == NULL || r->av_vendor == NULL ||
		    r->threat == NULL || r->detail == NULL) {
			abort();
		}
		ret = cee_reply_encode(frame, r, false, &out, &len);
		if (ret == 0 && out == NULL) {
			abort();
		}
	}
	talloc_free(frame);
	return 0;
}
