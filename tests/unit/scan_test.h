/*
 * What the tests of scan, check and ipc share: a scratch directory as
 * check_root, the real files process and the real store, and in place of
 * cavad/server.c antivirus servers whose answers the test gives.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_SCAN_TEST_H
#define TESTS_SCAN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cavad/scan.h"
#include "common/proto.h"
#include "common/req.h"

#define LONG 10000		/* ms that anything may take at most */
#define FAKE_NAME "av"
#define FAKE_ADDR "192.0.2.7"

/* The servers. */

struct fake_ask {
	struct tevent_req *req;
	struct servers *s;
	struct engine_scan scan;
	char *unc;
	char *path;
	bool has_fd;
	struct tevent_immediate *im;
	void (*picked)(void *private_data, const char *server, bool fetches);
	void *private_data;
	struct engine_answer answer;
};

#define FAKE_MAX 1024

struct servers {
	struct tevent_context *ev;
	bool online;
	bool fetches;
	bool wants_fd;
	bool at_once;		/* clean, and fetched if fetches */
	struct scans *scans;	/* for at_once with fetches */
	unsigned int asked;
	unsigned int running_count;
	unsigned int most;
	struct fake_ask *running[FAKE_MAX];
	void (*usable_fn)(void *private_data);
	void *usable_private;
};

void servers_on_usable(struct servers *s, void (*fn)(void *private_data),
		       void *private_data)
{
	s->usable_fn = fn;
	s->usable_private = private_data;
}

bool servers_usable(const struct servers *s)
{
	return s->online;
}

bool servers_want_fd(const struct servers *s, const char *pool)
{
	(void)pool;
	return s->wants_fd;
}

bool servers_address(const struct servers *s, const char *server,
		     const char *addr)
{
	(void)s;
	return strcmp(server, FAKE_NAME) == 0 && strcmp(addr, FAKE_ADDR) == 0;
}

size_t servers_count(const struct servers *s)
{
	return s->online ? 1 : 0;
}

struct server_status servers_status(const struct servers *s, size_t i)
{
	(void)s;
	(void)i;
	return (struct server_status) {
		.name = FAKE_NAME, .pool = SERVER_POOL,
		.state = SERVER_ONLINE, .connections_maximum = 20,
	};
}

static inline void fake_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state)
{
	struct fake_ask *ask = tevent_req_data(req, struct fake_ask);
	struct servers *s = ask->s;
	unsigned int i;

	(void)req_state;
	for (i = 0; i < s->running_count; i++) {
		if (s->running[i] == ask) {
			s->running_count--;
			memmove(&s->running[i], &s->running[i + 1],
				(s->running_count - i) *
				sizeof(s->running[0]));
			return;
		}
	}
}

static inline void fake_pick(struct tevent_context *ev,
			     struct tevent_immediate *im, void *private_data)
{
	struct fake_ask *ask = private_data;
	struct servers *s = ask->s;

	(void)ev;
	(void)im;
	if (s->fetches && ask->unc == NULL) {
		ask->answer.result = VERDICT_FAILED;
		ask->answer.reason = VERDICT_REASON_NAME;
		tevent_req_done(ask->req);
		return;
	}
	ask->picked(ask->private_data, FAKE_NAME, s->fetches);
	s->running[s->running_count++] = ask;
	if (s->running_count > s->most) {
		s->most = s->running_count;
	}
	s->asked++;
	if (s->at_once) {
		if (s->fetches) {
			struct scan_outstanding o;
			struct ident ident;
			int fd = open(ask->path, O_PATH | O_CLOEXEC);

			assert_int_equal(ident_of_fd(fd, &ident), 0);
			close(fd);
			assert_true(scan_outstanding(s->scans, &ident, 0,
						     &o));
			scan_fetched(s->scans, &ident);
		}
		ask->answer.result = VERDICT_CLEAN;
		tevent_req_done(ask->req);
	}
}

struct tevent_req *servers_scan_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct servers *s,
				     const struct engine_scan *scan,
				     void (*picked)(void *private_data,
						    const char *server,
						    bool fetches),
				     void *private_data)
{
	struct fake_ask *ask = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &ask, struct fake_ask);
	ask->req = req;
	ask->s = s;
	ask->scan = *scan;
	ask->unc = talloc_strdup(ask, scan->unc);
	ask->path = talloc_strdup(ask, scan->path);
	ask->has_fd = scan->fd != -1;
	ask->picked = picked;
	ask->private_data = private_data;
	if (!s->online) {
		ask->answer.result = VERDICT_FAILED;
		ask->answer.reason = VERDICT_REASON_NO_SERVER;
		tevent_req_done(req);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_cleanup_fn(req, fake_cleanup);
	ask->im = tevent_create_immediate(ask);
	tevent_schedule_immediate(ask->im, ev, fake_pick, ask);
	return req;
}

