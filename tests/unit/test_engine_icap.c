/*
 * The ICAP engine against a server that is a script: a thread that takes a
 * request and says what the test wants it to, on a loopback socket.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cavad/engine.h"
#include "cavad/object.h"

#define STEPS 12
#define OPTIONS_OK "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\n" \
	"Service: Fake 1 - Scanner\r\nISTag: \"one\"\r\nPreview: 4\r\n" \
	"Max-Connections: 7\r\nAllow: 204\r\n" \
	"Encapsulated: null-body=0\r\n\r\n"
#define CLEAN "ICAP/1.0 204 No\r\nISTag: \"one\"\r\n\r\n"
#define CLEAN_TWO "ICAP/1.0 204 No\r\nISTag: \"two\"\r\n\r\n"
#define CONTINUE "ICAP/1.0 100 Continue\r\n\r\n"
#define INFECTED "ICAP/1.0 200 OK\r\nISTag: \"one\"\r\n" \
	"X-Infection-Found: Type=0; Resolution=2; Threat=Bad;\r\n" \
	"Encapsulated: null-body=0\r\n\r\n"
#define SAY(text) { .reply = text }
#define CONTENT "0123456789abcdef"

/* What the server does, in order; each waits for a request first. */
struct step {
	const char *reply;	/* NULL = nothing */
	bool close;		/* afterwards */
	bool at_once;		/* after the header of the request */
	bool drip;		/* byte by byte, without an end */
};

struct fixture {
	struct tevent_context *ev;
	struct engine *e;
	struct server_object *object;
	int listener;
	int fd;
	pthread_t thread;
	struct step steps[STEPS];
	atomic_uint connections;	/* that it was asked for */
	char asked[STEPS][4096];
};

/* Up to the end of a request: its header's, of a preview, or of a body. */
static bool request_taken(int sock, char *text, size_t size, bool head_only)
{
	size_t len = 0;
	char *body = NULL;
	ssize_t n = 0;

	for (;;) {
		n = recv(sock, text + len, size - 1 - len, 0);
		if (n <= 0) {
			return false;
		}
		len += (size_t)n;
		text[len] = '\0';
		body = strstr(text, "\r\n\r\n");
		if (strncmp(text, "OPTIONS", 7) == 0 ? body != NULL :
		    head_only && body != NULL) {
			return true;
		}
		if (len >= 7 &&
		    (strcmp(text + len - 7, "\r\n0\r\n\r\n") == 0 ||
		     strstr(text, "0; ieof\r\n\r\n") != NULL)) {
			return true;
		}
	}
}

static void drip(int sock, const char *text)
{
	for (;;) {
		if (send(sock, text, 1, MSG_NOSIGNAL) != 1) {
			return;
		}
		text += text[1] != '\0';
		poll(NULL, 0, 20);
	}
}

static void *serve(void *private_data)
{
	struct fixture *f = private_data;
	unsigned int i = 0;
	int sock = -1;

	for (i = 0; i < STEPS; i++) {
		const struct step *step = &f->steps[i];
		bool again = true;

		while (again) {
			if (sock == -1) {
				sock = accept(f->listener, NULL, NULL);
				if (sock == -1) {
					return NULL;
				}
				f->connections++;
			}
			again = !request_taken(sock, f->asked[i],
					       sizeof(f->asked[i]),
					       step->at_once);
			if (again) {
				close(sock);
				sock = -1;
			}
		}
		if (step->drip) {
			drip(sock, step->reply);
		} else if (step->reply != NULL) {
			send(sock, step->reply, strlen(step->reply),
			     MSG_NOSIGNAL);
		}
		if (step->close || step->drip) {
			close(sock);
			sock = -1;
		}
	}
	return NULL;
}

static int setup(void **state)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);

	alarm(60);
	signal(SIGPIPE, SIG_IGN);
	f->ev = tevent_context_init(f);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&addr,
			      sizeof(addr)), 0);
	assert_int_equal(listen(f->listener, 5), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&addr,
				     &len), 0);
	f->fd = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(write(f->fd, CONTENT, strlen(CONTENT)),
			 strlen(CONTENT));
	f->object = talloc_zero(f, struct server_object);
	f->object->server_uri = talloc_asprintf(
		f->object, "icap://127.0.0.1:%d/av/scan",
		ntohs(addr.sin_port));
	f->object->ca_file = "";
	f->object->connections_maximum = 20;
	f->object->icap_size_maximum = 1000;
	f->object->icap_test_interval = 300;
	*state = f;
	return 0;
}

