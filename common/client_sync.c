/*
 * Questions of a client that wait in poll(): the rules are in client.h.
 *
 * No event loop runs meanwhile, so nothing of the caller's is called: what
 * else arrives is kept, and handled from the loop.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/client_private.h"

#include <errno.h>
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

/* Waits for the reply to id; its strings are on mem_ctx. */
static int client_sync_wait(struct client *c, TALLOC_CTX *mem_ctx,
			    uint64_t id, int64_t end,
			    struct proto_message *reply)
{
	uint8_t *msg = talloc_size(mem_ctx, PROTO_MAX);

	if (msg == NULL) {
		return ENOMEM;
	}
	while (c->fd != -1) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		int64_t left = end - client_now();
		ssize_t n = 0;
		int ret = 0;

		if (c->out.first != NULL) {
			p.events |= POLLOUT;
		}
		ret = poll(&p, 1, left < 0 ? 0 : (int)left);
		if (ret == -1 && errno != EINTR) {
			return errno;
		}
		if (ret == 0) {
			return ETIMEDOUT;
		}
		if (ret == 1 && (p.revents & POLLOUT)) {
			client_flush(c);
		}
		n = c->fd == -1 ? -1 : client_receive(c, msg);
		if (n <= 0) {
			continue;
		}
		ret = proto_decode(msg, (size_t)n, reply);
		if (ret == 0 && client_reply_id(reply) == id) {
			return 0;
		}
		ret = client_keep(c, msg, (size_t)n);
		if (ret != 0) {
			return ret;
		}
	}
	return ENOTCONN;
}

static int client_sync(struct client *c, TALLOC_CTX *mem_ctx,
		       uint32_t wait_ms, uint64_t id, struct proto_message *m,
		       struct proto_message *reply)
{
	int64_t end = client_now() + wait_ms;
	uint8_t msg[PROTO_MAX];
	size_t len = proto_encode(m, msg);
	int ret = 0;

	if (len == 0) {
		return EMSGSIZE;
	}
	ret = client_connect(c);
	if (ret == 0) {
		ret = client_send(c, msg, len);
	}
	if (ret != 0) {
		return ENOTCONN;
	}
	return client_sync_wait(c, mem_ctx, id, end, reply);
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
