/*
 * Notices, and the mailbox they go through.
 *
 * To wake cavad costs smbd more than to write the notice, so most go into a
 * second socket, the mailbox, which nobody waits for: its other end is
 * handed over with HELLO, and cavad reads it
 *
 *  a. before it serves anything that came on the connection: what is asked
 *     later is asked with the notice known;
 *  b. before it says of any file that no scan is owed, those of all smbds;
 *  c. when the connection ends, however that came about;
 *  d. when it is rung for: CLIENT_BELL after the first notice that nothing
 *     was sent behind, or when it is half full of them;
 *  e. once in half a minute, for an smbd that is blocked and rings no bell.
 *
 * What is sent is in the kernel, with cavad's end of the socket: once
 * client_notice() returns, a write may follow, and smbd may be killed. The
 * scan is owed by (c). If cavad is killed, what is not acknowledged is here,
 * and goes to the spool, as without a mailbox.
 *
 * A notice that finds no room there goes by the connection, where it waits
 * in the queue if it must and wakes cavad, which reads the mailbox first.
 * So that none comes before it, the others follow it there until it is
 * acknowledged.
 *
 * ACKs come by the mailbox too. They are looked at when there is a reason
 * to: at the bell, when too much is kept, and before anything is spooled.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/client_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_UNACKED_MAX 1024	/* notices; the oldest go to the spool */
#define CLIENT_BELL 100000	/* us */
#define CLIENT_BOX_SIZE 131072	/* bytes; the kernel makes twice that of it */
#define CLIENT_BOX_TAKES(len) (1024 + 2 * (len)) /* in it, or less */
#define CLIENT_ACK_MAX 64	/* bytes; it has 16 */

/* --- the mailbox --- */

/* HELLO with a descriptor: the first message finds room. 0 or errno. */
static int client_box_give(struct client *c, int fd)
{
	union {
		struct cmsghdr header;
		uint8_t data[CMSG_SPACE(sizeof(int))];
	} control = { .data = { 0 } };
	struct iovec iov = { .iov_base = c->hello, .iov_len = c->hello_len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.data,
		.msg_controllen = sizeof(control.data),
	};
	ssize_t n = -1;

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	do {
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	return n == -1 ? errno : 0;
}

static void client_box_drop(struct client *c)
{
	if (c->box != -1) {
		close(c->box);
	}
	c->box = -1;
	c->box_taken = false;
	c->unrung = 0;
}

/* 0 or errno: then HELLO was not said. */
static int client_box_open(struct client *c)
{
	const int size = CLIENT_BOX_SIZE;
	int pair[2] = { -1, -1 };
	int ret = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
			     SOCK_CLOEXEC, 0, pair);

	if (ret == -1) {
		return errno;
	}
	/* bounded, whatever is usual here: cavad reads all of it in one go */
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c->box = pair[0];
	ret = client_box_give(c, pair[1]);
	close(pair[1]);
	if (ret != 0) {
		client_box_drop(c);
	}
	return ret;
}

int client_box_hello(struct client *c)
{
	int ret = 0;

	c->next_seq = 1;
	c->acked = 0;
	c->passed = 0;
	ret = client_box_open(c);
	if (ret != 0) {		/* by the connection, then, as all of it */
		ret = client_send(c, c->hello, c->hello_len);
	}
	return ret;
}

/* It may be that none arrived: no descriptor free there, or not allowed. */
int client_box_taken(struct client *c, bool taken)
{
	if (taken != c->box_taken && (c->box_taken || c->box == -1)) {
		return EBADMSG;
	}
	if (!taken) {
		client_box_drop(c);
	}
	c->box_taken = taken;
	return 0;
}

/* What cavad has acknowledged there. 0, or what ends the connection. */
static int client_box_read(struct client *c)
{
	uint8_t msg[CLIENT_ACK_MAX];
	struct proto_message m;
	ssize_t n = -1;
	int ret = 0;

	while (ret == 0 && c->box != -1) {
		n = recv(c->box, msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC);
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			return 0;
		}
		if (n == -1 && (errno == EINTR || errno == ECONNRESET)) {
			continue;	/* said once, before what it sent */
		}
		if (n == -1) {
			return errno;
		}
		if (n == 0) {
			return ECONNRESET;
		}
		if (n > CLIENT_ACK_MAX) {
			return EBADMSG;
		}
		ret = proto_decode(msg, (size_t)n, &m);
		if (ret == 0 && m.number != PROTO_ACK) {
			ret = EBADMSG;
		}
		if (ret == 0) {
			ret = client_acknowledged(c, m.u.ack.seq);
		}
	}
	return ret;
}

