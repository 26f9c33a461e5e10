/*
 * smbd's end of the scan socket: the rules are in client.h.
 *
 * Nothing completes inside the call that finds it out: every request ends
 * through a deferred callback, since what it calls may free the client.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/client_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/req.h"

#define CLIENT_OUT_MAX 256	/* messages that wait for room in the socket */
#define CLIENT_IN_MAX 1024	/* messages that come while poll() waits */

static void client_event(struct tevent_context *ev, struct tevent_fd *fde,
			 uint16_t flags, void *private_data);
static void client_retry(void *private_data);
static void client_later(struct tevent_context *ev,
			 struct tevent_immediate *im, void *private_data);

int64_t client_now(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- lists --- */

static void client_list_init(struct client_list *list)
{
	*list = (struct client_list) { .first = NULL };
	list->last = &list->first;
}

bool client_list_add(TALLOC_CTX *mem_ctx, struct client_list *list,
		     uint64_t seq, const uint8_t *data, size_t len)
{
	struct client_msg *m = talloc_size(mem_ctx, sizeof(*m) + len);

	if (m == NULL) {
		return false;
	}
	m->next = NULL;
	m->seq = seq;
	m->len = len;
	memcpy(m->data, data, len);
	*list->last = m;
	list->last = &m->next;
	list->count++;
	return true;
}

static struct client_msg *client_list_shift(struct client_list *list)
{
	struct client_msg *m = list->first;

	list->first = m->next;
	list->count--;
	if (list->first == NULL) {
		list->last = &list->first;
	}
	return m;
}

void client_list_drop(struct client_list *list)
{
	struct client_msg *m = client_list_shift(list);

	talloc_free(m);
}

static void client_list_clear(struct client_list *list)
{
	while (list->first != NULL) {
		client_list_drop(list);
	}
}

/* --- the connection --- */

static void client_close(struct client *c)
{
	TALLOC_FREE(c->fde);
	if (c->fd != -1) {
		close(c->fd);
		c->fd = -1;
	}
	client_list_clear(&c->out);
	client_list_clear(&c->in);
	client_box_close(c);
}

static void client_say_down(struct client *c, int error)
{
	if (!c->down && c->ops->state != NULL) {
		c->ops->state(c->private_data, false, error);
	}
	c->down = true;
}

static void client_arm_retry(struct client *c)
{
	const struct client_ask_state *a = c->asks;

	while (a != NULL && a->grace == 0) {
		a = a->next;
	}
	if (!tick_is_set(c->retry) && a != NULL) {
		tick_in(c->retry, CLIENT_RETRY * 1000);
	}
}

void client_lost(struct client *c, int error)
{
	int64_t grace = client_now() + CLIENT_GRACE;
	struct client_ask_state *a = NULL;

	client_close(c);
	c->greeted = false;
	client_say_down(c, error);
	for (a = c->asks; a != NULL; a = a->next) {
		a->asked = false;
		if (a->grace == 0) {
			a->grace = grace;
		}
	}
	client_arm_retry(c);
}

int client_send(struct client *c, const uint8_t *data, size_t len)
{
	ssize_t n = -1;
	bool ok = false;

	if (c->fd == -1) {
		return ENOTCONN;
	}
	if (c->out.first == NULL) {
		do {
			n = send(c->fd, data, len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		} while (n == -1 && errno == EINTR);
		if (n == (ssize_t)len) {
			c->unrung = 0;
			return 0;
		}
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			client_lost(c, errno);
			return ENOTCONN;
		}
	}
	if (c->out.count >= CLIENT_OUT_MAX) {
		return ENOBUFS;
	}
	ok = client_list_add(c, &c->out, 0, data, len);
	if (!ok) {
		return ENOBUFS;
	}
	c->unrung = 0;
	TEVENT_FD_WRITEABLE(c->fde);
	return 0;
}

/*
 * After a reconnect: everything that is still asked. What finds no room has
 * its turn at the next retry.
 */
static void client_ask_again(struct client *c)
{
	struct client_ask_state *a = NULL;

	for (a = c->asks; a != NULL; a = a->next) {
		int ret = a->asked ? 0 : client_send(c, a->msg, a->len);

		if (ret != 0) {
			return;
		}
		a->asked = true;
		if (c->greeted) {
			a->grace = 0;
		}
	}
}

/*
 * Only now it is a cavad that serves us: one of another version, or one that
 * is ending, takes connections too.
 */
static void client_greeted(struct client *c)
{
	struct client_ask_state *a = NULL;

	if (c->greeted) {
		return;
	}
	c->greeted = true;
	for (a = c->asks; a != NULL; a = a->next) {
		if (a->asked) {
			a->grace = 0;
		}
	}
}

int client_connect(struct client *c)
{
	int ret = 0;

	if (c->fd != -1) {
		return 0;
	}
	c->fd = c->ops->connect(c->private_data);
	if (c->fd == -1) {
		ret = errno;
		client_say_down(c, ret);
		return ret;
	}
	c->fde = tevent_add_fd(c->ev, c, c->fd, TEVENT_FD_READ, client_event,
			       c);
	if (c->fde == NULL) {
		client_close(c);
		return ENOMEM;
	}
	ret = client_box_hello(c);
	if (ret != 0) {
		return ret;
	}
	c->down = false;
	if (c->ops->state != NULL) {
		c->ops->state(c->private_data, true, 0);
	}
	client_ask_again(c);
	return c->fd == -1 ? ENOTCONN : 0;
}

static int client_destructor(struct client *c)
{
	struct client_ask_state *a = NULL;

	while ((a = c->asks) != NULL) {
		c->asks = a->next;
		a->prev = NULL;
		a->next = NULL;
		a->client = NULL;
	}
	client_close(c);
	return 0;
}

struct client *client_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     const struct client_ops *ops, void *private_data,
			     const struct proto_hello *hello)
{
	struct proto_message m = { .number = PROTO_HELLO, .u.hello = *hello };
	uint8_t msg[PROTO_MAX];
	struct client *c = talloc_zero(mem_ctx, struct client);

	if (c == NULL) {
		return NULL;
	}
	c->ev = ev;
	c->ops = ops;
	c->private_data = private_data;
	c->fd = -1;
	c->box = -1;
	c->next_id = 1;
	client_list_init(&c->out);
	client_list_init(&c->unacked);
	client_list_init(&c->in);
	c->later = tevent_create_immediate(c);
	c->retry = tick_create(c, ev, client_retry, c);
	c->bell = tick_create(c, ev, client_ring, c);
	c->hello_len = proto_encode(&m, msg);
	c->hello = talloc_memdup(c, msg, c->hello_len);
	if (c->hello_len == 0 || c->hello == NULL || c->later == NULL ||
	    c->retry == NULL || c->bell == NULL) {
		talloc_free(c);
		return NULL;
	}
	talloc_set_destructor(c, client_destructor);
	return c;
}

