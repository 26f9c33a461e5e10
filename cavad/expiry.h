/*
 * What has outlived report_expiry goes: reports, threats, and clean verdicts
 * of the table `result`, of which named streams leave one for each content.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_EXPIRY_H
#define CAVAD_EXPIRY_H

#include "cavad/report.h"

/* It works until it is freed. NULL = no memory. */
struct expiry *expiry_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     const struct config *config, struct store *store,
			     struct reports *reports, struct threats *threats);

#endif
