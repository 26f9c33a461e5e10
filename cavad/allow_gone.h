/*
 * What an entry of the allow-list has let through, once it is gone.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ALLOW_GONE_H
#define CAVAD_ALLOW_GONE_H

#include "cavad/scan.h"

struct allow_gone;

/* Looks at once: an entry may have gone with the last cavad. */
struct allow_gone *allow_gone_create(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct scans *scans,
				     struct threats *threats,
				     struct allows *allows);

/* An entry has gone: has scanned what it has let through. */
void allow_gone_look(struct allow_gone *g);

#endif
