/*
 * What scan.c (questions and who waits), scan_look.c (is there a verdict?),
 * scan_run.c (the life of one scan), scan_pool.c (in which queue) and
 * scan_ask.c (a server is asked) share, and nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SCAN_PRIVATE_H
#define CAVAD_SCAN_PRIVATE_H

#include <sys/queue.h>

#include "cavad/busy.h"
#include "cavad/debt.h"
#include "cavad/outstanding.h"
#include "cavad/queue.h"
#include "cavad/scan.h"
#include "cavad/spooled.h"

#define SCAN_BUCKETS 4096
#define SCAN_CHANGES 5		/* times in a row that a file may change */
#define SCAN_VOIDS 3		/* further tries after a wrong file, a name
				 * that changed, a lost worker */

enum scan_state {
	SCAN_LOOKUP,		/* is there a current verdict? if there is
				 * none, and a server is free: SCAN_BEGIN too */
	SCAN_QUEUED,
	SCAN_BEGIN,		/* opening, locking */
	SCAN_ASK,		/* a server is at it */
	SCAN_PAUSE,		/* before it starts over */
	SCAN_END		/* comparing, recording */
};

struct scan_waiter {
	TAILQ_ENTRY(scan_waiter) entry;
	struct scan *scan;	/* NULL = answered */
	bool late;		/* on the list of that name */
	struct tevent_context *ev;
	struct tevent_req *req;
	enum scan_source source;
	bool ignore_previous;
	bool job;		/* a job asks: verdicts age sooner, maybe */
	bool tiered;		/* may be fetched for it */
	char *report;
	struct scan_answer answer;
};

TAILQ_HEAD(scan_waiters, scan_waiter);

struct scan_pool {
	LIST_ENTRY(scan_pool) entry;
	char *name;
	struct queue queue;
};

struct scan {
	struct scans *scans;
	LIST_ENTRY(scan) entry;
	LIST_ENTRY(scan) bucket;
	bool hashed;
	struct scan_pool *pool;	/* NULL: not known yet */
	bool pool_guessed;	/* by the path of the question */
	struct queue_entry queue;
	enum scan_state state;
	bool looked;		/* there is no current verdict */

	bool have_ident;
	struct ident ident;
	char *path;		/* a hint at first, then as it is */
	char *name;		/* of a stream: FILE:TOKEN; else NULL */
	char *user;
	char *client;
	char *share;
	char *asked;		/* that server alone, or NULL */
	unsigned int sources;	/* as in struct scan_facts */
	char *report;
	char server[VERDICT_TEXT_MAX];	/* that was picked last */
	uint64_t bytes_fetched;
	uint64_t bytes_sent;
	uint64_t bytes_passed;
	bool ignore_previous;
	bool job;		/* a job asks: verdicts age sooner, maybe */
	bool urgent;		/* somebody waits */
	bool ahead;		/* counted in aheads */
	bool tiered;		/* it has to be fetched, which takes time */
	bool manual;		/* the result goes to the store as well */
	struct scan_waiters waiters;
	struct scan_waiters late;	/* came too late for this one */

	uint64_t id;		/* of this try */
	struct tevent_req *subreq;
	struct content before;
	bool locked;		/* by the look-up: to be let go */
	int fd;
	char *alias;		/* a path for CHECK$ alone, or NULL */
	struct outstanding_entry *outstanding;
	bool fetched;
	bool wrong_file;
	char *missed;		/* the path at which no server found it */
	enum verdict_reason missed_reason;
	char missed_by[VERDICT_TEXT_MAX];
	unsigned int changes;
	unsigned int voids;
	int64_t began;		/* us, 0 = not yet */
	struct verdict verdict;
	enum verdict_result said;	/* by the server */
	bool digested;
	uint8_t digest[DIGEST_SIZE];	/* of what is infected */
	uint64_t allow;		/* the entry that lets it through, or 0 */
	bool unsure;		/* one may, by the hash that is not known */
	enum threat_response response;
	bool quiet;		/* files_begun.quiet, and nobody let it go */
	bool let_go;		/* the verdict is none for a record */
	bool again;		/* and none at all: begin again */
	bool ended_again;	/* a worker was lost at the end */
};

