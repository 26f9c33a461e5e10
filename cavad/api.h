/*
 * REST over a unix socket, and over TCP with TLS and login, in the shape of
 * the OneFS platform API.
 *
 * On the unix socket peer credentials decide: root and members of api_group
 * may do anything, others read, or nothing (api_read). On TCP an account of
 * api_accounts does. Routes are rows of api_route.def.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_H
#define CAVAD_API_H

#include "cavad/api_tcp.h"
#include "cavad/check.h"
#include "cavad/event_history.h"
#include "cavad/ipc.h"
#include "cavad/job.h"
#include "cavad/live.h"
#include "cavad/report.h"

/* What the API shows and changes, and what it is made of. */
struct api {
	/* given to api_create() */
	struct tevent_context *ev;
	const struct config *config;
	struct files *files;
	struct store *store;
	struct servers *servers;
	struct scans *scans;
	struct check *check;
	struct ipc *ipc;
	struct zones *zones;
	struct events *events;
	struct event_history *history;
	struct counters *counters;
	struct jobs *jobs;
	struct history *minutes;
	struct api_tcp *tcp;	/* NULL: not on TCP */
	struct live *live;
	struct reports *reports;
	struct threats *threats;
	struct allows *allows;

	/* its own */
	struct api_http *http;
};

/* A listening socket, made as root: mode 0666, credentials decide. */
int api_listen(const char *path, int *fd);

/* Serves fd, which it takes; `parts` is copied. 0 or errno. */
int api_create(TALLOC_CTX *mem_ctx, const struct api *parts, int fd,
	       struct api **result);

/* The files of the API on TCP again. 0; else *error, and nothing changed. */
int api_reload(struct api *api, TALLOC_CTX *mem_ctx, char **error);

#endif
