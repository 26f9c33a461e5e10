/*
 * The worker processes, seen from their parent. See pool.h.
 *
 * 1. There are `workers` of them for scans, and one more for status, so that
 *    a heartbeat is answered however many scans are going on.
 * 2. One job a worker. Jobs wait in order; waiting counts as time.
 * 3. A worker whose job is over its time is killed, one that died is seen by
 *    the end of its socket; both are replaced at once, but not more often
 *    than each second in the same place. One tick does it for all places,
 *    so that a moment without memory costs no worker.
 * 4. A replacement is forked out of the running program. So it resets the
 *    signals (tevent's would write to descriptors that are no longer what
 *    they were) and closes everything but its own socket.
 * 5. A request that is freed leaves its worker to finish by itself, still
 *    with its deadline.
 * 6. A worker knows the configuration it was forked with, and no other. So a
 *    job names its storage by the host of the UNC path, not by a number; and
 *    a worker of a configuration that is no more gets no further job.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cee_agent/pool.h"
#include "common/cee_msg.h"
#include "common/log.h"
#include "common/req.h"
#include "common/tick.h"

#define POOL_WAITING_MAX 512
#define POOL_GRACE 500		/* ms for a worker to say itself "no time" */
#define POOL_FORK_PAUSE 1	/* s between two forks in one place */
#define POOL_WORKERS_MAX (AGENT_WORKERS_MAX + 1)

struct pool_worker {
	struct pool *pool;
	enum job_kind kind;	/* of the jobs it takes */
	pid_t pid;		/* 0 = there is none, or it is reaped */
	int fd;			/* -1 = there is none */
	struct tevent_fd *fde;
	struct tevent_timer *timer;	/* the deadline of its job */
	struct timeval next;	/* earliest fork in its place */
	unsigned int generation;	/* of its configuration */
	bool busy;
	uint64_t id;		/* of its job */
	char host[WORKER_HOST_MAX];	/* of its job */
	int storage;		/* rows of its job in the tally, or -1 */
	int clamd;
	struct tevent_req *req;	/* NULL = nobody wants the result */
};

struct pool {
	const struct agent_config *config;
	struct tevent_context *ev;
	struct tally *tally;
	struct tevent_signal *child;
	struct tick *vacant;	/* the next fork */
	struct pool_worker workers[POOL_WORKERS_MAX];
	size_t num_workers;
	unsigned int generation;
	struct pool_state *waiting;	/* the oldest first */
	size_t num_waiting;
	uint64_t last_id;
};

struct pool_state {
	struct tevent_req *req;
	struct pool *pool;
	struct pool_state *prev, *next;	/* while it waits */
	bool waits;
	struct pool_worker *worker;	/* while it is worked on */
	struct tevent_timer *timer;	/* its time is up while it waits */
	struct timeval deadline;
	struct job job;
	struct job_result result;
};

static void pool_run(struct pool *pool);
static void pool_readable(struct tevent_context *ev, struct tevent_fd *fde,
			  uint16_t flags, void *private_data);
static void pool_late(struct tevent_context *ev, struct tevent_timer *te,
		      struct timeval now, void *private_data);

/* The processes. */

/* In the child: rule 4 of the top. */
static _Noreturn void pool_child(const struct pool_worker *w, int fd)
{
	static const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	sigset_t none;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		signal(signals[i], SIG_DFL);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd != 3) {
		dup2(fd, 3);
	}
	close_range(4, ~0U, 0);
	/* the journal's descriptor went as well: what is said goes to stderr */
	log_init("cee_agent", true, LOG_LEVEL_ERROR);
	worker_run(3, w->pool->config,
		   (unsigned int)(w - w->pool->workers));
}

