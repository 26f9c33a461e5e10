/*
 * Old verdicts go only as they were seen (STORE_DEL_SAME): a newer one that
 * is on its way to the disk stays.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/store_expiry.h"

#include <string.h>

#include "cavad/store_private.h"
#include "common/verdict.h"

struct result_expire {
	struct store *store;
	struct tevent_context *ev;
	struct store_cursor *cursor;
	time_t before;
	unsigned int left;
	unsigned int gone;
};

/* Its ctime in front, 8 bytes, and the record. */
static bool result_is_old(struct db_bytes value, time_t before)
{
	struct verdict v;

	return value.len > 8 &&
		verdict_decode((const uint8_t *)value.data + 8, value.len - 8,
			       &v) == 0 &&
		v.result == VERDICT_CLEAN &&
		v.scan_time / INT64_C(1000000000) < before;
}

static bool result_row(void *private_data, struct db_bytes key,
		       struct db_bytes value)
{
	struct result_expire *r = private_data;
	const struct store_change change = {
		.kind = STORE_DEL_SAME,
		.table = STORE_RESULT,
		.key = key,
		.value = value,
	};
	struct tevent_req *subreq = NULL;

	memcpy(r->cursor->key, key.data, key.len);
	r->cursor->len = key.len;
	if (result_is_old(value, r->before)) {
		subreq = store_writer_send(r->store, r->ev, r->store->writer,
					   &change, 0);
		talloc_free(subreq);	/* it is carried out all the same */
		r->gone++;
	}
	return --r->left > 0;
}

unsigned int store_results_expire(struct store *s, struct tevent_context *ev,
				  time_t before, unsigned int max,
				  struct store_cursor *cursor)
{
	struct result_expire r = { .store = s, .ev = ev, .cursor = cursor,
				   .before = before, .left = max };
	uint8_t key[DB_KEY_MAX];
	struct db_bytes after = { 0 };
	struct db_txn t;

	if (cursor->len > 0) {
		memcpy(key, cursor->key, cursor->len);
		after = (struct db_bytes) { key, cursor->len };
	}
	db_begin(s->db, DB_READ, &t);
	db_each(&t, STORE_RESULT, after, result_row, &r);
	(void)db_end(&t);
	if (r.left > 0) {
		cursor->len = 0;
	}
	return r.gone;
}
