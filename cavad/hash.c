/*
 * SHA-256 of a file, in a thread.
 *
 * The thread knows nothing but its job, which belongs to whoever ends last:
 * a request that is freed or late leaves the job to the thread. A read that
 * never returns keeps one thread and nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/req.h"

#define HASH_STACK (256 * 1024)

struct hash_job {
	pthread_mutex_t lock;	/* of the next two; and what the thread has
				 * left is read after it */
	bool done;
	bool left;		/* nobody waits any more */
	atomic_bool stop;
	int fd;
	int wake;		/* an eventfd */
	int error;
	uint8_t digest[DIGEST_SIZE];
};

struct hash_state {
	struct hash_job *job;
	struct tevent_fd *fde;
};

static void hash_job_free(struct hash_job *job)
{
	pthread_mutex_destroy(&job->lock);
	if (job->fd != -1) {
		close(job->fd);
	}
	if (job->wake != -1) {
		close(job->wake);
	}
	free(job);
}

static void *hash_run(void *private_data)
{
	struct hash_job *job = private_data;
	const uint64_t one = 1;
	bool left = false;

	job->error = digest_of_fd(job->fd, HASH_MAX, &job->stop, job->digest);
	pthread_mutex_lock(&job->lock);
	job->done = true;
	left = job->left;
	if (!left) {
		(void)!write(job->wake, &one, sizeof(one));
	}
	pthread_mutex_unlock(&job->lock);
	if (left) {
		hash_job_free(job);
	}
	return NULL;
}

/* 0 or errno. Signals are the loop's. */
static int hash_thread(struct hash_job *job)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int ret = pthread_attr_init(&attr);

	if (ret != 0) {
		return ret;
	}
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, HASH_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, &attr, hash_run, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ret;
}

static int hash_start(int fd, struct hash_job **result)
{
	struct hash_job *job = calloc(1, sizeof(*job));
	int ret = 0;

	if (job == NULL) {
		return ENOMEM;
	}
	pthread_mutex_init(&job->lock, NULL);
	job->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	job->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (job->fd == -1 || job->wake == -1) {
		ret = errno;
	}
	ret = ret != 0 ? ret : hash_thread(job);
	if (ret != 0) {
		hash_job_free(job);
		return ret;
	}
	*result = job;
	return 0;
}

static void hash_cleanup(struct tevent_req *req,
			 enum tevent_req_state req_state)
{
	struct hash_state *state = tevent_req_data(req, struct hash_state);
	struct hash_job *job = state->job;
	bool done = false;

	TALLOC_FREE(state->fde);
	if (job == NULL || req_state == TEVENT_REQ_DONE) {
		return;		/* hash_recv() takes the digest first */
	}
	state->job = NULL;
	pthread_mutex_lock(&job->lock);
	done = job->done;
	job->left = true;
	job->stop = true;
	pthread_mutex_unlock(&job->lock);
	if (done) {
		hash_job_free(job);
	}
}

static void hash_done(struct tevent_context *ev, struct tevent_fd *fde,
		      uint16_t flags, void *private_data)
{
	struct tevent_req *req = private_data;

	(void)ev;
	(void)fde;
	(void)flags;
	tevent_req_done(req);
}

struct tevent_req *hash_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     int fd)
{
	struct hash_state *state = NULL;
	struct tevent_req *req = NULL;
	bool ok = false;
	int ret = 0;

	req = tevent_req_create(mem_ctx, &state, struct hash_state);
	if (req == NULL) {
		return NULL;
	}
	tevent_req_set_cleanup_fn(req, hash_cleanup);
	ret = hash_start(fd, &state->job);
	if (tevent_req_error(req, ret)) {
		return tevent_req_post(req, ev);
	}
	ok = tevent_req_set_endtime(req, ev,
				    tevent_timeval_current_ofs(HASH_TIME, 0));
	state->fde = tevent_add_fd(ev, state, state->job->wake,
				   TEVENT_FD_READ, hash_done, req);
	if (!ok || tevent_req_nomem(state->fde, req)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

int hash_recv(struct tevent_req *req, uint8_t digest[DIGEST_SIZE])
{
	struct hash_state *state = tevent_req_data(req, struct hash_state);
	struct hash_job *job = state->job;
	int ret = req_error(req);

	if (ret == 0) {
		pthread_mutex_lock(&job->lock);
		ret = job->error;
		memcpy(digest, job->digest, DIGEST_SIZE);
		pthread_mutex_unlock(&job->lock);
	}
	tevent_req_received(req);
	return ret;
}
