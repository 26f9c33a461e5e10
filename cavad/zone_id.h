/*
 * Numbers of zones, as the platform API has them: small, never changed and
 * never used for another name. System is 1.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ZONE_ID_H
#define CAVAD_ZONE_ID_H

#include "cavad/store.h"

struct zone_ids;

/* Reads those that were given. 0 or errno. */
int zone_ids_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		    struct store *store, struct zone_ids **result);

/* That of the name, case aside; a new one is kept in the database. */
uint32_t zone_id(struct zone_ids *ids, const char *name);

#endif
