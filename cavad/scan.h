/*
 * A scan: one question about one file, from look-up to answer.
 *
 * Look up the record, coalesce (one scan of a file at a time, any number
 * waiting), queue, ask a server, record the verdict on the file, answer. A
 * file that changed meanwhile is scanned again and never gets the old
 * verdict. A notice is a debt: committed to the store before it is
 * acknowledged, deleted when a verdict is recorded or the file is gone.
 * Debts that failed are tried again when a server becomes usable.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SCAN_H
#define CAVAD_SCAN_H

#include "cavad/allow.h"
#include "cavad/files.h"
#include "cavad/server.h"
#include "cavad/store.h"
#include "cavad/threat.h"

struct scans;

struct scans *scans_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			   const struct config *config, struct files *files,
			   struct store *store, struct servers *servers,
			   struct events *events, struct counters *counters);

/* What is owed is looked at again. */
void scans_config_changed(struct scans *s);

/* fn says in which pool of servers a path is scanned; without: default. */
void scans_on_pool(struct scans *s,
		   const char *(*fn)(void *private_data, const char *path),
		   void *private_data);

/* fn says which share holds a path ("" = none), for events. */
void scans_on_share(struct scans *s,
		    const char *(*fn)(void *private_data, const char *path),
		    void *private_data);

/* fn says which name of ip_pool servers are told; without: the first. */
void scans_on_turn(struct scans *s, unsigned int (*fn)(void *private_data),
		   void *private_data);

/*
 * What is infected is kept in `threats`, let through by `allows`, and
 * answered as fn says for the file of a path (enum threat_response).
 */
void scans_use_threats(struct scans *s, struct threats *threats,
		       struct allows *allows,
		       unsigned int (*fn)(void *private_data,
					  const char *path),
		       void *private_data);

enum scan_source {
	SCAN_ON_ACCESS, SCAN_NOTICE, SCAN_MANUAL, SCAN_JOB,
	SCAN_SELFTEST,		/* a test file: what is found is no threat */
	SCAN_AHEAD		/* scan_ahead(): nobody has asked yet */
};

struct scan_request {
	enum scan_source source;
	bool have_ident;
	struct ident ident;
	const char *path;	/* absolute; a hint when have_ident */
	bool ignore_previous;	/* scan even if the record is current */
	bool tiered;		/* SCAN_MANUAL, SCAN_JOB: fetch the file if it
				 * is a tiered one; others do anyway */
	const char *user;	/* who caused it, for log and events */
	const char *client;
	const char *share;	/* NULL = by the path */
	const char *pool;	/* of servers; NULL = by the path */
	const char *asked;	/* that server of the pool alone; NULL = any */
	const char *report;	/* id of the report it is part of; NULL = of
				 * on-access's, if it is a client's */
};

/* Its texts are on mem_ctx from now on. False = no memory. */
bool scan_request_keep(TALLOC_CTX *mem_ctx, struct scan_request *request);

struct scan_answer {
	struct verdict verdict;	/* FAILED and SKIPPED are answers too */
	struct ident ident;
	char *path;		/* absolute, as it is now */
	uint32_t duration;	/* ms, 0 = answered from the record */
	bool from_record;
	bool tiered;
	uint64_t bytes_fetched, bytes_sent, bytes_passed; /* scan_facts */
};

/*
 * Freeing the request stops the waiting, not the scan. The answer is never
 * older than the question.
 */
struct tevent_req *scan_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     struct scans *s,
			     const struct scan_request *request);
/* 0 or errno (ENOMEM and the like only). */
int scan_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
	      struct scan_answer *answer);

/* The file was opened to be read: its scan may begin. See scan_ahead.c. */
void scan_ahead(struct scans *s, struct tevent_context *ev,
		const struct scan_request *request);

/* What a scan was, at its end. Borrowed for the time of the call. */
struct scan_facts {
	unsigned int sources;	/* SCAN_FROM() of all whose question it
				 * answers */
	const char *report;	/* of the first of them that has one; else
				 * that of clients', or "" */
	const struct ident *ident;	/* NULL: no file was found */
	const char *path;	/* absolute, as it is now */
	const char *name;	/* the same; a stream's has its token */
	const struct verdict *verdict;
	const char *user, *client, *share;	/* of who began it; or "" */
	const char *server;	/* that was asked last; "" = none was */
	uint64_t bytes_fetched;	/* so far, through CHECK$ */
	uint64_t bytes_sent;	/* over the network, to a server that is
				 * handed the file */
	uint64_t bytes_passed;	/* to one here, which got a descriptor */
	uint32_t duration;	/* ms, 0 = no server's turn came */
	bool from_record;
	bool tiered;		/* it had to be fetched */
};

