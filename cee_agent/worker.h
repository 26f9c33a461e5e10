/*
 * A worker process: fetches one file at a time and has clamd look at it.
 *
 * Jobs and their results go over a SOCK_SEQPACKET socketpair, as these
 * structs (both ends are one program), the path cut after its NUL.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_WORKER_H
#define CEE_AGENT_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "cee_agent/clamd.h"
#include "cee_agent/config.h"
#include "cee_agent/unc.h"

#define WORKER_TEXT_MAX 256

enum job_kind { JOB_SCAN = 1, JOB_STATUS };

struct job {
	enum job_kind kind;
	uint64_t id;		/* of the job, in its result again */
	uint32_t storage;	/* index in agent_config.storages */
	uint32_t timeout;	/* ms */
	char path[UNC_PATH_MAX];
};

struct job_result {
	uint64_t id;
	uint32_t status;	/* CEE_*; CEE_SUCCESS: clean, or engine fine */
	bool limit;		/* the engine did not look at all of it */
	uint64_t bytes;
	int64_t signature_time;
	char vendor[WORKER_TEXT_MAX];
	char threat[WORKER_TEXT_MAX];
	char detail[WORKER_TEXT_MAX];
};

/* The life of a worker: until `fd` is closed at the other end. */
_Noreturn void worker_run(int fd, const struct agent_config *config);

#endif
