/*
 * A hash of a file's identity, for tables in memory.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_IDENT_HASH_H
#define CAVAD_IDENT_HASH_H

#include "common/ident.h"

/* FNV-1a over the database key: equal files have equal hashes. */
static inline size_t ident_hash(const struct ident *ident)
{
	uint8_t key[IDENT_KEY_MAX];
	size_t len = ident_key(ident, key);
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t i;

	for (i = 0; i < len; i++) {
		hash = (hash ^ key[i]) * UINT64_C(0x100000001b3);
	}
	return (size_t)(hash ^ hash >> 32);
}

#endif
