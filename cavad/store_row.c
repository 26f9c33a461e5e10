/*
 * Tables whose rows are bytes to the store.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/store_row.h"

#include <errno.h>

#include "cavad/store_private.h"

static const enum store_table row_tables[] = {
	[STORE_ROWS_REPORT] = STORE_REPORT,
	[STORE_ROWS_REPORT_INDEX] = STORE_REPORT_INDEX,
	[STORE_ROWS_THREAT] = STORE_THREAT,
	[STORE_ROWS_THREAT_FILE] = STORE_THREAT_FILE,
	[STORE_ROWS_THREAT_SCAN] = STORE_THREAT_SCAN,
	[STORE_ROWS_ALLOW] = STORE_ALLOW,
};

uint64_t store_number(struct db_bytes key)
{
	const uint8_t *bytes = key.data;
	uint64_t id = 0;
	size_t i;

	for (i = 0; i < key.len && i < 8; i++) {
		id = id << 8 | bytes[i];
	}
	return id;
}

struct db_bytes store_number_key(uint64_t id, uint8_t bytes[8])
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		bytes[i] = (uint8_t)(id >> (56 - 8 * i));
	}
	return (struct db_bytes) { bytes, 8 };
}

struct tevent_req *store_row_put_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s, enum store_rows rows,
				      struct db_bytes key,
				      const struct buf *record)
{
	const struct store_change change = {
		.kind = STORE_PUT,
		.table = row_tables[rows],
		.key = key,
		.value = { record->data, record->pos },
	};

	return store_writer_send(mem_ctx, ev, s->writer, &change,
				 key.len > DB_KEY_MAX ? ENAMETOOLONG :
				 record->error);
}

struct tevent_req *store_row_del_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s, enum store_rows rows,
				      struct db_bytes key)
{
	const struct store_change change = {
		.kind = STORE_DEL,
		.table = row_tables[rows],
		.key = key,
	};

	return store_writer_send(mem_ctx, ev, s->writer, &change, 0);
}

int store_row_get(struct store *s, enum store_rows rows, struct db_bytes key,
		  void (*fn)(void *private_data, struct buf *record),
		  void *private_data)
{
	struct db_bytes value;
	struct db_txn t;
	struct buf b;
	bool there;

	db_begin(s->db, DB_READ, &t);
	there = db_get(&t, row_tables[rows], key, &value);
	if (there) {
		b = buf_reader(value.data, value.len);
		fn(private_data, &b);
	} else if (t.error == 0) {
		t.error = ENOENT;
	}
	return db_end(&t);
}

struct row_each {
	bool (*fn)(void *private_data, struct db_bytes key,
		   struct buf *record);
	void *private_data;
};

static bool row_each(void *private_data, struct db_bytes key,
		     struct db_bytes value)
{
	const struct row_each *each = private_data;
	struct buf b = buf_reader(value.data, value.len);

	return each->fn(each->private_data, key, &b);
}

int store_row_each(struct store *s, enum store_rows rows,
		   struct db_bytes from, bool back,
		   bool (*fn)(void *private_data, struct db_bytes key,
			      struct buf *record),
		   void *private_data)
{
	struct row_each each = { .fn = fn, .private_data = private_data };
	struct db_txn t;

	db_begin(s->db, DB_READ, &t);
	if (back) {
		db_each_back(&t, row_tables[rows], from, row_each, &each);
	} else {
		db_each(&t, row_tables[rows], from, row_each, &each);
	}
	return db_end(&t);
}

int store_row_count(struct store *s, enum store_rows rows, uint64_t *count)
{
	struct db_txn t;

	db_begin(s->db, DB_READ, &t);
	*count = db_count(&t, row_tables[rows]);
	return db_end(&t);
}
