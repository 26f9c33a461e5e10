/*
 * What files.c (who gets which request) and files_bunch.c (what goes together
 * and what nobody waits for) share, and nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_PRIVATE_H
#define CAVAD_FILES_PRIVATE_H

#include <sys/queue.h>
#include <sys/types.h>

#include "cavad/files_job.h"
#include "cavad/files_packet.h"

#define FILES_SCAN_BUCKETS 256

TAILQ_HEAD(files_jobs, files_job);

struct files_job {
	TAILQ_ENTRY(files_job) entry;
	struct files_jobs *queue;	/* NULL = a worker has it; of one that
					 * is to be given: where it is from */
	struct files_job **slot;	/* NULL = nobody wants the answer */
	files_job_done done;
	void *private_data;
	uint32_t id;
	uint32_t number;
	uint64_t scan_id;
	bool lock;
	unsigned int lazy;		/* ms; rule 8 of files.c */
	size_t len;
	uint8_t data[];
};

/* Which worker holds the lease of a scan. */
struct files_scan {
	LIST_ENTRY(files_scan) entry;
	uint64_t scan_id;
	unsigned int index;
	uint32_t incarnation;
};

struct files_worker {
	struct files *files;
	unsigned int index;
	uint32_t incarnation;
	pid_t pid;
	int sock;			/* -1 = there is none now */
	struct tevent_fd *fde;
	struct tevent_timer *stuck;	/* while it has something under way */
	struct timeval since;		/* it last answered, or was given */
	struct files_jobs under_way;	/* one, or a bunch */
	struct files_jobs later;	/* rule 5; their .queue is NULL */
	struct files_jobs waiting;	/* ends of scans it holds */
	struct files_jobs lazy;		/* and those that are gathered */
};

struct files {
	struct tevent_context *ev;
	int control;
	struct tevent_fd *control_fde;
	pid_t parent;
	void (*fatal)(void *private_data);
	void *private_data;
	struct files_worker workers[FILES_PROCESSES];
	struct files_jobs waiting;
	struct files_jobs again;	/* rule 8: each alone */
	struct files_jobs lazy;		/* begins that are gathered */
	struct tevent_timer *gather;	/* while there is any that is */
	struct timeval gather_at;
	struct files_jobs walks;	/* rule 7 */
	LIST_HEAD(, files_scan) scans[FILES_SCAN_BUCKETS];
	uint32_t last_id;
	unsigned int stuck;		/* ms */
	bool *freed;			/* set when this is */
	struct files_in in;		/* nothing is left in it */
};

/* What a worker is about to be given, all at once. */
struct files_bunch {
	struct files_jobs jobs;
	struct files_out out;
};

/* From files.c. */

void files_jobs_add(struct files_jobs *queue, struct files_job *job);

/* It has a socket, and nothing under way. */
bool files_worker_idle(const struct files_worker *w);

/*
 * It is idle. If that fails the jobs, with which nobody has begun, are where
 * they were, and the worker is gone. Calls no callback.
 */
void files_worker_give(struct files_worker *w, struct files_bunch *bunch);

/* It is on no queue. Somebody waits for it now. */
void files_job_urgent(struct files *f, struct files_job *job);

/* From files_bunch.c. */

void files_bunch_start(struct files_bunch *bunch);

/* The first one of that queue. False: there is none, or no room. */
bool files_bunch_take(struct files_bunch *bunch, struct files_jobs *queue);

/* All of them are where they were. */
void files_bunch_undo(struct files_bunch *bunch);

/* May it have what nobody waits for, besides the ends of what it holds? */
bool files_bunch_takes(const struct files_worker *w);

/* A lazy one is on its queue. */
void files_bunch_added(struct files *f, const struct files_job *job);

/*
 * Gives idle workers what is gathered: when it is enough for a bunch, or
 * `due`. Calls no callback.
 */
void files_bunch_push(struct files *f, bool due);

#endif
