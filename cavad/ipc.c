/*
 * The scan socket, and the question whether a scan is owed.
 *
 * In profile standard a read waits only if a scan of its file is owed. Say
 * client A closes a file it wrote and client B then reads it: B's question
 * may be read here before A's notice, which waits unread in another socket,
 * was sent earlier all the same. "Not owed" would let B read what nobody has
 * scanned. So that answer is given only after a drain: everything that is
 * readable on any connection or in any mailbox at that moment, those not yet
 * accepted among them, is read first, and the question asked once more. Nor
 * is it given while the spool is being read. Questions that come up in a
 * drain wait for the next, for what they depend on may have been written
 * after their neighbours were drained.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cavad/ipc_private.h"
#include "cavad/listen.h"
#include "common/log.h"

#define IPC_BACKLOG 1024
#define IPC_ACCEPT_TURN 64	/* connections in a turn of the loop */
#define IPC_ACCEPT_PAUSE 100000	/* us, when there are no descriptors */

static void ipc_acceptable(struct tevent_context *ev, struct tevent_fd *fde,
			   uint16_t flags, void *private_data);
static void ipc_accept_again(struct tevent_context *ev,
			     struct tevent_timer *timer, struct timeval now,
			     void *private_data);
static void ipc_decide(struct tevent_context *ev, struct tevent_immediate *im,
		       void *private_data);
static void ipc_spool_read(void *private_data);

int64_t ipc_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Listening. */

int ipc_listen(const char *path, int *fd)
{
	return listen_unix(path, SOCK_SEQPACKET, 0600, fd);
}

/* Accepting. */

static void ipc_accepted(struct ipc *ipc, int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);
	int ret;

	ret = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (ret == -1 || cred.uid != 0) {
		ipc->counters->ipc_errors++;
		log_warning("refused a connection to the scan socket of "
			    "process %d: uid %d is not root", (int)cred.pid,
			    (int)cred.uid);
		close(fd);
		return;
	}
	ret = ipc_peer_create(ipc, fd, cred.pid);
	if (ret != 0) {
		log_error("smbd %d cannot be served: %s", (int)cred.pid,
			  strerror(ret));
	}
}

static void ipc_accept_pause(struct ipc *ipc, int error)
{
	struct timeval when;

	if (ipc->pause != NULL) {
		return;
	}
	log_warning("no connection of smbd can be accepted: %s",
		    strerror(error));
	when = tevent_timeval_current_ofs(0, IPC_ACCEPT_PAUSE);
	ipc->pause = tevent_add_timer(ipc->ev, ipc, when, ipc_accept_again,
				      ipc);
	if (ipc->pause != NULL) {
		tevent_fd_set_flags(ipc->fde, 0);
	}
}

static void ipc_accept(struct ipc *ipc, unsigned int max)
{
	int fd = -1;

	for (; max > 0; max--) {
		fd = accept4(ipc->fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1 && (errno == EINTR || errno == ECONNABORTED)) {
			continue;
		}
		if (fd == -1 && errno == EAGAIN) {
			return;
		}
		if (fd == -1) {
			ipc_accept_pause(ipc, errno);
			return;
		}
		ipc_accepted(ipc, fd);
	}
}

static void ipc_acceptable(struct tevent_context *ev, struct tevent_fd *fde,
			   uint16_t flags, void *private_data)
{
	struct ipc *ipc = talloc_get_type_abort(private_data, struct ipc);

	(void)ev;
	(void)fde;
	(void)flags;
	ipc_accept(ipc, IPC_ACCEPT_TURN);
}

static void ipc_accept_again(struct tevent_context *ev,
			     struct tevent_timer *timer, struct timeval now,
			     void *private_data)
{
	struct ipc *ipc = talloc_get_type_abort(private_data, struct ipc);

	(void)ev;
	(void)timer;
	(void)now;
	ipc->pause = NULL;	/* tevent frees it */
	tevent_fd_set_flags(ipc->fde, TEVENT_FD_READ);
}

/* Owed or not. */

/* 0 or errno: then nothing was read. */
static int ipc_drain(struct ipc *ipc)
{
	struct ipc_peer **peers = NULL;
	struct ipc_peer *peer = NULL;
	struct pollfd *fds = NULL;
	size_t count = 0;
	size_t i;
	int ready = 0;
	int ret = 0;

	ipc_accept(ipc, IPC_BACKLOG);
	TAILQ_FOREACH(peer, &ipc->peers, entry) {
		count++;
	}
	fds = talloc_zero_array(ipc, struct pollfd, 2 * count);
	peers = talloc_array(fds, struct ipc_peer *, count);
	if (fds == NULL || peers == NULL) {
		talloc_free(fds);
		return ENOMEM;
	}
	i = 0;
	TAILQ_FOREACH(peer, &ipc->peers, entry) {
		peers[i] = peer;
		fds[i] = (struct pollfd) { .fd = peer->fd, .events = POLLIN };
		fds[count + i] = (struct pollfd) { .fd = peer->box,
						   .events = POLLIN };
		i++;
	}
	/* each has no more of them than there are descriptors */
	ready = poll(fds, count, 0);
	if (ready >= 0) {
		ready = poll(fds + count, count, 0);
	}
	if (ready < 0) {
		ret = errno;
		talloc_free(fds);
		return ret;
	}
	for (i = 0; i < count; i++) {
		/* closed ones stay in memory until the loop turns */
		if (fds[i].revents != 0) {
			ipc_peer_read(peers[i], IPC_DRAIN);
		}
		/* also one that has come just now */
		if ((fds[i].revents | fds[count + i].revents) != 0) {
			ipc_box_read(peers[i]);
		}
	}
	talloc_free(fds);
	return 0;
}

