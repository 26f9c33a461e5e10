/*
 * What the tests of the client share: a caller, and a cavad that the test
 * plays. Each connection is a pair of SOCK_SEQPACKET sockets, one end of
 * which is the test's.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_CLIENT_TEST_H
#define TESTS_CLIENT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/client_private.h"

#define LONG 10000		/* ms that anything may take at most */
#define PEERS 64
#define SPOOLED 4096

struct test {
	struct tevent_context *ev;
	struct client *client;
	bool away;		/* cavad */
	int peers[PEERS];	/* its ends */
	int count;
	void (*on_connect)(struct test *t, int fd);
	unsigned int spooled;
	uint64_t seq[SPOOLED];	/* of what was spooled */
	char *path;		/* of the last */
	unsigned int up;
	unsigned int down;
	int error;
	unsigned int configs;
	struct filter filter;
};

/* --- the caller of the client --- */

static inline int test_connect(void *private_data)
{
	struct test *t = private_data;
	int pair[2] = { -1, -1 };
	int ret = 0;

	if (t->away) {
		errno = ECONNREFUSED;
		return -1;
	}
	ret = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
			 SOCK_CLOEXEC, 0, pair);
	assert_int_equal(ret, 0);
	assert_true(t->count < PEERS);
	t->peers[t->count++] = pair[1];
	if (t->on_connect != NULL) {
		t->on_connect(t, pair[1]);
	}
	return pair[0];
}

static inline int test_spool(void *private_data, const uint8_t *msg, size_t len)
{
	struct test *t = private_data;
	struct proto_message m;

	assert_int_equal(proto_decode(msg, len, &m), 0);
	assert_int_equal(m.number, PROTO_NOTICE);
	assert_true(t->spooled < SPOOLED);
	t->seq[t->spooled++] = m.u.notice.seq;
	TALLOC_FREE(t->path);
	t->path = talloc_strdup(t, m.u.notice.path);
	return 0;
}

static inline void test_config(void *private_data, const struct filter *filter)
{
	struct test *t = private_data;

	t->configs++;
	t->filter = *filter;
}

static inline void test_state(void *private_data, bool up, int error)
{
	struct test *t = private_data;

	t->up += up;
	t->down += !up;
	t->error = error;
}

static const struct client_ops test_ops = {
	.connect = test_connect,
	.spool = test_spool,
	.config = test_config,
	.state = test_state,
};

static const struct proto_hello test_hello = {
	.pid = 4711, .share = "docs", .zone = "z", .root = "/srv",
	.client = "192.0.2.2",
};

static inline int set_up(void **p)
{
	struct test *t = talloc_zero(NULL, struct test);

	t->ev = tevent_context_init(t);
	assert_non_null(t->ev);
	t->client = client_create(t, t->ev, &test_ops, t, &test_hello);
	assert_non_null(t->client);
	*p = t;
	return 0;
}

static inline int tear_down(void **p)
{
	struct test *t = *p;

	TALLOC_FREE(t->client);
	while (t->count > 0) {
		t->count--;
		close(t->peers[t->count]);
	}
	talloc_free(t);
	return 0;
}

/* --- the loop --- */

static inline void tick(struct tevent_context *ev, struct tevent_timer *te,
		 struct timeval now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	*(bool *)private_data = true;
}

static inline void turn(struct test *t)
{
	bool over = false;
	struct tevent_timer *te = tevent_add_timer(
		t->ev, t, tevent_timeval_current_ofs(0, 10000), tick, &over);

	tevent_loop_once(t->ev);
	if (!over) {
		talloc_free(te);
	}
}

#define WAIT_FOR(t, condition) do { \
	int64_t until_ = client_now() + LONG; \
	while (!(condition)) { \
		assert_true(client_now() < until_); \
		turn(t); \
	} \
} while (0)

/* Everything that is there has been handled. */
static inline void settle(struct test *t)
{
	int i;

	for (i = 0; i < 5; i++) {
		turn(t);
	}
}

/* --- cavad --- */

static inline void say(int fd, const struct proto_message *m)
{
	uint8_t msg[PROTO_MAX];
	size_t len = proto_encode(m, msg);

	assert_int_not_equal(len, 0);
	assert_int_equal(send(fd, msg, len, MSG_NOSIGNAL), len);
}

static inline void say_config(int fd, uint32_t timeout)
{
	struct proto_message m = {
		.number = PROTO_CONFIG, .u.config.filter = FILTER_DEFAULT,
	};

	m.u.config.filter.scan_timeout = timeout;
	say(fd, &m);
}

static inline void say_answer(int fd, uint64_t id, uint8_t result)
{
	say(fd, &(struct proto_message) {
		.number = PROTO_ANSWER,
		.u.answer = { .id = id, .result = result, .threat = "Eicar",
			      .server = "av", .content.size = 68 },
	});
}

static inline void say_ack(int fd, uint64_t seq)
{
	say(fd, &(struct proto_message) { .number = PROTO_ACK,
					  .u.ack.seq = seq });
}

/* The next message or false; its strings live until the next call. */
static inline bool heard(int fd, struct proto_message *m)
{
	static uint8_t msg[PROTO_MAX];
	ssize_t n = recv(fd, msg, sizeof(msg), MSG_DONTWAIT);

	if (n <= 0) {
		return false;
	}
	assert_int_equal(proto_decode(msg, (size_t)n, m), 0);
	return true;
}

/* The next one must be there, and be this. */
static inline struct proto_message hear(int fd, enum proto_number number)
{
	struct proto_message m;

	assert_true(heard(fd, &m));
	assert_int_equal(m.number, number);
	return m;
}

static inline void hear_nothing(int fd)
{
	struct proto_message m;

	assert_false(heard(fd, &m));
}

static inline void hang_up(struct test *t)
{
	int i = t->count - 1;

	close(t->peers[i]);
	t->peers[i] = -1;
}

/* A connection that has begun; cavad's end. */
static inline int begin(struct test *t)
{
	int fd = -1;

	assert_int_equal(client_connect(t->client), 0);
	fd = t->peers[t->count - 1];
	(void)hear(fd, PROTO_HELLO);
	say_config(fd, 1);
	settle(t);
	return fd;
}

/* --- questions --- */

struct asked {
	struct tevent_req *req;
	bool ended;
	int ret;
	struct proto_answer answer;
	struct client **frees;	/* in its callback */
};

static inline void ask_ended(struct tevent_req *req)
{
	struct asked *a = tevent_req_callback_data_void(req);

	a->ret = client_ask_recv(req, a->req, &a->answer);
	a->ended = true;
	if (a->frees != NULL) {
		TALLOC_FREE(*a->frees);
	}
}

static inline void ask(struct test *t, struct asked *a, uint32_t wait_ms)
{
	const struct proto_ask question = {
		.wait_ms = wait_ms, .path = "/srv/f", .user = "u",
		.client = "c",
	};

	*a = (struct asked) { .ret = -1 };
	a->req = client_ask_send(t, t->ev, t->client, &question);
	assert_non_null(a->req);
	tevent_req_set_callback(a->req, ask_ended, a);
}

static inline int note(struct test *t, const char *path)
{
	const struct proto_notice notice = {
		.kind = PROTO_KIND_CLOSE, .path = path, .user = "u",
	};

	return client_notice(t->client, &notice);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
