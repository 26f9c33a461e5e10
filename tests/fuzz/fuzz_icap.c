/*
 * An ICAP server's reply. Clean only as 204; the same in one piece and byte
 * by byte.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "cavad/icap_msg.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"ICAP/1.0 204 No Content\r\nISTag: \"a\"\r\n\r\n",
		"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Threat=E;\r\n"
		"Encapsulated: res-hdr=0, res-body=26\r\n\r\n"
		"HTTP/1.1 403 Forbidden\r\n\r\n3\r\nbad\r\n0\r\n\r\n",
		"ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\tf\r\n\tE\r\n"
		"Encapsulated: null-body=0\r\n\r\n",
		"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nPreview: 1024\r\n"
		"Max-Connections: 20\r\nOptions-TTL: 60\r\n\r\n", NULL };

	return fuzz_seed_text(texts, i, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct engine_answer answer;
	struct icap_reply whole;
	struct icap_reply bytes;
	size_t taken;
	size_t i;

	icap_reply_init(&whole);
	icap_reply_init(&bytes);
	taken = icap_reply_feed(&whole, data, size);
	for (i = 0; i < size; i++) {
		icap_reply_feed(&bytes, data + i, 1);
	}
	if (taken > size || memcmp(&whole, &bytes, sizeof(whole)) != 0) {
		abort();
	}
	icap_reply_judge(&whole, &answer);
	if (answer.result == VERDICT_CLEAN &&
	    (whole.status != 204 || whole.found || whole.error != 0)) {
		abort();
	}
	return 0;
}
