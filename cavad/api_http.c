/*
 * HTTP for the API: libmicrohttpd, driven from the tevent loop by its epoll
 * descriptor and the timer it asks for.
 *
 * A call that cannot be answered at once is suspended; its answer resumes
 * it, which libmicrohttpd takes up at its next run, so we see to one. It
 * tells when a connection is gone, and the call is freed then; while a call
 * is suspended nobody looks at its connection. It aborts when it is stopped
 * with a connection suspended.
 *
 * Anybody may connect, and is told why nothing else is for him. So that such
 * strangers cannot use up the connections there are, few of them are served
 * at a time. Who is one the kernel says (SO_PEERCRED, SO_PEERGROUPS): asking
 * the name service in the loop could block it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api_http.h"

#include <errno.h>
#include <grp.h>
#include <microhttpd.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define API_CONNECTIONS_MAX 256
#define API_STRANGERS_MAX 16	/* of these, from those who may not */
#define API_IDLE 120		/* s until a silent connection is closed */

struct api_http {
	struct api *api;
	struct MHD_Daemon *daemon;
	struct tevent_fd *fde;
	struct tevent_timer *timer;
	struct tevent_immediate *again;
	struct api_http_call *suspended;
	gid_t group;		/* of api_group */
	bool have_group;
	unsigned int strangers;	/* connections */
	bool closed;		/* a connection, in this run */
};

/* Who is at the other end of a connection. */
struct api_peer {
	const char *user;	/* as api_call has it */
	bool stranger;		/* may not use the API */
};

struct api_http_call {
	struct api_http_call *prev;	/* of the suspended */
	struct api_http_call *next;
	struct MHD_Connection *connection;
	char *body;
	size_t len;
	bool too_large;
	bool routed;
	bool suspended;
	unsigned int code;
	struct MHD_Response *response;	/* owned until it is queued */
};

static void api_http_run(struct api_http *h);

static void api_http_timer(struct tevent_context *ev, struct tevent_timer *te,
			   struct timeval now, void *private_data)
{
	struct api_http *h = private_data;

	(void)ev;
	(void)te;
	(void)now;
	h->timer = NULL;
	api_http_run(h);
}

static void api_http_again(struct tevent_context *ev,
			   struct tevent_immediate *im, void *private_data)
{
	(void)ev;
	(void)im;
	api_http_run(private_data);
}

static void api_http_event(struct tevent_context *ev, struct tevent_fd *fde,
			   uint16_t flags, void *private_data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	api_http_run(private_data);
}

static void api_http_run(struct api_http *h)
{
	unsigned long long ms = 0;

	/*
	 * With all connections in use it stops listening, and looks whether
	 * some are free again when a run begins; without a connection left
	 * nothing but this would begin one.
	 */
	do {
		h->closed = false;
		(void)MHD_run(h->daemon);
	} while (h->closed);
	TALLOC_FREE(h->timer);
	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES) {
		return;
	}
	h->timer = tevent_add_timer(
		h->api->ev, h,
		tevent_timeval_current_ofs((uint32_t)(ms / 1000),
					   (uint32_t)(ms % 1000 * 1000)),
		api_http_timer, h);
}

/* Is the process at the other end in the group? */
static bool api_http_in_group(struct api_http *h, int fd)
{
	gid_t *groups = NULL;
	socklen_t len = 0;
	bool found = false;
	size_t i = 0;
	int ret = 0;

	/* says how much it takes */
	ret = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len);
	if (ret == 0 || errno != ERANGE) {
		return false;
	}
	groups = talloc_size(h, len);
	if (groups == NULL) {
		return false;
	}
	ret = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	for (i = 0; ret == 0 && i < len / sizeof(gid_t); i++) {
		found = found || groups[i] == h->group;
	}
	talloc_free(groups);
	return found;
}

/* The name of a local account; accounts of a domain are numbers. */
static char *api_peer_name(TALLOC_CTX *mem_ctx, uid_t uid)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw = NULL;
	char *name = NULL;

	while (f != NULL && name == NULL && (pw = fgetpwent(f)) != NULL) {
		if (pw->pw_uid == uid) {
			name = talloc_strdup(mem_ctx, pw->pw_name);
		}
	}
	if (f != NULL) {
		fclose(f);
	}
	return name != NULL ? name : talloc_asprintf(mem_ctx, "uid %u",
						     (unsigned int)uid);
}

