/*
 * Who is at the other end of a connection of the API.
 *
 * On the unix socket the kernel says so (SO_PEERCRED, SO_PEERGROUPS): asking
 * the name service in the loop could block it. On TCP an address is all that
 * is known of it, until a request logs in.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_PEER_H
#define CAVAD_API_PEER_H

#include <netinet/in.h>
#include <sys/types.h>
#include <talloc.h>
#include <tevent.h>

#include "cavad/account.h"

struct api_peer {
	bool tcp;
	enum api_role role;	/* TCP: ROLE_NONE */
	const char *user;	/* account, "uid 1000"; TCP: "" */
	char from[INET6_ADDRSTRLEN];	/* TCP: its address */
	char net[INET6_ADDRSTRLEN];	/* that, of IPv6 the first 64 bits */
	bool metrics;		/* gets /metrics without a login */
	int fd;			/* borrowed */
	struct tevent_timer *deadline;	/* for a whole request */
};

/* What decides on a unix socket. */
struct api_peer_rule {
	gid_t group;		/* of api_group */
	bool have_group;
	bool all_read;		/* api_read = all */
};

/* NULL = no memory. */
struct api_peer *api_peer_unix(TALLOC_CTX *mem_ctx,
			       const struct api_peer_rule *rule, int fd);
struct api_peer *api_peer_tcp(TALLOC_CTX *mem_ctx, int fd);

#endif