/* After f->steps were written. */
static void start(struct fixture *f)
{
	char *error = NULL;
	int ret = engine_icap.create(f, f->ev, NULL, f->object, &f->e,
				     &error);

	assert_int_equal(ret, 0);
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	TALLOC_FREE(f->e);
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
	close(f->fd);
	talloc_free(f);
	alarm(0);
	return 0;
}

static int scan_sized(struct fixture *f, uint64_t size, uint32_t timeout,
		      struct engine_answer *answer)
{
	struct engine_scan scan = { .id = 1, .path = "/srv/a", .fd = f->fd,
				    .size = size, .timeout = timeout };
	struct tevent_req *req = NULL;
	int ret = 0;

	req = engine_icap.scan_send(f, f->ev, f->e, &scan);
	assert_non_null(req);
	assert_true(tevent_req_poll(req, f->ev));
	memset(answer, 0, sizeof(*answer));
	ret = engine_icap.scan_recv(req, answer);
	talloc_free(req);
	return ret;
}

static enum verdict_result scanned(struct fixture *f)
{
	struct engine_answer answer;

	assert_int_equal(scan_sized(f, strlen(CONTENT), 10, &answer), 0);
	return answer.result;
}

static int beat(struct fixture *f, struct engine_status *status)
{
	struct tevent_req *req = NULL;
	int ret = 0;

	req = engine_icap.heartbeat_send(f, f->ev, f->e);
	assert_non_null(req);
	assert_true(tevent_req_poll(req, f->ev));
	memset(status, 0, sizeof(*status));
	ret = engine_icap.heartbeat_recv(req, status);
	talloc_free(req);
	return ret;
}

static struct engine_status good_beat(struct fixture *f)
{
	struct engine_status status;

	assert_int_equal(beat(f, &status), 0);
	assert_true(status.online);
	return status;
}

/* OPTIONS, EICAR, harmless text, over one connection; then OPTIONS alone. */
static void test_heartbeat(void **state)
{
	struct fixture *f = *state;
	struct engine_status status;
	struct step steps[] = { SAY(OPTIONS_OK), SAY(INFECTED), SAY(CLEAN),
				SAY(OPTIONS_OK) };

	memcpy(f->steps, steps, sizeof(steps));
	start(f);
	status = good_beat(f);
	assert_true(status.av_ok);
	assert_string_equal(status.version, "Fake 1 - Scanner");
	assert_string_equal(status.vendor, "Scanner");
	assert_string_equal(status.address, "127.0.0.1");
	assert_int_equal(status.connections, 7);
	assert_int_equal(status.signature_time, 0);
	assert_true(good_beat(f).av_ok);
	assert_int_equal(f->connections, 1);
	assert_memory_equal(f->asked[0], "OPTIONS icap://127.0.0.1:", 25);
	assert_non_null(strstr(f->asked[0], "/av/scan ICAP/1.0\r\n"));
	assert_non_null(strstr(f->asked[1], "\r\n4\r\nX5O!\r\n0\r\n\r\n"));
	assert_memory_equal(f->asked[3], "OPTIONS", 7);
}

static const struct {
	struct step steps[3];
	bool online;
	const char *detail;
} bad_beats[] = {
	{ { SAY(OPTIONS_OK), SAY(CLEAN), SAY(CLEAN) }, true,
	  "the test file of EICAR passes" },
	{ { SAY(OPTIONS_OK), SAY("ICAP/1.0 500 Error\r\n\r\n"), SAY(CLEAN) },
	  true, "is not found (ICAP status 500)" },
	{ { SAY(OPTIONS_OK), SAY(INFECTED), SAY(INFECTED) }, true,
	  "harmless text gets no 204" },
	{ { SAY("ICAP/1.0 404 None\r\n\r\n") }, false, "ICAP status 404" },
	{ { SAY("ICAP/1.0 200 OK\r\nMethods: REQMOD\r\n\r\n") }, false,
	  "no RESPMOD" },
	{ { SAY("HTTP/1.1 400 Bad\r\n\r\n") }, false, "no ICAP server" },
};