/* root, or a member of api_group? */
static void api_peer_ask(struct api_http *h, struct api_peer *peer, int fd)
{
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);
	int ret = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);

	if (ret != 0) {
		return;
	}
	peer->stranger = cred.uid != 0 &&
		!(h->have_group &&
		  (cred.gid == h->group || api_http_in_group(h, fd)));
	if (!peer->stranger) {
		peer->user = api_peer_name(peer, cred.uid);
	}
}

/* The context of a connection is its peer; NULL without memory. */
static void api_http_connection(void *cls, struct MHD_Connection *connection,
				void **context,
				enum MHD_ConnectionNotificationCode code)
{
	struct api_http *h = cls;
	struct api_peer *peer = *context;
	const union MHD_ConnectionInfo *info = NULL;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		h->strangers -= peer == NULL || peer->stranger;
		talloc_free(peer);
		h->closed = true;
		return;
	}
	peer = talloc_zero(h, struct api_peer);
	*context = peer;
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD);
	if (peer != NULL) {
		peer->stranger = true;
	}
	if (peer != NULL && info != NULL) {
		api_peer_ask(h, peer, info->connect_fd);
	}
	if (peer != NULL && !peer->stranger) {
		return;
	}
	h->strangers++;
	if (info != NULL && h->strangers > API_STRANGERS_MAX) {
		/* libmicrohttpd closes it when it reads its end */
		(void)shutdown(info->connect_fd, SHUT_RDWR);
	}
}

/* Who may use the API, or NULL. */
static const char *api_http_user(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const struct api_peer *peer = info == NULL ? NULL :
				      info->socket_context;

	return peer == NULL || peer->stranger ? NULL : peer->user;
}

static enum MHD_Result api_http_queue(struct api_http_call *hc)
{
	enum MHD_Result ret = MHD_queue_response(hc->connection, hc->code,
						 hc->response);

	MHD_destroy_response(hc->response);
	hc->response = NULL;
	return ret;
}

static void api_http_suspend(struct api_http *h, struct api_http_call *hc)
{
	hc->suspended = true;
	hc->next = h->suspended;
	if (hc->next != NULL) {
		hc->next->prev = hc;
	}
	h->suspended = hc;
	MHD_suspend_connection(hc->connection);
}

static void api_http_resume(struct api_http *h, struct api_http_call *hc)
{
	hc->suspended = false;
	if (hc->next != NULL) {
		hc->next->prev = hc->prev;
	}
	if (hc->prev != NULL) {
		hc->prev->next = hc->next;
	} else {
		h->suspended = hc->next;
	}
	MHD_resume_connection(hc->connection);
}

const char *api_http_query(struct api_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->http->connection,
					   MHD_GET_ARGUMENT_KIND, name);
}

struct api_http_names {
	void (*fn)(void *private_data, const char *name);
	void *private_data;
};

static enum MHD_Result api_http_name(void *cls, enum MHD_ValueKind kind,
				     const char *key, const char *value)
{
	struct api_http_names *names = cls;

	(void)kind;
	(void)value;
	names->fn(names->private_data, key);
	return MHD_YES;
}

void api_http_query_each(struct api_call *call,
			 void (*fn)(void *private_data, const char *name),
			 void *private_data)
{
	struct api_http_names names = { fn, private_data };

	(void)MHD_get_connection_values(call->http->connection,
					MHD_GET_ARGUMENT_KIND, api_http_name,
					&names);
}

void api_http_reply(struct api_call *call, unsigned int code, char *text)
{
	struct api_http_call *hc = call->http;
	struct api_http *h = call->api->http;

	if (hc->response != NULL) {
		return;
	}
	hc->code = code;
	hc->response = MHD_create_response_from_buffer(
		strlen(text), text, MHD_RESPMEM_MUST_COPY);
	if (hc->response != NULL) {
		(void)MHD_add_response_header(hc->response, "Content-Type",
					      "application/json");
	}
	if (hc->suspended) {
		api_http_resume(h, hc);
		tevent_schedule_immediate(h->again, h->api->ev,
					  api_http_again, h);
	}
}

