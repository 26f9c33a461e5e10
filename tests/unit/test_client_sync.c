/*
 * Questions that wait in poll(). Since the caller is in the call meanwhile,
 * cavad says its part before: it is there when the question is.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/client_test.h"

static int ask_sync(struct test *t, uint32_t wait_ms,
		    struct proto_answer *answer)
{
	const struct proto_ask question = {
		.wait_ms = wait_ms, .path = "/srv/f",
	};

	return client_ask_sync(t->client, t, &question, answer);
}

static void test_answered(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_answer answer;
	struct proto_message m;

	say_answer(fd, 1, VERDICT_INFECTED);
	assert_int_equal(ask_sync(t, UINT32_MAX, &answer), 0);
	assert_int_equal(answer.result, VERDICT_INFECTED);
	assert_string_equal(answer.threat, "Eicar");
	assert_string_equal(answer.server, "av");
	m = hear(fd, PROTO_ASK);
	assert_int_equal(m.u.ask.wait_ms, UINT32_MAX);
	hear_nothing(fd);
}

/* What else comes is for the loop: in its order, and none of it lost. */
static void test_others_meanwhile(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_answer answer;
	struct asked a;

	ask(t, &a, 5000);
	assert_int_equal(note(t, "/a"), 0);
	say_config(fd, 2000);
	say_answer(fd, 1, VERDICT_CLEAN);
	say_ack(fd, 1);
	say_config(fd, 3000);
	say_answer(fd, 2, VERDICT_CLEAN);
	assert_int_equal(ask_sync(t, 5000, &answer), 0);
	assert_int_equal(t->configs, 1);
	assert_int_equal(t->client->in.count, 4);
	assert_false(a.ended);
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.ret, 0);
	assert_int_equal(t->configs, 3);
	assert_int_equal(t->filter.scan_timeout, 3000);
	assert_int_equal(t->client->unacked.count, 0);
	assert_int_equal(t->client->in.count, 0);
}

static void test_time(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	int64_t began = client_now();
	struct proto_answer answer;

	assert_int_equal(ask_sync(t, 50, &answer), ETIMEDOUT);
	assert_true(client_now() - began >= 49);
	assert_true(client_now() - began < 1000);
	(void)hear(fd, PROTO_ASK);
	assert_int_equal(hear(fd, PROTO_CANCEL).u.cancel.id, 1);
	assert_int_equal(ask_sync(t, 0, &answer), ETIMEDOUT);

	/* too late is nobody's, and does no harm */
	say_answer(fd, 1, VERDICT_CLEAN);
	say_answer(fd, 3, VERDICT_CLEAN);
	assert_int_equal(ask_sync(t, 5000, &answer), 0);
	settle(t);
	assert_int_equal(t->down, 0);
}

static void test_without(void **p)
{
	struct test *t = *p;
	int64_t began = client_now();
	struct proto_answer answer;

	t->away = true;
	assert_int_equal(ask_sync(t, 5000, &answer), ENOTCONN);
	assert_true(client_now() - began < CLIENT_RETRY);
}

/* Has read the question and ends; the next one answers. */
static void ends_once(struct test *t, int fd)
{
	if (t->count == 1) {
		shutdown(fd, SHUT_WR);
		return;
	}
	say_config(fd, 1);
	say_answer(fd, 1, VERDICT_CLEAN);
}

static void test_gone_meanwhile(void **p)
{
	struct test *t = *p;
	struct proto_answer answer;

	t->on_connect = ends_once;
	assert_int_equal(ask_sync(t, 5000, &answer), 0);
	assert_int_equal(answer.result, VERDICT_CLEAN);
	assert_int_equal(t->count, 2);
	(void)hear(t->peers[0], PROTO_HELLO);
	assert_int_equal(hear(t->peers[0], PROTO_ASK).u.ask.id, 1);
	(void)hear(t->peers[1], PROTO_HELLO);
	assert_int_equal(hear(t->peers[1], PROTO_ASK).u.ask.id, 1);
	hear_nothing(t->peers[1]);
}

static void ends_and_stays_away(struct test *t, int fd)
{
	shutdown(fd, SHUT_WR);
	t->away = true;
}

static void ends(struct test *t, int fd)
{
	(void)t;
	shutdown(fd, SHUT_WR);
}

static void test_gone_for_good(void **p)
{
	struct test *t = *p;
	int64_t began = client_now();
	struct proto_answer answer;

	t->on_connect = ends_and_stays_away;
	assert_int_equal(ask_sync(t, 500, &answer), ENOTCONN);
	assert_true(client_now() - began >= 499);
	assert_true(client_now() - began < 2000);
	assert_int_equal(t->count, 1);

	/* and one that takes it and ends, not as fast as it can */
	t->on_connect = ends;
	t->away = false;
	assert_int_equal(ask_sync(t, 500, &answer), ENOTCONN);
	assert_in_range(t->count, 3, 5);
}

/* Everybody else's question is asked again too, and notices are kept. */
static void answers_second(struct test *t, int fd)
{
	say_config(fd, 1);
	say_answer(fd, 2, VERDICT_CLEAN);
	(void)t;
}

