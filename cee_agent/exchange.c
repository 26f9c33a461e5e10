/*
 * One HTTP request and its response. See exchange.h.
 *
 * A request that takes time suspends its connection.
 *
 * 1. PUT or POST on "/", "/cee", "/CEE", "/vee" is CEE. It is answered with
 *    HTTP 200 whatever happened: the result is the status in the XML.
 * 2. GET or HEAD on "/vee" says which version this is; on "/" and "/status"
 *    what is going on.
 * 3. Everything else is 404 or 405, without a body.
 * 4. Whoever may not ask for what is there gets 403 and loses the
 *    connection. Rights are looked at for each request: a reload takes them
 *    from connections that are open.
 * 5. A body announced larger than CEE_MSG_MAX is answered at once, unread;
 *    one that grows larger without saying so loses its connection.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cee_agent/exchange.h"
#include "cee_agent/status.h"
#include "common/cee_msg.h"
#include "common/log.h"

enum exchange_kind { EXCHANGE_CEE = 0, EXCHANGE_BANNER, EXCHANGE_STATUS,
		     EXCHANGE_PAGE };

/* Belongs to libmicrohttpd's *exchange until exchange_forget(). */
struct exchange {
	struct exchange_home *home;
	struct MHD_Connection *connection;
	char from[EXCHANGE_FROM_MAX];
	unsigned int http;	/* status, when it is answered without more */
	enum exchange_kind kind;
	bool too_long;		/* as announced */
	struct exchange *prev, *next;	/* while it is suspended */
	uint8_t *body;
	size_t len;
	struct tevent_req *req;
	struct request_reply reply;
	bool answered;
};

static void exchange_answered(struct tevent_req *req);

unsigned int exchange_rights(const struct agent_config *c,
			     const struct sockaddr *address)
{
	unsigned int rights = 0;

	if (access_allows(c->allow, address)) {
		rights |= EXCHANGE_MAY_SCAN;
	}
	if (access_allows(c->status_allow, address)) {
		rights |= EXCHANGE_MAY_SEE_STATUS;
	}
	return rights;
}

void exchange_name(const struct sockaddr *address,
		   char from[EXCHANGE_FROM_MAX])
{
	socklen_t len = address->sa_family == AF_INET6 ?
			sizeof(struct sockaddr_in6) :
			sizeof(struct sockaddr_in);
	int ret;

	ret = getnameinfo(address, len, from, EXCHANGE_FROM_MAX, NULL, 0,
			  NI_NUMERICHOST);
	if (ret != 0) {
		strcpy(from, "?");
	}
}

struct exchange_route {
	const char *path;
	bool put;			/* is it CEE? */
	bool get;
	enum exchange_kind kind;	/* of GET */
};

static const struct exchange_route exchange_routes[] = {
	{ "/", true, true, EXCHANGE_PAGE },
	{ "/status", false, true, EXCHANGE_STATUS },
	{ "/vee", true, true, EXCHANGE_BANNER },
	{ "/cee", true, false, EXCHANGE_CEE },
	{ "/CEE", true, false, EXCHANGE_CEE },
	{ .path = NULL }
};

/* Pure: 0 and what it is, or the HTTP status to say. */
static unsigned int exchange_route(const char *method, const char *path,
				   enum exchange_kind *kind)
{
	const struct exchange_route *r = exchange_routes;
	bool put = strcmp(method, MHD_HTTP_METHOD_PUT) == 0 ||
		   strcmp(method, MHD_HTTP_METHOD_POST) == 0;
	bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
		   strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;

	while (r->path != NULL && strcmp(r->path, path) != 0) {
		r++;
	}
	if (r->path == NULL) {
		return MHD_HTTP_NOT_FOUND;
	}
	if (!(put && r->put) && !(get && r->get)) {
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	}
	*kind = put ? EXCHANGE_CEE : r->kind;
	return 0;
}

/* 0 or the HTTP status of a refusal, which is logged. */
static unsigned int exchange_authorize(const struct exchange *x,
				       const struct sockaddr *address,
				       const char *method, const char *path)
{
	struct agent *agent = x->home->agent;
	bool status = x->kind == EXCHANGE_STATUS || x->kind == EXCHANGE_PAGE;
	unsigned int needed = status ? EXCHANGE_MAY_SEE_STATUS :
				       EXCHANGE_MAY_SCAN;

	if (exchange_rights(agent->config, address) & needed) {
		return 0;
	}
	agent->tally->refused_requests++;
	log_notice("refused %s %s of %s: it is not in %s of %s", method,
		   path, x->from, status ? "status_allow" : "allow",
		   agent->config->path);
	return MHD_HTTP_FORBIDDEN;
}

static struct exchange *exchange_create(struct exchange_home *home,
					struct MHD_Connection *connection,
					const char *method, const char *path)
{
	const union MHD_ConnectionInfo *info = NULL;
	const char *length = NULL;
	struct exchange *x = NULL;

	x = talloc_zero(NULL, struct exchange);
	if (x == NULL) {
		return NULL;
	}
	x->home = home;
	x->connection = connection;
	home->count++;
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	exchange_name(info->client_addr, x->from);
	x->http = exchange_route(method, path, &x->kind);
	if (x->http == 0) {
		x->http = exchange_authorize(x, info->client_addr, method,
					     path);
	}
	length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					     MHD_HTTP_HEADER_CONTENT_LENGTH);
	x->too_long = length != NULL &&
		      strtoull(length, NULL, 10) > CEE_MSG_MAX;
	return x;
}