int servers_scan_recv(struct tevent_req *req, struct engine_answer *answer,
		      char server[VERDICT_TEXT_MAX], bool *fetches)
{
	struct fake_ask *ask = tevent_req_data(req, struct fake_ask);
	int error = req_error(req);

	*answer = ask->answer;
	snprintf(server, VERDICT_TEXT_MAX, FAKE_NAME);
	*fetches = ask->s->fetches;
	tevent_req_received(req);
	return error;
}

/* The oldest question gets its answer. */
static inline void fake_end(struct servers *s, enum verdict_result result)
{
	struct fake_ask *ask = s->running[0];

	assert_true(s->running_count > 0);
	ask->answer.result = result;
	if (result == VERDICT_INFECTED) {
		strcpy(ask->answer.threat, "Eicar");
	}
	if (result == VERDICT_FAILED) {
		ask->answer.reason = VERDICT_REASON_SERVER_ERROR;
	}
	tevent_req_done(ask->req);
}

/* The set-up. */

struct test {
	struct tevent_context *ev;
	struct files *files;
	struct config *config;
	struct store *store;
	struct servers *servers;
	struct events *events;
	struct counters counters;
	struct scans *scans;
	char top[64];		/* scratch */
	char root[80];		/* check_root, below top */
	char spool[80];
	char db[80];
};

static inline void test_fatal(void *private_data)
{
	(void)private_data;
	fail_msg("the files process has ended");
}

static inline int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void tick(struct tevent_context *ev, struct tevent_timer *te,
			struct timeval now, void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	*(struct tevent_timer **)private_data = NULL;	/* tevent frees it */
}

/* One turn of the loop, at most 10 ms. */
static inline void turn(struct test *t)
{
	struct tevent_timer *te = NULL;

	te = tevent_add_timer(t->ev, t, tevent_timeval_current_ofs(0, 10000),
			      tick, &te);
	tevent_loop_once(t->ev);
	TALLOC_FREE(te);
}

#define WAIT_FOR(t, condition) do { \
	int64_t until_ = now_ms() + LONG; \
	while (!(condition)) { \
		assert_true(now_ms() < until_); \
		turn(t); \
	} \
} while (0)

#define RUNNING(t, n) WAIT_FOR(t, (t)->servers->running_count == (n))

/* For what must not happen. */
static inline void turn_for(struct test *t, int64_t ms)
{
	int64_t until = now_ms() + ms;

	while (now_ms() < until) {
		turn(t);
	}
}

/* How many have a lease. Unlike a try to write it does not break them. */
static inline int leases(char **paths, int count)
{
	FILE *f = fopen("/proc/locks", "re");
	unsigned long ino = 0;
	char line[256] = "";
	struct stat st;
	int i, n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		/* "1: LEASE  ACTIVE    READ  3489 fe:00:10954864 0 EOF" */
		if (sscanf(line, "%*s LEASE %*s %*s %*s %*x:%*x:%lu",
			   &ino) != 1) {
			continue;
		}
		for (i = 0; i < count; i++) {
			assert_int_equal(stat(paths[i], &st), 0);
			n += st.st_ino == ino;
		}
	}
	fclose(f);
	return n;
}

static inline void start_store(struct test *t)
{
	int ret = store_open(t, t->ev, t->db, 64 << 20, &t->store);

	assert_int_equal(ret, 0);
}

static inline void start_scans(struct test *t)
{
	t->scans = scans_create(t, t->ev, t->config, t->files, t->store,
				t->servers, t->events, &t->counters);
	assert_non_null(t->scans);
	t->servers->scans = t->scans;
	WAIT_FOR(t, !scan_spool_reading(t->scans));
}

static inline void start_files(struct test *t)
{
	int ret = files_start(t, t->root, t->spool, &t->files);

	assert_int_equal(ret, 0);
	files_attach(t->files, t->ev, test_fatal, t);
}

/* As if cavad were killed and started again: ids of scans come again, too. */
static inline void restart(struct test *t)
{
	TALLOC_FREE(t->scans);
	TALLOC_FREE(t->store);
	TALLOC_FREE(t->files);
	start_files(t);
	start_store(t);
	start_scans(t);
}

