/*
 * Threats: what was found in which file, and what became of it.
 *
 * A row for each file (or named stream of it) and name of a threat, whoever
 * found it: made when it is first found, counted when it is found again, with
 * a history of its states, of who changed them, when and why. Rows are in the
 * database alone, as many as there are; they can be read in the order of
 * their ids, which count up, and by the report (scan_id) they belong to.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_THREAT_H
#define CAVAD_THREAT_H

#include "cavad/store_row.h"
#include "common/digest.h"

/* T(number, NAME, "state", "remediation"). The numbers are in records. */
#define THREAT_STATES(T) \
	T(0, INFECTED, "infected", "denied") \
	T(1, QUARANTINED, "quarantined", "quarantined") \
	T(2, TRUNCATED, "truncated", "truncated") \
	T(3, DELETED, "deleted", "deleted") \
	T(4, REPAIRED, "repaired", "repaired") \
	T(5, RELEASED, "released", "released") \
	T(6, ALLOWED, "allowed", "allowed") \
	T(7, GONE, "gone", "none")

enum threat_state {
#define T(number, NAME, text, remediation) THREAT_##NAME = number,
	THREAT_STATES(T)
#undef T
	THREAT_STATE_COUNT
};

/* What a zone wants done: threat_response of object.def, in its order. */
enum threat_response {
	THREAT_DENY, THREAT_QUARANTINE, THREAT_TRUNCATE, THREAT_DELETE
};

/* Sets of states. Live: there is something to be let through or denied. */
#define THREAT_BIT(NAME) (1U << THREAT_##NAME)
#define THREAT_LIVE (THREAT_BIT(INFECTED) | THREAT_BIT(QUARANTINED) | \
		     THREAT_BIT(RELEASED) | THREAT_BIT(ALLOWED))

#define THREAT_TEXT_MAX 1000	/* bytes of a user, a reason, ... */
#define THREAT_HISTORY_MAX 40	/* the first and the last ones are kept */
#define THREAT_RECORD_MAX 131072

struct threat_change {
	int64_t when;		/* ns since the epoch */
	enum threat_state state;
	const char *who;	/* caller of the API; "cavad" */
	const char *why;
};

struct threat {
	uint64_t id;
	struct ident ident;
	const char *path;	/* absolute, as last seen */
	const char *threat;	/* "" = quarantined by hand */
	const char *engine;
	const char *server;
	const char *source;	/* who asked for the scan: "on-access", ... */
	const char *user, *client, *share;	/* "" = not known */
	const char *report;	/* the last one it is in */
	const char *also;	/* threats_found(): another one; or NULL */
	int64_t found;		/* ns since the epoch */
	int64_t last;
	uint64_t count;		/* of times that a server found it */
	struct content content;	/* as the record on the file has it */
	int64_t stamp;		/* T of that record; with it .digest holds */
	bool hashed;
	uint8_t digest[DIGEST_SIZE];	/* SHA-256 of the content */
	enum threat_state state;
	uint64_t allow;		/* the entry that lets it through, or 0 */
	uint32_t changes;	/* of .history; the last one is .state */
	struct threat_change *history;
};

/* Pure; never NULL. */
const char *threat_state_text(enum threat_state state);
const char *threat_remediation(enum threat_state state);

/* The record; threat_get_record(): NULL = makes no sense, or no memory. */
void threat_put_record(struct buf *b, const struct threat *t);
struct threat *threat_get_record(TALLOC_CTX *mem_ctx, uint64_t id,
				 struct buf *b);

/* Appends to the history, and sets the state. False = no memory. */
bool threat_change(struct threat *t, enum threat_state state, int64_t when,
		   const char *who, const char *why);

struct events;
struct threats;

/* 0 or errno. */
int threats_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   struct store *store, struct events *events,
		   struct threats **result);

/* A copy on mem_ctx; NULL = there is none, or no memory. */
struct threat *threats_get(struct threats *t, TALLOC_CTX *mem_ctx,
			   uint64_t id);
struct threat *threats_find(struct threats *t, TALLOC_CTX *mem_ctx,
			    const struct ident *ident, const char *threat);

/*
 * It was found: .id, .found, .count and the history are made here from what
 * is known, and the state. Returns the id, 0 = no memory.
 */
uint64_t threats_found(struct threats *t, const struct threat *found,
		       enum threat_state state, const char *who,
		       const char *why);

/* 0; ENOENT; ENOMEM. It is written soon. */
int threats_change(struct threats *t, uint64_t id, enum threat_state state,
		   uint64_t allow, const char *who, const char *why);

/* The same for those of a file that are in one of the states `from`. */
void threats_change_file(struct threats *t, const struct ident *ident,
			 unsigned int from, enum threat_state state,
			 const char *who, const char *why);

struct threats_range {
	uint64_t from;		/* rows behind this id; 0 = from the start */
	bool oldest_first;
	const char *report;	/* only those in it; NULL = all */
	size_t looks;		/* rows to look at, at most */
};

/*
 * Calls fn for each row until it returns false. *last: the id looked at last,
 * 0 = there are no more. 0 or errno.
 */
int threats_each(struct threats *t, const struct threats_range *range,
		 bool (*fn)(void *private_data, struct threat *threat),
		 void *private_data, uint64_t *last);

int threats_count(struct threats *t, uint64_t *count);

/*
 * A report is about to be removed: some of what it has found goes. Rows that
 * are live stay (whoever releases a file needs them), and those that are in
 * another report as well. A request of the store; NULL = there are no more,
 * or no memory.
 */
struct tevent_req *threats_forget_send(TALLOC_CTX *mem_ctx,
				       struct threats *t, const char *report);

/*
 * Rows that no report will take with it: those that were live when theirs
 * was removed, or that never had one. Some of them are looked at, from behind
 * the id *from (0 at first, and again behind the last), and those that are
 * not live any more since before `before` (s since the epoch) go. Nobody
 * waits for it. How many went, or got a report again.
 */
unsigned int threats_expire(struct threats *t, time_t before,
			    uint64_t *from);

#endif
