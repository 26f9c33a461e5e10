/*
 * The record of a job's run: what survives, and what a report is made of.
 *
 * In the database under a running number, so that the newest is the last:
 *
 *   u8 state   i64 started, i64 ended (s since the epoch; 0 = not yet)
 *   str job ("" = of paths, by hand)   u8 force   u64 expected
 *   u32 index, str cursor (the path that is being walked, and how far)
 *   str why    u16 n, n times str path
 *   u16 n, n times u64: RUN_COUNTS in their order (more may be added)
 *   u16 n, n times str path, str threat: infected files, the first ones
 *
 * What follows is a later version's and ignored.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_JOB_RUN_H
#define CAVAD_JOB_RUN_H

#include <stdint.h>
#include <talloc.h>
#include <time.h>

#include "cavad/files.h"
#include "common/buf.h"

#define JOB_PATHS_MAX 128
#define JOB_PATHS_BYTES 7000
#define JOB_INFECTED_BYTES 4000	/* of names and threats, all together */
#define JOB_RECORD_MAX 16384

/* The names are those of the OneFS job engine. */
#define JOB_STATES(S) \
	S(RUNNING, running) \
	S(PAUSED_USER, paused_user) \
	S(PAUSED_SYSTEM, paused_system) \
	S(PAUSED_POLICY, paused_policy) \
	S(PAUSED_PRIORITY, paused_priority) \
	S(CANCELLED_USER, cancelled_user) \
	S(CANCELLED_SYSTEM, cancelled_system) \
	S(FAILED, failed) \
	S(SUCCEEDED, succeeded)

enum job_state {
#define S(NAME, name) JOB_##NAME,
	JOB_STATES(S)
#undef S
	JOB_STATE_COUNT
};

/* As WALK_COUNTS, and then what came of the scans. */
#define RUN_COUNTS(W) \
	WALK_COUNTS(W) \
	W(scanned, "files and named streams that a server was asked about") \
	W(bytes_scanned, "and their bytes") \
	W(clean, "of those: clean") \
	W(found, "of those: infected") \
	W(unscannable, "of those: unscannable") \
	W(skipped, "over scan_size_maximum, or tiered") \
	W(unanswered, "without a verdict") \
	W(tiered, "tiered files that were scanned") \
	W(tiered_seen, "tiered files asked about") \
	W(bytes_fetched, "bytes that servers have read for it") \
	W(bytes_handed, "bytes that servers were sent for it") \
	W(bytes_passed, "bytes of files whose descriptor clamd got") \
	W(scan_time, "ms of its scans together") \
	W(streams, "named streams that were looked at; scanned, clean, " \
	  "found and unscannable count them as well")

struct run_counts {
#define W(name, text) uint64_t name;
	RUN_COUNTS(W)
#undef W
};

struct job_infected {
	const char *path;
	const char *threat;
};

struct job_run {
	uint64_t id;
	enum job_state state;
	int64_t started, ended;
	const char *job;
	bool force;
	uint64_t expected;	/* files, as the run before had; 0: unknown */
	uint32_t index;
	char *cursor;		/* NULL = "" */
	const char *why;	/* it failed */
	const char **paths;
	uint32_t path_count;
	struct run_counts counts;
	struct job_infected *infected;
	uint32_t infected_count;
};

const char *job_state_text(enum job_state state);
bool job_state_ended(enum job_state state);

void run_counts_add(struct run_counts *to, const struct run_counts *more);
void run_counts_add_walk(struct run_counts *to,
			 const struct walk_counts *more);

/* Without the id, which is the key. buf.error says whether it fits. */
void job_run_put(struct buf *b, const struct job_run *run);

/* A run on mem_ctx; NULL: it does not parse, or no memory. */
struct job_run *job_run_get(TALLOC_CTX *mem_ctx, uint64_t id,
			    struct buf *b);

/* Remembers it in the record, if there is room. */
void job_run_found(struct job_run *run, const char *path, const char *threat);

enum job_impact { JOB_LOW, JOB_MEDIUM, JOB_HIGH, JOB_OFF_HOURS };

/*
 * Pure. How many scans at a time, of `lane` that are there for jobs; 0: none
 * at this hour. LOW is a quarter, MEDIUM a half, HIGH all, and never none.
 */
uint32_t job_share(enum job_impact impact, uint32_t lane,
		   const struct tm *now);

#endif
