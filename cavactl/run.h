/*
 * One run of a job: started, shown while it goes on, and what came of it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_RUN_H
#define CAVACTL_RUN_H

#include "cavactl/cavactl.h"

#define RUNS_PATH "/platform/10/job/jobs"

/* Of a list of runs. */
extern const struct output_column run_columns[];

/* *id: of the new run. Takes body, which may be NULL: names were no UTF-8. */
enum cavactl_exit run_start(const struct cavactl *ctl, json_t *body,
			    json_int_t *id);

/* The run, the caller's; NULL and *ret: there is none to be had. */
json_t *run_get(const struct cavactl *ctl, const char *id,
		enum cavactl_exit *ret);

/* Pure. */
bool run_has_ended(const json_t *run);

/* All that is known of it, in any format. */
void run_print(const struct cavactl *ctl, json_t *run);

/* Shows it until it has ended, and then what came of it, which the exit
 * status says as well. */
enum cavactl_exit run_follow(const struct cavactl *ctl, json_int_t id);

#endif
