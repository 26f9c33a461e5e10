/*
 * Which jobs are due.
 *
 * Of each scheduled job the database has the moment up to which its schedule
 * has been heeded; it is due when the next time behind that has come. So what
 * was missed while cavad was down is made up for at the start, by one run.
 * A job that is new, or has another schedule, begins with now.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_JOB_DUE_H
#define CAVAD_JOB_DUE_H

#include "cavad/config.h"
#include "cavad/store.h"

struct job_due;

struct job_due *job_due_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       const struct config *config,
			       struct store *store);

/* Calls start for each job that is due at `now`. */
void job_due_look(struct job_due *d, time_t now,
		  void (*start)(void *private_data, const char *job),
		  void *private_data);

/* What is known of a job of that name. */
void job_due_forget(struct job_due *d, const char *job);

/* It has another name from now on, and its schedule is heeded as before. */
void job_due_rename(struct job_due *d, const char *from, const char *to);

/* When it was started last; 0 = never. */
int64_t job_due_last(struct job_due *d, const char *job);

/* 0: by hand only. */
int64_t job_due_next(struct job_due *d, const struct job_object *job);

#endif
