/*
 * Tiered files: see tiered.h.
 *
 * The value is NDR (Samba's xattr.idl): the attributes in hex, "0x20", or
 * nothing, and a NUL; u16 version, twice; and, each aligned to its size, u32
 * flags and u32 attributes. The text is there up to version 3, the numbers
 * are read from version 4 on.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/tiered.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "common/buf.h"

#define TIERED_XATTR "user.DOSATTRIB"
#define TIERED_XATTR_MAX 512	/* bytes; Samba writes less than 100 */
#define TIERED_OFFLINE 0x1000	/* FILE_ATTRIBUTE_OFFLINE */
#define TIERED_BLOCK 512	/* bytes, of st_blocks */

/* "0x1020" and a NUL */
static uint32_t tiered_hex(const uint8_t *value, size_t len)
{
	uint32_t number = 0;
	size_t i;

	for (i = 2; i < len && value[i] != '\0'; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = strchr(digits, value[i] | 0x20);

		if (digit == NULL || i >= 10) {
			return 0;
		}
		number = number << 4 | (uint32_t)(digit - digits);
	}
	return i < len ? number : 0;
}

uint32_t tiered_attributes(const uint8_t *value, size_t len)
{
	struct buf b = buf_reader(value, len);
	uint32_t version, level, attributes;

	if (len > 2 && value[0] == '0' && value[1] == 'x') {
		return tiered_hex(value, len);
	}
	buf_get_u16(&b);	/* the NUL, and one to align */
	version = buf_get_u16(&b);
	level = buf_get_u16(&b);
	buf_get_u16(&b);
	buf_get_u32(&b);	/* which of the fields behind are there */
	attributes = buf_get_u32(&b);
	if (b.error != 0 || value[0] != '\0' || version != level ||
	    version < 4 || version > 5) {
		return 0;
	}
	return attributes;
}

bool tiered_is_short(uint64_t blocks, uint64_t size)
{
	return blocks * TIERED_BLOCK < size / 2;
}

bool tiered_is_stub(int fd)
{
	struct stat st;
	int ret = fstat(fd, &st);

	return ret == 0 && tiered_is_short(st.st_blocks, st.st_size);
}

bool tiered_of_fd(int fd)
{
	uint8_t value[TIERED_XATTR_MAX];
	char path[32];
	bool stub = tiered_is_stub(fd);
	ssize_t len;

	if (!stub) {
		return false;
	}
	len = fgetxattr(fd, TIERED_XATTR, value, sizeof(value));
	if (len == -1 && errno == EBADF) {	/* O_PATH */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = getxattr(path, TIERED_XATTR, value, sizeof(value));
	}
	return len > 0 &&
		(tiered_attributes(value, (size_t)len) & TIERED_OFFLINE) != 0;
}
