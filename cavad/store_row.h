/*
 * Tables whose rows are bytes to the store: the nouns that own them know the
 * format, and the order of keys.
 *
 * Writes are as in store.h: committed when the request ends, in the order in
 * which they were sent; store_write_recv(). Reads see committed rows only.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_STORE_ROW_H
#define CAVAD_STORE_ROW_H

#include "cavad/store.h"
#include "cavad/store_db.h"
#include "common/buf.h"

enum store_rows {
	STORE_ROWS_REPORT,	/* report.h */
	STORE_ROWS_REPORT_INDEX,
	STORE_ROWS_THREAT,	/* threat.h */
	STORE_ROWS_THREAT_FILE,
	STORE_ROWS_THREAT_SCAN,
	STORE_ROWS_ALLOW	/* allow.h */
};

/* .error of record is that of the request. */
struct tevent_req *store_row_put_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s, enum store_rows rows,
				      struct db_bytes key,
				      const struct buf *record);

/* One that is not there is no error. */
struct tevent_req *store_row_del_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s, enum store_rows rows,
				      struct db_bytes key);

/* fn gets the record, which lives for the call. 0, ENOENT, errno. */
int store_row_get(struct store *s, enum store_rows rows, struct db_bytes key,
		  void (*fn)(void *private_data, struct buf *record),
		  void *private_data);

/*
 * Calls fn for each row behind `from` (data NULL: from the first; with back
 * from the last, and before `from`) until it returns false. 0 or errno.
 */
int store_row_each(struct store *s, enum store_rows rows,
		   struct db_bytes from, bool back,
		   bool (*fn)(void *private_data, struct db_bytes key,
			      struct buf *record),
		   void *private_data);

int store_row_count(struct store *s, enum store_rows rows, uint64_t *count);

/* Numbers as keys: big-endian. */
struct db_bytes store_number_key(uint64_t id, uint8_t bytes[8]);
uint64_t store_number(struct db_bytes key);

#endif
