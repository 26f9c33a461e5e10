/*
 * SHA-256, from nettle.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/digest.h"

#include <errno.h>
#include <unistd.h>

#include <nettle/sha2.h>

#define DIGEST_CHUNK 32768

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

int digest_of_fd(int fd, uint64_t max, const atomic_bool *stop,
		 uint8_t digest[DIGEST_SIZE])
{
	uint8_t chunk[DIGEST_CHUNK];
	struct sha256_ctx ctx;
	uint64_t offset = 0;
	ssize_t got = 0;

	sha256_init(&ctx);
	while (!*stop) {
		got = pread(fd, chunk, sizeof(chunk), (off_t)offset);
		if (got == -1 && errno == EINTR) {
			continue;
		}
		if (got == -1) {
			return errno;
		}
		if (got == 0) {
			sha256_digest(&ctx, DIGEST_SIZE, digest);
			return 0;
		}
		offset += (uint64_t)got;
		if (offset > max) {
			return EFBIG;
		}
		sha256_update(&ctx, (size_t)got, chunk);
	}
	return ECANCELED;
}
