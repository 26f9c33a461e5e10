/*
 * A listening socket of the API: see api_listener.h.
 *
 * 1. Anybody may connect to the unix socket, and is told why nothing else is
 *    for him. So that such guests cannot use up the connections there are,
 *    few of them are served at a time; on TCP an address has few.
 * 2. On TCP a request has to be whole within API_DEADLINE, the greeting of
 *    TLS before it too, however slowly somebody trickles it.
 * 3. What libmicrohttpd is started with it keeps. So after a reload another
 *    listener takes the socket, and the one before it retires.
 * 4. libmicrohttpd aborts when it is stopped with a connection suspended.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api_listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define API_CONNECTIONS_MAX 256
#define API_GUESTS_MAX 32	/* of these, see 1 */
#define API_ADDRESS_MAX 32	/* connections of an address */
#define API_IDLE 120		/* s until a silent connection is closed */
#define API_DEADLINE 30		/* s for a request on TCP */
#define API_TLS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static void api_listener_run(struct api_listener *l);

/* --- the loop --- */

static void api_listener_timer(struct tevent_context *ev,
			       struct tevent_timer *te, struct timeval now,
			       void *private_data)
{
	struct api_listener *l = private_data;

	(void)ev;
	(void)te;
	(void)now;
	l->timer = NULL;
	api_listener_run(l);
}

static void api_listener_again(struct tevent_context *ev,
			       struct tevent_immediate *im,
			       void *private_data)
{
	struct api_listener *l = private_data;
	const union MHD_DaemonInfo *info = NULL;

	(void)ev;
	(void)im;
	api_listener_run(l);
	info = MHD_get_daemon_info(l->daemon,
				   MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	if (l->retiring && (info == NULL || info->num_connections == 0)) {
		talloc_free(l);
	}
}

static void api_listener_event(struct tevent_context *ev,
			       struct tevent_fd *fde, uint16_t flags,
			       void *private_data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	api_listener_run(private_data);
}

static void api_listener_run(struct api_listener *l)
{
	struct tevent_context *ev = l->http->api->ev;
	unsigned long long ms = 0;

	/*
	 * With all connections in use it stops listening, and looks whether
	 * some are free again when a run begins; without a connection left
	 * nothing but this would begin one.
	 */
	do {
		l->closed = false;
		(void)MHD_run(l->daemon);
		if (l->closed && l->retiring) {
			api_listener_soon(l);
		}
	} while (l->closed);
	TALLOC_FREE(l->timer);
	if (MHD_get_timeout(l->daemon, &ms) != MHD_YES) {
		return;
	}
	l->timer = tevent_add_timer(
		ev, l,
		tevent_timeval_current_ofs((uint32_t)(ms / 1000),
					   (uint32_t)(ms % 1000 * 1000)),
		api_listener_timer, l);
}

void api_listener_soon(struct api_listener *l)
{
	tevent_schedule_immediate(l->again, l->http->api->ev,
				  api_listener_again, l);
}

/* --- connections --- */

static void api_listener_late(struct tevent_context *ev,
			      struct tevent_timer *te, struct timeval now,
			      void *private_data)
{
	struct api_peer *peer = private_data;

	(void)ev;
	(void)te;
	(void)now;
	peer->deadline = NULL;
	/* libmicrohttpd closes it when it reads its end */
	(void)shutdown(peer->fd, SHUT_RDWR);
}

void api_listener_deadline(struct api_listener *l, struct api_peer *peer,
			   bool runs)
{
	TALLOC_FREE(peer->deadline);
	if (l->tcp && runs) {
		peer->deadline = tevent_add_timer(
			l->http->api->ev, peer,
			tevent_timeval_current_ofs(API_DEADLINE, 0),
			api_listener_late, peer);
	}
}

struct api_peer *api_listener_peer(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

static struct api_peer *api_listener_meet(struct api_listener *l, int fd)
{
	const struct api_tcp *tcp = l->http->api->tcp;
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	struct api_peer *peer = NULL;
	socklen_t len = sizeof(sa);

	if (!l->tcp) {
		return api_peer_unix(l, &l->http->rule, fd);
	}
	peer = api_peer_tcp(l, fd);
	if (peer != NULL) {
		api_listener_deadline(l, peer, true);
		peer->metrics = getpeername(fd, (struct sockaddr *)&sa,
					    &len) == 0 &&
			access_allows(tcp->files->metrics,
				      (struct sockaddr *)&sa);
	}
	return peer;
}

static bool api_listener_guest(const struct api_listener *l,
			       const struct api_peer *peer)
{
	return !l->tcp && (peer == NULL || peer->role != API_ROLE_ALL);
}

/* The context of a connection is its peer; NULL without memory. */
static void api_listener_connection(void *cls,
				    struct MHD_Connection *connection,
				    void **context,
				    enum MHD_ConnectionNotificationCode code)
{
	struct api_listener *l = cls;
	struct api_peer *peer = *context;
	const union MHD_ConnectionInfo *info = NULL;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		l->guests -= api_listener_guest(l, peer);
		talloc_free(peer);
		l->closed = true;
		return;
	}
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info != NULL) {
		peer = api_listener_meet(l, info->connect_fd);
		*context = peer;
	}
	if (!api_listener_guest(l, peer)) {
		return;
	}
	l->guests++;
	if (info != NULL && l->guests > API_GUESTS_MAX) {
		(void)shutdown(info->connect_fd, SHUT_RDWR);
	}
}

