/*
 * Why a file can be read through a share, or why not: the whole chain of
 * facts, and what follows from them.
 *
 * Facts about the file come from the files process, which opens it by path as
 * for a scan; nothing is scanned and nothing changes. What follows is
 * decided by the functions that vfs_cava uses (filter.h, verdict.h).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_EXPLAIN_H
#define CAVAD_EXPLAIN_H

#include "cavad/event_history.h"
#include "cavad/scan.h"
#include "cavad/zone.h"

/* --- explain_judge.c, all of it pure --- */

enum explain_outcome {
	EXPLAIN_READ,		/* the reader gets the content */
	EXPLAIN_WAIT,		/* after a scan, if that is clean */
	EXPLAIN_DENIED
};

/* What there is to judge by. */
struct explain_case {
	struct filter filter;	/* of the zone, as in force; borrowed lists */
	bool service;		/* service_enabled */
	struct filter_facts facts;
	bool owed;		/* a scan is noticed, queued, or running */
	bool allowed;		/* by the allow-list, what is in it */
	bool usable;		/* a server of its pool is online */
	const char *rule;	/* of the filter, that leaves it out, or NULL */
};

struct explain_judgement {
	enum explain_outcome outcome;
	bool infected;		/* that is why */
	const char *gets;	/* "A reader of share X ..." */
	const char *because;
	const char *change;	/* to change that, or NULL */
};

struct explain_judgement explain_judge(const struct explain_case *c);

/* Why a record does not hold for the content any more; NULL: it does. */
const char *explain_stale(const struct verdict *v, const struct content *now,
			  int64_t signature_min);

/*
 * The item of the lists of `f` that leaves the file out: "file_extensions:
 * doc". NULL: none does, or file_extensions has it not included. On mem_ctx.
 */
char *explain_rule(TALLOC_CTX *mem_ctx, const struct filter *f,
		   const struct filter_facts *facts);

/* --- explain.c --- */

struct explain_fact {
	const char *about;	/* "file", "share", "record", ... */
	const char *text;
};

struct explain {
	enum files_status status;	/* else than FILES_OK: no more */
	int error;
	const char *path;	/* as it is */
	const char *share;	/* "" = of none */
	const char *zone;
	struct explain_fact *facts;
	size_t count;
	struct explain_judgement judgement;
};

struct explain_parts {
	const struct config *config;
	struct files *files;
	struct store *store;
	struct servers *servers;
	struct scans *scans;
	struct zones *zones;
	struct event_history *history;
	struct threats *threats;
	const struct allows *allows;
};

/* parts: copied; what it points to must outlive the request. */
struct tevent_req *explain_send(TALLOC_CTX *mem_ctx,
				struct tevent_context *ev,
				const struct explain_parts *parts,
				const char *path);
/* 0 or errno; *result is on mem_ctx. */
int explain_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		 struct explain **result);

#endif
