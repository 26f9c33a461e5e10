/*
 * The files process: the only part of cavad with rights over files.
 *
 * files_start() forks a parent that keeps root (cut down to what it needs,
 * without network) and forks workers; cavad talks to each worker over its
 * own socketpair and to the parent to have a stuck one replaced. Workers
 * open files by identity, hold the lease of a scan from begin to end, and
 * write the verdict attribute. files.c, files_bunch.c and files_ask.c are
 * cavad's end, files_parent.c and files_worker.c the other side.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_H
#define CAVAD_FILES_H

#include <talloc.h>
#include <tevent.h>

#include "common/filter.h"
#include "common/ident.h"

#define FILES_WORKERS 4
#define FILES_WALKERS 2		/* behind the workers; they only walk */
#define FILES_PROCESSES (FILES_WORKERS + FILES_WALKERS)
#define FILES_STUCK 10		/* s until a worker is replaced */
#define FILES_BUNCH 8		/* requests that nobody waits for, at once */
#define FILES_GATHER 2		/* ms, until they go */
#define FILES_STAMP_AHEAD 20000000	/* ns that T is set ahead */

struct files;

/*
 * Forks. Call as root, before any thread, before the store is open, and
 * before rights are dropped. 0 or errno.
 */
int files_start(TALLOC_CTX *mem_ctx, const char *check_root,
		const char *spool_dir, struct files **result);

/* From here on requests can be sent. Workers are replaced, the end of the
 * parent is fatal(private_data). */
void files_attach(struct files *f, struct tevent_context *ev,
		  void (*fatal)(void *private_data), void *private_data);

enum files_status {
	FILES_OK = 0,
	FILES_GONE,		/* no such file any more */
	FILES_NOT_REGULAR,
	FILES_OUTSIDE,		/* not below check_root */
	FILES_CHANGED,		/* end: not what was scanned; no record */
	FILES_NO_ATTRIBUTE,	/* end: cannot be written here; keep it in
				 * the store */
	FILES_IO		/* anything else; .error says what */
};

struct files_begin {
	uint64_t scan_id;	/* of the caller; one begin an id */
	bool have_ident;	/* else by path alone */
	struct ident ident;
	const char *path;	/* absolute; a hint when have_ident */
	bool lock;		/* take the lease (a scan follows) */
	bool want_fd;		/* hand over a read-only descriptor; with
				 * if_needed, of what is locked */
	bool if_needed;		/* lock only what is to be scanned and quick:
				 * without a current verdict, not tiered, of
				 * lock_max bytes at most */
	int64_t signature_min;	/* if_needed: of verdict_state() */
	uint64_t lock_max;	/* if_needed: bytes */
	unsigned int lazy;	/* ms that it may wait for others, with which
				 * it is cheaper; 0: somebody waits for it */
};

struct files_begun {
	enum files_status status;
	int error;		/* errno with FILES_IO */
	struct ident ident;
	char *path;		/* absolute, as the kernel has it now, but
				 * below check_root as it is configured */
	struct content content;
	bool have_record;
	struct verdict record;	/* the attribute, if any */
	bool locked;		/* until files_end */
	bool leased;
	bool quiet;		/* leased, and not changed for so long before
				 * that any change from now on is another
				 * ctime: what has this content is what is
				 * leased, before its record says so */
	bool tiered;		/* see tiered.h */
	int fd;			/* -1, or the caller's to close */
};

/*
 * Opens a file and tells what is known of it. With lock the worker keeps
 * it open and leased under scan_id until files_end; begun.locked says so.
 */
struct tevent_req *files_begin_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct files *f,
				    const struct files_begin *begin);
/* 0 or errno (ETIMEDOUT, EPIPE: the worker died); status has the answer. */
int files_begin_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct files_begun *begun);

struct files_end {
	uint64_t scan_id;
	struct ident ident;
	const char *path;	/* hint, in case the worker was replaced */
	struct content before;	/* as files_begun said */
	const struct verdict *record;	/* NULL = just let go */
	unsigned int lazy;	/* ms that it may wait for others, with which
				 * it is cheaper; 0: somebody waits for it */
};

struct files_ended {
	enum files_status status;
	int error;
	struct verdict record;	/* as written, with content and stamp;
				 * FILES_NO_ATTRIBUTE: as the store shall
				 * have it, stamp = ctime */
	struct content content;	/* as it is now, if a record was to be
				 * written and .status is not FILES_IO */
};

/*
 * Not of a named stream, of which nothing is held: what was scanned is the
 * content that begun says.
 *
 * Compares the file with `before`, and writes the record if nothing moved;
 * then lets the lease go (at T). record.content and .stamp are set here.
 * Freeing the request takes nothing back: the end is carried out.
 */
