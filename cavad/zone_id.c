/*
 * Numbers of zones: see zone_id.h.
 *
 * In the table of objects, as class "zone" with one field, "id".
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cavad/config.h"
#include "cavad/zone_id.h"
#include "common/log.h"

#define ZONE_CLASS "zone"

struct zone_ids {
	struct tevent_context *ev;
	struct store *store;
	struct overlay *all;
	uint32_t last;
};

static void zone_id_kept(struct tevent_req *subreq)
{
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret != 0) {
		log_warning("the number of a zone cannot be kept in the "
			    "database: %s; it may be another one after a "
			    "restart", strerror(ret));
	}
}

static void zone_id_keep(struct zone_ids *ids, const char *name,
			 const char *text)
{
	struct overlay *none = overlay_create(NULL);
	struct overlay *one = none == NULL ? NULL : overlay_create(none);
	struct overlay_object *object = NULL;
	struct tevent_req *req = NULL;

	if (one != NULL) {
		object = overlay_make(one, ZONE_CLASS, name);
	}
	if (object != NULL && overlay_set(object, "id", text) == 0) {
		req = store_objects_send(ids, ids->ev, ids->store, none, one);
	}
	if (req != NULL) {
		tevent_req_set_callback(req, zone_id_kept, NULL);
	}
	talloc_free(none);
}

static uint32_t zone_id_give(struct zone_ids *ids, const char *name,
			     uint32_t id)
{
	struct overlay_object *object = overlay_make(ids->all, ZONE_CLASS,
						     name);
	char text[16] = "";

	snprintf(text, sizeof(text), "%" PRIu32, id);
	if (object != NULL) {
		(void)overlay_set(object, "id", text);
	}
	zone_id_keep(ids, name, text);
	return id;
}

static uint32_t zone_id_of(const struct overlay_object *object)
{
	const char *text = overlay_get(object, "id");

	return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

uint32_t zone_id(struct zone_ids *ids, const char *name)
{
	const struct overlay_object *object = overlay_find(
		ids->all, ZONE_CLASS, name);

	if (object != NULL && zone_id_of(object) != 0) {
		return zone_id_of(object);
	}
	ids->last++;
	return zone_id_give(ids, name, ids->last);
}

int zone_ids_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		    struct store *store, struct zone_ids **result)
{
	struct zone_ids *ids = talloc_zero(mem_ctx, struct zone_ids);
	size_t i;
	int ret;

	if (ids == NULL) {
		return ENOMEM;
	}
	ids->ev = ev;
	ids->store = store;
	ret = store_objects_get(store, ids, &ids->all);
	if (ret != 0) {
		talloc_free(ids);
		return ret;
	}
	for (i = 0; i < ids->all->count; i++) {
		const struct overlay_object *object = ids->all->list[i];

		if (strcmp(object->class, ZONE_CLASS) == 0 &&
		    zone_id_of(object) > ids->last) {
			ids->last = zone_id_of(object);
		}
	}
	(void)zone_id(ids, CONFIG_ZONE_DEFAULT);	/* the first: 1 */
	*result = ids;
	return 0;
}
