/*
 * What was changed over the API: see overlay.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cavad/overlay.h"

struct overlay *overlay_create(TALLOC_CTX *mem_ctx)
{
	return talloc_zero(mem_ctx, struct overlay);
}

struct overlay_object *overlay_find(const struct overlay *o,
				    const char *class, const char *name)
{
	size_t i;

	for (i = 0; i < o->count; i++) {
		if (strcmp(o->list[i]->class, class) == 0 &&
		    strcasecmp(o->list[i]->name, name) == 0) {
			return o->list[i];
		}
	}
	return NULL;
}

struct overlay_object *overlay_make(struct overlay *o, const char *class,
				    const char *name)
{
	struct overlay_object *object = overlay_find(o, class, name);
	struct overlay_object **list = NULL;

	if (object != NULL) {
		return object;
	}
	list = talloc_realloc(o, o->list, struct overlay_object *,
			      o->count + 1);
	if (list == NULL) {
		return NULL;
	}
	o->list = list;
	object = talloc_zero(o, struct overlay_object);
	if (object == NULL) {
		return NULL;
	}
	object->class = talloc_strdup(object, class);
	object->name = talloc_strdup(object, name);
	if (object->class == NULL || object->name == NULL) {
		talloc_free(object);
		return NULL;
	}
	o->list[o->count] = object;
	o->count++;
	return object;
}

void overlay_drop(struct overlay *o, struct overlay_object *object)
{
	size_t i = 0;

	while (i < o->count && o->list[i] != object) {
		i++;
	}
	if (i == o->count) {
		return;
	}
	o->count--;
	memmove(&o->list[i], &o->list[i + 1],
		(o->count - i) * sizeof(o->list[0]));
	talloc_free(object);
}

static struct overlay_pair *overlay_pair(const struct overlay_object *object,
					 const char *field)
{
	size_t i;

	for (i = 0; i < object->count; i++) {
		if (strcmp(object->pairs[i].field, field) == 0) {
			return &object->pairs[i];
		}
	}
	return NULL;
}

static void overlay_unset(struct overlay_object *object, const char *field)
{
	struct overlay_pair *pair = overlay_pair(object, field);

	if (pair == NULL) {
		return;
	}
	object->count--;
	memmove(pair, pair + 1,
		(object->count - (size_t)(pair - object->pairs)) *
		sizeof(*pair));
}

int overlay_set(struct overlay_object *object, const char *field,
		const char *text)
{
	struct overlay_pair *pair = overlay_pair(object, field);
	struct overlay_pair fresh;

	if (text == NULL) {
		overlay_unset(object, field);
		return 0;
	}
	if (pair == NULL && object->count >= OVERLAY_PAIRS_MAX) {
		return EMSGSIZE;
	}
	fresh.field = talloc_strdup(object, field);
	fresh.text = talloc_strdup(object, text);
	if (fresh.field == NULL || fresh.text == NULL) {
		return ENOMEM;
	}
	if (pair == NULL) {
		struct overlay_pair *pairs = talloc_realloc(
			object, object->pairs, struct overlay_pair,
			object->count + 1);

		if (pairs == NULL) {
			return ENOMEM;
		}
		object->pairs = pairs;
		pair = &pairs[object->count];
		object->count++;
	}
	*pair = fresh;
	return 0;
}

const char *overlay_get(const struct overlay_object *object,
			const char *field)
{
	const struct overlay_pair *pair = overlay_pair(object, field);

	return pair == NULL ? NULL : pair->text;
}

static int overlay_copy_object(struct overlay *o,
			       const struct overlay_object *from)
{
	struct overlay_object *object = overlay_make(o, from->class,
						     from->name);
	size_t i;
	int ret = object == NULL ? ENOMEM : 0;

	for (i = 0; ret == 0 && i < from->count; i++) {
		ret = overlay_set(object, from->pairs[i].field,
				  from->pairs[i].text);
	}
	return ret;
}

struct overlay *overlay_copy(TALLOC_CTX *mem_ctx, const struct overlay *o)
{
	struct overlay *copy = overlay_create(mem_ctx);
	size_t i;
	int ret = copy == NULL ? ENOMEM : 0;

	for (i = 0; ret == 0 && i < o->count; i++) {
		ret = overlay_copy_object(copy, o->list[i]);
	}
	if (ret != 0) {
		TALLOC_FREE(copy);
	}
	return copy;
}

bool overlay_equal(const struct overlay_object *a,
		   const struct overlay_object *b)
{
	size_t i;

	if (strcmp(a->class, b->class) != 0 || strcmp(a->name, b->name) != 0 ||
	    a->count != b->count) {
		return false;
	}
	for (i = 0; i < a->count; i++) {
		if (strcmp(a->pairs[i].field, b->pairs[i].field) != 0 ||
		    strcmp(a->pairs[i].text, b->pairs[i].text) != 0) {
			return false;
		}
	}
	return true;
}

void overlay_record_put(struct buf *b, const struct overlay_object *object)
{
	size_t i;

	for (i = 0; i < object->count; i++) {
		buf_put_str(b, object->pairs[i].field);
		buf_put_str(b, object->pairs[i].text);
	}
}

int overlay_record_get(struct overlay *o, const char *class, const char *name,
		       struct buf *b)
{
	struct overlay_object *object = NULL;
	const char *field = NULL;
	const char *text = NULL;
	int ret = 0;

	if (overlay_find(o, class, name) != NULL) {
		return EEXIST;
	}
	object = overlay_make(o, class, name);
	if (object == NULL) {
		return ENOMEM;
	}
	while (ret == 0 && buf_left(b) > 0) {
		field = buf_get_str(b);
		text = buf_get_str(b);
		ret = b->error != 0 ? EBADMSG :
			overlay_set(object, field, text);
	}
	if (ret != 0) {
		overlay_drop(o, object);
		return ret == EMSGSIZE ? EBADMSG : ret;
	}
	return 0;
}