#define SCAN_FROM(source) (1U << (source))
#define SCAN_FROM_CLIENTS (SCAN_FROM(SCAN_ON_ACCESS) | \
	SCAN_FROM(SCAN_NOTICE) | SCAN_FROM(SCAN_AHEAD))

/* The report of scans for clients that are part of no other; copied. */
void scans_set_report(struct scans *s, const char *id);

/*
 * fn is called once for each scan that ends with an answer, before those
 * that wait have it; a question that joins another's scan makes no scan of
 * its own. It may ask for scans. Any number may watch. 0 or ENOMEM.
 */
int scans_watch(struct scans *s,
		void (*fn)(void *private_data,
			   const struct scan_facts *facts),
		void *private_data);

/*
 * Is a scan of it owed: noticed, queued or running? Also when the store
 * knows it as infected, since such a file is readable only after a clean
 * verdict. A handle that still writes does not count.
 */
bool scan_owed(struct scans *s, const struct ident *ident);

/*
 * Before a person is told that none is: fn reads what smbds have said and
 * nobody was woken for. (The open gate and readers ask by ipc.c.)
 */
void scans_on_hear(struct scans *s, void (*fn)(void *private_data),
		   void *private_data);
void scan_hear(struct scans *s);

/* What a scan of it that is under way does, for people, or NULL. */
const char *scan_step(const struct scans *s, const struct ident *ident);

/* Is the last verdict that the store has of it "infected"? */
bool scan_was_infected(struct scans *s, const struct ident *ident);

/*
 * A notice. Ends when the debt is committed or paid; the scan then follows by
 * itself (CLOSE, RENAME) or after the writer has gone (WILL_WRITE: see
 * scan_writer_gone). 0 or errno.
 */
struct tevent_req *scan_notice_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct scans *s,
				    const struct store_pending *notice);
int scan_notice_recv(struct tevent_req *req);

/*
 * Handles that write, one call each: opened (with its WILL_WRITE), closed
 * (with its CLOSE), or gone since the connection of its smbd ended, which
 * is treated as a close. While one is open, a scan does not pay the debt:
 * what remains of it is a WILL_WRITE.
 */
void scan_writer_came(struct scans *s, const struct ident *ident);
void scan_writer_left(struct scans *s, const struct ident *ident);
void scan_writer_gone(struct scans *s, const struct ident *ident);

/* What is owed goes to the disk now: an smbd that said so may be gone. */
void scan_write(struct scans *s);

/*
 * Read notices from the spool soon: an smbd that was without cavad is back.
 * While scan_spool_reading(), what is owed is not known for sure; fn is
 * called, from the loop, each time that ends.
 */
void scan_spool_read(struct scans *s);
bool scan_spool_reading(const struct scans *s);
void scans_on_spool_read(struct scans *s, void (*fn)(void *private_data),
			 void *private_data);

/* The right inode: what is being scanned right now, for CHECK$. */
struct scan_outstanding {
	const char *path;	/* absolute, as the server was told */
	const char *server;	/* name of the server that may fetch it */
	bool ended;		/* within check_grace */
};

/*
 * Is a scan of this file outstanding (or ended within check_grace)? i from
 * 0; false after the last.
 */
bool scan_outstanding(struct scans *s, const struct ident *ident,
		      unsigned int i, struct scan_outstanding *o);

/* So many bytes of it were read there: told when the handle is closed. */
void scan_bytes_fetched(struct scans *s, const struct ident *ident,
			uint64_t bytes);

/* fn hears of those that come after the scan: the report it was part of. */
void scans_on_late_bytes(struct scans *s,
			 void (*fn)(void *private_data, const char *report,
				    uint64_t bytes),
			 void *private_data);

/* The file was opened for reading through CHECK$. */
void scan_fetched(struct scans *s, const struct ident *ident);

/*
 * Its server is about to repair the file: it must not wait for the lock of
 * its own scan. What it changes voids the answer.
 */
void scan_unlock(struct scans *s, const struct ident *ident);

/* The path that an alias of CHECK$ stands for, or NULL. Borrowed. */
const char *scan_alias(struct scans *s, const char *alias);

/*
 * What was opened at this path was another file: the scan is void. False
 * when no scan is running under this path.
 */
bool scan_wrong_file(struct scans *s, const char *path);

/* Calls fn for the path of every outstanding scan. */
void scan_outstanding_paths(struct scans *s,
			    void (*fn)(void *private_data, const char *path),
			    void *private_data);

struct scan_queue_status {
	const char *name;	/* of queue_lane_text() */
	uint32_t size;		/* queued or running */
	uint32_t size_max;
};

/* i from 0; false after the last. */
bool scan_queue_status(const struct scans *s, unsigned int i,
		       struct scan_queue_status *q);

#endif
