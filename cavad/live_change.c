/*
 * A change over the API as an overlay: see live.h. Pure.
 *
 * 1. A field is stored when it is given a value that it has not got. A value
 *    that it has anyhow is no change, whoever set it.
 * 2. A record that has no field any more is one only for an object that
 *    cavad.conf does not define and that exists by it: a server, a job.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "cavad/live.h"
#include "cavad/object_check.h"

struct change_build {
	TALLOC_CTX *mem_ctx;
	const struct config *now;
	struct overlay *over;	/* as it will be */
	struct live_refusal *refusal;
};

__attribute__((format(printf, 4, 5)))
static int change_refuse(struct change_build *b, int error, const char *field,
			 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*b->refusal = (struct live_refusal) {
		.error = error,
		.field = field == NULL ? NULL : talloc_strdup(b->mem_ctx,
							      field),
		.text = talloc_vasprintf(b->mem_ctx, fmt, ap),
	};
	va_end(ap);
	return error;
}

static int change_nomem(struct change_build *b)
{
	*b->refusal = (struct live_refusal) {
		.error = ENOMEM, .text = "out of memory"
	};
	return ENOMEM;
}

static bool change_in_file(const struct object_class *class,
			   const void *object)
{
	return (object_origin(class, (void *)(uintptr_t)object)->file &
		OBJECT_ITSELF) != 0;
}

/* One field of `scratch`, which is the object as it is; the record follows. */
static int change_field(struct change_build *b,
			const struct live_change *c, void *scratch,
			struct overlay_object *record,
			const struct overlay_pair *pair)
{
	char *before = object_get(scratch, c->class, scratch, pair->field);
	char *after = NULL;
	char *error = NULL;
	int ret;

	if (c->class == &object_settings && before != NULL &&
	    !config_of_api(pair->field)) {
		return change_refuse(b, EPERM, pair->field, "[settings] %s: "
				     "is of cavad.conf alone; set it there",
				     pair->field);
	}
	if (pair->text == NULL && before != NULL) {
		return overlay_set(record, pair->field, NULL);
	}
	ret = object_set(scratch, c->class, scratch, pair->field,
			 pair->text == NULL ? "" : pair->text, &error);
	if (ret != 0) {
		return change_refuse(b, EINVAL, pair->field, "%s",
				     error == NULL ? strerror(ret) : error);
	}
	after = object_get(scratch, c->class, scratch, pair->field);
	if (after == NULL) {
		return change_nomem(b);
	}
	if (before != NULL && strcmp(before, after) == 0) {
		return 0;
	}
	ret = overlay_set(record, pair->field, after);
	return ret == 0 ? 0 : change_nomem(b);
}

static int change_fields(struct change_build *b, const struct live_change *c,
			 const void *object, struct overlay_object *record)
{
	const char **scratch = NULL;
	size_t i;
	int ret = 0;

	if (object != NULL) {
		scratch = object_copy(b->mem_ctx, c->class, object);
	} else {
		scratch = talloc_zero_size(b->mem_ctx, c->class->size);
	}
	if (scratch == NULL || record == NULL) {
		return change_nomem(b);
	}
	if (object == NULL) {
		ret = object_defaults(scratch, c->class, scratch);
		*scratch = c->name;	/* its first member */
	}
	if (ret != 0) {
		talloc_free(scratch);
		return change_nomem(b);
	}
	for (i = 0; i < c->count && ret == 0; i++) {
		ret = change_field(b, c, scratch, record, &c->pairs[i]);
	}
	talloc_free(scratch);
	return ret;
}

/* Rule 2. */
static void change_trim(struct change_build *b, const struct live_change *c,
			const void *object, struct overlay_object *record)
{
	bool exists_by_it = (c->class == &object_server ||
			     c->class == &object_job) &&
			    (object == NULL ||
			     !change_in_file(c->class, object));

	if (record->count == 0 && !exists_by_it) {
		overlay_drop(b->over, record);
	}
}

