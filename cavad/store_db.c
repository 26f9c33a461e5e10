/*
 * LMDB behind a transaction whose first error sticks.
 *
 * 1. Readers hold no thread-local slot (MDB_NOTLS), so a transaction is
 *    bound to nothing but the function that opened and ends it.
 * 2. Changing the size of the map unmaps it. It happens when another
 *    process grew the file (MDB_MAP_RESIZED) and around deletes in a full
 *    database; `resize` keeps every transaction out meanwhile. Readers and
 *    the writer share it otherwise, so a commit delays no reader.
 * 3. The map is size_max bytes of address space; the file is as large as
 *    what was ever in it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "cavad/store_db.h"
#include "common/buf.h"

struct db {
	MDB_env *env;
	MDB_dbi tables[DB_TABLES_MAX];
	size_t size_max;
	pthread_rwlock_t resize;	/* rule 2 */
};

static int db_errno(int rc)
{
	switch (rc) {
	case MDB_NOTFOUND:
		return ENOENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return ENOSPC;
	case MDB_READERS_FULL:
		return EAGAIN;
	case MDB_BAD_VALSIZE:
		return EMSGSIZE;
	case MDB_VERSION_MISMATCH:
		return EPROTONOSUPPORT;
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return EBADMSG;
	default:
		return rc >= 0 ? rc : EIO;
	}
}

static int db_destructor(struct db *db)
{
	mdb_env_close(db->env);
	pthread_rwlock_destroy(&db->resize);
	return 0;
}

static int db_cloexec(struct db *db)
{
	int fd = -1;
	int ret;

	ret = mdb_env_get_fd(db->env, &fd);
	if (ret != 0) {
		return db_errno(ret);
	}
	ret = fcntl(fd, F_SETFD, FD_CLOEXEC);
	return ret == 0 ? 0 : errno;
}

static int db_open_env(struct db *db, const char *dir, unsigned int tables)
{
	unsigned int flags = MDB_NOTLS;
	int dead = 0;
	int ret;

	ret = mdb_env_set_maxdbs(db->env, tables);
	if (ret != 0) {
		return db_errno(ret);
	}
	ret = mdb_env_set_mapsize(db->env, db->size_max);
	if (ret != 0) {
		return db_errno(ret);
	}
	ret = mdb_env_open(db->env, dir, flags, 0600);
	if (ret != 0) {
		return db_errno(ret);
	}
	/* Slots of readers that died keep pages from being used again. */
	ret = mdb_reader_check(db->env, &dead);
	if (ret != 0) {
		return db_errno(ret);
	}
	return db_cloexec(db);
}

/* Little-endian u32 under "version" in the first table. */
static void db_check_version(struct db_txn *t, uint32_t version)
{
	static const struct db_bytes key = { "version", 7 };
	struct db_bytes value = { 0 };
	struct buf b;
	uint8_t bytes[4];
	uint32_t found;
	bool there;

	there = db_get(t, 0, key, &value);
	if (!there) {
		b = buf_writer(bytes, sizeof(bytes));
		buf_put_u32(&b, version);
		db_put(t, 0, key, (struct db_bytes) { bytes, b.pos });
		return;
	}
	b = buf_reader(value.data, value.len);
	found = buf_get_u32(&b);
	if (b.error != 0 || found == 0) {
		t->error = EBADMSG;
	} else if (found > version) {
		t->error = EPROTONOSUPPORT;
	}
}

static int db_open_tables(struct db *db, const char *const *tables,
			  uint32_t version)
{
	struct db_txn t;
	unsigned int i;
	int ret;

	db_begin(db, DB_WRITE, &t);
	for (i = 0; tables[i] != NULL && t.error == 0; i++) {
		ret = mdb_dbi_open(t.txn, tables[i], MDB_CREATE,
				   &db->tables[i]);
		if (ret != 0) {
			t.error = db_errno(ret);
		} else if (i == 0) {
			db_check_version(&t, version);
		}
	}
	return db_commit(&t);
}

