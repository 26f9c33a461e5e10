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
#include "cavad/listen.h"

/* * stands for the last part of a path. */
static const struct {
	const char *method;
	const char *path;
	void (*fn)(struct api_call *call);
} api_routes[] = {
	{ "GET", "/platform/11/avscan/nodes/1/status", api_status },
	{ "GET", "/platform/11/avscan/zones", api_zones },
	{ "POST", "/platform/11/avscan/zones", api_zone_add },
	{ "DELETE", "/platform/11/avscan/zones/*", api_zone_remove },
	{ "POST", "/platform/11/antivirus/scan", api_scan },
	{ "POST", "/platform/11/avscan/probe", api_probe },
	{ "GET", "/platform/11/avscan/avvendor", api_avvendor_list },
	{ "POST", "/platform/11/avscan/avvendor", api_avvendor_add },
	{ "DELETE", "/platform/11/avscan/avvendor/*", api_avvendor_remove },
	{ "GET", "/platform/11/avscan/events", api_event_list },
	{ "GET", "/platform/11/avscan/events/*", api_event_view },
	{ "GET", "/platform/10/job/jobs", api_runs },
	{ "POST", "/platform/10/job/jobs", api_run_start },
	{ "GET", "/platform/10/job/jobs/*", api_run_view },
	{ "PUT", "/platform/10/job/jobs/*", api_run_change },
	{ "GET", "/platform/11/avscan/schedules", api_schedules },
	{ "POST", "/platform/11/avscan/schedules", api_schedule },
};

static const char *api_code_text(unsigned int code)
{
	switch (code) {
	case 400:
		return "AEC_BAD_REQUEST";
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

/* Does path match, and what does * stand for? */
static bool api_match(const char *route, const char *path, const char **tail)
{
	size_t len = strlen(route);

	if (route[len - 1] != '*') {
		return strcmp(route, path) == 0;
	}
	if (strncmp(route, path, len - 1) != 0 || path[len - 1] == '\0') {
		return false;
	}
	*tail = path + len - 1;
	return true;
}

void api_route(struct api_call *call, const char *method, const char *path,
	       const char *body, size_t len)
{
	json_error_t error;
	const char *tail = "";
	bool found = false;
	size_t i = 0;

	for (i = 0; i < sizeof(api_routes) / sizeof(api_routes[0]); i++) {
		if (!api_match(api_routes[i].path, path, &tail)) {
			continue;
		}
		found = true;
		if (strcmp(api_routes[i].method, method) != 0) {
			continue;
		}
		call->tail = talloc_strdup(call, tail);
		if (call->tail == NULL) {
			api_error(call, 500, NULL, "out of memory");
			return;
		}
		if (len > 0) {
			call->body = json_loadb(body, len,
						JSON_REJECT_DUPLICATES,
						&error);
			if (call->body == NULL) {
				api_error(call, 400, NULL, "not JSON: %s at "
					  "line %d, column %d", error.text,
					  error.line, error.column);
				return;
			}
		}
		api_routes[i].fn(call);
		return;
	}
	if (found) {
		api_error(call, 405, NULL, "%s is not for %s", method, path);
		return;
	}
	api_error(call, 404, NULL, "there is no %s", path);
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