static void client_retry(void *private_data)
{
	struct client *c = talloc_get_type_abort(private_data, struct client);
	struct client_ask_state *a = NULL;
	struct client_ask_state *next = NULL;
	int64_t ms = client_now();

	(void)client_connect(c);
	client_ask_again(c);
	for (a = c->asks; a != NULL; a = next) {
		next = a->next;
		if (a->grace == 0 || ms < a->grace) {
			continue;
		}
		tevent_req_defer_callback(a->req, a->ev);
		tevent_req_error(a->req, ENOTCONN);
	}
	client_arm_retry(c);
}

/* --- what comes in --- */

static void client_answered(struct client *c, const struct proto_answer *from)
{
	struct client_ask_state *a = c->asks;

	while (a != NULL && a->id != from->id) {
		a = a->next;
	}
	if (a == NULL) {
		return;		/* cancelled or timed out meanwhile */
	}
	a->settled = true;
	a->answer = *from;
	a->answer.threat = talloc_strdup(a, from->threat);
	a->answer.server = talloc_strdup(a, from->server);
	tevent_req_defer_callback(a->req, a->ev);
	if (a->answer.threat == NULL || a->answer.server == NULL) {
		tevent_req_oom(a->req);
		return;
	}
	tevent_req_done(a->req);
}