/* May there be one of that name? `but`: the one that is renamed, or NULL. */
static int change_name(struct change_build *b, const struct live_change *c,
		       const char *name, const char *field, const char *but)
{
	const char *wrong = object_check_name(name);
	size_t count = config_count(b->now, c->class);

	if (wrong != NULL) {
		return change_refuse(b, EINVAL, field, "[%s] %s = \"%.100s\": "
				     "%s", c->class->name, field, name, wrong);
	}
	if ((but == NULL || strcasecmp(but, name) != 0) &&
	    (config_object(b->now, c->class, name) != NULL ||
	     overlay_find(b->over, c->class->name, name) != NULL)) {
		return change_refuse(b, EEXIST, field, "[%s %s]: there is one "
				     "already", c->class->name, name);
	}
	if (but == NULL && count >= CONFIG_JOBS_MAX) {
		return change_refuse(b, EINVAL, field, "[%s %s]: there are "
				     "%zu, which is the most there may be",
				     c->class->name, name, count);
	}
	return 0;
}

static const char *change_name_field(const struct object_class *class)
{
	return class == &object_job ? "job_name" : "server_name";
}

static int change_create(struct change_build *b, const struct live_change *c)
{
	struct overlay_object *record = NULL;
	int ret = change_name(b, c, c->name, change_name_field(c->class),
			      NULL);

	if (ret != 0) {
		return ret;
	}
	record = overlay_make(b->over, c->class->name, c->name);
	return change_fields(b, c, NULL, record);
}

static int change_rename(struct change_build *b, const struct live_change *c,
			 struct overlay_object *record, const void *object)
{
	int ret;

	if (change_in_file(c->class, object)) {
		return change_refuse(b, EPERM, "new_name", "[%s %s]: is "
				     "defined in cavad.conf; rename it there",
				     c->class->name, c->name);
	}
	ret = change_name(b, c, c->new_name, "new_name", c->name);
	if (ret != 0) {
		return ret;
	}
	record->name = talloc_strdup(record, c->new_name);
	return record->name == NULL ? change_nomem(b) : 0;
}

static int change_missing(struct change_build *b, const struct live_change *c)
{
	return change_refuse(b, ENOENT, NULL, "there is no %s %.128s",
			     c->class->name, c->name);
}

static int change_modify(struct change_build *b, const struct live_change *c)
{
	const void *object = config_object(b->now, c->class, c->name);
	struct overlay_object *record = NULL;
	int ret;

	if (object == NULL && c->class != &object_filter) {
		return change_missing(b, c);
	}
	record = overlay_make(b->over, c->class->name, object != NULL &&
			      c->class->named ? *(const char *const *)object :
			      c->name);
	ret = change_fields(b, c, object, record);
	if (ret == 0 && c->new_name != NULL) {
		ret = change_rename(b, c, record, object);
	}
	if (ret == 0) {
		change_trim(b, c, object, record);
	}
	return ret;
}

static int change_remove(struct change_build *b, const struct live_change *c)
{
	const void *object = config_object(b->now, c->class, c->name);
	struct overlay_object *record = overlay_find(b->over, c->class->name,
						     c->name);

	if (object == NULL) {
		return change_missing(b, c);
	}
	if (change_in_file(c->class, object)) {
		return change_refuse(b, EPERM, NULL, "[%s %s]: is defined in "
				     "cavad.conf; remove it there, or set "
				     "enabled to false", c->class->name,
				     c->name);
	}
	if (record != NULL) {
		overlay_drop(b->over, record);
	}
	return 0;
}

struct overlay *live_overlay(TALLOC_CTX *mem_ctx, const struct config *now,
			     const struct overlay *over,
			     const struct live_change *changes, size_t count,
			     struct live_refusal *refusal)
{
	struct change_build b = {
		.mem_ctx = mem_ctx, .now = now, .refusal = refusal,
	};
	size_t i;
	int ret = 0;

	b.over = overlay_copy(mem_ctx, over);
	if (b.over == NULL) {
		change_nomem(&b);
		return NULL;
	}
	for (i = 0; i < count && ret == 0; i++) {
		switch (changes[i].kind) {
		case LIVE_CREATE:
			ret = change_create(&b, &changes[i]);
			break;
		case LIVE_MODIFY:
			ret = change_modify(&b, &changes[i]);
			break;
		case LIVE_REMOVE:
			ret = change_remove(&b, &changes[i]);
			break;
		}
	}
	if (ret != 0) {
		talloc_free(b.over);
		return NULL;
	}
	return b.over;
}
