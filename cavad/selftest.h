/*
 * Does everything work, as far as cavad can see? A step after the other, with
 * what mends it. `cavactl selftest` adds what needs root: Samba's
 * configuration, and a test file through each zone and each server.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SELFTEST_H
#define CAVAD_SELFTEST_H

#include "cavad/check.h"
#include "cavad/files.h"
#include "cavad/zone.h"

enum selftest_result { SELFTEST_OK, SELFTEST_WARNING, SELFTEST_FAILED };

struct selftest_step {
	const char *step;	/* "database", "server", ... */
	const char *about;	/* which one, or "" */
	enum selftest_result result;
	const char *text;	/* what was seen */
	const char *mend;	/* what to do, or "" */
};

struct selftest {
	struct selftest_step *steps;
	size_t count;
};

struct selftest_parts {
	const struct config *config;
	struct files *files;
	struct store *store;
	struct servers *servers;
	struct zones *zones;
	const struct events *events;
};

/*
 * parts is copied; what it points to outlives the request. Servers are asked
 * one after the other, each for at most what probe.h says.
 */
struct tevent_req *selftest_send(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev,
				 const struct selftest_parts *parts);
/* 0 or ENOMEM */
int selftest_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		  struct selftest **result);

/* Pure. "ok", "warning", "failed" */
const char *selftest_result_text(enum selftest_result result);

#endif
