/*
 * The configuration that is in force, and how it changes while cavad runs.
 *
 * It is cavad.conf as it was last read (at start, by SIGHUP), and laid over
 * it what was changed over the API, which is in the database. Both ways to
 * change it go through here: the whole is built anew and checked, a change is
 * committed, then everybody who runs by it follows. What is refused changes
 * nothing. Changes are made one after the other.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_LIVE_H
#define CAVAD_LIVE_H

#include "cavad/config.h"
#include "cavad/event_delivery.h"
#include "cavad/ipc.h"
#include "cavad/scan.h"
#include "cavad/server.h"
#include "cavad/smb_service.h"
#include "cavad/store.h"
#include "cavad/zone.h"

struct live;

/* Those who follow; borrowed, and they live longer. */
struct live_parts {
	struct servers *servers;
	struct zones *zones;
	struct ipc *ipc;
	struct scans *scans;
	struct event_delivery *delivery;
	struct smb_service *smb_service;
	void (*reloaded)(void *private_data);	/* by live_reload() */
	void *private_data;
};

/*
 * Is there an engine for each server? 0; ENOMEM; EINVAL and *refusal on
 * mem_ctx.
 */
int live_check(TALLOC_CTX *mem_ctx, const struct config *config,
	       struct config_refusal *refusal);

/*
 * Lays what the database has over `config`, which nobody uses yet. What does
 * not fit it any more is logged and left out, so that cavad starts.
 */
int live_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		const char *path, struct config *config, struct store *store,
		struct live **result);
void live_attach(struct live *live, const struct live_parts *parts);

/* Reads cavad.conf again, now or when a change under way has ended; logs. */
void live_reload(struct live *live);

enum live_kind { LIVE_CREATE, LIVE_MODIFY, LIVE_REMOVE };

struct live_change {
	enum live_kind kind;
	const struct object_class *class;
	const char *name;	/* "" for settings and cee */
	const char *new_name;	/* LIVE_MODIFY: rename; or NULL */
	const struct overlay_pair *pairs;	/* text NULL: as in cavad.conf,
						 * or the default */
	size_t count;
};

/* Why a change is refused. */
struct live_refusal {
	int error;		/* ENOENT; EEXIST; EPERM: cavad.conf says it;
				 * EINVAL; ENOMEM; of the database */
	const char *field;	/* or NULL */
	const char *text;
};

/*
 * Pure: what there would be after all of the changes, on mem_ctx. NULL and
 * *refusal on mem_ctx. Fields that have that value are not touched.
 */
struct overlay *live_overlay(TALLOC_CTX *mem_ctx, const struct config *now,
			     const struct overlay *over,
			     const struct live_change *changes, size_t count,
			     struct live_refusal *refusal);

/* The same as a configuration, checked. NULL and *refusal on mem_ctx. */
struct config *live_try(TALLOC_CTX *mem_ctx, struct live *live,
			const struct live_change *changes, size_t count,
			struct live_refusal *refusal);

/*
 * Makes them, all or none: it ends when they are committed and in force.
 * `changes` is copied. Freeing the request does not undo it.
 */
struct tevent_req *live_change_send(TALLOC_CTX *mem_ctx, struct live *live,
				    const struct live_change *changes,
				    size_t count);

/* 0, or the refusal's error, which is on mem_ctx then. */
int live_change_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct live_refusal *refusal);

#endif
