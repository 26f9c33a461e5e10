/*
 * What is in the database, as bytes.
 *
 * Numbers in values are little-endian (buf.h), in keys big-endian. A reader
 * ignores what follows the fields it knows, so that a later version can add
 * some without a migration; what earlier versions would misunderstand needs
 * a new STORE_VERSION, which they refuse to open.
 *
 * meta: "version" -> u32 01000000; else text without terminator
 *
 * pending: ident_key() -> a scan that is owed, here of kind CLOSE, since
 * 1 ns after the epoch, of inode 2 of file system 1 (birth time unknown, no
 * handle), path "/s/a", user "u", client "c":
 *
 *   01                                      u8 kind
 *   0100000000000000                        i64 since, ns
 *   ...                                     ident (ident.h)
 *   0400 2f732f61 00                        path
 *   0100 75 00   0100 63 00                 user, client
 *
 * result: ident_key() -> i64 ctime in ns that the verdict was true for, then
 * its record (verdict.h), whose tagged fields are what can be added to.
 *
 * avvendor: the account's name -> i64 added, ns:
 *
 *   "DOM\svc" -> 0200000000000000
 *
 * zone: zone, NUL, share, in small letters -> i64 since, str zone, str
 * share, str root:
 *
 *   "sales\0docs" -> 0200000000000000 0500 53616c6573 00 (Sales)
 *                    0400 446f6373 00 (Docs)   0600 2f7372762f64 00
 *
 * event: its id, u64 -> its record (event_history.c)
 * run: number of the run, u64 -> its record (job_run.h)
 * object: class, NUL, name -> pairs of str field, str text (store_object.c)
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cavad/store_private.h"
#include "cavad/store_row.h"
#include "common/buf.h"
#include "common/log.h"

#define STORE_VERSION 1
#define STORE_VALUE_MAX 16384

static const char *const store_tables[] = {
	[STORE_META] = "meta", [STORE_PENDING] = "pending",
	[STORE_RESULT] = "result", [STORE_AVVENDOR] = "avvendor",
	[STORE_ZONE] = "zone", [STORE_RUN] = "run",
	[STORE_EVENT] = "event", [STORE_OBJECT] = "object",
	[STORE_REPORT] = "report",
	[STORE_REPORT_INDEX] = "report_index",
	[STORE_THREAT] = "threat", [STORE_THREAT_FILE] = "threat_file",
	[STORE_THREAT_SCAN] = "threat_scan", [STORE_ALLOW] = "allow", NULL
};

/* The thread ends before the database closes. */
static int store_destructor(struct store *s)
{
	TALLOC_FREE(s->writer);
	TALLOC_FREE(s->db);
	return 0;
}

int store_open(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
	       const char *dir, uint64_t size_max, struct store **result)
{
	struct store *s = NULL;
	int ret;

	s = talloc_zero(mem_ctx, struct store);
	if (s == NULL) {
		return ENOMEM;
	}
	talloc_set_destructor(s, store_destructor);
	ret = db_open(s, dir, size_max, store_tables, STORE_VERSION, &s->db);
	if (ret != 0) {
		talloc_free(s);
		return ret;
	}
	ret = store_writer_create(s, ev, s->db, &s->writer);
	if (ret != 0) {
		talloc_free(s);
		return ret;
	}
	*result = s;
	return 0;
}

bool store_is_busy(struct store *s)
{
	return store_writer_is_busy(s->writer);
}

void store_flush(struct store *s)
{
	store_writer_flush(s->writer);
}

static struct db_bytes store_text(const char *s)
{
	return (struct db_bytes) { .data = s, .len = strlen(s) };
}

/* A text as a key: 0 or errno. */
static int store_text_key(const char *s, struct db_bytes *key)
{
	*key = store_text(s);
	if (key->len == 0) {
		return EINVAL;
	}
	return key->len <= DB_KEY_MAX ? 0 : ENAMETOOLONG;
}

static int store_meta_key(const char *s, struct db_bytes *key)
{
	if (strcmp(s, "version") == 0) {
		return EINVAL;
	}
	return store_text_key(s, key);
}

static struct db_bytes store_ident_key(const struct ident *ident,
				       uint8_t bytes[IDENT_KEY_MAX])
{
	size_t len = ident_key(ident, bytes);

	return (struct db_bytes) { .data = bytes, .len = len };
}

/* Writes. */

int store_write_recv(struct tevent_req *req)
{
	return store_writer_recv(req);
}

