/*
 * HTTP for CEE. See listener.h.
 *
 * libmicrohttpd does HTTP. It runs in our loop: its epoll descriptor is one
 * of ours, and after each MHD_run() a timer is set for what it wants done
 * next. A request that takes time suspends its connection.
 *
 * 1. PUT or POST on "/", "/cee", "/CEE", "/vee" is CEE. It is answered with
 *    HTTP 200 whatever happened: the result is the status in the XML.
 * 2. GET or HEAD on "/vee" says which version this is.
 * 3. Everything else is 404 or 405, without a body.
 * 4. A body announced larger than CEE_MSG_MAX is answered at once, unread;
 *    one that grows larger without saying so loses its connection.
 * 5. Addresses that are not in `allow` lose theirs before they say a word.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cee_agent/listener.h"
#include "common/cee_msg.h"
#include "common/log.h"

#define LISTENER_CONNECTIONS 256
#define LISTENER_MEMORY (32 * 1024)	/* a connection: its headers */
#define LISTENER_IDLE 120		/* s; heartbeats come each 10 s */
#define LISTENER_REFUSED_LOG 60		/* s between two such lines */
#define LISTENER_FROM_MAX 64

struct listener {
	struct agent *agent;
	struct MHD_Daemon *mhd;
	struct tevent_fd *fde;
	struct tevent_timer *timer;
	struct tevent_immediate *again;
	struct timeval refused;		/* when that was last logged */
	struct exchange *suspended;	/* list */
};

/* One request; belongs to libmicrohttpd's *state until listener_forget(). */
struct exchange {
	struct listener *listener;
	struct MHD_Connection *connection;
	char from[LISTENER_FROM_MAX];
	unsigned int http;	/* status, when it is answered without CEE */
	bool banner;
	bool too_long;		/* as announced */
	struct exchange *prev, *next;	/* while it is suspended */
	uint8_t *body;
	size_t len;
	struct tevent_req *req;
	struct request_reply reply;
	bool answered;
};

static void listener_readable(struct tevent_context *ev,
			      struct tevent_fd *fde, uint16_t flags,
			      void *private_data);
static void listener_timeout(struct tevent_context *ev,
			     struct tevent_timer *te, struct timeval now,
			     void *private_data);
static void listener_again(struct tevent_context *ev,
			   struct tevent_immediate *im, void *private_data);
static void listener_answered(struct tevent_req *req);

/* The loop. */

static void listener_run(struct listener *l)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	struct timeval next;
	int ret;

	TALLOC_FREE(l->timer);
	MHD_run(l->mhd);
	ret = MHD_get_timeout(l->mhd, &ms);
	if (ret != MHD_YES) {
		return;
	}
	next = tevent_timeval_current_ofs((uint32_t)(ms / 1000),
					  (uint32_t)(ms % 1000) * 1000);
	l->timer = tevent_add_timer(l->agent->ev, l, next, listener_timeout,
				    l);
	if (l->timer == NULL) {
		log_error("out of memory: connections that are idle stay");
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

static void listener_timeout(struct tevent_context *ev,
			     struct tevent_timer *te, struct timeval now,
			     void *private_data)
{
	(void)ev;
	(void)te;
	(void)now;
	listener_run(private_data);
}

static void listener_again(struct tevent_context *ev,
			   struct tevent_immediate *im, void *private_data)
{
	(void)ev;
	(void)im;
	listener_run(private_data);
}

/* Who. */

static void listener_name(const struct sockaddr *sa, socklen_t len,
			  char from[LISTENER_FROM_MAX])
{
	int ret;

	ret = getnameinfo(sa, len, from, LISTENER_FROM_MAX, NULL, 0,
			  NI_NUMERICHOST);
	if (ret != 0) {
		strcpy(from, "?");
	}
}

static enum MHD_Result listener_accept(void *private_data,
				       const struct sockaddr *sa,
				       socklen_t len)
{
	struct listener *l = private_data;
	struct timeval now = tevent_timeval_current();
	char from[LISTENER_FROM_MAX] = "";

	if (access_allows(l->agent->config->allow, sa)) {
		return MHD_YES;
	}
	if (now.tv_sec - l->refused.tv_sec >= LISTENER_REFUSED_LOG) {
		l->refused = now;
		listener_name(sa, len, from);
		log_warning("refused a connection of %s: if it is a storage "
			    "host, add it to allow in %s", from,
			    l->agent->config->path);
	}
	return MHD_NO;
}

/* What. */

/* Pure: 0 when it is CEE or the banner, else the HTTP status to say. */
static unsigned int listener_route(const char *method, const char *path,
				   bool *banner)
{
	static const char *const paths[] = { "/", "/cee", "/CEE", "/vee" };
	bool known = false;
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		known |= strcmp(path, paths[i]) == 0;
	}
	if (!known) {
		return MHD_HTTP_NOT_FOUND;
	}
	if (strcmp(method, MHD_HTTP_METHOD_PUT) == 0 ||
	    strcmp(method, MHD_HTTP_METHOD_POST) == 0) {
		return 0;
	}
	*banner = (strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
		   strcmp(method, MHD_HTTP_METHOD_HEAD) == 0) &&
		  strcmp(path, "/vee") == 0;
	return *banner ? 0 : MHD_HTTP_METHOD_NOT_ALLOWED;
}

