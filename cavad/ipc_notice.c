/*
 * Notices of an smbd: its writers, its mailbox, and what it is told.
 *
 * 1. Notices are committed or paid, and an ACK names the last one up to which
 *    all are. If a commit fails the connection ends, so that its notices go
 *    to the spool: none may be lost for a full disk.
 * 2. Which handles write is known by their WILL_WRITE and CLOSE. When the
 *    connection ends, those that are left are treated as closed.
 * 3. Most notices come by the mailbox (client_notice.c has the other half).
 *    Nothing here waits for it: it is read when its connection brings a
 *    message, when that ends, in a drain (ipc.c), once in IPC_LOOK, and at
 *    the end of cavad.
 *    All that is there is read, even with IPC_NOTICES_MAX under way: what
 *    was sent before the message must be known when that is served. That is
 *    no more than the kernel holds.
 * 4. ACKs go into the mailbox too, where they wake nobody, if there is room.
 *
 * A mailbox that ends before its connection is that of a dying smbd: what the
 * connection still holds is served.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cavad/ipc_private.h"
#include "common/log.h"

static void ipc_noticed(struct tevent_req *subreq);

/* Writers. */

/* Not at the end of cavad: then the store has them. */
void ipc_writers_gone(struct ipc_peer *peer)
{
	struct ipc_writer *writer = NULL;

	while ((writer = LIST_FIRST(&peer->writers)) != NULL) {
		for (; writer->handles > 0; writer->handles--) {
			scan_writer_gone(peer->ipc->scans, &writer->ident);
		}
		LIST_REMOVE(writer, entry);
		talloc_free(writer);
	}
}

static struct ipc_writer *ipc_writer_find(struct ipc_peer *peer,
					  const struct ident *ident)
{
	struct ipc_writer *writer = NULL;

	LIST_FOREACH(writer, &peer->writers, entry) {
		if (ident_equal(&writer->ident, ident)) {
			return writer;
		}
	}
	return NULL;
}

/*
 * One that does not fit stays a WILL_WRITE in the store, and is scanned by
 * the next sweep.
 */
static void ipc_writer_came(struct ipc_peer *peer, const struct ident *ident)
{
	struct ipc_writer *writer = ipc_writer_find(peer, ident);

	if (writer == NULL && peer->writers_count < IPC_WRITERS_MAX) {
		writer = talloc_zero(peer, struct ipc_writer);
		if (writer != NULL) {
			writer->ident = *ident;
			LIST_INSERT_HEAD(&peer->writers, writer, entry);
			peer->writers_count++;
		}
	}
	if (writer == NULL) {
		return;
	}
	writer->handles++;
	scan_writer_came(peer->ipc->scans, ident);
}

/* One of before the connection began is not known. */
static void ipc_writer_left(struct ipc_peer *peer, const struct ident *ident)
{
	struct ipc_writer *writer = ipc_writer_find(peer, ident);

	if (writer == NULL) {
		return;
	}
	scan_writer_left(peer->ipc->scans, ident);
	writer->handles--;
	if (writer->handles == 0) {
		LIST_REMOVE(writer, entry);
		peer->writers_count--;
		talloc_free(writer);
	}
}

/* Notices. */

