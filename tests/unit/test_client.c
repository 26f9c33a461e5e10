/* includes: common/client.c
 *
 * smbd's end of the scan socket: its connection, questions that wait in the
 * loop, and notices. Those that wait in poll(): test_client_sync.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/client_test.h"
#include "tests/unit/no_memory.h"

#include "common/client.c"

/* --- the connection --- */

static void test_hello_first(void **p)
{
	struct test *t = *p;
	struct proto_message m;

	assert_int_equal(t->count, 0);
	assert_int_equal(client_connect(t->client), 0);
	m = hear(t->peers[0], PROTO_HELLO);
	assert_int_equal(m.u.hello.pid, 4711);
	assert_string_equal(m.u.hello.share, "docs");
	assert_string_equal(m.u.hello.root, "/srv");
	assert_int_equal(client_connect(t->client), 0);
	assert_int_equal(t->count, 1);
	assert_int_equal(t->up, 1);
	hear_nothing(t->peers[0]);
}

/* One change, one word. */
static void test_reconnect(void **p)
{
	struct test *t = *p;
	int i;

	t->away = true;
	for (i = 0; i < 3; i++) {
		assert_int_equal(client_connect(t->client), ECONNREFUSED);
	}
	assert_int_equal(t->down, 1);
	assert_int_equal(t->error, ECONNREFUSED);
	t->away = false;
	begin(t);
	assert_int_equal(t->up, 1);
	hang_up(t);
	WAIT_FOR(t, t->down == 2);
	assert_int_equal(t->error, 0);
	settle(t);
	assert_int_equal(t->count, 1);	/* nobody has anything to say */
	begin(t);
	assert_int_equal(t->up, 2);
}

static void test_config_pushed(void **p)
{
	struct test *t = *p;
	int fd = begin(t);

	assert_int_equal(t->configs, 1);
	say_config(fd, 2000);
	say_config(fd, 3000);
	WAIT_FOR(t, t->configs == 3);
	assert_int_equal(t->filter.scan_timeout, 3000);
}

static void expect_lost(struct test *t, const void *data, size_t len,
			int error)
{
	int fd = begin(t);
	unsigned int down = t->down;

	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
	WAIT_FOR(t, t->down == down + 1);
	assert_int_equal(t->error, error);
	assert_int_equal(t->spooled, down + 1);
	hang_up(t);
}

static void test_garbage(void **p)
{
	static const uint8_t zeroes[PROTO_MAX + 1];
	const struct proto_message ours[] = {
		{ .number = PROTO_HELLO }, { .number = PROTO_ASK },
		{ .number = PROTO_CANCEL }, { .number = PROTO_NOTICE },
		{ .number = PROTO_CHECK },
	};
	struct test *t = *p;
	struct proto_message ack = { .number = PROTO_ACK };
	uint8_t msg[PROTO_MAX + 1] = { 0 };
	size_t len = 0;
	size_t i;

	expect_lost(t, "x", 1, EBADMSG);
	expect_lost(t, zeroes, 200, EBADMSG);
	expect_lost(t, zeroes, PROTO_MAX, EBADMSG);
	expect_lost(t, zeroes, PROTO_MAX + 1, EBADMSG);
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		len = proto_encode(&ours[i], msg);
		expect_lost(t, msg, len, EBADMSG);
	}
	len = proto_encode(&ack, msg);
	expect_lost(t, msg, len - 1, EBADMSG);
	expect_lost(t, msg, len + 1, EBADMSG);
	msg[4] ^= 0x80;		/* u16 version */
	expect_lost(t, msg, len, EPROTONOSUPPORT);
}

/* --- questions --- */

