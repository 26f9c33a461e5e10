/*
 * One message to a worker and its reply: between files_ask.c, which knows
 * what is asked, and files.c, which knows whom.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_JOB_H
#define CAVAD_FILES_JOB_H

#include "cavad/files_msg.h"

struct files_job;

/*
 * Called once, unless the job is dropped or `struct files` is freed before.
 * error 0: `reply` stands behind the head, fd (or -1) is the callee's.
 */
typedef void (*files_job_done)(void *private_data, int error,
			       struct buf *reply, int fd);

/*
 * *slot is the job until it is done or gone, then NULL. number and scan_id
 * as in the message; lock: a begin that leaves something held; lazy: ms, see
 * struct files_begin. 0 or ENOMEM.
 */
int files_job_send(struct files *f, const struct buf *message,
		   uint32_t number, uint64_t scan_id, bool lock,
		   unsigned int lazy, files_job_done done,
		   void *private_data, struct files_job **slot);

/* Nobody wants the answer any more. An end is carried out all the same. */
void files_job_drop(struct files_job *job);

#endif
