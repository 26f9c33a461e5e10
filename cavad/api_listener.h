/*
 * A listening socket of the API, unix or TCP with TLS, and the loop that
 * serves it: libmicrohttpd, driven by its epoll descriptor and the timer it
 * asks for. What is said there is api_http.c's.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_LISTENER_H
#define CAVAD_API_LISTENER_H

#include <microhttpd.h>

#include "cavad/api_http.h"
#include "cavad/api_peer.h"

struct api_http {
	struct api *api;
	struct api_peer_rule rule;
	struct api_listener *listeners;
	struct logins *logins;		/* NULL: not on TCP */
	struct sessions *sessions;	/* the same */
};

#define API_HEADERS_MAX 8

struct api_http_call {
	struct api_http_call *prev;	/* of the suspended */
	struct api_http_call *next;
	struct api_listener *listener;
	struct MHD_Connection *connection;
	struct api_peer *peer;
	char *method;
	char *path;
	char *body;
	size_t len;
	bool too_large;
	bool routed;
	bool suspended;
	unsigned int code;
	struct {
		const char *name;
		const char *value;
	} headers[API_HEADERS_MAX];
	size_t header_count;
	struct MHD_Response *response;	/* owned until it is queued */
};

struct api_listener {
	struct api_http *http;
	struct api_listener *prev;	/* of the http's */
	struct api_listener *next;
	struct MHD_Daemon *daemon;
	struct tevent_fd *fde;
	struct tevent_timer *timer;
	struct tevent_immediate *again;
	struct api_http_call *suspended;
	bool tcp;
	bool retiring;		/* takes no more connections */
	unsigned int guests;	/* connections of those who may not do all */
	bool closed;		/* a connection, in this run */
};

/*
 * Serves fd, which it takes, also when it fails. files: certificate and key,
 * or NULL for the unix socket. 0; EINVAL: TLS does not take them; errno.
 */
int api_listener_create(struct api_http *h, int fd,
			const struct api_tcp_files *files,
			struct api_listener **result);

/* Ends by itself when what it has been asked is answered. */
void api_listener_retire(struct api_listener *l);

/* An answer is there: libmicrohttpd learns it when the stack is empty. */
void api_listener_soon(struct api_listener *l);

/* NULL = it could not be made. */
struct api_peer *api_listener_peer(struct MHD_Connection *connection);

/* A request has begun, or is whole: is there a time limit? */
void api_listener_deadline(struct api_listener *l, struct api_peer *peer,
			   bool runs);

/* --- api_http.c's, called by it --- */

enum MHD_Result api_http_access(void *listener,
				struct MHD_Connection *connection,
				const char *url, const char *method,
				const char *version, const char *upload_data,
				size_t *upload_data_size, void **con_cls);
void api_http_completed(void *listener, struct MHD_Connection *connection,
			void **con_cls, enum MHD_RequestTerminationCode code);
void api_http_resume(struct api_http_call *hc);

#endif
