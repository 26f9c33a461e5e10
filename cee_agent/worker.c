/*
 * A worker process. See worker.h.
 *
 * It may block: whoever asked has a deadline and kills it. A file of one
 * piece is read by one request, and a clamd on this host gets it as memory
 * that is handed over; clamd would write a stream to its disk first. The
 * session with clamd in which that is done goes on for the next one. A larger
 * file goes from SMB to clamd in pieces. Nothing is kept on disk; in memory
 * the last piece stays until the next one.
 *
 * "Clean" takes all of: clamd says OK, and as many bytes went to it as the
 * file had when it was opened, or has by what we were told (rule 6); a file
 * of several pieces has to end there.
 * Everything else is an error, or "over a limit". What changes while or after
 * it is read is the storage's to notice, as is any other change.
 *
 * 1. The size is compared with max_size first: clamd says OK to files that
 *    are over its own MaxFileSize without looking at them.
 * 2. A file that is not there may be there in a moment (a directory cache
 *    of the server's): asked again, up to three times within a second, the
 *    last time over a new session.
 * 3. When the session is gone, once more over a new one, from the start.
 * 4. The version of clamd is asked before the file is read, so that a file
 *    is never said to be scanned with signatures newer than were used.
 * 5. A clamd that cannot be reached, or fails, is followed by the next one,
 *    from the start. All of them together are one engine: its signatures
 *    are as old as the oldest of those that answer.
 * 6. Whoever asks with the size of a file, as cavad does, looks afterwards
 *    whether the file is still as it was then. So for a file of one piece
 *    that has as many bytes the size is not asked for: one request of four.
 *    With fewer bytes, or without being told, it is.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cee_agent/fetch_error.h"
#include "cee_agent/smb.h"
#include "cee_agent/worker.h"
#include "common/cee_msg.h"
#include "common/log.h"

#define WORKER_PIECE (1 << 20)		/* bytes read at a time */
#define WORKER_VERSION_AGE 10		/* s an answer to VERSION is used */
#define WORKER_NOT_FOUND_TRIES 3
#define WORKER_KEEP 3			/* s; clamd itself hangs up later */

struct worker_version {
	struct clamd_version version;
	time_t when;		/* monotonic; 0 = not known */
};

struct worker {
	const struct agent_config *config;
	struct smb *smb;
	uint8_t *buffer;
	uint8_t *piece;		/* in the buffer, behind room for its length */
	int memory;		/* of a small file for clamd; -1 = none yet */
	struct clamd *kept[AGENT_CLAMDS_MAX];	/* for the next small file */
	time_t kept_at[AGENT_CLAMDS_MAX];	/* monotonic */
	struct worker_version versions[AGENT_CLAMDS_MAX];
};

/* One try of a job: with which clamd. */
struct worker_try {
	const struct job *job;
	const struct storage *storage;
	size_t clamd;
	uint32_t timeout;	/* ms for each conversation with it */
};

static void worker_answer(struct job_result *result, uint32_t status,
			  const char *detail)
{
	result->status = status;
	snprintf(result->detail, sizeof(result->detail), "%s", detail);
}

static void worker_clamd_error(struct job_result *result, uint32_t status,
			       const struct address *clamd, const char *what)
{
	result->status = status;
	snprintf(result->detail, sizeof(result->detail), "clamd at %s: %s",
		 clamd->text, what);
}

static time_t worker_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void worker_clamd_failed(struct worker *w, size_t clamd, int error,
				struct job_result *result)
{
	w->versions[clamd].when = 0;
	result->clamds[clamd].state = CLAMD_FAILED;
	result->clamds[clamd].error = error;
}

/* 0, or the answer is in `result`. */
static int worker_version(struct worker *w, size_t i, uint32_t timeout,
			  time_t max_age, struct job_result *result)
{
	const struct address *address = &w->config->clamd.addresses[i];
	struct worker_version *v = &w->versions[i];
	struct clamd_seen *seen = &result->clamds[i];
	struct clamd *clamd = NULL;
	time_t now = worker_now();
	int ret = 0;

	if (v->when == 0 || now - v->when >= max_age) {
		v->when = 0;
		ret = clamd_open(w, address, timeout, &clamd);
		if (ret == 0) {
			ret = clamd_ask_version(clamd, &v->version);
		}
		TALLOC_FREE(clamd);
	}
	if (ret != 0) {
		worker_clamd_failed(w, i, ret, result);
		worker_clamd_error(result, CEE_ERROR_AV_NOT_FOUND, address,
				   strerror(ret));
		return ret;
	}
	if (v->when == 0) {
		v->when = now;
	}
	seen->state = CLAMD_ANSWERED;
	seen->signature_time = v->version.signature_time;
	snprintf(seen->vendor, sizeof(seen->vendor), "%s",
		 v->version.vendor);
	return 0;
}