static void test_answers(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_message m;
	struct asked a;
	struct asked b;

	ask(t, &a, 5000);
	ask(t, &b, 5000);
	m = hear(fd, PROTO_ASK);
	assert_int_equal(m.u.ask.id, 1);
	assert_int_equal(m.u.ask.wait_ms, 5000);
	assert_string_equal(m.u.ask.path, "/srv/f");
	assert_int_equal(hear(fd, PROTO_ASK).u.ask.id, 2);
	say_answer(fd, 77, VERDICT_CLEAN);	/* nobody's */
	say_answer(fd, 2, VERDICT_INFECTED);
	say_answer(fd, 2, VERDICT_CLEAN);	/* once is enough */
	WAIT_FOR(t, b.ended);
	assert_false(a.ended);
	assert_int_equal(b.ret, 0);
	assert_int_equal(b.answer.result, VERDICT_INFECTED);
	assert_string_equal(b.answer.threat, "Eicar");
	assert_string_equal(b.answer.server, "av");
	assert_int_equal(b.answer.content.size, 68);
	say_answer(fd, 1, VERDICT_CLEAN);
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.answer.result, VERDICT_CLEAN);
	hear_nothing(fd);
}

/* At once, and nobody goes on trying. */
static void test_ask_without(void **p)
{
	struct test *t = *p;
	int64_t began = client_now();
	struct asked a;

	t->away = true;
	ask(t, &a, 5000);
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.ret, ENOTCONN);
	assert_true(client_now() - began < CLIENT_RETRY);
	assert_false(tick_is_set(t->client->retry));
}

static void test_ask_time(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	int64_t began = client_now();
	struct asked a;

	ask(t, &a, 20);
	(void)hear(fd, PROTO_ASK);
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.ret, ETIMEDOUT);
	assert_true(client_now() - began >= 20 + CLIENT_LATE - 1);
	assert_int_equal(hear(fd, PROTO_CANCEL).u.cancel.id, 1);
}

static void test_cancel(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct asked a;
	struct asked b;
	struct asked c;

	ask(t, &a, 5000);
	ask(t, &b, 5000);
	ask(t, &c, 5000);
	(void)hear(fd, PROTO_ASK);
	(void)hear(fd, PROTO_ASK);
	(void)hear(fd, PROTO_ASK);
	TALLOC_FREE(b.req);
	assert_int_equal(hear(fd, PROTO_CANCEL).u.cancel.id, 2);
	say_answer(fd, 2, VERDICT_CLEAN);
	say_answer(fd, 1, VERDICT_CLEAN);
	say_answer(fd, 3, VERDICT_CLEAN);
	WAIT_FOR(t, a.ended && c.ended);
	assert_false(b.ended);
	TALLOC_FREE(a.req);
	hear_nothing(fd);	/* it has ended: nothing to cancel */
}

/* What was asked is asked again, with its id, and what was not is not. */
static void test_asked_again(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_message m;
	struct asked a[3];

	ask(t, &a[0], 5000);
	ask(t, &a[1], 5000);
	ask(t, &a[2], 5000);
	say_answer(fd, 2, VERDICT_CLEAN);
	WAIT_FOR(t, a[1].ended);
	t->away = true;
	hang_up(t);
	WAIT_FOR(t, t->down == 1);
	TALLOC_FREE(a[2].req);
	t->away = false;
	WAIT_FOR(t, t->count == 2);
	fd = t->peers[1];
	(void)hear(fd, PROTO_HELLO);
	m = hear(fd, PROTO_ASK);
	assert_int_equal(m.u.ask.id, 1);
	assert_string_equal(m.u.ask.path, "/srv/f");
	hear_nothing(fd);
	assert_false(a[0].ended);
	say_config(fd, 1);
	WAIT_FOR(t, t->client->asks->grace == 0);
	say_answer(fd, 1, VERDICT_CLEAN);
	WAIT_FOR(t, a[0].ended);
	assert_int_equal(a[0].ret, 0);
}

/* The connection is lost in a moment without memory: tried all the same. */
static void test_retry_without_memory(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct asked a;

	ask(t, &a, 60000);
	no_memory = true;
	hang_up(t);
	WAIT_FOR(t, t->down == 1);
	no_memory = false;
	WAIT_FOR(t, t->count == 2);
	fd = t->peers[1];
	say_config(fd, 1);
	say_answer(fd, 1, VERDICT_CLEAN);
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.ret, 0);
}

