/*
 * The allow-list: see allow.h. All of it is in memory; the database has it
 * for the next start.
 *
 * An entry is in force from the moment it is made, and the request ends when
 * it is on disk; it is no longer in force from the moment it is to go. An
 * expired one goes by itself, by a timer for the one that ends first; it lets
 * nothing through from its second on, timer or not.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cavad/allow.h"
#include "cavad/hash.h"
#include "common/log.h"
#include "common/req.h"
#include "common/tick.h"

struct allows {
	struct tevent_context *ev;
	struct store *store;
	void (*fn)(void *private_data, const struct allow *entry, bool there,
		   const char *why);
	void *private_data;
	struct allow **entries;		/* in the order of their ids */
	unsigned int count;
	uint64_t last_id;
	struct tick *tick;
};

static void allows_time(struct allows *a);

/* --- pure --- */

const char *allow_kind_text(enum allow_kind kind)
{
	switch (kind) {
#define A(number, NAME, text) \
	case ALLOW_##NAME: \
		return text;
	ALLOW_KINDS(A)
#undef A
	}
	return "unknown";
}

bool allow_kind_of(const char *text, enum allow_kind *kind)
{
#define A(number, NAME, name) \
	if (strcmp(text, name) == 0) { \
		*kind = ALLOW_##NAME; \
		return true; \
	}
	ALLOW_KINDS(A)
#undef A
	return false;
}

static enum allow_answer allow_by_hash(const struct allow *entry,
				       const struct allow_facts *f)
{
	if (!f->hashed) {
		return f->content->size > HASH_MAX ? ALLOW_NO :
						     ALLOW_UNKNOWN;
	}
	return memcmp(entry->digest, f->digest, DIGEST_SIZE) == 0 ?
		ALLOW_YES : ALLOW_NO;
}

enum allow_answer allow_matches(const struct allow *entry,
				const struct allow_facts *f)
{
	if (entry->expires != 0 && f->now >= entry->expires) {
		return ALLOW_NO;
	}
	switch (entry->kind) {
	case ALLOW_FILE:
		if (!ident_equal(&entry->ident, f->ident)) {
			return ALLOW_NO;
		}
		if (entry->hashed) {
			return allow_by_hash(entry, f);
		}
		return content_equal(&entry->content, f->content) ?
			ALLOW_YES : ALLOW_NO;
	case ALLOW_HASH:
		return entry->hashed ? allow_by_hash(entry, f) : ALLOW_NO;
	case ALLOW_THREAT:
		return entry->threat[0] != '\0' &&
			strcmp(entry->threat, f->threat) == 0 ?
			ALLOW_YES : ALLOW_NO;
	}
	return ALLOW_NO;
}

/* --- records --- */

static void allow_put_text(struct buf *b, const char *text)
{
	char cut[ALLOW_TEXT_MAX + 1] = "";

	strncpy(cut, text, ALLOW_TEXT_MAX);
	buf_put_str(b, cut);
}

void allow_put_record(struct buf *b, const struct allow *entry)
{
	buf_put_u8(b, (uint8_t)entry->kind);
	ident_put(b, &entry->ident);
	content_put(b, &entry->content);
	buf_put_u8(b, entry->hashed);
	buf_put_bytes(b, entry->digest, entry->hashed ? DIGEST_SIZE : 0);
	buf_put_u64(b, (uint64_t)entry->made);
	buf_put_u64(b, (uint64_t)entry->expires);
	buf_put_str(b, entry->path);
	allow_put_text(b, entry->threat);
	allow_put_text(b, entry->reason);
	allow_put_text(b, entry->author);
}

struct allow *allow_get_record(TALLOC_CTX *mem_ctx, uint64_t id,
			       struct buf *b)
{
	struct allow *entry = talloc_zero(mem_ctx, struct allow);

