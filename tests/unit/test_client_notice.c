/*
 * The mailbox, from smbd's side: what goes there and what does not, the bell,
 * the order, and that each end of a connection spools what it must. Notices
 * without one: test_client.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/client_test.h"

#include <poll.h>

/* HELLO, and the mailbox that it brings. */
static int hear_hello(int fd)
{
	uint8_t msg[PROTO_MAX];
	union {
		struct cmsghdr header;
		uint8_t data[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(msg) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control.data,
			    .msg_controllen = sizeof(control.data) };
	struct proto_message hello;
	struct cmsghdr *c = NULL;
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	int box = -1;

	assert_true(n > 0);
	assert_int_equal(proto_decode(msg, (size_t)n, &hello), 0);
	assert_int_equal(hello.number, PROTO_HELLO);
	c = CMSG_FIRSTHDR(&m);
	assert_non_null(c);
	assert_int_equal(c->cmsg_type, SCM_RIGHTS);
	memcpy(&box, CMSG_DATA(c), sizeof(box));
	return box;
}

static void say_mailbox(int fd, bool mailbox)
{
	say(fd, &(struct proto_message) {
		.number = PROTO_CONFIG,
		.u.config = { .mailbox = mailbox,
			      .filter = FILTER_DEFAULT },
	});
}

/* cavad's ends of a connection with a mailbox. */
static int begin_with(struct test *t, int *box)
{
	int fd = -1;

	assert_int_equal(client_connect(t->client), 0);
	fd = t->peers[t->count - 1];
	*box = hear_hello(fd);
	say_mailbox(fd, true);
	WAIT_FOR(t, t->client->box_taken);
	return fd;
}

static uint64_t hear_notice(int fd)
{
	return hear(fd, PROTO_NOTICE).u.notice.seq;
}

static void turn_to_the_bell(struct test *t)
{
	WAIT_FOR(t, !tick_is_set(t->client->bell));
}

/* In the kernel at once, and nobody is told before the bell: then once. */
static void test_bell(void **p)
{
	struct test *t = *p;
	int box = -1;
	int fd = begin_with(t, &box);
	int64_t began = client_now();

	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(note(t, "/b"), 0);
	assert_int_equal(hear_notice(box), 1);
	hear_nothing(fd);
	assert_int_equal(note(t, "/c"), 0);
	turn_to_the_bell(t);
	assert_true(client_now() - began >= 99);
	assert_int_equal(hear(fd, PROTO_RING).u.ring.seq, 3);
	hear_nothing(fd);
	assert_int_equal(hear_notice(box), 2);
	assert_int_equal(hear_notice(box), 3);

	/* ACKs are looked at with the next bell */
	say_ack(box, 2);
	settle(t);
	assert_int_equal(t->client->unacked.count, 3);
	assert_int_equal(note(t, "/d"), 0);
	turn_to_the_bell(t);
	assert_int_equal(t->client->unacked.count, 2);
	assert_int_equal(hear(fd, PROTO_RING).u.ring.seq, 4);
	TALLOC_FREE(t->client);
	assert_int_equal(t->spooled, 2);
	assert_int_equal(t->seq[0], 3);
	close(box);
}

/* What is sent on the connection says it as well. */
static void test_no_bell_behind_a_message(void **p)
{
	const struct proto_ask question = { .wait_ms = 10, .path = "/a" };
	struct test *t = *p;
	int box = -1;
	int fd = begin_with(t, &box);
	struct proto_answer answer;

	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(client_ask_sync(t->client, t, &question, &answer),
			 ETIMEDOUT);
	(void)hear(fd, PROTO_ASK);
	(void)hear(fd, PROTO_CANCEL);
	turn_to_the_bell(t);
	hear_nothing(fd);
	/* but not what came after it */
	assert_int_equal(note(t, "/b"), 0);
	turn_to_the_bell(t);
	assert_int_equal(hear(fd, PROTO_RING).u.ring.seq, 2);
	close(box);
}

/*
 * No room: by the connection, and so do the next ones, until it is known that
 * cavad has come past that. Before, it is rung for.
 */
static void test_full(void **p)
{
	struct test *t = *p;
	int box = -1;
	int fd = begin_with(t, &box);
	uint64_t last = 0;
	uint64_t seq = 0;
	unsigned int rings = 0;
	struct proto_message m = { .number = PROTO_ACK };
	struct pollfd room = { .fd = fd, .events = POLLIN };
	bool full = false;

	do {
		assert_int_equal(note(t, "/a"), 0);
		last++;
		assert_true(last < 1000);
		full = poll(&room, 1, 0) == 1 && heard(fd, &m) &&
			m.number == PROTO_NOTICE;
		if (m.number == PROTO_RING && m.u.ring.seq == last) {
			rings++;
		}
	} while (!full);
	assert_true(last > 64 && rings > 1);
	assert_int_equal(m.u.notice.seq, last);
	for (seq = 1; seq < last; seq++) {
		assert_int_equal(hear_notice(box), seq);
	}
	hear_nothing(box);
	say_ack(box, last - 1);
	assert_int_equal(note(t, "/b"), 0);
	assert_int_equal(hear_notice(fd), last + 1);
	hear_nothing(box);
	say_ack(box, last + 1);
	assert_int_equal(note(t, "/c"), 0);
	assert_int_equal(hear_notice(box), last + 2);
	hear_nothing(fd);
	assert_int_equal(t->client->unacked.count, 1);
	assert_int_equal(t->spooled, 0);
	close(box);
}

/* It is rung for when there is room, however long paths are. */
static void test_half_full(void **p)
{
	const size_t lengths[] = { 2, 200, 900, 2500, 4000 };
	struct test *t = *p;
	int box = -1;
	int fd = begin_with(t, &box);
	struct pollfd said = { .fd = fd, .events = POLLIN };
	char path[4001] = "";
	uint64_t last = 0;
	size_t i = 0;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(path, 'a', lengths[i]);
		path[0] = '/';
		path[lengths[i]] = '\0';
		do {
			assert_int_equal(note(t, path), 0);
			last++;
		} while (poll(&said, 1, 0) == 0);
		assert_int_equal(hear(fd, PROTO_RING).u.ring.seq, last);
		say_ack(box, last);
		while (poll(&(struct pollfd) { .fd = box, .events = POLLIN },
			    1, 0) == 1) {
			(void)hear_notice(box);
		}
	}
	close(box);
}