/* Pure: the answer when clamd has answered. */
static void worker_judge(const struct clamd_answer *answer,
			 const struct address *clamd,
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
		worker_clamd_error(result, CEE_ERROR_AVINTERFACE, clamd,
				   answer->text);
		return;
	}
}

/* Rule 2 of the top. 0 or errno. */
static int worker_open(struct worker *w, const struct worker_try *t)
{
	struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };
	const struct job *job = t->job;
	int tries;
	int ret;

	for (tries = 1; true; tries++) {
		ret = smb_open(w->smb, t->storage, job->host, job->path,
			       job->timeout);
		if (ret != ENOENT || tries > WORKER_NOT_FOUND_TRIES ||
		    !smb_is_connected(w->smb)) {
			return ret;
		}
		nanosleep(&pause, NULL);
		if (tries == WORKER_NOT_FOUND_TRIES) {
			smb_reset(w->smb, t->storage);
		}
	}
}

/* NULL: the answer is in `result`. */
static struct clamd *worker_connect(struct worker *w,
				    const struct worker_try *t,
				    struct job_result *result)
{
	const struct address *address =
		&w->config->clamd.addresses[t->clamd];
	struct clamd *clamd = NULL;
	int ret = clamd_open(w, address, t->timeout, &clamd);

	if (ret != 0) {
		worker_clamd_error(result, CEE_ERROR_AV_NOT_FOUND, address,
				   strerror(ret));
		return NULL;
	}
	return clamd;
}

/* The piece as a file. 0 or errno. */
static int worker_memory(struct worker *w, size_t len)
{
	ssize_t written = 0;
	int ret;

	if (w->memory == -1) {
		w->memory = memfd_create("scan", MFD_CLOEXEC);
	}
	ret = ftruncate(w->memory, (off_t)len);
	if (ret == -1) {
		return errno;
	}
	written = pwrite(w->memory, w->piece, len, 0);
	if (written == -1) {
		return errno;
	}
	return (size_t)written == len ? 0 : ENOSPC;
}

/* The memory, to clamd. */
static void worker_pass(struct worker *w, struct clamd *clamd,
			struct clamd_answer *answer)
{
	clamd_pass(clamd, w->memory, answer);
	if (answer->verdict == CLAMD_ERROR ||
	    answer->verdict == CLAMD_TIMEOUT) {
		close(w->memory);	/* it may still be reading */
		w->memory = -1;
	}
}

/* The piece is all of the file. */
static void worker_piece(struct worker *w, struct clamd *clamd, size_t len,
			 struct clamd_answer *answer)
{
	int ret = clamd_takes_fd(clamd) ? worker_memory(w, len) : ENOTSUP;

	if (ret == 0) {
		worker_pass(w, clamd, answer);
		return;
	}
	(void)clamd_stream_start(clamd);
	if (len > 0) {
		(void)clamd_stream_write(clamd, w->piece, len);
	}
	clamd_stream_finish(clamd, answer);
}

static void worker_changed(struct job_result *result)
{
	worker_answer(result, CEE_ERROR_FAIL,
		      "the file changed its size while it was read");
}

static void worker_keep(struct worker *w, const struct worker_try *t,
			struct clamd *clamd)
{
	if (!clamd_goes_on(clamd)) {
		talloc_free(clamd);
		return;
	}
	w->kept[t->clamd] = clamd;
	w->kept_at[t->clamd] = worker_now();
}

