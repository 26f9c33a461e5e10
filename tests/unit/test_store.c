/*
 * The database: what comes back from it, and what is refused.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <dirent.h>
#include <fcntl.h>

#include "cavad/store_db.h"
#include "common/buf.h"
#include "tests/unit/store_test.h"

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
	char *none = talloc_asprintf(t, "%s/none", t->dir);
	struct store *s = NULL;

	assert_non_null(none);
	put_raw(t, 0, key, (struct db_bytes) { "\2\0\0\0", 4 });
	assert_int_equal(store_open(t, t->ev, t->dir, MEGABYTE, &s),
			 EPROTONOSUPPORT);
	put_raw(t, 0, key, (struct db_bytes) { "\1\0\0\0later", 9 });
	assert_int_equal(store_open(t, t->ev, t->dir, MEGABYTE, &s), 0);
	TALLOC_FREE(s);
	put_raw(t, 0, key, (struct db_bytes) { "\1", 1 });
	assert_int_equal(store_open(t, t->ev, t->dir, MEGABYTE, &s), EBADMSG);
	assert_null(s);
	assert_int_equal(store_open(t, t->ev, none, MEGABYTE, &s), ENOENT);
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
		TEST(test_cloexec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
