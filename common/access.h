/*
 * Which addresses may ask.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_ACCESS_H
#define COMMON_ACCESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <talloc.h>

struct access;

/* An empty list, that allows nobody. NULL when out of memory. */
struct access *access_create(TALLOC_CTX *mem_ctx);

/*
 * Adds addresses and networks (10.1.0.0/16, fd00::/8), separated by blanks
 * or commas. 0, EINVAL, ENOMEM.
 */
int access_add(struct access *a, const char *text);

/* Pure. An IPv4 address inside IPv6 counts as the IPv4 address it is. */
bool access_allows(const struct access *a, const struct sockaddr *sa);

#endif
