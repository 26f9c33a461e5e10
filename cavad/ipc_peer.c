/*
 * One connection of an smbd.
 *
 * 1. HELLO comes first and once. Whatever makes no sense ends the
 *    connection; the other side spools what was not acknowledged and
 *    connects again. HELLO may bring a mailbox, which is read after a message
 *    has come and before that is served: ipc_notice.c, as all about notices.
 * 2. With IPC_NOTICES_MAX notices under way nothing is read until some are
 *    committed; the kernel then holds the sender. While it does not read, one
 *    ACK at most waits for it: an smbd may send thousands of notices in one
 *    turn of its loop.
 * 3. A peer that is closed is freed from an immediate event, so that nobody
 *    who is in the middle of serving it stands on freed memory. Until then
 *    its fd is -1 and it takes and sends nothing.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cavad/ipc_private.h"
#include "common/log.h"

static void ipc_peer_event(struct tevent_context *ev, struct tevent_fd *fde,
			   uint16_t flags, void *private_data);
static void ipc_peer_soon(struct tevent_context *ev,
			  struct tevent_immediate *im, void *private_data);

/* Life. */

static int ipc_peer_destructor(struct ipc_peer *peer)
{
	if (peer->fd == -1) {
		return 0;
	}
	TALLOC_FREE(peer->fde);
	close(peer->fd);
	peer->fd = -1;
	ipc_box_close(peer);
	TAILQ_REMOVE(&peer->ipc->peers, peer, entry);
	if (peer->hello) {
		peer->ipc->peers_count--;
	}
	return 0;
}

int ipc_peer_create(struct ipc *ipc, int fd, pid_t pid)
{
	struct ipc_peer *peer = talloc_zero(ipc, struct ipc_peer);

	if (peer == NULL) {
		close(fd);
		return ENOMEM;
	}
	peer->ipc = ipc;
	peer->fd = fd;
	peer->box = -1;
	peer->pid = pid;
	TAILQ_INIT(&peer->asks);
	TAILQ_INIT(&peer->notices);
	LIST_INIT(&peer->writers);
	TAILQ_INIT(&peer->out);
	peer->soon = tevent_create_immediate(peer);
	peer->fde = tevent_add_fd(ipc->ev, peer, fd, TEVENT_FD_READ,
				  ipc_peer_event, peer);
	if (peer->soon == NULL || peer->fde == NULL) {
		talloc_free(peer->fde);
		close(fd);
		talloc_free(peer);
		return ENOMEM;
	}
	TAILQ_INSERT_TAIL(&ipc->peers, peer, entry);
	talloc_set_destructor(peer, ipc_peer_destructor);
	ipc->counters->ipc_connections++;
	return 0;
}

void ipc_peer_close(struct ipc_peer *peer)
{
	struct ipc_ask *ask = NULL;

	if (peer->fd == -1) {
		return;
	}
	ipc_peer_destructor(peer);
	ipc_writers_gone(peer);
	if (peer->hello) {
		scan_write(peer->ipc->scans);
	}
	if (peer->hello && peer->role == 0) {
		scan_spool_read(peer->ipc->scans);	/* what it has left */
	}
	while ((ask = TAILQ_FIRST(&peer->asks)) != NULL) {
		talloc_free(ask);
	}
	tevent_schedule_immediate(peer->soon, peer->ipc->ev, ipc_peer_soon,
				  peer);
}

void ipc_peer_bad(struct ipc_peer *peer, const char *what)
{
	if (peer->fd == -1) {
		return;
	}
	peer->ipc->counters->ipc_errors++;
	log_warning("connection of smbd %d ended: %s", (int)peer->pid, what);
	ipc_peer_close(peer);
}

/* Sending. */

void ipc_peer_flags(struct ipc_peer *peer)
{
	uint16_t flags = 0;

	if (peer->notices_count < IPC_NOTICES_MAX) {
		flags |= TEVENT_FD_READ;
	}
	if (peer->out_count > 0) {
		flags |= TEVENT_FD_WRITE;
	}
	tevent_fd_set_flags(peer->fde, flags);
}

/*
 * A smbd that is gone takes nothing more, but its last
 * notices are still to be read: then it is as if it had been sent, and the
 * end comes by reading.
 */
int ipc_peer_write(int fd, const uint8_t *data, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EPIPE || errno == ECONNRESET)) {
		return 0;
	}
	return n == -1 ? errno : 0;
}

void ipc_peer_ack_soon(struct ipc_peer *peer)
{
	tevent_schedule_immediate(peer->soon, peer->ipc->ev, ipc_peer_soon,
				  peer);
}

static void ipc_peer_flush(struct ipc_peer *peer)
{
	struct ipc_out *out = NULL;

	while ((out = TAILQ_FIRST(&peer->out)) != NULL) {
		int ret = ipc_peer_write(peer->fd, out->data, out->len);

		if (ret == EAGAIN) {
			return;
		}
		if (ret != 0) {
			ipc_peer_close(peer);
			return;
		}
		TAILQ_REMOVE(&peer->out, out, entry);
		peer->out_count--;
		talloc_free(out);
	}
	ipc_peer_flags(peer);
	if (peer->acked < peer->committed) {
		ipc_peer_ack_soon(peer);
	}
}

