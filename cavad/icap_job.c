/*
 * One exchange with an ICAP server, in a thread of its own: see icap_job.h.
 *
 * A thread that has ended puts its job on a list and wakes the loop, which
 * takes it from there; when the engine has gone meanwhile it frees the job
 * itself. What the threads share lives until the last of them has gone, so
 * that none ever wakes a descriptor that means something else by then.
 *
 * A heartbeat is OPTIONS, which any ICAP server answers. Now and then it is
 * two RESPMODs more (icap_test_interval), which show whether an antivirus
 * stands behind it: the test file of EICAR must be found, and other text
 * must pass. A service that does not look at what it is given, for its type
 * or since its antivirus is away, says 204 to everything.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/icap_job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define JOB_STACK (512 * 1024)

struct icap_jobs {
	struct icap_target target;
	int wake;		/* an eventfd */
	pthread_mutex_t lock;	/* of what follows */
	unsigned int users;	/* the engine, and jobs */
	bool released;		/* the engine has gone */
	struct icap_job *done;	/* oldest first */
	struct icap_job **last;
};

int icap_jobs_create(const struct icap_target *target,
		     struct icap_jobs **result)
{
	struct icap_jobs *jobs = calloc(1, sizeof(*jobs));
	int ret = 0;

	if (jobs == NULL) {
		return ENOMEM;
	}
	jobs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs->wake == -1) {
		ret = errno;
		free(jobs);
		return ret;
	}
	pthread_mutex_init(&jobs->lock, NULL);
	jobs->users = 1;
	jobs->last = &jobs->done;
	jobs->target = *target;
	*result = jobs;
	return 0;
}

int icap_jobs_fd(const struct icap_jobs *jobs)
{
	return jobs->wake;
}

static void jobs_leave(struct icap_jobs *jobs)
{
	unsigned int users = 0;

	pthread_mutex_lock(&jobs->lock);
	users = --jobs->users;
	pthread_mutex_unlock(&jobs->lock);
	if (users > 0) {
		return;
	}
	pthread_mutex_destroy(&jobs->lock);
	close(jobs->wake);
	free(jobs->target.url);
	free(jobs->target.ca_file);
	free(jobs->target.host);
	free(jobs->target.service);
	free(jobs);
}

void icap_jobs_release(struct icap_jobs *jobs)
{
	struct icap_job *job = NULL;

	pthread_mutex_lock(&jobs->lock);
	jobs->released = true;
	pthread_mutex_unlock(&jobs->lock);
	while ((job = icap_job_next(jobs)) != NULL) {
		icap_job_free(job);
	}
	jobs_leave(jobs);
}

struct icap_job *icap_job_create(struct icap_jobs *jobs, uint32_t timeout)
{
	struct icap_job *job = calloc(1, sizeof(*job));

	if (job == NULL) {
		return NULL;
	}
	job->wait.cancel = eventfd(0, EFD_CLOEXEC);
	if (job->wait.cancel == -1) {
		free(job);
		return NULL;
	}
	job->wait.deadline = icap_now() + timeout * INT64_C(1000);
	job->content.fd = -1;
	job->jobs = jobs;
	pthread_mutex_lock(&jobs->lock);
	jobs->users++;
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

void icap_job_free(struct icap_job *job)
{
	struct icap_jobs *jobs = job->jobs;

	if (job->session != NULL) {
		icap_session_close(job->session);
	}
	if (job->content.fd != -1) {
		close(job->content.fd);
	}
	close(job->wait.cancel);
	free(job->trace);
	free(job);
	jobs_leave(jobs);
}

/* The test file of EICAR, in halves so that no scanner takes cavad for it. */
static void job_eicar(char text[70])
{
	snprintf(text, 70, "%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STA",
		 "NDARD-ANTIVIRUS-TEST-FILE!$H+H*");
}

/* 0 or errno; *reusable says whether the session is. */
static int job_respmod(struct icap_job *job,
		       const struct icap_content *content, bool *reusable)
{
	return icap_session_respmod(job->session, &job->jobs->target, content,
				    job->preview, &job->wait, reusable);
}

/* What the service makes of `text`. 0 or errno. */
static int job_try(struct icap_job *job, const char *text,
		   enum verdict_result *result, bool *reusable)
{
	struct icap_content content = { .fd = -1, .data = text,
					.size = strlen(text) };
	struct engine_answer answer = { .result = VERDICT_FAILED };
	int ret = 0;

