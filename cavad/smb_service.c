/*
 * Does Samba answer, and has it the scanners' share? See smb_service.h.
 *
 * One failure may be a restart of smbd: it is looked again soon, and the
 * second one counts. What fails here, such as a socket that cannot be made,
 * says nothing about Samba; what fails after the first answer says nothing
 * about the share.
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
#include "cavad/smb_talk.h"
#include "common/tick.h"

#ifndef SMB_SERVICE_PORT	/* a test has its own */
#define SMB_SERVICE_PORT 445
#define SMB_SERVICE_INTERVAL 30	/* s */
#define SMB_SERVICE_SOON 5	/* s, after a first failure */
#define SMB_SERVICE_PATIENCE 10	/* s, for the answer */
#endif
#define SMB_SERVICE_FAILURES 2	/* in a row */

/* Of ip_pool; without one, this host's own. */
struct smb_address {
	LIST_ENTRY(smb_address) entry;
	struct smb_service *service;
	char *name;
	struct in6_addr addr;
	bool wanted;
	bool in_pool;
	unsigned int failures;	/* in a row */
	unsigned int no_share;	/* the same */
	int fd;			/* -1 = it is not being asked */
	struct tevent_fd *fde;
	struct tevent_timer *patience;
	bool asked;
	struct smb_talk talk;
};

struct smb_service {
	struct tevent_context *ev;
	const struct config *config;
	const struct ip_pool *ip_pool;
	struct events *events;
	struct tick *tick;
	LIST_HEAD(, smb_address) addresses;
};

static void smb_service_wait(struct smb_service *s, unsigned int seconds)
{
	tick_in(s->tick, seconds * 1000000ULL);
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

/* Once may be a moment's: counts it, looks again soon. */
static bool smb_address_again(struct smb_address *a, unsigned int *count)
{
	(*count)++;
	if (*count >= SMB_SERVICE_FAILURES) {
		return true;
	}
	smb_service_wait(a->service, SMB_SERVICE_SOON);
	return false;
}

static void smb_address_answers(struct smb_address *a)
{
	a->failures = 0;
	event_clear(a->service->events, EVENT_SW_AVSCAN_CAVA_NO_SMB, a->name);
}

/* It is over, without an answer. */
static void smb_address_failed(struct smb_address *a, const char *why)
{
	bool answered = a->talk.step != SMB_NEGOTIATE;

	smb_address_close(a);
	if (answered || !a->in_pool || !smb_address_again(a, &a->failures)) {
		return;
	}
	event_raise(a->service->events, EVENT_SW_AVSCAN_CAVA_NO_SMB, a->name,
		    "port %u: %s; servers that fetch files cannot: start "
		    "smbd, or correct `interfaces` in smb.conf or ip_pool",
		    SMB_SERVICE_PORT, why);
}

static void smb_address_no_share(struct smb_address *a)
{
	const struct smb_service *s = a->service;

	smb_address_close(a);
	if (!smb_address_again(a, &a->no_share)) {
		return;
	}
	event_raise(s->events, EVENT_SW_AVSCAN_CAVA_NO_SHARE, a->name,
		    "Samba there has no share %s; servers that fetch files "
		    "cannot: run cavad --setup-share, or correct check_share",
		    s->config->settings.check_share);
}

/* It is there, or cannot be told. */
static void smb_address_other(struct smb_address *a)
{
	smb_address_close(a);
	a->no_share = 0;
	event_clear(a->service->events, EVENT_SW_AVSCAN_CAVA_NO_SHARE,
		    a->name);
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
	smb_address_failed(a, "no answer in time");
}

/* errno */
static int smb_address_send(struct smb_address *a)
{
	uint8_t *request = NULL;
	size_t len = 0;
	ssize_t n = 0;
	int ret = smb_talk_request(a, &a->talk, a->name,
				   a->service->config->settings.check_share,
				   &request, &len);

	if (ret != 0) {
		return ret;
	}
	/* nothing is under way: there is room for it */
	n = send(a->fd, request, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	ret = n == -1 ? errno : 0;
	talloc_free(request);
	return ret;
}

static void smb_address_ask(struct smb_address *a)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
		error = errno;
	}
	error = error == 0 ? smb_address_send(a) : error;
	if (error != 0) {
		smb_address_failed(a, strerror(error));
		return;
	}
	a->asked = true;
	tevent_fd_set_flags(a->fde, TEVENT_FD_READ);
}

static void smb_address_said(struct smb_address *a, enum smb_said said)
{
	int ret = 0;

	if (said != SMB_SAID_PART && said != SMB_SAID_NONSENSE) {
		smb_address_answers(a);
	}
	switch (said) {
	case SMB_SAID_PART:
		return;
	case SMB_SAID_NEXT:
		ret = smb_address_send(a);
		if (ret != 0) {
			smb_address_failed(a, strerror(ret));
		}
		return;
	case SMB_SAID_NO_SHARE:
		smb_address_no_share(a);
		return;
	case SMB_SAID_OTHER:
		smb_address_other(a);
		return;
	case SMB_SAID_NONSENSE:
		smb_address_failed(a, "the answer is not SMB2");
		return;
	}
}

static void smb_address_read(struct smb_address *a)
{
	uint8_t data[1024];
	ssize_t n = recv(a->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (n <= 0) {
		smb_address_failed(a, n == 0 ? "the connection was ended" :
				   strerror(errno));
		return;
	}
	smb_address_said(a, smb_talk_feed(&a->talk, data, (size_t)n));
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
	smb_talk_init(&a->talk);
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
		smb_address_failed(a, strerror(ret));
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

static void smb_service_want(struct smb_service *s, const char *name,
			     const struct in6_addr *addr, bool in_pool)
{
	struct smb_address *a = smb_address_find(s, name);

	a = a != NULL ? a : smb_address_make(s, name);
	if (a == NULL) {
		return;		/* the next look may have memory */
	}
	a->wanted = true;
	a->in_pool = in_pool;
	a->addr = *addr;
	if (!in_pool) {		/* any more */
		event_clear(s->events, EVENT_SW_AVSCAN_CAVA_NO_SMB, name);
	}
}

static void smb_service_want_all(struct smb_service *s)
{
	static const struct in6_addr own = {
		.s6_addr = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 },
	};
	const char **pool = s->config->settings.ip_pool;
	struct in6_addr addr = { 0 };
	const char *name = NULL;
	unsigned int i = 0;

	if (pool == NULL || pool[0] == NULL) {
		smb_service_want(s, "127.0.0.1", &own, false);
		return;
	}
	for (; ip_pool_here(s->ip_pool, i, &name, &addr); i++) {
		if (name != NULL) {
			smb_service_want(s, name, &addr, true);
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
		smb_service_want_all(s);
	}
	for (a = LIST_FIRST(&s->addresses); a != NULL; a = next) {
		next = LIST_NEXT(a, entry);
		if (a->wanted) {
			smb_address_begin(a);
			continue;
		}
		event_clear(s->events, EVENT_SW_AVSCAN_CAVA_NO_SMB, a->name);
		event_clear(s->events, EVENT_SW_AVSCAN_CAVA_NO_SHARE, a->name);
		talloc_free(a);
	}
}

static void smb_service_time(void *private_data)
{
	smb_service_look(talloc_get_type_abort(private_data,
					       struct smb_service));
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
	s->tick = tick_create(s, ev, smb_service_time, s);
	if (s->tick == NULL) {
		talloc_free(s);
		return ENOMEM;
	}
	smb_service_wait(s, SMB_SERVICE_INTERVAL);
	*result = s;
	return 0;
}
