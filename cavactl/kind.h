/*
 * The kinds of objects: where the API has them, and their fields, which are
 * the rows of cavad/object.def.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_KIND_H
#define CAVACTL_KIND_H

#include "cavactl/cavactl.h"
#include "cavad/object.h"

struct kind {
	const struct object_class *class;
	const char *path;	/* of the API */
	const char *plural;	/* in replies */
	const char *name_field;	/* NULL: there is one only */
	const char *words;	/* of its commands: "servers" */
	const struct output_column *shown;	/* of a list in text; CSV has
						 * all fields */
};

/* NULL: no kind has that class. */
const struct kind *kind_of(const struct object_class *class);

/*
 * Field i as an option, --field=value; NULL after the last. It is the same
 * memory for all classes, so good until another one is asked about.
 */
const struct cavactl_option *kind_option(const struct object_class *class,
					 size_t i);

/* What --help says of field i: its meaning, range and default, in lines that
 * begin with indent. */
void kind_print_field(const struct object_class *class, size_t i,
		      const char *indent);

/* The columns of a list, for text and CSV; on mem_ctx. NULL = no memory. */
struct output_column *kind_columns(TALLOC_CTX *mem_ctx,
				   const struct kind *kind);

/* A field's JSON as --field= takes it; on mem_ctx. */
char *kind_text(TALLOC_CTX *mem_ctx, const struct object_class *class,
		const char *field, const json_t *value);

/*
 * What --field=value options say, a new JSON object; of a list the values
 * are added up. NULL: one of them makes no sense, which has been said.
 */
json_t *kind_body(const struct cavactl *ctl, const struct kind *kind);

#endif
