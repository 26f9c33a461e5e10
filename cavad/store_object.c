/*
 * Objects that were changed over the API, in the database.
 *
 * object: class, NUL, name -> pairs of field and text, each a str (buf.h).
 * [server av1] with enabled = no and connections_maximum = 5:
 *
 *   "server\0av1" -> 0700 656e61626c6564 00   0200 6e6f 00
 *                    1300 636f6e6e656374696f6e735f6d6178696d756d 00
 *                    0100 35 00
 *
 * Class "zone" has the number of a zone: "id" (zone.c).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/store_private.h"
#include "common/log.h"

/* On mem_ctx. 0; ENAMETOOLONG; ENOMEM. */
static int object_key(TALLOC_CTX *mem_ctx, const struct overlay_object *object,
		      struct db_bytes *key)
{
	size_t class = strlen(object->class);
	size_t name = strlen(object->name);
	char *bytes = talloc_size(mem_ctx, class + 1 + name + 1);

	if (bytes == NULL) {
		return ENOMEM;
	}
	memcpy(bytes, object->class, class + 1);
	memcpy(bytes + class + 1, object->name, name + 1);
	*key = (struct db_bytes) { bytes, class + 1 + name };
	return key->len > DB_KEY_MAX ? ENAMETOOLONG : 0;
}

static int object_value(TALLOC_CTX *mem_ctx,
			const struct overlay_object *object,
			struct db_bytes *value)
{
	uint8_t *bytes = talloc_size(mem_ctx, OVERLAY_RECORD_MAX);
	struct buf b = buf_writer(bytes, OVERLAY_RECORD_MAX);

	if (bytes == NULL) {
		return ENOMEM;
	}
	overlay_record_put(&b, object);
	*value = (struct db_bytes) { bytes, b.pos };
	return b.error;
}

/* The one of exactly that name. */
static const struct overlay_object *object_same(const struct overlay *o,
						const struct overlay_object *x)
{
	const struct overlay_object *object = overlay_find(o, x->class,
							   x->name);

	return object != NULL && strcmp(object->name, x->name) == 0 ? object :
		NULL;
}

struct object_changes {
	TALLOC_CTX *mem_ctx;
	struct store_change *list;
	size_t count;
};

static int objects_gone(struct object_changes *c, const struct overlay *before,
			const struct overlay *after)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < before->count && ret == 0; i++) {
		if (object_same(after, before->list[i]) != NULL) {
			continue;
		}
		c->list[c->count] = (struct store_change) {
			.kind = STORE_DEL, .table = STORE_OBJECT
		};
		ret = object_key(c->mem_ctx, before->list[i],
				 &c->list[c->count].key);
		c->count++;
	}
	return ret;
}

static int objects_put(struct object_changes *c, const struct overlay *before,
		       const struct overlay *after)
{
	const struct overlay_object *old = NULL;
	struct store_change *change = NULL;
	size_t i;
	int ret = 0;

	for (i = 0; i < after->count && ret == 0; i++) {
		old = object_same(before, after->list[i]);
		if (old != NULL && overlay_equal(old, after->list[i])) {
			continue;
		}
		change = &c->list[c->count];
		*change = (struct store_change) {
			.kind = STORE_PUT, .table = STORE_OBJECT
		};
		ret = object_key(c->mem_ctx, after->list[i], &change->key);
		ret = ret != 0 ? ret : object_value(
			c->mem_ctx, after->list[i], &change->value);
		c->count++;
	}
	return ret;
}

struct tevent_req *store_objects_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s,
				      const struct overlay *before,
				      const struct overlay *after)
{
	struct object_changes c = { .mem_ctx = talloc_new(NULL) };
	struct tevent_req *req = NULL;
	int ret;

	c.list = talloc_zero_array(c.mem_ctx, struct store_change,
				   before->count + after->count + 1);
	ret = c.list == NULL ? ENOMEM : objects_gone(&c, before, after);
	ret = ret != 0 ? ret : objects_put(&c, before, after);
	req = store_writer_send_all(mem_ctx, ev, s->writer, c.list, c.count,
				    ret);
	talloc_free(c.mem_ctx);
	return req;
}

struct object_read {
	struct overlay *overlay;
	int error;
};

static bool object_row(void *private_data, struct db_bytes key,
		       struct db_bytes value)
{
	struct object_read *r = private_data;
	struct buf b = buf_reader(value.data, value.len);
	char *class = talloc_strndup(r->overlay, key.data, key.len);
	const char *end = memchr(key.data, '\0', key.len);
	char *name = NULL;
	int ret = class == NULL ? ENOMEM : 0;

	if (ret == 0 && end == NULL) {
		ret = EBADMSG;
	}
	if (ret == 0) {
		name = talloc_strndup(class, end + 1, key.len -
				      (size_t)(end + 1 -
					       (const char *)key.data));
		ret = name == NULL ? ENOMEM : overlay_record_get(
			r->overlay, class, name, &b);
	}
	if (ret == ENOMEM) {
		r->error = ret;
	} else if (ret != 0) {
		log_error("what the database has of %s %s does not parse "
			  "(%zu bytes): it is left alone, and cavad.conf or "
			  "the defaults hold", class, name == NULL ? "" : name,
			  value.len);
	}
	talloc_free(class);
	return r->error == 0;
}

int store_objects_get(struct store *s, TALLOC_CTX *mem_ctx,
		      struct overlay **result)
{
	struct object_read r = { .overlay = overlay_create(mem_ctx) };
	struct db_txn t;
	int ret;

	if (r.overlay == NULL) {
		return ENOMEM;
	}
	db_begin(s->db, DB_READ, &t);
	db_each(&t, STORE_OBJECT, (struct db_bytes) { 0 }, object_row, &r);
	ret = db_end(&t);
	ret = ret != 0 ? ret : r.error;
	if (ret != 0) {
		talloc_free(r.overlay);
		return ret;
	}
	*result = r.overlay;
	return 0;
}
