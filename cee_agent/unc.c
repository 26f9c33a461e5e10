/*
 * UNC paths. See unc.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cee_agent/unc.h"

static bool unc_component_ok(const char *start, size_t len)
{
	if (len == 0 || (len == 1 && start[0] == '.') ||
	    (len == 2 && memcmp(start, "..", 2) == 0)) {
		return false;
	}
	return memchr(start, '/', len) == NULL;
}

/* Takes "NAME\" from the front; NULL when it is not there or not fit. */
static const char *unc_take(TALLOC_CTX *mem_ctx, const char *p,
			    const char **name)
{
	size_t len = strcspn(p, "\\");

	if (p[len] != '\\' || !unc_component_ok(p, len)) {
		return NULL;
	}
	*name = talloc_strndup(mem_ctx, p, len);
	return p + len + 1;
}

static bool unc_path_ok(const char *p)
{
	if (strlen(p) >= UNC_PATH_MAX) {
		return false;
	}
	while (true) {
		size_t len = strcspn(p, "\\");

		if (!unc_component_ok(p, len)) {
			return false;
		}
		if (p[len] == '\0') {
			return true;
		}
		p += len + 1;
	}
}

int unc_parse(TALLOC_CTX *mem_ctx, const char *text, struct unc **result)
{
	struct unc *unc = NULL;
	const char *p = NULL;

	if (strncmp(text, "\\\\", 2) != 0) {
		return EINVAL;
	}
	unc = talloc_zero(mem_ctx, struct unc);
	if (unc == NULL) {
		return ENOMEM;
	}
	p = unc_take(unc, text + 2, &unc->host);
	if (p != NULL) {
		p = unc_take(unc, p, &unc->share);
	}
	if (p == NULL || !unc_path_ok(p)) {
		talloc_free(unc);
		return EINVAL;
	}
	unc->path = talloc_strdup(unc, p);
	if (unc->host == NULL || unc->share == NULL || unc->path == NULL) {
		talloc_free(unc);
		return ENOMEM;
	}
	*result = unc;
	return 0;
}

static char *unc_encode(char *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\\') {
			*out++ = '/';
		} else if (c < 0x80 && (isalnum(c) || c == '.' || c == '-' ||
					c == '_')) {
			*out++ = (char)c;
		} else {
			out += sprintf(out, "%%%02X", c);
		}
	}
	*out = '\0';
	return out;
}

char *unc_url(TALLOC_CTX *mem_ctx, const char *host, unsigned int port,
	      const char *share, const char *path)
{
	size_t size = 3 * (strlen(host) + strlen(share) + strlen(path)) + 32;
	char *url = talloc_array(mem_ctx, char, size);
	char *out = url;

	if (url == NULL) {
		return NULL;
	}
	out = stpcpy(out, "smb://");
	out = unc_encode(out, host);
	out += sprintf(out, ":%u/", port);
	out = unc_encode(out, share);
	*out++ = '/';
	unc_encode(out, path);
	return url;
}