/*
 * An smbd that is blocked in a system call rings no bell, and who is told
 * what is owed does not wait for it.
 */
static void ipc_look(void *private_data)
{
	struct ipc *ipc = talloc_get_type_abort(private_data, struct ipc);
	struct ipc_peer *peer = NULL;
	struct ipc_peer *next = NULL;

	for (peer = TAILQ_FIRST(&ipc->peers); peer != NULL; peer = next) {
		next = TAILQ_NEXT(peer, entry);
		if (peer->box != -1) {
			ipc_look_soon(ipc);
			ipc_box_read(peer);
		}
	}
}

void ipc_look_soon(struct ipc *ipc)
{
	if (!tick_is_set(ipc->look)) {
		tick_in(ipc->look, IPC_LOOK);
	}
}

void ipc_decide_soon(struct ipc *ipc)
{
	tevent_schedule_immediate(ipc->decide, ipc->ev, ipc_decide, ipc);
}

static void ipc_decide(struct tevent_context *ev, struct tevent_immediate *im,
		       void *private_data)
{
	struct ipc *ipc = talloc_get_type_abort(private_data, struct ipc);
	struct ipc_asks asks = TAILQ_HEAD_INITIALIZER(asks);
	struct ipc_ask *ask = NULL;
	int ret;

	(void)ev;
	(void)im;
	if (scan_spool_reading(ipc->scans)) {
		return;		/* ipc_spool_read() */
	}
	TAILQ_CONCAT(&asks, &ipc->undecided, undecided_entry);
	TAILQ_FOREACH(ask, &asks, undecided_entry) {
		ask->undecided = &asks;
	}
	ret = ipc_drain(ipc);
	while ((ask = TAILQ_FIRST(&asks)) != NULL) {
		bool owed = ret != 0 || scan_owed(ipc->scans, &ask->ident);

		ipc_ask_decided(ask, owed);
	}
}

static void ipc_spool_read(void *private_data)
{
	struct ipc *ipc = talloc_get_type_abort(private_data, struct ipc);

	if (!TAILQ_EMPTY(&ipc->undecided)) {
		ipc_decide_soon(ipc);
	}
}

/* All of it. */

static int ipc_destructor(struct ipc *ipc)
{
	struct ipc_peer *peer = NULL;

	scans_on_spool_read(ipc->scans, NULL, NULL);
	while ((peer = TAILQ_FIRST(&ipc->peers)) != NULL) {
		ipc_box_read(peer);	/* its smbd may be gone */
		if (peer->fd != -1) {
			talloc_free(peer);
		}
	}
	TALLOC_FREE(ipc->fde);
	close(ipc->fd);
	return 0;
}

int ipc_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev, int fd,
	       const struct config *config, struct files *files,
	       struct scans *scans,
	       struct check *check, struct zones *zones,
	       struct events *events, struct counters *counters,
	       struct ipc **result)
{
	struct ipc *ipc = talloc_zero(mem_ctx, struct ipc);

	if (ipc == NULL) {
		close(fd);
		return ENOMEM;
	}
	ipc->ev = ev;
	ipc->config = config;
	ipc->scans = scans;
	ipc->check = check;
	ipc->zones = zones;
	ipc->events = events;
	ipc->counters = counters;
	ipc->fd = fd;
	TAILQ_INIT(&ipc->peers);
	TAILQ_INIT(&ipc->undecided);
	ipc->restamps = restamps_create(ipc, ev, files, counters);
	ipc->decide = tevent_create_immediate(ipc);
	ipc->look = tick_create(ipc, ev, ipc_look, ipc);
	ipc->fde = tevent_add_fd(ev, ipc, fd, TEVENT_FD_READ, ipc_acceptable,
				 ipc);
	talloc_set_destructor(ipc, ipc_destructor);
	if (ipc->restamps == NULL || ipc->decide == NULL ||
	    ipc->look == NULL || ipc->fde == NULL) {
		talloc_free(ipc);
		return ENOMEM;
	}
	scans_on_spool_read(scans, ipc_spool_read, ipc);
	scans_on_hear(scans, ipc_look, ipc);
	*result = ipc;
	return 0;
}

void ipc_config_changed(struct ipc *ipc)
{
	struct ipc_peer *peer = NULL;
	struct ipc_peer *next = NULL;

	for (peer = TAILQ_FIRST(&ipc->peers); peer != NULL; peer = next) {
		next = TAILQ_NEXT(peer, entry);
		if (peer->hello) {
			ipc_peer_config(peer);
		}
	}
}

unsigned int ipc_count(const struct ipc *ipc)
{
	return ipc->peers_count;
}
