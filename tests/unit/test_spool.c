/*
 * The spool as a file: who may have written it, how much of it, what of it
 * is read after a power failure, and many at it at once. How its notices
 * become debts is in test_spooled.c.
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
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spool.h"

#define CHUNK 65536

struct test {
	char top[64];
	char dir[80];
	char notices[100];
	char taken[100];
	char overflow[100];
	uint8_t data[CHUNK];
	size_t len;
	uint64_t offset;
	uint64_t damaged;	/* of all chunks so far */
};

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int set_up(void **p)
{
	struct test *t = calloc(1, sizeof(*t));

	strcpy(t->top, "/tmp/test_spool.XXXXXX");
	assert_non_null(mkdtemp(t->top));
	snprintf(t->dir, sizeof(t->dir), "%s/spool", t->top);
	snprintf(t->notices, sizeof(t->notices), "%s/notices", t->dir);
	snprintf(t->taken, sizeof(t->taken), "%s/taken", t->dir);
	snprintf(t->overflow, sizeof(t->overflow), "%s/overflow", t->dir);
	assert_int_equal(mkdir(t->dir, 0700), 0);
	*p = t;
	return 0;
}

static int tear_down(void **p)
{
	struct test *t = *p;

	nftw(t->top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(t);
	return 0;
}

/* A notice of its own length; `extra` makes it longer. */
static size_t notice(uint8_t msg[PROTO_MAX], uint64_t seq, size_t extra)
{
	char path[PROTO_STR_MAX + 1];
	struct proto_message m = {
		.number = PROTO_NOTICE,
		.u.notice = { .seq = seq, .path = path, .user = "u" },
	};
	size_t len = 0;

	memset(path, 'x', extra);
	path[extra] = '\0';
	len = proto_encode(&m, msg);
	assert_int_not_equal(len, 0);
	return len;
}

static size_t append(struct test *t, uint64_t seq, size_t extra)
{
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, seq, extra);

	assert_int_equal(spool_append(t->dir, msg, len), 0);
	return len + 4;
}

static void take(struct test *t)
{
	bool overflow = true;

	assert_int_equal(spool_take(t->dir, &overflow), 0);
	assert_false(overflow);
	t->offset = 0;
	t->damaged = 0;
}

static void next(struct test *t, size_t size)
{
	uint64_t damaged = 0;
	int ret = spool_read(t->dir, &t->offset, t->data, size, &t->len,
			     &damaged);

	assert_int_equal(ret, 0);
	t->damaged += damaged;
}

/* The seqs of all frames, in order; how many. */
static size_t read_all(struct test *t, size_t size, uint64_t *seq, size_t max)
{
	size_t n = 0;

	for (next(t, size); t->len > 0; next(t, size)) {
		size_t pos = 0;

		assert_true(t->len <= size);
		while (pos < t->len) {
			struct buf b = buf_reader(t->data + pos,
						  t->len - pos);
			uint32_t len = buf_get_u32(&b);
			struct proto_message m;
			int ret = 0;

			assert_true(len <= buf_left(&b));
			ret = proto_decode(t->data + pos + 4, len, &m);
			/* 0 is the seq of one of another version */
			assert_true(ret == 0 || ret == EPROTONOSUPPORT);
			assert_true(n < max);
			seq[n++] = m.u.notice.seq;
			pos += 4 + len;
		}
	}
	return n;
}

/* All of them are the numbers given. */
static void expect(struct test *t, size_t count, const uint64_t *numbers)
{
	uint64_t seq[64] = { 0 };
	size_t n = read_all(t, CHUNK, seq, 64);

	assert_int_equal(n, count);
	assert_memory_equal(seq, numbers, count * sizeof(seq[0]));
}

#define EXPECT(t, ...) do { \
	const uint64_t numbers_[] = { __VA_ARGS__ }; \
	expect(t, sizeof(numbers_) / sizeof(numbers_[0]), numbers_); \
} while (0)

static void damage(const char *path, off_t at, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, data, len, at), len);
	close(fd);
}

static off_t size_of(const char *path)
{
	struct stat st = { .st_size = -1 };

	(void)stat(path, &st);
	return st.st_size;
}

/* --- the way of a notice --- */

