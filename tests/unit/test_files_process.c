/* includes: cavad/files.c */
/*
 * The processes of the files process: cancelled requests, workers that die
 * or hang, the end of cavad. Needs root.
 *
 * files.c is included for the pids of its workers and the stuck limit.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <grp.h>
#include <signal.h>

#include "cavad/files.c"
#include "tests/unit/files_test.h"
#include "tests/unit/fds.h"

static void test_cancel(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begin begin = { .scan_id = 1, .path = a, .lock = true,
				     .want_fd = true };
	struct tevent_req *req = NULL;
	struct files_begun begun;
	int worker = t->files->workers[0].sock;
	struct pollfd pfd = { .fd = worker, .events = POLLIN };
	unsigned int fds = count_fds(getpid());

	req = files_begin_send(t, t->ev, t->files, &begin);
	assert_int_equal(poll(&pfd, 1, LONG), 1);	/* answered, unread */
	assert_false(can_write(a));
	talloc_free(req);
	WAIT_FOR(t, can_write(a));
	WAIT_FOR(t, scan_find(t->files, 1) == NULL);
	assert_int_equal(count_fds(getpid()), fds);

	begun = begin_lock(t, 1, a);	/* the id is free again */
	assert_int_equal(begun.status, FILES_OK);
}

static void test_cancel_queued(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct tevent_req *reqs[12] = { NULL };
	struct files_begin begin = { .path = a, .want_fd = true };
	unsigned int fds = count_fds(getpid());
	unsigned int i = 0;

	for (i = 0; i < 12; i++) {
		reqs[i] = files_begin_send(t, t->ev, t->files, &begin);
	}
	for (i = 0; i < 12; i += 2) {
		TALLOC_FREE(reqs[i]);
	}
	for (i = 1; i < 12; i += 2) {
		assert_true(tevent_req_poll(reqs[i], t->ev));
		TALLOC_FREE(reqs[i]);	/* never received: closes the fd */
	}
	WAIT_FOR(t, TAILQ_EMPTY(&t->files->workers[0].under_way));
	assert_true(TAILQ_EMPTY(&t->files->waiting));
	assert_int_equal(count_fds(getpid()), fds);
}

static void test_cancelled_end(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);
	struct verdict record = verdict_of(VERDICT_CLEAN);
	struct files_end end = { .scan_id = 1, .ident = begun.ident,
				 .path = a, .before = begun.content,
				 .record = &record };
	struct files_begin other = { .path = a };
	struct tevent_req *busy[FILES_WORKERS] = { NULL };
	struct tevent_req *req = NULL;
	unsigned int i = 0;

	for (i = 0; i < FILES_WORKERS; i++) {
		busy[i] = files_begin_send(t, t->ev, t->files, &other);
	}
	req = files_end_send(t, t->ev, t->files, &end);
	talloc_free(req);
	WAIT_FOR(t, can_write(a));
	assert_int_equal(state_of(a), VERDICT_STATE_CLEAN);
	for (i = 0; i < FILES_WORKERS; i++) {
		talloc_free(busy[i]);
	}
}

static void test_freed_with_requests(void **p)
{
	struct test *t = *p;
	struct files_begin begin = { .path = make_file(t, "a") };
	struct tevent_req *reqs[8] = { NULL };
	unsigned int i = 0;

	for (i = 0; i < 8; i++) {
		reqs[i] = files_begin_send(t, t->ev, t->files, &begin);
	}
	TALLOC_FREE(t->files);
	turn(t);
	for (i = 0; i < 8; i++) {
		assert_true(tevent_req_is_in_progress(reqs[i]));
		talloc_free(reqs[i]);
	}
}

/* Processes */

static int pidfd_of(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	assert_int_not_equal(fd, -1);
	return fd;
}

static void assert_ends(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, LONG), 1);
	close(pidfd);
}

static void test_worker_killed(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	char *b = path_in(t, "b");
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_scan *scan = scan_find(t->files, 1);
	struct files_worker *w = &t->files->workers[scan->index];
	uint32_t incarnation = w->incarnation;
	struct files_ended ended;
	int pidfd = -1;

	kill(w->pid, SIGKILL);
	WAIT_FOR(t, w->incarnation != incarnation);
	assert_true(can_write(a));
	assert_int_equal(rename(a, b), 0);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_CHANGED);	/* rename: ctime */
	begun = begin_lock(t, 2, b);
	scan = scan_find(t->files, 2);
	w = &t->files->workers[scan->index];
	pidfd = pidfd_of(w->pid);
	kill(w->pid, SIGKILL);
	assert_ends(pidfd);

	/* not yet noticed here */
	ended = end_with(t, 2, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	assert_int_equal(state_of(b), VERDICT_STATE_CLEAN);
	wait_settled(t, ended.record.stamp);
	assert_int_equal(state_of(b), VERDICT_STATE_CLEAN);
}

