/* includes: cavad/files.c */
/*
 * Files that somebody is writing to for as long as he likes: a page of
 * memory that comes when it is told to (userfaultfd(2)) holds a write() up
 * inside the kernel, and with it the lock of the inode. What waits is the
 * begin of that file, and nothing else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/files_test.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "cavad/files.c"
#include "cavad/files_settle.h"

#define NEW "new bytes\n"

struct stalled {
	char *path;
	int fd;
	int uffd;
	void *page;
	bool stands;
	pthread_t thread;
};

/* Those of a test. One that failed lets them go, too: its end waits else. */
static struct stalled all_stalled[FILES_WORKERS + 2];
static unsigned int num_stalled;

static void *stalled_write(void *private_data)
{
	struct stalled *s = private_data;

	assert_int_equal(pwrite(s->fd, s->page, strlen(NEW), 0), strlen(NEW));
	return NULL;
}

/* On return the write has begun, and stands. */
static struct stalled *stall(struct test *t, const char *name)
{
	struct stalled *s = &all_stalled[num_stalled++];
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode =
					 UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg message;
	long size = sysconf(_SC_PAGESIZE);

	s->path = make_file(t, name);
	s->fd = open_file(s->path, O_WRONLY);
	s->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (s->uffd == -1) {
		skip();
	}
	assert_int_equal(ioctl(s->uffd, UFFDIO_API, &api), 0);
	s->page = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(s->page, MAP_FAILED);
	range.range.start = (uintptr_t)s->page;
	range.range.len = size;
	assert_int_equal(ioctl(s->uffd, UFFDIO_REGISTER, &range), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, stalled_write, s),
			 0);
	s->stands = true;
	assert_int_equal(read(s->uffd, &message, sizeof(message)),
			 sizeof(message));
	return s;
}

static void go_on(struct stalled *s)
{
	static char source[65536] __attribute__((aligned(65536))) = NEW;
	struct uffdio_copy copy = { .dst = (uintptr_t)s->page,
				    .src = (uintptr_t)source,
				    .len = sysconf(_SC_PAGESIZE) };

	assert_int_equal(ioctl(s->uffd, UFFDIO_COPY, &copy), 0);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	s->stands = false;
	close(s->fd);
	close(s->uffd);
}

static int let_go(void **p)
{
	while (num_stalled > 0) {
		struct stalled *s = &all_stalled[--num_stalled];

		if (s->stands) {
			close(s->uffd);		/* its page is there now */
			pthread_join(s->thread, NULL);
			close(s->fd);
			s->stands = false;
		}
	}
	return tear_down(p);
}

static struct tevent_req *begin_sent(struct test *t, uint64_t scan_id,
				     const char *path)
{
	struct files_begin begin = { .scan_id = scan_id, .path = path,
				     .lock = true, .want_fd = true };

	return files_begin_send(t, t->ev, t->files, &begin);
}

static struct files_begun begin_got(struct test *t, struct tevent_req *req)
{
	struct files_begun begun;

	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_begin_recv(req, t, &begun), 0);
	talloc_free(req);
	return begun;
}

static unsigned int waited_for(const struct files_worker *w)
{
	struct files_job *job = NULL;
	unsigned int num = 0;

	TAILQ_FOREACH(job, &w->later, entry) {
		num++;
	}
	return num;
}

static unsigned int waited_for_all(struct test *t)
{
	unsigned int num = 0;
	unsigned int i = 0;

	for (i = 0; i < FILES_WORKERS; i++) {
		num += waited_for(&t->files->workers[i]);
	}
	return num;
}

/* All have answered what they were asked, be it LATER. */
static bool answered(struct test *t)
{
	unsigned int i = 0;

	for (i = 0; i < FILES_WORKERS; i++) {
		if (!TAILQ_EMPTY(&t->files->workers[i].under_way)) {
			return false;
		}
	}
	return true;
}

