/*
 * Paths of files, as an administrator writes them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavactl/path.h"

#include <talloc.h>

#include "common/uri.h"

json_t *path_json(const char *path)
{
	json_t *name = json_string(path);
	char *uri = NULL;

	if (name == NULL) {
		uri = uri_of_path(NULL, path);
		name = json_string(uri);
		talloc_free(uri);
	}
	return name;
}