static void test_gone_with_others(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_answer answer;
	struct asked a;

	ask(t, &a, 5000);
	assert_int_equal(note(t, "/a"), 0);
	say_answer(fd, 1, VERDICT_INFECTED);	/* kept, and lost with it */
	shutdown(fd, SHUT_WR);
	t->on_connect = answers_second;
	assert_int_equal(ask_sync(t, 5000, &answer), 0);
	assert_int_equal(t->spooled, 1);
	assert_false(a.ended);
	fd = t->peers[1];
	(void)hear(fd, PROTO_HELLO);
	assert_int_equal(hear(fd, PROTO_ASK).u.ask.id, 1);
	assert_int_equal(hear(fd, PROTO_ASK).u.ask.id, 2);
	hear_nothing(fd);
	say_answer(fd, 1, VERDICT_CLEAN);
	WAIT_FOR(t, a.ended);
	assert_int_equal(a.answer.result, VERDICT_CLEAN);
}

static void garbage_once(struct test *t, int fd)
{
	if (t->count == 1) {
		assert_int_equal(send(fd, "garbage", 7, 0), 7);
		return;
	}
	say_answer(fd, 1, VERDICT_CLEAN);
}

static void test_garbage_meanwhile(void **p)
{
	struct test *t = *p;
	struct proto_answer answer;

	t->on_connect = garbage_once;
	assert_int_equal(ask_sync(t, 5000, &answer), 0);
	assert_int_equal(t->count, 2);
	assert_int_equal(t->down, 1);
	assert_int_equal(t->up, 2);
}

static void test_wrong_reply(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_check_answer check_answer;
	const struct proto_check check = { .what = PROTO_WHAT_TREE };
	struct proto_answer answer;
	char *names = NULL;

	say(fd, &(struct proto_message) { .number = PROTO_CHECK_ANSWER,
					  .u.check_answer.id = 1 });
	assert_int_equal(ask_sync(t, 5000, &answer), EBADMSG);
	say_answer(fd, 2, VERDICT_CLEAN);
	assert_int_equal(client_check(t->client, t, 5000, &check,
				      &check_answer), EBADMSG);
	say_answer(fd, 3, VERDICT_CLEAN);
	assert_int_equal(client_check_names(t->client, t, 5000, &check,
					    &names), EBADMSG);
}

static void test_check(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	const struct proto_check check = {
		.what = PROTO_WHAT_LIST, .account = "DOM\\av", .local = 1,
		.addr = "192.0.2.7", .path = "dir",
	};
	struct proto_check_answer answer;
	struct proto_message m;
	char *names = NULL;

	say(fd, &(struct proto_message) {
		.number = PROTO_CHECK_ANSWER,
		.u.check_answer = { .id = 1, .allowed = 1, .reason = "why" },
	});
	assert_int_equal(client_check(t->client, t, 5000, &check, &answer),
			 0);
	assert_int_equal(answer.allowed, 1);
	assert_string_equal(answer.reason, "why");
	m = hear(fd, PROTO_CHECK);
	assert_int_equal(m.u.check.id, 1);
	assert_string_equal(m.u.check.account, "DOM\\av");
	assert_string_equal(m.u.check.path, "dir");

	say(fd, &(struct proto_message) {
		.number = PROTO_CHECK_NAMES,
		.u.check_names = { .id = 2, .names = "a\nb\n" },
	});
	assert_int_equal(client_check_names(t->client, t, 5000, &check,
					    &names), 0);
	assert_string_equal(names, "a\nb\n");
	assert_int_equal(client_check(t->client, t, 20, &check, &answer),
			 ETIMEDOUT);
	t->away = true;
	hang_up(t);
	settle(t);
	assert_int_equal(client_check(t->client, t, 20, &check, &answer),
			 ENOTCONN);
}

/* It waits for room as well: cavad has read nothing so far. */
static void test_no_room(void **p)
{
	struct test *t = *p;
	int fd = begin(t);
	struct proto_answer answer;

	while (t->client->out.count < 10) {
		assert_int_equal(note(t, "/a"), 0);
	}
	say_answer(fd, 1, VERDICT_CLEAN);
	assert_int_equal(ask_sync(t, 5000, &answer), 0);
	assert_int_equal(ask_sync(t, 20, &answer), ETIMEDOUT);
	assert_int_equal(t->down, 0);
}

/* A cavad that says more than anybody asked it. */
static void test_flood(void **p)
{
	struct test *t = *p;
	const struct proto_message m = { .number = PROTO_ACK };
	uint8_t msg[PROTO_MAX];
	size_t len = proto_encode(&m, msg);
	unsigned int i;

	begin(t);
	for (i = 0; i < 1024; i++) {
		assert_int_equal(client_keep(t->client, msg, len), 0);
	}
	assert_int_equal(client_keep(t->client, msg, len), ENOTCONN);
	assert_int_equal(t->error, ENOBUFS);
	assert_int_equal(t->client->in.count, 0);
	settle(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answered),
		TEST(test_others_meanwhile),
		TEST(test_time),
		TEST(test_without),
		TEST(test_gone_meanwhile),
		TEST(test_gone_for_good),
		TEST(test_gone_with_others),
		TEST(test_garbage_meanwhile),
		TEST(test_wrong_reply),
		TEST(test_check),
		TEST(test_no_room),
		TEST(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
