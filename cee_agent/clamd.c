/*
 * One conversation with clamd, blocking. See clamd.h.
 *
 *   zVERSION\0     ->  "ClamAV 1.4.6/27300/Mon Jan  1 08:00:00 2026\0"
 *   zINSTREAM\0    then pieces of (length as 32 bits big-endian, bytes),
 *                  the last of length 0
 *                  ->  "stream: OK\0", "stream: THREAT FOUND\0",
 *                      "INSTREAM size limit exceeded. ERROR\0", ...
 *   zIDSESSION\0   once, and then, only over a unix socket, each time
 *   zFILDES\0\0    with a descriptor
 *                  ->  "1: fd[10]: OK\0", "2: fd[10]: THREAT FOUND\0", ...
 *
 * 1. Only "OK" is clean, and only when all of the file was sent.
 * 2. Heuristics.Limits.Exceeded (AlertExceedsMax) and Heuristics.Encrypted
 *    (AlertEncrypted) are no threats: clamd did not look inside.
 * 3. clamd may answer before the end (size limit) and hang up. So before
 *    each piece it is looked whether it has something to say, and after an
 *    error of the connection as well.
 * 4. A session for descriptors goes on for the next file: a new connection
 *    costs clamd the waking of two threads more. Only after an answer with
 *    the right number and nothing behind it.
 * 5. A signature time is in clamd's own time zone without saying which; it
 *    is taken as ours.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cee_agent/clamd.h"

#define CLAMD_REPLY_MAX 1024

struct clamd {
	int fd;
	bool local;
	int64_t deadline;	/* ms, monotonic */
	int error;		/* the first one; EALREADY: it has answered */
	unsigned int passed;	/* files that were answered, in a session */
	bool ended;		/* the answer, with its NUL and no more */
	bool goes_on;
	bool over;
};

static int64_t clamd_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int clamd_destroy(struct clamd *c)
{
	if (c->fd != -1) {
		close(c->fd);
	}
	return 0;
}

/* Until one of `events` can be done. 0, ETIMEDOUT, errno. */
static int clamd_wait(struct clamd *c, short events, short *found)
{
	struct pollfd pfd = { .fd = c->fd, .events = events };
	int64_t left = c->deadline - clamd_now();
	int ret;

	if (left <= 0) {
		return ETIMEDOUT;
	}
	ret = poll(&pfd, 1, (int)left);
	if (ret == 0) {
		return ETIMEDOUT;
	}
	if (ret == -1) {
		return errno == EINTR ? 0 : errno;
	}
	*found = pfd.revents;
	return 0;
}

static int clamd_connect(struct clamd *c, const struct address *address)
{
	socklen_t len = sizeof(int);
	short found = 0;
	int error = 0;
	int ret;

	ret = connect(c->fd, (const struct sockaddr *)&address->sa,
		      address->len);
	if (ret == 0) {
		return 0;
	}
	if (errno != EINPROGRESS) {
		return errno;
	}
	while (found == 0) {
		ret = clamd_wait(c, POLLOUT, &found);
		if (ret != 0) {
			return ret;
		}
	}
	ret = getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return ret == -1 ? errno : error;
}

int clamd_open(TALLOC_CTX *mem_ctx, const struct address *address,
	       uint32_t timeout, struct clamd **result)
{
	struct clamd *c = NULL;
	int ret;

	c = talloc_zero(mem_ctx, struct clamd);
	if (c == NULL) {
		return ENOMEM;
	}
	c->deadline = clamd_now() + timeout;
	c->local = address->sa.ss_family == AF_UNIX;
	c->fd = socket(address->sa.ss_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = c->fd == -1 ? errno : 0;
	talloc_set_destructor(c, clamd_destroy);
	if (ret == 0) {
		ret = clamd_connect(c, address);
	}
	if (ret != 0) {
		talloc_free(c);
		return ret;
	}
	*result = c;
	return 0;
}

/* All of it. 0, EALREADY, errno; sticky. */
static int clamd_send(struct clamd *c, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0 && c->error == 0) {
		short found = 0;
		ssize_t sent;

		c->error = clamd_wait(c, POLLIN | POLLOUT, &found);
		if (c->error != 0 || found == 0) {
			continue;
		}
		if (found & POLLIN) {
			c->error = EALREADY;
			continue;
		}
		sent = send(c->fd, p, len, MSG_NOSIGNAL);
		if (sent >= 0) {
			p += sent;
			len -= (size_t)sent;
		} else if (errno != EAGAIN && errno != EINTR) {
			c->error = errno;
		}
	}
	return c->error;
}

