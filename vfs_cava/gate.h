/*
 * The decision that gate.c takes and park.c waits for.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef VFS_CAVA_GATE_H
#define VFS_CAVA_GATE_H

#include "vfs_cava/vfs_cava.h"

enum gate_step { GATE_GO, GATE_DENY,
		 GATE_ASK, GATE_ASK_OWED, GATE_ASK_KNOWN };

/* One question on one descriptor, however it waits. */
struct gate {
	struct cava *cava;
	struct files_struct *fsp;	/* NULL: its open is under way */
	int fd;
	bool pathref;		/* it is O_PATH */
	enum filter_operation operation;
	bool gate;		/* of filter_facts */
	bool parkable;		/* an open that can wait for an answer */
	bool database;		/* the verdict is with cavad */
	bool own;
	const struct cava_stream *stream;	/* content is what was seen */
	bool changed;		/* a stream: it is another one by now */
	struct content content;	/* as last looked at */
	bool stub;
	enum verdict_state state;
	enum verdict_reason mark;	/* why, if it is one */
	unsigned int rounds;
	struct timeval end;	/* of all waiting; zero: nothing is asked */
	bool tiered;		/* see tiered.h */
	bool unfetched;		/* and stays so, unless a scan is owed */
	enum verdict_reason skip;	/* GATE_ASK_KNOWN: why no scan */
	bool infected;		/* denied since it is */
	char threat[VERDICT_TEXT_MAX];
};

static inline bool gate_asks(enum gate_step step)
{
	return step != GATE_GO && step != GATE_DENY;
}

/* look.c. Looks at the file as it is now. 0 or errno. */
int gate_see(const struct gate *g, struct cava_seen *seen);

/* What that means for the question. */
void gate_saw(struct gate *g, const struct cava_seen *seen);

/* Both; what create_file has seen already is not looked at again. */
int gate_facts(struct gate *g, struct cava_seen *seen);

/* Does the file itself not tell what cavad would say at the open? */
bool gate_asked(const struct gate *g);

/* By what has been looked at. Sets tiered. */
struct filter_decision gate_decide(struct gate *g);

/* Looks at the file as it is now. Logs a denial. */
enum gate_step gate_look(struct gate *g);

/* What an answer means for it; error: 0, ETIMEDOUT or why there is none. */
enum gate_step gate_answer(struct gate *g, int error,
			   const struct proto_answer *answer);

/* ms that it may wait */
uint32_t gate_timeout(const struct gate *g);

/* Which file, or stream of it. 0 or errno. */
int gate_ident(const struct gate *g, struct ident *ident);

/* Waits for the answers in poll(), at most filter.sync_wait in all. */
enum gate_step gate_sync(struct gate *g);

/* The question to ask; its strings are on mem_ctx. 0 or errno. */
int gate_question(TALLOC_CTX *mem_ctx, struct gate *g, enum gate_step step,
		  enum proto_why why, uint32_t wait_ms, struct proto_ask *ask);

#endif
