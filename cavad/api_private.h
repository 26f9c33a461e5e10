/*
 * What the files of the API share: one call, and how it is answered.
 *
 *   api.c           dispatch by the rows of api_route.def
 *   api_http.c      HTTP; api_listener.c its sockets, api_peer.c who is there
 *   api_login.c     who calls over TCP, and sessions of browsers
 *   api_page.c      pages of lists
 *   api_NOUN.c      the routes of a noun
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_PRIVATE_H
#define CAVAD_API_PRIVATE_H

#include <jansson.h>

#include "cavad/api.h"
#include "cavad/account.h"

/* A request; a talloc object that ends with it, and its tevent_reqs too. */
struct api_call {
	struct api *api;
	struct api_http_call *http;
	const char *user;	/* who calls: an account, or "uid 1000" */
	const char *session;	/* id of the browser's session, or NULL */
	struct api_peer *peer;	/* NULL in the fuzz target only */
	const struct api_route *route;
	const char *tail;	/* what the {} of the route stands for, or "" */
	json_t *body;		/* an object, or NULL */
};

/* A string; what a server or a record says may be no UTF-8. */
json_t *api_text(const char *text);

/*
 * Answers, now or later: takes json (NULL = no body). Not after the call
 * was freed.
 */
void api_reply(struct api_call *call, unsigned int code, json_t *json);

/* {"errors":[...]}; field may be NULL. */
void api_error(struct api_call *call, unsigned int code, const char *field,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The database said errno: 503 when it is full, else 500. */
void api_error_store(struct api_call *call, int error);

/*
 * For the audit trail, once a change is in force: the object, as "server av1"
 * (NULL = no memory, which is borne), and what was done to it, as "added".
 */
void api_audit(struct api_call *call, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A field of a request body. */
struct api_field {
	const char *name;
	json_type type;		/* JSON_TRUE stands for a boolean */
	bool required;
	size_t max;		/* characters */
};

/*
 * Is the body an object with these fields (ended by name == NULL) and no
 * others? If not, the call is answered.
 */
bool api_body(struct api_call *call, const struct api_field *fields);

/* WWW-Authenticate: how to log in. */
const char *api_challenge(struct api_call *call);

/* The functions and fields of the routes. */
#define ROUTE(method, path, fn, who, text) void fn(struct api_call *call);
#define ROUTE_BODY(method, path, fn, who, fields, text) \
	void fn(struct api_call *call); \
	extern const struct api_field fields[];
#define ROUTE_OBJECT(method, path, fn, who, kind, text) \
	void fn(struct api_call *call); \
	extern const struct api_kind kind;
struct api_kind;
#include "cavad/api_route.def"
#undef ROUTE
#undef ROUTE_OBJECT
#undef ROUTE_BODY

enum api_who { API_WHO_LOGIN, API_WHO_OPEN, API_WHO_METRICS };

struct api_route {
	const char *method;
	const char *path;
	void (*fn)(struct api_call *call);
	enum api_who who;
	const struct api_field *fields;	/* of the body, or NULL */
	const struct api_kind *kind;	/* of objects, or NULL */
	const char *text;
};

/* i from 0; NULL after the last. */
const struct api_route *api_route_row(size_t i);

/*
 * The file that `text` (NULL = not given) of field or query `name` means: an
 * absolute path, or a URI of one. NULL: it is none, and the call is answered.
 */
const char *api_path(struct api_call *call, const char *name,
		     const char *text);

#endif
