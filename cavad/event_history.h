/*
 * Events that were and are: in the database, over restarts.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_EVENT_HISTORY_H
#define CAVAD_EVENT_HISTORY_H

#include "cavad/event.h"
#include "cavad/store.h"

#define EVENT_HISTORY_MAX 10000	/* rows; the oldest go */
#define EVENT_RECORD_MAX 16384
#define EVENT_TEXT_MAX 2000	/* bytes of .what, of .text, of a detail */
#define EVENT_PATH_MAX 4095	/* of the detail "path", which is whole */

struct event_history;

struct event_row {
	uint64_t id;		/* from 1, never used twice */
	uint64_t change;	/* number of its last change, from 1, in the
				 * order of all changes; 0 = an old record */
	struct event event;	/* .name "" = a number without a row */
	int64_t ended;		/* ns since the epoch; 0 = it is up */
};

/*
 * Notes what happens to `events` from now on. What was up when the last cavad
 * ended is over. 0 or errno.
 */
int event_history_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			 struct store *store, struct events *events,
			 struct event_history **result);

/*
 * fn hears of each change when it has been handed to the database, and first
 * of all rows that have changed since number `after`, in that order, as they
 * are now (EVENT_HAPPENED when they came and went). Borrowed rows. 0 or errno.
 */
int event_history_watch(struct event_history *h, uint64_t after,
			void (*fn)(void *private_data,
				   enum event_change change,
				   const struct event_row *row),
			void *private_data);

/* The number of the last change. */
uint64_t event_history_changes(const struct event_history *h);

struct event_range {
	uint64_t from;		/* rows behind this id, in the order of the
				 * list; 0 = from its start */
	bool oldest_first;
	uint64_t skip;		/* rows to pass over */
	size_t max;		/* rows */
};

/* A talloc array on mem_ctx. Committed ones only. 0 or errno. */
int event_history_list(struct event_history *h, TALLOC_CTX *mem_ctx,
		       const struct event_range *range,
		       struct event_row **rows, size_t *count);

/* Rows that there are. 0 or errno. */
int event_history_count(struct event_history *h, uint64_t *count);

/*
 * Calls fn for those of the last EVENT_HISTORY_RECENT that are about a file,
 * newest first, until it returns false. Borrowed rows. 0 or errno.
 */
#define EVENT_HISTORY_RECENT 1000
int event_history_about(struct event_history *h, const char *path,
			bool (*fn)(void *private_data,
				   const struct event_row *row),
			void *private_data);

/* 0; ENOENT; errno. */
int event_history_get(struct event_history *h, TALLOC_CTX *mem_ctx,
		      uint64_t id, struct event_row **row);

/* Pure: the record without its id. get: NULL = it does not parse. */
void event_record_put(struct buf *b, const struct event_row *row);
struct event_row *event_record_get(TALLOC_CTX *mem_ctx, uint64_t id,
				   struct buf *b);

#endif