static inline struct test *set_up_test(void)
{
	struct test *t = talloc_zero(NULL, struct test);
	char *error = NULL;

	t->ev = tevent_context_init(t);
	snprintf(t->top, sizeof(t->top), "/tmp/test_scan.XXXXXX");
	assert_non_null(mkdtemp(t->top));
	snprintf(t->root, sizeof(t->root), "%s/root", t->top);
	snprintf(t->spool, sizeof(t->spool), "%s/spool", t->top);
	snprintf(t->db, sizeof(t->db), "%s/db", t->top);
	assert_int_equal(mkdir(t->root, 0755), 0);
	assert_int_equal(mkdir(t->spool, 0700), 0);
	assert_int_equal(mkdir(t->db, 0700), 0);
	start_files(t);
	assert_int_equal(config_load(t, NULL, &t->config, &error), 0);
	t->config->settings.check_root = t->root;
	t->config->settings.state_dir = t->top;
	t->events = events_create(t);
	t->servers = talloc_zero(t, struct servers);
	assert_non_null(t->events);
	assert_non_null(t->servers);
	t->servers->ev = t->ev;
	t->servers->online = true;
	start_store(t);
	return t;
}

static inline int set_up(void **result)
{
	struct test *t = set_up_test();

	start_scans(t);
	*result = t;
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st,
			     int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int tear_down(void **p)
{
	struct test *t = *p;

	TALLOC_FREE(t->scans);
	TALLOC_FREE(t->store);
	TALLOC_FREE(t->files);
	nftw(t->top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	talloc_free(t);
	return 0;
}

/* Files. */

static inline char *path_in(struct test *t, const char *name)
{
	return talloc_asprintf(t, "%s/%s", t->root, name);
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t len = strlen(text);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

/*
 * Even under the lease of a scan, which would block an open for writing:
 * like what a handle that was open before does.
 */
static inline void change_file(const char *path)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW },
					   { .tv_sec = 1000000 +
					     rand() % 1000000 } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A writer's handle: readers wait for the comparison at the end then. */
static inline int open_writer(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	return fd;
}

static inline char *make_file(struct test *t, const char *name)
{
	char *path = path_in(t, name);

	write_file(path, "some text\n");
	return path;
}

static inline struct ident ident_at(const char *path)
{
	struct ident ident;
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(ident_of_fd(fd, &ident), 0);
	close(fd);
	return ident;
}

static inline bool has_record(const char *path, struct verdict *v)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	int ret = verdict_read(fd, v);

	close(fd);
	return ret == 0;
}

static inline enum verdict_state state_of(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct content content;
	struct verdict v;
	int ret = verdict_read(fd, &v);

	assert_int_equal(content_of_fd(fd, &content), 0);
	close(fd);
	return verdict_state(ret == 0 ? &v : NULL, &content, 0);
}

/* Questions. */

static inline struct tevent_req *ask(struct test *t, const char *path,
				     enum scan_source source, bool ignore)
{
	struct scan_request request = {
		.source = source,
		.have_ident = true,
		.ident = ident_at(path),
		.path = path,
		.ignore_previous = ignore,
		.user = "DOM\\user",
		.client = "192.0.2.1",
	};
	struct tevent_req *req = scan_send(t, t->ev, t->scans, &request);

	assert_non_null(req);
	return req;
}

static inline struct scan_answer answer_of(struct test *t,
					   struct tevent_req *req)
{
	struct scan_answer answer = { .duration = 0 };

	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(scan_recv(req, t, &answer), 0);
	talloc_free(req);
	return answer;
}

static inline struct tevent_req *notice_send(struct test *t,
					     const char *path, uint8_t kind)
{
	const struct store_pending p = {
		.kind = kind,
		.since = 1,
		.ident = ident_at(path),
		.path = path,
		.user = "DOM\\writer",
		.client = "192.0.2.2",
	};
	struct tevent_req *req = scan_notice_send(t, t->ev, t->scans, &p);

	assert_non_null(req);
	return req;
}

static inline void notice(struct test *t, const char *path, uint8_t kind)
{
	struct tevent_req *req = notice_send(t, path, kind);

	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(scan_notice_recv(req), 0);
	talloc_free(req);
}

static inline uint64_t pending(struct test *t)
{
	uint64_t count = 0;

	assert_int_equal(store_pending_count(t->store, &count, NULL), 0);
	return count;
}

static inline int pending_kind(struct test *t, const char *path)
{
	struct ident ident = ident_at(path);
	struct store_pending *p = NULL;
	int ret = store_pending_get(t->store, t, &ident, &p);

	return ret == 0 ? p->kind : -1;
}

#endif