/* The same, and it may end the connection. Is there still one? */
static bool client_box_look(struct client *c)
{
	int ret = client_box_read(c);

	if (ret != 0) {
		client_lost(c, ret);
	}
	return ret == 0;
}

void client_ring(void *private_data)
{
	struct client *c = talloc_get_type_abort(private_data, struct client);
	struct proto_message m = { .number = PROTO_RING };
	uint8_t msg[PROTO_MAX];
	size_t len = 0;

	if (c->fd == -1 || !client_box_look(c) || c->unrung == 0) {
		return;
	}
	m.u.ring.seq = c->boxed;
	len = proto_encode(&m, msg);
	if (client_send(c, msg, len) == ENOBUFS) {
		client_lost(c, ENOBUFS);	/* it reads nothing */
	}
}

/*
 * Is it in the mailbox, or spooled since that ended the connection? Else it
 * is to go by the connection.
 */
static bool client_box_put(struct client *c, uint64_t seq, const uint8_t *msg,
			   size_t len)
{
	ssize_t n = -1;

	if (!c->box_taken) {
		return false;
	}
	if (c->acked < c->passed) {
		if (!client_box_look(c)) {
			return true;
		}
		if (c->acked < c->passed) {
			return false;
		}
	}
	do {
		n = send(c->box, msg, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		return false;
	}
	if (n == -1) {
		client_lost(c, errno);
		return true;
	}
	c->boxed = seq;
	c->unrung += CLIENT_BOX_TAKES(len);
	if (c->unrung >= CLIENT_BOX_SIZE) {
		client_ring(c);
	} else if (!tick_is_set(c->bell)) {
		tick_in(c->bell, CLIENT_BELL);
	}
	return true;
}

/* --- notices --- */

static void client_spool_first(struct client *c)
{
	/* ops->spool says what it could not keep */
	(void)c->ops->spool(c->private_data, c->unacked.first->data,
			    c->unacked.first->len);
	client_list_drop(&c->unacked);
}

void client_box_close(struct client *c)
{
	(void)client_box_read(c);	/* the last ACKs */
	client_box_drop(c);
	while (c->unacked.first != NULL) {
		client_spool_first(c);
	}
}

int client_acknowledged(struct client *c, uint64_t seq)
{
	if (seq >= c->next_seq) {
		return EBADMSG;		/* never said */
	}
	if (seq > c->acked) {
		c->acked = seq;
	}
	while (c->unacked.first != NULL && c->unacked.first->seq <= seq) {
		client_list_drop(&c->unacked);
	}
	return 0;
}

/* Kept meanwhile: whatever ends the connection spools it. */
static void client_notice_send(struct client *c, uint64_t seq,
			       const uint8_t *msg, size_t len)
{
	int ret = 0;

	if (client_box_put(c, seq, msg, len)) {
		return;
	}
	c->passed = seq;
	ret = client_send(c, msg, len);
	if (ret == ENOBUFS) {
		client_lost(c, ENOBUFS);	/* it reads nothing */
	}
}

int client_notice(struct client *c, const struct proto_notice *notice)
{
	struct proto_message m = { .number = PROTO_NOTICE,
				   .u.notice = *notice };
	uint8_t msg[PROTO_MAX];
	uint64_t seq = 0;
	size_t len = 0;
	bool kept = false;
	int ret = client_connect(c);

	seq = c->next_seq++;
	m.u.notice.seq = seq;
	len = proto_encode(&m, msg);
	if (len == 0) {
		m.u.notice.path = "";	/* a hint; identity is enough */
		m.u.notice.user = "";
		len = proto_encode(&m, msg);
	}
	if (len == 0) {
		return EMSGSIZE;
	}
	if (ret != 0) {
		return c->ops->spool(c->private_data, msg, len);
	}
	kept = client_list_add(c, &c->unacked, seq, msg, len);
	if (!kept) {
		return c->ops->spool(c->private_data, msg, len);
	}
	client_notice_send(c, seq, msg, len);
	if (c->unacked.count > CLIENT_UNACKED_MAX) {
		(void)client_box_look(c);
	}
	while (c->unacked.count > CLIENT_UNACKED_MAX) {
		client_spool_first(c);
	}
	return 0;
}