static struct exchange *exchange_create(struct listener *l,
					struct MHD_Connection *connection,
					const char *method, const char *path)
{
	const union MHD_ConnectionInfo *info = NULL;
	const char *length = NULL;
	struct exchange *x = NULL;

	x = talloc_zero(l, struct exchange);
	if (x == NULL) {
		return NULL;
	}
	x->listener = l;
	x->connection = connection;
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	listener_name(info->client_addr,
		      info->client_addr->sa_family == AF_INET6 ?
		      sizeof(struct sockaddr_in6) :
		      sizeof(struct sockaddr_in), x->from);
	x->http = listener_route(method, path, &x->banner);
	length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					     MHD_HTTP_HEADER_CONTENT_LENGTH);
	x->too_long = length != NULL &&
		      strtoull(length, NULL, 10) > CEE_MSG_MAX;
	return x;
}

/* The response is ours no more, whatever becomes of it. */
static enum MHD_Result listener_say(struct exchange *x, unsigned int status,
				    const char *data, size_t len,
				    const char *type)
{
	struct MHD_Response *response = NULL;
	enum MHD_Result ret;

	response = MHD_create_response_from_buffer(len, (void *)data,
						   MHD_RESPMEM_MUST_COPY);
	if (response == NULL) {
		return MHD_NO;
	}
	/* CEE says it, though in HTTP/1.1 it need not */
	MHD_set_response_options(response, MHD_RF_SEND_KEEP_ALIVE_HEADER,
				 MHD_RO_END);
	MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER,
				"cee_agent " CAVA_VERSION);
	if (len > 0) {
		MHD_add_response_header(response,
					MHD_HTTP_HEADER_CONTENT_TYPE, type);
	}
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					"PUT, POST");
	}
	ret = MHD_queue_response(x->connection, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result listener_say_banner(struct exchange *x)
{
	char *text = NULL;
	size_t len = 0;
	int ret;

	ret = cee_banner_encode(x, x->listener->agent->config->version,
				&text, &len);
	if (ret != 0) {
		return MHD_NO;
	}
	return listener_say(x, MHD_HTTP_OK, text, len,
			    "text/xml; charset=utf-8");
}

/* The answer to a body that nobody has read. */
static enum MHD_Result listener_say_too_long(struct exchange *x)
{
	struct cee_reply reply = { .status = CEE_ERROR_BAD_REQUEST };
	char *text = NULL;
	size_t len = 0;
	int ret;

	log_notice("%s announced a request of more than %d bytes", x->from,
		   CEE_MSG_MAX);
	ret = cee_reply_encode(x, &reply, false, &text, &len);
	if (ret != 0) {
		return MHD_NO;
	}
	return listener_say(x, MHD_HTTP_OK, text, len,
			    "text/xml; charset=utf-8");
}

static enum MHD_Result listener_say_reply(struct exchange *x)
{
	if (x->reply.data == NULL) {
		return MHD_NO;
	}
	return listener_say(x, MHD_HTTP_OK, x->reply.data, x->reply.len,
			    x->reply.utf16 ? "text/xml; charset=utf-16" :
			    "text/xml; charset=utf-8");
}

static enum MHD_Result exchange_take(struct exchange *x, const char *data,
				     size_t *len)
{
	uint8_t *body = NULL;

	if (*len > CEE_MSG_MAX - x->len) {
		log_notice("%s sent more than %d bytes", x->from,
			   CEE_MSG_MAX);
		return MHD_NO;
	}
	body = talloc_realloc(x, x->body, uint8_t, x->len + *len);
	if (body == NULL) {
		return MHD_NO;
	}
	memcpy(body + x->len, data, *len);
	x->body = body;
	x->len += *len;
	*len = 0;
	return MHD_YES;
}

static void exchange_suspend(struct exchange *x)
{
	struct listener *l = x->listener;

	x->next = l->suspended;
	if (x->next != NULL) {
		x->next->prev = x;
	}
	l->suspended = x;
	MHD_suspend_connection(x->connection);
}

static void exchange_resume(struct exchange *x)
{
	if (x->next != NULL) {
		x->next->prev = x->prev;
	}
	if (x->prev != NULL) {
		x->prev->next = x->next;
	} else {
		x->listener->suspended = x->next;
	}
	MHD_resume_connection(x->connection);
}

static enum MHD_Result exchange_ask(struct exchange *x)
{
	struct agent *agent = x->listener->agent;

	x->req = request_send(x, agent, x->from, x->body, x->len);
	if (x->req == NULL) {
		return MHD_NO;
	}
	TALLOC_FREE(x->body);
	tevent_req_set_callback(x->req, listener_answered, x);
	exchange_suspend(x);
	return MHD_YES;
}

static void listener_answered(struct tevent_req *req)
{
	struct exchange *x = tevent_req_callback_data(req, struct exchange);
	struct listener *l = x->listener;
	int ret;

	ret = request_recv(req, x, &x->reply);
	TALLOC_FREE(x->req);
	if (ret != 0) {
		log_error("no reply for %s: %s", x->from, strerror(ret));
	}
	x->answered = true;
	exchange_resume(x);
	tevent_schedule_immediate(l->again, l->agent->ev, listener_again, l);
}

/* Called with the headers, then with pieces of the body, then at its end. */
static enum MHD_Result listener_request(void *private_data,
					struct MHD_Connection *connection,
					const char *path, const char *method,
					const char *version, const char *data,
					size_t *len, void **exchange)
{
	struct exchange *x = *exchange;

	(void)version;
	if (x == NULL) {
		x = exchange_create(private_data, connection, method, path);
		*exchange = x;
		if (x != NULL && x->http == 0 && x->too_long) {
			return listener_say_too_long(x);
		}
		return x == NULL ? MHD_NO : MHD_YES;
	}
	if (*len > 0) {
		return exchange_take(x, data, len);
	}
	if (x->http != 0) {
		return listener_say(x, x->http, "", 0, NULL);
	}
	if (x->banner) {
		return listener_say_banner(x);
	}
	if (x->answered) {
		return listener_say_reply(x);
	}
	return exchange_ask(x);
}

static void listener_forget(void *private_data,
			    struct MHD_Connection *connection,
			    void **exchange,
			    enum MHD_RequestTerminationCode why)
{
	(void)private_data;
	(void)connection;
	(void)why;
	TALLOC_FREE(*exchange);
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
	while (l->suspended != NULL) {
		/* or libmicrohttpd aborts */
		exchange_resume(l->suspended);
	}
	if (l->mhd != NULL) {
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

int listener_create(TALLOC_CTX *mem_ctx, struct agent *agent, int fd,
		    struct listener **result)
{
	struct listener *l = NULL;
	int ret;

	l = talloc_zero(mem_ctx, struct listener);
	if (l == NULL) {
		return ENOMEM;
	}
	l->agent = agent;
	l->again = tevent_create_immediate(l);
	if (l->again == NULL) {
		talloc_free(l);
		return ENOMEM;
	}
	talloc_set_destructor(l, listener_destroy);
	l->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, listener_accept, l, listener_request, l,
		MHD_OPTION_EXTERNAL_LOGGER, listener_log, l,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, listener_forget, l,
		MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)LISTENER_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LISTENER_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)LISTENER_IDLE,
		MHD_OPTION_END);
	ret = l->mhd == NULL ? EINVAL : listener_watch(l);
	if (ret != 0) {
		talloc_free(l);
		return ret;
	}
	listener_run(l);
	*result = l;
	return 0;
}
