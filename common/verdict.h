/*
 * The verdict: the answer to one scan, and its record on the file.
 *
 * The record is the extended attribute security.cava. Only root can write
 * it, anybody may read it, it is no EA over SMB. Whether it still holds is
 * computed from the file's present size, mtime and ctime, never stored:
 * the record carries size and mtime as they were scanned and T, a time
 * just after it was written. Writing the record moves ctime to a moment
 * before T, and any later change of the file moves it past T.
 *
 * Format 2 (docs/protocol.md has a hex example). It is short, so that ext4
 * finds room for it in an inode of 256 bytes that has no other attribute: in
 * a block of its own, writing it took ten times as long, reading it twice.
 *
 *   u8 2
 *   u8 result (enum verdict_result)
 *   varint reason, varint size
 *   i64 mtime ns, i64 T ns, little-endian
 *   scan time ns as its difference to T, signature time s (0 = not known) as
 *   that to 0
 *   fields: u8 tag, u8 length, bytes; unknown tags are skipped
 *       1 engine ("ClamAV 1.4.1")   2 threat   3 server name
 *       4 ctime ns, as it was before a record moved it: difference to mtime
 *
 * varint: seven bits a byte, lowest first, the top bit says that more follow.
 * difference: a varint, 2n for n >= 0, else -2n - 1.
 *
 * Format 1 is read as well: "CAVA", u8 1, u8 result, u16 reason, u64 size, i64
 * each mtime, T, scan time, signature time; the fields, 4 as an i64.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_VERDICT_H
#define COMMON_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ident.h"

#define VERDICT_XATTR "security.cava"
#define VERDICT_RECORD_MAX 1024	/* bytes; longer = does not parse */
#define VERDICT_TEXT_MAX 256	/* with the NUL: engine, threat, server */

/* The numbers are in records and on the wire: never change one. */
enum verdict_result {
	VERDICT_NONE = 0,	/* never scanned, or no answer asked for */
	VERDICT_CLEAN = 1,
	VERDICT_INFECTED = 2,
	VERDICT_SKIPPED = 3,	/* by filter; reason says why. In a record:
				 * a mark of vfs_cava, no verdict */
	VERDICT_UNSCANNABLE = 4, /* encrypted, over the engine's limits */
	VERDICT_FAILED = 5	/* no answer; reason says why */
};

/* reason: one row each. V(number, NAME, "text an administrator reads") */
#define VERDICT_REASONS(V) \
	V(0, NONE, "") \
	V(1, TIMEOUT, "the scan took too long") \
	V(2, NO_SERVER, "no antivirus server is online") \
	V(3, SERVER_ERROR, "the antivirus server reported an error") \
	V(4, BAD_REPLY, "the antivirus server's reply makes no sense") \
	V(5, NOT_FETCHED, "the server said clean but never read the file") \
	V(6, WRONG_FILE, "another file was found at the path being scanned") \
	V(7, CHANGED, "the file kept changing while it was scanned") \
	V(8, GONE, "the file no longer exists") \
	V(9, NOT_REGULAR, "not a regular file") \
	V(10, OUTSIDE, "the file lies outside check_root") \
	V(11, NAME, "the name cannot be carried over SMB") \
	V(12, IO, "the file could not be read") \
	V(13, TOO_LARGE, "larger than scan_size_maximum") \
	V(14, LIMIT, "over a limit of the antivirus engine") \
	V(15, ENCRYPTED, "encrypted") \
	V(16, NO_CAVAD, "cavad does not answer") \
	V(17, NOT_OWED, "profile standard, and no scan of it is owed") \
	V(18, CANCELLED, "the request was cancelled") \
	V(19, DISABLED, "scanning is disabled") \
	V(20, FULL, "too many scans are waiting") \
	V(21, CREATED, "nothing in it but what this handle wrote") \
	V(22, SYNC, "a synchronous read cannot wait longer") \
	V(23, PROFILE, "the profile of its zone does not scan it") \
	V(24, EXTENSION, "its zone does not scan this extension") \
	V(25, PATH, "its path is excluded") \
	V(26, EXEMPT, "the account or host is exempt") \
	V(27, WAS_INFECTED, "it was infected and no scan has cleared it") \
	V(28, TIERED, "tiered (offline); scan_cloudpool_files is off") \
	V(29, QUARANTINED, "quarantined") \
	V(30, ALLOWED, "infected, and allowed by an administrator")

