/*
 * A listening unix socket.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_LISTEN_H
#define CAVAD_LISTEN_H

#include <sys/types.h>

/*
 * Bound, listening, non-blocking, with that mode, whatever the umask. A
 * socket that is left over is replaced; one that somebody answers at is
 * EADDRINUSE. type: SOCK_STREAM or SOCK_SEQPACKET. 0 or errno.
 */
int listen_unix(const char *path, int type, mode_t mode, int *result);

#endif
