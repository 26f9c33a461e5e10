/*
 * The queues that scans wait in: fast, slow, owed, batch.
 *
 * fast: somebody waits for it. slow: large files, in a lane of their own so
 * that they never hold up small ones. owed: by a close or a rename, whose
 * writer is still at work, so only a few at a time. batch: whatever else
 * nobody waits for. A lane starts its entries in order, those that somebody
 * waits for first, and runs no more at a time than its limit, which of batch
 * is one for owed and batch together, and higher while there is nothing fast.
 * No time, no files, no servers in here.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_QUEUE_H
#define CAVAD_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define QUEUE_LARGE (UINT64_C(100) << 20)	/* bytes; more is slow */

enum queue_lane {
	QUEUE_FAST,
	QUEUE_SLOW,
	QUEUE_OWED,
	QUEUE_BATCH,
	QUEUE_LANES
};

enum queue_state { QUEUE_OUT = 0, QUEUE_WAITING, QUEUE_RUNNING };

struct queue_entry {
	TAILQ_ENTRY(queue_entry) entry;
	enum queue_state state;
	enum queue_lane lane;
	bool urgent;
};

TAILQ_HEAD(queue_list, queue_entry);

struct queue {
	struct queue_list urgent[QUEUE_LANES];
	struct queue_list calm[QUEUE_LANES];
	uint32_t waiting[QUEUE_LANES];
	uint32_t running[QUEUE_LANES];
};

/* How many may run at a time in each lane. */
struct queue_limits {
	uint32_t running[QUEUE_LANES];
	uint32_t alone;		/* of batch, while fast is empty */
};

void queue_init(struct queue *q);

/* Pure: the lane of a file of that size. owed: that is all it is for. */
enum queue_lane queue_lane_of(uint64_t size, bool urgent, bool owed);

/*
 * Pure: lanes for servers that take `capacity` scans at a time. The others
 * together leave a third of it to fast, an eighth while fast is empty; and one
 * at least, of three or more.
 */
struct queue_limits queue_limits_of(uint32_t capacity);

/* Pure. Would one that is added to the lane run at once? */
bool queue_is_free(const struct queue *q, enum queue_lane lane,
		   const struct queue_limits *limits);

/* It runs, without having waited: where queue_is_free(). It must be out. */
void queue_run(struct queue *q, struct queue_entry *e, enum queue_lane lane,
	       bool urgent);

/* Last in its lane. The entry must be out. */
void queue_add(struct queue *q, struct queue_entry *e, enum queue_lane lane,
	       bool urgent);

/*
 * Somebody waits for it now, running or not. One of owed or batch goes to the
 * fast lane, one of the slow lane before those that nobody waits for.
 */
void queue_raise(struct queue *q, struct queue_entry *e);

/* The next that may run, which is then running; NULL = none. */
struct queue_entry *queue_next(struct queue *q,
			       const struct queue_limits *limits);

/* It ended, or is not wanted any more. Nothing happens when it is out. */
void queue_remove(struct queue *q, struct queue_entry *e);

/* "fast", "slow", "owed", "batch" */
const char *queue_lane_text(enum queue_lane lane);

#endif
