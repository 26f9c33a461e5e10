/*
 * HTTP for CEE, or HTTPS. See listener.h.
 *
 * libmicrohttpd does both. It runs in our loop: its epoll descriptor is one
 * of ours, and after each MHD_run() a tick is set for what it wants done
 * next.
 *
 * 1. Addresses that may neither ask nor see the status lose their connection
 *    before they say a word.
 * 2. What libmicrohttpd is started with it keeps. So after a reload a new
 *    listener takes the socket, and the one before it retires: it answers
 *    what it has been asked, says "Connection: close", and is done.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cee_agent/exchange.h"
#include "cee_agent/listener.h"
#include "common/log.h"
#include "common/tick.h"

#define LISTENER_MEMORY (32 * 1024)	/* a connection: its headers */
#define LISTENER_REFUSED_LOG 60		/* s between two such lines */
#define LISTENER_TLS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct listener {
	struct exchange_home home;
	struct agent *agent;
	struct MHD_Daemon *mhd;
	struct tevent_fd *fde;
	struct tick *timer;	/* what libmicrohttpd wants done later */
	struct tevent_immediate *again;
	struct timeval refused;		/* when that was last logged */
};

static void listener_readable(struct tevent_context *ev,
			      struct tevent_fd *fde, uint16_t flags,
			      void *private_data);
static void listener_again(struct tevent_context *ev,
			   struct tevent_immediate *im, void *private_data);

/* The loop. */

static void listener_run(struct listener *l)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	int ret;

	MHD_run(l->mhd);
	ret = MHD_get_timeout(l->mhd, &ms);
	if (ret == MHD_YES) {
		tick_in(l->timer, ms * 1000);
	} else if (tick_is_set(l->timer)) {
		tick_stop(l->timer);
	}
}

static void listener_readable(struct tevent_context *ev,
			      struct tevent_fd *fde, uint16_t flags,
			      void *private_data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	listener_run(private_data);
}

static void listener_due(void *private_data)
{
	listener_run(private_data);
}

static void listener_again(struct tevent_context *ev,
			   struct tevent_immediate *im, void *private_data)
{
	(void)ev;
	(void)im;
	listener_run(private_data);
}

/* An answer is there: libmicrohttpd learns it when the stack is empty. */
static void listener_resumed(struct exchange_home *home)
{
	struct listener *l = (struct listener *)(
		(char *)home - offsetof(struct listener, home));

	tevent_schedule_immediate(l->again, l->agent->ev, listener_again, l);
}

/* What libmicrohttpd calls. */

static enum MHD_Result listener_accept(void *private_data,
				       const struct sockaddr *sa,
				       socklen_t len)
{
	struct listener *l = private_data;
	struct timeval now = tevent_timeval_current();
	const struct agent_config *config = l->agent->config;
	char from[EXCHANGE_FROM_MAX] = "";

	(void)len;
	if (exchange_rights(config, sa) != 0) {
		return MHD_YES;
	}
	l->agent->tally->refused_connections++;
	if (now.tv_sec - l->refused.tv_sec >= LISTENER_REFUSED_LOG) {
		l->refused = now;
		exchange_name(sa, from);
		log_warning("refused a connection of %s: if it is a storage "
			    "host, add it to allow in %s", from,
			    config->path);
	}
	return MHD_NO;
}

static enum MHD_Result listener_request(void *private_data,
					struct MHD_Connection *connection,
					const char *path, const char *method,
					const char *version, const char *data,
					size_t *len, void **exchange)
{
	struct listener *l = private_data;

	(void)version;
	return exchange_feed(&l->home, connection, method, path, data, len,
			     exchange);
}

static void listener_completed(void *private_data,
			       struct MHD_Connection *connection,
			       void **exchange,
			       enum MHD_RequestTerminationCode why)
{
	(void)private_data;
	(void)connection;
	(void)why;
	exchange_forget(exchange);
}

static void listener_log(void *private_data, const char *fmt, va_list ap)
{
	char *text = NULL;

	(void)private_data;
	text = talloc_vasprintf(NULL, fmt, ap);
	if (text != NULL) {
		text[strcspn(text, "\r\n")] = '\0';
		log_debug("HTTP: %s", text);
	}
	talloc_free(text);
}

/* Life. */

static int listener_destroy(struct listener *l)
{
	TALLOC_FREE(l->fde);
	/* or libmicrohttpd aborts */
	exchange_abandon(&l->home);
	if (l->mhd != NULL) {
		listener_retire(l);
		MHD_stop_daemon(l->mhd);
	}
	return 0;
}

static int listener_watch(struct listener *l)
{
	const union MHD_DaemonInfo *info = NULL;

	info = MHD_get_daemon_info(l->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL) {
		return EINVAL;
	}
	l->fde = tevent_add_fd(l->agent->ev, l, info->epoll_fd,
			       TEVENT_FD_READ, listener_readable, l);
	return l->fde == NULL ? ENOMEM : 0;
}

/* libmicrohttpd on a copy of the socket, which becomes its own. 0 or errno. */
static int listener_start(struct listener *l, int fd, bool https)
{
	const struct agent_config *c = l->agent->config;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)c->certificate_pem },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)c->key_pem },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, LISTENER_TLS },
		{ MHD_OPTION_END, 0, NULL }
	};

	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd == -1) {
		return errno;
	}
	if (!https) {
		tls[0].option = MHD_OPTION_END;
	}
	l->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
		(https ? MHD_USE_TLS : 0),
		0, listener_accept, l, listener_request, l,
		MHD_OPTION_EXTERNAL_LOGGER, listener_log, l,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, listener_completed, l,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)c->max_connections,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned int)c->max_connections_per_host,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LISTENER_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)c->idle_timeout,
		MHD_OPTION_ARRAY, tls,
		MHD_OPTION_END);
	return l->mhd == NULL ? EINVAL : 0;
}

int listener_create(TALLOC_CTX *mem_ctx, struct agent *agent, int fd,
		    bool https, struct listener **result)
{
	struct listener *l = NULL;
	int ret = ENOMEM;

	l = talloc_zero(mem_ctx, struct listener);
	if (l == NULL) {
		return ENOMEM;
	}
	l->agent = agent;
	l->home.agent = agent;
	l->home.resumed = listener_resumed;
	talloc_set_destructor(l, listener_destroy);
	l->again = tevent_create_immediate(l);
	l->timer = tick_create(l, agent->ev, listener_due, l);
	if (l->again != NULL && l->timer != NULL) {
		ret = listener_start(l, fd, https);
	}
	if (ret == 0) {
		ret = listener_watch(l);
	}
	if (ret != 0) {
		talloc_free(l);
		return ret;
	}
	listener_run(l);
	*result = l;
	return 0;
}

void listener_retire(struct listener *l)
{
	MHD_socket fd;

	if (l->home.retiring) {
		return;
	}
	l->home.retiring = true;
	fd = MHD_quiesce_daemon(l->mhd);
	if (fd != MHD_INVALID_SOCKET) {
		close(fd);
	}
}

unsigned int listener_connections(const struct listener *l)
{
	const union MHD_DaemonInfo *info = NULL;

	info = MHD_get_daemon_info(l->mhd,
				   MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info == NULL ? 0 : info->num_connections;
}

unsigned int listener_requests(const struct listener *l)
{
	return l->home.count;
}
