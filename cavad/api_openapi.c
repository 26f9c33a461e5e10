/*
 * GET /platform/openapi.json: OpenAPI 3.0, made of the rows of api_route.def,
 * the fields that each body takes, api_reply.def and object.def.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <string.h>

#include "cavad/api_object.h"
#include "cavad/api_value.h"

/* --- bodies --- */

static const char *openapi_type(json_type type)
{
	switch (type) {
	case JSON_TRUE:
		return "boolean";
	case JSON_INTEGER:
		return "integer";
	case JSON_ARRAY:
		return "array";
	case JSON_OBJECT:
		return "object";
	default:
		return "string";
	}
}

static json_t *openapi_field(const struct api_field *f)
{
	json_t *json = json_pack("{s:s}", "type", openapi_type(f->type));

	if (f->type == JSON_STRING) {
		json_object_set_new(json, "minLength", json_integer(1));
		json_object_set_new(json, "maxLength",
				    json_integer((json_int_t)f->max));
	}
	if (f->type == JSON_ARRAY) {
		json_object_set_new(json, "items",
				    json_pack("{s:s}", "type", "string"));
	}
	return json;
}

static json_t *openapi_body(const struct api_field *f)
{
	json_t *properties = json_object();
	json_t *required = json_array();
	json_t *schema = json_pack("{s:s, s:b, s:o}", "type", "object",
				   "additionalProperties", 0,
				   "properties", properties);

	for (; f->name != NULL; f++) {
		json_object_set_new(properties, f->name, openapi_field(f));
		if (f->required) {
			json_array_append_new(required,
					      json_string(f->name));
		}
	}
	if (json_array_size(required) > 0) {
		json_object_set(schema, "required", required);
	}
	json_decref(required);
	return json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content",
			 "application/json", "schema", schema);
}

/* --- objects --- */

/* From what GET schema says of it. */
static json_t *openapi_object_field(const struct object_class *class,
				    const struct object_field *f)
{
	json_t *said = api_value_schema(class, f);
	const char *type = json_string_value(json_object_get(said, "type"));
	json_t *json = json_pack("{s:s, s:s}", "type", type, "description",
				 f->help);

	if (strcmp(type, "list") == 0) {
		json_object_set_new(json, "type", json_string("array"));
		json_object_set_new(json, "items", json_pack(
			"{s:s}", "type", "string"));
	} else if (strcmp(type, "enum") == 0) {
		json_object_set_new(json, "type", json_string("string"));
		json_object_set(json, "enum",
				json_object_get(said, "choices"));
	} else if (strcmp(type, "integer") == 0) {
		json_object_set(json, "minimum",
				json_object_get(said, "minimum"));
		json_object_set(json, "maximum",
				json_object_get(said, "maximum"));
	} else if (strcmp(type, "string") == 0) {
		json_object_set(json, "maxLength",
				json_object_get(said, "maximum"));
	}
	if (json_is_true(json_object_get(said, "nullable"))) {
		json_object_set_new(json, "nullable", json_true());
	}
	json_decref(said);
	return json;
}

/* The body of a change: it has the fields, and names. */
static json_t *openapi_object_body(const struct api_kind *kind)
{
	json_t *ref = NULL;

	if (kind == NULL) {
		return json_pack("{s:b, s:{s:{s:{s:s}}}}", "required", 1,
				 "content", "application/json", "schema",
				 "type", "object");
	}
	ref = json_sprintf("#/components/schemas/%s", kind->class->name);
	return json_pack("{s:b, s:{s:{s:{s:o}}}}", "required", 1, "content",
			 "application/json", "schema", "$ref", ref);
}

static json_t *openapi_schemas(void)
{
	const struct object_class *class = NULL;
	const struct object_field *f = NULL;
	json_t *schemas = json_object();
	json_t *properties = NULL;
	unsigned int i = 0;

	for (i = 0; (class = object_class(i)) != NULL; i++) {
		properties = json_object();
		for (f = class->fields; f->name != NULL; f++) {
			json_object_set_new(properties, f->name,
					    openapi_object_field(class, f));
		}
		json_object_set_new(schemas, class->name, json_pack(
			"{s:s, s:o}", "type", "object", "properties",
			properties));
	}
	json_object_set_new(schemas, "errors", json_pack(
		"{s:s, s:[s], s:{s:{s:s, s:{s:s, s:[s, s], s:{s:{s:s}, "
		"s:{s:s}, s:{s:s}}}}}}",
		"type", "object", "required", "errors",
		"properties", "errors", "type", "array", "items",
		"type", "object", "required", "code", "message",
		"properties", "code", "type", "string",
		"message", "type", "string", "field", "type", "string"));
	return schemas;
}

