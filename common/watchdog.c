/*
 * See watchdog.h. A time of the loop, so that a loop that hangs is seen: the
 * unit is then killed and started again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/watchdog.h"

#include <errno.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>

#include "common/tick.h"

struct watchdog {
	struct tick *tick;
	uint64_t every;		/* us */
};

static void watchdog_tell(void *private_data)
{
	struct watchdog *w = private_data;

	(void)sd_notify(0, "WATCHDOG=1");
	tick_in(w->tick, w->every);
}

int watchdog_start(TALLOC_CTX *mem_ctx, struct tevent_context *ev)
{
	struct watchdog *w = NULL;
	uint64_t limit = 0;

	if (sd_watchdog_enabled(0, &limit) <= 0) {
		return 0;
	}
	w = talloc_zero(mem_ctx, struct watchdog);
	if (w == NULL) {
		return ENOMEM;
	}
	w->every = limit / 3;
	w->tick = tick_create(w, ev, watchdog_tell, w);
	if (w->tick == NULL) {
		talloc_free(w);
		return ENOMEM;
	}
	watchdog_tell(w);
	return 0;
}
