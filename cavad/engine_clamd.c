/*
 * clamd: a clamd on this host, asked over its unix socket.
 *
 * The open file is handed over (FILDES), so clamd needs no rights over the
 * share and cannot open another file of that name. Scans go over sessions
 * (IDSESSION) that are kept and used again, one scan at a time on each; clamd
 * numbers its replies, and one with another number is none. A session that
 * clamd closes (idle, restarted) is forgotten, or made anew if that is seen
 * only when the next scan goes over it. The heartbeat is a connection of its
 * own.
 *
 *   zIDSESSION\0, once
 *   zFILDES\0, one byte with the descriptor  ->  "1: fd[10]: OK\0"
 *                                                "2: fd[10]: THREAT FOUND\0"
 *                                                "3: fd[10]: REASON ERROR\0"
 *   zVERSION\0  ->  "ClamAV 1.4.1/27300/Mon Jan  1 10:00:00 2024\0"
 *
 * clamd says OK to a file over its MaxFileSize and cannot be asked for that
 * limit: files over clamd_size_maximum are unscannable without asking. With
 * "AlertExceedsMax yes" in clamd.conf it says Heuristics.Limits.Exceeded for
 * its other limits, which is no threat but unscannable as well.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cavad/engine.h"
#include "cavad/trace.h"
#include "common/req.h"

#define CLAMD_REPLY_MAX 1024
#define CLAMD_HEARTBEAT_TIMEOUT 3	/* s */
#define CLAMD_BUSY_RETRY 20000		/* us until the next connect */

/* A connection, watched for what comes from its beginning to its end. */
struct clamd_session {
	LIST_ENTRY(clamd_session) idle;		/* a child of its engine */
	struct engine *engine;
	struct tevent_req *req;	/* NULL = idle: what comes now ends it */
	struct tevent_fd *fde;
	int sock;
	uint32_t count;		/* commands that were answered */
};

struct engine {
	struct sockaddr_un addr;
	uint64_t size_max;	/* 0 = any */
	LIST_HEAD(, clamd_session) idle;	/* last used first */
	unsigned int idle_num;
	unsigned int idle_max;
	struct trace *trace;
};

struct engine_clamd_ask_state {
	struct tevent_context *ev;
	struct engine *engine;
	const char *command;	/* with its NUL, and the fd's own byte */
	size_t command_len;
	int fd;			/* borrowed; -1 = no scan, no session */
	int pass_fd;		/* the same until it is sent */
	struct clamd_session *session;
	bool kept;		/* the session has been used before */
	size_t sent;
	size_t len;
	char reply[CLAMD_REPLY_MAX];
};

struct engine_clamd_state {
	uint64_t size;
	struct engine_answer answer;
	struct engine_status status;
};

static void engine_clamd_connect(struct tevent_req *req);
static void engine_clamd_again(struct tevent_context *ev,
			       struct tevent_timer *timer, struct timeval now,
			       void *private_data);
static void engine_clamd_event(struct tevent_context *ev,
			       struct tevent_fd *fde, uint16_t flags,
			       void *private_data);
static void engine_clamd_scan_done(struct tevent_req *subreq);
static void engine_clamd_heartbeat_done(struct tevent_req *subreq);

static int engine_clamd_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       const struct config *config,
			       const struct server_object *server,
			       struct engine **result, char **error)
{
	const char *path = server->server_uri + strlen("clamd:");
	struct engine *e = NULL;

	(void)ev;
	(void)config;
	e = talloc_zero(mem_ctx, struct engine);
	if (e == NULL) {
		return ENOMEM;
	}
	if (*path != '/' || strlen(path) >= sizeof(e->addr.sun_path)) {
		*error = talloc_asprintf(mem_ctx, "server_uri %s: not of the "
					 "form clamd:/PATH/OF/SOCKET, or "
					 "longer than %zu characters",
					 server->server_uri,
					 sizeof(e->addr.sun_path) - 1);
		talloc_free(e);
		return EINVAL;
	}
	e->addr.sun_family = AF_UNIX;
	memcpy(e->addr.sun_path, path, strlen(path) + 1);
	e->size_max = server->clamd_size_maximum;
	e->idle_max = server->connections_maximum;
	*result = e;
	return 0;
}

/* Sessions. */

