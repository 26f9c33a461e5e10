/*
 * Runs a fuzz target on files, or on mutations of its seeds:
 *
 *   fuzz_X [-n RUNS] [-t SECONDS] [-s NUMBER]
 *   fuzz_X FILE|DIRECTORY...
 *   fuzz_X -w DIRECTORY		writes the seeds there
 *
 * The input at hand is in the file named by FUZZ_CRASH, if that is set, so
 * that it is there after an abort. The same -s gives the same inputs.
 *
 * With FUZZ_LIBFUZZER there is no main(): libFuzzer's takes its place, and of
 * the above there is -w alone.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

size_t fuzz_seed_text(const char *const *texts, unsigned int i,
		      uint8_t data[FUZZ_MAX])
{
	unsigned int at;
	size_t len;

	for (at = 0; at < i && texts[at] != NULL; at++) {
	}
	if (texts[at] == NULL) {
		return 0;
	}
	len = strlen(texts[at]);
	memcpy(data, texts[at], len);
	return len;
}

static int fuzz_write_seeds(const char *dir)
{
	static uint8_t data[FUZZ_MAX];
	char name[4096];
	FILE *f = NULL;
	unsigned int i;
	size_t len;

	for (i = 0; (len = fuzz_seed(i, data)) != 0; i++) {
		snprintf(name, sizeof(name), "%s/seed%u", dir, i);
		f = fopen(name, "w");
		if (f == NULL || fwrite(data, 1, len, f) != len) {
			perror(name);
			return 1;
		}
		fclose(f);
	}
	return 0;
}

#ifdef FUZZ_LIBFUZZER

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (*argc == 3 && strcmp((*argv)[1], "-w") == 0) {
		exit(fuzz_write_seeds((*argv)[2]));
	}
	return 0;
}

#else

#define FUZZ_CHANGES 6		/* of one input, at most */

static uint64_t fuzz_state = 1;

/* xorshift64: the same numbers everywhere. */
static uint32_t fuzz_random(uint32_t below)
{
	fuzz_state ^= fuzz_state << 13;
	fuzz_state ^= fuzz_state >> 7;
	fuzz_state ^= fuzz_state << 17;
	return (uint32_t)((fuzz_state >> 16) % below);
}

static size_t fuzz_insert(uint8_t *data, size_t len)
{
	size_t at = fuzz_random((uint32_t)len + 1);
	size_t n = 1 + fuzz_random(16);
	uint8_t with = (uint8_t)fuzz_random(256);

	if (len + n > FUZZ_MAX) {
		return len;
	}
	memmove(data + at + n, data + at, len - at);
	memset(data + at, with, n);
	return len + n;
}

static size_t fuzz_remove(uint8_t *data, size_t len)
{
	size_t at = fuzz_random((uint32_t)len);
	size_t n = 1 + fuzz_random(16);

	n = n > len - at ? len - at : n;
	memmove(data + at, data + at + n, len - at - n);
	return len - n;
}

/* A piece of the input over another one. */
static size_t fuzz_repeat(uint8_t *data, size_t len)
{
	size_t from = fuzz_random((uint32_t)len);
	size_t to = fuzz_random((uint32_t)len);
	size_t n = 1 + fuzz_random(32);

	n = n > len - from ? len - from : n;
	n = n > len - to ? len - to : n;
	memmove(data + to, data + from, n);
	return len;
}

static size_t fuzz_number(uint8_t *data, size_t len)
{
	static const uint64_t numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff,
		0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX,
		1ULL << 63, UINT64_MAX };
	size_t n = 1U << fuzz_random(4);
	uint64_t v = numbers[fuzz_random(sizeof(numbers) /
					 sizeof(numbers[0]))];

	if (n <= len) {
		memcpy(data + fuzz_random((uint32_t)(len - n) + 1), &v, n);
	}
	return len;
}

static size_t fuzz_change(uint8_t *data, size_t len)
{
	if (len == 0) {
		return fuzz_insert(data, len);
	}
	switch (fuzz_random(7)) {
	case 0:
		data[fuzz_random((uint32_t)len)] ^=
			(uint8_t)(1U << fuzz_random(8));
		return len;
	case 1:
		data[fuzz_random((uint32_t)len)] = (uint8_t)fuzz_random(256);
		return len;
	case 2:
		return fuzz_insert(data, len);
	case 3:
		return fuzz_remove(data, len);
	case 4:
		return fuzz_repeat(data, len);
	case 5:
		return fuzz_number(data, len);
	default:
		return fuzz_random((uint32_t)len + 1);
	}
}

/* A copy of its own length, so that a sanitizer sees a read behind it. */
static void fuzz_one(const uint8_t *data, size_t len)
{
	const char *crash = getenv("FUZZ_CRASH");
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	FILE *f = NULL;

	if (copy == NULL) {
		abort();
	}
	memcpy(copy, data, len);
	if (crash != NULL) {
		f = fopen(crash, "w");
		if (f == NULL || fwrite(data, 1, len, f) != len) {
			abort();
		}
		fclose(f);
	}
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

/* A file, or all files of a directory. */
static int fuzz_path(const char *path)
{
	static uint8_t data[FUZZ_MAX];
	DIR *dir = opendir(path);
	struct dirent *entry = NULL;
	char name[4096];
	FILE *f = NULL;
	size_t len;
	int ret = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.') {
			ret |= fuzz_path(name);
		}
	}
	if (dir != NULL) {
		closedir(dir);
		return ret;
	}
	f = fopen(path, "r");
	if (f == NULL) {
		perror(path);
		return 1;
	}
	len = fread(data, 1, sizeof(data), f);
	fclose(f);
	fuzz_one(data, len);
	return 0;
}

/* Every seed as it is, then mutations of them in turn. */
static unsigned long fuzz_seeds(unsigned long runs, time_t seconds)
{
	static uint8_t data[FUZZ_MAX];
	time_t end = time(NULL) + seconds;
	unsigned int seeds = 0;
	unsigned long run;
	size_t len;

	while ((len = fuzz_seed(seeds, data)) != 0) {
		fuzz_one(data, len);
		seeds++;
	}
	if (seeds == 0) {
		fprintf(stderr, "there are no seeds\n");
		exit(1);
	}
	for (run = 0; seconds != 0 ? time(NULL) < end : run < runs; run++) {
		uint32_t changes = 1 + fuzz_random(FUZZ_CHANGES);

		len = fuzz_seed(fuzz_random(seeds), data);
		for (; changes > 0; changes--) {
			len = fuzz_change(data, len);
		}
		fuzz_one(data, len);
	}
	return run + seeds;
}

int main(int argc, char **argv)
{
	unsigned long runs = 10000;
	time_t seconds = 0;
	int opt;
	int ret = 0;

	while ((opt = getopt(argc, argv, "n:t:s:w:")) != -1) {
		switch (opt) {
		case 'n':
			runs = strtoul(optarg, NULL, 10);
			break;
		case 't':
			seconds = (time_t)strtoul(optarg, NULL, 10);
			break;
		case 's':
			fuzz_state = strtoul(optarg, NULL, 10) | 1;
			break;
		case 'w':
			return fuzz_write_seeds(optarg);
		default:
			fprintf(stderr, "usage: %s [-n RUNS] [-t SECONDS] "
				"[-s NUMBER] | -w DIRECTORY | "
				"FILE|DIRECTORY...\n", argv[0]);
			return 2;
		}
	}
	if (optind == argc) {
		printf("%lu inputs\n", fuzz_seeds(runs, seconds));
	}
	for (; optind < argc; optind++) {
		ret |= fuzz_path(argv[optind]);
	}
	return ret;
}

#endif
