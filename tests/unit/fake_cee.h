/*
 * tests/fakes/fake_cee.py for a unit test: started on a free port of a
 * loopback address below a scratch directory, and ended with the test.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_UNIT_FAKE_CEE_H
#define TESTS_UNIT_FAKE_CEE_H

#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tevent.h>
#include <unistd.h>

struct fake_cee {
	pid_t pid;
	unsigned int port;
	int place;		/* holds the port once it has been killed */
	char dir[64];
};

#ifndef TESTS_DIR		/* the build says it */
#define TESTS_DIR "tests"
#endif

/* A rule as the fake's documentation has them; replaced as a whole. */
static void fake_cee_rule(const struct fake_cee *f, const char *name,
			  const char *text)
{
	char path[256] = "";
	char tmp[256] = "";
	FILE *out = NULL;

	snprintf(path, sizeof(path), "%s/rules/%s", f->dir, name);
	snprintf(tmp, sizeof(tmp), "%s/rules/.%s", f->dir, name);
	out = fopen(tmp, "w");
	assert_non_null(out);
	fprintf(out, "%s\n", text);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(rename(tmp, path), 0);
}

/* tls: NULL, or a file with certificate and key */
static void fake_cee_start_tls(struct fake_cee *f, const char *tls)
{
	const char *program = TESTS_DIR "/fakes/fake_cee.py";
	char line[128] = "";
	FILE *in = NULL;
	int fds[2];

	strcpy(f->dir, "/tmp/fake_cee.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(pipe(fds), 0);
	f->pid = fork();
	assert_int_not_equal(f->pid, -1);
	if (f->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execlp("python3", "python3", program, "--listen",
		       "127.0.0.1:0", "--dir", f->dir,
		       tls != NULL ? "--tls" : NULL, tls, NULL);
		_exit(127);
	}
	close(fds[1]);
	in = fdopen(fds[0], "r");
	assert_non_null(in);
	assert_non_null(fgets(line, sizeof(line), in));
	assert_int_equal(sscanf(line, "listening on 127.0.0.1:%u", &f->port),
			 1);
	fclose(in);
}

static inline void fake_cee_start(struct fake_cee *f)
{
	fake_cee_start_tls(f, NULL);
}

/* A number the fake keeps in a file ("peak", "connections"); 0 = none */
static inline int fake_cee_number(const struct fake_cee *f, const char *name)
{
	char path[256] = "";
	FILE *in = NULL;
	int number = 0;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	in = fopen(path, "r");
	if (in != NULL) {
		assert_int_equal(fscanf(in, "%d", &number), 1);
		fclose(in);
	}
	return number;
}

/* How often the text stands in the log of requests. */
static inline int fake_cee_logged(const struct fake_cee *f, const char *text)
{
	char line[4096] = "";
	char path[256] = "";
	FILE *in = NULL;
	int count = 0;

	snprintf(path, sizeof(path), "%s/log.jsonl", f->dir);
	in = fopen(path, "r");
	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		count += strstr(line, text) != NULL;
	}
	if (in != NULL) {
		fclose(in);
	}
	return count;
}

static inline void fake_cee_tick(struct tevent_context *ev,
				 struct tevent_timer *timer,
				 struct timeval now, void *private_data)
{
	(void)ev;
	(void)timer;
	(void)now;
	*(bool *)private_data = true;
}

/* Runs the loop until the text stands in the log so often. The log is a
 * file, so it is looked at again and again. */
static inline void fake_cee_wait_logged(const struct fake_cee *f,
					struct tevent_context *ev,
					const char *text, int count)
{
	while (fake_cee_logged(f, text) < count) {
		bool over = false;

		assert_non_null(tevent_add_timer(
			ev, ev, tevent_timeval_current_ofs(0, 5000),
			fake_cee_tick, &over));
		while (!over) {
			assert_int_equal(tevent_loop_once(ev), 0);
		}
	}
}

static int fake_cee_remove(const char *path, const struct stat *st, int flag,
			   struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* Nobody listens at its port any more, and no other test gets it. */
static inline void fake_cee_kill(struct fake_cee *f)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)f->port),
	};
	int on = 1;

	if (f->pid <= 0) {
		return;
	}
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	f->pid = 0;
	f->place = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_not_equal(f->place, -1);
	assert_int_equal(setsockopt(f->place, SOL_SOCKET, SO_REUSEADDR, &on,
				    sizeof(on)), 0);
	assert_int_equal(bind(f->place, (struct sockaddr *)&addr,
			      sizeof(addr)), 0);
}

static inline void fake_cee_stop(struct fake_cee *f)
{
	fake_cee_kill(f);
	if (f->place > 0) {
		close(f->place);
		f->place = 0;
	}
	nftw(f->dir, fake_cee_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