/* --- replies --- */

static const struct {
	void (*fn)(struct api_call *call);
	const char *shape;
} openapi_replies[] = {
#define REPLY(fn, shape) { fn, shape },
#include "cavad/api_reply.def"
#undef REPLY
};

static json_t *openapi_shape(const char **at);

static void openapi_blanks(const char **at)
{
	*at += strspn(*at, " ,");
}

static json_t *openapi_shape_object(const char **at)
{
	json_t *properties = json_object();
	json_t *required = json_array();
	json_t *more = json_false();
	size_t len = 0;

	for (openapi_blanks(at); **at != '}'; openapi_blanks(at)) {
		const char *name = *at;

		len = strcspn(name, ":");
		*at += len + 1;
		openapi_blanks(at);
		if (name[0] == '*') {
			json_decref(more);
			more = openapi_shape(at);
			continue;
		}
		json_array_append_new(required, json_stringn(name, len));
		json_object_set_new(properties, json_string_value(
			json_array_get(required, json_array_size(required) -
				       1)), openapi_shape(at));
	}
	(*at)++;
	if (json_array_size(required) == 0) {
		json_decref(required);
		return json_pack("{s:s, s:o, s:o}", "type", "object",
				 "properties", properties,
				 "additionalProperties", more);
	}
	return json_pack("{s:s, s:o, s:o, s:o}", "type", "object",
			 "properties", properties, "required", required,
			 "additionalProperties", more);
}

/* The schema of a shape; *at behind it. Shapes are ours: they parse. */
static json_t *openapi_shape(const char **at)
{
	char c = *(*at)++;
	json_t *json = NULL;

	switch (c) {
	case '{':
		json = openapi_shape_object(at);
		break;
	case '[':
		json = json_pack("{s:s, s:o}", "type", "array", "items",
				 openapi_shape(at));
		(*at)++;	/* ] */
		break;
	case 'x':
		json = json_object();
		break;
	default:
		json = json_pack("{s:s}", "type", c == 's' ? "string" :
				 c == 'b' ? "boolean" : "integer");
	}
	if (**at == '?') {
		(*at)++;
		json_object_set_new(json, "nullable", json_true());
	}
	return json;
}

/* Objects: of a list, of one, or what there is one of. */
static json_t *openapi_objects(const struct api_route *r)
{
	const struct api_kind *kind = r->kind;
	char *name = talloc_asprintf(NULL, "#/components/schemas/%s",
				     kind->class->name);
	json_t *ref = json_pack("{s:s?}", "$ref", name);
	json_t *properties = json_object();
	json_t *schema = json_pack("{s:s, s:[s], s:o}", "type", "object",
				   "required", kind->plural,
				   "properties", properties);

	talloc_free(name);
	if (kind->name_field != NULL) {
		ref = json_pack("{s:s, s:o}", "type", "array", "items", ref);
	}
	json_object_set_new(properties, kind->plural, ref);
	if (r->fn == api_object_list) {
		json_object_set_new(properties, "resume", json_pack(
			"{s:s, s:b}", "type", "string", "nullable", 1));
		json_object_set_new(properties, "total", json_pack(
			"{s:s}", "type", "integer"));
	}
	return schema;
}

static json_t *openapi_reply(const struct api_route *r)
{
	const char *at = NULL;
	size_t i = 0;

	if (r->kind != NULL && (r->fn == api_object_list ||
				r->fn == api_object_view)) {
		return openapi_objects(r);
	}
	for (i = 0; i < sizeof(openapi_replies) / sizeof(openapi_replies[0]);
	     i++) {
		if (openapi_replies[i].fn == r->fn) {
			at = openapi_replies[i].shape;
			return openapi_shape(&at);
		}
	}
	return json_pack("{s:s}", "type", "object");
}

/* --- routes --- */

/* "/platform/11/avscan/zones/{}" becomes ".../{zone}": of what is before. */
static char *openapi_path(TALLOC_CTX *mem_ctx, const struct api_route *r,
			  char **name)
{
	const char *hole = strstr(r->path, "{}");
	const char *start = hole == NULL ? NULL : hole - 1;

	*name = NULL;
	if (hole == NULL) {
		return talloc_strdup(mem_ctx, r->path);
	}
	while (start > r->path && start[-1] != '/') {
		start--;
	}
	*name = talloc_strndup(mem_ctx, start, (size_t)(hole - 1 - start));
	if (*name != NULL && strlen(*name) > 1 &&
	    (*name)[strlen(*name) - 1] == 's') {
		(*name)[strlen(*name) - 1] = '\0';
	}
	return talloc_asprintf(mem_ctx, "%.*s{%s}%s", (int)(hole - r->path),
			       r->path, *name, hole + 2);
}