/* 0 or errno */
static int pool_fork(struct pool_worker *w)
{
	sigset_t old;
	sigset_t all;
	int fds[2];
	pid_t pid;
	int ret;

	ret = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
	if (ret == -1) {
		return errno;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	ret = errno;
	if (pid == 0) {
		pool_child(w, fds[1]);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(fds[1]);
	if (pid == -1) {
		close(fds[0]);
		return ret;
	}
	w->pid = pid;
	w->fd = fds[0];
	w->next = tevent_timeval_current_ofs(POOL_FORK_PAUSE, 0);
	w->generation = w->pool->generation;
	return 0;
}

static int pool_watch_worker(struct pool_worker *w)
{
	w->fde = tevent_add_fd(w->pool->ev, w->pool, w->fd, TEVENT_FD_READ,
			       pool_readable, w);
	return w->fde == NULL ? ENOMEM : 0;
}

/* The worker is no more, or soon will be. Its job is not answered here. */
static void pool_drop(struct pool_worker *w)
{
	TALLOC_FREE(w->fde);
	TALLOC_FREE(w->timer);
	if (w->fd != -1) {
		close(w->fd);
		w->fd = -1;
	}
	if (w->pid != 0) {
		kill(w->pid, SIGKILL);	/* pool_reap() waits for it */
	}
	w->pid = 0;
	w->busy = false;
}

static void pool_start(struct pool_worker *w)
{
	int ret = pool_fork(w);

	if (ret == 0) {
		ret = pool_watch_worker(w);
	}
	if (ret != 0) {
		log_error("cannot start a worker: %s", strerror(ret));
		pool_drop(w);
		w->next = tevent_timeval_current_ofs(POOL_FORK_PAUSE, 0);
	}
}

/* Workers in the places that have none, now or in a while. */
static void pool_fill(struct pool *pool)
{
	struct timeval now = tevent_timeval_current();
	const struct timeval *next = NULL;
	size_t i;

	for (i = 0; i < pool->num_workers; i++) {
		struct pool_worker *w = &pool->workers[i];

		if (w->fd == -1 && tevent_timeval_compare(&w->next,
							  &now) <= 0) {
			pool_start(w);
		}
		if (w->fd == -1 && (next == NULL ||
		    tevent_timeval_compare(&w->next, next) < 0)) {
			next = &w->next;
		}
	}
	if (next != NULL) {
		tick_at(pool->vacant, *next);
	}
}

static void pool_vacant(void *private_data)
{
	pool_fill(private_data);
	pool_run(private_data);
}

static void pool_reap(struct tevent_context *ev, struct tevent_signal *se,
		      int signum, int count, void *siginfo,
		      void *private_data)
{
	struct pool *pool = private_data;
	pid_t pid;
	size_t i;

	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (i = 0; i < POOL_WORKERS_MAX; i++) {
			if (pool->workers[i].pid == pid) {
				/* never kill a pid that is not ours now */
				pool->workers[i].pid = 0;
			}
		}
	}
}

static int pool_destroy(struct pool *pool)
{
	size_t i;

	for (i = 0; i < POOL_WORKERS_MAX; i++) {
		pid_t pid = pool->workers[i].pid;

		pool->workers[i].fde = NULL;	/* freed with the pool */
		pool->workers[i].timer = NULL;
		pool_drop(&pool->workers[i]);
		if (pid != 0) {
			waitpid(pid, NULL, 0);
		}
	}
	return 0;
}

int pool_create(TALLOC_CTX *mem_ctx, const struct agent_config *config,
		struct tally *tally, struct pool **result)
{
	struct pool *pool = NULL;
	size_t i;
	int ret;

	pool = talloc_zero(mem_ctx, struct pool);
	if (pool == NULL) {
		return ENOMEM;
	}
	pool->config = config;
	pool->tally = tally;
	for (i = 0; i < POOL_WORKERS_MAX; i++) {
		struct pool_worker *w = &pool->workers[i];

		w->pool = pool;
		w->fd = -1;
		w->kind = i == 0 ? JOB_STATUS : JOB_SCAN;
	}
	talloc_set_destructor(pool, pool_destroy);
	pool->num_workers = config->workers + 1;
	for (i = 0; i < pool->num_workers; i++) {
		ret = pool_fork(&pool->workers[i]);
		if (ret != 0) {
			talloc_free(pool);
			return ret;
		}
	}
	*result = pool;
	return 0;
}

int pool_watch(struct pool *pool, struct tevent_context *ev)
{
	size_t i;
	int ret;

	pool->ev = ev;
	pool->child = tevent_add_signal(ev, pool, SIGCHLD, 0, pool_reap,
					pool);
	pool->vacant = tick_create(pool, ev, pool_vacant, pool);
	if (pool->child == NULL || pool->vacant == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < pool->num_workers; i++) {
		ret = pool_watch_worker(&pool->workers[i]);
		if (ret != 0) {
			return ret;
		}
	}
	return 0;
}

/* Is it of a configuration, or in a place, that is no more? */
static bool pool_is_old(const struct pool_worker *w)
{
	return w->generation != w->pool->generation ||
	       (size_t)(w - w->pool->workers) >= w->pool->num_workers;
}

/* One that is idle and old makes room for a new one, at once. */
static void pool_retire(struct pool_worker *w)
{
	pool_drop(w);
	w->next = (struct timeval) { .tv_sec = 0 };
}

static int pool_storage_row(const struct pool *pool, const char *host)
{
	const struct storage *s = agent_config_storage(pool->config, host);

	return s == NULL ? -1 : (int)(s - pool->config->storages);
}

void pool_configure(struct pool *pool, const struct agent_config *config)
{
	size_t i;

	pool->config = config;
	pool->generation++;
	pool->num_workers = config->workers + 1;
	for (i = 0; i < POOL_WORKERS_MAX; i++) {
		struct pool_worker *w = &pool->workers[i];

		if (w->busy) {
			w->storage = pool_storage_row(pool, w->host);
			w->clamd = -1;
		} else {
			pool_retire(w);
		}
	}
	pool_fill(pool);
	pool_run(pool);
}

void pool_usage(const struct pool *pool, struct pool_usage *usage)
{
	size_t i;

	memset(usage, 0, sizeof(*usage));
	usage->waiting = (unsigned int)pool->num_waiting;
	for (i = 0; i < POOL_WORKERS_MAX; i++) {
		const struct pool_worker *w = &pool->workers[i];

		if (w->kind != JOB_SCAN || w->fd == -1) {
			continue;
		}
		usage->workers++;
		if (!w->busy) {
			continue;
		}
		usage->busy++;
		if (w->storage != -1) {
			usage->storages[w->storage]++;
		}
		if (w->clamd != -1) {
			usage->clamds[w->clamd]++;
		}
	}
}

/* Their jobs. */

static void pool_unlist(struct pool_state *state)
{
	struct pool *pool = state->pool;

	if (!state->waits) {
		return;
	}
	state->waits = false;
	pool->num_waiting--;
	/* prev of the first is the last; next of the last is NULL */
	if (state->next != NULL) {
		state->next->prev = state->prev;
	} else if (pool->waiting != state) {
		pool->waiting->prev = state->prev;
	}
	if (pool->waiting == state) {
		pool->waiting = state->next;
	} else {
		state->prev->next = state->next;
	}
}

static void pool_enlist(struct pool_state *state)
{
	struct pool *pool = state->pool;

	state->waits = true;
	pool->num_waiting++;
	if (pool->waiting == NULL) {
		pool->waiting = state;
		state->prev = state;
		return;
	}
	state->prev = pool->waiting->prev;
	state->prev->next = state;
	pool->waiting->prev = state;
}

static void pool_cleanup(struct tevent_req *req,
			 enum tevent_req_state req_state)
{
	struct pool_state *state = tevent_req_data(req, struct pool_state);

	(void)req_state;
	TALLOC_FREE(state->timer);
	pool_unlist(state);
	if (state->worker != NULL) {
		state->worker->req = NULL;
		state->worker = NULL;
	}
}

/* What is answered when no worker can. */
static void pool_result(struct tevent_req *req, uint32_t status,
			const char *detail)
{
	struct pool_state *state = tevent_req_data(req, struct pool_state);

	state->result = (struct job_result) { .status = status };
	strcpy(state->result.detail, detail);
	tevent_req_done(req);
}

static void pool_too_late(struct tevent_context *ev, struct tevent_timer *te,
			  struct timeval now, void *private_data)
{
	struct tevent_req *req = private_data;
	struct pool_state *state = tevent_req_data(req, struct pool_state);

	(void)ev;
	(void)te;
	(void)now;
	TALLOC_FREE(state->timer);
	pool_result(req, CEE_ERROR_TIMEOUT, "all workers were busy");
}

static struct timeval pool_deadline(uint32_t timeout)
{
	uint32_t ms = timeout % 1000 + POOL_GRACE;

	return tevent_timeval_current_ofs(timeout / 1000 + ms / 1000,
					  ms % 1000 * 1000);
}

struct tevent_req *pool_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     struct pool *pool, const struct job *job)
{
	struct pool_state *state = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct pool_state);
	if (req == NULL) {
		return NULL;
	}
	state->req = req;
	state->pool = pool;
	state->job = *job;
	state->job.id = ++pool->last_id;
	state->result.status = CEE_ERROR_FAIL;
	state->deadline = pool_deadline(job->timeout);
	if (pool->num_waiting >= POOL_WAITING_MAX) {
		tevent_req_error(req, EBUSY);
		return tevent_req_post(req, ev);
	}
	state->timer = tevent_add_timer(pool->ev, state, state->deadline,
					pool_too_late, req);
	if (tevent_req_nomem(state->timer, req)) {
		return tevent_req_post(req, ev);
	}
	pool_enlist(state);
	tevent_req_set_cleanup_fn(req, pool_cleanup);
	pool_run(pool);
	return req;
}

