/*
 * One value of an object's field: text to C and back, by the field's type.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_OBJECT_VALUE_H
#define CAVAD_OBJECT_VALUE_H

#include "cavad/object.h"

union object_value {
	bool flag;		/* BOOL */
	uint64_t number;	/* UINT, TIME, SIZE */
	unsigned int choice;	/* ENUM */
	const char *text;	/* STR */
	const char **list;	/* LIST */
};

/*
 * 0; EINVAL with *why (on mem_ctx) = what is wrong and what is accepted;
 * ENOMEM. ranged: look at the range and the further checks as well.
 */
int object_value_parse(TALLOC_CTX *mem_ctx, const struct object_field *f,
		       const char *text, bool ranged,
		       union object_value *value, char **why);

/* As object_value_parse() takes it. NULL = no memory. */
char *object_value_text(TALLOC_CTX *mem_ctx, const struct object_field *f,
			const union object_value *value);

/* Its text or list, if it has one, anew on mem_ctx. 0 or ENOMEM. */
int object_value_copy(TALLOC_CTX *mem_ctx, const struct object_field *f,
		      union object_value *value);

/* Pure. No text is an empty one. */
bool object_value_equal(const struct object_field *f,
			const union object_value *a,
			const union object_value *b);

void object_value_store(const struct object_field *f, void *object,
			const union object_value *value);
void object_value_load(const struct object_field *f, const void *object,
		       union object_value *value);

#endif
