/*
 * What survives: an LMDB database (store_db.h) and who writes it
 * (store_writer.h).
 *
 * Reads happen in the loop (a memory map, about a microsecond). Writes are
 * handed to one writer thread, which commits them in groups; the loop never
 * commits. Keys are big-endian so that order works. Databases:
 *
 *   meta      "version" -> u32; "cluster_id" -> text
 *   pending   ident key -> a scan that is owed: u8 kind, i64 since ns,
 *             ident, str path, str user, str client
 *   result    ident key -> verdict record (verdict.h) with the ctime it
 *             was true for in front (i64): verdicts that the file cannot
 *             carry, and those of individual scans
 *   avvendor  account as the administrator wrote it -> i64 added, ns
 *   zone      zone, NUL, share, both in small letters -> a share that said
 *             it belongs to a zone: i64 since, ns, str zone, str share,
 *             str root
 *   event     id, u64 -> an event that was or is: event_history.h
 *   run       number, u64 -> a run of a job: its record (job_run.h)
 *   object    class, NUL, name -> what was changed of it (overlay.h)
 *   report    number, u64 -> a report: its record (report.h)
 *   report_index  text -> number of a report (report.c)
 *   threat    id, u64 -> what was found in a file: its record (threat.h)
 *   threat_file  file and name of the threat -> its id, u64 (threat.c)
 *   threat_scan  report, NUL, id of the threat -> nothing
 *   allow     id, u64 -> an entry of the allow-list: its record (allow.h)
 *
 * Not for network file systems. Open it once, after every fork.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_STORE_H
#define CAVAD_STORE_H

#include <talloc.h>
#include <tevent.h>

#include "cavad/job_run.h"
#include "cavad/overlay.h"
#include "common/ident.h"
#include "common/verdict.h"

struct store;

/* 0; EPROTONOSUPPORT (made by a newer version); errno. */
int store_open(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
	       const char *dir, uint64_t size_max, struct store **result);

struct store_pending {
	uint8_t kind;		/* enum proto_kind */
	int64_t since;		/* ns since the epoch */
	struct ident ident;
	const char *path;	/* "" = not known */
	const char *user;
	const char *client;
};

/*
 * A write, committed when the request ends; 0, ENOSPC (the map is full),
 * errno. Writes are applied and end in the order in which they were sent.
 * Freeing the request does not undo it; freeing the store commits what was
 * sent, and requests that had not ended by then never do. The queue has no
 * bound but the callers', who wait for their requests.
 */
struct tevent_req *store_pending_put_send(TALLOC_CTX *mem_ctx,
					  struct tevent_context *ev,
					  struct store *s,
					  const struct store_pending *p);
struct tevent_req *store_pending_del_send(TALLOC_CTX *mem_ctx,
					  struct tevent_context *ev,
					  struct store *s,
					  const struct ident *ident);
struct tevent_req *store_result_put_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct store *s,
					 const struct ident *ident,
					 const struct verdict *v);
struct tevent_req *store_avvendor_put_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   struct store *s,
					   const char *account, int64_t added);
/* ENOENT: there was none. (Deleting no pending scan is no error.) */
struct tevent_req *store_avvendor_del_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   struct store *s,
					   const char *account);
struct tevent_req *store_meta_put_send(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       struct store *s, const char *key,
				       const char *value);
int store_write_recv(struct tevent_req *req);

/* Something that was sent, and is not patient, is not committed yet. */
bool store_is_busy(struct store *s);

/* Waits for everything sent so far; for the start and end of cavad only. */
void store_flush(struct store *s);

/* Reads. They see committed writes only. 0, ENOENT, errno. */
int store_pending_get(struct store *s, TALLOC_CTX *mem_ctx,
		      const struct ident *ident, struct store_pending **p);
int store_result_get(struct store *s, const struct ident *ident,
		     struct verdict *v);
int store_meta_get(struct store *s, TALLOC_CTX *mem_ctx, const char *key,
		   char **value);

/*
 * At most `max` pending scans after `after` (NULL = from the start), in key
 * order, as a NULL-terminated array. 0 or errno.
 */
int store_pending_list(struct store *s, TALLOC_CTX *mem_ctx,
		       const struct ident *after, size_t max,
		       struct store_pending ***list);
/* used: bytes of the database, or NULL. */
int store_pending_count(struct store *s, uint64_t *count, uint64_t *used);

struct store_account {
	const char *name;
	int64_t added;
};

/* A share of a zone, as smbd says it; or a zone that an admin has made. */
struct store_zone {
	int64_t since;		/* ns since the epoch */
	const char *zone;
	const char *share;	/* "" = the zone itself, then root is "" */
	const char *root;
};

struct tevent_req *store_zone_put_send(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       struct store *s,
				       const struct store_zone *z);

/* .zone and .share say which. ENOENT: it was not there. */
struct tevent_req *store_zone_del_send(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       struct store *s,
				       const struct store_zone *z);

/* All, ended by zone == NULL. 0 or errno. */
int store_zone_list(struct store *s, TALLOC_CTX *mem_ctx,
		    struct store_zone **list);

/* All accounts, ended by name == NULL. 0 or errno. */
int store_avvendor_list(struct store *s, TALLOC_CTX *mem_ctx,
			struct store_account **list);

struct tevent_req *store_run_put_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s,
				      const struct job_run *run);
struct tevent_req *store_run_del_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s, uint64_t id);

/*
 * Calls fn for each run behind number `after` (0 = all), in order, until it
 * returns false. The run is gone afterwards unless fn has stolen it. 0 or
 * errno.
 */
int store_run_each(struct store *s, uint64_t after,
		   bool (*fn)(void *private_data, struct job_run *run),
		   void *private_data);

/* Events: records as event_history.c makes them. */
struct tevent_req *store_event_put_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct store *s, uint64_t id,
					const struct buf *record);
/* ENOENT: it was not there. */
struct tevent_req *store_event_del_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct store *s, uint64_t id);

int store_event_count(struct store *s, uint64_t *count);

/* Calls fn for each behind id `after`, in order, until it returns false. */
int store_event_each(struct store *s, uint64_t after,
		     bool (*fn)(void *private_data, uint64_t id,
				struct buf *record),
		     void *private_data);

/*
 * Makes the objects that `before` has into those of `after`, in one
 * transaction. Equal ones are not touched; no difference ends at once.
 */
struct tevent_req *store_objects_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct store *s,
				      const struct overlay *before,
				      const struct overlay *after);

/* All of them; a record that does not parse is logged and left alone. */
int store_objects_get(struct store *s, TALLOC_CTX *mem_ctx,
		      struct overlay **result);

#endif