void ipc_peer_send(struct ipc_peer *peer, const struct proto_message *m)
{
	uint8_t data[PROTO_MAX];
	struct ipc_out *out = NULL;
	size_t len;
	int ret = EAGAIN;

	if (peer->fd == -1) {
		return;
	}
	len = proto_encode(m, data);
	if (len == 0) {
		log_error("a message (%s) to smbd %d does not fit",
			  proto_name(m->number), (int)peer->pid);
		ipc_peer_close(peer);
		return;
	}
	if (peer->out_count == 0) {
		ret = ipc_peer_write(peer->fd, data, len);
	}
	if (ret == 0) {
		return;
	}
	if (ret != EAGAIN) {
		ipc_peer_close(peer);
		return;
	}
	if (peer->out_count >= IPC_OUT_MAX) {
		ipc_peer_bad(peer, "it does not take its answers");
		return;
	}
	out = talloc_size(peer, sizeof(*out) + len);
	if (out == NULL) {
		ipc_peer_close(peer);
		return;
	}
	out->len = len;
	memcpy(out->data, data, len);
	TAILQ_INSERT_TAIL(&peer->out, out, entry);
	peer->out_count++;
	ipc_peer_flags(peer);
}

void ipc_peer_config(struct ipc_peer *peer)
{
	const struct proto_message m = {
		.number = PROTO_CONFIG,
		.u.config.mailbox = peer->box != -1,
		.u.config.filter = config_filter(peer->ipc->config,
						 peer->zone),
	};

	ipc_peer_send(peer, &m);
}

static void ipc_peer_soon(struct tevent_context *ev,
			  struct tevent_immediate *im, void *private_data)
{
	struct ipc_peer *peer = talloc_get_type_abort(private_data,
						      struct ipc_peer);

	(void)ev;
	(void)im;
	if (peer->fd == -1) {
		talloc_free(peer);
		return;
	}
	ipc_ack(peer);
}

/* HELLO. */

static void ipc_hello(struct ipc_peer *peer, const struct proto_hello *m)
{
	struct ipc *ipc = peer->ipc;
	const char *zone = m->zone[0] != '\0' ? m->zone : CONFIG_ZONE_DEFAULT;

	if (peer->hello) {
		ipc_peer_bad(peer, "a second HELLO");
		return;
	}
	if (peer->box != -1 && !ipc_box_fits(peer->box)) {
		ipc_peer_bad(peer, "a mailbox that is none");
		return;
	}
	if (peer->box != -1) {
		ipc_box_begin(peer);
	}
	peer->zone = talloc_strdup(peer, zone);
	peer->share = talloc_strdup(peer, m->share);
	if (peer->zone == NULL || peer->share == NULL) {
		ipc_peer_close(peer);
		return;
	}
	if (m->role == 0 && zone_enter(peer, ipc->zones, zone, m->share,
				       m->root) == NULL) {
		ipc_peer_close(peer);
		return;
	}
	peer->hello = true;
	peer->role = m->role;
	ipc->peers_count++;
	event_settle(ipc->events, EVENT_SW_AVSCAN_CAVA_FILTER_OFFLINE, "");
	log_debug("smbd %u serves %s to %s (zone %s)", m->pid, m->share,
		  m->client, zone);
	ipc_peer_config(peer);
	if (peer->role == 0) {
		scan_spool_read(ipc->scans);
	}
}

/* CHECK. */

/* Whole names only, as many as a message holds. */
static void ipc_names_cut(char *names)
{
	size_t len = strlen(names);

	if (len <= PROTO_STR_MAX) {
		return;
	}
	len = PROTO_STR_MAX;
	while (len > 0 && names[len - 1] != '\n') {
		len--;
	}
	names[len] = '\0';
}

static void ipc_check(struct ipc_peer *peer, const struct proto_check *m)
{
	TALLOC_CTX *frame = NULL;
	struct proto_message reply = { .number = PROTO_CHECK_ANSWER };
	struct proto_check_answer answer;
	char *names = NULL;

	if (m->what > PROTO_WHAT_ALIAS) {
		ipc_peer_bad(peer, "a CHECK of no known kind");
		return;
	}
	frame = talloc_new(peer);
	if (check_done(peer->ipc->check, m)) {
		answer = (struct proto_check_answer) {
			.id = m->id, .allowed = 1, .reason = "",
		};
	} else {
		check_ask(peer->ipc->check, frame, m, &answer);
	}
	reply.u.check_answer = answer;
	if (m->what == PROTO_WHAT_LIST) {
		if (answer.allowed) {
			names = check_names(peer->ipc->check, frame, m->path);
		}
		if (names != NULL) {
			ipc_names_cut(names);
		}
		reply.number = PROTO_CHECK_NAMES;
		reply.u.check_names = (struct proto_check_names) {
			.id = m->id,
			.names = names,
		};
	}
	if (m->what == PROTO_WHAT_ALIAS && answer.allowed) {
		const char *target = check_alias(peer->ipc->check, m->path);

		reply.number = PROTO_CHECK_NAMES;
		reply.u.check_names = (struct proto_check_names) {
			.id = m->id,
			.names = target == NULL ? "" : target,
		};
	}
	ipc_peer_send(peer, &reply);
	talloc_free(frame);
}