static json_t *openapi_answer(const struct api_route *r)
{
	return json_pack("{s:s, s:{s:{s:o}}}", "description", "done",
			 "content", "application/json", "schema",
			 openapi_reply(r));
}

static json_t *openapi_responses(const struct api_route *r)
{
	json_t *responses = json_object();
	bool get = strcmp(r->method, "GET") == 0;

	if (r->who == API_WHO_METRICS) {
		json_object_set_new(responses, "200", json_pack(
			"{s:s, s:{s:{s:{s:s}}}}", "description", "done",
			"content", "text/plain", "schema", "type",
			"string"));
	} else if (get || strcmp(r->method, "POST") == 0) {
		json_object_set_new(responses, get ? "200" : "2XX",
				    openapi_answer(r));
	} else {
		json_object_set_new(responses, "204", json_pack(
			"{s:s}", "description", "done"));
	}
	json_object_set_new(responses, "default", json_pack(
		"{s:s, s:{s:{s:{s:s}}}}", "description", "refused",
		"content", "application/json", "schema", "$ref",
		"#/components/schemas/errors"));
	return responses;
}

/* What a list takes behind ?, when its reply can be resumed. */
static void openapi_page(json_t *parameters, const struct api_route *r)
{
	static const struct {
		const char *name;
		const char *type;
	} rows[] = {
		{ "limit", "integer" }, { "resume", "string" },
		{ "sort", "string" }, { "dir", "string" },
		{ "offset", "integer" },
	};
	json_t *reply = openapi_reply(r);
	json_t *properties = json_object_get(reply, "properties");
	size_t i = 0;

	if (json_object_get(properties, "resume") != NULL) {
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			json_array_append_new(parameters, json_pack(
				"{s:s, s:s, s:{s:s}}", "name", rows[i].name,
				"in", "query", "schema", "type",
				rows[i].type));
		}
	}
	json_decref(reply);
}

static json_t *openapi_parameters(const struct api_route *r, const char *name)
{
	json_t *parameters = json_array();

	if (name != NULL) {
		json_array_append_new(parameters, json_pack(
			"{s:s, s:s, s:b, s:{s:s}}", "name", name, "in",
			"path", "required", 1, "schema", "type", "string"));
	}
	openapi_page(parameters, r);
	return parameters;
}

static json_t *openapi_operation(const struct api_route *r, const char *name)
{
	json_t *op = json_pack("{s:s, s:o, s:o}", "summary", r->text,
			       "responses", openapi_responses(r),
			       "parameters", openapi_parameters(r, name));

	if (r->fields != NULL) {
		json_object_set_new(op, "requestBody",
				    openapi_body(r->fields));
	}
	if (r->fn == api_object_create || r->fn == api_object_modify ||
	    r->fn == api_apply) {
		json_object_set_new(op, "requestBody",
				    openapi_object_body(r->kind));
	}
	if (r->who == API_WHO_OPEN) {
		json_object_set_new(op, "security", json_array());
	}
	return op;
}

static json_t *openapi_paths(TALLOC_CTX *mem_ctx)
{
	const struct api_route *r = NULL;
	json_t *paths = json_object();
	json_t *item = NULL;
	char *method = NULL;
	char *path = NULL;
	char *name = NULL;
	size_t i = 0;
	char *c = NULL;

	for (i = 0; (r = api_route_row(i)) != NULL; i++) {
		path = openapi_path(mem_ctx, r, &name);
		method = talloc_strdup(mem_ctx, r->method);
		if (path == NULL || method == NULL) {
			continue;
		}
		for (c = method; *c != '\0'; c++) {
			*c = (char)tolower((unsigned char)*c);
		}
		item = json_object_get(paths, path);
		if (item == NULL) {
			item = json_object();
			json_object_set_new(paths, path, item);
		}
		json_object_set_new(item, method, openapi_operation(r, name));
	}
	return paths;
}

void api_openapi(struct api_call *call)
{
	api_reply(call, 200, json_pack(
		"{s:s, s:{s:s, s:s, s:s}, s:o, s:[{s:[]}, {s:[]}],"
		" s:{s:o, s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}}}",
		"openapi", "3.0.3",
		"info", "title", "cavad", "version", CAVA_VERSION,
		"description", "Antivirus for Samba, in the shape of the "
		"OneFS platform API.",
		"paths", openapi_paths(call),
		"security", "basic", "session",
		"components", "schemas", openapi_schemas(),
		"securitySchemes", "basic", "type", "http", "scheme", "basic",
		"session", "type", "apiKey", "in", "cookie", "name",
		"isisessid"));
}
