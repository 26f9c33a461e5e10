/*
 * Which addresses may ask. See access.h.
 *
 * Everything is compared as 16 bytes: an IPv4 address as ::ffff:a.b.c.d
 * with 96 bits more, so that there is one kind of address here.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/access.h"

struct access_row {
	uint8_t address[16];
	unsigned int bits;
};

struct access {
	struct access_row *rows;
	size_t num;
};

struct access *access_create(TALLOC_CTX *mem_ctx)
{
	return talloc_zero(mem_ctx, struct access);
}

static void access_map_ip4(uint8_t out[16], const void *ip4)
{
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, ip4, 4);
}

/* ADDRESS or ADDRESS/BITS; `word` is modified. 0 or EINVAL. */
static int access_parse(char *word, struct access_row *row)
{
	char *slash = strchr(word, '/');
	unsigned long most = 128;
	unsigned long bits;
	uint8_t ip4[4];
	char *end = NULL;

	if (slash != NULL) {
		*slash = '\0';
	}
	if (inet_pton(AF_INET, word, ip4) == 1) {
		access_map_ip4(row->address, ip4);
		most = 32;
	} else if (inet_pton(AF_INET6, word, row->address) != 1) {
		return EINVAL;
	}
	bits = most;
	if (slash != NULL) {
		bits = strtoul(slash + 1, &end, 10);
		if (!isdigit((unsigned char)slash[1]) || *end != '\0' ||
		    bits > most) {
			return EINVAL;
		}
	}
	row->bits = (unsigned int)(128 - most + bits);
	return 0;
}

int access_add(struct access *a, const char *text)
{
	struct access_row *rows = NULL;
	struct access_row row = { .bits = 0 };
	char *save = NULL;
	char *copy = NULL;
	char *word = NULL;
	int ret = 0;

	copy = talloc_strdup(a, text);
	if (copy == NULL) {
		return ENOMEM;
	}
	for (word = strtok_r(copy, ", \t", &save); word != NULL;
	     word = strtok_r(NULL, ", \t", &save)) {
		ret = access_parse(word, &row);
		if (ret != 0) {
			break;
		}
		rows = talloc_realloc(a, a->rows, struct access_row,
				      a->num + 1);
		if (rows == NULL) {
			ret = ENOMEM;
			break;
		}
		a->rows = rows;
		a->rows[a->num++] = row;
	}
	talloc_free(copy);
	return ret;
}

static bool access_match(const struct access_row *row, const uint8_t *address)
{
	unsigned int bytes = row->bits / 8;
	unsigned int rest = row->bits % 8;

	if (memcmp(row->address, address, bytes) != 0) {
		return false;
	}
	return rest == 0 ||
	       (row->address[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

bool access_allows(const struct access *a, const struct sockaddr *sa)
{
	uint8_t address[16];
	size_t i;

	if (sa->sa_family == AF_INET) {
		access_map_ip4(address,
			       &((const struct sockaddr_in *)sa)->sin_addr);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(address,
		       &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
	} else {
		return false;
	}
	for (i = 0; i < a->num; i++) {
		if (access_match(&a->rows[i], address)) {
			return true;
		}
	}
	return false;
}
