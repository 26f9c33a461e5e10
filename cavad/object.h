/*
 * Objects an administrator sets: settings, filter, server, and the table
 * they all come from (object.def). One parser, one set of error messages.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_OBJECT_H
#define CAVAD_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include "cavad/object.def"

#define SERVER_POOL "default"	/* of what names no pool */

enum object_type {
	OBJECT_BOOL, OBJECT_UINT, OBJECT_TIME, OBJECT_SIZE, OBJECT_STR,
	OBJECT_LIST, OBJECT_ENUM
};

/* C types of the fields. LIST is NULL-terminated. */
#define OBJECT_C_BOOL bool
#define OBJECT_C_UINT uint64_t
#define OBJECT_C_TIME uint64_t
#define OBJECT_C_SIZE uint64_t
#define OBJECT_C_STR const char *
#define OBJECT_C_LIST const char **
#define OBJECT_C_ENUM unsigned int
#define OBJECT_MEMBER(type, name, def, min, max, choices, help) \
	OBJECT_C_##type name;

/* Who has set what: bit i is fields[i], OBJECT_ITSELF the object itself. */
struct object_origin {
	uint64_t file;		/* cavad.conf */
	uint64_t store;		/* the database, which is laid over it */
};

#define OBJECT_ITSELF (UINT64_C(1) << 63)

struct settings {
	struct object_origin origin;
	SETTINGS_FIELDS(OBJECT_MEMBER)
};
struct cee_settings {
	struct object_origin origin;
	CEE_FIELDS(OBJECT_MEMBER)
};
struct filter_object {
	const char *name;
	struct object_origin origin;
	FILTER_FIELDS(OBJECT_MEMBER)
};
struct server_object {
	const char *name;
	struct object_origin origin;
	SERVER_FIELDS(OBJECT_MEMBER)
};
struct job_object {
	const char *name;
	struct object_origin origin;
	JOB_FIELDS(OBJECT_MEMBER)
};

struct object_field {
	enum object_type type;
	const char *name;
	const char *def;
	uint64_t min, max;
	const char *choices;
	const char *help;
	size_t offset;		/* of the member in its struct */
};

struct object_class {
	const char *name;	/* "settings", "filter", ... */
	bool named;		/* [filter NAME] */
	size_t size;
	size_t origin;		/* of the member in its struct */
	const struct object_field *fields;	/* ended by name == NULL */
};

extern const struct object_class object_settings;
extern const struct object_class object_cee;
extern const struct object_class object_filter;
extern const struct object_class object_server;
extern const struct object_class object_job;

/* All of them: i from 0, NULL after the last. */
const struct object_class *object_class(unsigned int i);

const struct object_class *object_class_find(const char *name);

/* NULL: it has no such field. */
const struct object_field *object_field(const struct object_class *class,
					const char *name);

/* Its bit in an object_origin. */
uint64_t object_field_bit(const struct object_class *class,
			  const struct object_field *field);
struct object_origin *object_origin(const struct object_class *class,
				    void *object);

/*
 * Sets every field to its default; strings are allocated on mem_ctx. 0 or
 * ENOMEM.
 */
int object_defaults(TALLOC_CTX *mem_ctx, const struct object_class *class,
		    void *object);

/*
 * Sets one field from text. 0; ENOENT (no such field), EINVAL. On an error
 * nothing is changed and *error (on mem_ctx) names the object, the field,
 * the value and what is accepted.
 */
int object_set(TALLOC_CTX *mem_ctx, const struct object_class *class,
	       void *object, const char *name, const char *value,
	       char **error);

/* The field as text, as object_set() takes it. NULL: no such field. */
char *object_get(TALLOC_CTX *mem_ctx, const struct object_class *class,
		 const void *object, const char *name);

/* All of it, name and origin; a talloc object of its own. NULL = no memory. */
void *object_copy(TALLOC_CTX *mem_ctx, const struct object_class *class,
		  const void *object);

/* Pure. All fields the same, and the name? */
bool object_equal(const struct object_class *class, const void *a,
		  const void *b);

/* Pure. A field that has no default and was not set, or NULL. */
const char *object_unset(const struct object_class *class, const void *object);

#endif
