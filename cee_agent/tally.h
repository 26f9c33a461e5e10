/*
 * What has been going on, for the status page: counts, the state of each
 * clamd, the last errors.
 *
 * Rows stand in the order of the configuration; a reload carries over those
 * that have the same name in the new one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_TALLY_H
#define CEE_AGENT_TALLY_H

#include <time.h>

#include "cee_agent/worker.h"

#define TALLY_ERRORS 20

struct tally_error {
	time_t when;		/* 0 = there is none */
	char text[WORKER_DETAIL_MAX];
};

/* Of one storage, or of all. */
struct tally_scans {
	uint64_t clean;
	uint64_t infected;
	uint64_t limit;
	uint64_t failed;
	uint64_t bytes;
	uint64_t sessions;
};

struct tally_storage {
	const char *name;
	struct tally_scans scans;
	struct tally_error error;	/* the last one */
};

struct tally_clamd {
	const char *text;
	enum clamd_state state;
	time_t when;		/* of that state */
	uint64_t scans;
	uint64_t failures;
	int64_t signature_time;
	char vendor[WORKER_TEXT_MAX];
	struct tally_error error;
};

struct tally {
	time_t started;
	time_t loaded;		/* the configuration */
	uint64_t reload_failures;
	uint64_t heartbeats;
	uint64_t refused_connections;
	uint64_t refused_requests;
	uint64_t replaced_workers;
	struct tally_scans scans;
	TALLOC_CTX *names;	/* of the rows */
	struct tally_storage storages[AGENT_STORAGES_MAX];
	size_t num_storages;
	struct tally_clamd clamds[AGENT_CLAMDS_MAX];
	size_t num_clamds;
	struct tally_error errors[TALLY_ERRORS];	/* a ring */
	size_t next_error;
};

struct tally *tally_create(TALLOC_CTX *mem_ctx);

/* Rows for this configuration, which the tally does not refer to. */
int tally_configure(struct tally *t, const struct agent_config *config);

/* What a job has come to. storage, clamd: rows, or -1. */
void tally_job(struct tally *t, enum job_kind kind, int storage, int clamd,
	       const struct job_result *result);

void tally_error(struct tally *t, const char *text);

/*
 * Pure: the clamds in the order in which a job tries them: those that
 * failed last, then the least loaded, then those that had the least to do.
 */
uint32_t tally_order(const struct tally *t, const unsigned int *in_use,
		     uint8_t order[AGENT_CLAMDS_MAX]);

#endif