struct tevent_req *files_end_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  struct files *f,
				  const struct files_end *end);
int files_end_recv(struct tevent_req *req, struct files_ended *ended);

/* Somebody waits now for a begin or end of this scan that is lazy. */
void files_raise(struct files *f, uint64_t scan_id);

/*
 * The named streams that are attributes of a file, or of a directory
 * (common/stream.h).
 */
struct files_streams {
	enum files_status status;
	int error;		/* errno with FILES_IO */
	struct ident ident;	/* of the file */
	const char *names;	/* of attributes, a NUL behind each; in the
				 * order in which the file has them */
	size_t len;		/* of all together */
};

struct tevent_req *files_streams_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct files *f,
				      const struct ident *ident, /* or NULL */
				      const char *path);
/* 0 or errno. .names is on mem_ctx. */
int files_streams_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		       struct files_streams *streams);

/* What is done about one file, and lasts. */
enum files_action {
	FILES_QUARANTINE = 1,	/* its record says so from now on */
	FILES_RELEASE,		/* no more: as if its scan were outdated */
	FILES_TRUNCATE,
	FILES_DELETE
};

struct files_respond {
	enum files_action action;
	bool have_ident;	/* else by path alone */
	struct ident ident;
	const char *path;	/* absolute; a hint when have_ident */
	struct content content;	/* TRUNCATE, DELETE: only while it is that */
};

struct files_responded {
	enum files_status status;	/* CHANGED: nothing was done */
	int error;		/* with FILES_IO; ETXTBSY: somebody has it
				 * open for writing, and nothing was done */
	struct ident ident;
	char *path;		/* absolute, as it is, or was */
	struct content content;	/* afterwards */
	struct verdict record;	/* QUARANTINE, RELEASE: what it says now, or
				 * with NO_ATTRIBUTE what the store shall say;
				 * .result NONE: nothing */
	bool was;		/* QUARANTINE, RELEASE: it was quarantined */
	uint32_t links;		/* DELETE: other names that it still has */
};

/*
 * On the identified file only, never on what a path leads to by then. Not of
 * named streams. Freeing the request takes nothing back.
 */
struct tevent_req *files_respond_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      struct files *f,
				      const struct files_respond *respond);
int files_respond_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		       struct files_responded *responded);

/*
 * The next spooled notices: encoded NOTICE messages in whole frames (u32
 * length, message) as spool_read() has them. len 0 = nothing (more). The
 * frames handed over are gone after files_spool_done_send().
 */
struct files_spooled {
	uint64_t next;		/* offset to ask for */
	uint64_t damaged;	/* bytes before these frames, skipped */
	bool overflow;		/* later notices found no room, and are lost */
	uint8_t *data;
	size_t len;
};

struct tevent_req *files_spool_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct files *f, uint64_t offset);
int files_spool_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct files_spooled *spooled);
struct tevent_req *files_spool_done_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct files *f);
int files_spool_done_recv(struct tevent_req *req);

/* The next batch of a walk: see files_walk.h. */
struct files_walk {
	const char *path;	/* absolute; a directory */
	const char *cursor;	/* "" = from the start */
	bool other_mounts;
	bool ignore_previous;	/* what has a current verdict, too */
	int64_t signature_min;	/* of verdict_state() */
	struct filter rules;	/* extensions and paths of it */
};

/* What was seen in a batch. W(name, "what is counted") */
#define WALK_COUNTS(W) \
	W(directories, "directories") \
	W(files, "regular files seen") \
	W(bytes, "and their bytes") \
	W(current, "with a current verdict") \
	W(infected, "of those: infected, and not allowed") \
	W(excluded, "left out by paths or extensions") \
	W(others, "neither files nor directories") \
	W(mounts, "directories that are another mount") \
	W(loops, "directories that are one of those above them") \
	W(gone, "gone while the walk came by") \
	W(failed, "that could not be read")

struct walk_counts {
#define W(name, text) uint64_t name;
	WALK_COUNTS(W)
#undef W
};

struct files_candidate {
	const char *path;	/* absolute */
	uint64_t size;
	bool content;		/* its content is to be scanned */
	bool streams;		/* it has named streams (a directory has no
				 * more than those) */
};

struct files_walked {
	int error;		/* of the start: ENOENT, ENOTDIR, EXDEV ... */
	bool done;		/* there is no more */
	const char *cursor;
	struct walk_counts counts;
	struct files_candidate *candidates;	/* to be scanned */
	uint32_t count;
};

struct tevent_req *files_walk_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct files *f,
				   const struct files_walk *walk);
/* 0 or errno (ETIMEDOUT, EPIPE: ask again); walked has the rest. */
int files_walk_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		    struct files_walked *walked);

#endif
