/*
 * Questions of a client that wait in poll(): the rules are in client.h.
 *
 * No event loop runs meanwhile: no request ends and no filter changes, what
 * else arrives is kept, and handled from the loop.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/client_private.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

static uint64_t client_reply_id(const struct proto_message *m)
{
	switch (m->number) {
	case PROTO_ANSWER:
		return m->u.answer.id;
	case PROTO_CHECK_ANSWER:
		return m->u.check_answer.id;
	case PROTO_CHECK_NAMES:
		return m->u.check_names.id;
	default:
		return 0;
	}
}

/* At most `most` ms of what is left until `end`. */
static int client_sync_left(int64_t end, int64_t most)
{
	int64_t left = end - client_now();

	return left < 0 ? 0 : left > most ? (int)most : (int)left;
}

/* The next packet: its length, 0 = look at the clock, or -1 and errno. */
static ssize_t client_sync_receive(struct client *c, int wait_ms,
				   uint8_t msg[PROTO_MAX])
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n = 0;
	int ret = 0;

	if (c->out.first != NULL) {
		p.events |= POLLOUT;
	}
	ret = poll(&p, 1, wait_ms);
	if (ret == -1) {
		return errno == EINTR ? 0 : -1;
	}
	if (p.revents & POLLOUT) {
		client_flush(c);
	}
	if (ret == 0 || c->fd == -1) {
		return 0;
	}
	n = client_receive(c, msg);
	return n == -1 ? 0 : n;		/* lost: c->fd says so */
}

/* Waits for the reply to id; its strings point into msg. */
static int client_sync_wait(struct client *c, uint64_t id, int64_t end,
			    uint8_t msg[PROTO_MAX],
			    struct proto_message *reply)
{
	bool late = false;

	while (c->fd != -1) {
		int wait_ms = client_sync_left(end, INT_MAX);
		ssize_t n = client_sync_receive(c, wait_ms, msg);
		int ret = 0;

		if (n == -1) {
			return errno;
		}
		if (n == 0 && late) {
			return ETIMEDOUT;
		}
		late = client_now() >= end;
		if (n == 0) {
			continue;
		}
		ret = proto_decode(msg, (size_t)n, reply);
		if (ret != 0) {
			client_lost(c, ret);
			break;
		}
		if (client_reply_id(reply) == id) {
			return 0;
		}
		ret = client_keep(c, msg, (size_t)n);
		if (ret != 0) {
			return ret;
		}
	}
	return ENOTCONN;
}

/* 0: asked; ENOTCONN. */
static int client_sync_ask(struct client *c, const uint8_t *msg, size_t len)
{
	int ret = client_connect(c);

	if (ret == 0) {
		ret = client_send(c, msg, len);
	}
	return ret == 0 ? 0 : ENOTCONN;
}

/*
 * Rule 3. Each round but the first begins with a pause, also when cavad
 * takes the connection and closes it again.
 */
static int client_sync(struct client *c, TALLOC_CTX *mem_ctx,
		       uint32_t wait_ms, uint64_t id, struct proto_message *m,
		       struct proto_message *reply)
{
	int64_t end = client_now() + wait_ms;
	int64_t grace = 0;
	uint8_t msg[PROTO_MAX];
	size_t len = proto_encode(m, msg);
	uint8_t *in = NULL;
	int ret = 0;

	if (len == 0) {
		return EMSGSIZE;
	}
	in = talloc_size(mem_ctx, PROTO_MAX);
	if (in == NULL) {
		return ENOMEM;
	}
	ret = client_sync_ask(c, msg, len);
	if (ret == 0) {
		ret = client_sync_wait(c, id, end, in, reply);
		grace = client_now() + CLIENT_GRACE;
		grace = grace < end ? grace : end;
	}
	while (ret == ENOTCONN && client_now() < grace) {
		(void)poll(NULL, 0, client_sync_left(grace, CLIENT_RETRY));
		ret = client_sync_ask(c, msg, len);
		if (ret == 0) {
			ret = client_sync_wait(c, id, end, in, reply);
		}
	}
	if (ret != 0) {
		talloc_free(in);
	}
	return ret;
}

int client_ask_sync(struct client *c, TALLOC_CTX *mem_ctx,
		    const struct proto_ask *ask, struct proto_answer *answer)
{
	struct proto_message m = { .number = PROTO_ASK, .u.ask = *ask };
	struct proto_message reply;
	uint64_t id = c->next_id++;
	int ret = 0;

	m.u.ask.id = id;
	ret = client_sync(c, mem_ctx, ask->wait_ms, id, &m, &reply);
	if (ret == 0 && reply.number != PROTO_ANSWER) {
		return EBADMSG;
	}
	if (ret == 0) {
		*answer = reply.u.answer;
	}
	if (ret == ETIMEDOUT) {
		uint8_t msg[PROTO_MAX];
		size_t len = 0;

		m = (struct proto_message) { .number = PROTO_CANCEL,
					     .u.cancel = { .id = id } };
		len = proto_encode(&m, msg);
		(void)client_send(c, msg, len);
	}
	return ret;
}

int client_check(struct client *c, TALLOC_CTX *mem_ctx, uint32_t wait_ms,
		 const struct proto_check *check,
		 struct proto_check_answer *answer)
{
	struct proto_message m = { .number = PROTO_CHECK, .u.check = *check };
	struct proto_message reply;
	int ret = 0;

	m.u.check.id = c->next_id++;
	ret = client_sync(c, mem_ctx, wait_ms, m.u.check.id, &m, &reply);
	if (ret != 0) {
		return ret;
	}
	if (reply.number != PROTO_CHECK_ANSWER) {
		return EBADMSG;
	}
	*answer = reply.u.check_answer;
	return 0;
}

int client_check_names(struct client *c, TALLOC_CTX *mem_ctx,
		       uint32_t wait_ms, const struct proto_check *check,
		       char **names)
{
	struct proto_message m = { .number = PROTO_CHECK, .u.check = *check };
	struct proto_message reply;
	int ret = 0;

	m.u.check.id = c->next_id++;
	ret = client_sync(c, mem_ctx, wait_ms, m.u.check.id, &m, &reply);
	if (ret != 0) {
		return ret;
	}
	if (reply.number != PROTO_CHECK_NAMES) {
		return EBADMSG;
	}
	*names = talloc_strdup(mem_ctx, reply.u.check_names.names);
	return *names == NULL ? ENOMEM : 0;
}
