/*
 * Fuzz targets: one a parser of what comes from outside.
 *
 * Each is a file with fuzz_seed(), whole and sane inputs, and
 * LLVMFuzzerTestOneInput(), which aborts when a promise of the parser's
 * header is broken. fuzz_main.c mutates the seeds by itself, so that the
 * tests need nothing else; libFuzzer can take its place.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_MAX 16384		/* bytes of an input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Seed number i into data; its length, 0 = there are no more. */
size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX]);

/* For text: a seed a string, NULL after the last. */
size_t fuzz_seed_text(const char *const *texts, unsigned int i,
		      uint8_t data[FUZZ_MAX]);

#endif
