/*
 * Events that were and are: see event_history.h.
 *
 * A row is written when its event goes up, each time the count reaches a
 * power of ten, and when it is over; what happens without lasting is a row
 * that is over at once. Writes go to the writer thread and are not waited
 * for: the journal has the line in any case. Ids count up, so the newest row
 * is the last one, and the one EVENT_HISTORY_MAX before it is removed.
 *
 * Each write of a row has a number (row.change), so that whoever passes events
 * on (event_delivery.c) needs to remember one number over a restart.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/event_history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"

struct event_history {
	struct tevent_context *ev;
	struct store *store;
	struct events *events;
	uint64_t last_id;
	uint64_t last_change;
	void (*watch)(void *private_data, enum event_change change,
		      const struct event_row *row);
	void *watch_private;
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

static void record_put_text(struct buf *b, const char *text, size_t max)
{
	char cut[EVENT_PATH_MAX + 1] = "";

	strncpy(cut, text, max);
	buf_put_str(b, cut);
}

/* As many as fit. */
static void record_put_details(struct buf *b, const struct event_detail *d)
{
	uint8_t count = 0;
	size_t at = b->pos;

	buf_put_u8(b, 0);
	for (; d != NULL && d->name != NULL && count < EVENT_DETAILS_MAX;
	     d++) {
		struct buf before = *b;

		buf_put_str(b, d->name);
		record_put_text(b, d->value, strcmp(d->name, "path") == 0 ?
				EVENT_PATH_MAX : EVENT_TEXT_MAX);
		if (b->error != 0) {
			*b = before;
			break;
		}
		count++;
	}
	b->data[at] = count;
}

void event_record_put(struct buf *b, const struct event_row *row)
{
	buf_put_u32(b, row->event.number);
	buf_put_u64(b, (uint64_t)row->event.since);
	buf_put_u64(b, (uint64_t)row->event.last);
	buf_put_u64(b, (uint64_t)row->ended);
	buf_put_u64(b, row->event.count);
	record_put_text(b, row->event.what, EVENT_TEXT_MAX);
	record_put_text(b, row->event.text, EVENT_TEXT_MAX);
	buf_put_u64(b, row->change);
	record_put_details(b, row->event.details);
}

/* False: it does not parse, or there is no memory. */
static bool record_get_details(struct event_row *row, struct buf *b)
{
	uint8_t count = buf_get_u8(b);
	struct event_detail *details = NULL;
	uint8_t i = 0;

	if (count > EVENT_DETAILS_MAX) {
		return false;
	}
	details = talloc_zero_array(row, struct event_detail, count + 1);
	for (i = 0; details != NULL && i < count; i++) {
		details[i].name = talloc_strdup(details, buf_get_str(b));
		details[i].value = talloc_strdup(details, buf_get_str(b));
		if (details[i].name == NULL || details[i].value == NULL) {
			return false;
		}
	}
	row->event.details = details;
	return details != NULL && b->error == 0;
}