/* The worker gets the job, or is seen to be gone by its socket. */
static void pool_give(struct pool_worker *w, struct pool_state *state,
		      const struct pool_usage *usage)
{
	size_t len = offsetof(struct job, path) +
		     strlen(state->job.path) + 1;
	struct job *job = &state->job;
	ssize_t sent;

	TALLOC_FREE(state->timer);
	pool_unlist(state);
	job->num_clamds = tally_order(w->pool->tally, usage->clamds,
				      job->clamds);
	w->busy = true;
	w->id = job->id;
	strcpy(w->host, job->host);
	w->storage = pool_storage_row(w->pool, job->host);
	w->clamd = job->clamds[0];
	w->req = state->req;
	state->worker = w;
	w->timer = tevent_add_timer(w->pool->ev, w->pool, state->deadline,
				    pool_late, w);
	sent = send(w->fd, job, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent != (ssize_t)len || w->timer == NULL) {
		/* ends in pool_readable(), never before pool_send() has */
		shutdown(w->fd, SHUT_RDWR);
	}
}

/* Has the storage of this job as many scans as it may have at once? */
static bool pool_is_full(const struct pool *pool, const struct job *job,
			 const struct pool_usage *usage)
{
	int row = pool_storage_row(pool, job->host);
	uint64_t most = row == -1 ? 0 :
			pool->config->storages[row].max_scans;

	return most != 0 && usage->storages[row] >= most;
}