struct tevent_req *store_pending_put_send(TALLOC_CTX *mem_ctx,
					  struct tevent_context *ev,
					  struct store *s,
					  const struct store_pending *p)
{
	uint8_t key[IDENT_KEY_MAX];
	uint8_t value[STORE_VALUE_MAX];
	struct buf b = buf_writer(value, sizeof(value));
	struct store_change change;

	buf_put_u8(&b, p->kind);
	buf_put_u64(&b, (uint64_t)p->since);
	ident_put(&b, &p->ident);
	buf_put_str(&b, p->path);
	buf_put_str(&b, p->user);
	buf_put_str(&b, p->client);
	change = (struct store_change) {
		.kind = STORE_PUT,
		.table = STORE_PENDING,
		.key = store_ident_key(&p->ident, key),
		.value = { value, b.pos },
	};
	return store_writer_send(mem_ctx, ev, s->writer, &change, b.error);
}

struct tevent_req *store_pending_del_send(TALLOC_CTX *mem_ctx,
					  struct tevent_context *ev,
					  struct store *s,
					  const struct ident *ident)
{
	uint8_t key[IDENT_KEY_MAX];
	const struct store_change change = {
		.kind = STORE_DEL,
		.patient = true,
		.table = STORE_PENDING,
		.key = store_ident_key(ident, key),
	};

	return store_writer_send(mem_ctx, ev, s->writer, &change, 0);
}

struct tevent_req *store_result_put_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct store *s,
					 const struct ident *ident,
					 const struct verdict *v)
{
	uint8_t key[IDENT_KEY_MAX];
	uint8_t record[VERDICT_RECORD_MAX];
	uint8_t value[8 + VERDICT_RECORD_MAX];
	struct buf b = buf_writer(value, sizeof(value));
	struct store_change change;
	size_t len;

	len = verdict_encode(v, record, sizeof(record));
	buf_put_u64(&b, (uint64_t)v->content.ctime);
	buf_put_bytes(&b, record, len);
	change = (struct store_change) {
		.kind = STORE_PUT,
		.table = STORE_RESULT,
		.key = store_ident_key(ident, key),
		.value = { value, b.pos },
	};
	return store_writer_send(mem_ctx, ev, s->writer, &change,
				 len == 0 ? EMSGSIZE : b.error);
}

struct tevent_req *store_avvendor_put_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   struct store *s,
					   const char *account, int64_t added)
{
	uint8_t value[8];
	struct buf b = buf_writer(value, sizeof(value));
	struct store_change change = {
		.kind = STORE_PUT,
		.table = STORE_AVVENDOR,
		.value = { value, sizeof(value) },
	};
	int ret;

	buf_put_u64(&b, (uint64_t)added);
	ret = store_text_key(account, &change.key);
	return store_writer_send(mem_ctx, ev, s->writer, &change, ret);
}

struct tevent_req *store_avvendor_del_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   struct store *s,
					   const char *account)
{
	struct store_change change = {
		.kind = STORE_DEL_EXISTING,
		.table = STORE_AVVENDOR,
	};
	int ret;

	ret = store_text_key(account, &change.key);
	return store_writer_send(mem_ctx, ev, s->writer, &change, ret);
}

struct tevent_req *store_meta_put_send(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       struct store *s, const char *key,
				       const char *value)
{
	struct store_change change = {
		.kind = STORE_PUT,
		.table = STORE_META,
		.value = store_text(value),
	};
	int ret;

	ret = store_meta_key(key, &change.key);
	if (ret == 0 && change.value.len > STORE_VALUE_MAX) {
		ret = EMSGSIZE;
	}
	return store_writer_send(mem_ctx, ev, s->writer, &change, ret);
}

/* 0 or ENAMETOOLONG */
static int store_zone_key(const struct store_zone *z,
			  uint8_t bytes[DB_KEY_MAX], struct db_bytes *key)
{
	size_t zone = strlen(z->zone);
	size_t share = strlen(z->share);
	size_t i;

	if (zone + 1 + share > DB_KEY_MAX) {
		return ENAMETOOLONG;
	}
	memcpy(bytes, z->zone, zone + 1);
	memcpy(bytes + zone + 1, z->share, share);
	for (i = 0; i < zone + 1 + share; i++) {
		bytes[i] = (uint8_t)tolower(bytes[i]);
	}
	*key = (struct db_bytes) { bytes, zone + 1 + share };
	return 0;
}

