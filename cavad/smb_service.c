/*
 * Does Samba answer? See smb_service.h.
 *
 * One failure may be a restart of smbd: it is looked again soon, and the
 * second one counts. What fails here, such as a socket that cannot be made,
 * says nothing about Samba.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/smb_service.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cavad/engine.h"

#ifndef SMB_SERVICE_PORT	/* a test has its own */
#define SMB_SERVICE_PORT 445
#define SMB_SERVICE_INTERVAL 30	/* s */
#define SMB_SERVICE_SOON 5	/* s, after a first failure */
#define SMB_SERVICE_PATIENCE 10	/* s, for the answer */
#endif
#define SMB_SERVICE_FAILURES 2	/* in a row */

/* Of ip_pool. */
struct smb_address {
	LIST_ENTRY(smb_address) entry;
	struct smb_service *service;
	char *name;
	struct in6_addr addr;
	bool wanted;
	unsigned int failures;	/* in a row */
	int fd;			/* -1 = it is not being asked */
	struct tevent_fd *fde;
	struct tevent_timer *patience;
	bool asked;
	uint8_t answer[8];
	size_t len;		/* of it, so far */
};

struct smb_service {
	struct tevent_context *ev;
	const struct config *config;
	const struct ip_pool *ip_pool;
	struct events *events;
	struct tevent_timer *timer;
	LIST_HEAD(, smb_address) addresses;
};

static void smb_service_time(struct tevent_context *ev,
			     struct tevent_timer *timer, struct timeval now,
			     void *private_data);

/* Length, SMB2 header, NEGOTIATE of 2.1 and 3.0.2 ([MS-SMB2] 2.2.3). */
static const uint8_t smb_negotiate[4 + 64 + 36 + 4] = {
	[3] = 64 + 36 + 4,
	[4] = 0xfe, 'S', 'M', 'B', 64,
	[18] = 1,		/* credits */
	[68] = 36,
	[70] = 2,		/* dialects */
	[72] = 1,		/* signing enabled */
	[104] = 0x10, 0x02, 0x02, 0x03,
};

static const uint8_t smb_magic[4] = { 0xfe, 'S', 'M', 'B' };

static void smb_service_wait(struct smb_service *s, unsigned int seconds)
{
	TALLOC_FREE(s->timer);
	s->timer = tevent_add_timer(s->ev, s,
				    tevent_timeval_current_ofs(seconds, 0),
				    smb_service_time, s);
}

/* --- one address --- */

static void smb_address_close(struct smb_address *a)
{
	TALLOC_FREE(a->patience);
	TALLOC_FREE(a->fde);
	if (a->fd != -1) {
		close(a->fd);
		a->fd = -1;
	}
}

static int smb_address_destructor(struct smb_address *a)
{
	smb_address_close(a);
	LIST_REMOVE(a, entry);
	return 0;
}

/* why: NULL = it answers. */
static void smb_address_said(struct smb_address *a, const char *why)
{
	struct smb_service *s = a->service;

	smb_address_close(a);
	if (why == NULL) {
		a->failures = 0;
		event_clear(s->events, EVENT_SW_AVSCAN_CAVA_NO_SMB, a->name);
		return;
	}
	a->failures++;
	if (a->failures < SMB_SERVICE_FAILURES) {
		smb_service_wait(s, SMB_SERVICE_SOON);
		return;
	}
	event_raise(s->events, EVENT_SW_AVSCAN_CAVA_NO_SMB, a->name,
		    "port %u: %s; servers that fetch files cannot: start "
		    "smbd, or correct `interfaces` in smb.conf or ip_pool",
		    SMB_SERVICE_PORT, why);
}

static void smb_address_patience(struct tevent_context *ev,
				 struct tevent_timer *timer,
				 struct timeval now, void *private_data)
{
	struct smb_address *a = talloc_get_type_abort(private_data,
						      struct smb_address);

	(void)ev;
	(void)timer;
	(void)now;
	a->patience = NULL;	/* tevent frees it */
	smb_address_said(a, "no answer in time");
}

static void smb_address_ask(struct smb_address *a)
{
	int error = 0;
	socklen_t len = sizeof(error);
	ssize_t n;

	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
		error = errno;
	}
	if (error == 0) {
		/* a new socket has room for it */
		n = send(a->fd, smb_negotiate, sizeof(smb_negotiate),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		error = n == -1 ? errno : 0;
	}
	if (error != 0) {
		smb_address_said(a, strerror(error));
		return;
	}
	a->asked = true;
	tevent_fd_set_flags(a->fde, TEVENT_FD_READ);
}