/* cavad stays away: ENOTCONN when the grace is over. */
static void test_grace(void **p)
{
	struct test *t = *p;
	int64_t now = 0;
	struct asked a;

	begin(t);
	ask(t, &a, 60000);
	t->away = true;
	hang_up(t);
	WAIT_FOR(t, t->down == 1);
	now = client_now();
	assert_true(t->client->asks->grace > now + CLIENT_GRACE - 1000);
	assert_true(t->client->asks->grace <= now + CLIENT_GRACE);
	t->client->asks->grace = now + 300;
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.ret, ENOTCONN);
	assert_true(client_now() >= now + 300);
	assert_int_equal(t->down, 1);
	assert_null(t->client->asks);
}

static void close_after_ask(struct test *t, int fd)
{
	(void)t;
	shutdown(fd, SHUT_WR);
}

/*
 * Of another version, or about to end: it takes the connection and closes
 * it. That is no reason to begin the grace anew each time.
 */
static void test_grace_of_refused(void **p)
{
	struct test *t = *p;
	int64_t grace = 0;
	struct asked a;

	t->on_connect = close_after_ask;
	ask(t, &a, 60000);
	WAIT_FOR(t, t->count == 1 && t->client->fd == -1);
	grace = t->client->asks->grace;
	assert_int_not_equal(grace, 0);
	WAIT_FOR(t, t->count == 4 && t->client->fd == -1);
	assert_int_equal(t->client->asks->grace, grace);
	t->client->asks->grace = client_now();
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.ret, ENOTCONN);
}

/* More than the socket and the queue have room for. */
static void test_many_asked_again(void **p)
{
	enum { MANY = 1000 };
	static struct asked a[MANY];
	struct test *t = *p;
	int fd = begin(t);
	struct proto_message m;
	unsigned int seen[MANY + 1] = { 0 };
	unsigned int got = 0;
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		ask(t, &a[i], 60000);
		(void)hear(fd, PROTO_ASK);
	}
	hang_up(t);
	WAIT_FOR(t, t->count == 2);
	fd = t->peers[1];
	say_config(fd, 1);
	settle(t);
	assert_int_equal(t->client->out.count, 256);	/* it was too much */
	(void)hear(fd, PROTO_HELLO);
	while (got < MANY) {
		if (!heard(fd, &m)) {
			turn(t);
			assert_int_equal(t->count, 2);
			continue;
		}
		assert_int_equal(m.number, PROTO_ASK);
		assert_int_equal(seen[m.u.ask.id]++, 0);
		got++;
	}
	for (i = 0; i < MANY; i++) {
		say_answer(fd, i + 1, VERDICT_CLEAN);
		WAIT_FOR(t, a[i].ended);
		assert_int_equal(a[i].ret, 0);
		talloc_free(a[i].req);
	}
}

/* What a request calls may free the client, with others in the batch. */
static void test_freed_in_callback(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct asked a;
	struct asked b;

	ask(t, &a, 5000);
	ask(t, &b, 100);
	a.frees = &t->client;
	say_config(fd, 2);
	say_answer(fd, 1, VERDICT_CLEAN);
	say_config(fd, 3);
	WAIT_FOR(t, a.ended);
	assert_null(t->client);
	assert_int_equal(a.ret, 0);
	TALLOC_FREE(b.req);
	assert_false(b.ended);
}

/* --- notices --- */

static void test_notices(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_message m;

	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(note(t, "/b"), 0);
	assert_int_equal(note(t, "/c"), 0);
	assert_int_equal(note(t, "/d"), 0);
	m = hear(fd, PROTO_NOTICE);
	assert_int_equal(m.u.notice.seq, 1);
	assert_string_equal(m.u.notice.path, "/a");
	say_ack(fd, 2);
	WAIT_FOR(t, t->client->unacked.count == 2);
	hang_up(t);
	WAIT_FOR(t, t->down == 1);
	assert_int_equal(t->spooled, 2);
	assert_int_equal(t->seq[0], 3);
	assert_int_equal(t->seq[1], 4);

	/* the next connection counts from 1; freed, the rest is kept */
	fd = begin(t);
	assert_int_equal(note(t, "/e"), 0);
	assert_int_equal(note(t, "/f"), 0);
	assert_int_equal(hear(fd, PROTO_NOTICE).u.notice.seq, 1);
	say_ack(fd, 1);
	WAIT_FOR(t, t->client->unacked.count == 1);
	TALLOC_FREE(t->client);
	assert_int_equal(t->spooled, 3);
	assert_string_equal(t->path, "/f");
}

