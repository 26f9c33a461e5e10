/*
 * A store in a directory of its own, and requests that are waited for.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_UNIT_STORE_TEST_H
#define TESTS_UNIT_STORE_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cavad/store.h"

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

static inline void open_store(struct test *t, uint64_t size)
{
	int ret;

	ret = store_open(t, t->ev, t->dir, size, &t->store);
	assert_int_equal(ret, 0);
}

static inline int set_up(void **p)
{
	struct test *t = talloc_zero(NULL, struct test);

	strcpy(t->dir, "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->ev = tevent_context_init(t);
	assert_non_null(t->ev);
	t->pending = (struct store_pending) {
		.kind = 1, .since = 5, .path = "/srv/a", .user = "DOM\\u",
		.client = "10.0.0.1",
	};
	t->pending.ident.fsid = 1;
	t->pending.ident.ino = 2;
	open_store(t, 64 * MEGABYTE);
	*p = t;
	return 0;
}

static inline int tear_down(void **p)
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

static inline void write_ended(struct tevent_req *req)
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

static inline void watch(struct test *t, struct tevent_req *req)
{
	assert_non_null(req);
	tevent_req_set_callback(req, write_ended, t);
}

/* Runs the loop until `n` requests have ended. */
static inline void wait_for(struct test *t, unsigned int n)
{
	while (t->ended < n) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
}

/* The error of this one request. */
static inline int wait_one(struct test *t, struct tevent_req *req)
{
	watch(t, req);
	wait_for(t, t->ended + 1);
	return t->last;
}

static inline struct tevent_req *put(struct test *t, uint64_t ino)
{
	t->pending.ident.ino = ino;
	return store_pending_put_send(t, t->ev, t->store, &t->pending);
}

static inline struct tevent_req *del(struct test *t, uint64_t ino)
{
	t->pending.ident.ino = ino;
	return store_pending_del_send(t, t->ev, t->store, &t->pending.ident);
}

static inline int get(struct test *t, uint64_t ino, struct store_pending **p)
{
	t->pending.ident.ino = ino;
	return store_pending_get(t->store, t, &t->pending.ident, p);
}

static inline uint64_t count(struct test *t)
{
	uint64_t n = 0;
	int ret;

	ret = store_pending_count(t->store, &n, NULL);
	assert_int_equal(ret, 0);
	return n;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
