/*
 * The decision that gate.c takes and park.c waits for.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef VFS_CAVA_GATE_H
#define VFS_CAVA_GATE_H

#include "vfs_cava/vfs_cava.h"

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
	enum verdict_state state;
	enum verdict_reason mark;	/* why, if it is one */
	unsigned int rounds;
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

/* Of a handle that is open; nothing has been looked at. */
struct gate gate_of_fsp(struct cava *cava, struct files_struct *fsp,
			struct cava_file *file);

/* By what has been looked at. Sets tiered. */
struct filter_decision gate_decide(struct gate *g);
enum gate_step gate_step_of(const struct filter_decision *d);

/* Looks at the file as it is now. Logs a denial. */
enum gate_step gate_look(struct gate *g);

/* What an answer means for it; error: 0, ETIMEDOUT or why there is none. */
enum gate_step gate_answer(struct gate *g, int error,
			   const struct proto_answer *answer);

/* ms that it may wait */
uint32_t gate_timeout(const struct gate *g);

/* Which file, or stream of it. 0 or errno. */
int gate_ident(const struct gate *g, struct ident *ident);

/* ahead.c. What a read will ask, by what the open looked at; or GATE_GO. */
enum gate_step gate_ahead(const struct files_struct *fsp,
			  const struct gate *g);

/* What the open asked, and is to be received as if asked now; or NULL. */
struct tevent_req *gate_ahead_take(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct cava_file *file,
				   const struct gate *g, enum gate_step step);

/* Waits for the answers in poll(), at most filter.sync_wait each. */
enum gate_step gate_sync(struct gate *g);

/* The question to ask; its strings are on mem_ctx. 0 or errno. */
int gate_question(TALLOC_CTX *mem_ctx, struct gate *g, enum gate_step step,
		  enum proto_why why, uint32_t wait_ms, struct proto_ask *ask);

#endif