static void api_http_collect(struct api_http_call *hc, const char *data,
			     size_t len)
{
	char *body = NULL;

	if (hc->too_large || len > API_BODY_MAX - hc->len) {
		hc->too_large = true;
		return;
	}
	body = talloc_realloc_size(hc, hc->body, hc->len + len);
	if (body == NULL) {
		hc->too_large = true;
		return;
	}
	memcpy(body + hc->len, data, len);
	hc->body = body;
	hc->len += len;
}

static enum MHD_Result api_http_access(void *cls,
				       struct MHD_Connection *connection,
				       const char *url, const char *method,
				       const char *version,
				       const char *upload_data,
				       size_t *upload_data_size,
				       void **con_cls)
{
	struct api_http *h = cls;
	struct api *api = h->api;
	struct api_call *call = *con_cls;

	(void)version;
	if (call == NULL) {
		/* on h, whose destructor ends all calls first */
		call = talloc_zero(h, struct api_call);
		if (call == NULL) {
			return MHD_NO;
		}
		call->api = api;
		call->http = talloc_zero(call, struct api_http_call);
		if (call->http == NULL) {
			talloc_free(call);
			return MHD_NO;
		}
		call->http->connection = connection;
		*con_cls = call;
		return MHD_YES;
	}
	if (*upload_data_size > 0) {
		api_http_collect(call->http, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return MHD_YES;
	}
	if (!call->http->routed) {
		call->http->routed = true;
		call->user = api_http_user(connection);
		if (call->user == NULL) {
			api_error(call, 403, NULL, "only root%s%s may use "
				  "the API",
				  api->config->settings.api_group[0] != '\0' ?
				  " and members of group " : "",
				  api->config->settings.api_group);
		} else if (call->http->too_large) {
			api_error(call, 413, NULL, "a request body has at "
				  "most %d bytes", API_BODY_MAX);
		} else {
			api_route(call, method, url, call->http->body,
				  call->http->len);
		}
	}
	if (call->http->response != NULL) {
		return api_http_queue(call->http);
	}
	api_http_suspend(h, call->http);
	return MHD_YES;
}

static void api_http_completed(void *cls, struct MHD_Connection *connection,
			       void **con_cls,
			       enum MHD_RequestTerminationCode code)
{
	struct api_call *call = *con_cls;

	(void)cls;
	(void)connection;
	(void)code;
	if (call == NULL) {
		return;
	}
	if (call->http->response != NULL) {
		MHD_destroy_response(call->http->response);
	}
	json_decref(call->body);
	talloc_free(call);
	*con_cls = NULL;
}

static int api_http_destructor(struct api_http *h)
{
	TALLOC_FREE(h->fde);
	TALLOC_FREE(h->timer);
	TALLOC_FREE(h->again);
	while (h->suspended != NULL) {
		api_http_resume(h, h->suspended);
	}
	MHD_stop_daemon(h->daemon);
	return 0;
}

static void api_http_find_group(struct api_http *h, const char *name)
{
	const struct group *gr = name[0] == '\0' ? NULL : getgrnam(name);

	if (gr != NULL) {
		h->group = gr->gr_gid;
		h->have_group = true;
	} else if (name[0] != '\0') {
		log_error("[settings] api_group = %s: no such group; only "
			  "root may use the API until cavad is restarted",
			  name);
	}
}

int api_http_create(struct api *api, int fd, struct api_http **result)
{
	const union MHD_DaemonInfo *info = NULL;
	struct api_http *h = talloc_zero(api, struct api_http);

	if (h == NULL) {
		return ENOMEM;
	}
	h->api = api;
	api_http_find_group(h, api->config->settings.api_group);
	h->again = tevent_create_immediate(h);
	if (h->again == NULL) {
		close(fd);
		talloc_free(h);
		return ENOMEM;
	}
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		api_http_access, h,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, api_http_completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, api_http_connection, h,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)API_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)API_IDLE,
		MHD_OPTION_END);
	if (h->daemon == NULL) {
		close(fd);
		talloc_free(h);
		return EIO;
	}
	talloc_set_destructor(h, api_http_destructor);
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL) {
		talloc_free(h);
		return EIO;
	}
	h->fde = tevent_add_fd(api->ev, h, info->epoll_fd, TEVENT_FD_READ,
			       api_http_event, h);
	if (h->fde == NULL) {
		talloc_free(h);
		return ENOMEM;
	}
	api_http_run(h);
	*result = h;
	return 0;
}
