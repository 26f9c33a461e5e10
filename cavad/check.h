/*
 * The law of CHECK$: which account may open which file from where.
 *
 * smbd in role check asks at tree connect and at every open of content.
 * Allowed: an AVVendor account, and then only a file with a scan
 * outstanding at the server whose address it comes from (check_scope = all
 * lifts that last part). With allow_clean it may change such a file, never
 * another one. Each refusal is counted and says what would allow it.
 *
 * An AVVendor entry is a SID ("S-1-5-..."), "DOMAIN\name", or a bare name,
 * which matches a local account only; case does not matter.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_CHECK_H
#define CAVAD_CHECK_H

#include "cavad/ip_pool.h"
#include "cavad/scan.h"
#include "common/proto.h"

struct check;

int check_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		 const struct config *config, struct store *store,
		 struct servers *servers, struct scans *scans,
		 struct events *events, struct counters *counters,
		 struct check **result);

/* Who knows the addresses of the names in ip_pool. */
void check_use_ip_pool(struct check *c, const struct ip_pool *ip_pool);

/* Never blocks. answer->reason points to memory on mem_ctx. */
void check_ask(struct check *c, TALLOC_CTX *mem_ctx,
	       const struct proto_check *ask,
	       struct proto_check_answer *answer);

/*
 * What a server did to a file: the audit line of it. False: `what` is none
 * of those.
 */
bool check_done(struct check *c, const struct proto_check *done);

/* The path that an alias stands for (see scan_alias()), or NULL. */
const char *check_alias(struct check *c, const char *alias);

/* Names pending below the directory, each ended by '\n'. */
char *check_names(struct check *c, TALLOC_CTX *mem_ctx, const char *dir);

/* Pure: does the entry name this account? */
bool check_account_matches(const char *entry, const char *sid,
			   const char *account, bool local);

/* Pure: EINVAL and *error for an entry that can match nobody. */
int check_account_valid(TALLOC_CTX *mem_ctx, const char *entry, char **error);

#endif