static void test_worker_dies_at_work(void **p)
{
	struct test *t = *p;
	struct files_worker *w = &t->files->workers[0];
	struct files_begin begin = { .path = make_file(t, "a") };
	struct tevent_req *req = NULL;
	struct files_begun begun;

	kill(w->pid, SIGSTOP);
	req = files_begin_send(t, t->ev, t->files, &begin);
	assert_false(TAILQ_EMPTY(&w->under_way));
	kill(w->pid, SIGKILL);
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_begin_recv(req, t, &begun), EPIPE);
	assert_int_equal(begin_path(t, begin.path).status, FILES_OK);
}

static void test_worker_dies_before_end(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_worker *w = &t->files->workers[0];
	struct verdict record = verdict_of(VERDICT_CLEAN);
	struct files_end end = { .scan_id = 1, .ident = begun.ident,
				 .path = a, .before = begun.content,
				 .record = &record };
	struct files_begin other = { .path = a };
	struct tevent_req *busy = NULL;
	struct tevent_req *req = NULL;
	struct files_ended ended;

	kill(w->pid, SIGSTOP);
	busy = files_begin_send(t, t->ev, t->files, &other);
	req = files_end_send(t, t->ev, t->files, &end);
	assert_false(TAILQ_EMPTY(&w->waiting));
	kill(w->pid, SIGKILL);
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_end_recv(req, &ended), 0);
	assert_int_equal(ended.status, FILES_OK);
	assert_true(tevent_req_poll(busy, t->ev));
	assert_null(scan_find(t->files, 1));
	talloc_free(busy);
	talloc_free(req);
}

static void test_worker_stuck(void **p)
{
	struct test *t = *p;
	struct files_worker *w = &t->files->workers[0];
	char *a = make_file(t, "a");
	struct files_begin begin = { .path = a };
	struct files_begun begun = begin_lock(t, 1, a);
	pid_t pid = w->pid;
	uint32_t incarnation = w->incarnation;
	struct files_ended ended;
	int pidfd = pidfd_of(pid);

	t->files->stuck = 200;
	kill(pid, SIGSTOP);
	assert_int_equal(begin_error(t, &begin, &begun), ETIMEDOUT);
	assert_ends(pidfd);
	WAIT_FOR(t, w->incarnation != incarnation);
	assert_int_not_equal(w->pid, pid);

	t->files->stuck = LONG;
	assert_true(can_write(a));
	begun = begin_path(t, a);
	assert_int_equal(begun.status, FILES_OK);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
}

static void test_all_stuck(void **p)
{
	struct test *t = *p;
	struct files_begin begin = { .path = make_file(t, "a") };
	struct tevent_req *reqs[FILES_WORKERS + 2] = { NULL };
	struct files_begun begun;
	unsigned int i = 0;
	int ret = 0;

	t->files->stuck = 200;
	for (i = 0; i < FILES_WORKERS; i++) {
		kill(t->files->workers[i].pid, SIGSTOP);
	}
	for (i = 0; i < FILES_WORKERS + 2; i++) {
		reqs[i] = files_begin_send(t, t->ev, t->files, &begin);
	}
	for (i = 0; i < FILES_WORKERS + 2; i++) {
		assert_true(tevent_req_poll(reqs[i], t->ev));
		ret = files_begin_recv(reqs[i], t, &begun);
		assert_int_equal(ret, i < FILES_WORKERS ? ETIMEDOUT : 0);
	}
}

static void test_parent_killed(void **p)
{
	struct test *t = *p;
	int pidfds[FILES_WORKERS] = { -1 };
	unsigned int i = 0;

	for (i = 0; i < FILES_WORKERS; i++) {
		pidfds[i] = pidfd_of(t->files->workers[i].pid);
	}
	kill(t->files->parent, SIGKILL);
	WAIT_FOR(t, t->fatal);
	for (i = 0; i < FILES_WORKERS; i++) {
		assert_ends(pidfds[i]);
	}
}

static void test_freed(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);
	int pidfds[FILES_WORKERS] = { -1 };
	unsigned int i = 0;

	assert_true(begun.leased);
	for (i = 0; i < FILES_WORKERS; i++) {
		pidfds[i] = pidfd_of(t->files->workers[i].pid);
	}
	TALLOC_FREE(t->files);
	for (i = 0; i < FILES_WORKERS; i++) {
		assert_ends(pidfds[i]);
	}
	assert_true(can_write(a));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* What cavad does, until it is killed; with its own rights only. */
static void be_cavad(struct test *t, const char *path, int pipe_fd)
{
	pid_t pids[FILES_WORKERS + 1] = { 0 };
	unsigned int i = 0;

	if (start(t, t->root) != 0) {
		_exit(1);
	}
	begin_lock(t, 1, path);
	if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
	    setresuid(65534, 65534, 65534) != 0) {
		_exit(1);
	}
	pids[0] = t->files->parent;
	for (i = 0; i < FILES_WORKERS; i++) {
		pids[i + 1] = t->files->workers[i].pid;
	}
	if (write(pipe_fd, pids, sizeof(pids)) != sizeof(pids)) {
		_exit(1);
	}
	for (;;) {
		pause();
	}
}

