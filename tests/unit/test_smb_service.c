/*
 * Whether Samba answers and has the share: asked of a socket that this test
 * listens on.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "cavad/config.h"

static unsigned int port;

#define SMB_SERVICE_PORT port
#define SMB_SERVICE_INTERVAL 3600	/* looks are made by hand */
#define SMB_SERVICE_SOON 3600
#define SMB_SERVICE_PATIENCE patience
static unsigned int patience;
#include "cavad/smb_service.c"

#define HOST "127.0.0.1"

struct world {
	struct test *test;
	struct config *config;
	struct events *events;
	struct ip_pool *ip_pool;
	struct smb_service *service;
	int fd;			/* that listens; -1 = none does */
};

static int world_up(void **p)
{
	static const char *pool[] = { HOST, NULL };
	static struct server_object server = {
		.name = "av", .server_uri = "cee://192.0.2.1/",
	};
	static struct server_object *servers[] = { &server, NULL };
	struct world *w = NULL;
	struct test *test = NULL;

	set_up(p);
	test = *p;
	w = talloc_zero(test, struct world);
	w->test = test;
	w->fd = -1;
	w->events = events_create(w);
	assert_non_null(w->events);
	w->config = talloc_zero(w, struct config);
	w->config->settings.service_enabled = true;
	w->config->settings.ip_pool = pool;
	w->config->settings.check_share = "CHECK$";
	server.enabled = true;
	w->config->servers = servers;
	patience = 3600;
	assert_int_equal(ip_pool_create(w, test->ev, w->config, w->events,
					&w->ip_pool), 0);
	assert_int_equal(smb_service_create(w, test->ev, w->config,
					    w->ip_pool, w->events,
					    &w->service), 0);
	*p = w;
	return 0;
}

static int world_down(void **p)
{
	struct world *w = *p;
	struct test *test = w->test;

	TALLOC_FREE(w->service);
	TALLOC_FREE(w->ip_pool);
	if (w->fd != -1) {
		close(w->fd);
	}
	*p = test;
	return tear_down(p);
}

/* On a port of its own, or again on that one. */
static void samba_starts(struct world *w)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int on = 1;

	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(w->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(w->fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(w->fd, 5), 0);
	assert_int_equal(getsockname(w->fd, (struct sockaddr *)&addr, &len),
			 0);
	port = ntohs(addr.sin_port);
}

static void samba_ends(struct world *w)
{
	close(w->fd);
	w->fd = -1;
}

static bool event_up(const struct world *w, enum event_number number)
{
	const struct event *event = NULL;
	unsigned int i = 0;

	for (i = 0; (event = events_up(w->events, i)) != NULL; i++) {
		if (event->number == number) {
			assert_string_equal(event->what, HOST);
			return true;
		}
	}
	return false;
}

#define is_up(w) event_up(w, EVENT_SW_AVSCAN_CAVA_NO_SMB)
#define share_away(w) event_up(w, EVENT_SW_AVSCAN_CAVA_NO_SHARE)

static bool asking(const struct world *w)
{
	const struct smb_address *a = LIST_FIRST(&w->service->addresses);

	return a != NULL && a->fd != -1;
}

static int accepted(struct world *w)
{
	int fd = -1;

	while (fd == -1) {
		fd = accept(w->fd, NULL, NULL);
		assert_true(fd != -1 || asking(w));
		assert_int_equal(fd == -1 ? tevent_loop_once(w->test->ev) : 0,
				 0);
	}
	return fd;
}

/* The next request, whole: it comes at once. */
static size_t request(struct world *w, int fd, uint8_t asked[512])
{
	ssize_t n = -1;

	while (n == -1) {
		n = recv(fd, asked, 512, MSG_DONTWAIT);
		assert_true(n != -1 || asking(w));
		assert_int_equal(n == -1 ? tevent_loop_once(w->test->ev) : 0,
				 0);
	}
	assert_true(n > 4 + 64);
	assert_int_equal(asked[2] * 256 + asked[3], n - 4);
	assert_memory_equal(asked + 4, "\xfeSMB\x40\0", 6);
	return (size_t)n;
}

static void wait_done(struct world *w)
{
	while (asking(w)) {
		assert_int_equal(tevent_loop_once(w->test->ev), 0);
	}
}