static struct pool_worker *pool_idle(struct pool *pool, enum job_kind kind)
{
	size_t i;

	for (i = 0; i < pool->num_workers; i++) {
		struct pool_worker *w = &pool->workers[i];

		if (w->kind == kind && w->fd != -1 && !w->busy) {
			return w;
		}
	}
	return NULL;
}

/* Waiting jobs to idle workers. */
static void pool_run(struct pool *pool)
{
	struct pool_state *state = pool->waiting;
	struct pool_usage usage;

	while (state != NULL) {
		struct pool_state *next = state->next;
		struct pool_worker *w = pool_idle(pool, state->job.kind);

		pool_usage(pool, &usage);
		if (w != NULL && !pool_is_full(pool, &state->job, &usage)) {
			pool_give(w, state, &usage);
		}
		state = next;
	}
}

/* The request that waits for this worker, which then does not any more. */
static struct tevent_req *pool_detach(struct pool_worker *w)
{
	struct tevent_req *req = w->req;
	struct pool_state *state = NULL;

	if (req != NULL) {
		state = tevent_req_data(req, struct pool_state);
		state->worker = NULL;
		w->req = NULL;
	}
	return req;
}

/* What a worker says of clamds is of its own configuration's. */
static void pool_tally(struct pool_worker *w, const struct job_result *result)
{
	struct job_result *copy = NULL;

	if (w->generation == w->pool->generation) {
		tally_job(w->pool->tally, w->kind, w->storage, w->clamd,
			  result);
		return;
	}
	copy = talloc_memdup(w->pool, result, sizeof(*result));
	if (copy != NULL) {
		memset(copy->clamds, 0, sizeof(copy->clamds));
		tally_job(w->pool->tally, w->kind, w->storage, -1, copy);
	}
	talloc_free(copy);
}

