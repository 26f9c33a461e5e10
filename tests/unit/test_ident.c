/*
 * Which file: identity of real files, keys, and the wire, also a hostile one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/ident.h"

#define SECOND 1000000000LL

static const struct ident example = {
	.fsid = 0x1112131415161718, .ino = 0x2122232425262728,
	.btime = 0x3132333435363738, .stream = "s:$DATA",
	.handle_type = -2, .handle_len = 3, .handle = { 7, 8, 9 },
};

struct scratch {
	char dir[64], file[96], other[96];
	int fd;
};

static int setup(void **p)
{
	struct scratch *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->dir, "/tmp/ident.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->file, sizeof(s->file), "%s/file", s->dir);
	snprintf(s->other, sizeof(s->other), "%s/other", s->dir);
	s->fd = open(s->file, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_not_equal(s->fd, -1);
	assert_int_equal(write(s->fd, "12345", 5), 5);
	*p = s;
	return 0;
}

static int teardown(void **p)
{
	struct scratch *s = *p;

	close(s->fd);
	unlink(s->file);
	unlink(s->other);
	rmdir(s->dir);
	free(s);
	return 0;
}

/* All of it, the handle too. */
static void assert_same(const struct ident *a, const struct ident *b)
{
	assert_true(a->fsid == b->fsid);
	assert_true(a->ino == b->ino);
	assert_true(a->btime == b->btime);
	assert_string_equal(a->stream, b->stream);
	assert_int_equal(a->handle_type, b->handle_type);
	assert_int_equal(a->handle_len, b->handle_len);
	assert_memory_equal(a->handle, b->handle, IDENT_HANDLE_MAX);
}

/* A file's identity outlives its name, its content and its descriptors. */
static void test_of_fd(void **p)
{
	struct scratch *s = *p;
	struct ident id, again;
	struct statfs fs;
	struct stat st;
	int fd;

	assert_int_equal(ident_of_fd(s->fd, &id), 0);
	assert_int_equal(fstat(s->fd, &st), 0);
	assert_int_equal(fstatfs(s->fd, &fs), 0);
	assert_true(id.ino == st.st_ino);
	assert_true(id.fsid != 0);
	if (memcmp(&fs.f_fsid, "\0\0\0\0\0\0\0\0", 8) != 0) {
		assert_memory_equal(&id.fsid, &fs.f_fsid, 8);
	}
	assert_string_equal(id.stream, "");
	assert_true(id.handle_len <= IDENT_HANDLE_MAX);

	fd = open(s->file, O_PATH);
	assert_int_not_equal(fd, -1);
	memset(&again, 0xff, sizeof(again));
	assert_int_equal(ident_of_fd(fd, &again), 0);
	assert_same(&again, &id);
	assert_int_equal(rename(s->file, s->other), 0);
	assert_int_equal(write(s->fd, "more", 4), 4);
	assert_int_equal(ident_of_fd(fd, &again), 0);
	assert_same(&again, &id);
	assert_int_equal(unlink(s->other), 0);
	assert_int_equal(ident_of_fd(fd, &again), 0);
	assert_same(&again, &id);
	close(fd);
}

static void test_birth_time(void **p)
{
	struct scratch *s = *p;
	struct ident id;
	struct statx stx;

	assert_int_equal(statx(s->fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx),
			 0);
	assert_int_equal(ident_of_fd(s->fd, &id), 0);
	if ((stx.stx_mask & STATX_BTIME) == 0) {
		assert_true(id.btime == 0);
		return;
	}
	assert_true(id.btime == stx.stx_btime.tv_sec * SECOND +
		    stx.stx_btime.tv_nsec);
}

