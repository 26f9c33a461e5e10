/* includes: cavad/http.c */
/*
 * HTTP against tests/fakes/fake_cee.py: replies, faults, limits, and
 * requests that are freed at the worst moment.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>

/* ms on a machine as busy as it may be, and under a sanitizer */
#define PATIENCE 60000
#define HTTP_CONNECT_TIMEOUT (long)PATIENCE
#include "cavad/http.c"
#include "tests/unit/fake_cee.h"

#define BODY "<CheckFileRequest><Args action=\"9\" name=\"\"/>" \
	"</CheckFileRequest>"

struct result {
	struct tevent_req *req;
	bool done;
	int error;
	struct http_reply reply;
	void (*then)(struct result *r);	/* in the callback */
	void *victim;
};

struct fixture {
	struct fake_cee fake;
	struct tevent_context *ev;
	struct http *http;
	char url[64];
};

static int setup(void **state)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	int ret;

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	fake_cee_start(&f->fake);
	f->ev = tevent_context_init(f);
	ret = http_create(f, f->ev, 5, &f->http);
	assert_int_equal(ret, 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/vee",
		 f->fake.port);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_cee_stop(&f->fake);
	talloc_free(f);
	return 0;
}

static void done(struct tevent_req *req)
{
	struct result *r = tevent_req_callback_data_void(req);

	r->error = http_recv(req, r, &r->reply);
	TALLOC_FREE(r->req);
	r->done = true;
	if (r->then != NULL) {
		r->then(r);
	}
}

static struct result *ask_url(struct fixture *f, const char *url,
			      uint32_t timeout)
{
	struct result *r = talloc_zero(f, struct result);
	struct http_request request = {
		.method = "PUT", .url = url, .content_type = "text/xml",
		.body = BODY, .len = strlen(BODY), .timeout = timeout,
		.reply_max = 4096,
	};

	r->req = http_send(r, f->ev, f->http, &request);
	assert_non_null(r->req);
	tevent_req_set_callback(r->req, done, r);
	return r;
}

static struct result *ask(struct fixture *f, uint32_t timeout)
{
	return ask_url(f, f->url, timeout);
}

static void wait_for(struct fixture *f, const bool *flag)
{
	while (!*flag) {
		assert_int_equal(tevent_loop_once(f->ev), 0);
	}
}

/* What became of one request under a rule. */
static struct result *under(struct fixture *f, const char *rule,
			    uint32_t timeout)
{
	struct result *r = NULL;

	fake_cee_rule(&f->fake, "@heartbeat", rule);
	r = ask(f, timeout);
	wait_for(f, &r->done);
	return r;
}

static void test_reply(void **state)
{
	struct fixture *f = *state;
	struct result *r = under(f, "clean", PATIENCE);

	assert_int_equal(r->error, 0);
	assert_int_equal(r->reply.status, 200);
	assert_string_equal(r->reply.address, "127.0.0.1");
	assert_string_equal(r->reply.local_address, "127.0.0.1");
	assert_string_equal(r->reply.content_type, "text/xml; charset=utf-8");
	assert_non_null(memmem(r->reply.body, r->reply.len,
			       "HeartBeatResponse", 17));
	assert_int_equal(fake_cee_logged(&f->fake, "\"method\": \"PUT\""), 1);
}

static void test_status_is_an_answer(void **state)
{
	struct fixture *f = *state;
	struct result *r = under(f, "503", PATIENCE);

	assert_int_equal(r->error, 0);
	assert_int_equal(r->reply.status, 503);
	r = under(f, "empty", PATIENCE);
	assert_int_equal(r->error, 0);
	assert_int_equal(r->reply.len, 0);
	r = under(f, "redirect", PATIENCE);
	assert_int_equal(r->error, 0);
	assert_int_equal(r->reply.status, 302);
	assert_int_equal(fake_cee_logged(&f->fake, "PUT"), 3);
}

static void test_faults(void **state)
{
	static const struct {
		const char *rule;
		int error;
	} faults[] = {
		{ "hang", ETIMEDOUT },
		{ "slow-drip", ETIMEDOUT },
		{ "close", ECONNRESET },
		{ "truncated", ECONNRESET },
		{ "not-http", EPROTO },
		{ "long", EMSGSIZE },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct result *r = under(f, faults[i].rule,
					 faults[i].error == ETIMEDOUT ?
					 300 : PATIENCE);

		if (r->error != faults[i].error) {
			fail_msg("%s: %s", faults[i].rule,
				 strerror(r->error));
		}
		assert_string_not_equal(r->reply.error, "");
		assert_true(r->reply.len <= 4096);
	}
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	fake_cee_kill(&f->fake);
	r = ask(f, PATIENCE);
	wait_for(f, &r->done);
	assert_int_equal(r->error, ECONNREFUSED);
	r = ask_url(f, "http://no-such-host.invalid/", 3000);
	wait_for(f, &r->done);
	assert_int_equal(r->error, EHOSTUNREACH);
}

