/*
 * The worker processes, from the side of those who want something done.
 *
 * A request that cannot be had in time ends with CEE_ERROR_TIMEOUT, one
 * whose worker died with CEE_ERROR_FAIL: both are results, not errors.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_POOL_H
#define CEE_AGENT_POOL_H

#include <talloc.h>
#include <tevent.h>

#include "cee_agent/tally.h"

struct pool;

/* What is going on now; rows as in the tally. */
struct pool_usage {
	unsigned int workers;	/* for scans, those that are alive */
	unsigned int busy;
	unsigned int waiting;
	unsigned int storages[AGENT_STORAGES_MAX];
	unsigned int clamds[AGENT_CLAMDS_MAX];
};

/*
 * Forks the workers, so nothing that they should not hold may be open. They
 * end with the pool. 0 or errno.
 */
int pool_create(TALLOC_CTX *mem_ctx, const struct agent_config *config,
		struct tally *tally, struct pool **result);

/* From here on workers are watched, and replaced when they end. */
int pool_watch(struct pool *pool, struct tevent_context *ev);

/*
 * Workers with the new configuration in the place of those with the old one:
 * idle ones at once, busy ones after their job. The tally has it already.
 */
void pool_configure(struct pool *pool, const struct agent_config *config);

void pool_usage(const struct pool *pool, struct pool_usage *usage);

/* *job is copied; its id and its clamds are ours. */
struct tevent_req *pool_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     struct pool *pool, const struct job *job);

/* 0 or errno (ENOMEM, EBUSY: too many wait) */
int pool_recv(struct tevent_req *req, struct job_result *result);

#endif
