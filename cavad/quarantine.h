/*
 * Quarantine of one file by an administrator, and its end.
 *
 * What is quarantined is read by nobody, whatever a later scan says, in each
 * profile and with cavad away; it keeps its place, owner and ACL, and can be
 * renamed, replaced or deleted by whoever may do that. It is the record on the
 * file that says so, or the database where the file can have none.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_QUARANTINE_H
#define CAVAD_QUARANTINE_H

#include "cavad/files.h"
#include "cavad/threat.h"

struct quarantine_request {
	bool on;		/* else: its end */
	bool have_ident;	/* else by path alone */
	struct ident ident;
	const char *path;
	const char *who;
	const char *why;
};

struct quarantine_result {
	enum files_status status;	/* FILES_OK: done */
	int error;		/* errno with FILES_IO */
	bool was;		/* quarantined before */
	char *path;
	char *threat;		/* that was found in it, "" = none */
};

struct tevent_req *quarantine_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct files *files, struct store *store,
				   struct threats *threats,
				   const struct quarantine_request *request);
/* 0 or errno. */
int quarantine_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		    struct quarantine_result *result);

#endif