static void test_other_file(void **p)
{
	struct scratch *s = *p;
	struct ident a, b;
	int fd = open(s->other, O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(ident_of_fd(s->fd, &a), 0);
	assert_int_equal(ident_of_fd(fd, &b), 0);
	assert_true(a.fsid == b.fsid);
	assert_false(ident_equal(&a, &b));
	close(fd);
}

/* The handle opens the file although its path no longer does. */
static void test_handle_opens(void **p)
{
	struct scratch *s = *p;
	union {
		struct file_handle handle;
		uint8_t room[sizeof(struct file_handle) + IDENT_HANDLE_MAX];
	} u;
	struct ident id, again;
	int dir = open(s->dir, O_RDONLY | O_DIRECTORY);
	int fd;

	assert_int_not_equal(dir, -1);
	assert_int_equal(ident_of_fd(s->fd, &id), 0);
	assert_int_equal(rename(s->file, s->other), 0);
	if (id.handle_len == 0) {
		close(dir);
		skip();		/* a file system without handles */
	}
	u.handle.handle_bytes = id.handle_len;
	u.handle.handle_type = id.handle_type;
	memcpy(u.handle.f_handle, id.handle, id.handle_len);
	fd = open_by_handle_at(dir, &u.handle, O_PATH);
	close(dir);
	if (fd == -1 && (errno == EPERM || errno == EOPNOTSUPP)) {
		skip();		/* not root, or overlayfs without nfs_export */
	}
	assert_int_not_equal(fd, -1);
	assert_int_equal(ident_of_fd(fd, &again), 0);
	assert_true(ident_equal(&id, &again));
	close(fd);
}

static void test_content(void **p)
{
	struct scratch *s = *p;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { 1234567890, 123456789 } };
	struct content c, again;
	struct stat st;
	int fd = open(s->file, O_PATH);

	assert_int_not_equal(fd, -1);
	assert_int_equal(futimens(s->fd, times), 0);
	assert_int_equal(fstat(s->fd, &st), 0);
	assert_int_equal(content_of_fd(s->fd, &c), 0);
	assert_true(c.size == 5);
	assert_true(c.mtime == 1234567890123456789);
	assert_true(c.ctime == st.st_ctim.tv_sec * SECOND +
		    st.st_ctim.tv_nsec);
	assert_int_equal(content_of_fd(fd, &again), 0);
	assert_true(content_equal(&c, &again));
	times[1].tv_sec = -2;		/* 1.5 s before 1970 */
	times[1].tv_nsec = SECOND / 2;
	if (futimens(s->fd, times) == 0 && fstat(s->fd, &st) == 0 &&
	    st.st_mtim.tv_sec == -2) {
		assert_int_equal(content_of_fd(s->fd, &c), 0);
		assert_true(c.mtime == -3 * SECOND / 2);
	}
	assert_int_equal(ftruncate(s->fd, 5000000000), 0);
	assert_int_equal(content_of_fd(s->fd, &c), 0);
	assert_true(c.size == 5000000000);
	close(fd);
}

/* A time that ns do not reach stays at the end of the range. */
static void test_far_times(void **p)
{
	struct scratch *s = *p;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } };
	struct content c;
	struct stat st;

	times[1].tv_sec = 15000000000;		/* the year 2445: ext4 has it */
	if (futimens(s->fd, times) != 0) {
		skip();
	}
	assert_int_equal(fstat(s->fd, &st), 0);
	if (st.st_mtim.tv_sec != times[1].tv_sec) {
		skip();		/* the file system's range is smaller */
	}
	assert_int_equal(content_of_fd(s->fd, &c), 0);
	assert_true(c.mtime == INT64_MAX);
	times[1].tv_sec = -times[1].tv_sec;
	assert_int_equal(futimens(s->fd, times), 0);
	assert_int_equal(fstat(s->fd, &st), 0);
	if (st.st_mtim.tv_sec == times[1].tv_sec) {
		assert_int_equal(content_of_fd(s->fd, &c), 0);
		assert_true(c.mtime == INT64_MIN);
	}
}

static void test_no_file(void **p)
{
	struct ident id;
	struct content c;

	(void)p;
	assert_int_equal(ident_of_fd(-1, &id), EBADF);
	assert_int_equal(content_of_fd(-1, &c), EBADF);
}