/* Up to clamd's NUL or the end. 0, EBADMSG (nothing, or too much), errno. */
static int clamd_receive(struct clamd *c, char reply[CLAMD_REPLY_MAX])
{
	size_t len = 0;

	while (len < CLAMD_REPLY_MAX - 1) {
		short found = 0;
		ssize_t got;
		int ret;

		ret = clamd_wait(c, POLLIN, &found);
		if (ret != 0) {
			return ret;
		}
		got = recv(c->fd, reply + len, CLAMD_REPLY_MAX - 1 - len, 0);
		if (got == -1 && (errno == EAGAIN || errno == EINTR)) {
			continue;
		}
		if (got == -1) {
			return errno;
		}
		if (got == 0 || memchr(reply + len, '\0', (size_t)got)) {
			len += (size_t)got;
			reply[len] = '\0';
			c->ended = got != 0 && strlen(reply) + 1 == len;
			return reply[0] == '\0' ? EBADMSG : 0;
		}
		len += (size_t)got;
	}
	return EBADMSG;
}

int clamd_parse_version(const char *reply, struct clamd_version *version)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *slash = NULL;
	const char *end = NULL;
	time_t when;

	memset(version, 0, sizeof(*version));
	if (strncmp(reply, "ClamAV ", 7) != 0) {
		return EBADMSG;
	}
	snprintf(version->vendor, sizeof(version->vendor), "%s", reply);
	version->vendor[strcspn(version->vendor, "/\r\n")] = '\0';
	slash = strchr(reply, '/');
	if (slash != NULL) {
		slash = strchr(slash + 1, '/');
	}
	if (slash == NULL) {
		return 0;
	}
	end = strptime(slash + 1, "%a %b %d %H:%M:%S %Y", &tm);
	if (end == NULL) {
		return 0;
	}
	when = mktime(&tm);
	version->signature_time = when > 0 ? when : 0;
	return 0;
}

int clamd_ask_version(struct clamd *c, struct clamd_version *version)
{
	char reply[CLAMD_REPLY_MAX] = "";
	int ret;

	ret = clamd_send(c, "zVERSION", sizeof("zVERSION"));
	if (ret == 0) {
		ret = clamd_receive(c, reply);
	}
	if (ret != 0) {
		return ret;
	}
	return clamd_parse_version(reply, version);
}

bool clamd_takes_fd(const struct clamd *c)
{
	return c->local;
}

int clamd_stream_start(struct clamd *c)
{
	return clamd_send(c, "zINSTREAM", sizeof("zINSTREAM"));
}

int clamd_stream_write(struct clamd *c, void *piece, size_t len)
{
	uint32_t head = htonl((uint32_t)len);
	uint8_t *start = (uint8_t *)piece - sizeof(head);

	memcpy(start, &head, sizeof(head));
	return clamd_send(c, start, sizeof(head) + len);
}

