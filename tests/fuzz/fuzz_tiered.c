/*
 * The DOS attributes of a file: an extended attribute that its owner may
 * set to anything.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <string.h>

#include "common/tiered.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = { "0x1020", "0x20", "0xg", NULL };
	static const uint8_t v5[] = { 0, 0, 5, 0, 5, 0, 0, 0, 0x11, 0, 0, 0,
				      0x20, 0x10, 0, 0, 1, 2, 3, 4 };

	if (i == 0) {
		memcpy(data, v5, sizeof(v5));
		return sizeof(v5);
	}
	return fuzz_seed_text(texts, i - 1, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)tiered_attributes(data, size);
	return 0;
}