static void test_cavad_killed(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	pid_t pids[FILES_WORKERS + 1] = { 0 };
	int pidfds[FILES_WORKERS + 1] = { -1 };
	int fds[2] = { -1, -1 };
	unsigned int i = 0;
	pid_t child = -1;

	TALLOC_FREE(t->files);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		be_cavad(t, a, fds[1]);
	}
	assert_int_equal(read(fds[0], pids, sizeof(pids)), sizeof(pids));
	for (i = 0; i < FILES_WORKERS + 1; i++) {
		pidfds[i] = pidfd_of(pids[i]);
	}
	assert_false(can_write(a));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	for (i = 0; i < FILES_WORKERS + 1; i++) {
		assert_ends(pidfds[i]);
	}
	assert_true(can_write(a));
	close(fds[0]);
	close(fds[1]);
}

/* Every way through a begin and an end, with workers idle: the first one. */
static struct files_ended use_worker(struct test *t, uint64_t scan_id)
{
	char *a = make_file(t, "a");
	char *b = path_in(t, "b");
	struct files_begun begun = begin_as(t, &(struct files_begin) {
		.scan_id = scan_id, .path = a, .lock = true,
		.want_fd = true });
	struct files_begun other = { .status = FILES_OK };
	struct files_ended ended;

	close(begun.fd);
	begin_path(t, t->root);
	begin_path(t, "/etc/passwd");
	begin_path(t, path_in(t, "nothing"));
	ended = end_with(t, scan_id, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	assert_int_equal(end_with(t, scan_id + 1, &begun, VERDICT_CLEAN)
			 .status, FILES_CHANGED);	/* held anew */
	assert_int_equal(rename(a, b), 0);
	other = begin_ident(t, a, &begun.ident);
	assert_string_equal(other.path, b);
	assert_int_equal(unlink(b), 0);
	other = begin_ident(t, a, &begun.ident);
	assert_int_equal(other.status, FILES_GONE);
	return ended;
}

static void test_leaves_nothing_open(void **p)
{
	struct test *t = *p;
	pid_t pid = t->files->workers[0].pid;
	struct files_ended ended = use_worker(t, 1);
	unsigned int before = 0;
	unsigned int before_here = 0;

	wait_settled(t, ended.record.stamp);
	before = count_fds(pid);
	before_here = count_fds(getpid());
	ended = use_worker(t, 3);
	wait_settled(t, ended.record.stamp);
	assert_int_equal(count_fds(pid), before);
	assert_int_equal(count_fds(getpid()), before_here);
	assert_true(before < 10);
}

static char *proc_status(struct test *t, pid_t pid, const char *key)
{
	char *path = talloc_asprintf(t, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	char line[256] = "";
	char *value = NULL;
	size_t len = strlen(key);

	assert_non_null(f);
	while (value == NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, key, len) == 0 && line[len] == ':') {
			line[strcspn(line, "\n")] = '\0';
			value = talloc_strdup(t, line + len + 2);
		}
	}
	fclose(f);
	assert_non_null(value);
	return value;
}

static void test_rights(void **p)
{
	struct test *t = *p;
	pid_t pids[2] = { t->files->parent, t->files->workers[0].pid };
	unsigned int i = 0;

	begin_path(t, make_file(t, "a"));	/* it is set up by now */
	for (i = 0; i < 2; i++) {
		/* DAC_OVERRIDE and _READ_SEARCH, FOWNER, SYS_ADMIN, LEASE */
		assert_string_equal(proc_status(t, pids[i], "CapEff"),
				    "000000001020000e");
		assert_string_equal(proc_status(t, pids[i], "CapPrm"),
				    "000000001020000e");
		assert_string_equal(proc_status(t, pids[i], "CapBnd"),
				    "000000001020000e");
		assert_string_equal(proc_status(t, pids[i], "NoNewPrivs"),
				    "1");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		if (getenv("VALGRIND_LIB") == NULL) {
			assert_string_equal(proc_status(t, pids[i],
							"Seccomp"), "2");
		}
#endif
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cancel),
		TEST(cancel_queued),
		TEST(cancelled_end),
		TEST(freed_with_requests),
		TEST(worker_killed),
		TEST(worker_dies_at_work),
		TEST(worker_dies_before_end),
		TEST(worker_stuck),
		TEST(all_stuck),
		TEST(parent_killed),
		TEST(freed),
		TEST(cavad_killed),
		TEST(leaves_nothing_open),
		TEST(rights),
	};

	return files_test_main(tests);
}
