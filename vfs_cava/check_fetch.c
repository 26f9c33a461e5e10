/*
 * Role check: how many bytes of a file a scanner has really read.
 *
 * Counted as they are read, told when the handle is closed (FETCHED), under
 * the identity that cavad was asked about at the open. Nobody waits for it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

void cava_fetch_begin(struct cava *cava, struct files_struct *fsp,
		      const struct ident *ident)
{
	struct cava_file *file = cava_file_make(cava, fsp);

	if (file != NULL) {
		file->fetch = *ident;
		file->fetches = true;
	}
}

void cava_fetched(struct cava *cava, struct files_struct *fsp, ssize_t got)
{
	struct cava_file *file = cava_is_check(cava) && got > 0 ?
		cava_file_fetch(cava, fsp) : NULL;

	if (file != NULL) {
		file->fetched += (uint64_t)got;
	}
}

void cava_fetch_end(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_is_check(cava) ?
		cava_file_fetch(cava, fsp) : NULL;
	struct proto_fetched fetched;

	if (file == NULL || !file->fetches || file->fetched == 0) {
		return;
	}
	fetched = (struct proto_fetched) {
		.ident = file->fetch,
		.bytes = file->fetched,
	};
	file->fetched = 0;
	client_fetched(cava->client, &fetched);
}
