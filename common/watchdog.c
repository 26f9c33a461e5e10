/*
 * See watchdog.h. A timer of the loop, so that a loop that hangs is seen: the
 * unit is then killed and started again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/watchdog.h"

#include <errno.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"

struct watchdog {
	struct tevent_context *ev;
	uint64_t every;		/* us */
};

static int watchdog_tell(struct watchdog *w);

static void watchdog_due(struct tevent_context *ev, struct tevent_timer *te,
			 struct timeval now, void *private_data)
{
	struct watchdog *w = private_data;

	(void)ev;
	(void)te;
	(void)now;
	if (watchdog_tell(w) != 0) {
		log_error("out of memory: the watchdog will end this");
	}
}

static int watchdog_tell(struct watchdog *w)
{
	struct timeval next = tevent_timeval_current_ofs(
		w->every / 1000000, w->every % 1000000);
	struct tevent_timer *te = tevent_add_timer(w->ev, w, next,
						   watchdog_due, w);

	(void)sd_notify(0, "WATCHDOG=1");
	return te == NULL ? ENOMEM : 0;
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
	w->ev = ev;
	w->every = limit / 3;
	return watchdog_tell(w);
}