static bool clamd_starts(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Is `end` the end of `text`, and something before it? Its place then. */
static const char *clamd_ends(const char *text, const char *end)
{
	size_t text_len = strlen(text);
	size_t end_len = strlen(end);

	if (text_len <= end_len ||
	    strcmp(text + text_len - end_len, end) != 0) {
		return NULL;
	}
	return text + text_len - end_len;
}

/* What comes after "stream: " or "fd[10]: "; NULL: neither. */
static const char *clamd_said(const char *reply)
{
	static const char stream[] = "stream: ";
	static const char fd[] = "fd[";

	if (clamd_starts(reply, stream)) {
		return reply + strlen(stream);
	}
	if (!clamd_starts(reply, fd)) {
		return NULL;
	}
	reply += strlen(fd);
	reply += strspn(reply, "0123456789");
	return clamd_starts(reply, "]: ") ? reply + strlen("]: ") : NULL;
}

void clamd_judge(const char *reply, struct clamd_answer *answer)
{
	const char *said = clamd_said(reply);
	const char *end = NULL;

	memset(answer, 0, sizeof(*answer));
	snprintf(answer->text, sizeof(answer->text), "%s", reply);
	if (clamd_starts(reply, "INSTREAM size limit exceeded")) {
		answer->verdict = CLAMD_LIMIT;
		return;
	}
	if (said == NULL) {
		return;
	}
	if (strcmp(said, "OK") == 0) {
		answer->verdict = CLAMD_CLEAN;
		return;
	}
	end = clamd_ends(said, " FOUND");
	if (end == NULL) {
		return;
	}
	snprintf(answer->text, sizeof(answer->text), "%.*s",
		 (int)(end - said), said);
	if (clamd_starts(said, "Heuristics.Limits.Exceeded")) {
		answer->verdict = CLAMD_LIMIT;
	} else if (clamd_starts(said, "Heuristics.Encrypted")) {
		answer->verdict = CLAMD_ENCRYPTED;
	} else {
		answer->verdict = CLAMD_INFECTED;
	}
}

/* 0, or errno and an answer that says so. */
static int clamd_hear(struct clamd *c, char reply[CLAMD_REPLY_MAX],
		      struct clamd_answer *answer)
{
	int ret = c->error == ETIMEDOUT ? ETIMEDOUT : clamd_receive(c, reply);

	memset(answer, 0, sizeof(*answer));
	if (ret != 0) {
		answer->verdict = ret == ETIMEDOUT ? CLAMD_TIMEOUT :
						     CLAMD_ERROR;
		snprintf(answer->text, sizeof(answer->text),
			 "no answer of clamd: %s", ret == EBADMSG ?
			 "it hung up" : strerror(ret));
	}
	return ret;
}

/* `said` is clamd's; but it may not have had all of the file. */
static void clamd_conclude(const struct clamd *c, const char *said,
			   struct clamd_answer *answer)
{
	clamd_judge(said, answer);
	if (answer->verdict == CLAMD_CLEAN && c->error != 0) {
		answer->verdict = CLAMD_ERROR;
		snprintf(answer->text, sizeof(answer->text),
			 "clamd said OK before it had the whole file");
	}
}

void clamd_stream_finish(struct clamd *c, struct clamd_answer *answer)
{
	static const uint8_t end[CLAMD_STREAM_HEAD];

	char reply[CLAMD_REPLY_MAX] = "";
	int ret;

	/* the error of this is c->error, as of those before it */
	clamd_send(c, end, sizeof(end));
	ret = clamd_hear(c, reply, answer);
	if (ret == 0) {
		clamd_conclude(c, reply, answer);
	}
}

/* The first opens the session. */
static int clamd_send_fd(struct clamd *c, int fd)
{
	static char command[] = "zIDSESSION\0zFILDES\0"; /* and fd's byte */
	size_t skip = c->passed == 0 ? 0 : sizeof("zIDSESSION");
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = "" };
	struct iovec iov = { .iov_base = command + skip,
			     .iov_len = sizeof(command) - skip };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	ssize_t sent = -1;

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(int));
	sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	if (sent == -1) {
		return errno;
	}
	/* a new connection takes it all */
	return sent == (ssize_t)iov.iov_len ? 0 : EIO;
}

/* What comes after the number of this file's answer, or NULL. */
static const char *clamd_numbered(const struct clamd *c, const char *reply)
{
	char *end = NULL;
	unsigned long number = strtoul(reply, &end, 10);

	if (!isdigit((unsigned char)reply[0]) || number != c->passed + 1 ||
	    !clamd_starts(end, ": ")) {
		return NULL;
	}
	return end + strlen(": ");
}

void clamd_pass(struct clamd *c, int fd, struct clamd_answer *answer)
{
	char reply[CLAMD_REPLY_MAX] = "";
	const char *said = NULL;
	int ret;

	c->goes_on = false;
	c->error = clamd_send_fd(c, fd);
	ret = clamd_hear(c, reply, answer);
	said = ret == 0 ? clamd_numbered(c, reply) : NULL;
	c->over = said == NULL && c->passed > 0 && ret != ETIMEDOUT;
	if (said == NULL) {
		if (ret == 0) {
			snprintf(answer->text, sizeof(answer->text), "%s",
				 reply);
		}
		return;
	}
	clamd_conclude(c, said, answer);
	c->goes_on = c->ended && answer->verdict != CLAMD_ERROR;
	c->passed++;
}

bool clamd_goes_on(const struct clamd *c)
{
	return c->goes_on;
}

void clamd_again(struct clamd *c, uint32_t timeout)
{
	c->deadline = clamd_now() + timeout;
}

bool clamd_was_over(const struct clamd *c)
{
	return c->over;
}