/* More of them than workers, and another file is begun and ended. */
static void test_others_go_on(void **p)
{
	struct test *t = *p;
	struct stalled *stalled[FILES_WORKERS + 2];
	struct tevent_req *reqs[FILES_WORKERS + 2];
	struct files_begun begun;
	char *other = make_file(t, "other");
	unsigned int num = FILES_WORKERS + 2;
	unsigned int i = 0;

	for (i = 0; i < num; i++) {
		stalled[i] = stall(t, talloc_asprintf(t, "stalled%u", i));
		reqs[i] = begin_sent(t, i + 1, stalled[i]->path);
	}
	WAIT_FOR(t, waited_for_all(t) == num);
	begun = begin_lock(t, 100, other);
	assert_int_equal(begun.status, FILES_OK);
	assert_true(begun.leased);
	assert_int_equal(end_with(t, 100, &begun, VERDICT_CLEAN).status,
			 FILES_OK);
	for (i = 0; i < num; i++) {
		assert_true(tevent_req_is_in_progress(reqs[i]));
		go_on(stalled[i]);
		begun = begin_got(t, reqs[i]);
		assert_int_equal(begun.status, FILES_OK);
		assert_false(begun.leased);
		close(begun.fd);
		end_let_go(t, i + 1);
	}
	assert_int_equal(waited_for_all(t), 0);
}

/* The new bytes are there once it has begun. */
static void test_the_bytes_are_there(void **p)
{
	struct test *t = *p;
	struct stalled *s = NULL;
	struct tevent_req *req = NULL;
	struct files_begun begun;
	char bytes[sizeof(NEW)] = "";

	s = stall(t, "a");
	req = begin_sent(t, 1, s->path);
	WAIT_FOR(t, waited_for_all(t) == 1);
	go_on(s);
	begun = begin_got(t, req);
	assert_int_equal(pread(begun.fd, bytes, sizeof(NEW) - 1, 0),
			 sizeof(NEW) - 1);
	assert_string_equal(bytes, NEW);
	close(begun.fd);
	assert_int_equal(end_with(t, 1, &begun, VERDICT_CLEAN).status,
			 FILES_OK);
}

/* Nobody wants it any more: what it holds is let go when it comes. */
static void test_dropped(void **p)
{
	struct test *t = *p;
	struct stalled *s = NULL;
	struct tevent_req *req = NULL;

	s = stall(t, "a");
	req = begin_sent(t, 1, s->path);
	WAIT_FOR(t, waited_for_all(t) == 1);
	talloc_free(req);
	go_on(s);
	WAIT_FOR(t, waited_for_all(t) == 0);
	WAIT_FOR(t, scan_find(t->files, 1) == NULL);
	assert_int_equal(begin_lock(t, 2, s->path).status, FILES_OK);
}

/*
 * One file takes one place of a worker, however often it is begun. It is the
 * same worker as long as nobody is asked before that one has answered.
 */
static void test_asked_again(void **p)
{
	struct test *t = *p;
	struct stalled *s = NULL;
	struct tevent_req *req = NULL;
	unsigned int i = 0;

	s = stall(t, "a");
	for (i = 0; i < 10; i++) {
		req = begin_sent(t, i, s->path);
		WAIT_FOR(t, answered(t));
		assert_int_equal(waited_for_all(t), 1);
		if (i < 9) {
			talloc_free(req);
		}
	}
	go_on(s);
	assert_int_equal(begin_got(t, req).status, FILES_OK);
}

/* The worker goes, and the file is begun anew by the one after it. */
static void test_worker_dies(void **p)
{
	struct test *t = *p;
	struct files_worker *w = &t->files->workers[0];
	uint32_t incarnation = w->incarnation;
	struct stalled *s = NULL;
	struct tevent_req *req = NULL;

	s = stall(t, "a");
	req = begin_sent(t, 1, s->path);
	WAIT_FOR(t, waited_for(w) == 1);
	kill(w->pid, SIGKILL);
	go_on(s);	/* or a thread of its keeps it, in the kernel */
	WAIT_FOR(t, w->incarnation != incarnation);
	assert_int_equal(begin_got(t, req).status, FILES_OK);
}

