/*
 * Notices that smbds left in the spool while cavad was away.
 *
 * Read at start, when an smbd says HELLO, and every SPOOLED_INTERVAL; each
 * becomes a debt, and the spool is emptied once all are committed. Never
 * more than one chunk of them is in memory. What is damaged in it, or found
 * no room, is lost, which is an event that stays up: nothing but a job finds
 * those files now.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SPOOLED_H
#define CAVAD_SPOOLED_H

#include "cavad/debt.h"
#include "cavad/event.h"
#include "cavad/files.h"

#define SPOOLED_INTERVAL 10	/* s */

struct spooled;

/* The first reading starts at once. NULL = no memory. */
struct spooled *spooled_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       struct files *files, struct debts *debts,
			       struct events *events);

/* Soon; at most one reading starts a second. */
void spooled_read(struct spooled *sp);

bool spooled_reading(const struct spooled *sp);

/* fn is called, from the loop, each time a reading ends. */
void spooled_on_read(struct spooled *sp, void (*fn)(void *private_data),
		     void *private_data);

#endif
