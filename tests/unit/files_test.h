/*
 * What the tests of the files process share: a scratch directory as
 * check_root, a started files process, and requests that wait.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_FILES_TEST_H
#define TESTS_FILES_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cavad/files.h"
#include "common/verdict.h"

#define LONG 5000		/* ms that anything may take at most */
#define SECOND INT64_C(1000000000)

struct test {
	struct tevent_context *ev;
	struct files *files;
	char top[64];		/* scratch */
	char root[80];		/* check_root, below top */
	char spool[80];
	bool fatal;
};

static inline void test_fatal(void *private_data)
{
	struct test *t = private_data;

	t->fatal = true;
}

static inline char *path_in(struct test *t, const char *name)
{
	return talloc_asprintf(t, "%s/%s", t->root, name);
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t len = strlen(text);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static inline char *make_file(struct test *t, const char *name)
{
	char *path = path_in(t, name);

	write_file(path, "some text\n");
	return path;
}

static inline int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	return fd;
}

static inline int64_t now_ns(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static inline int start(struct test *t, const char *check_root)
{
	int ret = files_start(t, check_root, t->spool, &t->files);

	if (ret == 0) {
		files_attach(t->files, t->ev, test_fatal, t);
	}
	return ret;
}

static inline int set_up(void **result)
{
	struct test *t = talloc_zero(NULL, struct test);
	int ret = 0;

	t->ev = tevent_context_init(t);
	snprintf(t->top, sizeof(t->top), "/tmp/test_files.XXXXXX");
	assert_non_null(mkdtemp(t->top));
	snprintf(t->root, sizeof(t->root), "%s/root", t->top);
	snprintf(t->spool, sizeof(t->spool), "%s/spool", t->top);
	assert_int_equal(mkdir(t->root, 0755), 0);
	assert_int_equal(mkdir(t->spool, 0700), 0);
	ret = start(t, t->root);
	assert_int_equal(ret, 0);
	*result = t;
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int tear_down(void **p)
{
	struct test *t = *p;

	TALLOC_FREE(t->files);
	nftw(t->top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	talloc_free(t);
	return 0;
}

static inline void tick(struct tevent_context *ev, struct tevent_timer *te,
		 struct timeval now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	*(struct tevent_timer **)private_data = NULL;	/* tevent frees it */
}

/* One turn of the loop, at most 10 ms. */
static inline void turn(struct test *t)
{
	struct tevent_timer *te = NULL;

	te = tevent_add_timer(t->ev, t, tevent_timeval_current_ofs(0, 10000),
			      tick, &te);
	tevent_loop_once(t->ev);
	TALLOC_FREE(te);
}

#define WAIT_FOR(t, condition) do { \
	int64_t until_ = now_ns(CLOCK_MONOTONIC) + LONG * 1000000L; \
	while (!(condition)) { \
		assert_true(now_ns(CLOCK_MONOTONIC) < until_); \
		turn(t); \
	} \
} while (0)

static inline int begin_error(struct test *t, const struct files_begin *begin,
		       struct files_begun *begun)
{
	struct tevent_req *req = NULL;
	int ret = 0;

	req = files_begin_send(t, t->ev, t->files, begin);
	assert_non_null(req);
	assert_true(tevent_req_poll(req, t->ev));
	*begun = (struct files_begun) { .fd = -1 };
	ret = files_begin_recv(req, t, begun);
	talloc_free(req);
	return ret;
}

static inline struct files_begun begin_as(struct test *t,
				   const struct files_begin *begin)
{
	struct files_begun begun;

	assert_int_equal(begin_error(t, begin, &begun), 0);
	return begun;
}

static inline struct files_begun begin_path(struct test *t, const char *path)
{
	return begin_as(t, &(struct files_begin) { .path = path });
}

static inline struct files_begun begin_lock(struct test *t, uint64_t scan_id,
				     const char *path)
{
	return begin_as(t, &(struct files_begin) {
			.scan_id = scan_id, .path = path, .lock = true });
}

static inline struct files_begun begin_ident(struct test *t, const char *hint,
				      const struct ident *ident)
{
	return begin_as(t, &(struct files_begin) {
			.path = hint, .have_ident = true, .ident = *ident });
}

static inline int end_error(struct test *t, const struct files_end *end,
		     struct files_ended *ended)
{
	struct tevent_req *req = NULL;
	int ret = 0;

	req = files_end_send(t, t->ev, t->files, end);
	assert_non_null(req);
	assert_true(tevent_req_poll(req, t->ev));
	ret = files_end_recv(req, ended);
	talloc_free(req);
	return ret;
}

static inline struct verdict verdict_of(enum verdict_result result)
{
	struct verdict v = { .result = result, .scan_time = 7,
			     .signature_time = 8, .engine = "test 1",
			     .server = "here" };

	if (result == VERDICT_INFECTED) {
		strcpy(v.threat, "Eicar");
	}
	return v;
}

static inline struct files_ended end_with(struct test *t, uint64_t scan_id,
				   const struct files_begun *begun,
				   enum verdict_result result)
{
	struct verdict record = verdict_of(result);
	struct files_ended ended;
	struct files_end end = { .scan_id = scan_id, .ident = begun->ident,
				 .path = begun->path,
				 .before = begun->content,
				 .record = &record };

	assert_int_equal(end_error(t, &end, &ended), 0);
	return ended;
}

static inline void end_let_go(struct test *t, uint64_t scan_id)
{
	struct files_end end = { .scan_id = scan_id };
	struct files_ended ended;

	assert_int_equal(end_error(t, &end, &ended), 0);
	assert_int_equal(ended.status, FILES_OK);
}

static inline enum verdict_state state_of(const char *path)
{
	struct verdict v;
	struct content now;
	int fd = open_file(path, O_RDONLY);
	int ret = verdict_read(fd, &v);

	assert_int_equal(content_of_fd(fd, &now), 0);
	close(fd);
	return verdict_state(ret == 0 ? &v : NULL, &now, 0);
}

/* T has passed and every worker has looked at what it holds since. */
static inline void wait_settled(struct test *t, int64_t stamp)
{
	struct tevent_req *reqs[FILES_WORKERS] = { NULL };
	struct files_begin begin = { .path = t->root };
	unsigned int round = 0;
	unsigned int i = 0;

	WAIT_FOR(t, now_ns(CLOCK_REALTIME_COARSE) > stamp);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < FILES_WORKERS; i++) {
			reqs[i] = files_begin_send(t, t->ev, t->files,
						   &begin);
		}
		for (i = 0; i < FILES_WORKERS; i++) {
			assert_true(tevent_req_poll(reqs[i], t->ev));
			TALLOC_FREE(reqs[i]);
		}
	}
}

static inline bool can_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1) {
		assert_int_equal(errno, EWOULDBLOCK);
		return false;
	}
	close(fd);
	return true;
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

#define files_test_main(tests) \
	(geteuid() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : \
	 (fprintf(stderr, "needs root\n"), 77))

/* Until ctime of what was done to files so far is before any of from now on. */
static inline void let_age(void)
{
	struct timespec now, tick;

	clock_gettime(CLOCK_REALTIME, &now);
	do {
		clock_gettime(CLOCK_REALTIME_COARSE, &tick);
	} while (tick.tv_sec < now.tv_sec || (tick.tv_sec == now.tv_sec &&
					      tick.tv_nsec <= now.tv_nsec));
}

#endif
