/*
 * cavad.conf: what cavad starts with.
 *
 * Sections [settings], [cee], [filter ZONE], [server NAME], [job NAME], lines
 * "name = value", comments with # or ;. Unknown sections and names are
 * errors that name file, line, and the nearest known name.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_CONFIG_H
#define CAVAD_CONFIG_H

#include "cavad/object.h"
#include "common/filter.h"

#define CONFIG_ZONE_DEFAULT "System"	/* cava:zone of a share that has none */

struct config {
	struct settings settings;
	struct cee_settings cee;
	struct filter_object **filters;	/* NULL-terminated */
	struct filter *rules;	/* of each, as config_filter() gives them */
	struct server_object **servers;	/* NULL-terminated, in file order */
	struct job_object **jobs;	/* NULL-terminated */
	struct config *taken;	/* whose filters are in force, or NULL */
	int64_t signatures;	/* the oldest of the servers online, s since
				 * the epoch; set while cavad runs */
};

/*
 * Reads `path` (NULL = defaults only). 0, or errno with *error (on mem_ctx)
 * for a person: "cavad.conf:12: [server a] server_uri: ...".
 */
int config_load(TALLOC_CTX *mem_ctx, const char *path,
		struct config **result, char **error);

/* By its name, case aside, or NULL. */
const struct job_object *config_job(const struct config *c, const char *name);

/*
 * The rules of a job, with its lists on mem_ctx. 0, ENOMEM, EMSGSIZE.
 */
int config_job_rules(TALLOC_CTX *mem_ctx, const struct job_object *job,
		     struct filter *f);

/*
 * verdict_state()'s signature_min for a job or for everybody else, by
 * rescan_on_signatures; 0: any age.
 */
int64_t config_signature_min(const struct config *c, bool job);

/*
 * The effective filter of a zone; defaults for one that is not listed. Its
 * lists live as long as the config does, or until config_take().
 */
struct filter config_filter(const struct config *c, const char *zone);

/* The pool of the servers that scan a zone's files. Borrowed. */
const char *config_pool(const struct config *c, const char *zone);

/* The section of a zone, or NULL. */
const struct filter_object *config_zone(const struct config *c,
					const char *zone);

/* --- config_take.c --- */

/*
 * Puts into c, which is in use, what can change while cavad runs: filters,
 * servers, [cee] and some of [settings]. `fresh` is on c's side afterwards.
 * *restart (on mem_ctx) names what differs and needs a restart: "" or
 * "[settings] user". 0 or ENOMEM, and then nothing has changed.
 */
int config_take(TALLOC_CTX *mem_ctx, struct config *c, struct config *fresh,
		char **restart);

#endif
