/* includes: cavad/files.c */
/*
 * Requests that nobody waits for: when a bunch goes out and to whom, and
 * what becomes of it when the worker dies or hangs. Needs root.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <signal.h>

#include "cavad/files.c"
#include "tests/unit/files_test.h"

#define LAST (FILES_WORKERS - 1)

static unsigned int count(const struct files_jobs *jobs)
{
	const struct files_job *job = NULL;
	unsigned int n = 0;

	TAILQ_FOREACH(job, jobs, entry) {
		n++;
	}
	return n;
}

static unsigned int under_way(struct test *t, unsigned int i)
{
	return count(&t->files->workers[i].under_way);
}

static struct tevent_req *lazy_begin(struct test *t, uint64_t scan_id,
				     const char *path, unsigned int ms)
{
	struct files_begin begin = { .scan_id = scan_id, .path = path,
				     .lock = true, .lazy = ms };
	struct tevent_req *req = files_begin_send(t, t->ev, t->files, &begin);

	assert_non_null(req);
	return req;
}

static int begun_of(struct test *t, struct tevent_req *req,
		    struct files_begun *begun)
{
	int ret = 0;

	assert_true(tevent_req_poll(req, t->ev));
	ret = files_begin_recv(req, t, begun);
	talloc_free(req);
	return ret;
}

static void assert_begun(struct test *t, struct tevent_req *req)
{
	struct files_begun begun;

	assert_int_equal(begun_of(t, req, &begun), 0);
	assert_int_equal(begun.status, FILES_OK);
	assert_true(begun.leased);
}

/* Scans 1 to n, gathered. */
static void gather(struct test *t, struct tevent_req **reqs, unsigned int n,
		   unsigned int ms)
{
	unsigned int i = 0;

	for (i = 0; i < n; i++) {
		reqs[i] = lazy_begin(
			t, i + 1,
			make_file(t, talloc_asprintf(t, "f%u", i)), ms);
	}
}

static void test_full(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[FILES_BUNCH];
	unsigned int i = 0;

	gather(t, reqs, FILES_BUNCH - 1, LONG);
	turn(t);
	assert_int_equal(count(&t->files->lazy), FILES_BUNCH - 1);
	reqs[FILES_BUNCH - 1] = lazy_begin(t, FILES_BUNCH, make_file(t, "b"),
					   LONG);
	assert_int_equal(under_way(t, LAST), FILES_BUNCH);
	assert_null(t->files->gather);
	for (i = 0; i < FILES_BUNCH; i++) {
		assert_begun(t, reqs[i]);
	}
}

static void test_due(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[3];
	struct tevent_req *sooner = NULL;
	int64_t start = now_ns(CLOCK_MONOTONIC);
	unsigned int i = 0;

	gather(t, reqs, 3, LONG);
	sooner = lazy_begin(t, 4, make_file(t, "b"), 50);
	assert_begun(t, sooner);
	assert_true(now_ns(CLOCK_MONOTONIC) - start >= 50 * SECOND / 1000);
	for (i = 0; i < 3; i++) {
		assert_int_equal(scan_find(t->files, 4)->index, LAST);
		assert_begun(t, reqs[i]);
	}
	assert_true(now_ns(CLOCK_MONOTONIC) - start < LONG * SECOND / 2000);
}

static void test_raised(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[3];

	gather(t, reqs, 3, LONG);
	files_raise(t->files, 2);
	assert_int_equal(under_way(t, 0), 1);
	assert_int_equal(count(&t->files->lazy), 2);
	assert_begun(t, reqs[1]);
	files_raise(t->files, 1);
	files_raise(t->files, 3);
	assert_begun(t, reqs[0]);
	assert_begun(t, reqs[2]);
	files_raise(t->files, 1);	/* which is no longer there */
}

/* With every worker but the first one in the middle of a bunch. */
static void test_who_waits_overtakes(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[4 * FILES_BUNCH];
	unsigned int i = 0;

	for (i = 1; i < FILES_WORKERS; i++) {
		kill(t->files->workers[i].pid, SIGSTOP);
	}
	gather(t, reqs, 4 * FILES_BUNCH, 1);
	for (i = 1; i < FILES_WORKERS; i++) {
		assert_int_equal(under_way(t, i), FILES_BUNCH);
	}
	assert_int_equal(begin_path(t, make_file(t, "a")).status, FILES_OK);
	turn(t);
	assert_int_equal(under_way(t, 0), 0);
	assert_int_equal(count(&t->files->lazy), FILES_BUNCH);
	for (i = 1; i < FILES_WORKERS; i++) {
		kill(t->files->workers[i].pid, SIGCONT);
	}
	for (i = 0; i < 4 * FILES_BUNCH; i++) {
		assert_begun(t, reqs[i]);
	}
}