int db_open(TALLOC_CTX *mem_ctx, const char *dir, uint64_t size_max,
	    const char *const *tables, uint32_t version, struct db **result)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	struct db *db = NULL;
	unsigned int count = 0;
	int ret;

	while (tables[count] != NULL) {
		count++;
	}
	if (count == 0 || count > DB_TABLES_MAX) {
		return EINVAL;
	}
	db = talloc_zero(mem_ctx, struct db);
	if (db == NULL) {
		return ENOMEM;
	}
	db->size_max = (size_max + page - 1) / page * page;
	ret = mdb_env_create(&db->env);
	if (ret != 0) {
		talloc_free(db);
		return db_errno(ret);
	}
	pthread_rwlock_init(&db->resize, NULL);
	talloc_set_destructor(db, db_destructor);

	ret = db_open_env(db, dir, count);
	if (ret == 0) {
		ret = db_open_tables(db, tables, version);
	}
	if (ret != 0) {
		talloc_free(db);
		return ret;
	}
	*result = db;
	return 0;
}

/* 0 = what the file says. LMDB never goes below what is in use. */
static int db_resize(struct db *db, size_t size)
{
	int ret;

	pthread_rwlock_wrlock(&db->resize);
	ret = mdb_env_set_mapsize(db->env, size);
	pthread_rwlock_unlock(&db->resize);
	return db_errno(ret);
}

int db_reserve(struct db *db, bool use)
{
	return db_resize(db, db->size_max + (use ? DB_RESERVE : 0));
}

static int db_begin_once(struct db *db, unsigned int flags, MDB_txn **txn)
{
	int ret;

	pthread_rwlock_rdlock(&db->resize);
	ret = mdb_txn_begin(db->env, NULL, flags, txn);
	if (ret != 0) {
		pthread_rwlock_unlock(&db->resize);
	}
	return ret;
}

void db_begin(struct db *db, enum db_mode mode, struct db_txn *t)
{
	unsigned int flags = mode == DB_READ ? MDB_RDONLY : 0;
	int ret;

	*t = (struct db_txn) { .db = db, .mode = mode };
	ret = db_begin_once(db, flags, &t->txn);
	if (ret == MDB_MAP_RESIZED) {
		ret = db_resize(db, 0);
		if (ret == 0) {
			ret = db_begin_once(db, flags, &t->txn);
		}
	}
	if (ret != 0) {
		t->txn = NULL;
		t->error = db_errno(ret);
	}
}

static MDB_val db_val(struct db_bytes bytes)
{
	return (MDB_val) { .mv_size = bytes.len,
			   .mv_data = (void *)(uintptr_t)bytes.data };
}

static struct db_bytes db_bytes_of(MDB_val val)
{
	return (struct db_bytes) { .data = val.mv_data, .len = val.mv_size };
}

bool db_get(struct db_txn *t, unsigned int table, struct db_bytes key,
	    struct db_bytes *value)
{
	MDB_val k = db_val(key);
	MDB_val v = { 0 };
	int ret;

	if (t->error != 0) {
		return false;
	}
	ret = mdb_get(t->txn, t->db->tables[table], &k, &v);
	if (ret == MDB_NOTFOUND) {
		return false;
	}
	if (ret != 0) {
		t->error = db_errno(ret);
		return false;
	}
	*value = db_bytes_of(v);
	return true;
}

void db_put(struct db_txn *t, unsigned int table, struct db_bytes key,
	    struct db_bytes value)
{
	MDB_val k = db_val(key);
	MDB_val v = db_val(value);
	int ret;

	if (t->error != 0) {
		return;
	}
	ret = mdb_put(t->txn, t->db->tables[table], &k, &v, 0);
	if (ret != 0) {
		t->error = db_errno(ret);
	}
}

bool db_del(struct db_txn *t, unsigned int table, struct db_bytes key)
{
	MDB_val k = db_val(key);
	int ret;

	if (t->error != 0) {
		return false;
	}
	ret = mdb_del(t->txn, t->db->tables[table], &k, NULL);
	if (ret == 0) {
		return true;
	}
	if (ret != MDB_NOTFOUND) {
		t->error = db_errno(ret);
	}
	return false;
}

/* Puts the cursor on the first row behind `after`; 0 or MDB_xxx. */
static int db_seek(MDB_cursor *cursor, struct db_bytes after, MDB_val *k,
		   MDB_val *v)
{
	int ret;

	if (after.data == NULL) {
		return mdb_cursor_get(cursor, k, v, MDB_FIRST);
	}
	*k = db_val(after);
	ret = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
	if (ret != 0 || k->mv_size != after.len ||
	    memcmp(k->mv_data, after.data, after.len) != 0) {
		return ret;
	}
	return mdb_cursor_get(cursor, k, v, MDB_NEXT);
}

