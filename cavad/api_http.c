/*
 * HTTP for the API: what a connection says becomes a call, and its answer
 * goes back.
 *
 * A call that cannot be answered at once is suspended; its answer resumes
 * it, which libmicrohttpd takes up at its next run, so we see to one. It
 * tells when a connection is gone, and the call is freed then; while a call
 * is suspended nobody looks at its connection.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cavad/api_listener.h"
#include "cavad/login.h"
#include "cavad/session.h"
#include "common/log.h"

/* --- suspended calls --- */

static void api_http_suspend(struct api_http_call *hc)
{
	struct api_listener *l = hc->listener;

	hc->suspended = true;
	hc->next = l->suspended;
	if (hc->next != NULL) {
		hc->next->prev = hc;
	}
	l->suspended = hc;
	MHD_suspend_connection(hc->connection);
}

void api_http_resume(struct api_http_call *hc)
{
	hc->suspended = false;
	if (hc->next != NULL) {
		hc->next->prev = hc->prev;
	}
	if (hc->prev != NULL) {
		hc->prev->next = hc->next;
	} else {
		hc->listener->suspended = hc->next;
	}
	MHD_resume_connection(hc->connection);
}

/* --- what the request says --- */

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

const char *api_http_said(struct api_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->http->connection,
					   MHD_HEADER_KIND, name);
}

const char *api_http_cookie(struct api_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->http->connection,
					   MHD_COOKIE_KIND, name);
}

bool api_http_basic(struct api_call *call, char **name, char **password)
{
	char *secret = NULL;
	char *user = MHD_basic_auth_get_username_password(
		call->http->connection, &secret);

	*name = user == NULL ? NULL : talloc_strdup(call, user);
	*password = secret == NULL ? NULL : talloc_strdup(call, secret);
	if (secret != NULL) {
		explicit_bzero(secret, strlen(secret));
	}
	free(user);
	free(secret);
	return *name != NULL && *password != NULL;
}

/* --- the answer --- */

void api_http_header(struct api_call *call, const char *name,
		     const char *value)
{
	struct api_http_call *hc = call->http;

	if (hc->header_count < API_HEADERS_MAX && value != NULL) {
		hc->headers[hc->header_count].name = name;
		hc->headers[hc->header_count].value = value;
		hc->header_count++;
	}
}

/* What every answer over the network has. */
static void api_http_safe(struct api_http_call *hc)
{
	size_t i = 0;
	bool cached = false;

	for (i = 0; i < hc->header_count; i++) {
		(void)MHD_add_response_header(hc->response,
					      hc->headers[i].name,
					      hc->headers[i].value);
		cached = cached || strcmp(hc->headers[i].name,
					  "Cache-Control") == 0;
	}
	if (!hc->listener->tcp) {
		return;
	}
	if (!cached) {
		(void)MHD_add_response_header(hc->response, "Cache-Control",
					      "no-store");
	}
	(void)MHD_add_response_header(hc->response, "X-Content-Type-Options",
				      "nosniff");
	if (hc->listener->retiring) {
		(void)MHD_add_response_header(hc->response, "Connection",
					      "close");
	}
}

void api_http_send(struct api_call *call, unsigned int code, const char *type,
		   const void *data, size_t len)
{
	struct api_http_call *hc = call->http;

	if (hc->response != NULL) {
		return;
	}
	hc->code = code;
	hc->response = MHD_create_response_from_buffer(
		len, (void *)data, MHD_RESPMEM_MUST_COPY);
	if (hc->response != NULL) {
		(void)MHD_add_response_header(hc->response, "Content-Type",
					      type);
		api_http_safe(hc);
	}
	if (hc->suspended) {
		api_http_resume(hc);
		api_listener_soon(hc->listener);
	}
}

void api_http_reply(struct api_call *call, unsigned int code, char *text)
{
	api_http_send(call, code, "application/json", text, strlen(text));
}

static enum MHD_Result api_http_queue(struct api_http_call *hc)
{
	enum MHD_Result ret = MHD_queue_response(hc->connection, hc->code,
						 hc->response);

	MHD_destroy_response(hc->response);
	hc->response = NULL;
	return ret;
}

/* --- a request --- */

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

static void api_http_whole(struct api_call *call)
{
	struct api_http_call *hc = call->http;
	struct api_http *h = hc->listener->http;
	const struct settings *s = &call->api->config->settings;

	call->api->counters->api_requests++;
	if (hc->too_large) {
		api_error(call, 413, NULL, "a request body has at most %d "
			  "bytes", API_BODY_MAX);
		return;
	}
	if (hc->peer->tcp) {
		api_login(call, h->logins, h->sessions);
		return;
	}
	call->user = hc->peer->user;
	if (hc->peer->role == API_ROLE_NONE) {
		api_error(call, 403, NULL, "only root%s%s may use the API",
			  s->api_group[0] != '\0' ?
			  " and members of group " : "", s->api_group);
		return;
	}
	api_route(call, hc->peer->role, hc->method, hc->path, hc->body,
		  hc->len);
}