static void test_freed(void **p)
{
	struct test *t = *p;
	struct stalled *s = NULL;
	struct tevent_req *req = NULL;

	s = stall(t, "a");
	req = begin_sent(t, 1, s->path);
	WAIT_FOR(t, waited_for_all(t) == 1);
	TALLOC_FREE(t->files);
	talloc_free(req);
	go_on(s);
}

/* Never freed, so kept where it is not lost. */
static struct files_settle *settle_made(void)
{
	static struct files_settle *made[2];
	static size_t num;
	int ret = files_settle_create(&made[num]);

	assert_int_equal(ret, 0);
	return made[num++];
}

/* Beyond FILES_SETTLE_MAX there is no thread, but there is an answer. */
static void test_too_many(void **p)
{
	struct test *t = *p;
	struct files_settle *s = settle_made();
	struct content content = { .ctime = INT64_MAX };
	int fds[FILES_SETTLE_MAX + 1] = { -1 };
	void *owner = NULL;
	unsigned int num = 0;
	unsigned int i = 0;
	struct pollfd pfd = { .fd = -1, .events = POLLIN };
	int ret = 0;

	for (i = 0; i <= FILES_SETTLE_MAX; i++) {
		fds[i] = open_file(make_file(t, talloc_asprintf(t, "f%u", i)),
				   O_RDONLY);
	}
	for (i = 0; i < FILES_SETTLE_MAX; i++) {
		ret = files_settle_start(s, fds[i], &content, &fds[i]);
		assert_int_equal(ret, 0);
	}
	/* they may be over, but nobody has taken them back */
	ret = files_settle_start(s, fds[i], &content, &fds[i]);
	assert_int_equal(ret, EAGAIN);
	pfd.fd = files_settle_fd(s);
	while (num < FILES_SETTLE_MAX) {
		assert_int_equal(poll(&pfd, 1, LONG), 1);
		owner = files_settle_next(s);
		assert_in_range((uintptr_t)owner, (uintptr_t)&fds[0],
				(uintptr_t)&fds[FILES_SETTLE_MAX - 1]);
		num++;
	}
	assert_null(files_settle_next(s));
	ret = files_settle_start(s, fds[i], &content, &fds[i]);
	assert_int_equal(ret, 0);
	assert_int_equal(poll(&pfd, 1, LONG), 1);
	assert_ptr_equal(files_settle_next(s), &fds[i]);
	for (i = 0; i <= FILES_SETTLE_MAX; i++) {
		close(fds[i]);
	}
}

/* Such a mount refuses to remove an attribute, with no look at the lock. */
static void test_read_only_mount(void **p)
{
	struct test *t = *p;
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	struct content content = { .ctime = 0 };
	struct files_settle *s = settle_made();
	struct stalled *stalled = NULL;
	struct pollfd pfd = { .fd = -1, .events = POLLIN };
	int tree = open_tree(AT_FDCWD, t->root, OPEN_TREE_CLONE |
			     OPEN_TREE_CLOEXEC);
	int fd = -1;

	assert_int_not_equal(tree, -1);
	assert_int_equal(mount_setattr(tree, "", AT_EMPTY_PATH, &read_only,
				       sizeof(read_only)), 0);
	stalled = stall(t, "a");
	fd = openat(tree, "a", O_RDONLY | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fremovexattr(fd, "security.none"), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(files_settle_start(s, fd, &content, t), 0);
	pfd.fd = files_settle_fd(s);
	assert_int_equal(poll(&pfd, 1, 100), 0);
	go_on(stalled);
	assert_int_equal(poll(&pfd, 1, LONG), 1);
	assert_ptr_equal(files_settle_next(s), t);
	close(fd);
	close(tree);
}

#undef TEST
#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, set_up, let_go)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(others_go_on),
		TEST(the_bytes_are_there),
		TEST(dropped),
		TEST(asked_again),
		TEST(worker_dies),
		TEST(freed),
		TEST(too_many),
		TEST(read_only_mount),
	};

	return files_test_main(tests);
}
