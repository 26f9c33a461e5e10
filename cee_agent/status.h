/*
 * What is going on, for an admin: as JSON, and as a page.
 *
 * Both say nothing that could be used to get in anywhere: no password, no
 * path of one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_STATUS_H
#define CEE_AGENT_STATUS_H

#include "cee_agent/request.h"

/* On mem_ctx; NULL when out of memory. */
char *status_json(TALLOC_CTX *mem_ctx, const struct agent *agent);
char *status_page(TALLOC_CTX *mem_ctx, const struct agent *agent);

#endif
