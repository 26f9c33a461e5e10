/*
 * Fields as the platform API has them: see api_value.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "cavad/api_value.h"
#include "cavad/object_value.h"
#include "common/filter.h"

#define KB 1024
#define HIDDEN "***"

static bool value_in_kb(const struct object_field *f)
{
	return strcmp(f->name, "scan_size_maximum") == 0;
}

/* scan_on_read, scan_on_close, scan_on_rename of a filter */
static bool value_triggers(const struct object_field *f)
{
	return f->choices != NULL &&
	       strcmp(f->choices, "profile|yes|no") == 0;
}

/* The model has a string of at least one character. */
static bool value_or_null(const struct object_field *f)
{
	return strcmp(f->name, "ip_pool") == 0 ||
	       strcmp(f->name, "schedule") == 0;
}

/* NULL: it is empty. */
static json_t *value_one_string(const struct object_class *class,
				const void *object,
				const struct object_field *f)
{
	char *text = object_get(NULL, class, object, f->name);
	json_t *json = text == NULL || text[0] == '\0' ? json_null() :
		       json_string(text);

	talloc_free(text);
	return json;
}

char *api_value_shown(TALLOC_CTX *mem_ctx, const char *field,
		      const char *text)
{
	const char *host = strstr(text, "://");
	size_t len = 0;

	if (strcmp(field, "event_webhook") == 0 && host != NULL) {
		host += 3;
		len = strcspn(host, "/?#");
	}
	while (len > 0 && host[len - 1] != '@') {
		len--;
	}
	if (len == 0) {
		return talloc_strdup(mem_ctx, text);
	}
	return talloc_asprintf(mem_ctx, "%.*s" HIDDEN "@%s",
			       (int)(host - text), text, host + len);
}

static json_t *value_string(const struct object_field *f, const char *text)
{
	char *shown = api_value_shown(NULL, f->name, text == NULL ? "" : text);
	json_t *json = json_string(shown == NULL ? "" : shown);

	talloc_free(shown);
	return json;
}

static json_t *value_list(const char **list)
{
	json_t *json = json_array();

	for (; list != NULL && *list != NULL; list++) {
		json_array_append_new(json, json_string(*list));
	}
	return json;
}

static json_t *value_enum(const void *object, const struct object_class *class,
			  const struct object_field *f)
{
	char *text = object_get(NULL, class, object, f->name);
	json_t *json = json_string(text == NULL ? "" : text);

	talloc_free(text);
	return json;
}

json_t *api_value_set(const struct object_class *class, const void *object,
		      const struct object_field *f)
{
	union object_value value;

	if (value_or_null(f)) {
		return value_one_string(class, object, f);
	}
	object_value_load(f, object, &value);
	switch (f->type) {
	case OBJECT_BOOL:
		return json_boolean(value.flag);
	case OBJECT_SIZE:
		if (value_in_kb(f)) {	/* never less than it is */
			value.number = value.number / KB +
				       (value.number % KB != 0);
		}
		return json_integer((json_int_t)value.number);
	case OBJECT_UINT:
	case OBJECT_TIME:
		return json_integer((json_int_t)value.number);
	case OBJECT_STR:
		return value_string(f, value.text);
	case OBJECT_LIST:
		return value_list(value.list);
	case OBJECT_ENUM:
		break;
	}
	if (value_triggers(f) && value.choice != FILTER_TRIGGER_PROFILE) {
		return json_boolean(value.choice == FILTER_TRIGGER_YES);
	}
	return value_enum(object, class, f);
}

json_t *api_value(const struct object_class *class, const void *object,
		  const struct object_field *f)
{
	const struct filter_object *filter = object;
	union object_value value;

	object_value_load(f, object, &value);
	if (f->type != OBJECT_ENUM || !value_triggers(f) ||
	    value.choice != FILTER_TRIGGER_PROFILE) {
		return api_value_set(class, object, f);
	}
	if (strcmp(f->name, "scan_on_read") == 0) {
		return json_boolean(filter->scan_profile == FILTER_STRICT);
	}
	return json_boolean(filter->scan_profile != FILTER_NO_SCAN);
}

static const char *value_wanted(const struct object_field *f)
{
	if (value_or_null(f)) {
		return "a string";
	}
	switch (f->type) {
	case OBJECT_BOOL:
		return "true or false";
	case OBJECT_UINT:
	case OBJECT_TIME:
	case OBJECT_SIZE:
		return "a whole number";
	case OBJECT_LIST:
		return "a list of strings without commas";
	default:
		break;
	}
	return value_triggers(f) ? "true, false or \"profile\"" : "a string";
}

static char *value_list_text(TALLOC_CTX *mem_ctx, const json_t *value)
{
	char *text = talloc_strdup(mem_ctx, "");
	const char *item = NULL;
	size_t i = 0;

	for (i = 0; text != NULL && i < json_array_size(value); i++) {
		item = json_string_value(json_array_get(value, i));
		if (item == NULL || strchr(item, ',') != NULL) {
			talloc_free(text);
			return NULL;
		}
		text = talloc_asprintf_append(text, "%s%s", i == 0 ? "" : ",",
					      item);
	}
	return text;
}

