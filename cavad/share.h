/*
 * CHECK$: writing the hidden share to Samba's registry configuration.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SHARE_H
#define CAVAD_SHARE_H

#include "cavad/config.h"

/*
 * cavad --setup-share, as root. smb_conf: NULL = Samba's own. Says on
 * stdout what it changed; a second run changes nothing. 0, or errno and
 * *error (on mem_ctx) for a person.
 */
int share_setup(TALLOC_CTX *mem_ctx, const struct config *config,
		const char *smb_conf, char **error);

#endif