struct scan_watch {
	LIST_ENTRY(scan_watch) entry;
	void (*fn)(void *private_data, const struct scan_facts *facts);
	void *private_data;
};

struct scans {
	struct tevent_context *ev;
	const struct config *config;
	struct files *files;
	struct store *store;
	struct servers *servers;
	struct events *events;
	struct counters *counters;
	struct threats *threats;	/* NULL: none are kept */
	struct allows *allows;
	unsigned int (*response_fn)(void *private_data, const char *path);
	void *response_private;
	struct debts *debts;
	struct spooled *spooled;
	struct outstanding *outstanding;
	LIST_HEAD(, scan_pool) pools;
	const char *(*pool_fn)(void *private_data, const char *path);
	void *pool_private;
	const char *(*share_fn)(void *private_data, const char *path);
	void *share_private;
	void (*hear_fn)(void *private_data);
	void *hear_private;
	struct busy busy;
	struct tevent_immediate *wake;
	LIST_HEAD(, scan) all;
	LIST_HEAD(, scan) buckets[SCAN_BUCKETS];
	uint32_t count;
	uint32_t aheads;	/* of them, by scan_ahead() */
	uint64_t last_id;
	unsigned int (*turn_fn)(void *private_data);	/* of ip_pool */
	void *turn_private;
	LIST_HEAD(, scan_watch) watches;
	char *report;		/* of clients' scans, or NULL */
	void (*late_fn)(void *private_data, const char *report,
			uint64_t bytes);
	void *late_private;
	struct tevent_timer *full_timer;	/* while that event is up */
};

/* From scan.c. */

/* The scan of this file that is under way, or NULL. */
struct scan *scan_find(const struct scans *s, const struct ident *ident);

/* The file behind the path is known now; no other scan of it may be. */
void scan_hash(struct scan *scan);

/* Monotonic us. */
int64_t scan_clock(void);

/* Puts all that wait for `from` on `scan`. */
void scan_take_waiters(struct scan *scan, struct scan *from);

/*
 * Who came too late for what was seen before may be in time for what follows
 * scan->state.
 */
void scan_waiters_in_time(struct scan *scan);

/*
 * Clean, and the record is still to be written: readers do not wait for
 * that, when the content that the answer names can be nothing else.
 */
void scan_answer_readers(struct scan *scan);

/*
 * Answers those that wait and frees the scan. path in the answer is
 * scan->path. Those that came too late get a scan of their own.
 */
void scan_finish(struct scan *scan, const struct verdict *verdict,
		 bool from_record);

/* The id of the report that it is part of, or "". */
const char *scan_report(const struct scan *scan);

/* That of clients, when it is theirs as well; or NULL. */
const char *scan_report_also(const struct scan *scan);

/* Starts what may run, soon. */
void scans_wake(struct scans *s);

/* With how many in memory is there no room for one from there? */
uint64_t scans_most(const struct scans *s, enum scan_source source);

/* How many more from there may be in memory. */
uint64_t scans_room(const struct scans *s, enum scan_source source);

/* From scan_pool.c. */

/* That of the name, made if it is new. NULL = no memory. */
struct scan_pool *scan_pool_get(struct scans *s, const char *name);

/*
 * Before the file was looked at: by the path of the question, which may be
 * an old one. False = no memory.
 */
bool scan_pool_guess(struct scan *scan);

/*
 * By the path, unless the question said it. If that was guessed otherwise the
 * scan leaves the queue that it is in. scan->pool NULL = no memory.
 */
void scan_pool_choose(struct scan *scan);

/* Would it start at once, as things stand? */
bool scan_pool_is_free(const struct scan *scan, enum queue_lane lane);

/*
 * Has its pool a connection for what nobody waits for, with `begun` scans on
 * their way to one?
 */
bool scan_pool_is_idle(struct scans *s, const struct scan_request *request,
		       uint32_t begun);

/* The share of the file, for people; "" = not known. */
const char *scan_share(const struct scan *scan);

