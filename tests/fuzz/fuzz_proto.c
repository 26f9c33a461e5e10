/*
 * Messages between smbd and cavad: what decodes is encoded again to the same
 * bytes, and its strings lie within the message.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_IDENT { .ino = 7, .handle_len = 8, .handle = "handle.." }

static const struct proto_message fuzz_messages[] = {
	{ PROTO_HELLO, .u.hello = { 1, 0, "share", "System", "/data", "::1" } },
	{ PROTO_CONFIG, .u.config = { .mailbox = 1,
				      .filter = FILTER_DEFAULT } },
	{ PROTO_ASK, .u.ask = { .id = 1, .wait_ms = 60000, .path = "/data/a",
				.user = "D\\u", .client = "192.0.2.7",
				.ident = FUZZ_IDENT } },
	{ PROTO_ANSWER, .u.answer = { .id = 1, .result = VERDICT_INFECTED,
				      .threat = "Eicar", .server = "av" } },
	{ PROTO_CANCEL, .u.cancel = { 1 } },
	{ PROTO_NOTICE, .u.notice = { .seq = 1, .kind = PROTO_KIND_CLOSE,
				      .path = "/data/a", .user = "",
				      .client = "", .ident = FUZZ_IDENT } },
	{ PROTO_ACK, .u.ack = { 1 } },
	{ PROTO_RING, .u.ring = { 1 } },
	{ PROTO_CHECK, .u.check = { .id = 1, .sid = "S-1-5-32",
				    .account = "D\\a", .addr = "192.0.2.7",
				    .server_addr = "192.0.2.1", .path = "/",
				    .ident = FUZZ_IDENT } },
	{ PROTO_CHECK_NAMES, .u.check_names = { 1, "a\nb\n" } },
	{ PROTO_RESTAMP, .u.restamp = { .path = "/data/a",
					.ident = FUZZ_IDENT } },
	{ PROTO_FETCHED, .u.fetched = { .bytes = 4711 } },
	{ PROTO_AHEAD, .u.ahead = { .path = "/data/a", .user = "u",
				    .client = "192.0.2.1" } },
	{ PROTO_COUNT, .u.count = { .exempt = 1, .user = "u",
				    .client = "::1" } },
};

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	struct proto_message m;

	if (i >= sizeof(fuzz_messages) / sizeof(fuzz_messages[0])) {
		return 0;
	}
	m = fuzz_messages[i];
	if (m.number == PROTO_CONFIG) {
		m.u.config.filter.extensions = (struct filter_list) {
			.items = "*.doc\0*.tar.gz", .size = 15,
		};
	}
	return proto_encode(&m, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[PROTO_MAX];
	struct proto_message m;
	int ret = proto_decode(data, size, &m);

	if (ret != 0) {
		return 0;
	}
	if (proto_encode(&m, again) != size ||
	    memcmp(again, data, size) != 0) {
		abort();
	}
	return 0;
}
