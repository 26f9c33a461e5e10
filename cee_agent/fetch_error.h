/*
 * Why a file could not be fetched, in words and as a status of CEE.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_FETCH_ERROR_H
#define CEE_AGENT_FETCH_ERROR_H

#include <stddef.h>

#include "cee_agent/config.h"

struct fetch_error {
	const struct storage *storage;
	const char *host;
	const char *what;	/* "open", "read" */
	const char *why;	/* more than errno says, or "" */
	int error;		/* errno */
	bool connected;		/* the share was reached */
};

/* Pure: what went wrong and what to do about it. Returns CEE_ERROR_*. */
uint32_t fetch_error_text(const struct fetch_error *e, char *text,
			  size_t size);

#endif
