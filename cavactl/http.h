/*
 * One request to cavad's API over its unix socket.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_HTTP_H
#define CAVACTL_HTTP_H

#include <jansson.h>

/*
 * method and path; body may be NULL, is borrowed. *reply: the JSON, NULL if
 * there is none; the caller's. Returns the HTTP code, or 0 when cavad could
 * not be reached, with *why (static) saying so.
 */
long http_call(const char *socket_path, const char *method, const char *path,
	       json_t *body, json_t **reply, const char **why);

/* %-encoded for a path; the caller's to free(). */
char *http_escape(const char *text);

#endif
