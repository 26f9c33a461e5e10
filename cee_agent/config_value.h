/*
 * Values in cee_agent's configuration: text to what it means.
 *
 * Each returns 0, EINVAL (not such a value) or ENOMEM.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_CONFIG_VALUE_H
#define CEE_AGENT_CONFIG_VALUE_H

#include "cee_agent/config.h"

/* From min to max; with `size`, K, M or G may follow. */
int config_value_number(const char *value, uint64_t min, uint64_t max,
			bool size, uint64_t *result);

/* The place of a word in `words`, which NULL ends. */
int config_value_choice(const char *value, const char *const *words,
			uint64_t *result);

/* ADDRESS:PORT, an IPv6 address in brackets; or nothing: len is 0. */
int config_value_listen(TALLOC_CTX *mem_ctx, const char *value,
			struct address *result);

/* One more socket: /PATH or tcp ADDRESS:PORT. */
int config_value_clamd(TALLOC_CTX *mem_ctx, const char *value,
		       struct clamd_list *list);

/* Names, separated by blanks or commas. */
int config_value_hosts(TALLOC_CTX *mem_ctx, const char *value,
		       struct host_names *hosts);

#endif
