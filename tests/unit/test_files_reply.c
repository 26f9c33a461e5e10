/*
 * What a worker of the files process keeps of its replies, and until when.
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
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cavad/files_reply.h"

struct test {
	struct files_replies replies;
	struct files_in in;
	int sock;
};

static int set_up(void **result)
{
	static struct test t;
	int pair[2] = { -1, -1 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair), 0);
	/* begun with in the future: the clock has no say unless it is meant */
	t = (struct test) {
		.replies = { .sock = pair[0], .since = INT64_MAX / 2 },
		.sock = pair[1],
	};
	*result = &t;
	return 0;
}

static int tear_down(void **p)
{
	struct test *t = *p;

	close(t->replies.sock);
	close(t->sock);
	return 0;
}

static void reply(struct test *t, uint32_t id, int fd)
{
	static uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_LATER, id);

	assert_int_equal(files_reply(&t->replies, &b, fd), 0);
}

/* The id of the next one, or 0. */
static uint32_t next(struct test *t, int *fd)
{
	struct buf b;
	int ret = 0;

	while (!files_in_next(&t->in, &b, fd)) {
		ret = files_in_recv(&t->in, t->sock, MSG_DONTWAIT);
		if (ret == EAGAIN) {
			return 0;
		}
		assert_int_equal(ret, 0);
	}
	assert_int_equal(buf_get_u32(&b), FILES_MSG_LATER);
	return buf_get_u32(&b);
}

static void test_together(void **p)
{
	struct test *t = *p;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int got = -1;

	reply(t, 1, -1);
	reply(t, 2, fd);
	assert_int_equal(next(t, &got), 0);
	assert_int_equal(files_replies_send(&t->replies), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);	/* closed */
	assert_int_equal(next(t, &got), 1);
	assert_int_equal(got, -1);
	assert_int_equal(next(t, &got), 2);
	assert_int_not_equal(got, -1);
	close(got);
	assert_int_equal(files_replies_send(&t->replies), 0);
	assert_int_equal(next(t, &got), 0);
}

static void test_full(void **p)
{
	struct test *t = *p;
	uint32_t i = 0;
	int fd = -1;

	for (i = 1; i <= FILES_BUNCH; i++) {
		assert_int_equal(next(t, &fd), 0);
		reply(t, i, -1);
	}
	for (i = 1; i <= FILES_BUNCH; i++) {
		assert_int_equal(next(t, &fd), i);
	}
}

/* Any reply has room, if need be in a packet of its own. */
static void test_large(void **p)
{
	static uint8_t msg[FILES_MSG_MAX];
	struct test *t = *p;
	struct buf b = files_msg_start(msg, FILES_MSG_LATER, 2);
	int fd = -1;

	b.pos = FILES_MSG_MAX;
	reply(t, 1, open("/dev/null", O_RDONLY | O_CLOEXEC));
	assert_int_equal(files_reply(&t->replies, &b, -1), 0);
	assert_int_equal(next(t, &fd), 1);
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(next(t, &fd), 0);
	reply(t, 3, -1);
	assert_int_equal(files_replies_send(&t->replies), 0);
	assert_int_equal(next(t, &fd), 2);
	assert_int_equal(next(t, &fd), 3);
}

/* What takes its time keeps no reply that was there before. */
static void test_slow(void **p)
{
	struct test *t = *p;
	int fd = -1;

	reply(t, 1, -1);
	assert_int_equal(next(t, &fd), 0);
	t->replies.since = 0;
	reply(t, 2, -1);
	assert_int_equal(next(t, &fd), 1);
	assert_int_equal(next(t, &fd), 2);
	files_replies_began(&t->replies);
	poll(NULL, 0, 2 * FILES_REPLY_KEPT);
	reply(t, 3, -1);	/* all of that was the work for this one */
	assert_int_equal(next(t, &fd), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_together),
		TEST(test_full),
		TEST(test_large),
		TEST(test_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