struct tevent_req *store_zone_put_send(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       struct store *s,
				       const struct store_zone *z)
{
	uint8_t key[DB_KEY_MAX];
	uint8_t value[STORE_VALUE_MAX];
	struct buf b = buf_writer(value, sizeof(value));
	struct store_change change = {
		.kind = STORE_PUT,
		.table = STORE_ZONE,
	};
	int ret;

	buf_put_u64(&b, (uint64_t)z->since);
	buf_put_str(&b, z->zone);
	buf_put_str(&b, z->share);
	buf_put_str(&b, z->root);
	change.value = (struct db_bytes) { value, b.pos };
	ret = store_zone_key(z, key, &change.key);
	return store_writer_send(mem_ctx, ev, s->writer, &change,
				 ret != 0 ? ret : b.error);
}

struct tevent_req *store_zone_del_send(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       struct store *s,
				       const struct store_zone *z)
{
	uint8_t key[DB_KEY_MAX];
	struct store_change change = {
		.kind = STORE_DEL,
		.table = STORE_ZONE,
	};
	int ret = store_zone_key(z, key, &change.key);

	return store_writer_send(mem_ctx, ev, s->writer, &change, ret);
}

/* Reads. */

/* Trailing bytes are later versions' fields. 0, EBADMSG, ENOMEM. */
static int store_pending_decode(TALLOC_CTX *mem_ctx, struct db_bytes value,
				struct store_pending **result)
{
	struct buf b = buf_reader(value.data, value.len);
	struct store_pending *p = NULL;
	const char *path = NULL, *user = NULL, *client = NULL;

	p = talloc_zero(mem_ctx, struct store_pending);
	if (p == NULL) {
		return ENOMEM;
	}
	p->kind = buf_get_u8(&b);
	p->since = (int64_t)buf_get_u64(&b);
	ident_get(&b, &p->ident);
	path = buf_get_str(&b);
	user = buf_get_str(&b);
	client = buf_get_str(&b);
	if (b.error != 0) {
		talloc_free(p);
		return EBADMSG;
	}
	p->path = talloc_strdup(p, path);
	p->user = talloc_strdup(p, user);
	p->client = talloc_strdup(p, client);
	if (p->path == NULL || p->user == NULL || p->client == NULL) {
		talloc_free(p);
		return ENOMEM;
	}
	*result = p;
	return 0;
}

/* ctime, record. 0 or EBADMSG. */
static int store_result_decode(struct db_bytes value, struct verdict *v)
{
	struct buf b = buf_reader(value.data, value.len);
	int64_t ctime;
	int ret;

	ctime = (int64_t)buf_get_u64(&b);
	if (b.error != 0) {
		return EBADMSG;
	}
	ret = verdict_decode(b.data + b.pos, buf_left(&b), v);
	if (ret != 0) {
		return ret;
	}
	v->content.ctime = ctime;
	return 0;
}

int store_pending_get(struct store *s, TALLOC_CTX *mem_ctx,
		      const struct ident *ident, struct store_pending **p)
{
	uint8_t key[IDENT_KEY_MAX];
	struct db_bytes value;
	struct db_txn t;
	bool there;

	db_begin(s->db, DB_READ, &t);
	there = db_get(&t, STORE_PENDING, store_ident_key(ident, key),
		       &value);
	if (there) {
		t.error = store_pending_decode(mem_ctx, value, p);
	} else if (t.error == 0) {
		t.error = ENOENT;
	}
	return db_end(&t);
}

int store_result_get(struct store *s, const struct ident *ident,
		     struct verdict *v)
{
	uint8_t key[IDENT_KEY_MAX];
	struct db_bytes value;
	struct db_txn t;
	bool there;

	db_begin(s->db, DB_READ, &t);
	there = db_get(&t, STORE_RESULT, store_ident_key(ident, key), &value);
	if (there) {
		t.error = store_result_decode(value, v);
	} else if (t.error == 0) {
		t.error = ENOENT;
	}
	return db_end(&t);
}

int store_meta_get(struct store *s, TALLOC_CTX *mem_ctx, const char *key,
		   char **value)
{
	struct db_bytes k, v;
	struct db_txn t;
	bool there;
	int ret;

	ret = store_meta_key(key, &k);
	if (ret != 0) {
		return ret;
	}
	db_begin(s->db, DB_READ, &t);
	there = db_get(&t, STORE_META, k, &v);
	if (there) {
		*value = talloc_strndup(mem_ctx, v.data, v.len);
		t.error = *value == NULL ? ENOMEM : 0;
	} else if (t.error == 0) {
		t.error = ENOENT;
	}
	return db_end(&t);
}

struct store_pending_page {
	struct store_pending **list;
	size_t count;
	size_t max;
	int error;
};

/* A record that does not parse must not hide those behind it. */
static bool store_pending_row(void *private_data, struct db_bytes key,
			      struct db_bytes value)
{
	struct store_pending_page *page = private_data;
	struct store_pending *p = NULL;
	int ret;

