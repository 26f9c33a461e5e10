/*
 * What job.c (who works, and what others ask) and job_active.c (the work of
 * one run) share, and nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_JOB_PRIVATE_H
#define CAVAD_JOB_PRIVATE_H

#include <sys/queue.h>

#include "cavad/config.h"
#include "cavad/job.h"
#include "cavad/job_boot.h"
#include "cavad/job_due.h"

#define JOB_WALK_TRIES 5	/* walkers lost at one place */
#define JOB_RATE_TICKS 10

TAILQ_HEAD(batches, batch);

struct batch {
	TAILQ_ENTRY(batch) entry;
	struct active *run;
	struct files_walked walked;
	uint32_t sent;		/* candidates that were asked about */
	uint32_t open;		/* and not answered */
	struct run_counts counts;
};

struct asked {
	struct batch *batch;
	struct files_candidate file;	/* .content: not answered yet */
	bool again;		/* a stream of it was asked about in vain */
};

struct active {
	LIST_ENTRY(active) entry;
	struct jobs *jobs;
	struct job_run *run;
	enum job_state wait;	/* RUNNING, or what it waits for */
	struct batches batches;
	unsigned int batch_count;
	char *walk_cursor;	/* where the next batch begins */
	bool walk_done;		/* of this path */
	struct tevent_req *walk;
	unsigned int tries;
	uint32_t under_way;
	bool hold;		/* rule 4 */
	bool dirty;
	struct tevent_req *put;
	char *report;		/* its id, or NULL */
	TALLOC_CTX *rules;	/* of the batch that is walked now */
	uint64_t files[JOB_RATE_TICKS];	/* seen, at the last ticks */
	unsigned int ticks;
};

/* A run that has ended, until the request that keeps its record is freed. */
struct ending {
	LIST_ENTRY(ending) entry;
	struct job_run *run;
};

struct jobs {
	struct tevent_context *ev;
	const struct config *config;
	struct files *files;
	struct store *store;
	struct servers *servers;
	struct scans *scans;
	struct job_due *due;
	struct job_boot *boot;
	struct tick *tick;
	unsigned int ticks;
	unsigned int purged;	/* this time */
	LIST_HEAD(, active) active;
	LIST_HEAD(, ending) ending;
	unsigned int count;
	uint64_t last;
	const char *(*began)(void *private_data, const struct job_run *run);
	void (*ended)(void *private_data, const char *report,
		      const struct job_run *run);
	void *watch_private;
};

/* What it runs by: the job as it is configured now; NULL: it is no more. */
const struct job_object *active_object(const struct active *a);

/* "run 7 of job weekend", on mem_ctx */
const char *active_title(TALLOC_CTX *mem_ctx, const struct job_run *run);

/* Why it fails. */
void active_fail(struct active *a, const char *path, const char *why);

/* Writes the record if there is something new in it. */
void active_save(struct active *a);

/* Throws away what is under way; the walk goes on from the cursor. */
void active_drop(struct active *a);

/* In the record, and in the log; nothing is under way afterwards. */
void active_ended(struct active *a, enum job_state state);

/* It is active no more. `put` keeps its record; NULL: nothing does. */
void active_leave(struct active *a, struct tevent_req *put);

/* All that: the record is being written. */
void active_finish(struct active *a, enum job_state state);

/* Does what can be done now; the run may be no more afterwards. */
void active_work(struct active *a);

/* The callback of a write that nobody waits for. */
void active_put_ended(struct tevent_req *subreq);

#endif
