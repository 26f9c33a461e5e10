/*
 * UNC paths: see unc.h.
 *
 * Refused are the names of which Samba or Windows would make something
 * else: separators and wildcards, control characters, a dot or space at the
 * end (Windows drops those), what is no valid UTF-8, and "@GMT-" at the
 * start: that is how SMB clients ask for a snapshot, and they take it out.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cavad/unc.h"
#include "common/proto.h"

/*
 * The length of the UTF-8 sequence at p, at most `left` bytes; 0 when it is
 * none (overlong, surrogate, beyond U+10FFFF).
 */
static size_t unc_utf8_len(const unsigned char *p, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = p[0];
	size_t len = 1;
	size_t i;

	if (c < 0x80) {
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		len = 2;
		c &= 0x1f;
	} else if (c >= 0xe0 && c <= 0xef) {
		len = 3;
		c &= 0x0f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		len = 4;
		c &= 0x07;
	} else {
		return 0;
	}
	if (len > left) {
		return 0;
	}
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
		return 0;
	}
	return len;
}

bool unc_name_valid(const char *name, size_t len)
{
	const unsigned char *p = (const unsigned char *)name;
	size_t i = 0;

	if (len == 0 || p[len - 1] == '.' || p[len - 1] == ' ') {
		return false;
	}
	if (len >= 5 && strncasecmp(name, "@GMT-", 5) == 0) {
		return false;
	}
	while (i < len) {
		size_t n = unc_utf8_len(p + i, len - i);

		if (n == 0 || p[i] < 0x20 ||
		    strchr("\\:\"*<>?|", p[i]) != NULL) {
			return false;
		}
		i += n;
	}
	return true;
}

/* What follows root and a slash, or NULL. */
static const char *unc_below(const char *root, const char *path)
{
	size_t len = strlen(root);

	while (len > 0 && root[len - 1] == '/') {
		len--;
	}
	if (strncmp(root, path, len) != 0 || path[len] != '/') {
		return NULL;
	}
	return path + len + 1;
}

int unc_path(TALLOC_CTX *mem_ctx, const char *host, const char *share,
	     const char *root, const char *path, char **unc)
{
	const char *rel = unc_below(root, path);
	const char *name = rel;
	char *result = NULL;
	char *p = NULL;

	if (rel == NULL || strlen(rel) > UNC_PATH_MAX ||
	    strncasecmp(rel, PROTO_ALIAS, strlen(PROTO_ALIAS)) == 0) {
		return EINVAL;
	}
	while (true) {
		size_t len = strcspn(name, "/");

		if (!unc_name_valid(name, len)) {
			return EINVAL;
		}
		if (name[len] == '\0') {
			break;
		}
		name += len + 1;
	}
	result = talloc_asprintf(mem_ctx, "\\\\%s\\%s\\%s", host, share, rel);
	if (result == NULL) {
		return ENOMEM;
	}
	for (p = result; *p != '\0'; p++) {
		if (*p == '/') {
			*p = '\\';
		}
	}
	*unc = result;
	return 0;
}

/*
 * No colon may be in a UNC path: Windows and Samba both read
 * fd00--1.ipv6-literal.net as the address, asking no DNS.
 */
static char *unc_host_ip6(TALLOC_CTX *mem_ctx, const char *addr)
{
	char *host = talloc_asprintf(mem_ctx, "%s.ipv6-literal.net", addr);
	char *p = NULL;

	for (p = host; p != NULL && *p != '\0'; p++) {
		if (*p == ':') {
			*p = '-';
		}
	}
	return host;
}

char *unc_host(TALLOC_CTX *mem_ctx, const char *const *pool,
	       unsigned int turn)
{
	char name[HOST_NAME_MAX + 1] = "localhost";
	struct in6_addr addr;
	unsigned int count = 0;

	while (pool != NULL && pool[count] != NULL) {
		count++;
	}
	if (count == 0) {
		gethostname(name, sizeof(name) - 1);
		return talloc_strdup(mem_ctx, name);
	}
	if (inet_pton(AF_INET6, pool[turn % count], &addr) == 1) {
		return unc_host_ip6(mem_ctx, pool[turn % count]);
	}
	return talloc_strdup(mem_ctx, pool[turn % count]);
}