/* Whoever waits for this worker gets `status`; then there is a new one. */
static void pool_fail(struct pool_worker *w, uint32_t status,
		      const char *detail)
{
	struct tevent_req *req = pool_detach(w);
	struct pool *pool = w->pool;

	log_warning("a worker is replaced: %s%s%s",
		    w->busy ? detail : "it ended", w->host[0] == '\0' ? "" :
		    ", its last file was of ", w->host);
	pool->tally->replaced_workers++;
	if (w->busy) {
		struct job_result result = { .status = status };

		snprintf(result.detail, sizeof(result.detail), "%s", detail);
		pool_tally(w, &result);
	}
	pool_drop(w);
	pool_fill(pool);
	pool_run(pool);
	if (req != NULL) {
		pool_result(req, status, detail);
	}
}

static void pool_late(struct tevent_context *ev, struct tevent_timer *te,
		      struct timeval now, void *private_data)
{
	struct pool_worker *w = private_data;

	(void)ev;
	(void)te;
	(void)now;
	pool_fail(w, CEE_ERROR_TIMEOUT, "not done in time");
}

static void pool_readable(struct tevent_context *ev, struct tevent_fd *fde,
			  uint16_t flags, void *private_data)
{
	struct pool_worker *w = private_data;
	struct pool_state *state = NULL;
	struct tevent_req *req = NULL;
	struct job_result result;
	ssize_t got;
	size_t i;

	(void)ev;
	(void)fde;
	(void)flags;
	got = recv(w->fd, &result, sizeof(result), MSG_DONTWAIT);
	if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (got != sizeof(result) || !w->busy || result.id != w->id) {
		pool_fail(w, CEE_ERROR_FAIL, "the worker died");
		return;
	}
	/* what it read came from outside */
	result.vendor[WORKER_TEXT_MAX - 1] = '\0';
	result.threat[WORKER_TEXT_MAX - 1] = '\0';
	result.detail[WORKER_DETAIL_MAX - 1] = '\0';
	for (i = 0; i < AGENT_CLAMDS_MAX; i++) {
		result.clamds[i].vendor[WORKER_TEXT_MAX - 1] = '\0';
	}
	pool_tally(w, &result);
	TALLOC_FREE(w->timer);
	w->busy = false;
	req = pool_detach(w);
	if (req != NULL) {
		state = tevent_req_data(req, struct pool_state);
		state->result = result;
	}
	if (pool_is_old(w)) {
		pool_retire(w);
		pool_fill(w->pool);
	}
	pool_run(w->pool);
	if (req != NULL) {
		tevent_req_done(req);
	}
}

int pool_recv(struct tevent_req *req, struct job_result *result)
{
	struct pool_state *state = tevent_req_data(req, struct pool_state);
	int ret = req_error(req);

	*result = state->result;
	tevent_req_received(req);
	return ret;
}
