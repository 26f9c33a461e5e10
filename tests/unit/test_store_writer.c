/* includes: cavad/store_writer.c */
/*
 * The writer: groups and their order, a full database, and requests or
 * stores that go away early.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <poll.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/store_test.h"
#include "cavad/store_db.h"
#include "cavad/store_private.h"

/* Commits wait for a gate that tests close, and fail when tests say so. */
static int test_db_commit(struct db_txn *t);

#define db_commit test_db_commit
#include "cavad/store_writer.c"
#undef db_commit

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static bool closed;		/* by the test */
static sem_t arrived;		/* at the gate */
static unsigned int commits;	/* under the gate */
static int commit_error;	/* under the gate; instead of committing */

static int test_db_commit(struct db_txn *t)
{
	int error;

	sem_post(&arrived);
	pthread_mutex_lock(&gate);
	commits++;
	error = commit_error;
	pthread_mutex_unlock(&gate);
	if (error != 0) {
		t->error = error;
	}
	return db_commit(t);
}

static int set_up_gate(void **p)
{
	sem_init(&arrived, 0, 0);
	commits = 0;
	commit_error = 0;
	return set_up(p);
}

static void close_gate(void)
{
	pthread_mutex_lock(&gate);
	closed = true;
}

static void open_gate(void)
{
	closed = false;
	pthread_mutex_unlock(&gate);
}

/* Of a test that failed it may be closed, and the writer waits. */
static int tear_down_gate(void **p)
{
	if (closed) {
		open_gate();
	}
	return tear_down(p);
}

/* Freed at every stage: queued, being written, written but not told. */
static void test_free_request(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	struct tevent_req *req = NULL;

	close_gate();
	req = put(t, 1);
	watch(t, put(t, 2));
	talloc_free(req);
	req = put(t, 3);
	open_gate();
	store_flush(t->store);
	talloc_free(req);
	wait_for(t, 1);
	assert_int_equal(wait_one(t, put(t, 4)), 0);
	assert_int_equal(t->ended, 2);
	assert_int_equal(get(t, 1, &got), 0);
	assert_int_equal(get(t, 3, &got), 0);
}

static void free_the_other(struct tevent_req *req)
{
	struct tevent_req **other = tevent_req_callback_data_void(req);

	TALLOC_FREE(*other);
	talloc_free(req);
}

/* A callback frees a request that has ended in the same group. */
static void test_free_in_callback(void **p)
{
	struct test *t = *p;
	struct tevent_req *first = NULL;
	struct tevent_req *second = NULL;

	close_gate();
	first = put(t, 1);
	second = put(t, 2);
	tevent_req_set_callback(first, free_the_other, &second);
	watch(t, second);
	watch(t, put(t, 3));
	open_gate();
	wait_for(t, 1);
	assert_null(second);
	assert_int_equal(t->ended, 1);
	assert_int_equal(count(t), 3);
}

static void free_the_store(struct tevent_req *req)
{
	struct test *t = tevent_req_callback_data(req, struct test);

	TALLOC_FREE(t->store);
	t->ended++;
	talloc_free(req);
}

static void test_free_store_in_callback(void **p)
{
	struct test *t = *p;
	struct tevent_req *never = NULL;
	struct tevent_req *req = NULL;

	close_gate();
	req = put(t, 1);
	assert_true(tevent_req_is_in_progress(req));
	tevent_req_set_callback(req, free_the_store, t);
	watch(t, put(t, 2));
	watch(t, put(t, 3));
	open_gate();
	store_flush(t->store);
	wait_for(t, 3);
	assert_int_equal(t->failed, 0);
	open_store(t, 64 * MEGABYTE);
	never = put(t, 4);
	TALLOC_FREE(t->store);
	talloc_free(never);
	open_store(t, 64 * MEGABYTE);
	assert_int_equal(count(t), 4);
}

/* Ends in the order in which they were sent, groups or no. */
static void test_order(void **p)
{
	enum { N = 10000 };
	struct test *t = *p;
	struct store_pending *got = NULL;
	unsigned int i;

	t->order = talloc_array(t, unsigned int, N);
	close_gate();
	for (i = 0; i < N; i++) {
		unsigned int *id = talloc(t, unsigned int);
		struct tevent_req *req = NULL;

		*id = i;
		t->pending.since = i;
		req = put(t, 7);
		watch(t, talloc_steal(id, req));
		if (i == N / 2) {	/* what waited is few groups */
			open_gate();
			store_flush(t->store);
			assert_in_range(commits, 1, N / 10);
		}
	}
	wait_for(t, N);
	for (i = 0; i < N; i++) {
		assert_int_equal(t->order[i], i);
	}
	t->order = NULL;
	assert_int_equal(get(t, 7, &got), 0);
	assert_int_equal(got->since, N - 1);
	assert_int_equal(t->failed, 0);
}

