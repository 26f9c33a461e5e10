/*
 * HTTP for the API: calls in, answers out. With api_listener.c it is all of
 * cavad that knows libmicrohttpd.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_HTTP_H
#define CAVAD_API_HTTP_H

#include "cavad/api_private.h"

#define API_BODY_MAX 1048576	/* bytes */

struct api_http;
struct logins;
struct sessions;

/*
 * Serves the listening unix socket, which it takes, also when it fails, and
 * those of api->tcp. 0 or errno.
 */
int api_http_create(struct api *api, int fd, struct api_http **result);

/* Accounts and certificate as `files` has them, from now on. 0 or errno. */
int api_http_change(struct api_http *h, struct api_tcp_files *files);

/* The first answer counts. text is copied; it is JSON. */
void api_http_reply(struct api_call *call, unsigned int code, char *text);

/* The same, of any type. */
void api_http_send(struct api_call *call, unsigned int code, const char *type,
		   const void *data, size_t len);

/* A header of the answer that follows; up to 8 of them. */
void api_http_header(struct api_call *call, const char *name,
		     const char *value);

/* What the URL says behind ?, "x" of name=x, or NULL. */
const char *api_http_query(struct api_call *call, const char *name);

/* fn hears each name behind ?, also one that comes twice. */
void api_http_query_each(struct api_call *call,
			 void (*fn)(void *private_data, const char *name),
			 void *private_data);

/* A header of the request, a cookie; or NULL. */
const char *api_http_said(struct api_call *call, const char *name);
const char *api_http_cookie(struct api_call *call, const char *name);

/* The login in the request, on the call. False: there is none. */
bool api_http_basic(struct api_call *call, char **name, char **password);

/* --- api_login.c --- */

/* Who is it? Then api_route(), or an answer. On TCP. */
void api_login(struct api_call *call, struct logins *logins,
	       struct sessions *sessions);

/* --- api.c --- */

/* Finds the route of a whole request, and carries it out if role may. */
void api_route(struct api_call *call, enum api_role role, const char *method,
	       const char *path, const char *body, size_t len);

#endif