	if (entry == NULL) {
		return NULL;
	}
	entry->id = id;
	entry->kind = buf_get_u8(b);
	ident_get(b, &entry->ident);
	content_get(b, &entry->content);
	entry->hashed = buf_get_u8(b) != 0;
	if (entry->hashed) {
		buf_get_bytes(b, entry->digest, DIGEST_SIZE);
	}
	entry->made = (int64_t)buf_get_u64(b);
	entry->expires = (int64_t)buf_get_u64(b);
	entry->path = talloc_strdup(entry, buf_get_str(b));
	entry->threat = talloc_strdup(entry, buf_get_str(b));
	entry->reason = talloc_strdup(entry, buf_get_str(b));
	entry->author = talloc_strdup(entry, buf_get_str(b));
	if (b->error != 0 || entry->kind < ALLOW_FILE ||
	    entry->kind > ALLOW_THREAT || entry->path == NULL ||
	    entry->threat == NULL || entry->reason == NULL ||
	    entry->author == NULL) {
		talloc_free(entry);
		return NULL;
	}
	return entry;
}

static struct allow *allow_copy(TALLOC_CTX *mem_ctx,
				const struct allow *entry)
{
	uint8_t bytes[ALLOW_RECORD_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	allow_put_record(&b, entry);
	if (b.error != 0) {
		return NULL;
	}
	b = buf_reader(bytes, b.pos);
	return allow_get_record(mem_ctx, entry->id, &b);
}

/* --- the list --- */

bool allows_any(const struct allows *a)
{
	return a->count > 0;
}

const struct allow *allows_entry(const struct allows *a, unsigned int i)
{
	return i < a->count ? a->entries[i] : NULL;
}

const struct allow *allows_find(const struct allows *a, uint64_t id)
{
	unsigned int i = 0;

	for (i = 0; i < a->count; i++) {
		if (a->entries[i]->id == id) {
			return a->entries[i];
		}
	}
	return NULL;
}

enum allow_answer allows_judge(const struct allows *a,
			       const struct allow_facts *facts, uint64_t *id)
{
	enum allow_answer answer = ALLOW_NO;
	unsigned int i = 0;

	for (i = 0; i < a->count; i++) {
		enum allow_answer one = allow_matches(a->entries[i], facts);

		if (one == ALLOW_YES) {
			*id = a->entries[i]->id;
			return ALLOW_YES;
		}
		if (one == ALLOW_UNKNOWN) {
			answer = ALLOW_UNKNOWN;
		}
	}
	return answer;
}

/* Takes it. 0 or ENOMEM. */
static int allows_put(struct allows *a, struct allow *entry)
{
	struct allow **more = talloc_realloc(a, a->entries, struct allow *,
					     a->count + 1);

	if (more == NULL) {
		talloc_free(entry);
		return ENOMEM;
	}
	a->entries = more;
	a->entries[a->count++] = talloc_steal(a, entry);
	return 0;
}

static struct allow *allows_take(struct allows *a, uint64_t id)
{
	struct allow *entry = NULL;
	unsigned int i = 0;

	for (i = 0; i < a->count && a->entries[i]->id != id; i++) {
	}
	if (i == a->count) {
		return NULL;
	}
	entry = a->entries[i];
	a->count--;
	memmove(&a->entries[i], &a->entries[i + 1],
		(a->count - i) * sizeof(a->entries[0]));
	return entry;
}

/* --- changes --- */

struct allows_state {
	struct allows *a;
	uint64_t id;
};

static void allows_added(struct tevent_req *subreq);
static void allows_removed(struct tevent_req *subreq);

struct tevent_req *allows_add_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct allows *a,
				   const struct allow *entry)
{
	struct allows_state *state = NULL;
	struct tevent_req *req = NULL;
	struct tevent_req *subreq = NULL;
	struct allow *copy = NULL;
	uint8_t bytes[ALLOW_RECORD_MAX];
	uint8_t key[8];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	req = tevent_req_create(mem_ctx, &state, struct allows_state);
	if (req == NULL) {
		return NULL;
	}
	state->a = a;
	if (a->count >= ALLOW_MAX) {
		tevent_req_error(req, E2BIG);
		return tevent_req_post(req, ev);
	}
	copy = allow_copy(a, entry);
	if (tevent_req_nomem(copy, req)) {
		return tevent_req_post(req, ev);
	}
	state->id = ++a->last_id;
	copy->id = state->id;
	allow_put_record(&b, copy);
	subreq = store_row_put_send(state, ev, a->store, STORE_ROWS_ALLOW,
				    store_number_key(state->id, key), &b);
	if (subreq == NULL || allows_put(a, copy) != 0) {
		tevent_req_oom(req);
		return tevent_req_post(req, ev);
	}
	a->fn(a->private_data, copy, true, "");
	allows_time(a);
	tevent_req_set_callback(subreq, allows_added, req);
	return req;
}

