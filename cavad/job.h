/*
 * Jobs: what runs, and when.
 *
 * [job NAME] of the configuration runs when its schedule says so, or when
 * somebody starts it; a run without a job is one of paths, once. A run walks
 * (files_walk.h), asks for scans in the lane of the batch, and remembers how
 * far it got: what cavad was killed over goes on from there.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_JOB_H
#define CAVAD_JOB_H

#include "cavad/job_run.h"
#include "cavad/scan.h"

struct jobs;

/* A run that cavad starts by itself; no job can have this name. */
#define JOB_RECOVERY "(recovery)"

/*
 * Runs that were under way go on. After an unclean stop of the host what was
 * owed may be lost with the power: then there is a run of JOB_RECOVERY over
 * all of check_root. 0 or errno.
 */
int jobs_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		const struct config *config, struct files *files,
		struct store *store, struct servers *servers,
		struct scans *scans, struct jobs **result);

/*
 * began is called for each run under way, and for each that begins; what it
 * returns, the id of its report, is borrowed for the call. NULL: it has none.
 * ended is called with it, when the record of the run says that it has ended.
 */
void jobs_watch(struct jobs *jobs,
		const char *(*began)(void *private_data,
				     const struct job_run *run),
		void (*ended)(void *private_data, const char *report,
			      const struct job_run *run),
		void *private_data);

/* So many bytes more were read for a run under way. */
void job_fetched(struct jobs *jobs, uint64_t id, uint64_t bytes);

/* cavad ends, and all that is owed is in the database. */
void jobs_stop(struct jobs *jobs);

struct job_start {
	const char *job;	/* of the configuration, JOB_RECOVERY, or ""
				 * with paths */
	const char **paths;	/* absolute */
	uint32_t path_count;
	bool force;		/* whatever ignore_previous_scan_status is */
};

/*
 * A new run. A request of the store, whose end means that it will survive;
 * or NULL and *why (on mem_ctx; NULL: no memory), and then nothing changed.
 */
struct tevent_req *job_start_send(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				  const struct job_start *start,
				  uint64_t *id, char **why);

enum job_verb { JOB_VERB_RUN, JOB_VERB_PAUSE, JOB_VERB_CANCEL };

/* The same of a run that is under way. */
struct tevent_req *job_verb_send(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				 uint64_t id, enum job_verb verb, char **why);

/*
 * The run as it is now, on mem_ctx, with what it waits for as its state; from
 * the database when it has ended. NULL: there is none.
 */
struct job_run *job_view(TALLOC_CTX *mem_ctx, struct jobs *jobs, uint64_t id);

/* Files a second lately; 0: not known. */
uint64_t job_rate(struct jobs *jobs, uint64_t id);

/* Number of its run that is under way, 0 = none. */
uint64_t job_running(struct jobs *jobs, const char *job);

/* When it runs next, s since the epoch; 0 = by hand only. */
int64_t job_next(struct jobs *jobs, const struct job_object *job);

/* It is removed, or made anew: no run of an earlier one was missed. */
void job_forget(struct jobs *jobs, const char *job);

/* It has another name, and nothing else is new. */
void job_renamed(struct jobs *jobs, const char *from, const char *to);

/* When its schedule last started a run, s since the epoch; 0 = never. */
int64_t job_last(struct jobs *jobs, const struct job_object *job);

/* The last one of any kind; they count from 1. */
uint64_t jobs_last(const struct jobs *jobs);

#endif
