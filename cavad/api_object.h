/*
 * Settings, servers, filters and jobs over the API: what their files share.
 *
 *   api_value.c    a field as JSON and back
 *   api_object.c   an object as JSON and back, and the routes of each
 *   api_apply.c    all of them at once: schema, export, apply
 *
 * A null for a field in a request sets it back to what cavad.conf, or else
 * the default, says. "origin" in a reply names the fields that are not as
 * the default has them: {"enabled": "database", "pool": "file"}.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_OBJECT_H
#define CAVAD_API_OBJECT_H

#include "cavad/api_private.h"

/* A kind of object, as the routes have it. */
struct api_kind {
	const struct object_class *class;
	const char *plural;	/* of the reply and of a document */
	const char *route;	/* without what names one of them */
	const char *name_field;	/* NULL: there is one only */
	const char *const *sorts;	/* fields, ended by NULL */
	bool made;		/* created and deleted over the API */
};

/* All of them: i from 0, NULL after the last. */
const struct api_kind *api_kind(unsigned int i);

/* As a reply has it; name: of a filter's zone, which may have no filter. */
json_t *api_object_json(struct api *api, const struct api_kind *kind,
			const char *name);

/*
 * What a body asks for, on call: LIVE_CREATE (name NULL) or LIVE_MODIFY of
 * `name`. False: it makes no sense, and the call is answered.
 */
bool api_object_change(struct api_call *call, const struct api_kind *kind,
		       const char *name, json_t *body,
		       struct live_change *change);

/* Answers what live_change_recv() or live_try() refused. */
void api_object_refused(struct api_call *call,
			const struct live_refusal *refusal);

/* It is in force: for the audit trail, and for the schedules of jobs. */
void api_object_made(struct api_call *call, const struct live_change *change);

/* The name of the zone, by its id or name; NULL = there is none. Borrowed. */
const char *api_zone_name(const struct api *api, const char *text);

#endif
