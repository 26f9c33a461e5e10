/* includes: cavad/store_writer.c */
/*
 * The database: what comes back, in which order, when it is full, and when
 * requests or the store go away early.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cavad/store.h"
#include "cavad/store_db.h"

/* Commits wait for a gate that tests close, and fail when tests say so. */
static int test_db_commit(struct db_txn *t);

#define db_commit test_db_commit
#include "cavad/store_writer.c"
#undef db_commit

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
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

#define MEGABYTE (1ULL << 20)

struct test {
	char dir[64];
	struct tevent_context *ev;
	struct store *store;
	struct store_pending pending;
	unsigned int ended;	/* requests */
	unsigned int failed;	/* of those */
	int last;		/* error of the last one */
	unsigned int *order;	/* optional: ids as they ended */
};

static void open_store(struct test *t, uint64_t size)
{
	int ret;

	ret = store_open(t, t->ev, t->dir, size, &t->store);
	assert_int_equal(ret, 0);
}

static int set_up(void **p)
{
	struct test *t = talloc_zero(NULL, struct test);

	strcpy(t->dir, "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->ev = tevent_context_init(t);
	t->pending = (struct store_pending) {
		.kind = 1, .since = 5, .path = "/srv/a", .user = "DOM\\u",
		.client = "10.0.0.1",
	};
	t->pending.ident.fsid = 1;
	t->pending.ident.ino = 2;
	sem_init(&arrived, 0, 0);
	open_store(t, 64 * MEGABYTE);
	commits = 0;
	commit_error = 0;
	*p = t;
	return 0;
}

static int tear_down(void **p)
{
	struct test *t = *p;
	char path[128];

	TALLOC_FREE(t->store);
	snprintf(path, sizeof(path), "%s/data.mdb", t->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock.mdb", t->dir);
	unlink(path);
	assert_int_equal(rmdir(t->dir), 0);
	talloc_free(t);
	return 0;
}

static void write_ended(struct tevent_req *req)
{
	struct test *t = tevent_req_callback_data(req, struct test);

	t->last = store_write_recv(req);
	t->failed += t->last != 0;
	if (t->order != NULL) {
		t->order[t->ended] = *(unsigned int *)talloc_parent(req);
	}
	t->ended++;
	talloc_free(req);
}

static void watch(struct test *t, struct tevent_req *req)
{
	assert_non_null(req);
	tevent_req_set_callback(req, write_ended, t);
}

/* Runs the loop until `n` requests have ended. */
static void wait_for(struct test *t, unsigned int n)
{
	while (t->ended < n) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
}

/* The error of this one request. */
static int wait_one(struct test *t, struct tevent_req *req)
{
	watch(t, req);
	wait_for(t, t->ended + 1);
	return t->last;
}

static struct tevent_req *put(struct test *t, uint64_t ino)
{
	t->pending.ident.ino = ino;
	return store_pending_put_send(t, t->ev, t->store, &t->pending);
}

static struct tevent_req *del(struct test *t, uint64_t ino)
{
	t->pending.ident.ino = ino;
	return store_pending_del_send(t, t->ev, t->store, &t->pending.ident);
}

static int get(struct test *t, uint64_t ino, struct store_pending **p)
{
	t->pending.ident.ino = ino;
	return store_pending_get(t->store, t, &t->pending.ident, p);
}

static uint64_t count(struct test *t)
{
	uint64_t n = 0;
	int ret;

	ret = store_pending_count(t->store, &n);
	assert_int_equal(ret, 0);
	return n;
}

static void test_pending(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	struct ident *id = &t->pending.ident;
	int ret;

	id->btime = 77;
	id->handle_type = 1;
	id->handle_len = 3;
	memcpy(id->handle, "abc", 3);
	assert_int_equal(get(t, 2, &got), ENOENT);
	assert_int_equal(wait_one(t, put(t, 2)), 0);
	assert_int_equal(get(t, 2, &got), 0);
	assert_int_equal(got->kind, 1);
	assert_int_equal(got->since, 5);
	assert_true(ident_equal(&got->ident, id));
	assert_int_equal(got->ident.handle_len, 3);
	assert_memory_equal(got->ident.handle, "abc", 3);
	assert_string_equal(got->path, "/srv/a");
	assert_string_equal(got->user, "DOM\\u");
	assert_string_equal(got->client, "10.0.0.1");

	/* Another stream is another file. */
	strcpy(id->stream, "s");
	assert_int_equal(get(t, 2, &got), ENOENT);
	assert_int_equal(wait_one(t, put(t, 2)), 0);
	id->stream[0] = '\0';
	assert_int_equal(count(t), 2);

	/* Again replaces; twice deleted does no harm. */
	t->pending.kind = 2;
	t->pending.path = "";
	assert_int_equal(wait_one(t, put(t, 2)), 0);
	assert_int_equal(get(t, 2, &got), 0);
	assert_int_equal(got->kind, 2);
	assert_string_equal(got->path, "");
	assert_int_equal(wait_one(t, del(t, 2)), 0);
	assert_int_equal(get(t, 2, &got), ENOENT);
	assert_int_equal(wait_one(t, del(t, 2)), 0);
	assert_int_equal(count(t), 1);

	/* What is too long is refused, not cut. */
	t->pending.path = talloc_zero_size(t, 40000);
	memset((char *)t->pending.path, 'x', 39999);
	ret = wait_one(t, put(t, 2));
	assert_int_equal(ret, EMSGSIZE);
	assert_int_equal(get(t, 2, &got), ENOENT);
}

/* The longest of everything that the wire can carry fits. */
static void test_longest(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	char *text = talloc_zero_size(t, 4201);

	memset(text, 'x', 4200);
	t->pending.path = t->pending.user = t->pending.client = text;
	memset(t->pending.ident.stream, 's', IDENT_STREAM_MAX - 1);
	t->pending.ident.handle_len = IDENT_HANDLE_MAX;
	assert_int_equal(wait_one(t, put(t, 2)), 0);
	assert_int_equal(get(t, 2, &got), 0);
	assert_string_equal(got->client, text);
}

static void test_result(void **p)
{
	struct test *t = *p;
	struct verdict v = {
		.result = VERDICT_INFECTED, .stamp = 9, .scan_time = 10,
		.signature_time = 11, .engine = "e", .threat = "Eicar",
		.server = "s",
		.content = { .size = 1, .mtime = 2, .ctime = 3 },
	};
	struct verdict got;
	struct ident *id = &t->pending.ident;
	int ret;

	assert_int_equal(store_result_get(t->store, id, &got), ENOENT);
	ret = wait_one(t, store_result_put_send(t, t->ev, t->store, id, &v));
	assert_int_equal(ret, 0);
	assert_int_equal(store_result_get(t->store, id, &got), 0);
	assert_int_equal(got.result, VERDICT_INFECTED);
	assert_true(content_equal(&got.content, &v.content));
	assert_int_equal(got.content.ctime, 3);
	assert_int_equal(got.stamp, 9);
	assert_int_equal(got.signature_time, 11);
	assert_string_equal(got.threat, "Eicar");
	assert_int_equal(count(t), 0);
}

static void test_meta(void **p)
{
	struct test *t = *p;
	char *value = NULL;
	int ret;

	assert_int_equal(store_meta_get(t->store, t, "cluster_id", &value),
			 ENOENT);
	ret = wait_one(t, store_meta_put_send(t, t->ev, t->store,
					      "cluster_id", "abc"));
	assert_int_equal(ret, 0);
	ret = store_meta_get(t->store, t, "cluster_id", &value);
	assert_int_equal(ret, 0);
	assert_string_equal(value, "abc");
	ret = wait_one(t, store_meta_put_send(t, t->ev, t->store, "version",
					      "2"));
	assert_int_equal(ret, EINVAL);
	ret = wait_one(t, store_meta_put_send(t, t->ev, t->store, "", "2"));
	assert_int_equal(ret, EINVAL);
}

static void test_avvendor(void **p)
{
	struct test *t = *p;
	struct store_account *list = NULL;
	char *longest = talloc_zero_size(t, 513);
	int ret;

	ret = store_avvendor_list(t->store, t, &list);
	assert_int_equal(ret, 0);
	assert_null(list[0].name);
	watch(t, store_avvendor_put_send(t, t->ev, t->store, "DOM\\b", 2));
	watch(t, store_avvendor_put_send(t, t->ev, t->store, "DOM\\a", 1));
	watch(t, store_avvendor_put_send(t, t->ev, t->store, "DOM\\b", 3));
	wait_for(t, 3);
	assert_int_equal(t->failed, 0);
	ret = store_avvendor_list(t->store, t, &list);
	assert_int_equal(ret, 0);
	assert_string_equal(list[0].name, "DOM\\a");
	assert_int_equal(list[0].added, 1);
	assert_string_equal(list[1].name, "DOM\\b");
	assert_int_equal(list[1].added, 3);
	assert_null(list[2].name);

	ret = wait_one(t, store_avvendor_del_send(t, t->ev, t->store,
						  "DOM\\a"));
	assert_int_equal(ret, 0);
	ret = wait_one(t, store_avvendor_del_send(t, t->ev, t->store,
						  "DOM\\a"));
	assert_int_equal(ret, ENOENT);
	memset(longest, 'x', 511);
	ret = wait_one(t, store_avvendor_put_send(t, t->ev, t->store, longest,
						  1));
	assert_int_equal(ret, 0);
	longest[511] = 'x';
	ret = wait_one(t, store_avvendor_put_send(t, t->ev, t->store, longest,
						  1));
	assert_int_equal(ret, ENAMETOOLONG);
	ret = wait_one(t, store_avvendor_put_send(t, t->ev, t->store, "", 1));
	assert_int_equal(ret, EINVAL);
}

/* Pages of 3 in key order, each starting behind the last. */
static void test_list(void **p)
{
	struct test *t = *p;
	struct store_pending **list = NULL;
	const struct ident *after = NULL;
	uint64_t expect = 1;
	unsigned int i;
	int ret;

	for (i = 10; i >= 1; i--) {
		watch(t, put(t, i == 10 ? 0x100 : i));
	}
	wait_for(t, 10);
	while (true) {
		ret = store_pending_list(t->store, t, after, 3, &list);
		assert_int_equal(ret, 0);
		if (list[0] == NULL) {
			break;
		}
		for (i = 0; list[i] != NULL; i++) {
			assert_int_equal(list[i]->ident.ino, expect);
			expect = expect == 9 ? 0x100 : expect + 1;
			after = &list[i]->ident;
		}
		assert_in_range(i, 1, 3);
	}
	assert_int_equal(expect, 0x101);

	/* Behind one that is gone; and none at all. */
	assert_int_equal(wait_one(t, del(t, 4)), 0);
	t->pending.ident.ino = 4;
	ret = store_pending_list(t->store, t, &t->pending.ident, 1, &list);
	assert_int_equal(ret, 0);
	assert_int_equal(list[0]->ident.ino, 5);
	assert_null(list[1]);
	ret = store_pending_list(t->store, t, NULL, 0, &list);
	assert_int_equal(ret, 0);
	assert_null(list[0]);
}

/* Raw bytes into a table, as another version would have put them. */
static void put_raw(struct test *t, unsigned int table, struct db_bytes key,
		    struct db_bytes value)
{
	static const char *const names[] = { "meta", "pending", "result",
					     "avvendor", NULL };
	struct db *db = NULL;
	struct db_txn txn;
	int ret;

	TALLOC_FREE(t->store);
	ret = db_open(t, t->dir, 64 * MEGABYTE, names, 1000, &db);
	assert_int_equal(ret, 0);
	db_begin(db, DB_WRITE, &txn);
	db_put(&txn, table, key, value);
	ret = db_commit(&txn);
	assert_int_equal(ret, 0);
	talloc_free(db);
}

/*
 * The bytes of store.c's example, with fields of a later version behind,
 * are read; records that do not parse hide none behind them.
 */
static void test_format(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	struct store_pending **list = NULL;
	uint8_t key[IDENT_KEY_MAX];
	uint8_t value[2048];
	struct buf b = buf_writer(value, sizeof(value));
	struct ident id = { .fsid = 1, .ino = 2 };
	size_t len;
	int ret;

	buf_put_bytes(&b, "\x01" "\x01\0\0\0\0\0\0\0", 9);
	ident_put(&b, &id);
	buf_put_bytes(&b, "\4\0/s/a\0" "\1\0u\0" "\1\0c\0" "later", 20);
	len = ident_key(&id, key);
	put_raw(t, 1, (struct db_bytes) { key, len },
		(struct db_bytes) { value, b.pos });
	id.ino = 1;
	ident_key(&id, key);
	put_raw(t, 1, (struct db_bytes) { key, len },
		(struct db_bytes) { value, 12 });
	open_store(t, 64 * MEGABYTE);

	assert_int_equal(get(t, 1, &got), EBADMSG);
	assert_int_equal(get(t, 2, &got), 0);
	assert_int_equal(got->kind, 1);
	assert_int_equal(got->since, 1);
	assert_string_equal(got->path, "/s/a");
	assert_string_equal(got->user, "u");
	assert_string_equal(got->client, "c");
	ret = store_pending_list(t->store, t, NULL, 1, &list);
	assert_int_equal(ret, 0);
	assert_int_equal(list[0]->ident.ino, 2);
}

static void test_version(void **p)
{
	struct test *t = *p;
	static const struct db_bytes key = { "version", 7 };
	struct store *s = NULL;

	put_raw(t, 0, key, (struct db_bytes) { "\2\0\0\0", 4 });
	assert_int_equal(store_open(t, t->ev, t->dir, MEGABYTE, &s),
			 EPROTONOSUPPORT);
	put_raw(t, 0, key, (struct db_bytes) { "\1\0\0\0later", 9 });
	assert_int_equal(store_open(t, t->ev, t->dir, MEGABYTE, &s), 0);
	TALLOC_FREE(s);
	put_raw(t, 0, key, (struct db_bytes) { "\1", 1 });
	assert_int_equal(store_open(t, t->ev, t->dir, MEGABYTE, &s), EBADMSG);
	assert_null(s);
	assert_int_equal(store_open(t, t->ev, "/nonexistent", MEGABYTE, &s),
			 ENOENT);
}

static void test_version_zero(void **p)
{
	struct test *t = *p;
	static const struct db_bytes key = { "version", 7 };
	struct store *s = NULL;

	put_raw(t, 0, key, (struct db_bytes) { "\0\0\0\0", 4 });
	assert_int_equal(store_open(t, t->ev, t->dir, MEGABYTE, &s), EBADMSG);
}

/* What was sent is there after a close and an open, requests or no. */
static void test_survives(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		watch(t, put(t, i));
	}
	for (; i < 100; i++) {
		talloc_free(put(t, i));
	}
	TALLOC_FREE(t->store);
	open_store(t, 64 * MEGABYTE);
	assert_int_equal(count(t), 100);
	assert_int_equal(get(t, 99, &got), 0);
	assert_int_equal(t->ended, 0);
}

/* Freed at every stage: queued, being written, written but not told. */
static void test_free_request(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	struct tevent_req *req = NULL;

	pthread_mutex_lock(&gate);
	req = put(t, 1);
	watch(t, put(t, 2));
	talloc_free(req);
	req = put(t, 3);
	pthread_mutex_unlock(&gate);
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

	pthread_mutex_lock(&gate);
	first = put(t, 1);
	second = put(t, 2);
	tevent_req_set_callback(first, free_the_other, &second);
	watch(t, second);
	watch(t, put(t, 3));
	pthread_mutex_unlock(&gate);
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

	pthread_mutex_lock(&gate);
	req = put(t, 1);
	tevent_req_set_callback(req, free_the_store, t);
	watch(t, put(t, 2));
	watch(t, put(t, 3));
	pthread_mutex_unlock(&gate);
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
	for (i = 0; i < N; i++) {
		unsigned int *id = talloc(t, unsigned int);
		struct tevent_req *req = NULL;

		*id = i;
		t->pending.since = i;
		req = put(t, 7);
		watch(t, talloc_steal(id, req));
	}
	wait_for(t, N);
	for (i = 0; i < N; i++) {
		assert_int_equal(t->order[i], i);
	}
	t->order = NULL;
	assert_int_equal(get(t, 7, &got), 0);
	assert_int_equal(got->since, N - 1);
	assert_int_equal(t->failed, 0);
	/* Groups: far fewer commits than writes. */
	assert_in_range(commits, 1, N / 10);
}

/* Reads see committed writes only, and what waits is one group. */
static void test_group(void **p)
{
	struct test *t = *p;
	struct store_pending *got = NULL;
	unsigned int i;

	pthread_mutex_lock(&gate);
	for (i = 0; i < 1000; i++) {
		watch(t, put(t, i));
	}
	assert_int_equal(get(t, 0, &got), ENOENT);
	pthread_mutex_unlock(&gate);
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

	pthread_mutex_lock(&gate);
	watch(t, put(t, 1));
	sem_wait(&arrived);
	pthread_mutex_unlock(&gate);
	store_flush(t->store);
	assert_int_equal(get(t, 1, &got), 0);
	store_flush(t->store);
	wait_for(t, 1);
}

/* The disk fails: every write of the group, and none but those. */
static void test_disk_error(void **p)
{
	struct test *t = *p;

	pthread_mutex_lock(&gate);
	commit_error = EIO;
	pthread_mutex_unlock(&gate);
	watch(t, put(t, 1));
	watch(t, put(t, 2));
	wait_for(t, 2);
	assert_int_equal(t->failed, 2);
	assert_int_equal(t->last, EIO);
	pthread_mutex_lock(&gate);
	commit_error = 0;
	pthread_mutex_unlock(&gate);
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
	pthread_mutex_lock(&gate);
	watch(t, put(t, 10000));
	watch(t, del(t, 0));
	pthread_mutex_unlock(&gate);
	wait_for(t, 2 * FILL + 2);
	assert_int_equal(t->failed, 2 * FILL - kept + 1);
	assert_int_equal(t->last, 0);
	assert_int_equal(get(t, 0, &got), ENOENT);

	for (i = 0; i < 2 * FILL; i++) {
		assert_int_equal(wait_one(t, del(t, i)), 0);
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
		assert_int_equal(wait_one(t, del(t, i)), 0);
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

/* No child that execs inherits the database. */
static void test_cloexec(void **p)
{
	struct test *t = *p;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry = NULL;
	unsigned int seen = 0;
	char target[256];
	ssize_t len;
	int fd;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		len = readlinkat(dirfd(dir), entry->d_name, target,
				 sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		if (strncmp(target, t->dir, strlen(t->dir)) == 0) {
			fd = atoi(entry->d_name);
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
			seen++;
		}
	}
	closedir(dir);
	assert_in_range(seen, 2, 3);	/* data, its sync twin, lock */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pending),
		TEST(test_longest),
		TEST(test_result),
		TEST(test_meta),
		TEST(test_avvendor),
		TEST(test_list),
		TEST(test_format),
		TEST(test_version),
		TEST(test_version_zero),
		TEST(test_survives),
		TEST(test_free_request),
		TEST(test_free_in_callback),
		TEST(test_free_store_in_callback),
		TEST(test_order),
		TEST(test_group),
		TEST(test_flush),
		TEST(test_disk_error),
		TEST(test_full),
		TEST(test_full_with_reader),
		TEST(test_map_resized),
		TEST(test_cloexec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
