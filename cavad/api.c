/*
 * REST: the table of routes, and what all of them have in common. See
 * api.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cavad/api_http.h"
#include "cavad/api_peer.h"
#include "cavad/listen.h"
#include "cavad/web.h"

static const struct api_route api_routes[] = {
#define ROUTE(method, path, fn, who, text) \
	{ #method, path, fn, API_WHO_##who, NULL, NULL, text },
#define ROUTE_BODY(method, path, fn, who, fields, text) \
	{ #method, path, fn, API_WHO_##who, fields, NULL, text },
#define ROUTE_OBJECT(method, path, fn, who, kind, text) \
	{ #method, path, fn, API_WHO_##who, NULL, &kind, text },
#include "cavad/api_route.def"
#undef ROUTE
#undef ROUTE_BODY
#undef ROUTE_OBJECT
	{ NULL, NULL, NULL, API_WHO_LOGIN, NULL, NULL, NULL }
};

const struct api_route *api_route_row(size_t i)
{
	return api_routes[i].method == NULL ? NULL : &api_routes[i];
}

static const char *api_code_text(unsigned int code)
{
	switch (code) {
	case 400:
		return "AEC_BAD_REQUEST";
	case 401:
		return "AEC_UNAUTHORIZED";
	case 403:
		return "AEC_FORBIDDEN";
	case 404:
		return "AEC_NOT_FOUND";
	case 405:
		return "AEC_METHOD_NOT_ALLOWED";
	case 409:
		return "AEC_CONFLICT";
	case 413:
		return "AEC_LIMIT_EXCEEDED";
	case 429:
		return "AEC_TOO_MANY_REQUESTS";
	case 503:
		return "AEC_SERVICE_UNAVAILABLE";
	default:
		return "AEC_EXCEPTION";
	}
}

json_t *api_text(const char *text)
{
	json_t *json = json_string(text);

	return json != NULL ? json : json_string("(not UTF-8)");
}

void api_reply(struct api_call *call, unsigned int code, json_t *json)
{
	char *text = NULL;

	if (json == NULL) {
		api_http_reply(call, code, (char *)"");
		return;
	}
	text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(json);
	if (text == NULL) {
		api_http_reply(call, 500, (char *)"{\"errors\":[{\"code\":"
			       "\"AEC_EXCEPTION\",\"message\":"
			       "\"out of memory\"}]}");
		return;
	}
	api_http_reply(call, code, text);
	free(text);
}

void api_error(struct api_call *call, unsigned int code, const char *field,
	       const char *fmt, ...)
{
	char *message = NULL;
	json_t *error = NULL;
	va_list ap;

	va_start(ap, fmt);
	message = talloc_vasprintf(call, fmt, ap);
	va_end(ap);
	error = json_pack("{s:s, s:s?}", "code", api_code_text(code),
			  "message", message);
	if (error == NULL) {	/* the message repeats what is no UTF-8 */
		error = json_pack("{s:s, s:s}", "code", api_code_text(code),
				  "message", "a value is not valid UTF-8");
	}
	if (field != NULL) {
		json_object_set_new(error, "field", json_string(field));
	}
	api_reply(call, code, json_pack("{s:[o]}", "errors", error));
}

void api_error_store(struct api_call *call, int error)
{
	api_error(call, error == ENOSPC ? 503 : 500, NULL, "the database: %s",
		  strerror(error));
}

void api_audit(struct api_call *call, const char *what, const char *fmt, ...)
{
	char *change = NULL;
	va_list ap;

	va_start(ap, fmt);
	change = talloc_vasprintf(call, fmt, ap);
	va_end(ap);
	event_audit(call->api->events, what == NULL ? "" : what, call->user,
		    "%s", change == NULL ? "" : change);
}

static const char *api_type_text(json_type type)
{
	switch (type) {
	case JSON_STRING:
		return "a string";
	case JSON_TRUE:
		return "true or false";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	default:
		return "of another type";
	}
}