/* Each part of it counts, and the handle does not. */
static void test_equal(void **p)
{
	struct ident other = example;
	struct content a = { .size = 1, .mtime = 2, .ctime = 3 };
	struct content b = a;

	(void)p;
	other.handle_type++;
	other.handle_len = 0;
	other.handle[0]++;
	assert_true(ident_equal(&example, &other));
	other.fsid++;
	assert_false(ident_equal(&example, &other));
	other = example;
	other.ino ^= 1ULL << 63;
	assert_false(ident_equal(&example, &other));
	other = example;
	other.btime++;
	assert_false(ident_equal(&example, &other));
	other = example;
	other.stream[0] = '\0';
	assert_false(ident_equal(&example, &other));
	other = example;
	other.stream[0] = 'S';
	assert_false(ident_equal(&example, &other));

	assert_true(content_equal(&a, &b));
	b.size ^= 1ULL << 32;
	assert_false(content_equal(&a, &b));
	b = a;
	b.mtime++;
	assert_false(content_equal(&a, &b));
	b = a;
	b.ctime++;
	assert_false(content_equal(&a, &b));
}

static void test_key(void **p)
{
	static const uint8_t start[24] = {
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
		0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
	};
	uint8_t key[IDENT_KEY_MAX + 1], other[IDENT_KEY_MAX];
	struct ident id = example;

	(void)p;
	memset(key, 0xa5, sizeof(key));
	id.stream[0] = '\0';
	assert_int_equal(ident_key(&id, key), 24);
	assert_memory_equal(key, start, 24);
	assert_int_equal(key[24], 0xa5);
	id.handle_type++;		/* is no part of it */
	id.handle[0]++;
	assert_int_equal(ident_key(&id, other), 24);
	assert_memory_equal(other, key, 24);

	assert_int_equal(ident_key(&example, key), 40);
	assert_memory_equal(key, start, 24);
	assert_int_equal(key[40], 0xa5);
	id = example;
	assert_int_equal(ident_key(&id, other), 40);
	assert_memory_equal(other, key, 40);
	id.stream[0]++;
	assert_int_equal(ident_key(&id, other), 40);
	assert_memory_equal(other, start, 24);
	/* both halves of the hash */
	assert_memory_not_equal(other + 24, key + 24, 8);
	assert_memory_not_equal(other + 32, key + 32, 8);
	assert_memory_not_equal(key + 24, key + 32, 8);
}

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, IDENT_KEY_MAX);
}

/* Names as alike as they get: no two have one key. */
static void test_key_of_streams(void **p)
{
	static uint8_t keys[4000][IDENT_KEY_MAX];
	struct ident id = example;
	size_t i;

	(void)p;
	for (i = 0; i < 4000; i++) {
		memset(id.stream, 'a', sizeof(id.stream));
		snprintf(id.stream + i % 700, sizeof(id.stream) - i % 700,
			 "%zu", i / 700);
		assert_int_equal(ident_key(&id, keys[i]), 40);
	}
	qsort(keys, 4000, IDENT_KEY_MAX, key_compare);
	for (i = 1; i < 4000; i++) {
		assert_memory_not_equal(keys[i - 1], keys[i], IDENT_KEY_MAX);
	}
}

/* ---- the wire ---- */

static void test_wire(void **p)
{
	static const uint8_t expect[] = {
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
		0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
		0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
		7, 0, 's', ':', '$', 'D', 'A', 'T', 'A', 0,
		0xfe, 0xff, 0xff, 0xff, 3, 0, 0, 0, 7, 8, 9,
	};
	uint8_t data[sizeof(expect)];
	struct buf b = buf_writer(data, sizeof(data));
	struct ident id;
	size_t n;

	(void)p;
	ident_put(&b, &example);
	assert_int_equal(b.error, 0);
	assert_int_equal(b.pos, sizeof(expect));
	assert_memory_equal(data, expect, sizeof(expect));
	b = buf_reader(data, sizeof(data));
	memset(&id, 0xff, sizeof(id));
	ident_get(&b, &id);
	assert_int_equal(buf_finish(&b), 0);
	assert_same(&id, &example);

	for (n = 0; n < sizeof(expect); n++) {
		uint8_t *cut = malloc(n + 1);

		assert_non_null(cut);
		memcpy(cut, expect, n);
		b = buf_reader(cut, n);
		memset(&id, 0xff, sizeof(id));
		ident_get(&b, &id);
		assert_int_equal(buf_finish(&b), EBADMSG);
		assert_int_equal(id.handle_len, 0);
		assert_true(strlen(id.stream) < IDENT_STREAM_MAX);
		free(cut);
	}
}