static void test_heartbeat_bad(void **state)
{
	struct fixture *f = *state;
	struct engine_status status;
	size_t i = 0;

	for (i = 0; i < sizeof(bad_beats) / sizeof(bad_beats[0]); i++) {
		memset(f->steps, 0, sizeof(f->steps));
		memcpy(f->steps, bad_beats[i].steps,
		       sizeof(bad_beats[i].steps));
		start(f);
		assert_int_equal(beat(f, &status), 0);
		assert_false(status.av_ok);
		assert_int_equal(status.online, bad_beats[i].online);
		assert_non_null(strstr(status.detail, bad_beats[i].detail));
		teardown(state);
		setup(state);
		f = *state;
	}
	start(f);
}

/* Preview, 100, the rest; the connection is used again. */
static void test_scan(void **state)
{
	struct fixture *f = *state;
	struct engine_answer answer;
	struct step steps[] = { SAY(OPTIONS_OK), SAY(INFECTED), SAY(CLEAN),
				SAY(CONTINUE), SAY(CLEAN), SAY(INFECTED) };

	memcpy(f->steps, steps, sizeof(steps));
	start(f);
	good_beat(f);
	assert_int_equal(scan_sized(f, strlen(CONTENT), 10, &answer), 0);
	assert_int_equal(answer.result, VERDICT_CLEAN);
	assert_int_equal(answer.bytes, strlen(CONTENT));
	assert_string_equal(answer.engine, "Fake 1 - Scanner");
	assert_non_null(strstr(f->asked[3], "Preview: 4\r\n"));
	assert_non_null(strstr(f->asked[3], "\r\n4\r\n0123\r\n0\r\n\r\n"));
	assert_string_equal(f->asked[4], "c\r\n456789abcdef\r\n0\r\n\r\n");
	assert_int_equal(scan_sized(f, strlen(CONTENT), 10, &answer), 0);
	assert_int_equal(answer.result, VERDICT_INFECTED);
	assert_string_equal(answer.threat, "Bad");
	assert_int_equal(f->connections, 1);
}

/* Without a preview, and answered before the body is there. */
static void test_early_answer(void **state)
{
	struct fixture *f = *state;
	struct step steps[] = { { .reply = INFECTED, .at_once = true,
				  .close = true },
				SAY(CLEAN) };

	memcpy(f->steps, steps, sizeof(steps));
	start(f);
	assert_int_equal(scanned(f), VERDICT_INFECTED);
	assert_int_equal(scanned(f), VERDICT_CLEAN);
	assert_int_equal(f->connections, 2);
	assert_null(strstr(f->asked[1], "Preview"));
}

/* What was kept open and has been closed is not the file's fault. */
static void test_stale_connection(void **state)
{
	struct fixture *f = *state;
	struct step steps[] = { { .reply = CLEAN, .close = true }, SAY(CLEAN) };

	memcpy(f->steps, steps, sizeof(steps));
	start(f);
	assert_int_equal(scanned(f), VERDICT_CLEAN);
	assert_int_equal(scanned(f), VERDICT_CLEAN);
	assert_int_equal(f->connections, 2);
}

/* A new tag is signatures of now, and a reason to test once more. */
static void test_tag(void **state)
{
	struct fixture *f = *state;
	struct engine_status status;
	int64_t before = time(NULL);
	struct step steps[] = { SAY(OPTIONS_OK), SAY(INFECTED), SAY(CLEAN),
				SAY(CLEAN_TWO), SAY(OPTIONS_OK), SAY(INFECTED),
				SAY(CLEAN) };

	memcpy(f->steps, steps, sizeof(steps));
	start(f);
	assert_int_equal(good_beat(f).signature_time, 0);
	assert_int_equal(scanned(f), VERDICT_CLEAN);
	status = good_beat(f);
	assert_true(status.av_ok);
	assert_true(status.signature_time >= before);
	assert_memory_equal(f->asked[6], "RESPMOD", 7);
}

static const struct {
	struct step step;
	int error;
	enum verdict_reason reason;
} bad_scans[] = {
	{ { .reply = NULL, .close = true }, ECONNRESET, 0 },
	{ { .reply = "ICAP/1.0 20", .close = true }, ECONNRESET, 0 },
	{ SAY(NULL), ETIMEDOUT, 0 },
	{ { .reply = "ICAP/1.0 204 No", .drip = true }, ETIMEDOUT, 0 },
	{ SAY("ICAP/1.0 302 Found\r\nLocation: icap://other/\r\n\r\n"), 0,
	  VERDICT_REASON_SERVER_ERROR },
	{ SAY("ICAP/1.0 500 Error\r\n\r\n"), 0, VERDICT_REASON_SERVER_ERROR },
	{ SAY("nonsense\r\n"), 0, VERDICT_REASON_BAD_REPLY },
	{ SAY(CLEAN CLEAN), 0, VERDICT_REASON_BAD_REPLY },
	{ SAY(CONTINUE), 0, VERDICT_REASON_SERVER_ERROR },
};