/* Reading. */

static void ipc_peer_serve(struct ipc_peer *peer,
			   const struct proto_message *m)
{
	if (!peer->hello && m->number != PROTO_HELLO) {
		ipc_peer_bad(peer, "it does not begin with HELLO");
		return;
	}
	switch (m->number) {
	case PROTO_HELLO:
		ipc_hello(peer, &m->u.hello);
		return;
	case PROTO_ASK:
		ipc_ask(peer, &m->u.ask);
		return;
	case PROTO_CANCEL:
		ipc_ask_cancel(peer, m->u.cancel.id);
		return;
	case PROTO_NOTICE:
		ipc_notice(peer, &m->u.notice);
		return;
	case PROTO_RESTAMP:
		restamp(peer->ipc->restamps, &m->u.restamp);
		return;
	case PROTO_COUNT:
		zone_count(peer->ipc->zones, &m->u.count);
		return;
	case PROTO_FETCHED:
		if (peer->role == 0) {
			ipc_peer_bad(peer, "FETCHED, and it is not CHECK$");
			return;
		}
		scan_bytes_fetched(peer->ipc->scans, &m->u.fetched.ident,
				   m->u.fetched.bytes);
		return;
	case PROTO_AHEAD:
		ipc_ahead(peer, &m->u.ahead);
		return;
	case PROTO_RING:
		ipc_ring(peer, &m->u.ring);
		return;
	case PROTO_CHECK:
		ipc_check(peer, &m->u.check);
		return;
	default:
		ipc_peer_bad(peer, "a message that only cavad sends");
		return;
	}
}

void ipc_peer_message(struct ipc_peer *peer, const uint8_t *data, size_t len,
		      bool boxed)
{
	struct proto_message m;
	int ret;

	if (len > PROTO_MAX) {
		ipc_peer_bad(peer, "a message that is too long");
		return;
	}
	ret = proto_decode(data, len, &m);
	if (ret == EPROTONOSUPPORT) {
		event_raise(peer->ipc->events,
			    EVENT_SW_AVSCAN_CAVA_FILTER_OFFLINE, "",
			    "that of smbd %d; its clients are served as if "
			    "cavad were away: restart smbd after an update",
			    (int)peer->pid);
		ipc_peer_bad(peer, "its module and this cavad are of "
			     "different versions; restart smbd after an "
			     "update");
		return;
	}
	if (ret != 0) {
		ipc_peer_bad(peer, "a message that makes no sense");
		return;
	}
	if (boxed && m.number != PROTO_NOTICE) {
		ipc_peer_bad(peer, "in its mailbox is not only notices");
		return;
	}
	ipc_peer_serve(peer, &m);
}

/* The length it had, not what was copied, or -1 and errno. */
static ssize_t ipc_peer_receive(struct ipc_peer *peer, uint8_t data[PROTO_MAX])
{
	const int flags = MSG_DONTWAIT | MSG_TRUNC;

	if (peer->hello || peer->box != -1) {
		return recv(peer->fd, data, PROTO_MAX, flags);
	}
	return ipc_box_receive(peer, data, flags);
}

void ipc_peer_read(struct ipc_peer *peer, unsigned int max)
{
	uint8_t data[PROTO_MAX];
	ssize_t n;

	for (; max > 0 && peer->fd != -1; max--) {
		n = ipc_peer_receive(peer, data);
		if (n == -1 && errno == EINTR) {
			continue;
		}
		if (n == -1 && errno == EAGAIN) {
			return;
		}
		if (n == -1 && errno == ECONNRESET) {
			continue;	/* said once, before what it sent */
		}
		ipc_box_read(peer);
		if (n <= 0) {
			ipc_peer_close(peer);
			return;
		}
		if (peer->fd != -1) {
			ipc_peer_message(peer, data, (size_t)n, false);
		}
	}
}

static void ipc_peer_event(struct tevent_context *ev, struct tevent_fd *fde,
			   uint16_t flags, void *private_data)
{
	struct ipc_peer *peer = talloc_get_type_abort(private_data,
						      struct ipc_peer);

	(void)ev;
	(void)fde;
	if (flags & TEVENT_FD_WRITE) {
		ipc_peer_flush(peer);
	}
	if (flags & TEVENT_FD_READ) {
		ipc_peer_read(peer, IPC_TURN);
	}
}
