/*
 * The one thread that writes the database, and its queue.
 *
 * Changes are applied in the order in which they were sent. Whatever waits
 * when the thread comes back from the disk goes into one transaction and one
 * commit. What nobody stands and waits for is patient: it is committed with
 * the next that is not, or STORE_PATIENCE after the last commit. The queue is
 * not bounded: callers are, by waiting for their requests.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_STORE_WRITER_H
#define CAVAD_STORE_WRITER_H

#include <talloc.h>
#include <tevent.h>

#include "cavad/store_db.h"

#define STORE_PATIENCE 100	/* ms */

struct store_writer;

enum store_change_kind {
	STORE_PUT,
	STORE_DEL,		/* no matter whether it is there */
	STORE_DEL_EXISTING,	/* ENOENT when it is not there */
	STORE_DEL_SAME		/* if it has that value still */
};

struct store_change {
	enum store_change_kind kind;
	bool patient;
	unsigned int table;
	struct db_bytes key;
	struct db_bytes value;
};

/*
 * Starts the thread. Freeing it commits what was sent, then ends the thread;
 * requests that had not ended by then never do. 0 or errno.
 */
int store_writer_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			struct db *db, struct store_writer **result);

/*
 * Key and value are copied. error: 0, or what already went wrong with the
 * change; it ends the request. ENOSPC: the database is full.
 */
struct tevent_req *store_writer_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct store_writer *w,
				     const struct store_change *change,
				     int error);

/*
 * The same for several changes: all of them are made, or none. At least one;
 * ENOENT of one that is not there undoes none of the others.
 */
struct tevent_req *store_writer_send_all(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct store_writer *w,
					 const struct store_change *changes,
					 size_t count, int error);
int store_writer_recv(struct tevent_req *req);

/* Something that was sent is neither committed nor has failed. */
bool store_writer_is_busy(struct store_writer *w);

/* Blocks until everything sent so far is committed or has failed. */
void store_writer_flush(struct store_writer *w);

#endif
