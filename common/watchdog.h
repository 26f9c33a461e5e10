/*
 * Tells systemd that this process's loop goes round.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_WATCHDOG_H
#define COMMON_WATCHDOG_H

#include <talloc.h>
#include <tevent.h>

/*
 * From the loop of ev, three times in what the unit's WatchdogSec= allows, as
 * long as mem_ctx lives; nothing where there is no such limit. 0 or ENOMEM.
 */
int watchdog_start(TALLOC_CTX *mem_ctx, struct tevent_context *ev);

#endif