static void clamd_session_unlink(struct clamd_session *session)
{
	LIST_REMOVE(session, idle);
	session->engine->idle_num--;
}

static int clamd_session_destructor(struct clamd_session *session)
{
	if (session->req == NULL) {
		clamd_session_unlink(session);
	}
	TALLOC_FREE(session->fde);
	if (session->sock != -1) {
		close(session->sock);
	}
	return 0;
}

/* For req, not connected yet. NULL and errno. */
static struct clamd_session *clamd_session_create(struct tevent_req *req,
						  struct engine *e)
{
	struct clamd_session *session = talloc_zero(
		tevent_req_data(req, struct engine_clamd_ask_state),
		struct clamd_session);

	if (session == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	session->engine = e;
	session->req = req;
	session->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
			       SOCK_CLOEXEC, 0);
	talloc_set_destructor(session, clamd_session_destructor);
	if (session->sock == -1) {
		int error = errno;

		talloc_free(session);
		errno = error;
		return NULL;
	}
	return session;
}

/* Its answer has come; it waits for the next question. */
static void clamd_session_keep(struct clamd_session *session)
{
	struct engine *e = session->engine;

	if (e->idle_num == e->idle_max) {
		talloc_free(session);
		return;
	}
	session->req = NULL;
	session->count++;
	talloc_steal(e, session);
	LIST_INSERT_HEAD(&e->idle, session, idle);
	e->idle_num++;
}

/* One question, one answer. */

static void engine_clamd_ask_cleanup(struct tevent_req *req,
				     enum tevent_req_state req_state)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);

	(void)req_state;
	TALLOC_FREE(state->session);
}

/* A session that is kept, or a connection to be made. */
static void engine_clamd_start(struct tevent_req *req)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);
	static const char first[] = "zIDSESSION\0zFILDES\0";
	static const char later[] = "zFILDES\0";
	static const char version[] = "zVERSION";
	struct engine *e = state->engine;

	state->sent = 0;
	state->pass_fd = state->fd;
	state->kept = state->fd != -1 && !LIST_EMPTY(&e->idle);
	if (state->kept) {
		state->session = talloc_steal(state, LIST_FIRST(&e->idle));
		clamd_session_unlink(state->session);
		state->session->req = req;
		state->command = later;
		state->command_len = sizeof(later);
	} else if (state->fd != -1) {
		state->command = first;
		state->command_len = sizeof(first);
	} else {
		state->command = version;
		state->command_len = sizeof(version);
	}
}

/* fd -1 = what version it is. */
static struct tevent_req *engine_clamd_ask_send(TALLOC_CTX *mem_ctx,
						struct tevent_context *ev,
						struct engine *e, int fd,
						uint32_t timeout)
{
	struct engine_clamd_ask_state *state = NULL;
	struct tevent_req *req = NULL;
	bool ok;

	req = tevent_req_create(mem_ctx, &state,
				struct engine_clamd_ask_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->engine = e;
	state->fd = fd;
	engine_clamd_start(req);
	tevent_req_set_cleanup_fn(req, engine_clamd_ask_cleanup);
	ok = tevent_req_set_endtime(req, ev,
				    tevent_timeval_current_ofs(timeout, 0));
	if (ok) {
		engine_clamd_connect(req);
	}
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

/* With the descriptor, until it is sent. -1 and errno. */
static ssize_t engine_clamd_sendmsg(struct engine_clamd_ask_state *state)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = "" };
	struct iovec iov = {
		.iov_base = (char *)state->command + state->sent,
		.iov_len = state->command_len - state->sent,
	};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = NULL;

	if (state->pass_fd != -1) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &state->pass_fd, sizeof(int));
	}
	return sendmsg(state->session->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* -1 and errno; EAGAIN is no error. */
static ssize_t engine_clamd_write(struct engine_clamd_ask_state *state)
{
	ssize_t n = engine_clamd_sendmsg(state);

	if (n > 0) {
		trace_sent(state->engine->trace, state->command + state->sent,
			   (size_t)n);
		state->sent += (size_t)n;
		state->pass_fd = -1;
	}
	return n;
}

static void engine_clamd_watch(struct tevent_req *req)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);
	struct clamd_session *session = state->session;

	/* most often the socket takes it all; an error comes up again */
	(void)engine_clamd_write(state);
	if (session->fde == NULL) {
		session->fde = tevent_add_fd(state->ev, session, session->sock,
					     TEVENT_FD_READ,
					     engine_clamd_event, session);
	}
	if (tevent_req_nomem(session->fde, req)) {
		return;
	}
	if (state->sent < state->command_len) {
		TEVENT_FD_WRITEABLE(session->fde);
	}
}

