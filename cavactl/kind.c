/*
 * The kinds of objects: see kind.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cavactl/kind.h"
#include "cavad/api_value.h"
#include "cavad/object_value.h"

#define FIELDS_MAX 64
#define WIDTH 79

static const struct output_column servers_shown[] = {
	{ "NAME", "server_name", OUT_TEXT },
	{ "URI", "server_uri", OUT_TEXT },
	{ "ENABLED", "enabled", OUT_FLAG },
	{ "POOL", "pool", OUT_TEXT },
	{ "CONN", "connections_maximum", OUT_NUMBER },
	{ NULL, NULL, 0 }
};
static const struct output_column filters_shown[] = {
	{ "ZONE", "zone_name", OUT_TEXT },
	{ "ENABLED", "filter_enabled", OUT_FLAG },
	{ "PROFILE", "scan_profile", OUT_TEXT },
	{ "READ", "scan_on_read", OUT_FLAG },
	{ "CLOSE", "scan_on_close", OUT_FLAG },
	{ "RENAME", "scan_on_rename", OUT_FLAG },
	{ "OPEN ON FAIL", "open_on_fail", OUT_FLAG },
	{ "POOL", "pool", OUT_TEXT },
	{ NULL, NULL, 0 }
};
static const struct output_column jobs_shown[] = {
	{ "NAME", "job_name", OUT_TEXT },
	{ "ENABLED", "enabled", OUT_FLAG },
	{ "SCHEDULE", "schedule", OUT_TEXT },
	{ "LAST", "last_scheduled_run", OUT_TIME },
	{ "IMPACT", "impact", OUT_TEXT },
	{ "PRIORITY", "priority", OUT_NUMBER },
	{ "PATHS", "paths_to_include", OUT_TEXT },
	{ "DESCRIPTION", "description", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct kind kinds[] = {
	{ &object_settings, "/platform/11/avscan/settings", "settings",
	  NULL, "settings", NULL },
	{ &object_cee, "/platform/11/avscan/cee", "cee", NULL, "cee", NULL },
	{ &object_server, "/platform/11/avscan/servers", "servers",
	  "server_name", "servers", servers_shown },
	{ &object_filter, "/platform/11/avscan/filters", "filters",
	  "zone_name", "filters", filters_shown },
	{ &object_job, "/platform/11/avscan/jobs", "jobs", "job_name",
	  "jobs", jobs_shown },
};

const struct kind *kind_of(const struct object_class *class)
{
	size_t i = 0;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].class == class) {
			return &kinds[i];
		}
	}
	return NULL;
}

static const char *kind_argument(const struct object_field *f)
{
	switch (f->type) {
	case OBJECT_BOOL:
		return "yes|no";
	case OBJECT_TIME:
		return "SECONDS";
	case OBJECT_SIZE:
		return "SIZE";
	case OBJECT_UINT:
		return "N";
	case OBJECT_STR:
		return "TEXT";
	case OBJECT_LIST:
		return "TEXT,...";
	case OBJECT_ENUM:
		break;
	}
	return f->choices;
}

const struct cavactl_option *kind_option(const struct object_class *class,
					 size_t i)
{
	static struct cavactl_option options[FIELDS_MAX + 1];
	static const struct object_class *made;
	size_t n = 0;

	if (class == NULL) {
		return NULL;
	}
	for (n = 0; made != class && n < FIELDS_MAX &&
		    class->fields[n].name != NULL; n++) {
		options[n] = (struct cavactl_option){
			.name = class->fields[n].name,
			.argument = kind_argument(&class->fields[n]),
			.help = class->fields[n].help,
		};
		options[n + 1].name = NULL;
	}
	made = class;
	return i <= FIELDS_MAX && options[i].name != NULL ? &options[i] : NULL;
}

/* "1 to 100; default: 20" */
static char *kind_range(const struct object_field *f)
{
	const union object_value least = { .number = f->min };
	const union object_value most = { .number = f->max };
	char *text = talloc_strdup(NULL, "");

	switch (f->type) {
	case OBJECT_BOOL:
	case OBJECT_ENUM:
		break;
	case OBJECT_STR:
	case OBJECT_LIST:
		text = talloc_asprintf_append(text, "at most %" PRIu64
					      " characters; ", f->max);
		break;
	default:
		text = talloc_asprintf_append(
			text, "%s to %s; ", object_value_text(text, f, &least),
			object_value_text(text, f, &most));
		break;
	}
	if (f->def[0] != '\0') {
		return talloc_asprintf_append(text, "default: %s", f->def);
	}
	return talloc_asprintf_append(text, "%s", f->type == OBJECT_STR &&
				      f->min > 0 ? "required" :
				      "default: empty");
}