static void test_round(void **p)
{
	struct test *t = *p;
	bool overflow = false;
	struct stat st;

	assert_int_equal(spool_take(t->dir, &overflow), ENOENT);
	append(t, 1, 0);
	append(t, 2, 100);
	assert_int_equal(stat(t->notices, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	take(t);
	EXPECT(t, 1, 2);
	assert_int_equal(t->damaged, 0);

	/* not committed: the same again, and those that came later wait */
	append(t, 3, 0);
	take(t);
	EXPECT(t, 1, 2);
	assert_int_equal(spool_done(t->dir), 0);
	take(t);
	EXPECT(t, 3);
	assert_int_equal(spool_done(t->dir), 0);
	assert_int_equal(spool_done(t->dir), ENOENT);
	assert_int_equal(spool_take(t->dir, &overflow), ENOENT);
}

static void test_lengths(void **p)
{
	struct test *t = *p;
	uint8_t msg[PROTO_MAX + 1] = { 0 };

	assert_int_equal(spool_append(t->dir, msg, 0), EINVAL);
	assert_int_equal(spool_append(t->dir, msg, PROTO_MAX + 1), EINVAL);
	assert_int_equal(size_of(t->notices), -1);
	append(t, 1, 0);
	take(t);
	t->offset = 0;
	assert_int_equal(spool_read(t->dir, &t->offset, t->data,
				    SPOOL_CHUNK_MIN - 1, &t->len,
				    &t->damaged), EINVAL);
}

/* Whatever the size of a chunk, no frame is cut. */
static void test_chunks(void **p)
{
	struct test *t = *p;
	uint64_t seq[300];
	size_t sizes[] = { SPOOL_CHUNK_MIN, SPOOL_CHUNK_MIN + 1, 20000,
			   CHUNK };
	size_t i, k;

	for (i = 0; i < 300; i++) {
		append(t, i + 1, i * 13 % PROTO_STR_MAX);
	}
	for (k = 0; k < 4; k++) {
		take(t);
		assert_int_equal(read_all(t, sizes[k], seq, 300), 300);
		for (i = 0; i < 300; i++) {
			assert_int_equal(seq[i], i + 1);
		}
		assert_int_equal(t->damaged, 0);
		assert_int_equal(t->offset, size_of(t->taken));
	}
}

/* --- whose it is --- */

static void refused(struct test *t, int error)
{
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, 1, 0);
	bool overflow = false;
	uint64_t n = 0;

	assert_int_equal(spool_append(t->dir, msg, len), error);
	assert_int_equal(spool_take(t->dir, &overflow), error);
	assert_int_equal(spool_read(t->dir, &n, t->data, CHUNK, &t->len, &n),
			 error);
	assert_int_equal(spool_done(t->dir), error);
}

static void test_directory(void **p)
{
	const mode_t modes[] = { 0701, 0710, 0720, 0704, 0777, 01777 };
	struct test *t = *p;
	char real[80];
	size_t i;

	append(t, 1, 0);
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(t->dir, modes[i]), 0);
		refused(t, EPERM);
	}
	assert_int_equal(chmod(t->dir, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(t->dir, 1, -1), 0);
		refused(t, EPERM);
		assert_int_equal(chown(t->dir, 0, -1), 0);
	}
	snprintf(real, sizeof(real), "%s/real", t->top);
	assert_int_equal(rename(t->dir, real), 0);
	refused(t, ENOENT);
	assert_int_equal(symlink("real", t->dir), 0);
	refused(t, ENOTDIR);
	assert_int_equal(unlink(t->dir), 0);
	close(open(t->dir, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	refused(t, ENOTDIR);
}

/* A link where the file should be is neither written nor read through. */
static void test_links(void **p)
{
	struct test *t = *p;
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, 1, 0);
	bool overflow = false;
	uint64_t n = 0;
	char victim[80];

	snprintf(victim, sizeof(victim), "%s/victim", t->top);
	close(open(victim, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(symlink(victim, t->notices), 0);
	assert_int_equal(spool_append(t->dir, msg, len), ELOOP);
	assert_int_equal(spool_take(t->dir, &overflow), ELOOP);
	assert_int_equal(size_of(victim), 0);
	assert_int_equal(unlink(t->notices), 0);

	damage(victim, 0, "0123456789", 10);
	assert_int_equal(symlink(victim, t->taken), 0);
	assert_int_equal(spool_take(t->dir, &overflow), 0);
	assert_int_equal(spool_read(t->dir, &n, t->data, CHUNK, &t->len, &n),
			 ELOOP);
	assert_int_equal(spool_done(t->dir), 0);
	assert_int_equal(size_of(victim), 10);
}

/* Nor does anybody wait for the other end of a pipe. */
static void test_pipes(void **p)
{
	struct test *t = *p;
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, 1, 0);
	bool overflow = false;
	uint64_t n = 0;

	assert_int_equal(mkfifo(t->notices, 0600), 0);
	assert_int_equal(mkfifo(t->taken, 0600), 0);
	assert_int_equal(spool_append(t->dir, msg, len), EPERM);
	errno = ENOENT;		/* not what is returned */
	assert_int_equal(spool_read(t->dir, &n, t->data, CHUNK, &t->len, &n),
			 EPERM);
	assert_int_equal(unlink(t->taken), 0);
	assert_int_equal(spool_take(t->dir, &overflow), EPERM);
}

/* --- how much of it --- */

static void test_full(void **p)
{
	struct test *t = *p;
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, 7, 0);
	bool overflow = false;
	struct stat st;

	append(t, 1, 0);
	assert_int_equal(truncate(t->notices, SPOOL_MAX - len - 4), 0);
	assert_int_equal(spool_append(t->dir, msg, len), 0);
	assert_int_equal(size_of(t->notices), SPOOL_MAX);
	assert_int_equal(size_of(t->overflow), -1);
	assert_int_equal(spool_append(t->dir, msg, len), EFBIG);
	assert_int_equal(size_of(t->notices), SPOOL_MAX);
	assert_int_equal(lstat(t->overflow, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);

	/* told with what was full, as often as that is read */
	assert_int_equal(spool_take(t->dir, &overflow), 0);
	assert_true(overflow);
	assert_int_equal(size_of(t->overflow), -1);
	append(t, 8, 0);
	overflow = false;
	assert_int_equal(spool_take(t->dir, &overflow), 0);
	assert_true(overflow);
	t->offset = 0;
	t->damaged = 0;
	EXPECT(t, 1, 7);
	assert_int_equal(t->damaged, SPOOL_MAX - 2 * (len + 4));
	assert_int_equal(spool_done(t->dir), 0);

	/* and not with what came later */
	take(t);
	EXPECT(t, 8);
}

/* One that fills while another is read is told when it is read itself. */
static void test_full_twice(void **p)
{
	struct test *t = *p;
	bool overflow = false;

	append(t, 1, 0);
	take(t);
	append(t, 2, 0);
	close(open(t->overflow, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(spool_take(t->dir, &overflow), 0);
	assert_false(overflow);
	assert_int_equal(spool_done(t->dir), 0);
	assert_int_equal(spool_take(t->dir, &overflow), 0);
	assert_true(overflow);
}

/* The file system has no room: no half frame stays, and it is told. */
static void test_no_room(void **p)
{
	struct test *t = *p;
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, 2, 1000);
	size_t before = append(t, 1, 0);
	struct rlimit old, small;
	bool overflow = false;
	int ret = 0;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = before + 100;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	ret = spool_append(t->dir, msg, len);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(ret, ENOSPC);
	assert_int_equal(size_of(t->notices), before);
	append(t, 3, 0);
	assert_int_equal(spool_take(t->dir, &overflow), 0);
	assert_true(overflow);
	t->offset = 0;
	t->damaged = 0;
	EXPECT(t, 1, 3);
	assert_int_equal(t->damaged, 0);
}

/* --- after a power failure --- */

static void test_torn_end(void **p)
{
	struct test *t = *p;
	size_t first = append(t, 1, 50);
	size_t second = append(t, 2, 50);
	size_t cut;

	for (cut = 1; cut < second; cut++) {
		assert_int_equal(truncate(cut == 1 ? t->notices : t->taken,
					  first + second - cut), 0);
		take(t);
		EXPECT(t, 1);
		assert_int_equal(t->damaged, second - cut);
	}
}

/* smbds go on behind what a dying one has left. */
static void test_torn_middle(void **p)
{
	struct test *t = *p;
	size_t first = append(t, 1, 50);
	size_t second = append(t, 2, 4000);
	uint8_t msg[PROTO_MAX];
	size_t cut;

	for (cut = 1; cut < second; cut += 97) {
		assert_int_equal(truncate(t->notices, first + second - cut),
				 0);
		append(t, 3, 0);
		append(t, 4, notice(msg, 0, 0));
		append(t, 5, 10);
		take(t);
		EXPECT(t, 1, 3, 4, 5);
		assert_int_equal(t->damaged, second - cut);
		assert_int_equal(rename(t->taken, t->notices), 0);
	}
}

/* Blocks that were never written back are zero. */
static void test_zeroed(void **p)
{
	static const uint8_t zeroes[2 * CHUNK];
	struct test *t = *p;
	size_t sizes[5];
	size_t i;

	for (i = 0; i < 5; i++) {
		sizes[i] = append(t, i + 1, 3000);
	}
	/* from inside 2 to inside 4 */
	damage(t->notices, sizes[0] + 1000, zeroes, 2 * sizes[0]);
	take(t);
	EXPECT(t, 1, 5);
	assert_int_equal(t->damaged, 3 * sizes[0]);
	assert_int_equal(rename(t->taken, t->notices), 0);

	/* the begin, and more than a chunk */
	damage(t->notices, 0, zeroes, sizeof(zeroes));
	append(t, 6, 0);
	append(t, 7, 0);
	take(t);
	EXPECT(t, 6, 7);
	assert_int_equal(t->damaged, sizeof(zeroes));
	assert_int_equal(rename(t->taken, t->notices), 0);

	/* everything */
	assert_int_equal(truncate(t->notices, 0), 0);
	assert_int_equal(truncate(t->notices, 3 * CHUNK), 0);
	take(t);
	assert_int_equal(read_all(t, CHUNK, NULL, 0), 0);
	assert_int_equal(t->damaged, 3 * CHUNK);
}

/* A byte anywhere costs its frame and no other; some it does not cost. */
static void test_flipped(void **p)
{
	struct test *t = *p;
	size_t first = append(t, 1, 0);
	size_t second = append(t, 2, 0);
	size_t at;

	append(t, 3, 0);
	take(t);
	for (at = 0; at < second; at++) {
		uint64_t seq[3] = { 0 };
		uint8_t old = 0;
		uint8_t new = 0;
		size_t n = 0;
		int fd = open(t->taken, O_RDONLY | O_CLOEXEC);

		assert_int_equal(pread(fd, &old, 1, first + at), 1);
		close(fd);
		new = old ^ 0x81;
		damage(t->taken, first + at, &new, 1);
		take(t);
		n = read_all(t, CHUNK, seq, 3);
		assert_true(n == 3 ? t->damaged == 0 :
			    n == 2 && t->damaged == second);
		assert_int_equal(seq[0], 1);
		assert_int_equal(seq[n - 1], 3);
		/* what carries the frame is checked */
		assert_true(at >= 8 || n == 2);
		damage(t->taken, first + at, &old, 1);
	}
}

/* Of another version: whole; its reader says what it makes of it. */
static void test_other_version(void **p)
{
	struct test *t = *p;
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, 1, 0);

	msg[4] = 0xee;		/* u16 version */
	assert_int_equal(spool_append(t->dir, msg, len), 0);
	take(t);
	next(t, CHUNK);
	assert_int_equal(t->len, len + 4);
	assert_int_equal(t->damaged, 0);
}

/* --- many at it --- */

#define WRITERS 4
#define EACH 400

/* In a child. */
static void write_many(struct test *t, unsigned int writer)
{
	uint8_t msg[PROTO_MAX];
	unsigned int i;

	for (i = 0; i < EACH; i++) {
		size_t len = notice(msg, writer * EACH + i, i % 2000);
		int ret = spool_append(t->dir, msg, len);

		if (ret != 0) {
			_exit(1);
		}
	}
	_exit(0);
}

/* Counts what was taken; false = there was nothing. */
static bool take_some(struct test *t, unsigned int seen[WRITERS])
{
	uint64_t seq[WRITERS * EACH];
	bool overflow = false;
	size_t n = 0;
	size_t i;
	int ret = spool_take(t->dir, &overflow);

	if (ret == ENOENT) {
		return false;
	}
	assert_int_equal(ret, 0);
	t->offset = 0;
	t->damaged = 0;
	n = read_all(t, CHUNK, seq, WRITERS * EACH);
	assert_int_equal(t->damaged, 0);
	assert_int_equal(spool_done(t->dir), 0);
	for (i = 0; i < n; i++) {
		unsigned int writer = seq[i] / EACH;

		/* each writer's in its order, none twice, none left out */
		assert_true(writer < WRITERS);
		assert_int_equal(seq[i] % EACH, seen[writer]);
		seen[writer]++;
	}
	return true;
}

static void test_take_while_writing(void **p)
{
	struct test *t = *p;
	unsigned int seen[WRITERS] = { 0 };
	unsigned int left = WRITERS;
	unsigned int i;
	pid_t pids[WRITERS];

	for (i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_int_not_equal(pids[i], -1);
		if (pids[i] == 0) {
			write_many(t, i);
		}
	}
	while (left > 0) {
		int status = 0;
		pid_t pid = 0;

		(void)take_some(t, seen);
		pid = waitpid(pids[left - 1], &status, WNOHANG);
		if (pid != 0) {
			assert_int_equal(pid, pids[left - 1]);
			assert_int_equal(status, 0);
			left--;
		}
	}
	while (take_some(t, seen)) {
	}
	for (i = 0; i < WRITERS; i++) {
		assert_int_equal(seen[i], EACH);
	}
}

/* The kernel says that it waits for a lock. */
static void wait_until_blocked(pid_t pid)
{
	static char text[1 << 20];
	char blocked[64];
	int i;

	/* "1: -> FLOCK  ADVISORY  WRITE 4711 ..." */
	snprintf(blocked, sizeof(blocked), "-> FLOCK  ADVISORY  WRITE %d ",
		 (int)pid);
	for (i = 0; i < 10000; i++) {
		int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
		size_t n = 0;
		ssize_t more = 0;

		do {
			n += more;
			more = read(fd, text + n, sizeof(text) - 1 - n);
		} while (more > 0);
		close(fd);
		text[n] = '\0';
		if (strstr(text, blocked) != NULL) {
			return;
		}
		usleep(1000);
	}
	fail_msg("%d waits for no lock", (int)pid);
}

static int finished(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Taken between its open and its lock: a writer writes the next file. */
static void test_taken_before_lock(void **p)
{
	struct test *t = *p;
	uint8_t msg[PROTO_MAX];
	size_t len = notice(msg, 2, 0);
	pid_t pid = -1;
	int fd = -1;

	append(t, 1, 0);
	fd = open(t->notices, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(spool_append(t->dir, msg, len));
	}
	wait_until_blocked(pid);
	assert_int_equal(rename(t->notices, t->taken), 0);
	close(fd);
	assert_int_equal(finished(pid), 0);
	take(t);
	EXPECT(t, 1);
	assert_int_equal(spool_done(t->dir), 0);
	take(t);
	EXPECT(t, 2);
}

/*
 * Two readers, and a writer in between: the second must not put the new
 * file over the one that the first has just taken.
 */
static void test_two_readers(void **p)
{
	struct test *t = *p;
	bool overflow = false;
	pid_t pid = -1;
	int fd = -1;

	append(t, 1, 0);
	fd = open(t->notices, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(spool_take(t->dir, &overflow));
	}
	wait_until_blocked(pid);
	assert_int_equal(rename(t->notices, t->taken), 0);
	append(t, 2, 0);
	close(fd);
	assert_int_equal(finished(pid), 0);
	take(t);
	EXPECT(t, 1);
	assert_int_equal(spool_done(t->dir), 0);
	take(t);
	EXPECT(t, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round),
		TEST(test_lengths),
		TEST(test_chunks),
		TEST(test_directory),
		TEST(test_links),
		TEST(test_pipes),
		TEST(test_full),
		TEST(test_full_twice),
		TEST(test_no_room),
		TEST(test_torn_end),
		TEST(test_torn_middle),
		TEST(test_zeroed),
		TEST(test_flipped),
		TEST(test_other_version),
		TEST(test_take_while_writing),
		TEST(test_taken_before_lock),
		TEST(test_two_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