static bool api_type_matches(const json_t *value, json_type type)
{
	if (type == JSON_TRUE) {
		return json_is_boolean(value);
	}
	return json_typeof(value) == type;
}

static const struct api_field *api_field_find(const struct api_field *fields,
					      const char *name)
{
	for (; fields->name != NULL; fields++) {
		if (strcmp(fields->name, name) == 0) {
			return fields;
		}
	}
	return NULL;
}

/* The names that are accepted, for the message. */
static char *api_field_names(TALLOC_CTX *mem_ctx,
			     const struct api_field *fields)
{
	char *names = talloc_strdup(mem_ctx, "");

	for (; fields->name != NULL && names != NULL; fields++) {
		names = talloc_asprintf_append(names, "%s%s",
					       names[0] == '\0' ? "" : ", ",
					       fields->name);
	}
	return names;
}

bool api_body(struct api_call *call, const struct api_field *fields)
{
	const struct api_field *f = NULL;
	const char *name = NULL;
	json_t *value = NULL;

	if (call->body == NULL || !json_is_object(call->body)) {
		api_error(call, 400, NULL, "the body must be a JSON object "
			  "with %s", api_field_names(call, fields));
		return false;
	}
	json_object_foreach(call->body, name, value) {
		f = api_field_find(fields, name);
		if (f == NULL) {
			api_error(call, 400, name, "unknown field %s; "
				  "accepted: %s", name,
				  api_field_names(call, fields));
			return false;
		}
		if (!api_type_matches(value, f->type)) {
			api_error(call, 400, name, "%s must be %s", name,
				  api_type_text(f->type));
			return false;
		}
		if (f->type == JSON_STRING &&
		    (json_string_length(value) == 0 ||
		     json_string_length(value) > f->max)) {
			api_error(call, 400, name, "%s must have 1 to %zu "
				  "characters", name, f->max);
			return false;
		}
	}
	for (f = fields; f->name != NULL; f++) {
		if (f->required && json_object_get(call->body,
						   f->name) == NULL) {
			api_error(call, 400, f->name, "%s is required",
				  f->name);
			return false;
		}
	}
	return true;
}

struct api_tail {
	const char *text;
	size_t len;
};

/* Does path match, and what does {} stand for? */
static bool api_match(const char *route, const char *path,
		      struct api_tail *tail)
{
	const char *hole = strstr(route, "{}");
	size_t before = hole == NULL ? 0 : (size_t)(hole - route);
	size_t after = hole == NULL ? 0 : strlen(hole + 2);
	size_t len = strlen(path);

	if (hole == NULL) {
		return strcmp(route, path) == 0;
	}
	if (len <= before + after || strncmp(route, path, before) != 0 ||
	    strcmp(hole + 2, path + len - after) != 0) {
		return false;
	}
	*tail = (struct api_tail) { path + before, len - before - after };
	return after == 0 || memchr(tail->text, '/', tail->len) == NULL;
}

/* NULL; *found: the path is there, but not for that method. */
static const struct api_route *api_find(const char *method, const char *path,
					struct api_tail *tail, bool *found)
{
	const struct api_route *route = NULL;

	if (strcmp(method, "HEAD") == 0) {
		method = "GET";	/* without the body, as HTTP does it */
	}
	*found = false;
	for (route = api_routes; route->method != NULL; route++) {
		if (!api_match(route->path, path, tail)) {
			continue;
		}
		if (strcmp(route->method, method) == 0) {
			return route;
		}
		*found = true;
	}
	return NULL;
}

