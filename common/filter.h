/*
 * Scan or not: the only place that decides, and always with a reason.
 *
 * A filter is what an administrator set for a zone. Hooks gather facts, ask
 * filter_decide(), and act. Nothing here knows Samba, sockets or time.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_FILTER_H
#define COMMON_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/verdict.h"

enum filter_profile {
	FILTER_STANDARD = 0,	/* close, rename */
	FILTER_STRICT = 1	/* read, close, rename */
};

enum filter_denial {
	FILTER_DENIAL_VIRUS_INFECTED = 0,
	FILTER_DENIAL_ACCESS_DENIED = 1
};

/* The effective filter of a zone, with the settings that smbd needs. */
struct filter {
	bool enabled;		/* service and zone both on */
	enum filter_profile profile;
	bool open_on_fail;	/* allow when no verdict can be had */
	enum filter_denial denial;
	uint32_t scan_timeout;	/* ms that SMB waits, 60000 */
	uint32_t sync_wait;	/* ms a synchronous read waits, 2000 */
	uint64_t size_maximum;	/* bytes, 0 = no limit */
	int64_t signature_min;	/* s since the epoch, see verdict_state() */
};

#define FILTER_DEFAULT ((struct filter) { \
	.enabled = true, .profile = FILTER_STANDARD, .open_on_fail = true, \
	.scan_timeout = 60000, .sync_wait = 2000 })

enum filter_operation {
	FILTER_OPEN,		/* data open with read or execute rights */
	FILTER_OPEN_REPLACE,	/* write-only, or a disposition that empties */
	FILTER_READ,		/* read, or source of a server-side copy */
	FILTER_CLOSE,
	FILTER_RENAME
};

struct filter_facts {
	enum filter_operation operation;
	enum verdict_state state;
	bool gate;		/* FILTER_OPEN: a read that follows could be
				 * synchronous, so decide now as for a read */
	bool written;		/* FILTER_CLOSE: through this handle */
	bool own_content;	/* the handle made or emptied the file and
				 * nobody else has written since */
	uint64_t size;
};

enum filter_action {
	FILTER_GO,		/* nothing to ask */
	FILTER_DENY,
	FILTER_ASK,		/* scan, and wait for the verdict */
	FILTER_ASK_OWED,	/* wait only if a scan of it is owed */
	FILTER_NOTIFY		/* one-way notice: a scan is owed now */
};

struct filter_decision {
	enum filter_action action;
	enum verdict_reason reason;	/* why not scanned; NONE otherwise */
};

/* Pure. The table of docs/design.md, "What the module does". */
struct filter_decision filter_decide(const struct filter *f,
				     const struct filter_facts *facts);

/*
 * Pure. May a reader go on after this answer? Clean and "not owed": yes.
 * Infected: no. Anything else: open_on_fail, but never for a file that was
 * last known infected.
 */
bool filter_allows(const struct filter *f, enum verdict_state before,
		   enum verdict_result result, enum verdict_reason reason);

/* On the wire and in the file that a module reads while cavad is away. */
void filter_put(struct buf *b, const struct filter *f);
void filter_get(struct buf *b, struct filter *f);

#endif
