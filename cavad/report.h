/*
 * Reports: what scanning has done, told in numbers.
 *
 * One for each run of a job, for each individual scan (or for several that
 * name the same report), and one every 24 hours for on-access scans, from
 * report_time to report_time. Names of infected files and their threats are
 * rows of their own, which name the report as their scan_id.
 *
 * An id is a letter for the kind and the number of the row, counted up and
 * never used twice: A-17 on-access, J-18 job, M-19 individual (manual). Whoever
 * asks for an individual scan may name its report otherwise.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_REPORT_H
#define CAVAD_REPORT_H

#include <time.h>

#include "cavad/job.h"
#include "cavad/threat.h"
#include "common/buf.h"

#define REPORT_ID_MAX 256	/* with its NUL */
#define REPORT_RECORD_MAX 2048
#define REPORT_MANUAL "MANUAL"	/* policies that are no job */
#define REPORT_ON_ACCESS "ON_ACCESS"

/* K(LETTER, NAME, "source"). The letters are in records and ids. */
#define REPORT_KINDS(K) \
	K('A', ON_ACCESS, "on-access") \
	K('J', JOB, "job") \
	K('M', MANUAL, "manual")

enum report_kind {
#define K(letter, NAME, text) REPORT_KIND_##NAME = letter,
	REPORT_KINDS(K)
#undef K
};

/* S(number, NAME, "as OneFS has it"). The numbers are in records. */
#define REPORT_STATUSES(S) \
	S(0, STARTED, "Started") \
	S(1, PAUSED, "Paused") \
	S(2, FINISH, "Finish") \
	S(3, SUCCEEDED, "Succeeded") \
	S(4, FAILED, "Failed") \
	S(5, CANCELLED, "Cancelled")

enum report_status {
#define S(number, NAME, text) REPORT_##NAME = number,
	REPORT_STATUSES(S)
#undef S
	REPORT_STATUS_COUNT
};

/*
 * R(tag, name, JSON name, "what it is"); the tags are in records, and never
 * mean anything else.
 */
#define REPORT_NUMBERS(R) \
	R(3, start, "start", "s since the epoch") \
	R(4, end, "end", "the same; 0 = not yet") \
	R(5, job, "job_id", "number of the run, 0 = none") \
	R(6, files, "files", "files scanned") \
	R(7, reviewed, "num_files_rev", "files looked at") \
	R(8, tiered, "num_cloud_files", "tiered files scanned") \
	R(9, tiered_reviewed, "num_cloud_files_rev", \
	  "tiered files looked at") \
	R(10, size, "size", "bytes of the files scanned") \
	R(11, bytes_fetched, "bytes_fetched", \
	  "bytes that servers have read through the check share") \
	R(12, bytes_handed, "bytes_handed", \
	  "bytes that were sent to servers that are handed files (ICAP)") \
	R(13, bytes_passed, "bytes_passed", "bytes of files whose " \
	  "descriptor an antivirus on this host got (clamd); no network") \
	R(14, infections, "infections", "infected files") \
	R(15, fails, "scan_fails", "scans without a verdict") \
	R(16, unscannable, "unscannable", "files no verdict is possible of") \
	R(17, skipped, "skipped", "files over scan_size_maximum, or tiered") \
	R(18, scan_time, "scan_time", "ms of all scans together")

/* R(tag, name, JSON name): texts. */
#define REPORT_TEXTS(R) \
	R(32, name, "") \
	R(33, policy, "policy_id") \
	R(34, service, "av_service")

struct report {
	uint64_t number;
	enum report_kind kind;
	enum report_status status;
#define R(tag, name, json, text) uint64_t name;
	REPORT_NUMBERS(R)
#undef R
#define R(tag, name, json) const char *name;	/* never NULL; .name "" = \
						 * it has an id of ours */
	REPORT_TEXTS(R)
#undef R
};

/* Pure. */

const char *report_kind_text(enum report_kind kind);
const char *report_status_text(enum report_status status);
bool report_ended(const struct report *r);
void report_id(const struct report *r, char id[REPORT_ID_MAX]);

/* The number in an id of ours, 0 = it is none. */
uint64_t report_id_number(const char *id, enum report_kind *kind);

/* The record, without the number, which is the key. */
void report_put(struct buf *b, const struct report *r);
/* On mem_ctx; NULL: it does not parse, or no memory. */
struct report *report_get(TALLOC_CTX *mem_ctx, uint64_t number,
			  struct buf *b);

/* What one scan adds to a report. */
struct report_scan {
	const struct verdict *verdict;
	uint32_t duration;	/* ms */
	bool from_record;
	bool tiered;
	bool selftest;		/* a test file: infected is no find */
	uint64_t bytes_fetched, bytes_handed, bytes_passed;
};

/* But for .infections. Is it an infected file? */
bool report_count(struct report *r, const struct report_scan *scan);

/* Text of a setting: HH:MM or HH:MM:SS, as s of the day; -1 = it is none. */
int report_time_parse(const char *text);

/* The first moment after `now` at which it is report_time by local time. */
time_t report_day_end(time_t now, int report_time);

/* The last moment, not after `now`. */
time_t report_day_start(time_t now, int report_time);

/* All of them. */

struct reports;

/*
 * The on-access report that was open goes on, or is ended at the moment that
 * it should have been. 0 or errno.
 */
int reports_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   const struct config *config, struct store *store,
		   struct servers *servers, struct scans *scans,
		   struct threats *threats, struct reports **result);

/* Runs have reports from now on, those that are under way too. */
void reports_watch_jobs(struct reports *all, struct jobs *jobs);

/* What time it is: ends the report of a day that is over, writes counts. */
void reports_look(struct reports *all, time_t now);

/* cavad ends: what was counted is handed to the store. */
void reports_stop(struct reports *all);

/*
 * An individual scan begins, in the report `id` (NULL: a new one). The id it
 * has, valid as long as the scan; or NULL and *why (NULL: no memory).
 */
struct report_part;
struct report_part *report_part_begin(TALLOC_CTX *mem_ctx,
				      struct reports *all, const char *id,
				      const char *policy, const char **why);
const char *report_part_id(const struct report_part *part);

/* The file was scanned, or a named stream of it. */
void report_part_add(struct report_part *part, const struct report_scan *scan);

/* It has ended. A request of the store: the report is committed with it. */
struct tevent_req *report_part_end_send(TALLOC_CTX *mem_ctx,
					struct report_part *part);

/* As it is now, on mem_ctx. NULL: there is none, or no memory. */
struct report *reports_find(TALLOC_CTX *mem_ctx, struct reports *all,
			    const char *id);

struct report_range {
	uint64_t from;		/* rows behind this number; 0 = the start */
	bool oldest_first;
	uint64_t skip;		/* rows to pass over first */
	size_t looks;		/* rows to look at, at most; 0 = all */
};

/*
 * Calls fn for each until it returns false. *last: the number that was looked
 * at last, 0 = there are no more. 0 or errno.
 */
int reports_each(struct reports *all, const struct report_range *range,
		 bool (*fn)(void *private_data, const struct report *r),
		 void *private_data, uint64_t *last);

int reports_count(struct reports *all, uint64_t *count);

/*
 * Removes one that has ended, NULL = it has not; before it, what it has found
 * as threats_forget_send() says.
 */
struct tevent_req *report_remove_send(TALLOC_CTX *mem_ctx,
				      struct reports *all,
				      const struct report *r);
/* 0; EBUSY = it is added to again; errno. */
int report_remove_recv(struct tevent_req *req);

#endif