/* A file of the page. False: there is none. */
static bool api_web(struct api_call *call, const char *method,
		    const char *path)
{
	const struct web *web = call->api->tcp == NULL ? NULL :
				call->api->tcp->web;
	const struct web_file *f = web == NULL ? NULL : web_find(web, path);
	const char *known = NULL;

	if (f == NULL || call->peer == NULL || !call->peer->tcp ||
	    (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)) {
		return false;
	}
	api_http_header(call, "Content-Security-Policy", "default-src 'none';"
			" script-src 'self'; style-src 'self'; img-src 'self'"
			"; font-src 'self'; connect-src 'self'; manifest-src "
			"'self'; base-uri 'none'; form-action 'none'; "
			"frame-ancestors 'none'");
	api_http_header(call, "Referrer-Policy", "no-referrer");
	api_http_header(call, "Cache-Control", "no-cache");
	api_http_header(call, "ETag", f->tag);
	known = api_http_said(call, "If-None-Match");
	if (known != NULL && strcmp(known, f->tag) == 0) {
		api_http_send(call, 304, f->type, "", 0);
		return true;
	}
	api_http_send(call, 200, f->type, f->data, f->len);
	return true;
}

/* False: it is answered. */
static bool api_may(struct api_call *call, enum api_role role,
		    const char *method, const struct api_route *route)
{
	bool open = route != NULL && (
		route->who == API_WHO_OPEN ||
		(route->who == API_WHO_METRICS && call->peer != NULL &&
		 call->peer->metrics));

	switch (api_access(role, method, open)) {
	case API_GRANTED:
		return true;
	case API_LOGIN:
		api_http_header(call, "WWW-Authenticate",
				api_challenge(call));
		api_error(call, 401, NULL, "a login is needed");
		return false;
	case API_FORBIDDEN:
		break;
	}
	api_error(call, 403, NULL, "%s may read, and change nothing",
		  call->user);
	return false;
}

/* False: it is answered. */
static bool api_take_body(struct api_call *call, const char *body, size_t len)
{
	json_error_t error;

	if (len == 0) {
		return true;
	}
	call->body = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (call->body == NULL) {
		api_error(call, 400, NULL, "not JSON: %s at line %d, column "
			  "%d", error.text, error.line, error.column);
	}
	return call->body != NULL;
}

void api_route(struct api_call *call, enum api_role role, const char *method,
	       const char *path, const char *body, size_t len)
{
	struct api_tail tail = { "", 0 };
	bool found = false;
	const struct api_route *route = api_find(method, path, &tail, &found);

	if (route == NULL && api_web(call, method, path)) {
		return;
	}
	/* those who may do nothing are not told what there is */
	if ((route != NULL || role == API_ROLE_NONE) &&
	    !api_may(call, role, method, route)) {
		return;
	}
	if (route == NULL && found) {
		api_error(call, 405, NULL, "%s is not for %s", method, path);
		return;
	}
	if (route == NULL) {
		api_error(call, 404, NULL, "there is no %s", path);
		return;
	}
	call->route = route;
	call->tail = talloc_strndup(call, tail.text, tail.len);
	if (call->tail == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	if (api_take_body(call, body, len)) {
		route->fn(call);
	}
}

int api_listen(const char *path, int *fd)
{
	return listen_unix(path, SOCK_STREAM, 0666, fd);
}

int api_create(TALLOC_CTX *mem_ctx, const struct api *parts, int fd,
	       struct api **result)
{
	struct api *api = talloc(mem_ctx, struct api);
	int ret = 0;

	if (api == NULL) {
		close(fd);
		return ENOMEM;
	}
	*api = *parts;
	ret = api_http_create(api, fd, &api->http);
	if (ret != 0) {
		talloc_free(api);
		return ret;
	}
	*result = api;
	return 0;
}

int api_reload(struct api *api, TALLOC_CTX *mem_ctx, char **error)
{
	struct api_tcp_files *files = NULL;
	int ret = 0;

	*error = NULL;
	if (api->tcp == NULL) {
		return 0;
	}
	ret = api_tcp_read(api, &api->config->settings, &files, error);
	if (*error != NULL) {
		talloc_steal(mem_ctx, *error);
	}
	if (ret != 0) {
		return ret;
	}
	ret = api_http_change(api->http, files);
	if (ret != 0) {
		talloc_free(files);
	}
	return ret;
}
