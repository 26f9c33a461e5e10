/*
 * What clamd.conf says of clamd's limits.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_CLAMD_CONF_H
#define CEE_AGENT_CLAMD_CONF_H

#include <stdbool.h>
#include <stdint.h>

struct clamd_limits {
	uint64_t file;		/* MaxFileSize, bytes */
	uint64_t scan;		/* MaxScanSize */
	uint64_t stream;	/* StreamMaxLength */
	bool alert_exceeds;	/* AlertExceedsMax */
};

/* Pure; `text` is modified. What it does not say has clamd's default. */
void clamd_conf_parse(char *text, struct clamd_limits *limits);

/* Pure: the smallest limit, and the option that sets it. */
uint64_t clamd_conf_smallest(const struct clamd_limits *limits,
			     const char **option);

#endif
