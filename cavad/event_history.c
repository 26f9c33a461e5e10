/*
 * Events that were and are: see event_history.h.
 *
 * A row is written when its event goes up, each time the count reaches a
 * power of ten, and when it is over; what happens without lasting is a row
 * that is over at once. Writes go to the writer thread and are not waited
 * for: the journal has the line in any case. Ids count up, so the newest row
 * is the last one, and the one EVENT_HISTORY_MAX before it is removed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/event_history.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/log.h"

struct event_history {
	struct tevent_context *ev;
	struct store *store;
	struct events *events;
	uint64_t last_id;
	bool failed;		/* and said so */
};

static void history_changed(void *private_data, enum event_change change,
			    struct event *event);

static int64_t history_now(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* --- records --- */

static void record_put_text(struct buf *b, const char *text)
{
	char cut[EVENT_TEXT_MAX + 1] = "";

	strncpy(cut, text, EVENT_TEXT_MAX);
	buf_put_str(b, cut);
}

void event_record_put(struct buf *b, const struct event_row *row)
{
	buf_put_u32(b, row->event.number);
	buf_put_u64(b, (uint64_t)row->event.since);
	buf_put_u64(b, (uint64_t)row->event.last);
	buf_put_u64(b, (uint64_t)row->ended);
	buf_put_u64(b, row->event.count);
	record_put_text(b, row->event.what);
	record_put_text(b, row->event.text);
}

struct event_row *event_record_get(TALLOC_CTX *mem_ctx, uint64_t id,
				   struct buf *b)
{
	struct event_row *row = talloc_zero(mem_ctx, struct event_row);
	uint32_t number = buf_get_u32(b);

	if (row == NULL) {
		return NULL;
	}
	row->id = id;
	row->event.id = id;
	event_describe(&row->event, number);
	row->event.since = (int64_t)buf_get_u64(b);
	row->event.last = (int64_t)buf_get_u64(b);
	row->ended = (int64_t)buf_get_u64(b);
	row->event.count = buf_get_u64(b);
	row->event.what = talloc_strdup(row, buf_get_str(b));
	row->event.text = talloc_strdup(row, buf_get_str(b));
	if (b->error != 0 || row->event.what == NULL ||
	    row->event.text == NULL) {
		talloc_free(row);
		return NULL;
	}
	return row;
}

/* --- writing --- */

static void history_written(struct tevent_req *subreq)
{
	struct event_history *h =
		tevent_req_callback_data(subreq, struct event_history);
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret != 0 && ret != ENOENT && !h->failed) {
		log_warning("events are not kept: %s; they are in the journal "
			    "only", strerror(ret));
	}
	h->failed = ret != 0 && ret != ENOENT;
}

static void history_write(struct event_history *h, struct tevent_req *subreq)
{
	if (subreq != NULL) {
		tevent_req_set_callback(subreq, history_written, h);
	}
}

static void history_put(struct event_history *h, const struct event_row *row)
{
	uint8_t bytes[EVENT_RECORD_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	event_record_put(&b, row);
	history_write(h, store_event_put_send(h, h->ev, h->store, row->id,
					      &b));
}

static void history_changed(void *private_data, enum event_change change,
			    struct event *event)
{
	struct event_history *h = private_data;
	struct event_row row = { .event = *event };

	if (event->id == 0) {
		event->id = ++h->last_id;
		if (h->last_id > EVENT_HISTORY_MAX) {
			history_write(h, store_event_del_send(
				h, h->ev, h->store,
				h->last_id - EVENT_HISTORY_MAX));
		}
	}
	row.id = event->id;
	if (change == EVENT_CLEARED || change == EVENT_HAPPENED) {
		row.ended = change == EVENT_HAPPENED ? event->since :
			    history_now();
	}
	history_put(h, &row);
}

/* --- reading --- */

struct history_read {
	struct event_history *h;
	TALLOC_CTX *mem_ctx;
	uint64_t wanted;
	struct event_row *row;
};

/* One row, by its id. */
static bool history_row(void *private_data, uint64_t id, struct buf *b)
{
	struct history_read *r = private_data;

	if (id == r->wanted) {
		r->row = event_record_get(r->mem_ctx, id, b);
	}
	return false;
}

int event_history_get(struct event_history *h, TALLOC_CTX *mem_ctx,
		      uint64_t id, struct event_row **row)
{
	struct history_read r = { .h = h, .mem_ctx = mem_ctx, .wanted = id };
	int ret = 0;

	if (id == 0) {
		return ENOENT;
	}
	ret = store_event_each(h->store, id - 1, history_row, &r);
	if (ret == 0 && r.row == NULL) {
		ret = ENOENT;
	}
	*row = r.row;
	return ret;
}

int event_history_count(struct event_history *h, uint64_t *count)
{
	return store_event_count(h->store, count);
}

/* The id behind `id` in the order of the list; 0 = there is none. */
static uint64_t history_next(const struct event_history *h,
			     const struct event_range *range, uint64_t id)
{
	uint64_t least = h->last_id > EVENT_HISTORY_MAX ?
			 h->last_id - EVENT_HISTORY_MAX + 1 : 1;

	if (range->oldest_first) {
		id = id < least ? least : id + 1;
		return id > h->last_id ? 0 : id;
	}
	id = id == 0 || id > h->last_id ? h->last_id : id - 1;
	return id < least ? 0 : id;
}

int event_history_list(struct event_history *h, TALLOC_CTX *mem_ctx,
		       const struct event_range *range,
		       struct event_row **rows, size_t *count)
{
	struct event_row *list = talloc_zero_array(mem_ctx, struct event_row,
						   range->max);
	struct event_row *row = NULL;
	uint64_t skip = range->skip;
	uint64_t id = range->from;
	int ret = 0;

	if (list == NULL) {
		return ENOMEM;
	}
	*count = 0;
	while (*count < range->max && (id = history_next(h, range, id)) != 0) {
		ret = event_history_get(h, list, id, &row);
		if (ret == ENOENT) {
			continue;	/* not committed yet, or no record */
		}
		if (ret != 0) {
			talloc_free(list);
			return ret;
		}
		if (skip > 0) {
			skip--;
			talloc_free(row);
			continue;
		}
		list[*count] = *row;
		(*count)++;
	}
	*rows = list;
	return 0;
}

/* The last id, and what was up when cavad ended. */
static bool history_found(void *private_data, uint64_t id, struct buf *b)
{
	struct history_read *r = private_data;
	struct event_row *row = event_record_get(r->mem_ctx, id, b);

	r->h->last_id = id;
	if (row != NULL && row->ended == 0) {
		row->ended = history_now();
		history_put(r->h, row);
	}
	talloc_free(row);
	return true;
}

int event_history_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			 struct store *store, struct events *events,
			 struct event_history **result)
{
	struct event_history *h = talloc_zero(mem_ctx, struct event_history);
	struct history_read r = { .h = h };
	int ret = 0;

	if (h == NULL) {
		return ENOMEM;
	}
	h->ev = ev;
	h->store = store;
	h->events = events;
	r.mem_ctx = h;
	ret = store_event_each(store, 0, history_found, &r);
	if (ret != 0) {
		talloc_free(h);
		return ret;
	}
	events_watch(events, history_changed, h);
	*result = h;
	return 0;
}