/* Reads see committed writes only, and what waits is one group. */
static void test_group(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	unsigned int i;

	close_gate();
	for (i = 0; i < 1000; i++) {
		watch(t, put(t, i));
	}
	assert_int_equal(get(t, 0, &got), ENOENT);
	open_gate();
	store_flush(t->store);
	assert_int_equal(get(t, 999, &got), 0);
	assert_int_equal(t->ended, 0);
	wait_for(t, 1000);
	assert_in_range(commits, 1, 2);
}

/* A flush waits for what the thread has already taken. */
static void test_flush(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;

	close_gate();
	watch(t, put(t, 1));
	sem_wait(&arrived);
	open_gate();
	store_flush(t->store);
	assert_int_equal(get(t, 1, &got), 0);
	store_flush(t->store);
	wait_for(t, 1);
}

static void patient_until(struct test *t, time_t ofs)
{
	struct store_writer *w = t->store->writer;

	pthread_mutex_lock(&w->lock);
	clock_gettime(CLOCK_MONOTONIC, &w->last);
	w->last.tv_sec += ofs;
	pthread_mutex_unlock(&w->lock);
}

static struct tevent_req *put_result(struct test *t)
{
	const struct verdict v = { .result = VERDICT_CLEAN };

	return store_result_put_send(t, t->ev, t->store, &t->pending.ident,
				     &v);
}

/* Those that nobody waits for go with the first that somebody does. */
static void test_patience(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;

	assert_int_equal(wait_one(t, put(t, 1)), 0);
	assert_int_equal(wait_one(t, put(t, 2)), 0);
	commits = 0;
	patient_until(t, 3600);
	watch(t, del(t, 1));
	watch(t, del(t, 2));
	assert_int_equal(poll(NULL, 0, 20), 0);
	assert_int_equal(get(t, 1, &got), 0);
	assert_false(store_is_busy(t->store));	/* all are patient */
	watch(t, put_result(t));
	assert_true(store_is_busy(t->store) || commits == 1);
	wait_for(t, 3);
	assert_int_equal(t->failed, 0);
	assert_int_equal(commits, 1);
	assert_int_equal(get(t, 2, &got), ENOENT);
	assert_false(store_is_busy(t->store));

	assert_int_equal(wait_one(t, put(t, 1)), 0);
	patient_until(t, 3600);
	watch(t, del(t, 1));
	store_flush(t->store);
	assert_int_equal(get(t, 1, &got), ENOENT);
}

/* The time is over while it waits; and at the end nothing waits. */
static void test_patience_ends(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;

	assert_int_equal(wait_one(t, put(t, 1)), 0);
	assert_int_equal(wait_one(t, put(t, 2)), 0);
	patient_until(t, 1);
	assert_int_equal(wait_one(t, del(t, 1)), 0);
	assert_int_equal(get(t, 1, &got), ENOENT);
	patient_until(t, 3600);
	watch(t, del(t, 2));
	TALLOC_FREE(t->store);
	open_store(t, 64 * MEGABYTE);
	assert_int_equal(get(t, 2, &got), ENOENT);
}

/* The disk fails: every write of the group, and none but those. */
static void test_disk_error(void **p)
{
	struct test *t = *p;

	close_gate();
	commit_error = EIO;
	open_gate();
	watch(t, put(t, 1));
	watch(t, put(t, 2));
	wait_for(t, 2);
	assert_int_equal(t->failed, 2);
	assert_int_equal(t->last, EIO);
	close_gate();
	commit_error = 0;
	open_gate();
	assert_int_equal(wait_one(t, put(t, 3)), 0);
	assert_int_equal(count(t), 1);
}

/* Puts until nothing more goes in, large ones and then small ones. */
#define FILL 600	/* of each */

static void fill(struct test *t)
{
	char *path = talloc_zero_size(t, 4001);
	unsigned int i;

	memset(path, 'x', 4000);
	t->pending.path = path;
	for (i = 0; i < 2 * FILL; i++) {
		watch(t, put(t, i));
		if (i == FILL - 1) {
			wait_for(t, FILL);
			assert_int_equal(t->last, ENOSPC);
			t->pending.path = "";
		}
	}
	wait_for(t, 2 * FILL);
	assert_int_equal(t->last, ENOSPC);
}

