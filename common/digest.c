/*
 * SHA-256, from nettle.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/digest.h"

#include <nettle/sha2.h>

_Static_assert(DIGEST_SIZE == SHA256_DIGEST_SIZE, "the size of SHA-256");

void digest_of(const void *data, size_t len, uint8_t digest[DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, data);
	sha256_digest(&ctx, DIGEST_SIZE, digest);
}

void digest_halves(const void *data, size_t len, uint64_t halves[2])
{
	uint8_t digest[DIGEST_SIZE];
	size_t i = 0;

	digest_of(data, len, digest);
	halves[0] = 0;
	halves[1] = 0;
	for (i = 0; i < 16; i++) {
		halves[i / 8] = halves[i / 8] << 8 | digest[i];
	}
}
