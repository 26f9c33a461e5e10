/*
 * Exchanges with an ICAP server over one connection: see icap_session.h.
 *
 * A server may answer before it has all of the file, to refuse it or since
 * it knows enough. So whenever it has something to say while we send, it is
 * heard; once its reply is whole nothing more is sent, and the connection,
 * on which the rest of the body is missing, is not used again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/icap_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cavad/trace.h"

#define SESSION_CHUNK 65536
#define SESSION_HEAD 4096
#define SESSION_PREVIEW_MAX 65536	/* more is not waited for */

int icap_session_open(const struct icap_target *target,
		      const struct icap_wait *wait,
		      struct icap_session **result, char why[ICAP_WHY])
{
	struct icap_session *s = calloc(1, sizeof(*s));
	int ret = 0;

	if (s == NULL) {
		return ENOMEM;
	}
	ret = icap_link_open(target->url, target->ca_file, wait, &s->link,
			     why, ICAP_WHY);
	if (ret != 0) {
		free(s);
		return ret;
	}
	*result = s;
	return 0;
}

void icap_session_close(struct icap_session *s)
{
	icap_link_close(s->link);
	free(s);
}

static bool session_answered(const struct icap_session *s)
{
	return s->reply.error != 0 || s->reply.part == ICAP_WHOLE;
}

/* 0 or errno. What follows a reply is an error of the server. */
static int session_feed(struct icap_session *s, const char *data, size_t got)
{
	size_t taken = 0;

	if (got == 0) {
		snprintf(s->why, sizeof(s->why), "it closed the connection");
		return ECONNRESET;
	}
	s->fresh = false;
	trace_received(s->trace, data, got);
	taken = icap_reply_feed(&s->reply, data, got);
	if (taken < got && s->reply.error == 0) {
		s->reply.error = EBADMSG;
	}
	return 0;
}

/* Until the reply is whole, or wrong. 0 or errno. */
static int session_wait(struct icap_session *s, const struct icap_wait *wait)
{
	char data[SESSION_HEAD];
	size_t got = 0;
	int ret = 0;

	while (ret == 0 && !session_answered(s)) {
		ret = icap_link_recv(s->link, data, sizeof(data), wait, &got);
		if (ret == 0) {
			ret = session_feed(s, data, got);
		}
	}
	return ret;
}

/* Hears what there is now. 0 or errno. */
static int session_hear(struct icap_session *s)
{
	char data[SESSION_HEAD];
	size_t got = 0;
	int ret = icap_link_peek(s->link, data, sizeof(data), &got);

	if (ret == EAGAIN) {
		return 0;	/* TLS had something to say to itself */
	}
	return ret == 0 ? session_feed(s, data, got) : ret;
}

/* The connection is closed to us. 0 if there was a reply; ECONNRESET. */
static int session_last_words(struct icap_session *s)
{
	char data[SESSION_HEAD];
	size_t got = 0;
	int ret = 0;

	while (ret == 0 && !session_answered(s)) {
		ret = icap_link_peek(s->link, data, sizeof(data), &got);
		if (ret == 0) {
			ret = session_feed(s, data, got);
		}
	}
	return ret == 0 ? 0 : ECONNRESET;
}

/* Ends early, with 0, once the server has answered. 0 or errno. */
static int session_send(struct icap_session *s, const char *data, size_t len,
			const struct icap_wait *wait)
{
	size_t pos = 0;
	size_t sent = 0;
	int ret = 0;

	while (ret == 0 && pos < len && !session_answered(s)) {
		ret = icap_link_send(s->link, data + pos, len - pos, wait,
				     &sent);
		if (ret == ECONNRESET) {
			/* it may have answered before it closed */
			return session_last_words(s);
		}
		if (ret != 0) {
			break;
		}
		trace_sent(s->trace, data + pos, sent);
		pos += sent;
		if (sent == 0) {
			ret = session_hear(s);
		}
	}
	return ret;
}

static void session_start(struct icap_session *s)
{
	icap_reply_init(&s->reply);
	s->fresh = true;
	s->sent = 0;
	s->why[0] = '\0';
}

/* After an exchange in which everything was sent. */
static bool session_reusable(const struct icap_session *s)
{
	return s->reply.error == 0 && !s->reply.close;
}