/* The first thing that is said at all; and without a cavad. */
static void test_notice_before(void **p)
{
	struct test *t = *p;

	t->away = true;
	assert_int_equal(note(t, "/a"), 0);
	assert_int_equal(t->spooled, 1);
	assert_string_equal(t->path, "/a");
	t->away = false;
	assert_int_equal(note(t, "/b"), 0);
	assert_int_equal(t->spooled, 1);
	(void)hear(t->peers[0], PROTO_HELLO);
	assert_int_equal(hear(t->peers[0], PROTO_NOTICE).u.notice.seq, 1);
	assert_int_equal(t->count, 1);
}

/* Gone, and smbd has not been back in its loop since. */
static void test_notice_at_loss(void **p)
{
	struct test *t = *p;

	begin(t);
	assert_int_equal(note(t, "/a"), 0);
	t->away = true;
	hang_up(t);
	assert_int_equal(note(t, "/b"), 0);
	assert_int_equal(note(t, "/c"), 0);
	assert_int_equal(t->spooled, 3);
	assert_string_equal(t->path, "/c");
}

/* cavad reads but does not commit: what is kept is bounded. */
static void test_notices_bounded(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	unsigned int i;

	for (i = 0; i < 1500; i++) {
		assert_int_equal(note(t, "/a"), 0);
		(void)hear(fd, PROTO_NOTICE);
	}
	assert_int_equal(t->client->unacked.count, 1024);
	assert_int_equal(t->spooled, 1500 - 1024);
	for (i = 0; i < t->spooled; i++) {
		assert_int_equal(t->seq[i], i + 1);
	}
	assert_int_equal(t->down, 0);
}

/* cavad reads nothing: none is lost, and none is kept for ever. */
static void test_notices_stuck(void **p)
{
	struct test *t = *p;
	unsigned int i;

	begin(t);
	for (i = 0; t->down == 0; i++) {
		assert_true(i < 3000);
		assert_int_equal(note(t, "/a"), 0);
	}
	assert_int_equal(t->error, ENOBUFS);
	assert_int_equal(t->spooled, i);
}

/* The path is a hint: a notice never fails for it. */
static void test_notice_long(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	char *path = talloc_array(t, char, PROTO_STR_MAX + 2);
	const struct proto_notice notice = { .client = path };

	memset(path, 'x', PROTO_STR_MAX + 1);
	path[PROTO_STR_MAX + 1] = '\0';
	assert_int_equal(note(t, path), 0);
	assert_string_equal(hear(fd, PROTO_NOTICE).u.notice.path, "");
	assert_int_equal(client_notice(t->client, &notice), EMSGSIZE);
}

/* It would drop what comes. */
static void test_ack_of_nothing(void **p)
{
	struct test *t = *p;
	int fd = begin(t);

	assert_int_equal(note(t, "/a"), 0);
	say_ack(fd, 2);
	WAIT_FOR(t, t->down == 1);
	assert_int_equal(t->error, EBADMSG);
	assert_int_equal(t->spooled, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hello_first),
		TEST(test_reconnect),
		TEST(test_config_pushed),
		TEST(test_garbage),
		TEST(test_answers),
		TEST(test_ask_without),
		TEST(test_ask_time),
		TEST(test_cancel),
		TEST(test_asked_again),
		TEST(test_retry_without_memory),
		TEST(test_grace),
		TEST(test_grace_of_refused),
		TEST(test_many_asked_again),
		TEST(test_freed_in_callback),
		TEST(test_notices),
		TEST(test_notice_before),
		TEST(test_notice_at_loss),
		TEST(test_notices_bounded),
		TEST(test_notices_stuck),
		TEST(test_notice_long),
		TEST(test_ack_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