static void allows_added(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct allows_state *state = tevent_req_data(req,
						     struct allows_state);
	struct allows *a = state->a;
	struct allow *entry = NULL;
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret == 0) {
		tevent_req_done(req);
		return;
	}
	entry = allows_take(a, state->id);
	if (entry != NULL) {
		a->fn(a->private_data, entry, false, "could not be kept");
		talloc_free(entry);
	}
	tevent_req_error(req, ret);
}

static struct tevent_req *allows_del_send(TALLOC_CTX *mem_ctx,
					  struct allows *a, uint64_t id)
{
	uint8_t key[8];

	return store_row_del_send(mem_ctx, a->ev, a->store, STORE_ROWS_ALLOW,
				  store_number_key(id, key));
}

struct tevent_req *allows_remove_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct allows *a, uint64_t id)
{
	struct allows_state *state = NULL;
	struct tevent_req *req = NULL;
	struct tevent_req *subreq = NULL;
	struct allow *entry = NULL;

	req = tevent_req_create(mem_ctx, &state, struct allows_state);
	if (req == NULL) {
		return NULL;
	}
	state->a = a;
	state->id = id;
	subreq = allows_del_send(state, a, id);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	entry = allows_take(a, id);
	if (entry == NULL) {
		tevent_req_error(req, ENOENT);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, allows_removed, req);
	a->fn(a->private_data, entry, false, "was removed");
	talloc_free(entry);
	allows_time(a);
	return req;
}

static void allows_removed(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	tevent_req_done(req);
}

int allows_recv(struct tevent_req *req, uint64_t *id)
{
	struct allows_state *state = tevent_req_data(req,
						     struct allows_state);
	int ret = req_error(req);

	if (ret == 0 && id != NULL) {
		*id = state->id;
	}
	tevent_req_received(req);
	return ret;
}

/* --- time --- */

static void allows_expire(void *private_data)
{
	struct allows *a = talloc_get_type_abort(private_data, struct allows);
	int64_t seconds = (int64_t)time(NULL);
	struct allow *entry = NULL;
	unsigned int i = 0;

	while (i < a->count) {
		if (a->entries[i]->expires == 0 ||
		    a->entries[i]->expires > seconds) {
			i++;
			continue;
		}
		entry = allows_take(a, a->entries[i]->id);
		/* one that stays in the database is gone at the next start */
		talloc_free(allows_del_send(a, a, entry->id));
		a->fn(a->private_data, entry, false, "has expired");
		talloc_free(entry);
	}
	allows_time(a);
}

static void allows_time(struct allows *a)
{
	int64_t first = 0;
	unsigned int i = 0;

	for (i = 0; i < a->count; i++) {
		int64_t expires = a->entries[i]->expires;

		if (expires != 0 && (first == 0 || expires < first)) {
			first = expires;
		}
	}
	if (first == 0) {
		tick_stop(a->tick);
		return;
	}
	tick_at(a->tick, tevent_timeval_set(first, 0));
}

/* --- start --- */

static bool allows_row(void *private_data, struct db_bytes key,
		       struct buf *record)
{
	struct allows *a = private_data;
	uint64_t id = store_number(key);
	struct allow *entry = allow_get_record(a, id, record);

	a->last_id = id;
	if (entry == NULL) {
		log_warning("entry %" PRIu64 " of the allow-list in the "
			    "database does not parse and is not in force", id);
		return true;
	}
	return allows_put(a, entry) == 0;
}

int allows_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		  struct store *store,
		  void (*fn)(void *private_data, const struct allow *entry,
			     bool there, const char *why),
		  void *private_data, struct allows **result)
{
	struct allows *a = talloc_zero(mem_ctx, struct allows);
	int ret = 0;

	if (a == NULL) {
		return ENOMEM;
	}
	a->ev = ev;
	a->store = store;
	a->fn = fn;
	a->private_data = private_data;
	a->tick = tick_create(a, ev, allows_expire, a);
	if (a->tick == NULL) {
		talloc_free(a);
		return ENOMEM;
	}
	ret = store_row_each(store, STORE_ROWS_ALLOW,
			     (struct db_bytes) { 0 }, false, allows_row, a);
	if (ret != 0) {
		talloc_free(a);
		return ret;
	}
	allows_time(a);
	*result = a;
	return 0;
}
