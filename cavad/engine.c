/*
 * The table of engines. A new one is a file and a row here.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/engine.h"
#include "cavad/object_check.h"

#include <string.h>

static const struct engine_ops *const engine_rows[] = {
	&engine_cee,
	&engine_cees,
	&engine_icap,
	&engine_icaps,
	&engine_clamd,
	&engine_null,
	NULL
};

const struct engine_ops *engine_row(unsigned int i)
{
	size_t count = sizeof(engine_rows) / sizeof(engine_rows[0]);

	return i < count ? engine_rows[i] : NULL;
}

const struct engine_ops *engine_find(const char *uri)
{
	const struct engine_ops *ops = NULL;
	unsigned int i;

	if (object_uri_is_cee(uri)) {
		return &engine_cee;
	}
	for (i = 0; (ops = engine_row(i)) != NULL; i++) {
		size_t len = strlen(ops->scheme);

		if (strncmp(uri, ops->scheme, len) == 0 && uri[len] == ':') {
			return ops;
		}
	}
	return NULL;
}