enum verdict_reason {
#define V(number, NAME, text) VERDICT_REASON_##NAME = number,
	VERDICT_REASONS(V)
#undef V
	VERDICT_REASON_COUNT
};

struct verdict {
	enum verdict_result result;
	enum verdict_reason reason;
	struct content content;	/* as scanned; .ctime is not in the record */
	int64_t stamp;		/* T, ns since the epoch */
	int64_t scan_time;	/* end of the scan, ns since the epoch */
	int64_t signature_time;	/* s since the epoch; 0 = not known */
	int64_t changed;	/* ctime before it, ns; 0 = not known */
	char engine[VERDICT_TEXT_MAX];
	char threat[VERDICT_TEXT_MAX];	/* "" unless infected */
	char server[VERDICT_TEXT_MAX];
};

/* What a record says about the file as it is now. */
enum verdict_state {
	VERDICT_STATE_NONE,	/* no record, or one that does not parse */
	VERDICT_STATE_CLEAN,	/* current and clean */
	VERDICT_STATE_UNSCANNABLE,	/* current; open_on_fail decides */
	VERDICT_STATE_STALE,	/* not infected, but no longer current */
	VERDICT_STATE_MARKED,	/* it was left out as it was written */
	VERDICT_STATE_INFECTED,	/* current */
	VERDICT_STATE_WAS_INFECTED,	/* infected, then changed */
	VERDICT_STATE_QUARANTINED	/* whatever became of the content */
};

/*
 * Pure. A quarantine is the result "infected" with the reason "quarantined",
 * in a record and in an answer: whoever does not know it denies all the same.
 */
bool verdict_quarantined(const struct verdict *v);

/* Pure. Infected, and not let through by the allow-list: a find. */
bool verdict_denied(const struct verdict *v);

/* Text for people and JSON: "clean", "infected", ... never NULL. */
const char *verdict_result_text(enum verdict_result r);
const char *verdict_reason_text(enum verdict_reason r);

/*
 * A server's text, and so hostile: control characters become '?', so that no
 * line of a log or terminal is forged.
 */
void verdict_text_clean(char text[VERDICT_TEXT_MAX]);

/* Returns the length written into rec, or 0 when `size` is too small. */
size_t verdict_encode(const struct verdict *v, uint8_t *rec, size_t size);

/* 0; EBADMSG when it is not a whole and sane record of version 1. */
int verdict_decode(const uint8_t *rec, size_t len, struct verdict *v);

/*
 * Reads the record from an open file: 0, ENODATA (none), EBADMSG, errno.
 * An O_PATH descriptor is read through /proc/self/fd.
 */
int verdict_read(int fd, struct verdict *v);

/* Of a name in the working directory; no link is followed. */
int verdict_read_name(const char *name, struct verdict *v);

/* For a descriptor that is known to be O_PATH: one system call less. */
int verdict_read_path(int fd, struct verdict *v);

/* Pure. Has nothing moved size, mtime or ctime since it was written? */
bool verdict_is_current(const struct verdict *v, const struct content *now);

/* Pure. By older signatures than that? Infected never is. See below. */
bool verdict_is_old(const struct verdict *v, int64_t signature_min);

/*
 * Pure. v == NULL: no record. signature_min: a record with an older
 * signature time is stale (s since the epoch, 0 = any age will do; where the
 * time is not known, that of the scan, than which signatures are no newer).
 * What is infected stays so.
 * Current: size and mtime equal, stamp - 1 s <= ctime <= stamp.
 */
enum verdict_state verdict_state(const struct verdict *v,
				 const struct content *now,
				 int64_t signature_min);

/* Pure. Is it the answer, as long as nobody wants a new one? */
bool verdict_state_current(enum verdict_state state);

#endif
