/*
 * A field of an object as the platform API has it, and back to the text that
 * object_set() takes.
 *
 * Where the two differ: a size that the API has in kB; what triggers a scan,
 * which is true or false there, by what scan_profile comes to; ip_pool, which
 * is one string; and a schedule or an ip_pool that is not set, which is null.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_VALUE_H
#define CAVAD_API_VALUE_H

#include <jansson.h>

#include "cavad/object.h"

/* What is in force. */
json_t *api_value(const struct object_class *class, const void *object,
		  const struct object_field *f);

/* What was set: "profile" where api_value() says what that comes to. */
json_t *api_value_set(const struct object_class *class, const void *object,
		      const struct object_field *f);

/*
 * A value as text without what is secret in it: user and password of a web
 * hook's URL are "***". NULL = no memory.
 */
char *api_value_shown(TALLOC_CTX *mem_ctx, const char *field,
		      const char *text);

/*
 * On mem_ctx. NULL: *why (on mem_ctx) says what is wanted, or NULL = no
 * memory. Ranges and the like are for object_set() to look at.
 */
char *api_value_text(TALLOC_CTX *mem_ctx, const struct object_field *f,
		     const json_t *value, char **why);

/* {"name", "type", "default", "minimum", "maximum", "unit", ...} */
json_t *api_value_schema(const struct object_class *class,
			 const struct object_field *f);

#endif
