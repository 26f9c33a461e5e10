/*
 * Paths of files in JSON.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_PATH_H
#define CAVACTL_PATH_H

#include <jansson.h>

/* As cavad takes it: a string, or a file URI when it is no UTF-8. */
json_t *path_json(const char *path);

#endif
