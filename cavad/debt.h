/*
 * Debts: scans that are owed, because a notice said so.
 *
 * In the store before the notice is acknowledged, unless it is paid by then,
 * and there until a verdict is recorded or the file is gone. What is kept in
 * memory is bounded: the debts whose scan is under way, those of the last few
 * ms (debt_keep.c), and the handles that are open for writing.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_DEBT_H
#define CAVAD_DEBT_H

#include "cavad/scan.h"

struct debts;

struct debts *debts_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			   struct scans *scans, const struct config *config,
			   struct store *store, struct events *events);

/* As scan_notice_send() of scan.h. */
struct tevent_req *debt_notice_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct debts *d,
				    const struct store_pending *notice);
int debt_notice_recv(struct tevent_req *req);

/* A close or rename of it has been noticed and not been paid for. */
bool debt_owed(struct debts *d, const struct ident *ident);

/* As scan_writer_*() of scan.h. */
void debt_writer_came(struct debts *d, const struct ident *ident);
void debt_writer_left(struct debts *d, const struct ident *ident);
void debt_writer_gone(struct debts *d, const struct ident *ident);

/* As scan_write() of scan.h. */
void debts_write(struct debts *d);

/* Room in memory, or debts in the store that nobody has taken up. */
void debts_wake(struct debts *d);
void debts_look(struct debts *d);

/* A server is usable again: all that failed is tried again now. */
void debts_usable(struct debts *d);

enum debt_after {
	DEBT_PAID,		/* nothing is owed any more */
	DEBT_KEPT,		/* tried again later */
	DEBT_BLOCKED		/* and it is no use to try others now */
};

/* Pure: what an answer makes of the debt. */
enum debt_after debt_after(const struct verdict *verdict);

#endif