/* The piece, in the session that is left of another file: answered? */
static bool worker_again(struct worker *w, const struct worker_try *t,
			 size_t len, struct clamd_answer *answer)
{
	struct clamd *clamd = w->kept[t->clamd];

	w->kept[t->clamd] = NULL;
	if (clamd == NULL) {
		return false;
	}
	if (worker_now() - w->kept_at[t->clamd] > WORKER_KEEP ||
	    worker_memory(w, len) != 0) {
		talloc_free(clamd);
		return false;
	}
	clamd_again(clamd, t->timeout);
	worker_pass(w, clamd, answer);
	if (clamd_was_over(clamd)) {
		talloc_free(clamd);
		return false;
	}
	worker_keep(w, t, clamd);
	return true;
}

/* All of a file is in the piece. The answer is in `result`. */
static void worker_judge_piece(struct worker *w, const struct worker_try *t,
			       size_t size, struct job_result *result)
{
	const struct address *address =
		&w->config->clamd.addresses[t->clamd];
	struct clamd_answer answer;
	struct clamd *clamd = NULL;

	result->bytes = size;
	if (!worker_again(w, t, size, &answer)) {
		clamd = worker_connect(w, t, result);
		if (clamd == NULL) {
			return;
		}
		worker_piece(w, clamd, size, &answer);
		worker_keep(w, t, clamd);
	}
	worker_judge(&answer, address, result);
}

/* Rule 6 of the top: is it answered? */
static bool worker_told(struct worker *w, const struct worker_try *t,
			struct job_result *result)
{
	uint64_t size = t->job->size;

	if (size == 0 || size > WORKER_PIECE || size > w->config->max_size ||
	    smb_read(w->smb, w->piece, size) != (ssize_t)size) {
		return false;
	}
	worker_judge_piece(w, t, size, result);
	return true;
}

/* An open file of one piece. 0: answered; errno: reading it failed. */
static int worker_whole(struct worker *w, const struct worker_try *t,
			size_t size, struct job_result *result)
{
	ssize_t got = size == 0 ? 0 : smb_read(w->smb, w->piece, size);

	if (got < 0) {
		return errno == 0 ? EIO : errno;
	}
	result->bytes = (uint64_t)got;
	if ((size_t)got != size) {
		worker_changed(result);
		return 0;
	}
	worker_judge_piece(w, t, size, result);
	return 0;
}

/* A larger one. 0: answered; errno: reading it failed. */
static int worker_stream(struct worker *w, const struct worker_try *t,
			 uint64_t size, struct job_result *result)
{
	const struct address *address =
		&w->config->clamd.addresses[t->clamd];
	struct clamd_answer answer;
	struct clamd *clamd = worker_connect(w, t, result);
	ssize_t got = 0;
	int ret;

	result->bytes = 0;
	if (clamd == NULL) {
		return 0;
	}
	ret = clamd_stream_start(clamd);
	do {
		got = smb_read(w->smb, w->piece, WORKER_PIECE);
		if (got > 0) {
			result->bytes += (uint64_t)got;
			ret = clamd_stream_write(clamd, w->piece,
						 (size_t)got);
		}
	} while (ret == 0 && got == WORKER_PIECE);
	if (got < 0) {
		ret = errno == 0 ? EIO : errno;
		talloc_free(clamd);
		return ret;
	}
	if (ret == 0 && result->bytes != size) {
		talloc_free(clamd);
		worker_changed(result);
		return 0;
	}
	clamd_stream_finish(clamd, &answer);
	talloc_free(clamd);
	worker_judge(&answer, address, result);
	return 0;
}

static void worker_too_large(const struct agent_config *c,
			     struct job_result *result)
{
	result->limit = true;
	result->status = CEE_ERROR_FAIL;
	snprintf(result->detail, sizeof(result->detail),
		 "larger than %s%s%s, %" PRIu64 " bytes", c->max_size_why,
		 c->clamd_conf == NULL ? "" : " in ",
		 c->clamd_conf == NULL ? "" : c->clamd_conf, c->max_size);
}

/* An open file. 0: answered; errno: reading it failed. */
static int worker_scan_open(struct worker *w, const struct worker_try *t,
			    struct job_result *result)
{
	uint64_t size = 0;
	int ret;

	if (worker_told(w, t, result)) {
		return 0;
	}
	ret = smb_size(w->smb, &size);
	if (ret != 0) {
		return ret;
	}
	if (size > w->config->max_size) {
		worker_too_large(w->config, result);
		return 0;
	}
	if (size <= WORKER_PIECE) {
		return worker_whole(w, t, (size_t)size, result);
	}
	return worker_stream(w, t, size, result);
}