static void smb_address_read(struct smb_address *a)
{
	ssize_t n = recv(a->fd, a->answer + a->len,
			 sizeof(a->answer) - a->len, MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (n <= 0) {
		smb_address_said(a, n == 0 ? "the connection was ended" :
				 strerror(errno));
		return;
	}
	a->len += (size_t)n;
	if (a->len == sizeof(a->answer)) {
		smb_address_said(a, memcmp(a->answer + 4, smb_magic, 4) == 0 ?
				 NULL : "the answer is not SMB2");
	}
}

static void smb_address_event(struct tevent_context *ev,
			      struct tevent_fd *fde, uint16_t flags,
			      void *private_data)
{
	struct smb_address *a = talloc_get_type_abort(private_data,
						      struct smb_address);

	(void)ev;
	(void)fde;
	(void)flags;
	if (a->asked) {
		smb_address_read(a);
	} else {
		smb_address_ask(a);
	}
}

/* 0, EINPROGRESS or errno */
static int smb_address_connect(int fd, const struct in6_addr *addr)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_addr = *addr,
		.sin6_port = htons(SMB_SERVICE_PORT),
	};
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = in6.sin6_port,
	};
	bool four = IN6_IS_ADDR_V4MAPPED(addr);
	int ret = 0;

	memcpy(&in.sin_addr, &addr->s6_addr[12], 4);
	ret = connect(fd, four ? (struct sockaddr *)&in :
		      (struct sockaddr *)&in6,
		      four ? sizeof(in) : sizeof(in6));
	return ret == 0 ? 0 : errno;
}

static void smb_address_begin(struct smb_address *a)
{
	struct tevent_context *ev = a->service->ev;
	int family = IN6_IS_ADDR_V4MAPPED(&a->addr) ? AF_INET : AF_INET6;
	int ret = 0;

	if (a->fd != -1) {
		return;
	}
	a->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd == -1) {
		return;
	}
	a->asked = false;
	a->len = 0;
	/* of a connect that fails tevent tells those alone that read */
	a->fde = tevent_add_fd(ev, a, a->fd, TEVENT_FD_READ | TEVENT_FD_WRITE,
			       smb_address_event, a);
	a->patience = tevent_add_timer(
		ev, a, tevent_timeval_current_ofs(SMB_SERVICE_PATIENCE, 0),
		smb_address_patience, a);
	if (a->fde == NULL || a->patience == NULL) {
		smb_address_close(a);
		return;
	}
	ret = smb_address_connect(a->fd, &a->addr);
	if (ret != 0 && ret != EINPROGRESS) {
		smb_address_said(a, strerror(ret));
	}
}

/* --- all of them --- */

static struct smb_address *smb_address_find(struct smb_service *s,
					    const char *name)
{
	struct smb_address *a = NULL;

	LIST_FOREACH(a, &s->addresses, entry) {
		if (strcasecmp(a->name, name) == 0) {
			return a;
		}
	}
	return NULL;
}

/* NULL = no memory */
static struct smb_address *smb_address_make(struct smb_service *s,
					    const char *name)
{
	struct smb_address *a = talloc_zero(s, struct smb_address);

	if (a == NULL) {
		return NULL;
	}
	a->service = s;
	a->fd = -1;
	a->name = talloc_strdup(a, name);
	if (a->name == NULL) {
		talloc_free(a);
		return NULL;
	}
	LIST_INSERT_HEAD(&s->addresses, a, entry);
	talloc_set_destructor(a, smb_address_destructor);
	return a;
}

/* Is there a server that comes to fetch? */
static bool smb_service_needed(const struct config *config)
{
	struct server_object **server = config->servers;
	const struct engine_ops *ops = NULL;

	for (; config->settings.service_enabled && *server != NULL;
	     server++) {
		ops = engine_find((*server)->server_uri);
		if ((*server)->enabled && ops != NULL && ops->fetches) {
			return true;
		}
	}
	return false;
}

static void smb_service_want(struct smb_service *s)
{
	struct in6_addr addr = { 0 };
	struct smb_address *a = NULL;
	const char *name = NULL;
	unsigned int i = 0;

	for (; ip_pool_here(s->ip_pool, i, &name, &addr); i++) {
		a = name == NULL ? NULL : smb_address_find(s, name);
		if (a == NULL && name != NULL) {
			a = smb_address_make(s, name);
		}
		if (a != NULL) {
			a->wanted = true;
			a->addr = addr;
		}
	}
}

void smb_service_look(struct smb_service *s)
{
	struct smb_address *a = NULL;
	struct smb_address *next = NULL;

	smb_service_wait(s, SMB_SERVICE_INTERVAL);
	LIST_FOREACH(a, &s->addresses, entry) {
		a->wanted = false;
	}
	if (smb_service_needed(s->config)) {
		smb_service_want(s);
	}
	for (a = LIST_FIRST(&s->addresses); a != NULL; a = next) {
		next = LIST_NEXT(a, entry);
		if (a->wanted) {
			smb_address_begin(a);
			continue;
		}
		event_clear(s->events, EVENT_SW_AVSCAN_CAVA_NO_SMB, a->name);
		talloc_free(a);
	}
}

static void smb_service_time(struct tevent_context *ev,
			     struct tevent_timer *timer, struct timeval now,
			     void *private_data)
{
	struct smb_service *s = talloc_get_type_abort(private_data,
						      struct smb_service);

	(void)ev;
	(void)timer;
	(void)now;
	s->timer = NULL;	/* tevent frees it */
	smb_service_look(s);
}

int smb_service_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		       const struct config *config,
		       const struct ip_pool *ip_pool, struct events *events,
		       struct smb_service **result)
{
	struct smb_service *s = talloc_zero(mem_ctx, struct smb_service);

	if (s == NULL) {
		return ENOMEM;
	}
	s->ev = ev;
	s->config = config;
	s->ip_pool = ip_pool;
	s->events = events;
	LIST_INIT(&s->addresses);
	smb_service_wait(s, SMB_SERVICE_INTERVAL);
	*result = s;
	return 0;
}
