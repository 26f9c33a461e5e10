/*
 * The service from "ready" to its end: signals, reload, the watchdog.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_SERVICE_H
#define CEE_AGENT_SERVICE_H

#include "cee_agent/request.h"

/*
 * Until it is told to stop. fds: listening sockets, HTTP and HTTPS, or -1;
 * closed at the end. 0 or errno.
 */
int service_run(TALLOC_CTX *mem_ctx, struct agent *agent,
		int fds[AGENT_LISTENERS]);

/* Things in a configuration that work, but not as an admin would want. */
void service_warn(const struct agent_config *config);

#endif