/* 0: answered; errno and *what: SMB failed. */
static int worker_fetch(struct worker *w, const struct worker_try *t,
			struct job_result *result, const char **what)
{
	int ret;

	*what = "open";
	ret = worker_open(w, t);
	if (ret != 0) {
		return ret;
	}
	*what = "read";
	ret = worker_scan_open(w, t, result);
	smb_close(w->smb);
	return ret;
}

/* One try, with one clamd: is the answer the last word? */
static bool worker_try(struct worker *w, const struct worker_try *t,
		       struct job_result *result)
{
	struct fetch_error e = { .storage = t->storage,
				 .host = t->job->host };
	int ret;

	ret = worker_version(w, t->clamd, t->timeout, WORKER_VERSION_AGE,
			     result);
	if (ret != 0) {
		return false;
	}
	result->signature_time = result->clamds[t->clamd].signature_time;
	strcpy(result->vendor, result->clamds[t->clamd].vendor);
	ret = worker_fetch(w, t, result, &e.what);
	if (smb_session_gone(w->smb, ret)) {
		smb_reset(w->smb, t->storage);
		ret = worker_fetch(w, t, result, &e.what);
	}
	if (ret != 0) {
		e.error = ret;
		e.connected = smb_is_connected(w->smb);
		e.why = smb_why(w->smb);
		result->status = fetch_error_text(&e, result->detail,
						  sizeof(result->detail));
		return true;
	}
	if (result->status != CEE_ERROR_AVINTERFACE &&
	    result->status != CEE_ERROR_AV_NOT_FOUND) {
		return true;
	}
	worker_clamd_failed(w, t->clamd, 0, result);
	return false;
}

static void worker_scan(struct worker *w, const struct job *job,
			struct job_result *result)
{
	struct worker_try t = {
		.job = job,
		.storage = agent_config_storage(w->config, job->host),
	};
	uint64_t sessions = smb_sessions(w->smb);
	uint32_t i;

	if (t.storage == NULL) {
		worker_answer(result, CEE_ERROR_ACCESS_DENIED,
			      "no [storage] with this host is configured");
		return;
	}
	for (i = 0; i < job->num_clamds; i++) {
		t.clamd = job->clamds[i];
		/* one that hangs leaves time for those after it */
		t.timeout = job->timeout / (job->num_clamds - i);
		if (worker_try(w, &t, result)) {
			break;
		}
	}
	result->sessions = smb_sessions(w->smb) - sessions;
}

/* Rule 5 of the top. */
static void worker_status(struct worker *w, const struct job *job,
			  struct job_result *result)
{
	size_t num = w->config->clamd.num;
	bool any = false;
	size_t i;
	int ret;

	for (i = 0; i < num; i++) {
		const struct clamd_seen *seen = &result->clamds[i];

		ret = worker_version(w, i, job->timeout / num, 0, result);
		if (ret != 0) {
			continue;
		}
		if (!any || seen->signature_time < result->signature_time) {
			result->signature_time = seen->signature_time;
			strcpy(result->vendor, seen->vendor);
		}
		any = true;
	}
	if (any) {
		result->status = CEE_SUCCESS;
		result->detail[0] = '\0';
	}
}

static void worker_loop(struct worker *w, int fd)
{
	static struct job job;

	while (true) {
		struct job_result result = { .status = CEE_ERROR_FAIL };
		ssize_t got;

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
			worker_status(w, &job, &result);
		}
		got = send(fd, &result, sizeof(result), MSG_NOSIGNAL);
		if (got == -1) {
			return;
		}
	}
}

_Noreturn void worker_run(int fd, const struct agent_config *config,
			  unsigned int slot)
{
	struct worker *w = NULL;

	w = talloc_zero(NULL, struct worker);
	if (w != NULL) {
		w->config = config;
		w->memory = -1;
		w->buffer = talloc_array(w, uint8_t,
					 CLAMD_STREAM_HEAD + WORKER_PIECE);
		w->smb = smb_create(w, slot);
	}
	if (w == NULL || w->buffer == NULL || w->smb == NULL) {
		log_error("worker %d: out of memory", getpid());
		_exit(1);
	}
	w->piece = w->buffer + CLAMD_STREAM_HEAD;
	worker_loop(w, fd);
	talloc_free(w);
	_exit(0);
}
