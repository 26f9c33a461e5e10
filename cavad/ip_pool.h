/*
 * The names and addresses of ip_pool, as they are now: which of them are
 * this host's, and which addresses a name has.
 *
 * They are looked at every 10 s, names by threads of the C library
 * (getaddrinfo_a), so that no slow DNS holds up the loop. An entry that is
 * not this host's is an event, and servers are not sent there as long as
 * there is another one. The addresses that a name had last hold while it is
 * looked up, and when that fails.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_IP_POOL_H
#define CAVAD_IP_POOL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>

#include "cavad/config.h"
#include "cavad/event.h"

struct ip_pool;

/* 0 or ENOMEM */
int ip_pool_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   const struct config *config, struct events *events,
		   struct ip_pool **result);

/* Number of the entry whose turn it is; 0 when there is none. */
unsigned int ip_pool_turn(void *private_data);

/*
 * Entry i from 0, false after the last. *name: NULL = none of its addresses is
 * this host's; else *addr is one that is. Borrowed until the next return to
 * the loop.
 */
bool ip_pool_here(const struct ip_pool *p, unsigned int i, const char **name,
		  struct in6_addr *addr);

/* Is it an address of that name? IPv4 as ::ffff:a.b.c.d. */
bool ip_pool_resolves(const struct ip_pool *p, const char *name,
		      const struct in6_addr *addr);

#endif