	(void)key;
	ret = store_pending_decode(page->list, value, &p);
	if (ret == EBADMSG) {
		log_warning("an owed scan in the database does not parse "
			    "(%zu bytes) and is passed over", value.len);
		return true;
	}
	if (ret != 0) {
		page->error = ret;
		return false;
	}
	page->list[page->count] = p;
	page->count++;
	return page->count < page->max;
}

int store_pending_list(struct store *s, TALLOC_CTX *mem_ctx,
		       const struct ident *after, size_t max,
		       struct store_pending ***list)
{
	struct store_pending_page page = { .max = max };
	struct db_bytes from = { 0 };
	uint8_t key[IDENT_KEY_MAX];
	struct db_txn t;
	int ret;

	page.list = talloc_zero_array(mem_ctx, struct store_pending *,
				      max + 1);
	if (page.list == NULL) {
		return ENOMEM;
	}
	if (after != NULL) {
		from = store_ident_key(after, key);
	}
	db_begin(s->db, DB_READ, &t);
	if (max > 0) {
		db_each(&t, STORE_PENDING, from, store_pending_row, &page);
	}
	ret = db_end(&t);
	if (ret == 0) {
		ret = page.error;
	}
	if (ret != 0) {
		talloc_free(page.list);
		return ret;
	}
	*list = page.list;
	return 0;
}

int store_pending_count(struct store *s, uint64_t *count, uint64_t *used)
{
	struct db_txn t;

	db_begin(s->db, DB_READ, &t);
	*count = db_count(&t, STORE_PENDING);
	if (used != NULL) {
		*used = db_used(&t);
	}
	return db_end(&t);
}

struct store_accounts {
	struct store_account *list;
	size_t count;
	size_t size;		/* without the end */
};

static bool store_account_row(void *private_data, struct db_bytes key,
			      struct db_bytes value)
{
	struct store_accounts *a = private_data;
	struct buf b = buf_reader(value.data, value.len);
	struct store_account *account = &a->list[a->count];

	if (a->count == a->size) {
		return false;
	}
	account->name = talloc_strndup(a->list, key.data, key.len);
	account->added = (int64_t)buf_get_u64(&b);
	a->count++;
	return account->name != NULL;
}

int store_avvendor_list(struct store *s, TALLOC_CTX *mem_ctx,
			struct store_account **list)
{
	struct store_accounts a = { 0 };
	struct db_txn t;
	int ret;

	db_begin(s->db, DB_READ, &t);
	a.size = db_count(&t, STORE_AVVENDOR);
	a.list = talloc_zero_array(mem_ctx, struct store_account, a.size + 1);
	if (a.list == NULL) {
		db_end(&t);
		return ENOMEM;
	}
	db_each(&t, STORE_AVVENDOR, (struct db_bytes) { 0 },
		store_account_row, &a);
	ret = db_end(&t);
	if (ret == 0 && a.count > 0 && a.list[a.count - 1].name == NULL) {
		ret = ENOMEM;
	}
	if (ret != 0) {
		talloc_free(a.list);
		return ret;
	}
	*list = a.list;
	return 0;
}

struct store_zones {
	struct store_zone *list;
	size_t count;
	size_t size;		/* without the end */
	int error;
};

/* One that does not parse is passed over: it is announced again. */
static bool store_zone_row(void *private_data, struct db_bytes key,
			   struct db_bytes value)
{
	struct store_zones *z = private_data;
	struct buf b = buf_reader(value.data, value.len);
	struct store_zone *row = &z->list[z->count];
	const char *zone = NULL, *share = NULL, *root = NULL;

	(void)key;
	if (z->count == z->size) {
		return false;
	}
	row->since = (int64_t)buf_get_u64(&b);
	zone = buf_get_str(&b);
	share = buf_get_str(&b);
	root = buf_get_str(&b);
	if (b.error != 0) {
		return true;
	}
	row->zone = talloc_strdup(z->list, zone);
	row->share = talloc_strdup(z->list, share);
	row->root = talloc_strdup(z->list, root);
	if (row->zone == NULL || row->share == NULL || row->root == NULL) {
		z->error = ENOMEM;
		return false;
	}
	z->count++;
	return true;
}

int store_zone_list(struct store *s, TALLOC_CTX *mem_ctx,
		    struct store_zone **list)
{
	struct store_zones z = { 0 };
	struct db_txn t;
	int ret;

