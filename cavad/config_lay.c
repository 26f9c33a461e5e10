/*
 * The objects of a configuration, and the database laid over those of
 * cavad.conf.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cavad/config.h"

/* A talloc tree whose top is the config. NULL = no memory. */
struct config *config_create(TALLOC_CTX *mem_ctx)
{
	struct config *c = talloc_zero(mem_ctx, struct config);
	int ret = 0;

	if (c == NULL) {
		return NULL;
	}
	c->filters = talloc_zero_array(c, struct filter_object *, 1);
	c->servers = talloc_zero_array(c, struct server_object *, 1);
	c->jobs = talloc_zero_array(c, struct job_object *, 1);
	c->cluster = cluster_read();
	ret = object_defaults(c, &object_settings, &c->settings);
	if (ret == 0) {
		ret = object_defaults(c, &object_cee, &c->cee);
	}
	if (ret != 0 || c->filters == NULL || c->servers == NULL ||
	    c->jobs == NULL) {
		TALLOC_FREE(c);
	}
	return c;
}

void *config_nth(const struct config *c, const struct object_class *class,
		 size_t i)
{
	if (class == &object_settings) {
		return i == 0 ? (void *)(uintptr_t)&c->settings : NULL;
	}
	if (class == &object_cee) {
		return i == 0 ? (void *)(uintptr_t)&c->cee : NULL;
	}
	if (class == &object_filter) {
		return c->filters[i];
	}
	return class == &object_server ? (void *)c->servers[i] :
					 (void *)c->jobs[i];
}

size_t config_count(const struct config *c, const struct object_class *class)
{
	size_t n = 0;

	if (!class->named) {
		return 1;
	}
	while (config_nth(c, class, n) != NULL) {
		n++;
	}
	return n;
}

void *config_object(const struct config *c, const struct object_class *class,
		    const char *name)
{
	void *object = NULL;
	size_t i;

	for (i = 0; (object = config_nth(c, class, i)) != NULL; i++) {
		if (!class->named ||
		    strcasecmp(*(const char **)object, name) == 0) {
			return object;
		}
	}
	return NULL;
}

/* A list of pointers, longer by one. NULL = no memory. */
static void *config_append(struct config *c, void *list, size_t count,
			   void *object)
{
	void *none = NULL;
	char *longer = talloc_realloc_size(c, list,
					   (count + 2) * sizeof(object));

	if (longer != NULL) {
		memcpy(longer + count * sizeof(object), &object,
		       sizeof(object));
		memcpy(longer + (count + 1) * sizeof(none), &none,
		       sizeof(none));
	}
	return longer;
}

void *config_make(struct config *c, const struct object_class *class,
		  const char *name)
{
	size_t count = config_count(c, class);
	const char **object = talloc_zero_size(c, class->size);
	void *list = NULL;
	int ret = 0;

	if (object == NULL) {
		return NULL;
	}
	ret = object_defaults(c, class, object);
	*object = talloc_strdup(c, name);	/* its first member */
	if (ret != 0 || *object == NULL) {
		return NULL;
	}
	if (class == &object_filter) {
		list = config_append(c, c->filters, count, object);
		c->filters = list != NULL ? list : c->filters;
	} else if (class == &object_server) {
		list = config_append(c, c->servers, count, object);
		c->servers = list != NULL ? list : c->servers;
	} else {
		list = config_append(c, c->jobs, count, object);
		c->jobs = list != NULL ? list : c->jobs;
	}
	return list == NULL ? NULL : object;
}

/* Fields that only a later version knows are left to it. */
static int config_lay_object(TALLOC_CTX *mem_ctx, struct config *c,
			     const struct object_class *class,
			     const struct overlay_object *over,
			     struct config_refusal *refusal)
{
	void *object = config_object(c, class, over->name);
	const struct object_field *field = NULL;
	size_t i;
	int ret = 0;

	if (object == NULL) {
		object = config_make(c, class, over->name);
	}
	if (object == NULL) {
		return ENOMEM;
	}
	object_origin(class, object)->store |= OBJECT_ITSELF;
	for (i = 0; i < over->count && ret == 0; i++) {
		field = object_field(class, over->pairs[i].field);
		if (field == NULL) {
			continue;
		}
		ret = object_set(c, class, object, field->name,
				 over->pairs[i].text, &refusal->text);
		object_origin(class, object)->store |=
			object_field_bit(class, field);
	}
	if (ret != 0) {
		refusal->text = talloc_steal(mem_ctx, refusal->text);
		refusal->class = class;
		refusal->name = over->name;
		refusal->field = field->name;
	}
	return ret;
}

int config_lay(TALLOC_CTX *mem_ctx, struct config *c,
	       const struct overlay *over, struct config_refusal *refusal)
{
	const struct object_class *class = NULL;
	size_t i;
	int ret = 0;

	for (i = 0; i < over->count && ret == 0; i++) {
		class = object_class_find(over->list[i]->class);
		if (class != NULL) {
			ret = config_lay_object(mem_ctx, c, class,
						over->list[i], refusal);
		}
	}
	return ret;
}