/* The response is ours no more, whatever becomes of it. */
static enum MHD_Result exchange_say(struct exchange *x, unsigned int status,
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
	if (x->home->retiring || status == MHD_HTTP_FORBIDDEN) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION,
					"close");
	} else {
		/* CEE says it, though in HTTP/1.1 it need not */
		MHD_set_response_options(response,
					 MHD_RF_SEND_KEEP_ALIVE_HEADER,
					 MHD_RO_END);
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER,
				"cee_agent " CAVA_VERSION);
	if (len > 0) {
		MHD_add_response_header(response,
					MHD_HTTP_HEADER_CONTENT_TYPE, type);
	}
	if (x->kind == EXCHANGE_PAGE) {
		MHD_add_response_header(response, "Content-Security-Policy",
					"default-src 'none'; "
					"style-src 'unsafe-inline'");
	}
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					"GET, HEAD, PUT, POST");
	}
	ret = MHD_queue_response(x->connection, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result exchange_say_banner(struct exchange *x)
{
	char *text = NULL;
	size_t len = 0;
	int ret;

	ret = cee_banner_encode(x, x->home->agent->config->version,
				&text, &len);
	if (ret != 0) {
		return MHD_NO;
	}
	return exchange_say(x, MHD_HTTP_OK, text, len,
			    "text/xml; charset=utf-8");
}

static enum MHD_Result exchange_say_status(struct exchange *x)
{
	const struct agent *agent = x->home->agent;
	bool page = x->kind == EXCHANGE_PAGE;
	char *text = NULL;

	text = page ? status_page(x, agent) : status_json(x, agent);
	if (text == NULL) {
		return MHD_NO;
	}
	return exchange_say(x, MHD_HTTP_OK, text, strlen(text), page ?
			    "text/html; charset=utf-8" : "application/json");
}

/* The answer to a body that nobody has read. */
static enum MHD_Result exchange_say_too_long(struct exchange *x)
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
	return exchange_say(x, MHD_HTTP_OK, text, len,
			    "text/xml; charset=utf-8");
}

static enum MHD_Result exchange_say_reply(struct exchange *x)
{
	if (x->reply.data == NULL) {
		return MHD_NO;
	}
	return exchange_say(x, MHD_HTTP_OK, x->reply.data, x->reply.len,
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
	struct exchange_home *home = x->home;

	x->next = home->suspended;
	if (x->next != NULL) {
		x->next->prev = x;
	}
	home->suspended = x;
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
		x->home->suspended = x->next;
	}
	MHD_resume_connection(x->connection);
}

static enum MHD_Result exchange_ask(struct exchange *x)
{
	struct agent *agent = x->home->agent;

	x->req = request_send(x, agent, x->from, x->body, x->len);
	if (x->req == NULL) {
		return MHD_NO;
	}
	TALLOC_FREE(x->body);
	tevent_req_set_callback(x->req, exchange_answered, x);
	exchange_suspend(x);
	return MHD_YES;
}

static void exchange_answered(struct tevent_req *req)
{
	struct exchange *x = tevent_req_callback_data(req, struct exchange);
	struct exchange_home *home = x->home;
	int ret;

	ret = request_recv(req, x, &x->reply);
	TALLOC_FREE(x->req);
	if (ret != 0) {
		log_error("no reply for %s: %s", x->from, strerror(ret));
	}
	x->answered = true;
	exchange_resume(x);
	home->resumed(home);
}

enum MHD_Result exchange_feed(struct exchange_home *home,
			      struct MHD_Connection *connection,
			      const char *method, const char *path,
			      const char *data, size_t *len, void **exchange)
{
	struct exchange *x = *exchange;

	if (x == NULL) {
		x = exchange_create(home, connection, method, path);
		*exchange = x;
		if (x != NULL && x->http == 0 && x->too_long) {
			return exchange_say_too_long(x);
		}
		return x == NULL ? MHD_NO : MHD_YES;
	}
	if (*len > 0) {
		return exchange_take(x, data, len);
	}
	if (x->http != 0) {
		return exchange_say(x, x->http, "", 0, NULL);
	}
	if (x->kind == EXCHANGE_BANNER) {
		return exchange_say_banner(x);
	}
	if (x->kind != EXCHANGE_CEE) {
		return exchange_say_status(x);
	}
	if (x->answered) {
		return exchange_say_reply(x);
	}
	return exchange_ask(x);
}

void exchange_forget(void **exchange)
{
	struct exchange *x = *exchange;

	if (x != NULL) {
		x->home->count--;
	}
	TALLOC_FREE(*exchange);
}

void exchange_abandon(struct exchange_home *home)
{
	while (home->suspended != NULL) {
		exchange_resume(home->suspended);
	}
}
