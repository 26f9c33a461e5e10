/*
 * What report.c (the life of reports), report_part.c (runs and individual
 * scans) and report_remove.c share, and nobody else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_REPORT_PRIVATE_H
#define CAVAD_REPORT_PRIVATE_H

#include <sys/queue.h>

#include "cavad/report.h"
#include "cavad/report_seen.h"
#include "cavad/store_row.h"

/* A report in memory. */
struct report_open {
	LIST_ENTRY(report_open) entry;
	struct reports *all;
	struct report *r;
	char id[REPORT_ID_MAX];
	bool held;		/* of this day, or of a run under way */
	unsigned int parts;	/* individual scans under way */
	unsigned int writes;
	bool dirty;
};

struct reports {
	time_t looked;		/* a day has no end in the middle of a second */
	struct tevent_context *ev;
	struct tick *tick;
	const struct config *config;
	struct store *store;
	struct servers *servers;
	struct scans *scans;
	struct threats *threats;
	struct jobs *jobs;	/* NULL at first */
	uint64_t last;		/* number */
	LIST_HEAD(, report_open) open;
	struct report_open *day;
	struct report_seen seen;	/* infected files of this day */
	bool failed;		/* to be written, and said so */
};

/* From report.c. */

/* Takes r. NULL = no memory. */
struct report_open *report_open(struct reports *all, struct report *r);
struct report_open *report_open_find(struct reports *all, const char *id);
struct report_open *report_open_number(struct reports *all, uint64_t number);

/* Frees it unless somebody adds to it, or it is not written yet. */
void report_release(struct report_open *o);

/* number 0: removes it. */
void report_index(struct reports *all, const char *key, uint64_t number);
struct report *report_indexed_row(TALLOC_CTX *mem_ctx, struct reports *all,
				  const char *key);

/* The next one, on `all`. NULL = no memory. */
struct report *report_new(struct reports *all, enum report_kind kind,
			  const char *policy, time_t start);

struct tevent_req *report_put_send(TALLOC_CTX *mem_ctx, struct reports *all,
				   const struct report *r);

/* A write that ends when all that were sent before it have. */
struct tevent_req *report_behind_send(TALLOC_CTX *mem_ctx,
				      struct reports *all);

/* Writes what is dirty; now, or soon. */
void report_save(struct report_open *o);

/* From report_part.c. */

/* The numbers of its run as they are now. */
void report_of_run(struct reports *all, struct report *r);

#endif
