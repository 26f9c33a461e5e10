/*
 * Objects by the tables that object.def expands to.
 *
 * A value is parsed into a local first and stored when nothing is wrong with
 * it, so that an error changes nothing. The text that a field had before
 * stays allocated, since others may still hold it: it goes with mem_ctx.
 *
 * A default is not checked against its range. So a STR whose default is
 * shorter than `min` is one that must be set (server_uri).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/near.h"
#include "cavad/object.h"
#include "cavad/object_value.h"
#include "common/log.h"

#define FIELDS_MAX 64
#define SHOWN_MAX 100		/* bytes of a value in an error message */

#define FIELD(object, type, name, def, min, max, choices, help) \
	{ OBJECT_##type, #name, def, min, max, choices, help, \
	  offsetof(struct object, name) },

#define F(...) FIELD(settings, __VA_ARGS__)
static const struct object_field settings_fields[] = {
	SETTINGS_FIELDS(F) { .name = NULL }
};
#undef F

#define F(...) FIELD(cee_settings, __VA_ARGS__)
static const struct object_field cee_fields[] = {
	CEE_FIELDS(F) { .name = NULL }
};
#undef F

#define F(...) FIELD(filter_object, __VA_ARGS__)
static const struct object_field filter_fields[] = {
	FILTER_FIELDS(F) { .name = NULL }
};
#undef F

#define F(...) FIELD(server_object, __VA_ARGS__)
static const struct object_field server_fields[] = {
	SERVER_FIELDS(F) { .name = NULL }
};
#undef F

#define F(...) FIELD(job_object, __VA_ARGS__)
static const struct object_field job_fields[] = {
	JOB_FIELDS(F) { .name = NULL }
};
#undef F

const struct object_class object_settings = {
	"settings", false, sizeof(struct settings),
	offsetof(struct settings, origin), settings_fields
};
const struct object_class object_filter = {
	"filter", true, sizeof(struct filter_object),
	offsetof(struct filter_object, origin), filter_fields
};
const struct object_class object_server = {
	"server", true, sizeof(struct server_object),
	offsetof(struct server_object, origin), server_fields
};
const struct object_class object_job = {
	"job", true, sizeof(struct job_object),
	offsetof(struct job_object, origin), job_fields
};
const struct object_class object_cee = {
	"cee", false, sizeof(struct cee_settings),
	offsetof(struct cee_settings, origin), cee_fields
};

/* OBJECT_ITSELF is the bit behind them. */
#define FEW(fields) \
	_Static_assert(sizeof(fields) / sizeof(fields[0]) <= FIELDS_MAX, \
		       "more fields than bits")
FEW(settings_fields);
FEW(cee_fields);
FEW(filter_fields);
FEW(server_fields);
FEW(job_fields);

/* object_title() finds the name of a named one there. */
_Static_assert(offsetof(struct filter_object, name) == 0, "name is first");
_Static_assert(offsetof(struct server_object, name) == 0, "name is first");
_Static_assert(offsetof(struct job_object, name) == 0, "name is first");

const struct object_class *object_class(unsigned int i)
{
	static const struct object_class *const classes[] = {
		&object_settings, &object_filter, &object_server, &object_job,
		&object_cee
	};

	return i < sizeof(classes) / sizeof(classes[0]) ? classes[i] : NULL;
}

const struct object_class *object_class_find(const char *name)
{
	const struct object_class *class = NULL;
	unsigned int i;

	for (i = 0; (class = object_class(i)) != NULL; i++) {
		if (strcmp(class->name, name) == 0) {
			return class;
		}
	}
	return NULL;
}

const struct object_field *object_field(const struct object_class *class,
					const char *name)
{
	const struct object_field *f = NULL;

	for (f = class->fields; f->name != NULL; f++) {
		if (strcmp(f->name, name) == 0) {
			return f;
		}
	}
	return NULL;
}

uint64_t object_field_bit(const struct object_class *class,
			  const struct object_field *field)
{
	return UINT64_C(1) << (field - class->fields);
}

struct object_origin *object_origin(const struct object_class *class,
				    void *object)
{
	return (struct object_origin *)((char *)object + class->origin);
}

/* "[settings]", "[server cee1]" */
static char *object_title(TALLOC_CTX *mem_ctx,
			  const struct object_class *class,
			  const void *object)
{
	const char *name = NULL;

	if (class->named) {
		name = *(const char *const *)object;
	}
	if (name == NULL) {
		return talloc_asprintf(mem_ctx, "[%s]", class->name);
	}
	return talloc_asprintf(mem_ctx, "[%s %s]", class->name, name);
}

/* "it belongs in [cee]", "did you mean x?", or "" */
static char *object_field_hint(TALLOC_CTX *mem_ctx,
			       const struct object_class *class,
			       const char *name)
{
	const struct object_class *other = NULL;
	const char *names[FIELDS_MAX] = { NULL };
	const char *meant = NULL;
	unsigned int i;

	for (i = 0; (other = object_class(i)) != NULL; i++) {
		if (object_field(other, name) != NULL) {
			return talloc_asprintf(mem_ctx, "; it belongs in "
					       "[%s%s]", other->name,
					       other->named ? " NAME" : "");
		}
	}
	for (i = 0; i < FIELDS_MAX - 1 && class->fields[i].name != NULL; i++) {
		names[i] = class->fields[i].name;
	}
	meant = near_name(names, name);
	if (meant == NULL) {
		return talloc_strdup(mem_ctx, "");
	}
	return talloc_asprintf(mem_ctx, "; did you mean %s?", meant);
}

