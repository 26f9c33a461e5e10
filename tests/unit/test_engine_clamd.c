/* includes: cavad/engine_clamd.c
 *
 * The clamd engine against a scripted socket, reply by reply, and against
 * the real clamd with a database of one line.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cavad/engine_clamd.c"

#define CONTENT "what is in the file"

struct fixture {
	char dir[64];
	char uri[128];
	struct tevent_context *ev;
	struct config config;
	struct server_object server;
	struct engine *engine;
	int fd;			/* the file */

	/* the scripted clamd */
	int listener;
	pthread_t thread;
	bool serves;		/* the thread is there */
	const char *reply;
	size_t reply_len;
	bool stay;		/* keep the connection open, say no more */
	char command[32];	/* what it was asked */
	char content[64];	/* read from the descriptor it was given */

	bool done;
	int error;
	struct engine_answer answer;
	struct engine_status status;
};

static int setup(void **state)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char *error = NULL;

	alarm(60);
	setenv("TZ", "UTC", 1);
	strcpy(f->dir, "/tmp/clamd.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->uri, sizeof(f->uri), "clamd:%s/sock", f->dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", f->dir);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&addr,
			      sizeof(addr)), 0);
	assert_int_equal(listen(f->listener, 5), 0);

	f->fd = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(write(f->fd, CONTENT, strlen(CONTENT)),
			 strlen(CONTENT));
	f->ev = tevent_context_init(f);
	f->server.name = "c";
	f->server.server_uri = f->uri;
	f->server.clamd_size_maximum = 1000;
	f->server.connections_maximum = 20;
	assert_int_equal(engine_clamd.create(f, f->ev, &f->config, &f->server,
					     &f->engine, &error), 0);
	*state = f;
	return 0;
}

static int removed(const char *path, const struct stat *st, int flag,
		   struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->serves) {	/* a test that failed has not waited for it */
		shutdown(f->listener, SHUT_RD);
		TALLOC_FREE(f->engine);
		pthread_join(f->thread, NULL);
	}
	close(f->listener);
	close(f->fd);
	nftw(f->dir, removed, 8, FTW_DEPTH | FTW_PHYS);
	talloc_free(f);
	return 0;
}

