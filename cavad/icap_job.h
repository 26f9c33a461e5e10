/*
 * One exchange with an ICAP server, in a thread of its own.
 *
 * A job belongs to its thread from icap_job_start() until icap_job_next()
 * gives it back, and is not to be looked at in between, but for
 * .private_data, which is the loop's.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ICAP_JOB_H
#define CAVAD_ICAP_JOB_H

#include "cavad/icap_session.h"
#include "cavad/trace.h"

/* What outlives an engine while threads of it run. */
struct icap_jobs;

/* The target's strings are taken over (malloc). 0 or errno. */
int icap_jobs_create(const struct icap_target *target,
		     struct icap_jobs **result);

/* Readable when icap_job_next() has something; take all there is. */
int icap_jobs_fd(const struct icap_jobs *jobs);

/* The engine goes; jobs that run end by themselves. */
void icap_jobs_release(struct icap_jobs *jobs);

struct icap_job {
	/* for the thread */
	struct icap_jobs *jobs;
	struct icap_job *next;	/* of those that are done */
	struct icap_wait wait;
	struct icap_session *session;	/* or NULL: it makes one. Afterwards
					 * one that can be used again */
	bool heartbeat;
	bool test;		/* heartbeat: with the two files */
	int64_t preview;
	struct icap_content content;	/* of a scan; .fd is the job's */
	struct trace *trace;		/* the job's; NULL = nobody looks */

	/* from the thread */
	int error;		/* errno: there was no answer */
	struct icap_reply reply;	/* to OPTIONS, or to the scan */
	bool options_only;	/* heartbeat: the reply was no good */
	bool eicar_found;
	bool clean_passed;
	int test_status;	/* ICAP's, of what eicar_found is about */
	uint64_t sent;
	char address[INET6_ADDRSTRLEN];
	char why[ICAP_WHY];

	void *private_data;	/* for the loop */
};

/* NULL = no memory, or no descriptor. timeout: s */
struct icap_job *icap_job_create(struct icap_jobs *jobs, uint32_t timeout);

/* 0 or errno; then it is still the caller's. */
int icap_job_start(struct icap_job *job);

/* One that is done, the caller's to free; NULL. */
struct icap_job *icap_job_next(struct icap_jobs *jobs);

/* It runs, and is to end soon. */
void icap_job_cancel(struct icap_job *job);

/* The session too, if there is one. */
void icap_job_free(struct icap_job *job);

#endif
