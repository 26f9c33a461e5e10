/*
 * Did the host stop without cavad being stopped first?
 *
 * cavad notes the boot it runs in, and at its end that it was stopped. A
 * note of another boot that nobody has ended means that the power went, and
 * with it maybe notices that no disk had yet. (kill -9 loses none of them.)
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_JOB_BOOT_H
#define CAVAD_JOB_BOOT_H

#include "cavad/store.h"

#define JOB_BOOT_ID "/proc/sys/kernel/random/boot_id"

struct job_boot;

struct job_boot *job_boot_create(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev,
				 struct store *store);

/* Something is to be done about it. */
bool job_boot_unclean(const struct job_boot *b);

/* It is being done. Noted behind the run, whose record is asked for first. */
void job_boot_recovers(struct job_boot *b);

/* cavad is stopped: noted once the store is flushed. */
void job_boot_stop(struct job_boot *b);

/* Pure. noted: what was found, NULL = nothing. */
bool job_boot_is_unclean(const char *noted, const char *now);

#endif
