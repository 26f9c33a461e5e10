/*
 * cavad.conf: what cavad starts with.
 *
 * Sections [settings], [cee], [filter ZONE], [server NAME], lines
 * "name = value", comments with # or ;. Unknown sections and names are
 * errors that name file, line, and the nearest known name.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_CONFIG_H
#define CAVAD_CONFIG_H

#include "cavad/object.h"
#include "common/filter.h"

#define CONFIG_ZONE_DEFAULT "System"	/* cava:zone of a share that has none */

struct config {
	struct settings settings;
	struct cee_settings cee;
	struct filter_object **filters;	/* NULL-terminated */
	struct server_object **servers;	/* NULL-terminated, in file order */
};

/*
 * Reads `path` (NULL = defaults only). 0, or errno with *error (on mem_ctx)
 * for a person: "cavad.conf:12: [server a] server_uri: ...".
 */
int config_load(TALLOC_CTX *mem_ctx, const char *path,
		struct config **result, char **error);

/* The effective filter of a zone; defaults for one that is not listed. */
struct filter config_filter(const struct config *c, const char *zone);

#endif
