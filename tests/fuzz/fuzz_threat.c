/* includes: cavad/threat_record.c */
/*
 * Records of threats and of the allow-list, as a damaged or a newer database
 * may have them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>

#include "cavad/allow.h"
#include "cavad/threat_record.c"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	struct threat_change change = { .who = "root", .why = "ours" };
	const struct threat t = {
		.path = "/srv/a", .threat = "Eicar", .engine = "",
		.server = "av",
		.source = "job", .user = "u", .client = "", .share = "",
		.report = "R", .hashed = true, .changes = 1,
		.history = &change,
	};
	const struct allow entry = {
		.kind = ALLOW_HASH, .hashed = true, .path = "", .threat = "T",
		.reason = "r", .author = "a",
	};
	struct buf b = buf_writer(data, FUZZ_MAX);

	if (i > 1) {
		return 0;
	}
	if (i == 0) {
		threat_put_record(&b, &t);
	} else {
		allow_put_record(&b, &entry);
	}
	return b.pos;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct buf b = buf_reader(data, size);
	struct threat *t = threat_get_record(frame, 1, &b);
	struct allow *entry = NULL;

	if (t != NULL && (t->changes > THREAT_HISTORY_MAX ||
			  t->state >= THREAT_STATE_COUNT)) {
		abort();
	}
	if (t != NULL && !threat_change(t, THREAT_GONE, 1, "w", "w")) {
		abort();
	}
	b = buf_reader(data, size);
	entry = allow_get_record(frame, 1, &b);
	if (entry != NULL && strcmp(allow_kind_text(entry->kind),
				    "unknown") == 0) {
		abort();
	}
	talloc_free(frame);
	return 0;
}
