/*
 * Scan or not: the only place that decides, and always with a reason.
 *
 * A filter is what an administrator set for a zone. Hooks gather facts, ask
 * filter_decide(), and act. Nothing here knows Samba, sockets or time.
 *
 * A tiered file is not fetched for a scan unless the filter says so. It waits
 * for a scan that is owed all the same, as that of what was just written; if
 * there is none, no verdict can be had, and open_on_fail decides.
 *
 * What the rules leave out (an extension, a path, an exempt reader, a size)
 * is let through unscanned, and counted by reason. No rule holds for a file
 * known infected, nor for one that was infected and has changed since.
 *
 * A quarantine denies in every profile, and nobody is asked. Whether what is
 * known infected is allowed by an administrator is cavad's to say, each time:
 * no record says so, so that nothing is left of an entry that is gone.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_FILTER_H
#define COMMON_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

#include "common/buf.h"
#include "common/verdict.h"

/* What triggers a scan, unless on_read and so on say otherwise. */
enum filter_profile {
	FILTER_STANDARD = 0,	/* close, rename; reads wait for those */
	FILTER_STRICT = 1,	/* read, close, rename */
	FILTER_WRITES_ONLY = 2,	/* close, rename; reads never wait */
	FILTER_NO_SCAN = 3	/* nothing */
};

enum filter_trigger {
	FILTER_TRIGGER_PROFILE = 0,
	FILTER_TRIGGER_YES = 1,
	FILTER_TRIGGER_NO = 2
};

enum filter_denial {
	FILTER_DENIAL_VIRUS_INFECTED = 0,
	FILTER_DENIAL_ACCESS_DENIED = 1
};

#define FILTER_LIST_MAX 8192	/* bytes of a list */
#define FILTER_MAX 16000	/* bytes of an encoded filter */
#define FILTER_ZONE_MAX 255	/* characters of a zone's name */
#define FILTER_ZONES_MAX 128	/* of cavad.conf; as many announced ones */

/* Strings in a row, each ended by a NUL; borrowed. */
struct filter_list {
	const char *items;
	uint32_t size;		/* bytes, with the NULs */
};

/* The effective filter of a zone, with the settings that smbd needs. */
struct filter {
	bool enabled;		/* service and zone both on */
	enum filter_profile profile;
	bool open_on_fail;	/* allow when no verdict can be had */
	enum filter_denial denial;
	enum filter_trigger on_read;
	enum filter_trigger on_close;
	enum filter_trigger on_rename;
	bool extensions_include;	/* scan what matches; else the rest */
	bool no_extension_skip;	/* names without one are not scanned */
	bool size_deny;		/* what is over size_maximum is denied */
	bool tiered;		/* tiered files are scanned, too */
	bool allows;		/* cavad has an allow-list: it is asked about
				 * what is known infected */
	uint32_t scan_timeout;	/* ms that SMB waits, 60000 */
	uint32_t tiered_timeout;	/* the same for a tiered file */
	uint32_t sync_wait;	/* ms a synchronous read waits, 2000 */
	uint64_t size_maximum;	/* bytes, 0 = no limit */
	int64_t signature_min;	/* s since the epoch, see verdict_state() */
	struct filter_list extensions;	/* patterns for names: "*.doc?" */
	struct filter_list paths;
	struct filter_list accounts;	/* whose reads are not scanned */
	struct filter_list hosts;	/* "192.0.2.0/24" */
};

#define FILTER_DEFAULT ((struct filter) { \
	.enabled = true, .profile = FILTER_STANDARD, .open_on_fail = true, \
	.scan_timeout = 60000, .tiered_timeout = 60000, .sync_wait = 2000 })

enum filter_operation {
	FILTER_OPEN,		/* data open with read or execute rights */
	FILTER_OPEN_REPLACE,	/* write-only, or a disposition that empties */
	FILTER_READ,		/* read, or source of a server-side copy */
	FILTER_CLOSE,
	FILTER_RENAME
};

/* What is not known is NULL or 0: no rule holds for it then. */
struct filter_facts {
	enum filter_operation operation;
	enum verdict_state state;
	enum verdict_reason mark;	/* of VERDICT_STATE_MARKED: why */
	bool gate;		/* FILTER_OPEN: a read that follows could be
				 * synchronous, so decide now as for a read */
	bool written;		/* FILTER_CLOSE: through this handle */
	bool own_content;	/* the handle made or emptied the file and
				 * nobody else has written since */
	bool database;		/* the verdict may be with cavad alone */
	uint64_t size;
	bool tiered;		/* see tiered.h */
	bool case_sensitive;	/* names of this share */
	const char *path;	/* absolute, as it is now */
	const char *root;	/* of the share, absolute */
	const char *domain;	/* of the account that reads */
	const char *account;
	bool local;		/* domain: this server's own */
	const char *host;	/* its numeric address */
};

enum filter_action {
	FILTER_GO,		/* nothing to ask */
	FILTER_DENY,
	FILTER_ASK,		/* scan, and wait for the verdict */
	FILTER_ASK_OWED,	/* wait only if a scan of it is owed */
	FILTER_ASK_KNOWN,	/* GO, unless cavad knows it as infected */
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
 * Infected: no, unless an administrator allows it. Too large: as size_deny
 * says. Anything else: open_on_fail, but never for a file that was last known
 * infected.
 */
bool filter_allows(const struct filter *f, enum verdict_state before,
		   enum verdict_result result, enum verdict_reason reason);

/* Pure. Do rules look at the path, or at who reads? */
bool filter_has_rules(const struct filter *f);

/*
 * Reasons for which a filter lets a file through unscanned; a counter each
 * in COUNT and in the status. S(NAME of the reason, name)
 */
#define FILTER_SKIPS(S) \
	S(PROFILE, profile) \
	S(EXTENSION, extension) \
	S(PATH, path) \
	S(EXEMPT, exempt) \
	S(TOO_LARGE, size) \
	S(TIERED, tiered)

/* --- filter_rules.c, all of it pure --- */

/* Why the rules leave this file out, or NONE: EXTENSION or PATH. */
enum verdict_reason filter_rules(const struct filter *f,
				 const struct filter_facts *facts);

/* Does a path rule leave out all that is below this directory (x->path)? */
bool filter_prunes(const struct filter *f, const struct filter_facts *x);

/* Is this reader's account or host exempt? */
bool filter_exempt(const struct filter *f, const struct filter_facts *facts);

/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32": is it one? */
bool filter_is_host(const char *text);

/* --- filter_wire.c --- */

/* On the wire and in the file that a module reads while cavad is away. */
void filter_put(struct buf *b, const struct filter *f);
/* The lists are borrowed from the buf's data. */
void filter_get(struct buf *b, struct filter *f);

/* A copy whose lists are on mem_ctx. 0 or ENOMEM: then *to is unchanged. */
int filter_copy(TALLOC_CTX *mem_ctx, const struct filter *from,
		struct filter *to);

/*
 * The items, ended by NULL, each with `prefix` in front. 0, ENOMEM, or
 * EMSGSIZE: longer than FILTER_LIST_MAX.
 */
int filter_list_make(TALLOC_CTX *mem_ctx, const char *const *items,
		     const char *prefix, struct filter_list *list);

/* The next item, NULL after the last; item NULL: the first. */
const char *filter_list_next(const struct filter_list *list,
			     const char *item);

#endif