/* As clamd reads: a descriptor may come with any byte. False: the end. */
static bool take_byte(struct fixture *f, int sock, char *byte)
{
	char space[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { .iov_base = byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (n == 1 && CMSG_FIRSTHDR(&msg) != NULL) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		n = pread(fd, f->content, sizeof(f->content) - 1, 0);
		close(fd);
		return n >= 0;
	}
	return n == 1;
}

static void read_command(struct fixture *f, int sock)
{
	size_t i;

	for (i = 0; i < sizeof(f->command); i++) {
		if (!take_byte(f, sock, &f->command[i]) ||
		    f->command[i] == '\0') {
			break;
		}
	}
}

/* One connection of the scripted clamd, in a thread of its own. */
static void *serve(void *private_data)
{
	struct fixture *f = private_data;
	int sock = accept(f->listener, NULL, NULL);
	char byte = 0;

	read_command(f, sock);
	if (strcmp(f->command, "zIDSESSION") == 0) {
		read_command(f, sock);
	}
	if (strcmp(f->command, "zFILDES") == 0) {
		(void)take_byte(f, sock, &byte);
	}
	(void)send(sock, f->reply, f->reply_len, MSG_NOSIGNAL);
	if (f->stay) {
		(void)take_byte(f, sock, &byte);	/* till it goes */
	}
	close(sock);
	return NULL;
}

static void script(struct fixture *f, const char *reply, size_t len)
{
	f->reply = reply;
	f->reply_len = len;
	memset(f->command, 0, sizeof(f->command));
	memset(f->content, 0, sizeof(f->content));
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
	f->serves = true;
}

static void served(struct fixture *f)
{
	if (f->error == ENOMEM) {	/* nobody came, and nobody will */
		shutdown(f->listener, SHUT_RD);
	}
	pthread_join(f->thread, NULL);
	f->serves = false;
}

static void scanned(struct tevent_req *req)
{
	struct fixture *f = tevent_req_callback_data_void(req);

	f->error = engine_clamd.scan_recv(req, &f->answer);
	talloc_free(req);
	f->done = true;
}

static void beaten(struct tevent_req *req)
{
	struct fixture *f = tevent_req_callback_data_void(req);

	f->error = engine_clamd.heartbeat_recv(req, &f->status);
	talloc_free(req);
	f->done = true;
}

static void wait_done(struct fixture *f)
{
	while (!f->done) {
		assert_int_equal(tevent_loop_once(f->ev), 0);
	}
	f->done = false;
}

static struct engine_answer *ask(struct fixture *f, uint64_t size)
{
	struct engine_scan s = {
		.id = 1, .path = "/srv/x", .fd = f->fd, .size = size,
		.timeout = 1,
	};
	struct tevent_req *req = NULL;

	req = engine_clamd.scan_send(f, f->ev, f->engine, &s);
	assert_non_null(req);
	tevent_req_set_callback(req, scanned, f);
	wait_done(f);
	return &f->answer;
}

static struct engine_answer *scan(struct fixture *f, const char *reply,
				  size_t len)
{
	script(f, reply, len);
	ask(f, strlen(CONTENT));
	served(f);
	return &f->answer;
}

static struct engine_status *heartbeat(struct fixture *f)
{
	struct tevent_req *req = NULL;

	req = engine_clamd.heartbeat_send(f, f->ev, f->engine);
	assert_non_null(req);
	tevent_req_set_callback(req, beaten, f);
	wait_done(f);
	return &f->status;
}

static void test_passes_the_descriptor(void **state)
{
	struct fixture *f = *state;

	scan(f, "1: fd[10]: OK", 14);
	assert_int_equal(f->error, 0);
	assert_int_equal(f->answer.result, VERDICT_CLEAN);
	assert_string_equal(f->command, "zFILDES");
	assert_string_equal(f->content, CONTENT);
}

static void test_replies(void **state)
{
	static const struct {
		const char *reply;
		enum verdict_result result;
		enum verdict_reason reason;
		const char *threat;
	} rows[] = {
		{ "fd[10]: OK", VERDICT_CLEAN, 0, "" },
		{ "fd[10]: Eicar-Test-Signature FOUND", VERDICT_INFECTED, 0,
		  "Eicar-Test-Signature" },
		{ "fd[9]: A: B FOUND", VERDICT_INFECTED, 0, "A: B" },
		{ "fd[10]: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
		  VERDICT_UNSCANNABLE, VERDICT_REASON_LIMIT, "" },
		{ "fd[10]: Heuristics.Encrypted.Zip FOUND",
		  VERDICT_UNSCANNABLE, VERDICT_REASON_ENCRYPTED, "" },
		{ "fd[10]: Can't allocate memory ERROR", VERDICT_FAILED,
		  VERDICT_REASON_SERVER_ERROR, "" },
		{ "No file descriptor received. ERROR", VERDICT_FAILED,
		  VERDICT_REASON_SERVER_ERROR, "" },
		{ "UNKNOWN COMMAND", VERDICT_FAILED,
		  VERDICT_REASON_BAD_REPLY, "" },
		{ "OK", VERDICT_FAILED, VERDICT_REASON_BAD_REPLY, "" },
		{ "fd[10]: NOT OK", VERDICT_FAILED,
		  VERDICT_REASON_BAD_REPLY, "" },
		{ "fd[10]: ", VERDICT_FAILED, VERDICT_REASON_BAD_REPLY, "" },
		{ "", VERDICT_FAILED, VERDICT_REASON_BAD_REPLY, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct engine_answer a = { 0 };

		engine_clamd_judge(rows[i].reply, &a);
		if (a.result != rows[i].result || a.reason != rows[i].reason ||
		    strcmp(a.threat, rows[i].threat) != 0) {
			fail_msg("%s: %d %d %s", rows[i].reply, a.result,
				 a.reason, a.threat);
		}
		assert_int_equal(a.server_fault, a.result == VERDICT_FAILED);
	}
}

static void test_faults(void **state)
{
	struct fixture *f = *state;
	char *much = talloc_zero_array(f, char, 5000);

	scan(f, "1: fd[10]: OK", 13);	/* cut short: no NUL */
	assert_int_equal(f->error, ECONNRESET);
	scan(f, "", 0);
	assert_int_equal(f->error, ECONNRESET);

	memset(much, 'x', 5000);
	scan(f, much, 5000);
	assert_true(f->error == 0 || f->error == ECONNRESET);
	assert_int_not_equal(f->answer.result, VERDICT_CLEAN);

	f->stay = true;
	scan(f, "1: fd[10]: O", 12);
	assert_int_equal(f->error, ETIMEDOUT);
	assert_string_not_equal(f->answer.detail, "");

	close(f->listener);
	ask(f, 1);
	assert_int_equal(f->error, ECONNREFUSED);
}

/* The second scan is sent over the session of the first; clamd has gone. */
static void test_session_that_has_ended(void **state)
{
	struct fixture *f = *state;

	scan(f, "1: fd[10]: OK", 14);
	assert_int_equal(f->engine->idle_num, 1);
	scan(f, "1: fd[10]: OK", 14);
	assert_int_equal(f->error, 0);
	assert_int_equal(f->answer.result, VERDICT_CLEAN);
	assert_string_equal(f->content, CONTENT);
	assert_int_equal(f->engine->idle_num, 1);
}

/* What is no answer to this question is none. */
static void test_numbers(void **state)
{
	static const struct {
		const char *reply;
		size_t len;
	} rows[] = {
		{ "2: fd[10]: OK", 14 }, { "fd[10]: OK", 11 },
		{ "1:fd[10]: OK", 13 }, { "1: fd[10]: OK\0x", 15 },
		{ "11: fd[10]: OK", 15 }, { "", 1 },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scan(f, rows[i].reply, rows[i].len);
		assert_int_equal(f->error, 0);
		assert_int_equal(f->answer.result, VERDICT_FAILED);
		assert_int_equal(f->answer.reason, VERDICT_REASON_BAD_REPLY);
		assert_true(f->answer.server_fault);
		assert_int_equal(f->engine->idle_num, 0);
	}
}

static void test_size(void **state)
{
	struct fixture *f = *state;

	ask(f, 1001);			/* nobody serves: it is not asked */
	assert_int_equal(f->error, 0);
	assert_int_equal(f->answer.result, VERDICT_UNSCANNABLE);
	assert_int_equal(f->answer.reason, VERDICT_REASON_LIMIT);
	script(f, "1: fd[10]: OK", 14);
	ask(f, 1000);
	served(f);
	assert_int_equal(f->answer.result, VERDICT_CLEAN);
}

/* More connections than the listener takes: they wait, none is lost. */
static void test_backlog(void **state)
{
	struct fixture *f = *state;
	struct engine_scan s = {
		.id = 1, .path = "/srv/x", .fd = f->fd, .timeout = 30,
	};
	struct tevent_req *req[12] = { NULL };
	int waiting = 0;
	size_t i;

	for (i = 0; i < 12; i++) {
		req[i] = engine_clamd.scan_send(f, f->ev, f->engine, &s);
		assert_non_null(req[i]);
		waiting += tevent_req_is_in_progress(req[i]);
	}
	assert_int_equal(waiting, 12);
	for (i = 0; i < 11; i++) {
		talloc_free(req[i]);	/* some connected, some not */
	}
	for (i = 0; i < 6; i++) {
		close(accept(f->listener, NULL, NULL));
	}
	tevent_req_set_callback(req[11], scanned, f);
	script(f, "1: fd[10]: OK", 14);
	wait_done(f);
	served(f);
	assert_int_equal(f->answer.result, VERDICT_CLEAN);
}

static void test_heartbeats(void **state)
{
	struct fixture *f = *state;
	static const char dated[] =
		"ClamAV 1.4.1/27300/Mon Jan  1 10:00:00 2024";
	static const char bare[] = "ClamAV 1.4.6";
	static const char other[] = "220 mail ESMTP";

	script(f, dated, sizeof(dated));
	heartbeat(f);
	served(f);
	assert_string_equal(f->command, "zVERSION");
	assert_true(f->status.online && f->status.av_ok);
	assert_string_equal(f->status.vendor, "ClamAV 1.4.1");
	assert_string_equal(f->status.version, "ClamAV 1.4.1/27300");
	assert_int_equal(f->status.signature_time, 1704103200);

	script(f, bare, sizeof(bare));
	heartbeat(f);
	served(f);
	assert_true(f->status.online && f->status.av_ok);
	assert_string_equal(f->status.vendor, "ClamAV 1.4.6");
	assert_int_equal(f->status.signature_time, 0);

	script(f, other, sizeof(other));
	heartbeat(f);
	served(f);
	assert_false(f->status.online);

	close(f->listener);
	heartbeat(f);
	assert_int_equal(f->error, ECONNREFUSED);
}

static void test_times(void **state)
{
	(void)state;
	assert_int_equal(engine_clamd_time("Mon Jan  1 10:00:00 2024"),
			 1704103200);
	assert_int_equal(engine_clamd_time("Mon anF  1 10:00:00 2024"), 0);
	assert_int_equal(engine_clamd_time("Mon Jan"), 0);
	assert_int_equal(engine_clamd_time(""), 0);
}

static void test_uris(void **state)
{
	static const char *const bad[] = {
		"clamd:", "clamd:relative",
		"clamd:/0123456789012345678901234567890123456789012345678901"
		"234567890123456789012345678901234567890123456789012345678901",
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct engine *e = NULL;
		char *error = NULL;
		int ret;

		f->server.server_uri = bad[i];
		ret = engine_clamd.create(f, f->ev, &f->config, &f->server,
					  &e, &error);
		assert_int_equal(ret, EINVAL);
		assert_non_null(strstr(error, bad[i]));
	}
}

/* The real one: EICAR by a database that holds nothing else. */
static pid_t clamd_start(struct fixture *f)
{
	char conf[128] = "";
	char path[128] = "";
	FILE *out = NULL;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/t.ndb", f->dir);
	out = fopen(path, "w");
	assert_non_null(out);
	fprintf(out, "Test-Only:0:*:4341564154455354\n");	/* CAVATEST */
	fclose(out);
	snprintf(conf, sizeof(conf), "%s/conf", f->dir);
	out = fopen(conf, "w");
	assert_non_null(out);
	fprintf(out, "LocalSocket %s/real\nDatabaseDirectory %s\n"
		"Foreground yes\nLogFile %s/log\n", f->dir, f->dir, f->dir);
	fclose(out);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("clamd", "clamd", "-c", conf, NULL);
		execl("/usr/sbin/clamd", "clamd", "-c", conf, NULL);
		_exit(127);
	}
	return pid;
}

static void test_real_clamd(void **state)
{
	struct fixture *f = *state;
	pid_t pid = clamd_start(f);
	char *error = NULL;
	int ret;

	TALLOC_FREE(f->engine);
	snprintf(f->uri, sizeof(f->uri), "clamd:%s/real", f->dir);
	ret = engine_clamd.create(f, f->ev, &f->config, &f->server,
				  &f->engine, &error);
	assert_int_equal(ret, 0);
	do {
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		heartbeat(f);
	} while (f->error != 0);
	assert_true(f->status.online && f->status.av_ok);
	assert_non_null(strstr(f->status.vendor, "ClamAV "));

	ask(f, strlen(CONTENT));
	assert_int_equal(f->error, 0);
	assert_int_equal(f->answer.result, VERDICT_CLEAN);
	assert_int_equal(pwrite(f->fd, "a CAVATEST file", 15, 0), 15);
	ask(f, 15);
	assert_int_equal(f->error, 0);
	assert_int_equal(f->answer.result, VERDICT_INFECTED);
	assert_string_equal(f->answer.threat, "Test-Only.UNOFFICIAL");
	assert_int_equal(f->engine->idle_num, 1);
	assert_int_equal(LIST_FIRST(&f->engine->idle)->count, 2);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (f->engine->idle_num > 0) {	/* it sees the end of it */
		assert_int_equal(tevent_loop_once(f->ev), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_passes_the_descriptor),
		TEST(test_replies),
		TEST(test_faults),
		TEST(test_session_that_has_ended),
		TEST(test_numbers),
		TEST(test_size),
		TEST(test_backlog),
		TEST(test_heartbeats),
		TEST(test_times),
		TEST(test_uris),
		TEST(test_real_clamd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
