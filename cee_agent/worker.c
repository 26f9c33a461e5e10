/*
 * A worker process. See worker.h.
 *
 * It may block: whoever asked has a deadline and kills it. The file goes
 * from SMB to clamd in pieces; nothing of it is kept.
 *
 * "Clean" takes all of: clamd says OK to the stream, as many bytes went
 * into it as the file had when it was opened, and the file ended there.
 * Everything else is an error, or "over a limit".
 *
 * 1. The size is compared with max_size first: clamd says OK to files that
 *    are over its own MaxFileSize without looking at them.
 * 2. A file that is not there may be there in a moment (a directory cache
 *    of the server's): asked again, up to three times within a second, the
 *    last time over a new session.
 * 3. When the session is gone, once more over a new one, from the start.
 * 4. The version of clamd is asked before the file is read, so that a file
 *    is never said to be scanned with signatures newer than were used.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cee_agent/smb.h"
#include "cee_agent/worker.h"
#include "common/cee_msg.h"
#include "common/log.h"

#define WORKER_PIECE (1 << 20)		/* bytes read at a time */
#define WORKER_VERSION_AGE 10		/* s an answer to VERSION is used */
#define WORKER_NOT_FOUND_TRIES 3

struct worker {
	const struct agent_config *config;
	struct smb *smb;
	uint8_t *piece;
	struct clamd_version version;
	time_t version_time;	/* monotonic; 0 = never asked */
};

static void worker_answer(struct job_result *result, uint32_t status,
			  const char *detail)
{
	result->status = status;
	snprintf(result->detail, sizeof(result->detail), "%s", detail);
}

static time_t worker_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* 0, or the answer is in `result`. */
static int worker_version(struct worker *w, uint32_t timeout, time_t max_age,
			  struct job_result *result)
{
	const struct address *address = &w->config->clamd;
	struct clamd *clamd = NULL;
	time_t now = worker_now();
	int ret = 0;

	if (w->version_time == 0 || now - w->version_time >= max_age) {
		w->version_time = 0;
		ret = clamd_open(w, address, timeout, &clamd);
		if (ret == 0) {
			ret = clamd_ask_version(clamd, &w->version);
		}
		TALLOC_FREE(clamd);
	}
	if (ret != 0) {
		result->status = CEE_ERROR_AV_NOT_FOUND;
		snprintf(result->detail, sizeof(result->detail),
			 "clamd at %s: %s", address->text, strerror(ret));
		return ret;
	}
	if (w->version_time == 0) {
		w->version_time = now;
	}
	snprintf(result->vendor, sizeof(result->vendor), "%s",
		 w->version.vendor);
	result->signature_time = w->version.signature_time;
	return 0;
}

/* Pure: the answer when the file could not be fetched. */
static void worker_fetch_failed(struct job_result *result, const char *what,
				int error)
{
	result->status = CEE_ERROR_FAIL;
	if (error == ENOENT || error == ENOTDIR) {
		result->status = CEE_ERROR_FILE_NOT_FOUND;
	} else if (error == EACCES || error == EPERM) {
		result->status = CEE_ERROR_ACCESS_DENIED;
	} else if (error == ETIMEDOUT) {
		result->status = CEE_ERROR_TIMEOUT;
	}
	snprintf(result->detail, sizeof(result->detail), "%s over SMB: %s",
		 what, strerror(error));
}

/* Pure: the answer when clamd has answered. */
static void worker_judge(const struct clamd_answer *answer,
			 struct job_result *result)
{
	switch (answer->verdict) {
	case CLAMD_CLEAN:
		result->status = CEE_SUCCESS;
		return;
	case CLAMD_INFECTED:
		result->status = CEE_DETECT_VIRUS;
		snprintf(result->threat, sizeof(result->threat), "%s",
			 answer->text);
		return;
	case CLAMD_LIMIT:
	case CLAMD_ENCRYPTED:
		result->limit = true;
		worker_answer(result, CEE_ERROR_FAIL, answer->text);
		return;
	case CLAMD_TIMEOUT:
		worker_answer(result, CEE_ERROR_TIMEOUT, answer->text);
		return;
	case CLAMD_ERROR:
		worker_answer(result, CEE_ERROR_AVINTERFACE, answer->text);
		return;
	}
}

