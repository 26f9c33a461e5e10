/*
 * Rows of threats in the database: see threat.h.
 *
 *   threat       id -> the record
 *   threat_file  ident_key(), half a SHA-256 of the name -> id
 *   threat_scan  report, NUL, id -> nothing; without a report, or when that
 *                was removed and the row is live, under the report ""
 *
 * Reads see committed rows only, so a row that is being written is in memory
 * until that is done, and is looked for there first. The indexes are written
 * before the row: one that leads nowhere is passed over.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "cavad/event.h"
#include "cavad/threat.h"
#include "common/log.h"

#define THREAT_KEY_MAX (IDENT_KEY_MAX + 16)
#define THREAT_FORGET_MAX 200	/* rows at a time */
#define THREAT_FILE_MAX 64	/* names of threats in one file */

struct threat_write {
	LIST_ENTRY(threat_write) entry;
	struct threats *all;
	struct threat *row;
	unsigned int writes;
};

struct threats {
	struct tevent_context *ev;
	struct store *store;
	struct events *events;
	uint64_t last_id;
	LIST_HEAD(, threat_write) writes;
};

static int64_t threat_now(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static size_t threat_file_key(const struct ident *ident, const char *threat,
			      uint8_t key[THREAT_KEY_MAX])
{
	uint8_t digest[DIGEST_SIZE];
	size_t len = ident_key(ident, key);

	digest_of(threat, strlen(threat), digest);
	memcpy(key + len, digest, 16);
	return len + 16;
}

/* --- reading --- */

static void threat_ignore(void *private_data, struct buf *record)
{
	(void)private_data;
	(void)record;
}

struct threat_read {
	TALLOC_CTX *mem_ctx;
	uint64_t id;
	struct threat *row;
};

static void threat_read_row(void *private_data, struct buf *record)
{
	struct threat_read *r = private_data;

	r->row = threat_get_record(r->mem_ctx, r->id, record);
	if (r->row == NULL) {
		log_warning("the record of threat %" PRIu64 " in the "
			    "database does not parse and is passed over",
			    r->id);
	}
}

static void threat_read_id(void *private_data, struct buf *record)
{
	uint64_t *id = private_data;

	*id = buf_get_u64(record);
}

/* Until the next call: 128 KiB are much to allocate for each of many. */
static struct buf threat_record(const struct threat *row)
{
	static uint8_t bytes[THREAT_RECORD_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	threat_put_record(&b, row);
	return b;
}

/* Of one that is being written. */
static struct threat *threat_copy(TALLOC_CTX *mem_ctx,
				  const struct threat *row)
{
	struct buf b = threat_record(row);

	if (b.error != 0) {
		return NULL;
	}
	b = buf_reader(b.data, b.pos);
	return threat_get_record(mem_ctx, row->id, &b);
}

static struct threat_write *threat_writing(const struct threats *t,
					   uint64_t id)
{
	struct threat_write *w = NULL;

	LIST_FOREACH(w, &t->writes, entry) {
		if (w->row->id == id) {
			return w;
		}
	}
	return NULL;
}

struct threat *threats_get(struct threats *t, TALLOC_CTX *mem_ctx,
			   uint64_t id)
{
	struct threat_write *w = threat_writing(t, id);
	struct threat_read r = { .mem_ctx = mem_ctx, .id = id };
	uint8_t key[8];

	if (w != NULL) {
		return threat_copy(mem_ctx, w->row);
	}
	(void)store_row_get(t->store, STORE_ROWS_THREAT,
			    store_number_key(id, key), threat_read_row, &r);
	return r.row;
}

struct threat *threats_find(struct threats *t, TALLOC_CTX *mem_ctx,
			    const struct ident *ident, const char *threat)
{
	uint8_t key[THREAT_KEY_MAX];
	size_t len = threat_file_key(ident, threat, key);
	struct threat_write *w = NULL;
	uint64_t id = 0;

	LIST_FOREACH(w, &t->writes, entry) {
		if (ident_equal(&w->row->ident, ident) &&
		    strcmp(w->row->threat, threat) == 0) {
			return threat_copy(mem_ctx, w->row);
		}
	}
	(void)store_row_get(t->store, STORE_ROWS_THREAT_FILE,
			    (struct db_bytes) { key, len }, threat_read_id,
			    &id);
	return id == 0 ? NULL : threats_get(t, mem_ctx, id);
}

/* --- writing --- */

static void threat_written(struct tevent_req *subreq)
{
	struct threat_write *w =
		tevent_req_callback_data(subreq, struct threat_write);
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret == ENOSPC) {
		event_raise(w->all->events, EVENT_CAVA_STORE_FULL, "",
			    "what was found in %s was not kept: raise "
			    "store_size in cavad.conf", w->row->path);
	} else if (ret != 0) {
		log_error("what was found in %s was not kept: %s",
			  w->row->path, strerror(ret));
	}
	w->writes--;
	if (w->writes == 0) {
		LIST_REMOVE(w, entry);
		talloc_free(w);
	}
}

/* An index is not waited for: it is written before the row. */
static void threat_index(struct threats *t, enum store_rows rows,
			 const void *key, size_t len, const struct buf *value)
{
	struct tevent_req *subreq = store_row_put_send(
		t, t->ev, t->store, rows, (struct db_bytes) { key, len },
		value);

	talloc_free(subreq);
}

/* Where the row of an id is as one of a report; 0 = the name is too long. */
static size_t threat_scan_key(const char *report, uint64_t id,
			      uint8_t key[DB_KEY_MAX])
{
	struct buf b = buf_writer(key, DB_KEY_MAX);
	uint8_t bytes[8];

	buf_put_bytes(&b, report, strlen(report) + 1);
	buf_put_bytes(&b, store_number_key(id, bytes).data, 8);
	return b.error == 0 ? b.pos : 0;
}

static void threat_index_report(struct threats *t, const char *report,
				uint64_t id)
{
	struct buf none = buf_writer(NULL, 0);
	uint8_t key[DB_KEY_MAX];
	size_t len = threat_scan_key(report, id, key);

	if (len != 0) {
		threat_index(t, STORE_ROWS_THREAT_SCAN, key, len, &none);
	}
}

static void threat_indexes(struct threats *t, const struct threat *row)
{
	uint8_t key[DB_KEY_MAX];
	uint8_t value[8];
	struct buf id = buf_writer(value, sizeof(value));
	size_t len = threat_file_key(&row->ident, row->threat, key);

	buf_put_u64(&id, row->id);
	threat_index(t, STORE_ROWS_THREAT_FILE, key, len, &id);
	threat_index_report(t, row->report, row->id);
}

/* Takes the row. False = no memory, and it is not written. */
static bool threat_write(struct threats *t, struct threat *row, bool indexes)
{
	struct threat_write *w = threat_writing(t, row->id);
	struct tevent_req *subreq = NULL;
	struct buf b;
	uint8_t key[8];

	if (w == NULL) {
		w = talloc_zero(t, struct threat_write);
		if (w == NULL) {
			talloc_free(row);
			return false;
		}
		w->all = t;
		LIST_INSERT_HEAD(&t->writes, w, entry);
	}
	talloc_free(w->row);
	w->row = talloc_steal(w, row);
	if (indexes) {
		threat_indexes(t, row);
	}
	b = threat_record(row);
	subreq = store_row_put_send(w, t->ev, t->store, STORE_ROWS_THREAT,
				    store_number_key(row->id, key), &b);
	if (subreq == NULL) {
		if (w->writes == 0) {
			LIST_REMOVE(w, entry);
			talloc_free(w);
		}
		return false;
	}
	w->writes++;
	tevent_req_set_callback(subreq, threat_written, w);
	return true;
}

static struct threat *threat_new(struct threats *t)
{
	struct threat *row = talloc_zero(t, struct threat);

	if (row != NULL) {
		row->id = ++t->last_id;
		row->found = threat_now();
	}
	return row;
}

/* What the new finding says, into the row; "" says nothing. */
static bool threat_take(struct threat *row, const struct threat *found)
{
	bool ok = true;

#define F(name) \
	if (row->name == NULL || found->name[0] != '\0') { \
		row->name = talloc_strdup(row, found->name); \
		ok = ok && row->name != NULL; \
	}
	F(path) F(threat) F(engine) F(server) F(source) F(user) F(client)
	F(share) F(report)
#undef F
	row->ident = found->ident;
	row->content = found->content;
	row->stamp = found->stamp;
	row->hashed = found->hashed;
	memcpy(row->digest, found->digest, sizeof(row->digest));
	row->allow = found->allow;
	row->last = threat_now();
	row->count++;
	return ok;
}

uint64_t threats_found(struct threats *t, const struct threat *found,
		       enum threat_state state, const char *who,
		       const char *why)
{
	struct threat *row = threats_find(t, t, &found->ident, found->threat);
	bool fresh = row == NULL;
	bool ok = true;
	uint64_t id = 0;

	if (fresh) {
		row = threat_new(t);
	}
	if (row == NULL || !threat_take(row, found)) {
		talloc_free(row);
		return 0;
	}
	if (fresh || row->state != state) {
		ok = threat_change(row, state, threat_now(), who, why);
	}
	id = row->id;
	if (!ok) {
		talloc_free(row);
		return 0;
	}
	if (found->also != NULL) {
		threat_index_report(t, found->also, id);
	}
	return threat_write(t, row, true) ? id : 0;
}

int threats_change(struct threats *t, uint64_t id, enum threat_state state,
		   uint64_t allow, const char *who, const char *why)
{
	struct threat *row = threats_get(t, t, id);

	if (row == NULL) {
		return ENOENT;
	}
	row->allow = allow;
	if (!threat_change(row, state, threat_now(), who, why)) {
		talloc_free(row);
		return ENOMEM;
	}
	return threat_write(t, row, false) ? 0 : ENOMEM;
}

/* --- of one file --- */

struct threat_ids {
	uint8_t prefix[IDENT_KEY_MAX];
	size_t len;
	uint64_t ids[THREAT_FILE_MAX];
	size_t count;
};

static void threat_ids_add(struct threat_ids *f, uint64_t id)
{
	size_t i = 0;

	for (i = 0; i < f->count; i++) {
		if (f->ids[i] == id) {
			return;
		}
	}
	if (f->count < THREAT_FILE_MAX) {
		f->ids[f->count++] = id;
	}
}

static bool threat_of_file(void *private_data, struct db_bytes key,
			   struct buf *record)
{
	struct threat_ids *f = private_data;

	if (key.len != f->len + 16 ||
	    memcmp(key.data, f->prefix, f->len) != 0) {
		return key.len >= f->len &&	/* a stream's is longer */
			memcmp(key.data, f->prefix, f->len) == 0;
	}
	threat_ids_add(f, buf_get_u64(record));
	return true;
}

void threats_change_file(struct threats *t, const struct ident *ident,
			 unsigned int from, enum threat_state state,
			 const char *who, const char *why)
{
	struct threat_ids f = { .count = 0 };
	struct threat_write *w = NULL;
	struct threat *row = NULL;
	size_t i = 0;

	f.len = ident_key(ident, f.prefix);
	(void)store_row_each(t->store, STORE_ROWS_THREAT_FILE,
			     (struct db_bytes) { f.prefix, f.len }, false,
			     threat_of_file, &f);
	LIST_FOREACH(w, &t->writes, entry) {
		if (ident_equal(&w->row->ident, ident)) {
			threat_ids_add(&f, w->row->id);
		}
	}
	for (i = 0; i < f.count; i++) {
		row = threats_get(t, t, f.ids[i]);
		if (row != NULL && row->state != state &&
		    (from & 1U << row->state) != 0) {
			(void)threats_change(t, row->id, state, 0, who, why);
		}
		talloc_free(row);
	}
}

/* --- lists --- */

struct threats_list {
	struct threats *t;
	const struct threats_range *range;
	TALLOC_CTX *mem_ctx;
	bool (*fn)(void *private_data, struct threat *threat);
	void *private_data;
	size_t looked;
	uint64_t last;
	bool more;
};

static bool threats_look(struct threats_list *l, struct threat *row,
			 uint64_t id)
{
	bool more = true;

	l->looked++;
	l->last = id;
	if (row != NULL) {
		more = l->fn(l->private_data, row);
		talloc_free(row);
	}
	l->more = !more || l->looked >= l->range->looks;
	return !l->more;
}

static bool threats_row(void *private_data, struct db_bytes key,
			struct buf *record)
{
	struct threats_list *l = private_data;
	uint64_t id = store_number(key);

	return threats_look(l, threat_get_record(l->mem_ctx, id, record), id);
}

/* 0 = the key is one of another report. */
static uint64_t threats_scan_id(const char *report, struct db_bytes key)
{
	size_t len = strlen(report) + 1;
	const uint8_t *bytes = key.data;

	if (key.len != len + 8 || memcmp(bytes, report, len) != 0) {
		return 0;
	}
	return store_number((struct db_bytes) { bytes + len, 8 });
}

static bool threats_scan_row(void *private_data, struct db_bytes key,
			     struct buf *record)
{
	struct threats_list *l = private_data;
	uint64_t id = threats_scan_id(l->range->report, key);

	(void)record;
	return id != 0 &&
		threats_look(l, threats_get(l->t, l->mem_ctx, id), id);
}

/* Before the first, or behind the last of a report. */
static size_t threats_scan_key(const struct threats_range *range,
			       uint8_t key[DB_KEY_MAX])
{
	uint64_t id = range->from;

	if (id == 0 && !range->oldest_first) {
		id = UINT64_MAX;
	}
	return threat_scan_key(range->report, id, key);
}

int threats_each(struct threats *t, const struct threats_range *range,
		 bool (*fn)(void *private_data, struct threat *threat),
		 void *private_data, uint64_t *last)
{
	struct threats_list l = { .t = t, .range = range, .fn = fn,
				  .private_data = private_data };
	uint8_t key[DB_KEY_MAX];
	struct db_bytes from = { 0 };
	int ret = 0;

	l.mem_ctx = talloc_new(t);
	if (range->report != NULL) {
		from = (struct db_bytes) { key, threats_scan_key(range, key) };
		ret = from.len == 0 ? 0 : store_row_each(
			t->store, STORE_ROWS_THREAT_SCAN, from,
			!range->oldest_first, threats_scan_row, &l);
	} else {
		from = range->from == 0 ? from :
			store_number_key(range->from, key);
		ret = store_row_each(t->store, STORE_ROWS_THREAT, from,
				     !range->oldest_first, threats_row, &l);
	}
	talloc_free(l.mem_ctx);
	*last = l.more ? l.last : 0;
	return ret;
}

int threats_count(struct threats *t, uint64_t *count)
{
	return store_row_count(t->store, STORE_ROWS_THREAT, count);
}

/* --- a report goes --- */

struct threat_forget {
	const char *report;
	uint64_t ids[THREAT_FORGET_MAX];
	size_t count;
};

static bool threat_forget_row(void *private_data, struct db_bytes key,
			      struct buf *record)
{
	struct threat_forget *f = private_data;
	uint64_t id = threats_scan_id(f->report, key);

	(void)record;
	if (id != 0) {
		f->ids[f->count++] = id;
	}
	return id != 0 && f->count < THREAT_FORGET_MAX;
}

/* Not waited for: the index of the report is removed behind it. */
static void threat_forget(struct threats *t, const struct threat *row)
{
	uint8_t key[THREAT_KEY_MAX];
	uint8_t number[8];
	size_t len = threat_file_key(&row->ident, row->threat, key);
	struct tevent_req *subreq = NULL;

	subreq = store_row_del_send(t, t->ev, t->store, STORE_ROWS_THREAT,
				    store_number_key(row->id, number));
	talloc_free(subreq);
	subreq = store_row_del_send(t, t->ev, t->store,
				    STORE_ROWS_THREAT_FILE,
				    (struct db_bytes) { key, len });
	talloc_free(subreq);
}

static bool threat_is_live(const struct threat *row)
{
	return (THREAT_LIVE & 1U << row->state) != 0;
}

/* Its report goes: what somebody may still need stays without one. */
static void threat_leave(struct threats *t, const struct threat *row)
{
	if (threat_is_live(row)) {
		threat_index_report(t, "", row->id);
	} else {
		threat_forget(t, row);
	}
}

struct tevent_req *threats_forget_send(TALLOC_CTX *mem_ctx,
				       struct threats *t, const char *report)
{
	struct threats_range range = { .oldest_first = true,
				       .report = report };
	struct threat_forget f = { .report = report };
	struct tevent_req *subreq = NULL;
	struct threat *row = NULL;
	uint8_t key[DB_KEY_MAX];
	struct db_bytes k = { key, threats_scan_key(&range, key) };
	size_t i = 0;

	if (k.len == 0) {
		return NULL;	/* too long a name has no index */
	}
	(void)store_row_each(t->store, STORE_ROWS_THREAT_SCAN, k, false,
			     threat_forget_row, &f);
	for (i = 0; i < f.count; i++) {
		row = threats_get(t, t, f.ids[i]);
		if (row != NULL && strcmp(row->report, report) == 0) {
			threat_leave(t, row);
		}
		talloc_free(row);
		k.len = threat_scan_key(report, f.ids[i], key);
		talloc_free(subreq);
		subreq = store_row_del_send(mem_ctx, t->ev, t->store,
					    STORE_ROWS_THREAT_SCAN, k);
	}
	return subreq;
}

/* --- those without a report --- */

static bool threat_has_report(struct threats *t, const struct threat *row)
{
	uint8_t key[DB_KEY_MAX];
	size_t len = threat_scan_key(row->report, row->id, key);
	int ret = row->report[0] == '\0' || len == 0 ? ENOENT :
		store_row_get(t->store, STORE_ROWS_THREAT_SCAN,
			      (struct db_bytes) { key, len }, threat_ignore,
			      NULL);

	return ret == 0;
}

/* When something happened to it last, s since the epoch. */
static time_t threat_age(const struct threat *row)
{
	int64_t last = row->last;

	if (row->changes > 0 && row->history[row->changes - 1].when > last) {
		last = row->history[row->changes - 1].when;
	}
	return (time_t)(last / 1000000000);
}

/* True: it is one without a report no more. */
static bool threat_expire(struct threats *t, const struct threat *row,
			  time_t before)
{
	if (row == NULL || threat_has_report(t, row)) {
		return true;
	}
	if (threat_is_live(row) || threat_age(row) >= before ||
	    threat_writing(t, row->id) != NULL) {
		return false;
	}
	threat_forget(t, row);
	return true;
}

unsigned int threats_expire(struct threats *t, time_t before,
			    uint64_t *from)
{
	struct threat_forget f = { .report = "" };
	struct threat *row = NULL;
	uint8_t key[DB_KEY_MAX];
	struct db_bytes k = { key, threat_scan_key("", *from, key) };
	unsigned int gone = 0;
	bool over = false;
	size_t i = 0;

	(void)store_row_each(t->store, STORE_ROWS_THREAT_SCAN, k, false,
			     threat_forget_row, &f);
	for (i = 0; i < f.count; i++) {
		row = threats_get(t, t, f.ids[i]);
		over = threat_expire(t, row, before);
		talloc_free(row);
		if (over) {
			k.len = threat_scan_key("", f.ids[i], key);
			talloc_free(store_row_del_send(
				t, t->ev, t->store, STORE_ROWS_THREAT_SCAN,
				k));
			gone++;
		}
	}
	*from = f.count < THREAT_FORGET_MAX ? 0 : f.ids[f.count - 1];
	return gone;
}

/* --- all --- */

static bool threats_last(void *private_data, struct db_bytes key,
			 struct buf *record)
{
	struct threats *t = private_data;

	(void)record;
	t->last_id = store_number(key);
	return false;
}

int threats_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   struct store *store, struct events *events,
		   struct threats **result)
{
	struct threats *t = talloc_zero(mem_ctx, struct threats);
	int ret = 0;

	if (t == NULL) {
		return ENOMEM;
	}
	t->ev = ev;
	t->store = store;
	t->events = events;
	ret = store_row_each(store, STORE_ROWS_THREAT,
			     (struct db_bytes) { 0 }, true, threats_last, t);
	if (ret != 0) {
		talloc_free(t);
		return ret;
	}
	*result = t;
	return 0;
}