/* 0, or what ends the connection. */
static int client_take(struct client *c, const uint8_t *data, size_t len)
{
	struct proto_message m;
	int ret = proto_decode(data, len, &m);

	if (ret != 0) {
		return ret;
	}
	client_greeted(c);
	switch (m.number) {
	case PROTO_CONFIG:
		ret = client_box_taken(c, m.u.config.mailbox != 0);
		if (ret != 0) {
			return ret;
		}
		if (c->ops->config != NULL) {
			c->ops->config(c->private_data, &m.u.config.filter);
		}
		return 0;
	case PROTO_ANSWER:
		client_answered(c, &m.u.answer);
		return 0;
	case PROTO_ACK:
		return client_acknowledged(c, m.u.ack.seq);
	case PROTO_CHECK_ANSWER:
	case PROTO_CHECK_NAMES:
		return 0;	/* came after the wait for it had ended */
	default:
		return EBADMSG;
	}
}

ssize_t client_receive(struct client *c, uint8_t msg[PROTO_MAX])
{
	ssize_t n = -1;

	do {
		n = recv(c->fd, msg, PROTO_MAX, MSG_DONTWAIT | MSG_TRUNC);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		return 0;
	}
	if (n <= 0 || n > PROTO_MAX) {
		client_lost(c, n == -1 ? errno : n == 0 ? 0 : EBADMSG);
		return -1;
	}
	return n;
}

static void client_drain(struct client *c)
{
	while (c->in.first != NULL) {
		/* out of the list, which a callback may empty */
		struct client_msg *m = client_list_shift(&c->in);
		int ret = client_take(c, m->data, m->len);

		talloc_free(m);
		if (ret != 0) {
			client_lost(c, ret);
			return;
		}
	}
}

int client_keep(struct client *c, const uint8_t *data, size_t len)
{
	bool ok = false;

	if (c->in.count >= CLIENT_IN_MAX) {
		client_lost(c, ENOBUFS);
		return ENOTCONN;
	}
	ok = client_list_add(c, &c->in, 0, data, len);
	if (!ok) {
		return ENOMEM;
	}
	tevent_schedule_immediate(c->later, c->ev, client_later, c);
	return 0;
}

static void client_later(struct tevent_context *ev,
			 struct tevent_immediate *im, void *private_data)
{
	struct client *c = talloc_get_type_abort(private_data, struct client);

	(void)ev;
	(void)im;
	client_drain(c);
}

void client_flush(struct client *c)
{
	while (c->out.first != NULL) {
		ssize_t n = send(c->fd, c->out.first->data, c->out.first->len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno == EINTR) {
			continue;
		}
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			return;
		}
		if (n == -1) {
			client_lost(c, errno);
			return;
		}
		client_list_drop(&c->out);
	}
	TEVENT_FD_NOT_WRITEABLE(c->fde);
}

static void client_event(struct tevent_context *ev, struct tevent_fd *fde,
			 uint16_t flags, void *private_data)
{
	struct client *c = talloc_get_type_abort(private_data, struct client);
	uint8_t msg[PROTO_MAX];
	ssize_t n = 0;

	(void)ev;
	(void)fde;
	if (flags & TEVENT_FD_WRITE) {
		client_flush(c);
	}
	if ((flags & TEVENT_FD_READ) == 0) {
		return;
	}
	client_drain(c);
	if (c->fd == -1) {
		return;
	}
	/* one: most often there is no other, and the loop says if there is */
	n = client_receive(c, msg);
	if (n > 0) {
		int ret = client_take(c, msg, (size_t)n);

		if (ret != 0) {
			client_lost(c, ret);
		}
	}
}

/* --- questions --- */

static void client_ask_cleanup(struct tevent_req *req,
			       enum tevent_req_state req_state)
{
	struct client_ask_state *a = tevent_req_data(
		req, struct client_ask_state);
	struct client *c = a->client;