static void engine_clamd_connect(struct tevent_req *req)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);
	const struct sockaddr_un *addr = &state->engine->addr;
	int ret;

	if (state->kept) {
		engine_clamd_watch(req);
		return;
	}
	if (state->session == NULL) {
		state->session = clamd_session_create(req, state->engine);
	}
	if (state->session == NULL) {
		tevent_req_error(req, errno);
		return;
	}
	ret = connect(state->session->sock, (const struct sockaddr *)addr,
		      sizeof(*addr));
	if (ret == -1 && errno == EAGAIN) {
		/* clamd's backlog is full: nothing tells when it is not */
		struct tevent_timer *timer = NULL;
		struct timeval when;

		when = tevent_timeval_current_ofs(0, CLAMD_BUSY_RETRY);
		timer = tevent_add_timer(state->ev, state, when,
					 engine_clamd_again, req);
		tevent_req_nomem(timer, req);
		return;
	}
	if (ret == -1) {
		tevent_req_error(req, errno);
		return;
	}
	engine_clamd_watch(req);
}

static void engine_clamd_again(struct tevent_context *ev,
			       struct tevent_timer *timer, struct timeval now,
			       void *private_data)
{
	struct tevent_req *req =
		talloc_get_type_abort(private_data, struct tevent_req);

	(void)ev;
	(void)timer;
	(void)now;
	engine_clamd_connect(req);
}

/* The connection is no good: `error`, or another one. */
static void engine_clamd_lost(struct tevent_req *req, int error)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);

	if (!state->kept || state->len > 0) {
		tevent_req_error(req, error);
		return;
	}
	TALLOC_FREE(state->session);
	engine_clamd_start(req);
	engine_clamd_connect(req);
}

/*
 * A whole reply is there. Of a session: its number, which is cut off, and the
 * session can be used again.
 */
static void engine_clamd_replied(struct tevent_req *req)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);
	size_t whole = strlen(state->reply) + 1;
	char number[16] = "";
	int n = 0;

	if (state->fd == -1) {
		tevent_req_done(req);
		return;
	}
	n = snprintf(number, sizeof(number), "%u: ",
		     state->session->count + 1);
	if (whole != state->len || strncmp(state->reply, number, n) != 0) {
		tevent_req_error(req, EBADMSG);
		return;
	}
	memmove(state->reply, state->reply + n, whole - n);
	clamd_session_keep(state->session);
	state->session = NULL;
	tevent_req_done(req);
}

/* The bytes so far end in a reply: NUL, or the end of the connection. */
static void engine_clamd_read(struct tevent_req *req)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);
	ssize_t n;

	n = recv(state->session->sock, state->reply + state->len,
		 sizeof(state->reply) - state->len, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (n == -1) {
		engine_clamd_lost(req, errno);
		return;
	}
	if (n == 0) {
		/* a whole reply ends in NUL; what was cut short is none */
		engine_clamd_lost(req, ECONNRESET);
		return;
	}
	trace_received(state->engine->trace, state->reply + state->len,
		       (size_t)n);
	state->len += (size_t)n;
	if (memchr(state->reply, '\0', state->len) != NULL) {
		engine_clamd_replied(req);
		return;
	}
	if (state->len == sizeof(state->reply)) {
		tevent_req_error(req, EMSGSIZE);
	}
}

static void engine_clamd_event(struct tevent_context *ev,
			       struct tevent_fd *fde, uint16_t flags,
			       void *private_data)
{
	struct clamd_session *session =
		talloc_get_type_abort(private_data, struct clamd_session);
	struct engine_clamd_ask_state *state = NULL;
	struct tevent_req *req = session->req;
	ssize_t n;

	(void)ev;
	if (req == NULL) {
		talloc_free(session);	/* closed, or talks unasked */
		return;
	}
	state = tevent_req_data(req, struct engine_clamd_ask_state);
	if (flags & TEVENT_FD_READ) {
		engine_clamd_read(req);
		return;
	}
	n = engine_clamd_write(state);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		engine_clamd_lost(req, errno);
		return;
	}
	if (state->sent == state->command_len) {
		TEVENT_FD_NOT_WRITEABLE(fde);
	}
}