/* The largest there is: 767 bytes of stream, 128 of handle. */
static void test_wire_largest(void **p)
{
	uint8_t data[2048];
	struct buf b = buf_writer(data, sizeof(data));
	struct ident id = example, back;

	(void)p;
	memset(id.stream, 's', IDENT_STREAM_MAX - 1);
	id.handle_len = IDENT_HANDLE_MAX;
	memset(id.handle, 0xee, IDENT_HANDLE_MAX);
	ident_put(&b, &id);
	assert_int_equal(b.error, 0);
	b = buf_reader(data, b.pos);
	ident_get(&b, &back);
	assert_int_equal(buf_finish(&b), 0);
	assert_same(&back, &id);

	/* a length that is none goes out as "no handle" */
	id.handle_len = IDENT_HANDLE_MAX + 1;
	b = buf_writer(data, sizeof(data));
	ident_put(&b, &id);
	assert_int_equal(b.error, 0);
	b = buf_reader(data, b.pos);
	ident_get(&b, &back);
	assert_int_equal(buf_finish(&b), 0);
	assert_int_equal(back.handle_len, 0);
}

/* All the bytes are there, but it is more than an ident has room for. */
static void get_hostile(size_t stream_len, uint32_t handle_len, int error)
{
	uint8_t data[4096] = "";
	char stream[IDENT_STREAM_MAX + 2] = "";
	struct buf b = buf_writer(data, sizeof(data));
	struct ident id;

	memset(stream, 's', stream_len);
	buf_put_u64(&b, 1);
	buf_put_u64(&b, 2);
	buf_put_u64(&b, 3);
	buf_put_str(&b, stream);
	buf_put_u32(&b, 1);
	buf_put_u32(&b, handle_len);
	assert_int_equal(b.error, 0);
	b = buf_reader(data, sizeof(data));
	ident_get(&b, &id);
	assert_int_equal(b.error, error);
	if (error != 0) {
		assert_string_equal(id.stream, "");
		assert_int_equal(id.handle_len, 0);
	}
}

static void test_wire_hostile(void **p)
{
	(void)p;
	get_hostile(IDENT_STREAM_MAX - 1, IDENT_HANDLE_MAX, 0);
	get_hostile(IDENT_STREAM_MAX, 0, EBADMSG);
	get_hostile(IDENT_STREAM_MAX + 1, 0, EBADMSG);
	get_hostile(0, IDENT_HANDLE_MAX + 1, EBADMSG);
	get_hostile(0, INT32_MAX, EBADMSG);
	get_hostile(0, 0x80000000, EBADMSG);
	get_hostile(0, UINT32_MAX, EBADMSG);
}

static void test_wire_content(void **p)
{
	static const uint8_t expect[24] = {
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0xf1,
		0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
	};
	const struct content c = { .size = 0xf112131415161718, .mtime = -2,
				   .ctime = 0x3132333435363738 };
	uint8_t data[24];
	struct buf b = buf_writer(data, sizeof(data));
	struct content back;
	size_t n;

	(void)p;
	content_put(&b, &c);
	assert_int_equal(b.pos, 24);
	assert_memory_equal(data, expect, 24);
	b = buf_reader(data, 24);
	content_get(&b, &back);
	assert_int_equal(buf_finish(&b), 0);
	assert_true(content_equal(&back, &c));
	for (n = 0; n < 24; n++) {
		b = buf_reader(data, n);
		content_get(&b, &back);
		assert_int_equal(buf_finish(&b), EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_of_fd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_birth_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_other_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_handle_opens, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_content, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_far_times, setup,
						teardown),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_key_of_streams),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_wire_largest),
		cmocka_unit_test(test_wire_hostile),
		cmocka_unit_test(test_wire_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