/* cavad reads nothing at all: each is spooled, and once. */
static void test_stuck(void **p)
{
	struct test *t = *p;
	int box = -1;
	unsigned int i;

	(void)begin_with(t, &box);
	for (i = 0; t->down == 0; i++) {
		assert_true(i < 3000);
		assert_int_equal(note(t, "/a"), 0);
	}
	assert_int_equal(t->error, ENOBUFS);
	assert_int_equal(t->spooled, i);
	while (i > 0) {
		i--;
		assert_int_equal(t->seq[i], i + 1);
	}
	close(box);
}

/* Killed with unread notices, some acknowledged: recv says ECONNRESET. */
static void test_cavad_killed(void **p)
{
	struct test *t = *p;
	int box = -1;
	int i;

	(void)begin_with(t, &box);
	for (i = 0; i < 6; i++) {
		assert_int_equal(note(t, "/a"), 0);
	}
	assert_int_equal(hear_notice(box), 1);
	assert_int_equal(hear_notice(box), 2);
	say_ack(box, 2);
	t->away = true;
	hang_up(t);
	close(box);
	WAIT_FOR(t, t->down == 1);
	assert_int_equal(t->spooled, 4);
	assert_int_equal(t->seq[0], 3);
	assert_int_equal(t->seq[3], 6);
	/* the next connection has a mailbox of its own, and counts anew */
	t->away = false;
	(void)begin_with(t, &box);
	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(hear_notice(box), 1);
	close(box);
}

/* The notice that finds it out is spooled with the others. */
static void test_killed_unseen(void **p)
{
	struct test *t = *p;
	int box = -1;

	(void)begin_with(t, &box);
	assert_int_equal(note(t, "/a"), 0);
	t->away = true;
	hang_up(t);
	close(box);
	assert_int_equal(note(t, "/b"), 0);
	assert_int_equal(t->down, 1);
	assert_int_equal(t->spooled, 2);
	assert_string_equal(t->path, "/b");
}

/* Of the mailbox alone: it is cavad's word that was broken. */
static void test_mailbox_closed(void **p)
{
	struct test *t = *p;
	int box = -1;

	(void)begin_with(t, &box);
	assert_int_equal(note(t, "/a"), 0);
	close(box);
	WAIT_FOR(t, t->down == 1);	/* at the bell */
	assert_int_equal(t->spooled, 1);
}