/* reply stays valid until `req` is freed; "" on an error. */
static int engine_clamd_ask_recv(struct tevent_req *req, const char **reply)
{
	struct engine_clamd_ask_state *state =
		tevent_req_data(req, struct engine_clamd_ask_state);
	int error = req_error(req);

	*reply = error == 0 ? state->reply : "";
	return error;
}

/* Scan. */

/* Pure: cuts `suffix` off; false when it does not end in it. */
static bool engine_clamd_cut(char *text, const char *suffix)
{
	size_t len = strlen(text);
	size_t cut = strlen(suffix);

	if (len < cut || strcmp(text + len - cut, suffix) != 0) {
		return false;
	}
	text[len - cut] = '\0';
	return true;
}

static bool engine_clamd_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Pure: what "fd[10]: ..." means. */
static void engine_clamd_judge(const char *reply,
			       struct engine_answer *answer)
{
	const char *colon = strstr(reply, ": ");
	char text[CLAMD_REPLY_MAX] = "";

	snprintf(text, sizeof(text), "%s", colon != NULL ? colon + 2 : reply);
	if (colon != NULL && strcmp(text, "OK") == 0) {
		answer->result = VERDICT_CLEAN;
		return;
	}
	snprintf(answer->detail, sizeof(answer->detail), "%.*s",
		 (int)sizeof(answer->detail) - 1, text);
	if (colon != NULL && engine_clamd_cut(text, " FOUND")) {
		answer->result = VERDICT_UNSCANNABLE;
		if (engine_clamd_starts(text, "Heuristics.Limits.Exceeded")) {
			answer->reason = VERDICT_REASON_LIMIT;
			return;
		}
		if (engine_clamd_starts(text, "Heuristics.Encrypted")) {
			answer->reason = VERDICT_REASON_ENCRYPTED;
			return;
		}
		answer->result = VERDICT_INFECTED;
		answer->detail[0] = '\0';
		snprintf(answer->threat, sizeof(answer->threat), "%.*s",
			 (int)sizeof(answer->threat) - 1, text);
		return;
	}
	answer->result = VERDICT_FAILED;
	answer->server_fault = true;
	answer->reason = VERDICT_REASON_BAD_REPLY;
	if (engine_clamd_cut(text, "ERROR")) {
		answer->reason = VERDICT_REASON_SERVER_ERROR;
	}
}

static struct tevent_req *engine_clamd_scan_send(TALLOC_CTX *mem_ctx,
						 struct tevent_context *ev,
						 struct engine *e,
						 const struct engine_scan *scan)
{
	struct engine_clamd_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct engine_clamd_state);
	if (req == NULL) {
		return NULL;
	}
	if (e->size_max != 0 && scan->size > e->size_max) {
		state->answer.result = VERDICT_UNSCANNABLE;
		state->answer.reason = VERDICT_REASON_LIMIT;
		snprintf(state->answer.detail, sizeof(state->answer.detail),
			 "larger than clamd_size_maximum");
		tevent_req_done(req);
		return tevent_req_post(req, ev);
	}
	state->size = scan->size;
	subreq = engine_clamd_ask_send(state, ev, e, scan->fd,
				       scan->timeout);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, engine_clamd_scan_done, req);
	return req;
}

static void engine_clamd_scan_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct engine_clamd_state *state =
		tevent_req_data(req, struct engine_clamd_state);
	struct engine_answer *answer = &state->answer;
	const char *reply = NULL;
	int ret;

	ret = engine_clamd_ask_recv(subreq, &reply);
	if (ret == EMSGSIZE || ret == EBADMSG) {
		answer->result = VERDICT_FAILED;
		answer->reason = VERDICT_REASON_BAD_REPLY;
		answer->server_fault = true;
		snprintf(answer->detail, sizeof(answer->detail),
			 ret == EMSGSIZE ? "the reply is too long" :
			 "the reply is to another question");
		tevent_req_done(req);
		return;
	}
	if (ret != 0) {
		snprintf(answer->detail, sizeof(answer->detail),
			 "clamd's socket: %s", strerror(ret));
		tevent_req_error(req, ret);
		return;
	}
	answer->passed = state->size;
	engine_clamd_judge(reply, answer);
	tevent_req_done(req);
}

