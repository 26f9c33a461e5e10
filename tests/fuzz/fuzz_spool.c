/*
 * The spool as a power failure may leave it: reading ends, hands out whole
 * notices only, and accounts for every byte.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spool.h"
#include "tests/fuzz/fuzz.h"

#define CHUNK 65536

static const char *scratch(void)
{
	static char dir[64];

	if (dir[0] == '\0') {
		snprintf(dir, sizeof(dir), "/dev/shm/fuzz_spool.XXXXXX");
		if (mkdtemp(dir) == NULL) {
			abort();
		}
	}
	return dir;
}

static void __attribute__((destructor)) tidy(void)
{
	(void)spool_done(scratch());
	rmdir(scratch());
}

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	struct proto_message m = { .number = PROTO_NOTICE,
		.u.notice = { .seq = 1, .kind = PROTO_KIND_CLOSE,
			      .path = "/data/file", .user = "D\\u",
			      .client = "192.0.2.7" } };
	size_t at = 0;
	unsigned int n;

	if (i >= 3) {
		return 0;
	}
	for (n = 0; n <= i; n++) {
		uint32_t len = (uint32_t)proto_encode(&m, data + at + 4);

		memcpy(data + at, &len, 4);
		at += 4 + len;
		m.u.notice.seq++;
	}
	return at;
}

static void put_file(const uint8_t *data, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/taken", scratch());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1 || write(fd, data, size) != (ssize_t)size) {
		abort();
	}
	close(fd);
}

/* Whole frames, each of a message that is no longer than it may be. */
static void check_frames(const uint8_t *data, size_t len)
{
	while (len > 0) {
		uint32_t n = 0;

		if (len < 4) {
			abort();
		}
		memcpy(&n, data, 4);
		if (n > len - 4 || n > PROTO_MAX) {
			abort();
		}
		data += 4 + n;
		len -= 4 + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t chunk[CHUNK];
	uint64_t offset = 0, before = 0, damaged = 0, lost = 0, told = 0;
	size_t len = 0;
	unsigned int rounds = 0;
	int ret;

	put_file(data, size);
	do {
		before = offset;
		ret = spool_read(scratch(), &offset, chunk, sizeof(chunk),
				 &len, &lost);
		if (ret != 0 || offset < before || offset > size ||
		    rounds++ > size) {
			abort();
		}
		check_frames(chunk, len);
		told += len;
		damaged += lost;
	} while (len > 0);
	if (told + damaged != size) {
		abort();
	}
	return 0;
}
