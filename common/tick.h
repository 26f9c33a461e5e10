/*
 * A time that is set again and again: an interval, the next try. Unlike a
 * timer of tevent it is made once, and setting it takes no memory: a moment
 * without any does not end for good what is done at intervals.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_TICK_H
#define COMMON_TICK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include <talloc.h>
#include <tevent.h>

struct tick;

/* At its time, which is over then; may set it, and may free it. */
typedef void (*tick_fn)(void *private_data);

/* Not set yet. NULL = no memory, or no descriptor. */
struct tick *tick_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			 tick_fn fn, void *private_data);

/* Instead of the time it had. One that has been is now. */
void tick_at(struct tick *t, struct timeval when);
void tick_in(struct tick *t, uint64_t us);
void tick_stop(struct tick *t);
bool tick_is_set(const struct tick *t);

#endif