	(void)req_state;
	if (c == NULL) {
		return;
	}
	a->client = NULL;
	if (a->prev != NULL) {
		a->prev->next = a->next;
	} else {
		c->asks = a->next;
	}
	if (a->next != NULL) {
		a->next->prev = a->prev;
	}
	a->prev = NULL;
	a->next = NULL;
	if (!a->settled && a->asked) {
		struct proto_message m = { .number = PROTO_CANCEL,
					   .u.cancel = { .id = a->id } };
		uint8_t msg[PROTO_MAX];
		size_t len = proto_encode(&m, msg);

		(void)client_send(c, msg, len);
	}
}

struct tevent_req *client_ask_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct client *c,
				   const struct proto_ask *ask)
{
	struct proto_message m = { .number = PROTO_ASK, .u.ask = *ask };
	struct client_ask_state *a = NULL;
	struct tevent_req *req = NULL;
	struct timeval end;
	uint8_t msg[PROTO_MAX];
	int ret = 0;

	req = tevent_req_create(mem_ctx, &a, struct client_ask_state);
	if (req == NULL) {
		return NULL;
	}
	a->ev = ev;
	a->req = req;
	a->id = c->next_id++;
	m.u.ask.id = a->id;
	a->len = proto_encode(&m, msg);
	a->msg = talloc_memdup(a, msg, a->len);
	if (a->len == 0 || a->msg == NULL) {
		tevent_req_error(req, a->len == 0 ? EMSGSIZE : ENOMEM);
		return tevent_req_post(req, ev);
	}
	ret = client_connect(c);
	if (ret == 0) {
		ret = client_send(c, a->msg, a->len);
	}
	if (ret != 0) {
		tevent_req_error(req, ENOTCONN);
		return tevent_req_post(req, ev);
	}
	a->client = c;
	a->asked = true;
	a->next = c->asks;
	if (a->next != NULL) {
		a->next->prev = a;
	}
	c->asks = a;
	tevent_req_set_cleanup_fn(req, client_ask_cleanup);

	end = tevent_timeval_current_ofs(ask->wait_ms / 1000,
					 ask->wait_ms % 1000 * 1000);
	end = tevent_timeval_add(&end, 0, CLIENT_LATE * 1000);
	if (!tevent_req_set_endtime(req, ev, end)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

int client_ask_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		    struct proto_answer *answer)
{
	struct client_ask_state *a = tevent_req_data(
		req, struct client_ask_state);
	int ret = req_error(req);

	if (ret == 0) {
		*answer = a->answer;
		talloc_steal(mem_ctx, a->answer.threat);
		talloc_steal(mem_ctx, a->answer.server);
	}
	tevent_req_received(req);
	return ret;
}

/* --- one way --- */

void client_restamp(struct client *c, const struct proto_restamp *restamp)
{
	struct proto_message m = { .number = PROTO_RESTAMP,
				   .u.restamp = *restamp };
	uint8_t msg[PROTO_MAX];
	size_t len = proto_encode(&m, msg);
	int ret = client_connect(c);

	if (ret == 0 && len > 0) {
		(void)client_send(c, msg, len);
	}
}

/* What nobody answers, and what is not kept. 0 or errno. */
static int client_tell(struct client *c, const struct proto_message *m)
{
	uint8_t msg[PROTO_MAX];
	size_t len = proto_encode(m, msg);

	return len == 0 ? EMSGSIZE : client_send(c, msg, len);
}

bool client_count(struct client *c, const struct proto_count *count)
{
	struct proto_message m = { .number = PROTO_COUNT, .u.count = *count };

	return client_tell(c, &m) == 0;
}

void client_fetched(struct client *c, const struct proto_fetched *fetched)
{
	struct proto_message m = { .number = PROTO_FETCHED,
				   .u.fetched = *fetched };

	(void)client_tell(c, &m);
}

void client_ahead(struct client *c, const struct proto_ahead *ahead)
{
	struct proto_message m = { .number = PROTO_AHEAD,
				   .u.ahead = *ahead };

	(void)client_tell(c, &m);
}
