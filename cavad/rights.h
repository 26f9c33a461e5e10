/*
 * Giving up what cavad does not need once its sockets are bound.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_RIGHTS_H
#define CAVAD_RIGHTS_H

#include <sys/types.h>
#include <talloc.h>

struct rights {
	uid_t uid;
	gid_t gid;
};

/* 0, or ENOENT and *error: no such account, or it is root. */
int rights_find(TALLOC_CTX *mem_ctx, const char *user, struct rights *result,
		char **error);

/*
 * Makes `path` a directory of that owner and mode, which only root or the
 * owner can have tampered with. 0 or errno; an existing one is mended.
 */
int rights_directory(const char *path, uid_t uid, gid_t gid, mode_t mode);

/* The directory of a socket, root's, 0755, unless it is there. 0 or errno */
int rights_socket_directory(const char *socket_path);

/*
 * Becomes that user for good: no groups, no capability, no core, no way
 * back, and makes sure of it. 0 or errno.
 */
int rights_drop(const struct rights *r);

#endif
