/*
 * One HTTP request and its response.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_EXCHANGE_H
#define CEE_AGENT_EXCHANGE_H

#include <microhttpd.h>
#include <stdbool.h>

#include "cee_agent/request.h"

#define EXCHANGE_FROM_MAX 64

/* What its connection belongs to; all exchanges that are under way. */
struct exchange_home {
	struct agent *agent;
	struct exchange *suspended;	/* list */
	unsigned int count;
	bool retiring;		/* each response ends its connection */
	void (*resumed)(struct exchange_home *home);
};

/* Who it is that asks: bits. */
#define EXCHANGE_MAY_SCAN 1U
#define EXCHANGE_MAY_SEE_STATUS 2U

/* Pure. By address; `address` may be IPv4 inside IPv6. */
unsigned int exchange_rights(const struct agent_config *c,
			     const struct sockaddr *address);

/* "192.0.2.1" */
void exchange_name(const struct sockaddr *address,
		   char from[EXCHANGE_FROM_MAX]);

/* Called with the headers, then with pieces of the body, then at its end. */
enum MHD_Result exchange_feed(struct exchange_home *home,
			      struct MHD_Connection *connection,
			      const char *method, const char *path,
			      const char *data, size_t *len,
			      void **exchange);

void exchange_forget(void **exchange);

/* Lets go of connections that wait for an answer, which never comes. */
void exchange_abandon(struct exchange_home *home);

#endif