/* Rule 2 of the top. 0 or errno. */
static int worker_open(struct worker *w, const struct job *job,
		       uint64_t *size)
{
	const struct storage *s = &w->config->storages[job->storage];
	struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };
	int tries;
	int ret;

	for (tries = 1; true; tries++) {
		ret = smb_open(w->smb, s, job->path, job->timeout, size);
		if (ret != ENOENT || tries > WORKER_NOT_FOUND_TRIES) {
			return ret;
		}
		nanosleep(&pause, NULL);
		if (tries == WORKER_NOT_FOUND_TRIES) {
			ret = smb_reset(w->smb);
			if (ret != 0) {
				return ret;
			}
		}
	}
}

/* The open file to clamd. 0: answered; errno: reading it failed. */
static int worker_stream(struct worker *w, const struct job *job,
			 uint64_t size, struct job_result *result)
{
	const struct address *address = &w->config->clamd;
	struct clamd_answer answer;
	struct clamd *clamd = NULL;
	ssize_t got = 0;
	int ret;

	result->bytes = 0;
	ret = clamd_open(w, address, job->timeout, &clamd);
	if (ret != 0) {
		worker_answer(result, CEE_ERROR_AV_NOT_FOUND, strerror(ret));
		return 0;
	}
	ret = clamd_stream_start(clamd);
	while (ret == 0) {
		got = smb_read(w->smb, w->piece, WORKER_PIECE);
		if (got <= 0) {
			break;
		}
		result->bytes += (uint64_t)got;
		ret = clamd_stream_write(clamd, w->piece, (size_t)got);
	}
	if (got < 0) {
		ret = errno == 0 ? EIO : errno;
		talloc_free(clamd);
		return ret;
	}
	if (ret == 0 && result->bytes != size) {
		talloc_free(clamd);
		worker_answer(result, CEE_ERROR_FAIL,
			      "the file changed its size while it was read");
		return 0;
	}
	clamd_stream_finish(clamd, &answer);
	talloc_free(clamd);
	worker_judge(&answer, result);
	return 0;
}

/* 0: answered; errno and *what: SMB failed. */
static int worker_fetch(struct worker *w, const struct job *job,
			struct job_result *result, const char **what)
{
	uint64_t size = 0;
	int ret;

	*what = "open";
	ret = worker_open(w, job, &size);
	if (ret != 0) {
		return ret;
	}
	if (size > w->config->max_size) {
		smb_close(w->smb);
		result->limit = true;
		worker_answer(result, CEE_ERROR_FAIL,
			      "larger than max_size of the agent");
		return 0;
	}
	*what = "read";
	ret = worker_stream(w, job, size, result);
	smb_close(w->smb);
	return ret;
}

static void worker_scan(struct worker *w, const struct job *job,
			struct job_result *result)
{
	const char *what = "";
	int ret;

	ret = worker_version(w, job->timeout, WORKER_VERSION_AGE, result);
	if (ret != 0) {
		return;
	}
	ret = worker_fetch(w, job, result, &what);
	if (smb_session_gone(ret)) {
		ret = smb_reset(w->smb);
		if (ret == 0) {
			ret = worker_fetch(w, job, result, &what);
		}
	}
	if (ret != 0) {
		worker_fetch_failed(result, what, ret);
	}
}

static void worker_loop(struct worker *w, int fd)
{
	static struct job job;

	while (true) {
		struct job_result result = { .status = CEE_ERROR_FAIL };
		ssize_t got;
		int ret;

		got = recv(fd, &job, sizeof(job), 0);
		if (got == -1 && errno == EINTR) {
			continue;
		}
		if (got <= 0) {
			return;
		}
		result.id = job.id;
		if (job.kind == JOB_SCAN) {
			worker_scan(w, &job, &result);
		} else {
			ret = worker_version(w, job.timeout, 0, &result);
			result.status = ret == 0 ? CEE_SUCCESS :
						   CEE_ERROR_AV_NOT_FOUND;
		}
		got = send(fd, &result, sizeof(result), MSG_NOSIGNAL);
		if (got == -1) {
			return;
		}
	}
}

_Noreturn void worker_run(int fd, const struct agent_config *config)
{
	struct worker *w = NULL;
	int ret = ENOMEM;

	w = talloc_zero(NULL, struct worker);
	if (w != NULL) {
		w->config = config;
		w->piece = talloc_array(w, uint8_t, WORKER_PIECE);
	}
	if (w != NULL && w->piece != NULL) {
		ret = smb_create(w, &w->smb);
	}
	if (ret != 0) {
		log_error("worker %d: SMB client: %s", getpid(),
			  strerror(ret));
		_exit(1);
	}
	worker_loop(w, fd);
	talloc_free(w);
	_exit(0);
}
