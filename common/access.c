/*
 * Which addresses may ask. See access.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "common/access.h"
#include "common/address.h"

struct access {
	struct network *networks;
	size_t num;
};

struct access *access_create(TALLOC_CTX *mem_ctx)
{
	return talloc_zero(mem_ctx, struct access);
}

int access_add(struct access *a, const char *text)
{
	struct network *networks = NULL;
	struct network network;
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
		if (!network_parse(word, &network)) {
			ret = EINVAL;
			break;
		}
		networks = talloc_realloc(a, a->networks, struct network,
					  a->num + 1);
		if (networks == NULL) {
			ret = ENOMEM;
			break;
		}
		a->networks = networks;
		a->networks[a->num++] = network;
	}
	talloc_free(copy);
	return ret;
}

bool access_allows(const struct access *a, const struct sockaddr *sa)
{
	struct in6_addr address;
	size_t i;

	if (!address_of(sa, &address)) {
		return false;
	}
	for (i = 0; i < a->num; i++) {
		if (network_has(&a->networks[i], &address)) {
			return true;
		}
	}
	return false;
}