/* There is none but the first one. */
static void test_last_resort(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[2];
	unsigned int i = 0;

	for (i = 1; i < FILES_WORKERS; i++) {
		worker_close(&t->files->workers[i]);
	}
	gather(t, reqs, 2, 1);
	assert_begun(t, reqs[0]);
	assert_begun(t, reqs[1]);
	assert_int_equal(scan_find(t->files, 1)->index, 0);
}

static struct tevent_req *lazy_end(struct test *t, uint64_t scan_id,
				   const struct files_begun *begun)
{
	struct verdict record = verdict_of(VERDICT_CLEAN);
	struct files_end end = { .scan_id = scan_id, .ident = begun->ident,
				 .path = begun->path,
				 .before = begun->content,
				 .record = &record, .lazy = LONG };

	return files_end_send(t, t->ev, t->files, &end);
}

static void assert_ended(struct test *t, struct tevent_req *req)
{
	struct files_ended ended;

	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_end_recv(req, &ended), 0);
	assert_int_equal(ended.status, FILES_OK);
	talloc_free(req);
}

/* Ends go to who holds the file, and with begins. */
static void test_ends(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	char *b = make_file(t, "b");
	struct tevent_req *reqs[FILES_BUNCH];
	struct tevent_req *ends[2];
	struct files_begun begun[2];
	unsigned int i = 0;

	begun[0] = begin_lock(t, 101, a);
	assert_int_equal(begun_of(t, lazy_begin(t, 102, b, 1), &begun[1]), 0);
	ends[0] = lazy_end(t, 101, &begun[0]);
	ends[1] = lazy_end(t, 102, &begun[1]);
	assert_int_equal(count(&t->files->workers[0].lazy), 1);
	assert_int_equal(count(&t->files->workers[LAST].lazy), 1);
	gather(t, reqs, FILES_BUNCH - 1, LONG);
	assert_int_equal(under_way(t, LAST), FILES_BUNCH);
	assert_ended(t, ends[1]);
	assert_int_equal(state_of(b), VERDICT_STATE_CLEAN);
	for (i = 0; i < FILES_BUNCH - 1; i++) {
		assert_begun(t, reqs[i]);
	}
	assert_int_equal(count(&t->files->workers[0].lazy), 1);
	files_raise(t->files, 101);
	assert_ended(t, ends[0]);
	assert_int_equal(state_of(a), VERDICT_STATE_CLEAN);
}

/* An end has its turn though there are always some who wait. */
static void test_ends_beside_who_waits(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct tevent_req *reqs[FILES_WORKERS + 2];
	struct tevent_req *end = NULL;
	struct files_begun begun;
	unsigned int i = 0;

	assert_int_equal(begun_of(t, lazy_begin(t, 101, a, 1), &begun), 0);
	for (i = 0; i < FILES_WORKERS; i++) {
		kill(t->files->workers[i].pid, SIGSTOP);
	}
	gather(t, reqs, FILES_WORKERS, 0);
	end = lazy_end(t, 101, &begun);
	for (i = FILES_WORKERS; i < FILES_WORKERS + 2; i++) {
		reqs[i] = lazy_begin(t, i + 1, make_file(t, "more"), 0);
	}
	assert_int_equal(count(&t->files->waiting), 2);
	kill(t->files->workers[LAST].pid, SIGCONT);
	assert_ended(t, end);
	assert_int_equal(count(&t->files->waiting), 1);
	for (i = 0; i < LAST; i++) {
		kill(t->files->workers[i].pid, SIGCONT);
	}
	for (i = 0; i < FILES_WORKERS + 2; i++) {
		assert_begun(t, reqs[i]);
	}
}

/* A bunch that the last worker has, stopped: an end, and begins. */
static struct tevent_req *stop_in_bunch(struct test *t, const char *path,
					struct tevent_req **reqs)
{
	struct files_worker *w = &t->files->workers[LAST];
	struct files_begun begun;
	struct tevent_req *end = NULL;

