/*
 * Messages between cavad and its files process. cavad parses the network, so
 * the files process trusts no byte of it; the other way round as well.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "cavad/files_msg.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static uint8_t whole[FILES_MSG_MAX];
	const struct verdict v = { .result = VERDICT_CLEAN };
	const struct files_begin begin = { .scan_id = 1, .have_ident = true,
					   .path = "/data/a", .lock = true };
	const struct files_begun begun = { .have_record = true,
					   .path = (char *)"/data/a",
					   .record = v, .fd = -1 };
	const struct files_end end = { .scan_id = 1, .path = "/data/a",
				       .record = &v };
	const struct files_ended ended = { .record = v };
	const struct files_walk walk = { .path = "/data", .cursor = "a/",
					 .rules = FILTER_DEFAULT };
	const struct files_walked walked = { .cursor = "a/b", .count = 1 };
	const struct files_candidate candidate = { .path = "/data/a",
						   .size = 7,
						   .content = true };
	const struct files_streams streams = { .names = "user.a\0user.b",
					       .len = 14 };
	const struct files_respond respond = { .action = FILES_DELETE,
					       .have_ident = true,
					       .path = "/data/a" };
	const struct files_responded responded = { .path = (char *)"/data/a",
						   .record = v };
	struct buf b = files_msg_start(whole, FILES_MSG_BEGIN, 1);

	switch (i) {
	case 0:
		files_msg_put_begin(&b, &begin);
		break;
	case 1:
		files_msg_put_begun(&b, &begun);
		break;
	case 2:
		files_msg_put_end(&b, &end);
		break;
	case 3:
		files_msg_put_ended(&b, &ended);
		break;
	case 4:
		files_msg_put_walk(&b, &walk);
		break;
	case 5:
		files_msg_put_walked(&b, &walked);
		files_msg_put_candidate(&b, &candidate);
		break;
	case 6:
		files_msg_put_respond(&b, &respond);
		break;
	case 7:
		files_msg_put_responded(&b, &responded);
		break;
	case 8:
		files_msg_put_streams(&b, &streams);
		break;
	default:
		return 0;
	}
	if (b.error != 0 || b.pos > FUZZ_MAX) {
		abort();
	}
	memcpy(data, whole + FILES_MSG_HEAD, b.pos - FILES_MSG_HEAD);
	return b.pos - FILES_MSG_HEAD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct files_begin begin = { .path = NULL };
	struct files_begun begun = { .fd = -1 };
	struct files_end end = { .path = NULL };
	struct files_ended ended = { .error = 0 };
	struct files_walk walk;
	struct files_walked walked;
	struct files_respond respond;
	struct files_responded responded;
	struct files_streams streams;
	TALLOC_CTX *frame = talloc_new(NULL);
	struct verdict record;
	const char *path = NULL;
	struct buf b = buf_reader(data, size);

	files_msg_get_begin(&b, &begin);
	if (buf_finish(&b) == 0 && begin.path == NULL) {
		abort();
	}
	b = buf_reader(data, size);
	files_msg_get_begun(&b, &begun, &path);
	b = buf_reader(data, size);
	files_msg_get_end(&b, &end, &record);
	b = buf_reader(data, size);
	files_msg_get_ended(&b, &ended);
	b = buf_reader(data, size);
	files_msg_get_respond(&b, &respond);
	if (b.error == 0 && (respond.action < FILES_QUARANTINE ||
			     respond.action > FILES_DELETE)) {
		abort();
	}
	b = buf_reader(data, size);
	files_msg_get_responded(&b, &responded, &path);
	b = buf_reader(data, size);
	files_msg_get_streams(&b, &streams);
	if (b.error == 0 && streams.len > 0 &&
	    streams.names[streams.len - 1] != '\0') {
		abort();
	}
	b = buf_reader(data, size);
	files_msg_get_walk(&b, &walk);
	b = buf_reader(data, size);
	files_msg_get_walked(&b, frame, &walked);
	if (b.error == 0 && (walked.cursor == NULL ||
			     walked.candidates == NULL)) {
		abort();
	}
	talloc_free(frame);
	return 0;
}