void kind_print_field(const struct object_class *class, size_t i,
		      const char *indent)
{
	const struct object_field *f = &class->fields[i];
	char *range = kind_range(f);
	char *text = talloc_asprintf(range, "%s (%s)", f->help, range);
	size_t column = 0;
	char *rest = NULL;
	char *word = NULL;

	for (word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		if (column > 0 && column + 1 + strlen(word) > WIDTH) {
			printf("\n");
			column = 0;
		}
		printf("%s%s", column == 0 ? indent : " ", word);
		column += strlen(word) + (column == 0 ? strlen(indent) : 1);
	}
	printf("\n");
	talloc_free(range);
}

static int kind_column_kind(const struct object_field *f)
{
	switch (f->type) {
	case OBJECT_BOOL:
		return OUT_FLAG;
	case OBJECT_UINT:
		return OUT_NUMBER;
	case OBJECT_TIME:
		return OUT_DURATION;
	case OBJECT_SIZE:
		return OUT_SIZE;
	default:
		return OUT_TEXT;
	}
}

struct output_column *kind_columns(TALLOC_CTX *mem_ctx,
				   const struct kind *kind)
{
	const struct object_field *f = kind->class->fields;
	struct output_column *list = talloc_zero_array(
		mem_ctx, struct output_column, 2 * FIELDS_MAX);
	size_t n = 0;

	if (list == NULL) {
		return NULL;
	}
	for (; kind->shown[n].heading != NULL; n++) {
		list[n] = kind->shown[n];
		list[n].kind |= OUT_NOT_CSV;
	}
	list[n++] = (struct output_column){
		"", kind->name_field, OUT_TEXT | OUT_NOT_TEXT
	};
	for (; f->name != NULL; f++) {
		list[n++] = (struct output_column){
			"", f->name, kind_column_kind(f) | OUT_NOT_TEXT
		};
	}
	return list;
}

char *kind_text(TALLOC_CTX *mem_ctx, const struct object_class *class,
		const char *field, const json_t *value)
{
	const struct object_field *f = class == NULL ? NULL :
		object_field(class, field);
	char *why = NULL;
	char *text = NULL;
	void *object = NULL;

	if (f == NULL || value == NULL || json_is_null(value)) {
		return talloc_strdup(mem_ctx, "");
	}
	text = api_value_text(mem_ctx, f, value, &why);
	if (text == NULL || f->type != OBJECT_SIZE) {
		return text;
	}
	object = talloc_zero_size(mem_ctx, class->size);
	if (object != NULL && object_set(object, class, object, field, text,
					 &why) == 0) {
		text = object_get(mem_ctx, class, object, field);
	}
	talloc_free(object);
	return text;
}

/* All values of one field, with commas between those of a list. */
static char *kind_value(const struct cavactl *ctl,
			const struct object_field *f)
{
	char *text = NULL;
	size_t i = 0;

	for (i = 0; i < ctl->value_count; i++) {
		const struct cavactl_value *v = &ctl->values[i];

		if (strcmp(v->option->name, f->name) != 0) {
			continue;
		}
		text = text == NULL || f->type != OBJECT_LIST ?
			talloc_strdup(ctl, v->text) :
			talloc_asprintf(ctl, "%s,%s", text, v->text);
	}
	return text;
}

/* object: of the kind, to try the value on. False: refused, and said. */
static bool kind_put(const struct cavactl *ctl, const struct kind *kind,
		     void *object, const struct object_field *f, json_t *body)
{
	char *text = kind_value(ctl, f);
	char *why = NULL;

	if (text == NULL) {
		return true;
	}
	if (object_set(object, kind->class, object, f->name, text,
		       &why) != 0) {
		output_error("--%s=%s: %s", f->name, text,
			     why == NULL ? "out of memory" :
			     strstr(why, "\": ") == NULL ? why :
			     strstr(why, "\": ") + 3);
		return false;
	}
	if (json_object_set_new(body, f->name, api_value_set(
			kind->class, object, f)) != 0) {
		output_error("--%s=%s: not UTF-8", f->name, text);
		return false;
	}
	return true;
}

json_t *kind_body(const struct cavactl *ctl, const struct kind *kind)
{
	const struct object_field *f = kind->class->fields;
	void *object = talloc_zero_size(ctl, kind->class->size);
	json_t *body = json_object();

	if (object == NULL || body == NULL) {
		output_error("out of memory");
		json_decref(body);
		return NULL;
	}
	object_defaults(object, kind->class, object);
	for (; f->name != NULL; f++) {
		if (!kind_put(ctl, kind, object, f, body)) {
			json_decref(body);
			return NULL;
		}
	}
	return body;
}
