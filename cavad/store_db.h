/*
 * Tables of bytes in one LMDB environment; the only door to LMDB.
 *
 * A transaction carries the first error that happened in it; every later
 * operation does nothing, and the caller looks once, at db_commit() or
 * db_end(). "Not there" is an answer, not an error. Keys sort as bytes.
 *
 * Any thread may read, one thread writes. A value that was read points into
 * the map and lives until its transaction ends.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_STORE_DB_H
#define CAVAD_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#define DB_TABLES_MAX 32
#define DB_KEY_MAX 511		/* what liblmdb is built with */

struct db;
struct MDB_txn;

struct db_bytes {
	const void *data;
	size_t len;
};

enum db_mode { DB_READ, DB_WRITE };

struct db_txn {
	struct db *db;
	struct MDB_txn *txn;
	enum db_mode mode;
	int error;		/* the first one; 0 or errno */
};

/*
 * tables: names, ended by NULL; afterwards a table is its index. The first
 * holds `version` under the key "version": 0; EPROTONOSUPPORT when what is
 * there is newer; EBADMSG when it is no such database; errno.
 */
int db_open(TALLOC_CTX *mem_ctx, const char *dir, uint64_t size_max,
	    const char *const *tables, uint32_t version, struct db **result);

/* No return value: an error is in the transaction, as everywhere below. */
void db_begin(struct db *db, enum db_mode mode, struct db_txn *t);

bool db_get(struct db_txn *t, unsigned int table, struct db_bytes key,
	    struct db_bytes *value);
void db_put(struct db_txn *t, unsigned int table, struct db_bytes key,
	    struct db_bytes value);

/* Was it there? */
bool db_del(struct db_txn *t, unsigned int table, struct db_bytes key);

/*
 * Calls fn for each row behind `after` (data NULL: from the first) until it
 * returns false.
 */
void db_each(struct db_txn *t, unsigned int table, struct db_bytes after,
	     bool (*fn)(void *private_data, struct db_bytes key,
			struct db_bytes value),
	     void *private_data);

/* The same backwards: each row before `before` (NULL: from the last). */
void db_each_back(struct db_txn *t, unsigned int table,
		  struct db_bytes before,
		  bool (*fn)(void *private_data, struct db_bytes key,
			     struct db_bytes value),
		  void *private_data);

uint64_t db_count(struct db_txn *t, unsigned int table);

/* Bytes of pages that are in use. */
uint64_t db_used(struct db_txn *t);

/* Commits to disk if all went well; 0 or the first error. */
int db_commit(struct db_txn *t);

/* Ends it, nothing is kept; 0 or the first error. */
int db_end(struct db_txn *t);

/*
 * Deleting needs a few free pages too. Lets the next write transactions go
 * DB_RESERVE bytes past size_max, or no longer. No transaction may be open
 * in the calling thread. 0 or errno.
 */
#define DB_RESERVE 1048576
int db_reserve(struct db *db, bool use);

#endif