/* --- life --- */

static int api_listener_destructor(struct api_listener *l)
{
	TALLOC_FREE(l->fde);
	TALLOC_FREE(l->timer);
	TALLOC_FREE(l->again);
	while (l->suspended != NULL) {
		api_http_resume(l->suspended);
	}
	if (l->daemon != NULL) {
		api_listener_retire(l);
		MHD_stop_daemon(l->daemon);
	}
	if (l->next != NULL) {
		l->next->prev = l->prev;
	}
	if (l->prev != NULL) {
		l->prev->next = l->next;
	} else if (l->http->listeners == l) {
		l->http->listeners = l->next;
	}
	return 0;
}

static void api_listener_log(void *cls, const char *fmt, va_list ap)
{
	char *text = talloc_vasprintf(NULL, fmt, ap);

	(void)cls;
	if (text != NULL) {
		text[strcspn(text, "\r\n")] = '\0';
		log_debug("API: %s", text);
	}
	talloc_free(text);
}

static struct MHD_Daemon *api_listener_daemon(
	struct api_listener *l, int fd, const struct api_tcp_files *files)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, API_TLS },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, API_ADDRESS_MAX, NULL },
		{ MHD_OPTION_END, 0, NULL }
	};

	if (files != NULL) {
		tls[0].ptr_value = files->certificate;
		tls[1].ptr_value = files->key;
	} else {
		tls[0].option = MHD_OPTION_END;
	}
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
		(files != NULL ? MHD_USE_TLS : 0), 0, NULL, NULL,
		api_http_access, l,
		MHD_OPTION_EXTERNAL_LOGGER, api_listener_log, l,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, api_http_completed, l,
		MHD_OPTION_NOTIFY_CONNECTION, api_listener_connection, l,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)API_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)API_IDLE,
		MHD_OPTION_ARRAY, tls,
		MHD_OPTION_END);
}

static int api_listener_watch(struct api_listener *l)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(
		l->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (info == NULL) {
		return EIO;
	}
	l->fde = tevent_add_fd(l->http->api->ev, l, info->epoll_fd,
			       TEVENT_FD_READ, api_listener_event, l);
	return l->fde == NULL ? ENOMEM : 0;
}

int api_listener_create(struct api_http *h, int fd,
			const struct api_tcp_files *files,
			struct api_listener **result)
{
	struct api_listener *l = talloc_zero(h, struct api_listener);
	int ret = 0;

	if (l != NULL) {
		l->http = h;
		l->tcp = files != NULL;
		l->again = tevent_create_immediate(l);
	}
	if (l == NULL || l->again == NULL) {
		close(fd);
		talloc_free(l);
		return ENOMEM;
	}
	l->daemon = api_listener_daemon(l, fd, files);
	if (l->daemon == NULL) {
		close(fd);
		talloc_free(l);
		return files == NULL ? EIO : EINVAL;
	}
	l->next = h->listeners;
	if (l->next != NULL) {
		l->next->prev = l;
	}
	h->listeners = l;
	talloc_set_destructor(l, api_listener_destructor);
	ret = api_listener_watch(l);
	if (ret != 0) {
		talloc_free(l);
		return ret;
	}
	api_listener_run(l);
	*result = l;
	return 0;
}

void api_listener_retire(struct api_listener *l)
{
	MHD_socket fd = MHD_INVALID_SOCKET;

	if (l->retiring) {
		return;
	}
	l->retiring = true;
	fd = MHD_quiesce_daemon(l->daemon);
	if (fd != MHD_INVALID_SOCKET) {
		close(fd);
	}
	if (l->again != NULL) {
		api_listener_soon(l);
	}
}