	assert_int_equal(begun_of(t, lazy_begin(t, 101, path, 1), &begun), 0);
	kill(w->pid, SIGSTOP);
	end = lazy_end(t, 101, &begun);
	gather(t, reqs, FILES_BUNCH - 1, LONG);
	assert_int_equal(under_way(t, LAST), FILES_BUNCH);
	return end;
}

static void test_dies(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct tevent_req *reqs[FILES_BUNCH - 1];
	struct tevent_req *end = stop_in_bunch(t, a, reqs);
	unsigned int i = 0;

	TALLOC_FREE(reqs[3]);	/* of no interest any more */
	kill(t->files->workers[LAST].pid, SIGKILL);
	assert_ended(t, end);
	assert_int_equal(state_of(a), VERDICT_STATE_CLEAN);
	for (i = 0; i < FILES_BUNCH - 1; i++) {
		if (reqs[i] != NULL) {
			assert_begun(t, reqs[i]);
		}
	}
	assert_true(can_write(path_in(t, "f3")));
	assert_null(scan_find(t->files, 101));
}

/* A bunch costs nothing; what hangs again, alone, is what is lost. */
static void test_hangs(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct tevent_req *reqs[FILES_BUNCH - 1];
	struct tevent_req *end = NULL;
	struct files_begun begun;
	unsigned int i = 0;
	int ret = 0;

	t->files->stuck = 200;
	end = stop_in_bunch(t, a, reqs);
	kill(t->files->workers[1].pid, SIGSTOP);
	WAIT_FOR(t, under_way(t, LAST) == 0);
	assert_int_equal(under_way(t, 1), 1);
	assert_int_equal(under_way(t, 0), 0);	/* for those who wait */
	for (i = 0; i < FILES_BUNCH - 1; i++) {
		ret = begun_of(t, reqs[i], &begun);
		assert_int_equal(ret, 0);
	}
	/* it was the first */
	assert_true(tevent_req_poll(end, t->ev));
	assert_int_equal(files_end_recv(end, &(struct files_ended) {
		.status = FILES_OK }), ETIMEDOUT);
	talloc_free(end);
}

/* Who joined a scan of the bunch is not the last of those that are left. */
static void test_raised_under_way(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct tevent_req *reqs[FILES_BUNCH - 1];
	struct tevent_req *end = NULL;
	struct files_begun begun;
	unsigned int i = 0;

	t->files->stuck = 200;
	end = stop_in_bunch(t, a, reqs);
	for (i = 1; i < LAST; i++) {
		kill(t->files->workers[i].pid, SIGSTOP);
	}
	files_raise(t->files, FILES_BUNCH - 1);
	assert_begun(t, reqs[FILES_BUNCH - 2]);
	assert_false(TAILQ_EMPTY(&t->files->again));
	for (i = 0; i < FILES_BUNCH - 2; i++) {
		assert_true(tevent_req_poll(reqs[i], t->ev));
		(void)files_begin_recv(reqs[i], t, &begun);
		talloc_free(reqs[i]);
	}
	assert_true(tevent_req_poll(end, t->ev));
	talloc_free(end);
}

static struct files_in worker_in;

/* The test in the place of the last worker; *kept is what it had. */
static int be_worker(struct test *t, int *kept)
{
	struct files_worker *w = &t->files->workers[LAST];
	int pair[2] = { -1, -1 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair), 0);
	files_in_drop(&worker_in);
	TALLOC_FREE(w->fde);
	*kept = w->sock;
	w->sock = pair[0];
	w->fde = tevent_add_fd(t->ev, t->files, w->sock, TEVENT_FD_READ,
			       worker_readable, w);
	return pair[1];
}

static uint32_t next_id(int sock)
{
	struct files_in *in = &worker_in;
	struct buf b;
	int fd = -1;

	if (!files_in_next(in, &b, &fd)) {
		assert_int_equal(files_in_recv(in, sock, MSG_DONTWAIT), 0);
		assert_true(files_in_next(in, &b, &fd));
	}
	buf_get_u32(&b);
	return buf_get_u32(&b);
}

static struct buf reply_message(uint32_t id)
{
	static uint8_t msg[FILES_BUNCH][FILES_MSG_MAX];
	struct files_begun begun = { .status = FILES_GONE, .path = "" };
	struct buf b = files_msg_start(msg[id % FILES_BUNCH], FILES_MSG_BEGIN,
				       id);