/* A look to its end; answer: what is said, NULL = nobody comes. */
static void look(struct world *w, const char *answer, size_t len)
{
	uint8_t asked[512];
	int fd = -1;

	smb_service_look(w->service);
	if (answer != NULL) {
		fd = accepted(w);
		request(w, fd, asked);
		assert_int_equal(send(fd, answer, len, MSG_NOSIGNAL), len);
		close(fd);
	}
	wait_done(w);
}

#define SESSION 0x41
#define PENDING 0x00000103
#define MORE 0xc0000016
#define MISSING 0xc00000cc
#define DENIED 0xc0000022

static size_t smb_reply(uint8_t *p, const uint8_t *asked, uint32_t status)
{
	memset(p, 0, SMB_TALK_HEAD + 1);
	p[3] = 64 + 1;			/* and a byte that does not matter */
	memcpy(p + 4, asked + 4, 64);	/* command, message */
	p[4 + 8] = (uint8_t)status;
	p[4 + 9] = (uint8_t)(status >> 8);
	p[4 + 11] = (uint8_t)(status >> 24);
	p[4 + 16] = 1;
	p[4 + 40] = SESSION;
	return SMB_TALK_HEAD + 1;
}

/* A look, answered with these; the connection ends with the last. */
static void talk(struct world *w, const uint32_t *status, unsigned int count)
{
	uint8_t answer[SMB_TALK_HEAD + 1];
	uint8_t asked[512];
	unsigned int i = 0;
	size_t n = 0;
	int fd = -1;

	smb_service_look(w->service);
	fd = accepted(w);
	for (i = 0; i < count; i++) {
		if (i == 0 || status[i - 1] != PENDING) {
			n = request(w, fd, asked);
		}
		assert_int_equal(asked[4 + 40], i < 2 ? 0 : SESSION);
		n = smb_reply(answer, asked, status[i]);
		assert_int_equal(send(fd, answer, n, MSG_NOSIGNAL), n);
	}
	close(fd);
	wait_done(w);
}

#define TALK(w, ...) do { \
	static const uint32_t status[] = { __VA_ARGS__ }; \
	talk(w, status, sizeof(status) / sizeof(status[0])); \
} while (0)

/* Enough of an answer: that of a server which says no more. */
#define ANSWERS(w) TALK(w, 0)

static void test_away_and_back(void **p)
{
	struct world *w = *p;

	port = 0;
	samba_starts(w);
	ANSWERS(w);
	assert_false(is_up(w));
	samba_ends(w);
	look(w, NULL, 0);
	assert_false(is_up(w));		/* it may be a restart */
	look(w, NULL, 0);
	assert_true(is_up(w));
	samba_starts(w);
	ANSWERS(w);
	assert_false(is_up(w));
	samba_ends(w);
	look(w, NULL, 0);
	assert_false(is_up(w));		/* in a row */
}

/* Who else listens there is no Samba. */
static void test_wrong_answers(void **p)
{
	static const char http[] = "HTTP/1.1 400 Bad Request";
	static const char part[] = "\0\0\0\x40\xfeS";
	struct world *w = *p;

	port = 0;
	samba_starts(w);
	look(w, http, sizeof(http) - 1);
	look(w, part, sizeof(part) - 1);
	assert_true(is_up(w));
	ANSWERS(w);
	assert_false(is_up(w));
	look(w, "", 0);
	look(w, "", 0);
	assert_true(is_up(w));
}

/* It accepts, and that is all. */
static void test_no_answer(void **p)
{
	struct world *w = *p;

	port = 0;
	patience = 0;
	samba_starts(w);
	look(w, NULL, 0);
	look(w, NULL, 0);
	assert_true(is_up(w));
}

static void test_share_away_and_back(void **p)
{
	struct world *w = *p;

	port = 0;
	samba_starts(w);
	TALK(w, 0, MORE, 0, MISSING);
	assert_false(share_away(w));	/* it may be written just now */
	TALK(w, 0, MORE, 0, MISSING);
	assert_true(share_away(w));
	assert_false(is_up(w));
	TALK(w, 0, MORE, 0);		/* no answer is no other one */
	assert_true(share_away(w));
	TALK(w, 0, MORE, PENDING, 0, DENIED);
	assert_false(share_away(w));
	TALK(w, 0, MORE, 0, MISSING);
	assert_false(share_away(w));	/* in a row */
}