/* The same backwards: on the last row before `before`. */
static int db_seek_back(MDB_cursor *cursor, struct db_bytes before,
			MDB_val *k, MDB_val *v)
{
	int ret;

	if (before.data == NULL) {
		return mdb_cursor_get(cursor, k, v, MDB_LAST);
	}
	*k = db_val(before);
	ret = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
	return mdb_cursor_get(cursor, k, v, ret == MDB_NOTFOUND ? MDB_LAST :
			      MDB_PREV);
}

static void db_walk(struct db_txn *t, unsigned int table,
		    struct db_bytes from, bool back,
		    bool (*fn)(void *private_data, struct db_bytes key,
			       struct db_bytes value),
		    void *private_data)
{
	MDB_cursor *cursor = NULL;
	MDB_val k = { 0 };
	MDB_val v = { 0 };
	bool more = true;
	int ret;

	if (t->error != 0) {
		return;
	}
	ret = mdb_cursor_open(t->txn, t->db->tables[table], &cursor);
	if (ret != 0) {
		t->error = db_errno(ret);
		return;
	}
	ret = back ? db_seek_back(cursor, from, &k, &v) :
		     db_seek(cursor, from, &k, &v);
	while (ret == 0) {
		more = fn(private_data, db_bytes_of(k), db_bytes_of(v));
		if (!more) {
			break;
		}
		ret = mdb_cursor_get(cursor, &k, &v, back ? MDB_PREV :
				     MDB_NEXT);
	}
	if (ret != 0 && ret != MDB_NOTFOUND) {
		t->error = db_errno(ret);
	}
	mdb_cursor_close(cursor);
}

/* Pages that are free again are in LMDB's first table, lists of them. */
uint64_t db_used(struct db_txn *t)
{
	MDB_envinfo info = { 0 };
	MDB_stat st = { 0 };
	MDB_cursor *cursor = NULL;
	MDB_val key = { 0 };
	MDB_val value = { 0 };
	size_t free_pages = 0;
	size_t n = 0;
	int ret;

	if (t->error != 0) {
		return 0;
	}
	(void)mdb_env_info(t->db->env, &info);
	(void)mdb_env_stat(t->db->env, &st);
	ret = mdb_cursor_open(t->txn, 0, &cursor);
	while (ret == 0) {
		ret = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		if (ret == 0 && value.mv_size >= sizeof(n)) {
			memcpy(&n, value.mv_data, sizeof(n));
			free_pages += n;
		}
	}
	if (cursor != NULL) {
		mdb_cursor_close(cursor);
	}
	if (ret != MDB_NOTFOUND) {
		t->error = db_errno(ret);
	}
	n = info.me_last_pgno + 1;
	return (uint64_t)(n > free_pages ? n - free_pages : 0) * st.ms_psize;
}

void db_each(struct db_txn *t, unsigned int table, struct db_bytes after,
	     bool (*fn)(void *private_data, struct db_bytes key,
			struct db_bytes value),
	     void *private_data)
{
	db_walk(t, table, after, false, fn, private_data);
}

void db_each_back(struct db_txn *t, unsigned int table,
		  struct db_bytes before,
		  bool (*fn)(void *private_data, struct db_bytes key,
			     struct db_bytes value),
		  void *private_data)
{
	db_walk(t, table, before, true, fn, private_data);
}

uint64_t db_count(struct db_txn *t, unsigned int table)
{
	MDB_stat st = { 0 };
	int ret;

	if (t->error != 0) {
		return 0;
	}
	ret = mdb_stat(t->txn, t->db->tables[table], &st);
	if (ret != 0) {
		t->error = db_errno(ret);
	}
	return st.ms_entries;
}

int db_commit(struct db_txn *t)
{
	int ret;

	if (t->error != 0) {
		return db_end(t);
	}
	ret = mdb_txn_commit(t->txn);
	t->txn = NULL;
	t->error = db_errno(ret);
	pthread_rwlock_unlock(&t->db->resize);
	return t->error;
}

int db_end(struct db_txn *t)
{
	if (t->txn != NULL) {
		mdb_txn_abort(t->txn);
		t->txn = NULL;
		pthread_rwlock_unlock(&t->db->resize);
	}
	return t->error;
}
