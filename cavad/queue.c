/*
 * Four lanes, each with two lists: what somebody waits for, and the rest.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stddef.h>

#include "cavad/queue.h"

void queue_init(struct queue *q)
{
	int lane;

	*q = (struct queue) { .waiting = { 0 } };
	for (lane = 0; lane < QUEUE_LANES; lane++) {
		TAILQ_INIT(&q->urgent[lane]);
		TAILQ_INIT(&q->calm[lane]);
	}
}

enum queue_lane queue_lane_of(uint64_t size, bool urgent, bool owed)
{
	if (size > QUEUE_LARGE) {
		return QUEUE_SLOW;
	}
	if (urgent) {
		return QUEUE_FAST;
	}
	return owed ? QUEUE_OWED : QUEUE_BATCH;
}

/* What neither slow nor an eighth for fast needs; no less than with fast. */
static uint32_t queue_alone(const struct queue_limits *limits,
			    uint32_t capacity)
{
	uint32_t rest = limits->running[QUEUE_SLOW] + 1;
	uint32_t with_fast = limits->running[QUEUE_BATCH];

	rest = rest > capacity / 4 ? rest : capacity / 4;
	return capacity > rest + with_fast ? capacity - rest : with_fast;
}

struct queue_limits queue_limits_of(uint32_t capacity)
{
	struct queue_limits limits = {
		.running = {
			[QUEUE_FAST] = capacity,
			[QUEUE_SLOW] = capacity / 8,
			[QUEUE_OWED] = capacity / 4,
			[QUEUE_BATCH] = capacity / 2,
		},
	};
	int lane;

	for (lane = 0; lane < QUEUE_LANES; lane++) {
		if (limits.running[lane] == 0) {
			limits.running[lane] = 1;
		}
	}
	limits.alone = queue_alone(&limits, capacity);
	return limits;
}

static struct queue_list *queue_list_of(struct queue *q,
					const struct queue_entry *e)
{
	return e->urgent ? &q->urgent[e->lane] : &q->calm[e->lane];
}

void queue_add(struct queue *q, struct queue_entry *e, enum queue_lane lane,
	       bool urgent)
{
	e->state = QUEUE_WAITING;
	e->lane = lane;
	e->urgent = urgent;
	TAILQ_INSERT_TAIL(queue_list_of(q, e), e, entry);
	q->waiting[lane]++;
}

static bool queue_has_room(const struct queue *q, enum queue_lane lane,
			   const struct queue_limits *limits)
{
	uint32_t calm = q->running[QUEUE_OWED] + q->running[QUEUE_BATCH];
	bool alone = q->running[QUEUE_FAST] + q->waiting[QUEUE_FAST] == 0;

	if (lane != QUEUE_BATCH && q->running[lane] >= limits->running[lane]) {
		return false;
	}
	return (lane != QUEUE_OWED && lane != QUEUE_BATCH) ||
		calm < (alone ? limits->alone : limits->running[QUEUE_BATCH]);
}

bool queue_is_free(const struct queue *q, enum queue_lane lane,
		   const struct queue_limits *limits)
{
	return q->waiting[lane] == 0 && queue_has_room(q, lane, limits);
}

void queue_run(struct queue *q, struct queue_entry *e, enum queue_lane lane,
	       bool urgent)
{
	e->lane = lane;
	e->urgent = urgent;
	e->state = QUEUE_RUNNING;
	q->running[lane]++;
}

void queue_raise(struct queue *q, struct queue_entry *e)
{
	enum queue_state state = e->state;
	enum queue_lane lane = e->lane;

	if (state == QUEUE_OUT || e->urgent) {
		return;
	}
	if (lane != QUEUE_SLOW) {
		lane = QUEUE_FAST;
	}
	queue_remove(q, e);
	if (state == QUEUE_RUNNING) {
		queue_run(q, e, lane, true);
	} else {
		queue_add(q, e, lane, true);
	}
}

struct queue_entry *queue_next(struct queue *q,
			       const struct queue_limits *limits)
{
	struct queue_entry *e = NULL;
	int lane;

	for (lane = 0; lane < QUEUE_LANES; lane++) {
		bool room = queue_has_room(q, (enum queue_lane)lane, limits);

		if (!room) {
			continue;
		}
		e = TAILQ_FIRST(&q->urgent[lane]);
		if (e == NULL) {
			e = TAILQ_FIRST(&q->calm[lane]);
		}
		if (e == NULL) {
			continue;
		}
		queue_remove(q, e);
		q->running[lane]++;
		e->state = QUEUE_RUNNING;
		return e;
	}
	return NULL;
}

void queue_remove(struct queue *q, struct queue_entry *e)
{
	switch (e->state) {
	case QUEUE_OUT:
		return;
	case QUEUE_WAITING:
		TAILQ_REMOVE(queue_list_of(q, e), e, entry);
		q->waiting[e->lane]--;
		break;
	case QUEUE_RUNNING:
		q->running[e->lane]--;
		break;
	}
	e->state = QUEUE_OUT;
}

const char *queue_lane_text(enum queue_lane lane)
{
	switch (lane) {
	case QUEUE_FAST:
		return "fast";
	case QUEUE_SLOW:
		return "slow";
	case QUEUE_OWED:
		return "owed";
	case QUEUE_BATCH:
		return "batch";
	case QUEUE_LANES:
		break;
	}
	return "?";
}
