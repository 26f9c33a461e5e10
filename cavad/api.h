/*
 * REST over a unix socket, in the shape of the OneFS platform API.
 *
 * Peer credentials decide: root and members of api_group may do anything,
 * others are refused with 403. Routes are rows in api.c.
 *
 *   GET    /platform/11/avscan/nodes/1/status
 *   POST   /platform/11/antivirus/scan     {"file",
 *                                           "ignore_previous_scan_status"}
 *   POST   /platform/11/avscan/probe       {"server"}
 *   GET    /platform/11/avscan/avvendor    {"avvendor":[{"account","added"}]}
 *   POST   /platform/11/avscan/avvendor    {"account"}
 *   DELETE /platform/11/avscan/avvendor/{account}
 *   GET    /platform/11/avscan/events      ?before {"events":[...]}
 *   GET    /platform/11/avscan/events/{id}
 *   GET    /platform/10/job/jobs           {"jobs":[run...]}
 *   POST   /platform/10/job/jobs           {"type":"AVScan", "paths",
 *                                "avscan_params":{"policy","force_run"}}
 *   GET    /platform/10/job/jobs/{run}
 *   PUT    /platform/10/job/jobs/{run}     {"state":"run|pause|cancel"}
 *   GET    /platform/11/avscan/schedules   {"schedules":[job...]}
 *   POST   /platform/11/avscan/schedules   {"schedule"}
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_H
#define CAVAD_API_H

#include "cavad/check.h"
#include "cavad/event_history.h"
#include "cavad/ipc.h"
#include "cavad/job.h"

/* What the API shows and changes, and what it is made of. */
struct api {
	/* given to api_create() */
	struct tevent_context *ev;
	const struct config *config;
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

	/* its own */
	uint64_t next_report;
	struct api_http *http;
};

/* A listening socket, made as root: mode 0666, credentials decide. */
int api_listen(const char *path, int *fd);

/* Serves fd, which it takes; `parts` is copied. 0 or errno. */
int api_create(TALLOC_CTX *mem_ctx, const struct api *parts, int fd,
	       struct api **result);

#endif