/*
 * Full: puts end with ENOSPC and cost nobody else anything, what was
 * committed stays, everything can be deleted, then there is room again.
 */
static void test_full(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	uint64_t kept;
	unsigned int i;

	TALLOC_FREE(t->store);
	open_store(t, MEGABYTE);
	fill(t);
	kept = count(t);
	assert_in_range(kept, 20, 2 * FILL - 20);
	assert_int_equal(t->failed, 2 * FILL - kept);
	assert_int_equal(get(t, 0, &got), 0);

	/* A delete and a failing put in one group. */
	t->pending.path = got->path;
	close_gate();
	watch(t, put(t, 10000));
	watch(t, del(t, 0));
	open_gate();
	wait_for(t, 2 * FILL + 2);
	assert_int_equal(t->failed, 2 * FILL - kept + 1);
	assert_int_equal(t->last, 0);
	assert_int_equal(get(t, 0, &got), ENOENT);

	for (i = 0; i < 2 * FILL; i++) {
		watch(t, del(t, i));
		store_flush(t->store);	/* each alone */
		wait_for(t, t->ended + 1);
		assert_int_equal(t->last, 0);
	}
	assert_int_equal(count(t), 0);
	for (i = 0; i < 20; i++) {
		assert_int_equal(wait_one(t, put(t, i)), 0);
	}
}

static void wait_stopped(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

/* Somebody copies the full database: no page that is freed can be reused. */
static void test_full_with_reader(void **p)
{
	static const char *const names[] = { "meta", NULL };
	struct test *t = *p;
	struct db *db = NULL;
	struct db_txn txn;
	char file[128];
	struct stat st;
	unsigned int i;
	pid_t pid;
	int ret;

	TALLOC_FREE(t->store);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		raise(SIGSTOP);
		ret = db_open(t, t->dir, MEGABYTE, names, 1000, &db);
		if (ret == 0) {
			db_begin(db, DB_READ, &txn);
			ret = txn.error;
		}
		raise(ret == 0 ? SIGSTOP : SIGKILL);
		_exit(0);
	}
	wait_stopped(pid);
	open_store(t, MEGABYTE);
	fill(t);
	kill(pid, SIGCONT);
	wait_stopped(pid);

	for (i = 0; i < 20; i++) {
		watch(t, del(t, i));
		store_flush(t->store);
		wait_for(t, t->ended + 1);
		assert_int_equal(t->last, 0);
	}
	assert_int_equal(wait_one(t, put(t, 10000)), ENOSPC);
	snprintf(file, sizeof(file), "%s/data.mdb", t->dir);
	assert_int_equal(stat(file, &st), 0);
	assert_in_range(st.st_size, MEGABYTE + 1, MEGABYTE + DB_RESERVE);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Another process with a larger map fills it beyond ours. */
static void test_map_resized(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	unsigned int i;
	int status = 0;
	pid_t pid;

	TALLOC_FREE(t->store);
	open_store(t, MEGABYTE);
	assert_int_equal(wait_one(t, put(t, 1)), 0);
	TALLOC_FREE(t->store);

	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Ours is not open: LMDB forbids it across a fork. */
		tevent_re_initialise(t->ev);
		open_store(t, 64 * MEGABYTE);
		raise(SIGSTOP);
		for (i = 1000; i < 3000; i++) {
			talloc_free(put(t, i));
		}
		t->pending.path = talloc_zero_size(t, 4001);
		memset((char *)t->pending.path, 'x', 4000);
		for (; i < 5000; i++) {
			talloc_free(put(t, i));
		}
		TALLOC_FREE(t->store);
		_exit(0);
	}
	wait_stopped(pid);
	open_store(t, MEGABYTE);
	assert_int_equal(get(t, 1, &got), 0);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));

	assert_int_equal(get(t, 4999, &got), 0);
	assert_int_equal(wait_one(t, put(t, 2)), 0);
	assert_int_equal(get(t, 2, &got), 0);
	assert_int_equal(count(t), 4002);
}

#define GATED(name) \
	cmocka_unit_test_setup_teardown(name, set_up_gate, tear_down_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GATED(test_free_request),
		GATED(test_free_in_callback),
		GATED(test_free_store_in_callback),
		GATED(test_order),
		GATED(test_group),
		GATED(test_flush),
		GATED(test_patience),
		GATED(test_patience_ends),
		GATED(test_disk_error),
		GATED(test_full),
		GATED(test_full_with_reader),
		GATED(test_map_resized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
