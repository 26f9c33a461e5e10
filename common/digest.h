/*
 * SHA-256.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

void digest_of(const void *data, size_t len, uint8_t digest[DIGEST_SIZE]);

/* The first 16 bytes of it, as two numbers. */
void digest_halves(const void *data, size_t len, uint64_t halves[2]);

/*
 * Of what is behind fd from its start, which takes its time. 0; EFBIG: more
 * than `max` bytes; ECANCELED: *stop is true; errno.
 */
int digest_of_fd(int fd, uint64_t max, const atomic_bool *stop,
		 uint8_t digest[DIGEST_SIZE]);

#endif
