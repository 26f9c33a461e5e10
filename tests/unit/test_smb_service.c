/*
 * Whether Samba answers: asked of a socket that this test listens on.
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
	w->config = talloc_zero(w, struct config);
	w->config->settings.service_enabled = true;
	w->config->settings.ip_pool = pool;
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

static bool is_up(const struct world *w)
{
	const struct event *event = events_up(w->events, 0);

	return event != NULL &&
	       event->number == EVENT_SW_AVSCAN_CAVA_NO_SMB &&
	       strcmp(event->what, HOST) == 0;
}

static bool asking(const struct world *w)
{
	const struct smb_address *a = LIST_FIRST(&w->service->addresses);

	return a != NULL && a->fd != -1;
}

/* A look to its end; answer: what is said, NULL = nobody comes. */
static void look(struct world *w, const char *answer, size_t len)
{
	uint8_t asked[sizeof(smb_negotiate)];
	ssize_t n = -1;
	int fd = -1;

	smb_service_look(w->service);
	while (answer != NULL && fd == -1) {
		fd = accept(w->fd, NULL, NULL);
		assert_int_equal(fd == -1 ? tevent_loop_once(w->test->ev) : 0,
				 0);
	}
	if (fd != -1) {
		while (n == -1) {
			n = recv(fd, asked, sizeof(asked), MSG_DONTWAIT);
			assert_int_equal(n == -1 ? tevent_loop_once(
				w->test->ev) : 0, 0);
		}
		assert_int_equal(n, sizeof(asked));
		assert_memory_equal(asked + 4, "\xfeSMB\x40\0", 6);
		assert_int_equal(send(fd, answer, len, MSG_NOSIGNAL), len);
		close(fd);
	}
	while (asking(w)) {
		assert_int_equal(tevent_loop_once(w->test->ev), 0);
	}
}

static const char smb[] = "\0\0\0\x40\xfeSMB\x40";

#define ANSWERS(w) look(w, smb, sizeof(smb) - 1)

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
		SMB_TEST(test_not_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