int icap_session_options(struct icap_session *s,
			 const struct icap_target *target,
			 const struct icap_wait *wait, bool *reusable)
{
	char head[SESSION_HEAD];
	size_t len = icap_options(head, sizeof(head), target->host,
				  target->service);
	int ret = len == 0 ? ENAMETOOLONG : 0;

	session_start(s);
	*reusable = false;
	if (ret == 0) {
		ret = session_send(s, head, len, wait);
	}
	if (ret == 0) {
		ret = session_wait(s, wait);
	}
	*reusable = ret == 0 && session_reusable(s);
	return ret;
}

/* `len` bytes from `offset`. 0 or EIO. */
static int session_read(struct icap_session *s,
			const struct icap_content *content, uint64_t offset,
			char *data, size_t len)
{
	size_t pos = 0;
	ssize_t n = 0;

	if (content->fd == -1) {
		memcpy(data, content->data + offset, len);
		return 0;
	}
	while (pos < len) {
		n = pread(content->fd, data + pos, len - pos,
			  (off_t)(offset + pos));
		if (n == -1 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			snprintf(s->why, sizeof(s->why), "reading the file: "
				 "%s", n == 0 ? "it became shorter" :
				 strerror(errno));
			return EIO;
		}
		pos += (size_t)n;
	}
	return 0;
}

/* One chunk: length, bytes, line end. 0 or errno. */
static int session_chunk(struct icap_session *s,
			 const struct icap_content *content, uint64_t offset,
			 size_t len, const struct icap_wait *wait)
{
	static const size_t head_max = 16;
	char data[16 + SESSION_CHUNK + 2];
	int head = snprintf(data, head_max, "%zx\r\n", len);
	int ret = session_read(s, content, offset, data + head, len);

	if (ret != 0) {
		return ret;
	}
	memcpy(data + head + len, "\r\n", 2);
	s->sent += len;
	return session_send(s, data, (size_t)head + len + 2, wait);
}

/* From offset to the end, and the last chunk. 0 or errno. */
static int session_rest(struct icap_session *s,
			const struct icap_content *content, uint64_t offset,
			const struct icap_wait *wait)
{
	int ret = 0;

	while (ret == 0 && offset < content->size && !session_answered(s)) {
		uint64_t left = content->size - offset;
		size_t len = left < SESSION_CHUNK ? (size_t)left :
			     SESSION_CHUNK;

		ret = session_chunk(s, content, offset, len, wait);
		offset += len;
	}
	if (ret == 0 && !session_answered(s)) {
		ret = session_send(s, "0\r\n\r\n", 5, wait);
	}
	return ret;
}

/* The preview, and what the server says to it. 0 or errno. */
static int session_preview(struct icap_session *s,
			   const struct icap_content *content, size_t len,
			   const struct icap_wait *wait, bool *whole)
{
	const char *end = len == content->size ? "0; ieof\r\n\r\n" :
			  "0\r\n\r\n";
	int ret = len == 0 ? 0 : session_chunk(s, content, 0, len, wait);

	if (ret == 0) {
		ret = session_send(s, end, strlen(end), wait);
	}
	*whole = !session_answered(s);
	if (ret == 0) {
		ret = session_wait(s, wait);
	}
	return ret;
}

static bool session_continue(const struct icap_session *s)
{
	return s->reply.error == 0 && s->reply.part == ICAP_WHOLE &&
		s->reply.status == 100;
}

int icap_session_respmod(struct icap_session *s,
			 const struct icap_target *target,
			 const struct icap_content *content, int64_t preview,
			 const struct icap_wait *wait, bool *reusable)
{
	char head[SESSION_HEAD];
	uint64_t first = 0;
	bool whole = true;	/* nothing that was announced is missing */
	size_t len = 0;
	int ret = 0;

	session_start(s);
	*reusable = false;
	if (preview > SESSION_PREVIEW_MAX) {
		preview = SESSION_PREVIEW_MAX;
	}
	if (preview >= 0) {
		first = content->size < (uint64_t)preview ? content->size :
			(uint64_t)preview;
	}
	len = icap_respmod(head, sizeof(head), target->host, target->service,
			   preview, content->size);
	ret = len == 0 ? ENAMETOOLONG : session_send(s, head, len, wait);
	if (ret == 0 && preview >= 0) {
		ret = session_preview(s, content, first, wait, &whole);
	}
	if (ret == 0 && preview >= 0 && first < content->size &&
	    session_continue(s)) {
		icap_reply_init(&s->reply);
	}
	if (ret == 0 && !session_answered(s)) {
		ret = session_rest(s, content, first, wait);
		whole = !session_answered(s);
	}
	if (ret == 0) {
		ret = session_wait(s, wait);
	}
	*reusable = ret == 0 && whole && session_reusable(s);
	return ret;
}