	files_msg_put_begun(&b, &begun);
	return b;
}

static void reply_to(int sock)
{
	struct buf b = reply_message(next_id(sock));

	assert_int_equal(files_msg_send(sock, &b, -1, 0), 0);
}

/*
 * To three, in one packet, with a descriptor each. `odd` is added to the id
 * of the second one. Returns a pipe that ends when those are closed.
 */
static int reply_to_three(int sock, uint32_t odd)
{
	struct files_out out = { .count = 0 };
	struct buf b;
	int ends[2] = { -1, -1 };
	unsigned int i = 0;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	for (i = 0; i < 3; i++) {
		b = reply_message(next_id(sock) + (i == 1 ? odd : 0));
		assert_true(files_out_add(&out, b.data, b.pos, ends[1]));
	}
	assert_int_equal(files_out_send(&out, sock, 0), 0);
	close(ends[1]);
	return ends[0];
}

static void assert_closed(int end)
{
	char c = 0;

	assert_int_equal(read(end, &c, 1), 0);
	close(end);
}

static void wait_ms(struct test *t, int64_t ms)
{
	int64_t until = now_ns(CLOCK_MONOTONIC) + ms * 1000000;

	while (now_ns(CLOCK_MONOTONIC) < until) {
		turn(t);
	}
}

/* Each answer is a sign of life, and the last one is measured as alone. */
static void test_slow(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[3];
	struct files_begun begun;
	int kept = -1;
	int sock = be_worker(t, &kept);
	unsigned int i = 0;

	t->files->stuck = 400;
	gather(t, reqs, 3, 1);
	WAIT_FOR(t, under_way(t, LAST) == 3);
	for (i = 0; i < 2; i++) {
		wait_ms(t, 250);
		reply_to(sock);
		assert_int_equal(begun_of(t, reqs[i], &begun), 0);
		assert_int_equal(begun.status, FILES_GONE);
	}
	wait_ms(t, 250);
	assert_int_equal(under_way(t, LAST), 1);
	assert_int_equal(begun_of(t, reqs[2], &begun), ETIMEDOUT);
	close(sock);
	close(kept);
}

static void free_files(struct tevent_req *req)
{
	struct test *t = tevent_req_callback_data(req, struct test);

	TALLOC_FREE(t->files);
}

/* By the first answer of a bunch that is there. */
static void test_freed_within(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[3];
	int kept = -1;
	int sock = be_worker(t, &kept);
	int end = -1;

	gather(t, reqs, 3, 1);
	tevent_req_set_callback(reqs[0], free_files, t);
	WAIT_FOR(t, under_way(t, LAST) == 3);
	end = reply_to_three(sock, 0);
	WAIT_FOR(t, t->files == NULL);
	assert_true(tevent_req_is_in_progress(reqs[1]));
	talloc_free(reqs[0]);
	assert_closed(end);
	close(sock);
	close(kept);
}

/* The second answer is to nobody: that one and the third are done again. */
static void test_lost_within(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[3];
	struct files_begun begun;
	int kept = -1;
	int sock = be_worker(t, &kept);
	int end = -1;

	gather(t, reqs, 3, 1);
	WAIT_FOR(t, under_way(t, LAST) == 3);
	end = reply_to_three(sock, 1000);
	assert_int_equal(begun_of(t, reqs[0], &begun), 0);
	assert_int_equal(begun.status, FILES_GONE);
	close(begun.fd);
	assert_int_equal(t->files->workers[LAST].sock, -1);
	assert_begun(t, reqs[1]);
	assert_begun(t, reqs[2]);
	assert_closed(end);
	close(sock);
	close(kept);
}

static void test_cancelled(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[3];
	unsigned int i = 0;

	gather(t, reqs, 3, 1);
	for (i = 0; i < 3; i++) {
		talloc_free(reqs[i]);
	}
	assert_true(TAILQ_EMPTY(&t->files->lazy));
	WAIT_FOR(t, t->files->gather == NULL);
	assert_true(can_write(path_in(t, "f0")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(full),
		TEST(due),
		TEST(raised),
		TEST(who_waits_overtakes),
		TEST(last_resort),
		TEST(ends),
		TEST(ends_beside_who_waits),
		TEST(dies),
		TEST(hangs),
		TEST(raised_under_way),
		TEST(slow),
		TEST(freed_within),
		TEST(lost_within),
		TEST(cancelled),
	};

	return files_test_main(tests);
}