/* A question was refused: counts it, and raises the event. */
void scan_pool_full(struct scans *s);

/* Starts what may run. */
void scan_pool_run(struct scans *s, struct scan_pool *pool);

/* From scan_stream.c. */

bool scan_is_stream(const struct scan *scan);

/* What servers and the log call it; set anew when the path is. */
void scan_set_name(struct scan *scan);
const char *scan_name(const struct scan *scan);

/* By what CHECK$ will say that it opened it; and the other way round. */
struct ident scan_asked_ident(const struct scan *scan);
struct scan *scan_asked_find(const struct scans *s,
			     const struct ident *ident);

/* Is there a verdict on these bytes? */
bool scan_stream_current(const struct scan *scan, const struct content *now,
			 struct verdict *v);

/* Is it infected, by bytes that were found elsewhere before? */
bool scan_stream_news(const struct scan *scan, const struct verdict *v);

/* Where the verdict goes; known: there is one under the identity. */
struct ident scan_result_key(struct scan *scan, bool known);

/* From scan_threat.c. */

/* A test file: what is found in it is no threat. */
bool scan_is_selftest(const struct scan *scan);

/* A server has answered: goes on to scan_end(). */
void scan_judge(struct scan *scan);

/*
 * A current record says infected: does that stand? *v says afterwards
 * whether it is allowed. False: it is to be scanned once more.
 */
bool scan_known_infected(struct scan *scan, const struct ident *ident,
			 struct verdict *v);

/* The store has it quarantined: so has scan->verdict then. */
bool scan_keep_quarantine(struct scan *scan);

/* Infected, and recorded: answers it, and the scan ends. */
void scan_found(struct scan *scan);

/* It is not infected any more, or not there. */
void scan_cleared(struct scan *scan, enum threat_state state,
		  const char *why);

/* From scan_look.c. */

/* Begins, or waits for its turn to. */
void scan_start(struct scan *scan);

/* Who waits may need no server: it is looked at now. It may be gone then. */
void scan_hurry(struct scan *scan);

/* Is there a current verdict? */
void scan_lookup(struct scan *scan);

/* From scan_run.c. */

/* ms that its requests may wait for others; 0 while somebody waits for it. */
unsigned int scan_lazy(const struct scan *scan);

/* Will the engine that may be asked want a descriptor of the content? */
bool scan_wants_fd(const struct scan *scan);

/* Ends without a verdict: the files process did not answer at all, or said
 * why. */
void scan_fail_error(struct scan *scan, int error);
void scan_fail_status(struct scan *scan, enum files_status status, int error);

bool scan_too_large(const struct scan *scan, uint64_t size);

/* The path as it is now; the hint stays when there is no memory for it. */
void scan_set_path(struct scan *scan, char *path);

/* Begins one try, of what is locked then: that has this content. */
void scan_try(struct scan *scan);
void scan_go(struct scan *scan, const struct files_begun *begun);

/* An older verdict in the store would override this one on the file. */
bool scan_wants_store(const struct scan *scan);

/* scan->verdict goes to the store; then it is the answer. */
void scan_store(struct scan *scan);

/* The file is free for everybody. */
void scan_let_go(struct scan *scan);

/* It has its place in a lane. */
void scan_begin(struct scan *scan);

/* Compares, records scan->verdict unless let_go, lets go of the file. */
void scan_end(struct scan *scan);

/* Lets go of what was opened; that is the answer then. */
void scan_end_without(struct scan *scan, enum verdict_result result,
		      enum verdict_reason reason);

/* One more try? What voids it is not the file's fault. */
bool scan_may_void(struct scan *scan);

/* From scan_ask.c. */

/* The path by which CHECK$ opens it; a stream's has its token. */
const char *scan_asked_name(const struct scan *scan);

/* Asks a server; the scan ends with what it answers. */
void scan_ask(struct scan *scan);

/*
 * A server has not opened the file at the path it had before: does it still
 * have it? True: the scan ends with what the server said then.
 */
bool scan_missed_again(struct scan *scan);

#endif