static void test_scan_bad(void **state)
{
	struct fixture *f = *state;
	struct engine_answer answer;
	size_t i = 0;
	int ret = 0;

	for (i = 0; i < sizeof(bad_scans) / sizeof(bad_scans[0]); i++) {
		memset(f->steps, 0, sizeof(f->steps));
		f->steps[0] = bad_scans[i].step;
		start(f);
		ret = scan_sized(f, strlen(CONTENT), 1, &answer);
		assert_int_equal(ret, bad_scans[i].error);
		assert_int_not_equal(answer.result, VERDICT_CLEAN);
		if (ret == 0) {
			assert_int_equal(answer.result, VERDICT_FAILED);
			assert_int_equal(answer.reason, bad_scans[i].reason);
			assert_true(answer.server_fault);
		}
		teardown(state);
		setup(state);
		f = *state;
	}
	start(f);
}

/* No question, no answer of a server. */
static void test_sizes(void **state)
{
	struct fixture *f = *state;
	struct engine_answer answer;

	start(f);
	assert_int_equal(scan_sized(f, 1001, 1, &answer), 0);
	assert_int_equal(answer.result, VERDICT_UNSCANNABLE);
	assert_int_equal(answer.reason, VERDICT_REASON_LIMIT);
	assert_int_equal(scan_sized(f, 0, 1, &answer), 0);
	assert_int_equal(answer.result, VERDICT_CLEAN);
	assert_int_equal(f->connections, 0);
}

static void test_file_became_shorter(void **state)
{
	struct fixture *f = *state;
	struct engine_answer answer;

	start(f);
	assert_int_equal(scan_sized(f, strlen(CONTENT) + 1, 10, &answer), 0);
	assert_int_equal(answer.result, VERDICT_FAILED);
	assert_int_equal(answer.reason, VERDICT_REASON_IO);
	assert_false(answer.server_fault);
	assert_non_null(strstr(answer.detail, "it became shorter"));
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct engine_answer answer;

	start(f);
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	assert_int_equal(scan_sized(f, 1, 10, &answer), ECONNREFUSED);
	assert_int_not_equal(answer.detail[0], '\0');
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

/* Freed in the middle, the engine too: the thread ends by itself. */
static void test_cancelled(void **state)
{
	struct fixture *f = *state;
	struct engine_scan scan = { .id = 1, .path = "/srv/a", .fd = f->fd,
				    .size = 3, .timeout = 50 };
	struct tevent_req *req = NULL;
	unsigned int i = 0;

	start(f);
	for (i = 0; i < 5; i++) {
		req = engine_icap.scan_send(f, f->ev, f->e, &scan);
		while (f->connections == i) {
			sched_yield();
		}
		talloc_free(req);
	}
	talloc_free(engine_icap.scan_send(f, f->ev, f->e, &scan));
}

static const char *const bad_uris[] = {
	"icap:", "icap://", "icap://host", "icap://host/", "icap:///av",
	"icap://host:0x/av", "icap://host:99999/av", "icap://me@host/av",
	"icap://ho st/av", "icap://host/a b", "icap:host/av",
};

static void test_uris(void **state)
{
	struct fixture *f = *state;
	struct engine *e = NULL;
	char *error = NULL;
	size_t i = 0;

	for (i = 0; i < sizeof(bad_uris) / sizeof(bad_uris[0]); i++) {
		f->object->server_uri = talloc_strdup(f->object, bad_uris[i]);
		assert_int_equal(engine_icap.create(f, f->ev, NULL, f->object,
						    &e, &error), EINVAL);
		assert_non_null(strstr(error, "not of the form "
				       "icap://HOST[:PORT]/SERVICE"));
	}
	f->object->server_uri = talloc_strdup(f->object, "icaps://[::1]/a/b");
	assert_int_equal(engine_icaps.create(f, f->ev, NULL, f->object, &f->e,
					     &error), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, \
						   teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(heartbeat),
		TEST(heartbeat_bad),
		TEST(scan),
		TEST(early_answer),
		TEST(stale_connection),
		TEST(tag),
		TEST(scan_bad),
		TEST(sizes),
		TEST(file_became_shorter),
		TEST(refused),
		TEST(cancelled),
		TEST(uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
