/*
 * HTTP requests, any number at a time, in the tevent loop.
 *
 * One struct http is one antivirus server: it keeps connections alive and
 * never has more of them than it was made for; a request over that number
 * waits inside. Redirects are not followed, proxies and credentials of the
 * environment are not used, certificates are checked.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_HTTP_H
#define CAVAD_HTTP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

struct http;

/*
 * Requests that still run when it is freed end with ECANCELED. 0 or errno.
 * The process must ignore SIGPIPE.
 */
int http_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		unsigned int connections, struct http **result);

struct trace;

/* Certificates are checked by those in `file`, PEM; "" = the system's. */
int http_trust(struct http *http, const char *file);

/* The bytes of all requests sent from now on go there too; NULL ends it. */
void http_trace(struct http *http, struct trace *t);

struct http_request {
	const char *method;	/* with a body: "PUT", "POST" */
	const char *url;	/* http or https */
	const char *content_type;
	const void *body;	/* copied */
	size_t len;
	uint32_t timeout;	/* ms, the connection included */
	size_t reply_max;	/* bytes of body that are taken */
};

struct http_reply {
	unsigned int status;	/* 200; whatever it is, it is an answer */
	const char *content_type;	/* "" = not said */
	uint8_t *body;
	size_t len;
	const char *error;	/* for a person, when recv gave an errno */
	char address[INET6_ADDRSTRLEN];		/* of the server, or "" */
	char local_address[INET6_ADDRSTRLEN];	/* ours, as it sees us */
};

/* Freeing the request ends it, whenever that is. */
struct tevent_req *http_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     struct http *http,
			     const struct http_request *request);

/*
 * 0, or errno: ETIMEDOUT (connected, but no whole reply in time),
 * EHOSTUNREACH (no connection in time, or no such name), ECONNREFUSED,
 * ECONNRESET (closed in the middle), EMSGSIZE (more than reply_max), EPROTO
 * (not HTTP, or no TLS that can be trusted), EINVAL (the URL), others of
 * connect(2). *reply is filled in either way, its memory is on mem_ctx.
 */
int http_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
	      struct http_reply *reply);

#endif
