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
#define WORKER_DETAIL_MAX 512
#define WORKER_HOST_MAX 256

enum job_kind { JOB_SCAN = 1, JOB_STATUS };

struct job {
	enum job_kind kind;
	uint64_t id;		/* of the job, in its result again */
	uint64_t size;		/* of the file, as we were told; 0 = not told */
	uint32_t timeout;	/* ms */
	uint32_t num_clamds;
	uint8_t clamds[AGENT_CLAMDS_MAX];	/* in the order to try */
	char host[WORKER_HOST_MAX];		/* as the UNC path has it */
	char path[UNC_PATH_MAX];
};

enum clamd_state { CLAMD_NOT_ASKED = 0, CLAMD_ANSWERED, CLAMD_FAILED };

/* What a job saw of one clamd. */
struct clamd_seen {
	enum clamd_state state;
	int error;		/* errno of CLAMD_FAILED, 0 = in the detail */
	int64_t signature_time;
	char vendor[WORKER_TEXT_MAX];
};

struct job_result {
	uint64_t id;
	uint32_t status;	/* CEE_*; CEE_SUCCESS: clean, or engine fine */
	bool limit;		/* the engine did not look at all of it */
	uint64_t bytes;
	int64_t signature_time;
	uint64_t sessions;	/* new ones that it took */
	struct clamd_seen clamds[AGENT_CLAMDS_MAX];
	char vendor[WORKER_TEXT_MAX];
	char threat[WORKER_TEXT_MAX];
	char detail[WORKER_DETAIL_MAX];
};

/* The life of a worker: until `fd` is closed at the other end. */
_Noreturn void worker_run(int fd, const struct agent_config *config,
			  unsigned int slot);

#endif