/* No descriptor arrived: by the connection, as of old. */
static void test_not_taken(void **p)
{
	struct test *t = *p;
	int fd = begin(t);

	assert_int_equal(t->client->box, -1);
	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(hear_notice(fd), 1);
	say_ack(fd, 1);
	WAIT_FOR(t, t->client->unacked.count == 0);
	hear_nothing(fd);
}

/* Before cavad says that it has it. */
static void test_not_yet_taken(void **p)
{
	struct test *t = *p;
	int box = -1;
	int fd = -1;

	assert_int_equal(client_connect(t->client), 0);
	fd = t->peers[0];
	box = hear_hello(fd);
	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(hear_notice(fd), 1);
	hear_nothing(box);
	say_mailbox(fd, true);
	WAIT_FOR(t, t->client->box_taken);
	/* the first is not known to be read */
	assert_int_equal(note(t, "/b"), 0);
	assert_int_equal(hear_notice(fd), 2);
	say_ack(fd, 2);
	WAIT_FOR(t, t->client->unacked.count == 0);
	assert_int_equal(note(t, "/c"), 0);
	assert_int_equal(hear_notice(box), 3);
	close(box);
}

static void expect_lost(struct test *t, const void *data, size_t len,
			int error)
{
	int box = -1;
	unsigned int down = t->down;

	(void)begin_with(t, &box);
	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(send(box, data, len, MSG_NOSIGNAL), len);
	WAIT_FOR(t, t->down == down + 1);
	assert_int_equal(t->error, error);
	assert_int_equal(t->spooled, down + 1);
	close(box);
}

static void test_nonsense_in_the_mailbox(void **p)
{
	static const uint8_t zeroes[PROTO_MAX];
	struct test *t = *p;
	struct proto_message m = { .number = PROTO_ACK, .u.ack.seq = 2 };
	uint8_t msg[PROTO_MAX];
	size_t len = proto_encode(&m, msg);

	expect_lost(t, "x", 1, EBADMSG);
	expect_lost(t, zeroes, 16, EBADMSG);
	expect_lost(t, zeroes, sizeof(zeroes), EBADMSG);
	expect_lost(t, msg, len, EBADMSG);	/* of what was never said */
	msg[4] ^= 0x80;
	expect_lost(t, msg, len, EPROTONOSUPPORT);
	m = (struct proto_message) { .number = PROTO_CONFIG };
	len = proto_encode(&m, msg);
	expect_lost(t, msg, len, EBADMSG);
	m = (struct proto_message) { .number = PROTO_RING };
	len = proto_encode(&m, msg);
	expect_lost(t, msg, len, EBADMSG);
}

/* It stays what it was. */
static void test_taken_and_not(void **p)
{
	struct test *t = *p;
	int box = -1;
	int fd = begin_with(t, &box);

	say_mailbox(fd, true);
	say_mailbox(fd, true);
	assert_int_equal(note(t, "/a"), 0);
	settle(t);
	assert_int_equal(t->down, 0);
	say_mailbox(fd, false);
	WAIT_FOR(t, t->down == 1);
	assert_int_equal(t->error, EBADMSG);
	assert_int_equal(t->spooled, 1);
	close(box);
	fd = begin(t);
	say_mailbox(fd, true);
	WAIT_FOR(t, t->down == 2);
	assert_int_equal(t->error, EBADMSG);
}

/* They are not looked at for each, but before any is spooled for want of. */
static void test_many_acknowledged(void **p)
{
	struct test *t = *p;
	int box = -1;
	int fd = begin_with(t, &box);
	struct proto_message m;
	uint64_t seq;

	for (seq = 1; seq <= 3000; seq++) {
		assert_int_equal(note(t, "/a"), 0);
		if (!heard(box, &m)) {
			assert_true(heard(fd, &m));
		}
		assert_int_equal(m.u.notice.seq, seq);
		if (seq % 500 == 0) {
			say_ack(box, seq);
		}
	}
	assert_int_equal(t->spooled, 0);
	assert_true(t->client->unacked.count <= 1024);
	close(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bell),
		TEST(test_no_bell_behind_a_message),
		TEST(test_full),
		TEST(test_half_full),
		TEST(test_stuck),
		TEST(test_cavad_killed),
		TEST(test_killed_unseen),
		TEST(test_mailbox_closed),
		TEST(test_not_taken),
		TEST(test_not_yet_taken),
		TEST(test_nonsense_in_the_mailbox),
		TEST(test_taken_and_not),
		TEST(test_many_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
