/*
 * Paths as file URIs: see uri.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/uri.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define URI_START "file://"

static const char uri_digits[] = "0123456789ABCDEF";

bool uri_is(const char *text)
{
	return strncmp(text, URI_START, strlen(URI_START)) == 0;
}

static bool uri_plain(unsigned char c)
{
	return (c < 0x80 && isalnum(c)) ||
		(c != '\0' && strchr("/-._~", c) != NULL);
}

char *uri_of_path(TALLOC_CTX *mem_ctx, const char *path)
{
	const unsigned char *p = (const unsigned char *)path;
	size_t start = strlen(URI_START);
	char *uri = talloc_array(mem_ctx, char, start + 3 * strlen(path) + 1);
	char *to = NULL;

	if (uri == NULL) {
		return NULL;
	}
	to = uri + start;
	memcpy(uri, URI_START, start);
	for (; *p != '\0'; p++) {
		if (uri_plain(*p)) {
			*to++ = (char)*p;
			continue;
		}
		*to++ = '%';
		*to++ = uri_digits[*p >> 4];
		*to++ = uri_digits[*p & 15];
	}
	*to = '\0';
	return uri;
}

/* The byte of two hex digits, or -1. */
static int uri_byte(const char *p)
{
	const char *high = NULL;
	const char *low = NULL;

	if (p[0] == '\0' || p[1] == '\0') {
		return -1;
	}
	high = strchr(uri_digits, toupper((unsigned char)p[0]));
	low = strchr(uri_digits, toupper((unsigned char)p[1]));
	if (high == NULL || low == NULL) {
		return -1;
	}
	return (int)((high - uri_digits) << 4 | (low - uri_digits));
}

int uri_path(TALLOC_CTX *mem_ctx, const char *uri, char **path)
{
	const char *p = uri + strlen(URI_START);
	char *to = NULL;
	char *result = NULL;

	if (!uri_is(uri) || *p != '/') {
		return EINVAL;
	}
	result = talloc_array(mem_ctx, char, strlen(p) + 1);
	if (result == NULL) {
		return ENOMEM;
	}
	for (to = result; *p != '\0'; p++) {
		int byte = *p == '%' ? uri_byte(p + 1) : (unsigned char)*p;

		if (byte <= 0) {
			talloc_free(result);
			return EINVAL;
		}
		p += *p == '%' ? 2 : 0;
		*to++ = (char)byte;
	}
	*to = '\0';
	*path = result;
	return 0;
}
