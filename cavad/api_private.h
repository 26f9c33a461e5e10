/*
 * What the files of the API share: one call, and how it is answered.
 *
 *   api.c           HTTP, peer credentials, the table of routes
 *   api_page.c      limit, resume, sort, dir, offset of every list
 *   api_status.c    GET of the node's status
 *   api_zones.c     zones and their shares
 *   api_scan.c      individual scans
 *   api_events.c    events
 *   api_avvendor.c  accounts that may fetch
 *   api_probe.c     one antivirus server is asked, and the bytes shown
 *   api_jobs.c      runs of jobs, and schedules
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_PRIVATE_H
#define CAVAD_API_PRIVATE_H

#include <jansson.h>

#include "cavad/api.h"

/* A request; a talloc object that ends with it, and its tevent_reqs too. */
struct api_call {
	struct api *api;
	struct api_http_call *http;
	const char *user;	/* who calls: an account, or "uid 1000" */
	const char *tail;	/* what the * of the route stands for, or "" */
	json_t *body;		/* an object, or NULL */
};

/* A string; what a server or a record says may be no UTF-8. */
json_t *api_text(const char *text);

/*
 * Answers, now or later: takes json (NULL = no body). Not after the call
 * was freed.
 */
void api_reply(struct api_call *call, unsigned int code, json_t *json);

/* {"errors":[...]}; field may be NULL. */
void api_error(struct api_call *call, unsigned int code, const char *field,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * For the audit trail, once a change is in force: the object, as "server av1"
 * (NULL = no memory, which is borne), and what was done to it, as "added".
 */
void api_audit(struct api_call *call, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A field of a request body. */
struct api_field {
	const char *name;
	json_type type;		/* JSON_TRUE stands for a boolean */
	bool required;
	size_t max;		/* characters */
};

/*
 * Is the body an object with these fields (ended by name == NULL) and no
 * others? If not, the call is answered.
 */
bool api_body(struct api_call *call, const struct api_field *fields);

void api_status(struct api_call *call);
void api_zones(struct api_call *call);
void api_zone_add(struct api_call *call);
void api_zone_remove(struct api_call *call);
void api_scan(struct api_call *call);
void api_probe(struct api_call *call);
void api_event_list(struct api_call *call);
void api_event_view(struct api_call *call);
void api_avvendor_list(struct api_call *call);
void api_avvendor_add(struct api_call *call);
void api_avvendor_remove(struct api_call *call);
void api_runs(struct api_call *call);
void api_run_start(struct api_call *call);
void api_run_view(struct api_call *call);
void api_run_change(struct api_call *call);
void api_schedules(struct api_call *call);
void api_schedule(struct api_call *call);

#endif
