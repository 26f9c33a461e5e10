/*
 * What debt.c (who pays, and when) and debt_keep.c (when it is written)
 * share.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_DEBT_PRIVATE_H
#define CAVAD_DEBT_PRIVATE_H

#include <sys/queue.h>

#include "cavad/debt.h"
#include "cavad/scan_private.h"
#include "common/tick.h"

#define DEBT_BUCKETS 4096
#define DEBT_NONE 255		/* no kind: the store has none, or will not */
#define DEBT_UNKNOWN 254	/* a write failed: who knows what it has */

LIST_HEAD(debt_notices, debt_notice_state);

struct debt {
	LIST_ENTRY(debt) bucket;
	struct debts *debts;
	struct ident ident;
	uint8_t kind;		/* enum proto_kind, DEBT_NONE */
	uint8_t stored;		/* the same, once what was sent is written */
	int64_t since;
	char *path;
	char *user;
	char *client;
	bool unwritten;		/* what the debt says is to be sent */
	uint64_t unwritten_since;	/* monotonic us */
	TAILQ_ENTRY(debt) unwritten_entry;
	struct debt_notices notices;	/* wait for that, or for payment */
	unsigned int writes;	/* on their way into the store */
	unsigned int writers;	/* handles that are open */
	struct tevent_req *scan;
};

struct debts {
	struct tevent_context *ev;
	struct scans *scans;
	const struct config *config;
	struct store *store;
	struct events *events;
	LIST_HEAD(, debt) buckets[DEBT_BUCKETS];
	TAILQ_HEAD(, debt) unwritten;	/* oldest first */
	struct tick *write_tick;	/* at its patience, or before */

	struct tevent_immediate *wake;
	struct tick *tick;		/* of the next try */
	bool sweeping;
	bool again;		/* there is more behind the cursor */
	bool have_cursor;
	struct ident cursor;
	uint32_t active;	/* scans of debts under way */
	uint32_t failures;	/* since the sweep began */
	uint32_t retry;		/* s */
};

struct debt_notice_state {
	struct tevent_req *req;
	bool waits;		/* in a list */
	LIST_ENTRY(debt_notice_state) entry;
};

/* debt_keep.c. 0 or ENOMEM. */
int debts_keep(struct debts *d);

/* The store shall have it as it is now, soon. */
void debt_keep(struct debt *debt);

/* The same, and a notice waits for it. */
void debt_keep_notice(struct debt *debt, struct tevent_req *notice,
		      struct debt_notice_state *state);

/* Paid: `rest` is what remains. Its notices end. */
void debt_keep_paid(struct debt *debt, uint8_t rest);

/* Before a debt is freed. */
void debt_keep_forget(struct debt *debt);

/* debt.c. In the store from now on: a sweep that was before has missed it. */
void debt_stored(struct debt *debt);

/* Freed as soon as nothing but the store needs it. */
void debt_release(struct debt *debt);

static inline const char *debt_text(const char *s)
{
	return s != NULL ? s : "";
}

#endif
