/*
 * UNC paths: what a storage system names a file by.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_UNC_H
#define CEE_AGENT_UNC_H

#include <talloc.h>

#define UNC_PATH_MAX 16384	/* bytes of the path below the share */

struct unc {
	const char *host;
	const char *share;
	const char *path;	/* below the share, separated by '\' */
};

/*
 * Pure: \\HOST\SHARE\PATH. 0, ENOMEM, EINVAL (not of this form; an empty,
 * "." or ".." component; a '/', which would be another separator to a part
 * of SMB's software).
 */
int unc_parse(TALLOC_CTX *mem_ctx, const char *text, struct unc **result);

/*
 * Pure: smb://HOST:PORT/SHARE/PATH for libsmbclient, each byte that could
 * mean something in an URL encoded. NULL when out of memory.
 */
char *unc_url(TALLOC_CTX *mem_ctx, const char *host, unsigned int port,
	      const char *share, const char *path);

#endif
