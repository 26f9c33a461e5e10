/*
 * What was changed over the API: objects with some of their fields, as text,
 * to be laid over those of cavad.conf (config_lay()).
 *
 * In the database a record each: the key is class, NUL, name; the value
 * pairs of field and text, one after the other. A field that this version
 * does not know stays in its record.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_OVERLAY_H
#define CAVAD_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

#include "common/buf.h"

#define OVERLAY_RECORD_MAX 65536
#define OVERLAY_PAIRS_MAX 256

struct overlay_pair {
	const char *field;
	const char *text;
};

struct overlay_object {
	const char *class;	/* "settings", "server"; as in object.def */
	const char *name;	/* "" for those that have none */
	struct overlay_pair *pairs;
	size_t count;
};

struct overlay {
	struct overlay_object **list;
	size_t count;
};

/* NULL = no memory, here and below. */
struct overlay *overlay_create(TALLOC_CTX *mem_ctx);
struct overlay *overlay_copy(TALLOC_CTX *mem_ctx, const struct overlay *o);

/* By its name, case aside; NULL = there is none. Borrowed. */
struct overlay_object *overlay_find(const struct overlay *o,
				    const char *class, const char *name);

/* The same, made when there is none. */
struct overlay_object *overlay_make(struct overlay *o, const char *class,
				    const char *name);
void overlay_drop(struct overlay *o, struct overlay_object *object);

/* Text NULL takes the field away. 0; ENOMEM; EMSGSIZE. */
int overlay_set(struct overlay_object *object, const char *field,
		const char *text);

/* NULL: it has no such field. */
const char *overlay_get(const struct overlay_object *object,
			const char *field);

/* Pure. Same class, name and pairs, in the same order? */
bool overlay_equal(const struct overlay_object *a,
		   const struct overlay_object *b);

/* The value; buf->error says whether it fits. */
void overlay_record_put(struct buf *b, const struct overlay_object *object);

/* Puts it into o. 0; EBADMSG: it does not parse; EEXIST; ENOMEM. */
int overlay_record_get(struct overlay *o, const char *class, const char *name,
		       struct buf *b);

#endif