static int object_unknown(TALLOC_CTX *mem_ctx,
			  const struct object_class *class,
			  const void *object, const char *name, char **error)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *title = object_title(frame, class, object);
	char *hint = object_field_hint(frame, class, name);

	*error = talloc_asprintf(mem_ctx, "%s %.*s: no such name here%s",
				 title, SHOWN_MAX, name, hint);
	talloc_free(frame);
	return ENOENT;
}

static int object_refused(TALLOC_CTX *mem_ctx,
			  const struct object_class *class,
			  const void *object, const char *name,
			  const char *value, const char *why, char **error)
{
	char *title = object_title(NULL, class, object);
	bool whole = strlen(value) <= SHOWN_MAX;

	*error = talloc_asprintf(mem_ctx, "%s %s = \"%.*s%s\": %s", title,
				 name, SHOWN_MAX, value, whole ? "" : "...",
				 why);
	talloc_free(title);
	return EINVAL;
}

int object_set(TALLOC_CTX *mem_ctx, const struct object_class *class,
	       void *object, const char *name, const char *value,
	       char **error)
{
	const struct object_field *f = object_field(class, name);
	union object_value parsed;
	char *why = NULL;
	int ret;

	if (f == NULL) {
		return object_unknown(mem_ctx, class, object, name, error);
	}
	ret = object_value_parse(mem_ctx, f, value, true, &parsed, &why);
	if (ret == 0) {
		object_value_store(f, object, &parsed);
		return 0;
	}
	ret = object_refused(mem_ctx, class, object, name, value,
			     why == NULL ? strerror(ret) : why, error);
	talloc_free(why);
	return ret;
}

/* The defaults are ours: what is wrong with one is a bug. */
int object_defaults(TALLOC_CTX *mem_ctx, const struct object_class *class,
		    void *object)
{
	const struct object_field *f = NULL;
	union object_value value;
	char *why = NULL;
	int ret;

	for (f = class->fields; f->name != NULL; f++) {
		ret = object_value_parse(mem_ctx, f, f->def, false, &value,
					 &why);
		if (ret == ENOMEM) {
			return ret;
		}
		if (ret != 0) {
			log_error("object.def: default of %s: %s", f->name,
				  why == NULL ? strerror(ret) : why);
			abort();
		}
		object_value_store(f, object, &value);
	}
	return 0;
}

char *object_get(TALLOC_CTX *mem_ctx, const struct object_class *class,
		 const void *object, const char *name)
{
	const struct object_field *f = object_field(class, name);
	union object_value value;

	if (f == NULL) {
		return NULL;
	}
	object_value_load(f, object, &value);
	return object_value_text(mem_ctx, f, &value);
}

static const char *object_name(const struct object_class *class,
			       const void *object)
{
	return class->named ? *(const char *const *)object : NULL;
}

void *object_copy(TALLOC_CTX *mem_ctx, const struct object_class *class,
		  const void *object)
{
	const char *name = object_name(class, object);
	const struct object_field *f = NULL;
	union object_value value;
	const char **copy = NULL;	/* the name is its first member */
	int ret = 0;

	copy = talloc_zero_size(mem_ctx, class->size);
	if (copy == NULL) {
		return NULL;
	}
	for (f = class->fields; f->name != NULL && ret == 0; f++) {
		object_value_load(f, object, &value);
		ret = object_value_copy(copy, f, &value);
		object_value_store(f, copy, &value);
	}
	memcpy((char *)copy + class->origin,
	       (const char *)object + class->origin,
	       sizeof(struct object_origin));
	if (name != NULL) {
		*copy = talloc_strdup(copy, name);
	}
	if (ret != 0 || (name != NULL && *copy == NULL)) {
		talloc_free(copy);
		return NULL;
	}
	return copy;
}

bool object_equal(const struct object_class *class, const void *a,
		  const void *b)
{
	const struct object_field *f = NULL;
	union object_value of_a;
	union object_value of_b;

	if (class->named &&
	    strcmp(object_name(class, a), object_name(class, b)) != 0) {
		return false;
	}
	for (f = class->fields; f->name != NULL; f++) {
		object_value_load(f, a, &of_a);
		object_value_load(f, b, &of_b);
		if (!object_value_equal(f, &of_a, &of_b)) {
			return false;
		}
	}
	return true;
}

const char *object_unset(const struct object_class *class, const void *object)
{
	const struct object_field *f = NULL;
	union object_value value;

	for (f = class->fields; f->name != NULL; f++) {
		object_value_load(f, object, &value);
		if (f->type == OBJECT_STR && f->min > 0 &&
		    (value.text == NULL || value.text[0] == '\0')) {
			return f->name;
		}
	}
	return NULL;
}
