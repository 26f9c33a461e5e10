/*
 * An engine: how one kind of antivirus server is asked.
 *
 * A row in engine.c for each; nothing else in cavad knows the kinds. A
 * clean answer of an engine that fetches (CEE) counts only when the file
 * was opened through CHECK$; scan.c sees to that.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ENGINE_H
#define CAVAD_ENGINE_H

#include <netinet/in.h>
#include <talloc.h>
#include <tevent.h>

#include "cavad/config.h"
#include "common/verdict.h"

struct trace;
struct engine;			/* private to its file; a talloc object */

struct engine_scan {
	uint64_t id;
	const char *path;	/* absolute, local */
	const char *unc;	/* \\HOST\CHECK$\..., UTF-8; NULL unless
				 * the engine fetches */
	int fd;			/* open for reading, borrowed; -1 unless the
				 * engine wants it */
	uint64_t size;
	uint32_t timeout;	/* s the server may take */
	uint32_t overdue;	/* s after which it counts as one that does
				 * not answer; 0 = timeout. Not for engines */
	const char *pool;	/* whose servers; NULL = the default one. Not
				 * for engines */
	const char *server;	/* that one of the pool alone, or NULL. Not
				 * for engines */
	bool selftest;		/* a test file: infected is no find. Not for
				 * engines */
};

struct engine_answer {
	enum verdict_result result;	/* CLEAN, INFECTED, UNSCANNABLE,
					 * FAILED */
	enum verdict_reason reason;
	bool server_fault;	/* FAILED: ask another server */
	bool timed_out;
	bool not_found;		/* FAILED: it looked for the file in vain */
	int64_t signature_time;	/* s, 0 = not known */
	uint64_t bytes;		/* that the server read, 0 = not known */
	uint64_t sent;		/* of those: over the network, by us */
	uint64_t passed;	/* of those: by a descriptor that it got */
	char engine[VERDICT_TEXT_MAX];
	char threat[VERDICT_TEXT_MAX];
	char detail[VERDICT_TEXT_MAX];	/* for the log: what went wrong */
};

struct engine_status {
	bool online;		/* it answered, and in its own protocol */
	bool av_ok;		/* and its antivirus software works */
	bool too_old;		/* but it is not to be used: .detail says why */
	int64_t signature_time;
	uint32_t connections;	/* that it wants at most, 0 = not said */
	char address[INET6_ADDRSTRLEN];	/* where it answered from, or "" */
	char version[VERDICT_TEXT_MAX];	/* of the server: "CEE 9.3.0.0" */
	char dtd_version[VERDICT_TEXT_MAX];
	char vendor[VERDICT_TEXT_MAX];	/* of the antivirus: "ClamAV 1.4.1" */
	char detail[VERDICT_TEXT_MAX];	/* why it is not */
};

struct engine_ops {
	const char *name;	/* "CEE/CAVA", "clamd", "null" */
	const char *scheme;	/* "cee" */
	bool fetches;
	bool wants_fd;

	/*
	 * 0, or EINVAL and *error for a person. What it needs of config it
	 * copies; server lives as long as the engine.
	 */
	int (*create)(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		      const struct config *config,
		      const struct server_object *server,
		      struct engine **result, char **error);

	/*
	 * recv: 0, or errno when there was no answer (ETIMEDOUT,
	 * ECONNREFUSED, ...) with .detail saying what happened; an answer
	 * of the server, however bad, is never an errno.
	 */
	struct tevent_req *(*scan_send)(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct engine *e,
					const struct engine_scan *scan);
	int (*scan_recv)(struct tevent_req *req,
			 struct engine_answer *answer);
	struct tevent_req *(*heartbeat_send)(TALLOC_CTX *mem_ctx,
					     struct tevent_context *ev,
					     struct engine *e);
	int (*heartbeat_recv)(struct tevent_req *req,
			      struct engine_status *status);

	/*
	 * What it sends and gets from now on goes there; NULL ends that.
	 * NULL: an engine that talks to nobody.
	 */
	void (*trace)(struct engine *e, struct trace *t);
};

/* The rows of engine.c. */
extern const struct engine_ops engine_cee;
extern const struct engine_ops engine_cees;	/* the same over TLS */
extern const struct engine_ops engine_icap;
extern const struct engine_ops engine_icaps;	/* the same over TLS */
extern const struct engine_ops engine_clamd;
extern const struct engine_ops engine_null;

/* The row whose scheme starts the uri ("cee://...", "null:"), or NULL. */
const struct engine_ops *engine_find(const char *uri);

/* Row i, or NULL after the last. */
const struct engine_ops *engine_row(unsigned int i);

#endif