	db_begin(s->db, DB_READ, &t);
	z.size = db_count(&t, STORE_ZONE);
	z.list = talloc_zero_array(mem_ctx, struct store_zone, z.size + 1);
	if (z.list == NULL) {
		db_end(&t);
		return ENOMEM;
	}
	db_each(&t, STORE_ZONE, (struct db_bytes) { 0 }, store_zone_row, &z);
	ret = db_end(&t);
	ret = ret != 0 ? ret : z.error;
	if (ret != 0) {
		talloc_free(z.list);
		return ret;
	}
	z.list[z.count].zone = NULL;
	*list = z.list;
	return 0;
}

/* Rows that have a number: runs of jobs, events. */

struct tevent_req *store_run_put_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s,
				      const struct job_run *run)
{
	uint8_t key[8];
	uint8_t value[JOB_RECORD_MAX];
	struct buf b = buf_writer(value, sizeof(value));
	struct store_change change = {
		.kind = STORE_PUT,
		.table = STORE_RUN,
		.key = store_number_key(run->id, key),
	};

	job_run_put(&b, run);
	change.value = (struct db_bytes) { value, b.pos };
	return store_writer_send(mem_ctx, ev, s->writer, &change, b.error);
}

struct tevent_req *store_run_del_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s, uint64_t id)
{
	uint8_t key[8];
	const struct store_change change = {
		.kind = STORE_DEL,
		.table = STORE_RUN,
		.key = store_number_key(id, key),
	};

	return store_writer_send(mem_ctx, ev, s->writer, &change, 0);
}

struct store_runs {
	TALLOC_CTX *mem_ctx;
	bool (*fn)(void *private_data, struct job_run *run);
	void *private_data;
};

static bool store_run_row(void *private_data, struct db_bytes key,
			  struct db_bytes value)
{
	struct store_runs *r = private_data;
	struct buf b = buf_reader(value.data, value.len);
	struct job_run *run = NULL;
	uint64_t id = store_number(key);
	bool more = true;

	run = job_run_get(r->mem_ctx, id, &b);
	if (run == NULL) {
		log_warning("the record of run %" PRIu64 " in the database "
			    "does not parse and is passed over", id);
		return true;
	}
	more = r->fn(r->private_data, run);
	if (talloc_parent(run) == r->mem_ctx) {
		talloc_free(run);
	}
	return more;
}

int store_run_each(struct store *s, uint64_t after,
		   bool (*fn)(void *private_data, struct job_run *run),
		   void *private_data)
{
	struct store_runs r = { .fn = fn, .private_data = private_data };
	uint8_t key[8];
	struct db_txn t;
	int ret;

	r.mem_ctx = talloc_new(NULL);
	db_begin(s->db, DB_READ, &t);
	db_each(&t, STORE_RUN, store_number_key(after, key), store_run_row,
		&r);
	ret = db_end(&t);
	talloc_free(r.mem_ctx);
	return ret;
}

struct tevent_req *store_event_put_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct store *s, uint64_t id,
					const struct buf *record)
{
	uint8_t key[8];
	const struct store_change change = {
		.kind = STORE_PUT,
		.table = STORE_EVENT,
		.key = store_number_key(id, key),
		.value = { record->data, record->pos },
	};

	return store_writer_send(mem_ctx, ev, s->writer, &change,
				 record->error);
}

struct tevent_req *store_event_del_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct store *s, uint64_t id)
{
	uint8_t key[8];
	const struct store_change change = {
		.kind = STORE_DEL,
		.table = STORE_EVENT,
		.key = store_number_key(id, key),
	};

	return store_writer_send(mem_ctx, ev, s->writer, &change, 0);
}

int store_event_count(struct store *s, uint64_t *count)
{
	struct db_txn t;

	db_begin(s->db, DB_READ, &t);
	*count = db_count(&t, STORE_EVENT);
	return db_end(&t);
}

struct store_events {
	bool (*fn)(void *private_data, uint64_t id, struct buf *record);
	void *private_data;
};

static bool store_event_row(void *private_data, struct db_bytes key,
			    struct db_bytes value)
{
	struct store_events *e = private_data;
	struct buf b = buf_reader(value.data, value.len);

	return e->fn(e->private_data, store_number(key), &b);
}

int store_event_each(struct store *s, uint64_t after,
		     bool (*fn)(void *private_data, uint64_t id,
				struct buf *record),
		     void *private_data)
{
	struct store_events e = { .fn = fn, .private_data = private_data };
	uint8_t key[8];
	struct db_txn t;

	db_begin(s->db, DB_READ, &t);
	db_each(&t, STORE_EVENT, store_number_key(after, key),
		store_event_row, &e);
	return db_end(&t);
}