struct event_row *event_record_get(TALLOC_CTX *mem_ctx, uint64_t id,
				   struct buf *b)
{
	struct event_row *row = talloc_zero(mem_ctx, struct event_row);
	uint32_t number = buf_get_u32(b);
	bool good = false;

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
	good = b->error == 0 && row->event.what != NULL &&
	       row->event.text != NULL;
	if (good && buf_left(b) > 0) {	/* else of an old version */
		row->change = buf_get_u64(b);
		good = record_get_details(row, b);
	}
	if (!good) {
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

static void history_put(struct event_history *h, struct event_row *row)
{
	uint8_t bytes[EVENT_RECORD_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	row->change = ++h->last_change;
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
	if (h->watch != NULL) {
		h->watch(h->watch_private, change, &row);
	}
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

struct history_rows {
	struct event_history *h;
	uint64_t after;		/* number of a change */
	struct event_row **rows;
	size_t count;
	int error;
};

static bool history_keep(struct history_rows *r, struct event_row *row)
{
	struct event_row **rows = talloc_realloc(
		r->h, r->rows, struct event_row *, r->count + 1);

	if (rows == NULL) {
		r->error = ENOMEM;
		talloc_free(row);
		return false;
	}
	r->rows = rows;
	r->rows[r->count] = talloc_steal(r->rows, row);
	r->count++;
	return true;
}

/* The last numbers, and what was up when cavad ended. */

static bool history_found(void *private_data, uint64_t id, struct buf *b)
{
	struct history_rows *r = private_data;
	struct event_history *h = r->h;
	struct event_row *row = event_record_get(h, id, b);

	h->last_id = id;
	if (row != NULL && row->change > h->last_change) {
		h->last_change = row->change;
	}
	if (row == NULL || row->ended != 0) {
		talloc_free(row);
		return true;
	}
	return history_keep(r, row);
}

/* What was up is over. Numbers of changes go on where they ended. */
static int history_start(struct event_history *h)
{
	struct history_rows r = { .h = h };
	size_t i = 0;
	int ret = store_event_each(h->store, 0, history_found, &r);

	ret = ret != 0 ? ret : r.error;
	for (i = 0; ret == 0 && i < r.count; i++) {
		r.rows[i]->ended = history_now();
		history_put(h, r.rows[i]);
	}
	talloc_free(r.rows);
	store_flush(h->store);	/* event_history_watch() reads them */
	return ret;
}

/* Those that have changed since then. */
static bool history_changed_since(void *private_data, uint64_t id,
				  struct buf *b)
{
	struct history_rows *r = private_data;
	struct event_row *row = event_record_get(r->h, id, b);

	if (row == NULL || row->change <= r->after) {
		talloc_free(row);
		return true;
	}
	return history_keep(r, row);
}

/* .what, or a detail "path". */
static bool history_is_about(const struct event_row *row, const char *path)
{
	const struct event_detail *d = row->event.details;

	if (strcmp(row->event.what, path) == 0) {
		return true;
	}
	for (; d != NULL && d->name != NULL; d++) {
		if (strcmp(d->name, "path") == 0 &&
		    strcmp(d->value, path) == 0) {
			return true;
		}
	}
	return false;
}

struct history_about {
	struct history_rows rows;
	const char *path;
};

static bool history_about(void *private_data, uint64_t id, struct buf *b)
{
	struct history_about *a = private_data;
	struct event_row *row = event_record_get(a->rows.h, id, b);

	if (row == NULL || !history_is_about(row, a->path)) {
		talloc_free(row);
		return true;
	}
	return history_keep(&a->rows, row);
}

int event_history_about(struct event_history *h, const char *path,
			bool (*fn)(void *private_data,
				   const struct event_row *row),
			void *private_data)
{
	struct history_about a = { .rows = { .h = h }, .path = path };
	uint64_t after = h->last_id > EVENT_HISTORY_RECENT ?
			 h->last_id - EVENT_HISTORY_RECENT : 0;
	size_t i = 0;
	int ret = store_event_each(h->store, after, history_about, &a);

	ret = ret != 0 ? ret : a.rows.error;
	for (i = a.rows.count; ret == 0 && i > 0; i--) {
		if (!fn(private_data, a.rows.rows[i - 1])) {
			break;
		}
	}
	talloc_free(a.rows.rows);
	return ret;
}

static int history_order(const void *a, const void *b)
{
	const struct event_row *const *x = a;
	const struct event_row *const *y = b;

	return (*x)->change < (*y)->change ? -1 :
	       (*x)->change > (*y)->change;
}

int event_history_watch(struct event_history *h, uint64_t after,
			void (*fn)(void *private_data,
				   enum event_change change,
				   const struct event_row *row),
			void *private_data)
{
	struct history_rows r = { .h = h, .after = after };
	const struct event_row *row = NULL;
	size_t i = 0;
	int ret = 0;

	if (after < h->last_change) {
		ret = store_event_each(h->store, 0, history_changed_since,
				       &r);
		ret = ret != 0 ? ret : r.error;
	}
	if (ret == 0 && r.count > 0) {
		qsort(r.rows, r.count, sizeof(r.rows[0]), history_order);
	}
	for (i = 0; ret == 0 && i < r.count; i++) {
		row = r.rows[i];
		fn(private_data, row->ended == 0 ? EVENT_RAISED :
		   row->ended == row->event.since ? EVENT_HAPPENED :
		   EVENT_CLEARED, row);
	}
	talloc_free(r.rows);
	h->watch = fn;
	h->watch_private = private_data;
	return ret;
}

uint64_t event_history_changes(const struct event_history *h)
{
	return h->last_change;
}

int event_history_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			 struct store *store, struct events *events,
			 struct event_history **result)
{
	struct event_history *h = talloc_zero(mem_ctx, struct event_history);
	int ret = 0;

	if (h == NULL) {
		return ENOMEM;
	}
	h->ev = ev;
	h->store = store;
	h->events = events;
	ret = history_start(h);
	if (ret != 0) {
		talloc_free(h);
		return ret;
	}
	events_watch(events, history_changed, h);
	*result = h;
	return 0;
}
