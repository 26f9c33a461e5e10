/*
 * Which files are tiered. The values are those that Samba's own library
 * writes for attributes 0x1020 and 0x20.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "common/filter.h"
#include "common/tiered.h"

#define V5(attributes) \
	"\0\0\5\0\5\0\0\0\x11\0\0\0" attributes "\0\0" \
	"\x01\x02\x03\x04\x05\x06\x07\x08"
#define V4(attributes) \
	"\0\0\4\0\4\0\0\0\x51\0\0\0" attributes "\0\0" \
	"\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08"
#define V3 "0x1020\0\0\3\0\3\0\x11\0\0\0\x20\x10\0\0"

static uint32_t attributes_of(const void *value, size_t len)
{
	/* of its own size, so that a sanitizer sees a read behind it */
	uint8_t *copy = malloc(len + (len == 0));
	uint32_t a;

	memcpy(copy, value, len);
	a = tiered_attributes(copy, len);
	free(copy);
	return a;
}

#define ATTRIBUTES(text) attributes_of(text, sizeof(text) - 1)

static void test_versions(void **state)
{
	(void)state;
	assert_int_equal(ATTRIBUTES(V5("\x20\x10")), 0x1020);
	assert_int_equal(ATTRIBUTES(V5("\x20\x00")), 0x20);
	assert_int_equal(ATTRIBUTES(V4("\x20\x10")), 0x1020);
	assert_int_equal(ATTRIBUTES(V3), 0x1020);
	assert_int_equal(ATTRIBUTES("0x1020\0"), 0x1020);
	assert_int_equal(ATTRIBUTES("0xABCDEF01\0"), 0xabcdef01);
}

static void test_nonsense(void **state)
{
	static const char v5[] = V5("\x20\x10");
	size_t len;

	(void)state;
	for (len = 0; len < 16; len++) {
		assert_int_equal(attributes_of(v5, len), 0);
	}
	assert_int_equal(ATTRIBUTES("0x1020"), 0);
	assert_int_equal(ATTRIBUTES("0x"), 0);
	assert_int_equal(ATTRIBUTES("0x10g0\0"), 0);
	assert_int_equal(ATTRIBUTES("0x100000000\0"), 0);
	assert_int_equal(ATTRIBUTES("\0\0\6\0\6\0\0\0\x11\0\0\0\x20\x10\0\0"),
			 0);
	assert_int_equal(ATTRIBUTES("\0\0\5\0\4\0\0\0\x11\0\0\0\x20\x10\0\0"),
			 0);
	assert_int_equal(ATTRIBUTES("\1\0\5\0\5\0\0\0\x11\0\0\0\x20\x10\0\0"),
			 0);
}

static void set(int fd, const void *value, size_t len)
{
	int ret = fsetxattr(fd, "user.DOSATTRIB", value, len, 0);

	if (ret != 0) {
		print_message("no user attributes here\n");
		skip();
	}
}

static void test_files(void **state)
{
	static const char offline[] = V5("\x20\x10");
	static const char here[] = V5("\x20\x00");
	static const uint8_t large[4096];
	char name[] = "/var/tmp/test_tiered.XXXXXX";
	char path[64];
	int fd = mkstemp(name);
	int other;
	int ret;

	(void)state;
	assert_true(fd != -1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_PATH);
	unlink(name);
	ret = ftruncate(fd, 1 << 20);
	assert_int_equal(ret, 0);
	assert_false(tiered_of_fd(fd));
	set(fd, offline, sizeof(offline) - 1);
	assert_true(tiered_of_fd(fd));
	assert_true(tiered_of_fd(other));
	set(fd, here, sizeof(here) - 1);
	assert_false(tiered_of_fd(fd));
	set(fd, large, sizeof(large) / 4);
	assert_false(tiered_of_fd(fd));

	/* with its bytes here it is none, whatever was set */
	set(fd, offline, sizeof(offline) - 1);
	ret = ftruncate(fd, 0);
	assert_int_equal(ret, 0);
	assert_false(tiered_of_fd(fd));
	ret = (int)write(fd, large, sizeof(large));
	assert_int_equal(ret, sizeof(large));
	assert_false(tiered_of_fd(fd));
	assert_false(tiered_of_fd(-1));
	close(other);
	close(fd);
}

static void test_filter(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_READ, .size = 100,
				  .tiered = true, .written = true };
	struct filter_decision d;

	(void)p;
	f.profile = FILTER_STRICT;
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_ASK_OWED);
	assert_int_equal(d.reason, VERDICT_REASON_TIERED);
	f.tiered = true;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_ASK);
	f.tiered = false;

	/* known before: nothing is to be fetched, or it must be */
	x.state = VERDICT_STATE_CLEAN;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_GO);
	x.state = VERDICT_STATE_INFECTED;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_DENY);
	x.state = VERDICT_STATE_WAS_INFECTED;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_ASK);

	/* what was written is here; a new name is no reason to fetch it */
	x.state = VERDICT_STATE_NONE;
	x.operation = FILTER_CLOSE;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_NOTIFY);
	x.operation = FILTER_RENAME;
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_GO);
	assert_int_equal(d.reason, VERDICT_REASON_TIERED);
	x.state = VERDICT_STATE_WAS_INFECTED;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_NOTIFY);

	/* open_on_fail decides, as when there is no verdict */
	assert_true(filter_allows(&f, VERDICT_STATE_NONE, VERDICT_FAILED,
				  VERDICT_REASON_TIERED));
	f.open_on_fail = false;
	assert_false(filter_allows(&f, VERDICT_STATE_NONE, VERDICT_FAILED,
				   VERDICT_REASON_TIERED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
