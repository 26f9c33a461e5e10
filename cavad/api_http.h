/*
 * HTTP for the API: calls in, text out. api_http.c is the only file of
 * cavad that knows libmicrohttpd.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_HTTP_H
#define CAVAD_API_HTTP_H

#include "cavad/api_private.h"

#define API_BODY_MAX 1048576	/* bytes */

struct api_http;

/* Serves the listening socket; takes fd, also when it fails. 0 or errno */
int api_http_create(struct api *api, int fd, struct api_http **result);

/* The first answer counts. text is copied. */
void api_http_reply(struct api_call *call, unsigned int code, char *text);

/* What the URL says behind ?, "x" of name=x, or NULL. */
const char *api_http_query(struct api_call *call, const char *name);

/* Calls fn for each name there, as often as it is there. */
void api_http_query_each(struct api_call *call,
			 void (*fn)(void *private_data, const char *name),
			 void *private_data);

/* api.c: finds the route of a whole request and carries it out. */
void api_route(struct api_call *call, const char *method, const char *path,
	       const char *body, size_t len);

#endif
