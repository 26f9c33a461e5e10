/*
 * The last day by the minute: see history.h.
 *
 * Counters are noted when a minute begins; a row is what they grew by until
 * the next one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/history.h"

#include <time.h>

#include "common/tick.h"

struct history {
	struct tick *tick;
	const struct counters *counters;
	struct history_row rows[HISTORY_MINUTES];
	size_t first;		/* the oldest */
	size_t count;
	struct history_row began;	/* counters at the minute's begin */
};

/* What the counters say now. */
static struct history_row history_sums(const struct history *h, int64_t now)
{
	const struct counters *c = h->counters;

	return (struct history_row) {
		.time = now,
#define H(name, sum) .name = sum,
		HISTORY(H)
#undef H
	};
}

static struct history_row history_grown(const struct history *h,
					const struct history_row *now)
{
	return (struct history_row) {
		.time = h->began.time,
#define H(name, sum) .name = now->name - h->began.name,
		HISTORY(H)
#undef H
	};
}

/*
 * now is of the clock that timers go by: time() is some ms behind it, and
 * in these a minute that is over would seem to begin again and again.
 */
static void history_begin(struct history *h, struct timeval now)
{
	time_t minute = now.tv_sec - now.tv_sec % 60;

	h->began = history_sums(h, minute);
	tick_at(h->tick, tevent_timeval_set((uint32_t)(minute + 60), 0));
}

static void history_minute(struct history *h, struct timeval now)
{
	struct history_row sums = history_sums(h, 0);

	if (h->count == HISTORY_MINUTES) {
		h->first = (h->first + 1) % HISTORY_MINUTES;
		h->count--;
	}
	h->rows[(h->first + h->count) % HISTORY_MINUTES] =
		history_grown(h, &sums);
	h->count++;
	history_begin(h, now);
}

static void history_time(void *private_data)
{
	history_minute(private_data, tevent_timeval_current());
}

struct history *history_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       const struct counters *counters)
{
	struct history *h = talloc_zero(mem_ctx, struct history);

	if (h == NULL) {
		return NULL;
	}
	h->counters = counters;
	h->tick = tick_create(h, ev, history_time, h);
	if (h->tick == NULL) {
		talloc_free(h);
		return NULL;
	}
	history_begin(h, tevent_timeval_current());
	return h;
}

bool history_row(struct history *h, size_t i, struct history_row *row)
{
	struct history_row sums = history_sums(h, 0);

	if (i > h->count) {
		return false;
	}
	*row = i == h->count ? history_grown(h, &sums) :
		h->rows[(h->first + i) % HISTORY_MINUTES];
	return true;
}