static int engine_clamd_scan_recv(struct tevent_req *req,
				  struct engine_answer *answer)
{
	struct engine_clamd_state *state =
		tevent_req_data(req, struct engine_clamd_state);
	int error = req_error(req);

	*answer = state->answer;
	tevent_req_received(req);
	return error;
}

/* Heartbeat. */

/*
 * Pure but for the time zone, which is that of this host since clamd runs
 * here: "Mon Jan  1 10:00:00 2024" in s since the epoch, 0 = not a time.
 */
static int64_t engine_clamd_time(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = { .tm_isdst = -1 };
	const char *found = NULL;
	char month[4] = "";
	time_t when;
	int n;

	n = sscanf(text, "%*3s %3s %2d %2d:%2d:%2d %4d", month, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year);
	if (n != 6 || strlen(month) != 3) {
		return 0;
	}
	found = strstr(months, month);
	if (found == NULL || (found - months) % 3 != 0) {
		return 0;
	}
	tm.tm_mon = (int)(found - months) / 3;
	tm.tm_year -= 1900;
	when = mktime(&tm);
	return when == -1 ? 0 : (int64_t)when;
}

/* Pure but for the time zone: "ClamAV 1.4.1/27300/Mon ...", the end of
 * which is missing while clamd has no dated signatures. */
static void engine_clamd_version(const char *reply,
				 struct engine_status *status)
{
	const char *slash = strchr(reply, '/');
	size_t name = strcspn(reply, "/");

	if (!engine_clamd_starts(reply, "ClamAV ") ||
	    name >= sizeof(status->vendor)) {
		snprintf(status->detail, sizeof(status->detail),
			 "what answers is no clamd");
		return;
	}
	status->online = true;
	status->av_ok = true;
	memcpy(status->vendor, reply, name);
	memcpy(status->version, reply, name);
	if (slash != NULL) {
		slash = strchr(slash + 1, '/');
	}
	if (slash != NULL) {
		status->signature_time = engine_clamd_time(slash + 1);
		snprintf(status->version, sizeof(status->version), "%.*s",
			 (int)(slash - reply), reply);
	}
}

static struct tevent_req *engine_clamd_heartbeat_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct engine *e)
{
	struct engine_clamd_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct engine_clamd_state);
	if (req == NULL) {
		return NULL;
	}
	subreq = engine_clamd_ask_send(state, ev, e, -1,
				       CLAMD_HEARTBEAT_TIMEOUT);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, engine_clamd_heartbeat_done, req);
	return req;
}

static void engine_clamd_heartbeat_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct engine_clamd_state *state =
		tevent_req_data(req, struct engine_clamd_state);
	const char *reply = NULL;
	int ret;

	ret = engine_clamd_ask_recv(subreq, &reply);
	if (ret != 0) {
		snprintf(state->status.detail, sizeof(state->status.detail),
			 "clamd's socket: %s", strerror(ret));
		tevent_req_error(req, ret);
		return;
	}
	engine_clamd_version(reply, &state->status);
	tevent_req_done(req);
}

static int engine_clamd_heartbeat_recv(struct tevent_req *req,
				       struct engine_status *status)
{
	struct engine_clamd_state *state =
		tevent_req_data(req, struct engine_clamd_state);
	int error = req_error(req);

	*status = state->status;
	tevent_req_received(req);
	return error;
}

static void engine_clamd_trace(struct engine *e, struct trace *t)
{
	e->trace = t;
}

const struct engine_ops engine_clamd = {
	.name = "clamd",
	.scheme = "clamd",
	.wants_fd = true,
	.create = engine_clamd_create,
	.scan_send = engine_clamd_scan_send,
	.scan_recv = engine_clamd_scan_recv,
	.heartbeat_send = engine_clamd_heartbeat_send,
	.heartbeat_recv = engine_clamd_heartbeat_recv,
	.trace = engine_clamd_trace,
};