	*result = VERDICT_FAILED;
	if (!*reusable) {
		icap_session_close(job->session);
		job->session = NULL;
		ret = icap_session_open(&job->jobs->target, &job->wait,
					&job->session, job->why);
	}
	if (ret != 0) {
		return ret;
	}
	job->session->trace = job->trace;
	ret = job_respmod(job, &content, reusable);
	if (ret == 0) {
		icap_reply_judge(&job->session->reply, &answer);
		*result = answer.result;
	}
	return ret;
}

static int job_heartbeat(struct icap_job *job, bool *reusable)
{
	enum verdict_result result = VERDICT_FAILED;
	char eicar[70];
	int ret = icap_session_options(job->session, &job->jobs->target,
				       &job->wait, reusable);

	if (ret != 0) {
		return ret;
	}
	job->reply = job->session->reply;
	if (job->reply.error != 0 || job->reply.status != 200 ||
	    !job->reply.respmod) {
		job->options_only = true;
		return 0;
	}
	if (!job->test) {
		return 0;
	}
	job->preview = job->reply.preview;
	job_eicar(eicar);
	ret = job_try(job, eicar, &result, reusable);
	job->eicar_found = result == VERDICT_INFECTED;
	job->test_status = ret == 0 ? job->session->reply.status : 0;
	if (ret == 0) {
		ret = job_try(job, "cavad asks: is anybody there?\n", &result,
			      reusable);
		job->clean_passed = result == VERDICT_CLEAN;
	}
	return ret;
}

static int job_scan(struct icap_job *job, bool *reusable)
{
	int ret = job_respmod(job, &job->content, reusable);

	job->reply = job->session->reply;
	job->sent = job->session->sent;
	return ret;
}

/* Opens a connection if there is none. 0 or errno. */
static int job_exchange(struct icap_job *job, bool *reusable)
{
	int ret = 0;

	*reusable = false;
	if (job->session == NULL) {
		ret = icap_session_open(&job->jobs->target, &job->wait,
					&job->session, job->why);
	}
	if (ret != 0) {
		return ret;
	}
	job->session->trace = job->trace;
	ret = job->heartbeat ? job_heartbeat(job, reusable) :
	      job_scan(job, reusable);
	if (job->session == NULL) {
		return ret;	/* it said why */
	}
	if (ret != 0) {
		memcpy(job->why, job->session->why, sizeof(job->why));
	}
	icap_link_address(job->session->link, job->address);
	return ret;
}

/* The server has closed what it had kept open, before it heard us. */
static bool job_was_stale(const struct icap_job *job, int error, bool kept)
{
	return error == ECONNRESET && kept && job->session != NULL &&
		job->session->fresh;
}

/* The job is the loop's now, or nobody's. */
static void job_done(struct icap_job *job)
{
	struct icap_jobs *jobs = job->jobs;
	uint64_t one = 1;
	bool released = false;

	pthread_mutex_lock(&jobs->lock);
	released = jobs->released;
	if (!released) {
		*jobs->last = job;
		jobs->last = &job->next;
		(void)!write(jobs->wake, &one, sizeof(one));
	}
	pthread_mutex_unlock(&jobs->lock);
	if (released) {
		icap_job_free(job);
	}
}

static void *job_run(void *private_data)
{
	struct icap_job *job = private_data;
	bool kept = job->session != NULL;
	bool reusable = false;
	int ret = job_exchange(job, &reusable);

	if (job_was_stale(job, ret, kept)) {
		icap_session_close(job->session);
		job->session = NULL;
		ret = job_exchange(job, &reusable);
	}
	job->error = ret;
	if (job->session != NULL && !reusable) {
		icap_session_close(job->session);
		job->session = NULL;
	}
	job_done(job);
	return NULL;
}

/* Signals are the loop's. */
int icap_job_start(struct icap_job *job)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int ret = pthread_attr_init(&attr);

	if (ret != 0) {
		return ret;
	}
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, JOB_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, &attr, job_run, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ret;
}

struct icap_job *icap_job_next(struct icap_jobs *jobs)
{
	struct icap_job *job = NULL;
	uint64_t count = 0;

	pthread_mutex_lock(&jobs->lock);
	job = jobs->done;
	if (job != NULL) {
		jobs->done = job->next;
	}
	if (jobs->done == NULL) {
		jobs->last = &jobs->done;
		(void)!read(jobs->wake, &count, sizeof(count));
	}
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

void icap_job_cancel(struct icap_job *job)
{
	uint64_t one = 1;

	(void)!write(job->wait.cancel, &one, sizeof(one));
}