/* It is not known where servers come in, but that is the same Samba. */
static void test_share_without_ip_pool(void **p)
{
	struct world *w = *p;
	const char **pool = w->config->settings.ip_pool;

	port = 0;
	samba_starts(w);
	samba_ends(w);
	look(w, NULL, 0);
	look(w, NULL, 0);
	assert_true(is_up(w));
	w->config->settings.ip_pool = NULL;
	look(w, NULL, 0);
	look(w, NULL, 0);
	assert_false(is_up(w));		/* it need not listen here */
	samba_starts(w);
	TALK(w, 0, MORE, 0, MISSING);
	TALK(w, 0, MORE, 0, MISSING);
	assert_true(share_away(w));
	samba_ends(w);
	look(w, NULL, 0);
	assert_true(share_away(w));
	assert_false(is_up(w));
	samba_starts(w);
	TALK(w, 0, MORE, 0, DENIED);
	assert_false(share_away(w));
	w->config->settings.ip_pool = pool;
	samba_ends(w);
	look(w, NULL, 0);
	look(w, NULL, 0);
	assert_true(is_up(w));
}

/* Where a session without a name is not taken. */
static void test_share_cannot_be_told(void **p)
{
	struct world *w = *p;
	unsigned int i = 0;

	port = 0;
	samba_starts(w);
	for (i = 0; i < 3; i++) {
		TALK(w, MISSING);	/* no answer to what it is said of */
		TALK(w, 0, MISSING);
		TALK(w, 0, MORE, MISSING);
		assert_false(share_away(w));
		assert_false(is_up(w));
	}
}

/* What is sent, of which the last must be right in each bit. */
static void test_requests(void **p)
{
	static const uint8_t tree[] = {
		0, 0, 0, 64 + 8 + 18,
		0xfe, 'S', 'M', 'B', 64, 0, 0, 0, 0, 0, 0, 0, 3, 0, 8, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		9, 0, 0, 0, 72, 0, 18, 0, '\\', 0, '\\', 0, 'h', 0, '\\', 0,
		'C', 0, 0xe4, 0, '$', 0, 0x3d, 0xd8, 0x00, 0xde,
	};
	struct world *w = *p;
	struct smb_talk t = { .step = SMB_TREE,
			      .session = 0x0102030405060708 };
	uint8_t *request = NULL;
	size_t len = 0;

	assert_int_equal(smb_talk_request(w, &t, "h", "C\xc3\xa4$\xf0\x9f"
					  "\x98\x80", &request, &len), 0);
	assert_int_equal(len, sizeof(tree));
	assert_memory_equal(request, tree, len);
	assert_int_equal(smb_talk_request(w, &t, "h", "\xff", &request,
					  &len), EILSEQ);
}

/* Over, since nobody needs it; and not asked. */
static void test_not_needed(void **p)
{
	struct world *w = *p;
	struct settings *s = &w->config->settings;

	port = 0;
	samba_starts(w);
	samba_ends(w);
	look(w, NULL, 0);
	look(w, NULL, 0);
	assert_true(is_up(w));
	w->config->servers[0]->enabled = false;
	look(w, NULL, 0);
	assert_false(is_up(w));
	assert_true(LIST_EMPTY(&w->service->addresses));
	w->config->servers[0]->enabled = true;
	s->service_enabled = false;
	look(w, NULL, 0);
	assert_true(LIST_EMPTY(&w->service->addresses));
	s->service_enabled = true;
	w->config->servers[0]->server_uri = "clamd:/run/clamd.sock";
	look(w, NULL, 0);
	assert_true(LIST_EMPTY(&w->service->addresses));
	w->config->servers[0]->server_uri = "cee://192.0.2.1/";
	look(w, NULL, 0);
	look(w, NULL, 0);
	assert_true(is_up(w));
}

#define SMB_TEST(name) \
	cmocka_unit_test_setup_teardown(name, world_up, world_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMB_TEST(test_away_and_back),
		SMB_TEST(test_wrong_answers),
		SMB_TEST(test_no_answer),
		SMB_TEST(test_share_away_and_back),
		SMB_TEST(test_share_without_ip_pool),
		SMB_TEST(test_share_cannot_be_told),
		SMB_TEST(test_requests),
		SMB_TEST(test_not_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