/* On the listener, whose destructor ends all calls first. */
static struct api_call *api_http_begin(struct api_listener *l,
				       struct MHD_Connection *connection,
				       const char *method, const char *url)
{
	struct api_call *call = talloc_zero(l, struct api_call);
	struct api_http_call *hc = NULL;

	if (call == NULL) {
		return NULL;
	}
	call->api = l->http->api;
	call->http = talloc_zero(call, struct api_http_call);
	hc = call->http;
	if (hc != NULL) {
		hc->listener = l;
		hc->connection = connection;
		hc->peer = api_listener_peer(connection);
		hc->method = talloc_strdup(hc, method);
		hc->path = talloc_strdup(hc, url);
	}
	if (hc == NULL || hc->peer == NULL || hc->method == NULL ||
	    hc->path == NULL) {
		talloc_free(call);
		return NULL;
	}
	call->peer = hc->peer;
	return call;
}

enum MHD_Result api_http_access(void *listener,
				struct MHD_Connection *connection,
				const char *url, const char *method,
				const char *version, const char *upload_data,
				size_t *upload_data_size, void **con_cls)
{
	struct api_listener *l = listener;
	struct api_call *call = *con_cls;
	struct api_http_call *hc = NULL;

	(void)version;
	if (call == NULL) {
		*con_cls = api_http_begin(l, connection, method, url);
		return *con_cls == NULL ? MHD_NO : MHD_YES;
	}
	hc = call->http;
	if (*upload_data_size > 0) {
		api_http_collect(hc, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return MHD_YES;
	}
	if (!hc->routed) {
		hc->routed = true;
		api_listener_deadline(l, hc->peer, false);
		api_http_whole(call);
	}
	if (hc->response != NULL) {
		return api_http_queue(hc);
	}
	api_http_suspend(hc);
	return MHD_YES;
}

void api_http_completed(void *listener, struct MHD_Connection *connection,
			void **con_cls, enum MHD_RequestTerminationCode code)
{
	struct api_call *call = *con_cls;

	(void)connection;
	if (call == NULL) {
		return;
	}
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
		api_listener_deadline(listener, call->http->peer, true);
	}
	if (call->http->response != NULL) {
		MHD_destroy_response(call->http->response);
	}
	if (call->http->body != NULL) {
		explicit_bzero(call->http->body, call->http->len);
	}
	json_decref(call->body);
	talloc_free(call);
	*con_cls = NULL;
}

/* --- life --- */

static void api_http_find_group(struct api_http *h, const char *name)
{
	const struct group *gr = name[0] == '\0' ? NULL : getgrnam(name);

	if (gr != NULL) {
		h->rule.group = gr->gr_gid;
		h->rule.have_group = true;
	} else if (name[0] != '\0') {
		log_error("[settings] api_group = %s: no such group; only "
			  "root may use the API until cavad is restarted",
			  name);
	}
}

/* Each socket of api->tcp is copied, since a listener closes its own. */
static int api_http_listen(struct api_http *h, struct api_tcp_files *files)
{
	const struct api_tcp *tcp = h->api->tcp;
	struct api_listener *l = NULL;
	size_t i = 0;
	int ret = 0;
	int fd = -1;

	for (i = 0; i < tcp->count && ret == 0; i++) {
		fd = fcntl(tcp->fds[i], F_DUPFD_CLOEXEC, 0);
		ret = fd == -1 ? errno :
			api_listener_create(h, fd, files, &l);
		if (ret == EINVAL) {
			log_error("[settings] api_certificate, api_key: not "
				  "a certificate and its key, in PEM");
		}
	}
	return ret;
}

static int api_http_tcp(struct api_http *h)
{
	struct api *api = h->api;
	int ret = 0;

	if (api->tcp == NULL) {
		return 0;
	}
	ret = logins_create(h, api->ev, api->tcp->files->accounts,
			    api->events, api->counters, &h->logins);
	h->sessions = sessions_create(h);
	if (ret == 0 && h->sessions == NULL) {
		ret = ENOMEM;
	}
	return ret != 0 ? ret : api_http_listen(h, api->tcp->files);
}

static int api_http_destructor(struct api_http *h)
{
	while (h->listeners != NULL) {
		talloc_free(h->listeners);
	}
	return 0;
}

int api_http_create(struct api *api, int fd, struct api_http **result)
{
	struct api_http *h = talloc_zero(api, struct api_http);
	struct api_listener *l = NULL;
	int ret = 0;

	if (h == NULL) {
		close(fd);
		return ENOMEM;
	}
	h->api = api;
	h->rule.all_read = api->config->settings.api_read == 1;
	api_http_find_group(h, api->config->settings.api_group);
	talloc_set_destructor(h, api_http_destructor);
	ret = api_listener_create(h, fd, NULL, &l);
	ret = ret != 0 ? ret : api_http_tcp(h);
	if (ret != 0) {
		talloc_free(h);
		return ret;
	}
	*result = h;
	return 0;
}

int api_http_change(struct api_http *h, struct api_tcp_files *files)
{
	struct api_tcp_files *old = h->api->tcp->files;
	bool same = strcmp(old->certificate, files->certificate) == 0 &&
		strcmp(old->key, files->key) == 0;
	struct api_listener *before = h->listeners;
	struct api_listener *l = NULL;
	struct api_listener *next = NULL;
	int ret = same ? 0 : api_http_listen(h, files);

	for (l = h->listeners; ret != 0 && l != before; l = next) {
		next = l->next;		/* the new ones, of no use */
		talloc_free(l);
	}
	if (ret != 0) {
		return ret;
	}
	for (l = before; !same && l != NULL; l = next) {
		next = l->next;
		if (l->tcp) {
			api_listener_retire(l);
		}
	}
	logins_change(h->logins, files->accounts);
	h->api->tcp->files = talloc_steal(h->api->tcp, files);
	talloc_free(old);
	return 0;
}
