/*
 * Streams in attributes: contents, tokens, finding, a file in memory.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/digest.h"
#include "common/stream.h"

static struct content content_of(const char *value, size_t len)
{
	struct content c;

	stream_content((const uint8_t *)value, len, &c);
	return c;
}

/* FIPS 180-2: SHA-256 of "abc" starts with ba7816bf8f01cfea414140de5dae2223 */
static void test_content(void **p)
{
	struct content c = content_of("abc", 3);
	struct content other;

	(void)p;
	assert_int_equal(c.size, 2);
	assert_true((uint64_t)c.mtime == 0xba7816bf8f01cfeaULL);
	assert_true((uint64_t)c.ctime == 0x414140de5dae2223ULL);
	assert_int_equal(content_of("", 0).size, 0);
	assert_int_equal(content_of("", 1).size, 0);

	/* the last byte is no content, and yet tells values apart */
	other = content_of("abd", 3);
	assert_false(content_equal(&c, &other));
	other = content_of("abc", 3);
	assert_true(content_equal(&c, &other));
}

static void test_result_key(void **p)
{
	struct content a = content_of("abc", 3);
	struct content b = content_of("abd", 3);
	struct ident key, other;
	uint8_t bytes[IDENT_KEY_MAX];

	(void)p;
	stream_result_key(&a, &key);
	stream_result_key(&b, &other);
	assert_string_equal(key.stream, "ba7816bf8f01cfea414140de5dae2223");
	assert_int_equal(key.ino, 0);
	assert_false(ident_equal(&key, &other));
	assert_int_equal(ident_key(&key, bytes), 40);
}

static void test_token(void **p)
{
	static const char *const plain[] = {
		"evil", "Zone.Identifier", "a", "AFP_Resource", "x-1.exe"
	};
	static const char *const alias[] = {
		"user.DosStream.evil", "user.DosStream.:$DATA",
		"user.DosStream..evil:$DATA", "user.DosStream.evil.:$DATA",
		"user.DosStream.a b:$DATA", "user.DosStream.a:b:$DATA",
		"user.DosStream.a/b:$DATA", "user.DosStream.\xff:$DATA",
		"user.DosStream.cava-1:$DATA", "user.DosStream.CAVA-1:$DATA",
		"user.DosStream.evil:$data", "user.org.netatalk.Metadata",
		"user.other.evil", "user.", ""
	};
	char name[STREAM_NAME_MAX + 100];
	char token[STREAM_TOKEN_MAX], other[STREAM_TOKEN_MAX];
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		snprintf(name, sizeof(name), "user.DosStream.%s:$DATA",
			 plain[i]);
		stream_token(name, token);
		assert_string_equal(token, plain[i]);
	}
	strcpy(other, "");
	for (i = 0; i < sizeof(alias) / sizeof(alias[0]); i++) {
		stream_token(alias[i], token);
		assert_int_equal(strncmp(token, "cava-", 5), 0);
		assert_int_equal(strlen(token), 5 + 32);
		assert_string_not_equal(token, other);
		strcpy(other, token);
	}
	/* the longest that the kernel has, and what it has not */
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.DosStream.", 15);
	strcpy(name + STREAM_NAME_MAX - 1 - 6, ":$DATA");
	stream_token(name, token);
	assert_int_equal(strlen(token), STREAM_NAME_MAX - 1 - 15 - 6);
	memset(name + 15, 'n', sizeof(name) - 15);
	strcpy(name + sizeof(name) - 7, ":$DATA");
	stream_token(name, token);
	assert_int_equal(strlen(token), 5 + 32);
}

static void test_finder_info(void **p)
{
	uint8_t value[62] = { 'A', 'F', 'P', 0, 0, 0, 1, 0 };

	(void)p;
	assert_true(stream_is_finder_info(value, 61));
	assert_false(stream_is_finder_info(value, 60));
	assert_false(stream_is_finder_info(value, 62));
	value[7] = 1;
	assert_false(stream_is_finder_info(value, 61));
	value[7] = 0;
	value[0] = 'M';
	assert_false(stream_is_finder_info(value, 61));
}

static char scratch[32];

static int setup(void **p)
{
	int fd = mkstemp(strcpy(scratch, "stream.XXXXXX"));
	int path_fd = open(scratch, O_PATH | O_CLOEXEC);

	if (fd == -1 || path_fd == -1) {
		return -1;
	}
	*p = malloc(2 * sizeof(int));
	memcpy(*p, (int[]) { fd, path_fd }, 2 * sizeof(int));
	return 0;
}

static int teardown(void **p)
{
	int *fds = *p;

	close(fds[0]);
	close(fds[1]);
	free(fds);
	return unlink(scratch);
}

static void put(int fd, const char *name, const char *value, size_t len)
{
	assert_int_equal(fsetxattr(fd, name, value, len, 0), 0);
}

static void test_read(void **p)
{
	static uint8_t value[STREAM_VALUE_MAX];
	int *fds = *p;
	size_t len = 0;

	assert_int_equal(stream_read(fds[1], "user.none", value, &len),
			 ENODATA);
	put(fds[0], "user.one", "12345", 5);
	assert_int_equal(stream_read(fds[1], "user.one", value, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(value, "12345", 5);
}

static void test_find(void **p)
{
	char name[STREAM_NAME_MAX] = "";
	char token[STREAM_TOKEN_MAX];
	struct content c = content_of("hello", 6);
	int *fds = *p;

	assert_int_equal(stream_find(fds[1], "evil", NULL, name), ENODATA);
	put(fds[0], "user.DosStream.evil:$DATA", "hello", 6);
	put(fds[0], "user.DosStream.a b:$DATA", "ab", 3);
	assert_int_equal(stream_find(fds[1], "evil", NULL, name), 0);
	assert_string_equal(name, "user.DosStream.evil:$DATA");
	assert_int_equal(stream_find(fds[1], "EVIL", NULL, name), ENODATA);
	stream_token("user.DosStream.a b:$DATA", token);
	assert_int_equal(stream_find(fds[1], token, NULL, name), 0);
	assert_string_equal(name, "user.DosStream.a b:$DATA");

	assert_int_equal(stream_find(fds[1], NULL, &c, name), 0);
	assert_string_equal(name, "user.DosStream.evil:$DATA");
	c.ctime++;
	assert_int_equal(stream_find(fds[1], NULL, &c, name), ENODATA);
	assert_int_equal(stream_find(-1, NULL, &c, name), ENOENT);
}

static void test_memory(void **p)
{
	static uint8_t value[STREAM_VALUE_MAX];
	static char back[STREAM_VALUE_MAX];
	size_t sizes[] = { 0, 1, 2, STREAM_VALUE_MAX };
	struct stat st;
	size_t i;
	int fd = -1;

	(void)p;
	memset(value, 'v', sizeof(value));
	for (i = 0; i < 4; i++) {
		ssize_t size = sizes[i] == 0 ? 0 : (ssize_t)sizes[i] - 1;

		assert_int_equal(stream_memory(value, sizes[i], &fd), 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, size);
		assert_true(S_ISREG(st.st_mode));
		assert_int_equal(read(fd, back, sizeof(back)), size);
		assert_memory_equal(back, value, size);
		assert_int_equal(pwrite(fd, "x", 1, 0), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(fd, 100000), -1);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_result_key),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_finder_info),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test(test_memory),
	};

	if (chdir("/tmp") != 0) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