static void test_urls(void **state)
{
	struct fixture *f = *state;
	struct result *r = ask_url(f, "file:///etc/passwd", 1000);

	wait_for(f, &r->done);
	assert_int_equal(r->error, EPROTO);
	assert_int_equal(r->reply.len, 0);
	r = ask_url(f, "http://[::1:80/", 1000);
	wait_for(f, &r->done);
	assert_int_equal(r->error, EINVAL);
}

static void test_no_proxy(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	r = under(f, "clean", PATIENCE);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(r->error, 0);
}

static void test_certificate(void **state)
{
	struct fixture *f = *state;
	struct fake_cee fake;
	struct result *r = NULL;
	char command[1024] = "";
	char pem[128] = "";
	char url[64] = "";

	snprintf(pem, sizeof(pem), "%s/pem", f->fake.dir);
	snprintf(command, sizeof(command), "openssl req -x509 -newkey rsa:2048 "
		 "-nodes -days 2 -subj /CN=127.0.0.1 -addext "
		 "subjectAltName=IP:127.0.0.1 -keyout %s -out - "
		 ">%s.crt 2>/dev/null && cat %s.crt >>%s",
		 pem, pem, pem, pem);
	assert_int_equal(system(command), 0);
	fake_cee_start_tls(&fake, pem);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/vee", fake.port);
	r = ask_url(f, url, PATIENCE);
	wait_for(f, &r->done);
	assert_int_equal(r->error, EPROTO);
	assert_non_null(strstr(r->reply.error, "certificate"));
	assert_int_equal(fake_cee_logged(&fake, ""), 0);
	fake_cee_stop(&fake);
}

static void test_keep_alive(void **state)
{
	struct fixture *f = *state;
	char line[4096] = "";
	char path[256] = "";
	int first = 0;
	FILE *in = NULL;
	int i;

	for (i = 0; i < 4; i++) {
		assert_int_equal(under(f, "clean", PATIENCE)->error, 0);
	}
	snprintf(path, sizeof(path), "%s/log.jsonl", f->fake.dir);
	in = fopen(path, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL) {
		const char *p = strstr(line, "\"peer_port\": ");
		int port = 0;

		assert_non_null(p);
		assert_int_equal(sscanf(p, "\"peer_port\": %d", &port), 1);
		first = first == 0 ? port : first;
		assert_int_equal(port, first);
	}
	fclose(in);
}

static void test_connections(void **state)
{
	struct fixture *f = *state;
	struct result *r[30] = { NULL };
	size_t i;

	fake_cee_rule(&f->fake, "@heartbeat", "delay 0.05\nclean");
	for (i = 0; i < 30; i++) {
		r[i] = ask(f, 20000);
	}
	for (i = 0; i < 30; i++) {
		wait_for(f, &r[i]->done);
		assert_int_equal(r[i]->error, 0);
	}
	assert_int_equal(fake_cee_number(&f->fake, "connections"), 5);
	assert_int_equal(fake_cee_number(&f->fake, "peak"), 5);
}

static void test_free_in_the_middle(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	fake_cee_rule(&f->fake, "@heartbeat", "hang");
	r = ask(f, 20000);
	TALLOC_FREE(r->req);		/* before anything was sent */
	r = ask(f, 20000);
	fake_cee_wait_logged(&f->fake, f->ev, "heartbeat", 1);
	TALLOC_FREE(r->req);		/* while the answer is waited for */
	r = under(f, "clean", PATIENCE);
	assert_int_equal(r->error, 0);
}

static void free_victim(struct result *r)
{
	TALLOC_FREE(r->victim);
}

static void test_free_from_a_callback(void **state)
{
	struct fixture *f = *state;
	struct result *a = NULL;
	struct result *b = NULL;
	struct result *c = NULL;

	fake_cee_rule(&f->fake, "@heartbeat", "delay 0.1\nclean");
	a = ask(f, PATIENCE);
	b = ask(f, PATIENCE);
	c = ask(f, PATIENCE);
	a->then = free_victim;
	a->victim = b;			/* another request */
	wait_for(f, &a->done);
	wait_for(f, &c->done);
	assert_int_equal(c->error, 0);

	a = ask(f, PATIENCE);
	b = ask(f, PATIENCE);
	a->then = free_victim;
	a->victim = f->http;		/* all there is */
	wait_for(f, &a->done);
	wait_for(f, &b->done);
	assert_true(b->error == ECANCELED || b->error == 0);
}

static void test_http_goes_first(void **state)
{
	struct fixture *f = *state;
	struct result *r = NULL;

	fake_cee_rule(&f->fake, "@heartbeat", "hang");
	r = ask(f, 20000);
	fake_cee_wait_logged(&f->fake, f->ev, "heartbeat", 1);
	TALLOC_FREE(f->http);
	assert_false(r->done);
	wait_for(f, &r->done);
	assert_int_equal(r->error, ECANCELED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reply),
		TEST(test_status_is_an_answer),
		TEST(test_faults),
		TEST(test_nobody_there),
		TEST(test_urls),
		TEST(test_no_proxy),
		TEST(test_certificate),
		TEST(test_keep_alive),
		TEST(test_connections),
		TEST(test_free_in_the_middle),
		TEST(test_free_from_a_callback),
		TEST(test_http_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