static void ipc_notice_send(struct ipc_peer *peer,
			    const struct proto_notice *m)
{
	struct ipc_notice *notice = talloc_zero(peer, struct ipc_notice);
	struct tevent_req *subreq = NULL;
	struct store_pending p = {
		.kind = m->kind,
		.ident = m->ident,
		.path = m->path,
		.user = m->user,
		.client = m->client,
	};
	struct timespec now;

	if (notice == NULL) {
		ipc_peer_close(peer);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	p.since = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	subreq = scan_notice_send(notice, peer->ipc->ev, peer->ipc->scans,
				  &p);
	if (subreq == NULL) {
		ipc_peer_close(peer);
		return;
	}
	notice->peer = peer;
	notice->seq = m->seq;
	TAILQ_INSERT_TAIL(&peer->notices, notice, entry);
	peer->notices_count++;
	tevent_req_set_callback(subreq, ipc_noticed, notice);
	if (peer->notices_count == IPC_NOTICES_MAX / 2) {
		scan_write(peer->ipc->scans);	/* before it is full */
	}
	if (peer->notices_count == IPC_NOTICES_MAX) {
		ipc_peer_flags(peer);
	}
}

void ipc_notice(struct ipc_peer *peer, const struct proto_notice *m)
{
	if (m->seq <= peer->seq || m->kind > PROTO_KIND_RENAME) {
		ipc_peer_bad(peer, "a notice of no known kind or order");
		return;
	}
	peer->seq = m->seq;
	peer->ipc->counters->notices++;
	if (m->kind == PROTO_KIND_WILL_WRITE) {
		ipc_writer_came(peer, &m->ident);
	}
	ipc_notice_send(peer, m);
	if (m->kind == PROTO_KIND_CLOSE) {
		ipc_writer_left(peer, &m->ident);
	}
}

static void ipc_noticed(struct tevent_req *subreq)
{
	struct ipc_notice *notice =
		tevent_req_callback_data(subreq, struct ipc_notice);
	struct ipc_peer *peer = notice->peer;
	bool full = peer->notices_count >= IPC_NOTICES_MAX;
	int ret;

	ret = scan_notice_recv(subreq);
	talloc_free(subreq);
	if (peer->fd == -1) {
		return;
	}
	if (ret != 0) {
		log_error("notices of smbd %d cannot be kept and go to its "
			  "spool: %s", (int)peer->pid, strerror(ret));
		ipc_box_read(peer);	/* its smbd may be gone */
		ipc_peer_close(peer);
		return;
	}
	notice->committed = true;
	while ((notice = TAILQ_FIRST(&peer->notices)) != NULL &&
	       notice->committed) {
		peer->committed = notice->seq;
		TAILQ_REMOVE(&peer->notices, notice, entry);
		peer->notices_count--;
		talloc_free(notice);
	}
	ipc_peer_ack_soon(peer);
	if (full) {
		ipc_peer_flags(peer);
	}
}

void ipc_ack(struct ipc_peer *peer)
{
	const struct proto_message m = {
		.number = PROTO_ACK,
		.u.ack.seq = peer->committed,
	};
	uint8_t data[PROTO_MAX];
	size_t len = 0;
	int ret = EAGAIN;

	if (peer->acked >= peer->committed) {
		return;
	}
	if (peer->box != -1) {
		len = proto_encode(&m, data);
		ret = ipc_peer_write(peer->box, data, len);
	}
	if (ret == 0) {
		peer->acked = peer->committed;
		return;
	}
	/* one that comes later says the same and more */
	if (peer->out_count == 0) {
		peer->acked = peer->committed;
		ipc_peer_send(peer, &m);
	}
}

/* The mailbox. */

ssize_t ipc_box_receive(struct ipc_peer *peer, uint8_t data[PROTO_MAX],
			int flags)
{
	union {
		struct cmsghdr header;
		uint8_t data[CMSG_SPACE(sizeof(int))];
	} control = { .data = { 0 } };
	struct iovec iov = { .iov_base = data, .iov_len = PROTO_MAX };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.data,
		/* one and no more: the space has room for two */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	struct cmsghdr *c = NULL;
	ssize_t n = recvmsg(peer->fd, &msg, flags | MSG_CMSG_CLOEXEC);

	if (n < 0) {
		return n;
	}
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int))) {
		memcpy(&peer->box, CMSG_DATA(c), sizeof(peer->box));
	}
	return n;
}

static int ipc_box_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);
	int ret = getsockopt(fd, SOL_SOCKET, option, &value, &len);

	return ret == -1 ? -1 : value;
}

bool ipc_box_fits(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	return ipc_box_option(fd, SO_DOMAIN) == AF_UNIX &&
		ipc_box_option(fd, SO_TYPE) == SOCK_SEQPACKET &&
		getpeername(fd, (struct sockaddr *)&addr, &len) == 0;
}

/* Connections come first: one of the last descriptors is given back. */
void ipc_box_begin(struct ipc_peer *peer)
{
	struct rlimit fds;

	if (getrlimit(RLIMIT_NOFILE, &fds) == 0 &&
	    (rlim_t)peer->box > fds.rlim_cur / 4 * 3) {
		ipc_box_close(peer);
		return;
	}
	ipc_look_soon(peer->ipc);
}

void ipc_box_read(struct ipc_peer *peer)
{
	uint8_t data[PROTO_MAX];
	unsigned int max = IPC_BOX_MAX;
	ssize_t n;

	for (; max > 0 && peer->hello && peer->box != -1; max--) {
		n = recv(peer->box, data, sizeof(data),
			 MSG_DONTWAIT | MSG_TRUNC);
		if (n == -1 && (errno == EINTR || errno == ECONNRESET)) {
			continue;	/* said once, before what it sent */
		}
		if (n == -1 && errno == EAGAIN) {
			return;
		}
		if (n <= 0) {
			ipc_box_close(peer);
			return;
		}
		ipc_peer_message(peer, data, (size_t)n, true);
	}
}

void ipc_box_close(struct ipc_peer *peer)
{
	if (peer->box != -1) {
		close(peer->box);
		peer->box = -1;
	}
}

/* It has been read by now. */
void ipc_ring(struct ipc_peer *peer, const struct proto_ring *m)
{
	if (m->seq > peer->seq) {
		ipc_peer_bad(peer, "a notice is missing in its mailbox");
	}
}