static char *value_number_text(TALLOC_CTX *mem_ctx,
			       const struct object_field *f,
			       const json_t *value, char **why)
{
	json_int_t n = json_integer_value(value);

	if (!value_in_kb(f)) {	/* a sign is for object_set() to refuse */
		return talloc_asprintf(mem_ctx, "%" JSON_INTEGER_FORMAT, n);
	}
	if (n < 0 || (uint64_t)n > f->max / KB) {
		*why = talloc_asprintf(mem_ctx, "not in 0 to %" PRIu64 " kB",
				       f->max / KB);
		return NULL;
	}
	return talloc_asprintf(mem_ctx, "%" JSON_INTEGER_FORMAT, n * KB);
}

char *api_value_text(TALLOC_CTX *mem_ctx, const struct object_field *f,
		     const json_t *value, char **why)
{
	bool number = f->type == OBJECT_UINT || f->type == OBJECT_TIME ||
		      f->type == OBJECT_SIZE;
	bool flag = f->type == OBJECT_BOOL || value_triggers(f);
	bool string = f->type == OBJECT_STR || f->type == OBJECT_ENUM ||
		      value_or_null(f);
	char *text = NULL;

	*why = NULL;
	if (flag && json_is_boolean(value)) {
		text = talloc_strdup(mem_ctx, json_is_true(value) ? "yes" :
				     "no");
	} else if (number && json_is_integer(value)) {
		text = value_number_text(mem_ctx, f, value, why);
	} else if (string && json_is_string(value)) {
		text = talloc_strdup(mem_ctx, json_string_value(value));
		if (text != NULL && strstr(text, "://" HIDDEN "@") != NULL) {
			*why = talloc_strdup(mem_ctx, HIDDEN " stands for a "
					     "secret that is not shown: say "
					     "it, or leave the field out");
			text = NULL;
		}
	} else if (f->type == OBJECT_LIST && json_is_array(value)) {
		text = value_list_text(mem_ctx, value);
	}
	if (text == NULL && *why == NULL) {
		*why = talloc_asprintf(mem_ctx, "must be %s",
				       value_wanted(f));
	}
	return text;
}

/* --- the schema --- */

static const char *value_type(const struct object_field *f)
{
	if (value_or_null(f)) {
		return "string";
	}
	switch (f->type) {
	case OBJECT_BOOL:
		return "boolean";
	case OBJECT_UINT:
	case OBJECT_TIME:
	case OBJECT_SIZE:
		return "integer";
	case OBJECT_STR:
		return "string";
	case OBJECT_LIST:
		return "list";
	case OBJECT_ENUM:
		break;
	}
	return value_triggers(f) ? "boolean" : "enum";
}

static json_t *value_choices(const struct object_field *f)
{
	const char *p = f->choices;
	json_t *list = json_array();
	size_t len = 0;

	for (; p != NULL && *p != '\0'; p += len + (p[len] == '|')) {
		len = strcspn(p, "|");
		json_array_append_new(list, json_stringn(p, len));
	}
	return list;
}

static json_t *value_default(const struct object_class *class,
			     const struct object_field *f)
{
	void *object = talloc_zero_size(NULL, class->size);
	json_t *json = NULL;
	int ret = 0;

	if (object == NULL) {
		return NULL;
	}
	ret = object_defaults(object, class, object);
	if (ret == 0) {
		json = api_value_set(class, object, f);
	}
	talloc_free(object);
	return json;
}

json_t *api_value_schema(const struct object_class *class,
			 const struct object_field *f)
{
	uint64_t unit = f->type == OBJECT_SIZE && value_in_kb(f) ? KB : 1;
	json_t *json = json_pack(
		"{s:s, s:s, s:o, s:s, s:b}", "name", f->name,
		"type", value_type(f),
		"default", value_default(class, f), "help", f->help,
		"required", (int)(f->type == OBJECT_STR && f->min > 0 &&
				  f->def[0] == '\0'));

	if (f->type == OBJECT_ENUM && !value_triggers(f)) {
		json_object_set_new(json, "choices", value_choices(f));
	} else if (f->type != OBJECT_BOOL && f->type != OBJECT_ENUM) {
		json_object_set_new(json, "minimum", json_integer(
			(json_int_t)(f->min / unit)));
		json_object_set_new(json, "maximum", json_integer(
			(json_int_t)(f->max / unit)));
	}
	if (value_or_null(f)) {
		json_object_set_new(json, "nullable", json_true());
	}
	if (f->type == OBJECT_TIME) {
		json_object_set_new(json, "unit", json_string("s"));
	} else if (f->type == OBJECT_SIZE) {
		json_object_set_new(json, "unit", json_string(
			value_in_kb(f) ? "kB" : "bytes"));
	}
	return json;
}
