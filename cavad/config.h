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

#include "cavad/cluster.h"
#include "cavad/object.h"
#include "cavad/overlay.h"
#include "common/filter.h"

#define CONFIG_JOBS_MAX 1000	/* servers, too */
#define CONFIG_ZONE_DEFAULT "System"	/* cava:zone of a share that has none */

struct config {
	struct settings settings;
	struct cee_settings cee;
	struct filter_object **filters;	/* NULL-terminated */
	struct filter *rules;	/* of each, as config_filter() gives them */
	struct server_object **servers;	/* NULL-terminated, in file order */
	struct job_object **jobs;	/* NULL-terminated */
	const char *text;	/* of cavad.conf; NULL = there was none */
	struct config *taken;	/* whose filters are in force, or NULL */
	int64_t signatures;	/* the oldest of the servers online, s since
				 * the epoch; set while cavad runs */
	struct cluster cluster;	/* of this host, when this was read */
	bool allows;		/* there is an allow-list; set like it */
};

/*
 * Reads `path` (NULL = defaults only). 0, or errno with *error (on mem_ctx)
 * for a person: "cavad.conf:12: [server a] server_uri: ...".
 */
int config_load(TALLOC_CTX *mem_ctx, const char *path,
		struct config **result, char **error);

/* Why a configuration is refused. */
struct config_refusal {
	char *text;		/* for a person: "[server a] pool = ..." */
	const struct object_class *class;	/* NULL: the file's syntax */
	const char *name;	/* of the object, or NULL */
	const char *field;	/* or NULL */
};

/* config_load() in two steps: the file as text on mem_ctx. 0 or errno. */
int config_read(TALLOC_CTX *mem_ctx, const char *path, char **text,
		char **error);

/*
 * What that text says, and `over` laid over it (NULL = nothing). 0; ENOMEM;
 * EINVAL and *refusal, with all of it on mem_ctx or borrowed from `over`.
 */
int config_build(TALLOC_CTX *mem_ctx, const char *path, const char *text,
		 const struct overlay *over, struct config **result,
		 struct config_refusal *refusal);

/* --- config_lay.c: objects by their class --- */

/* Defaults only; no rules yet. NULL = no memory. */
struct config *config_create(TALLOC_CTX *mem_ctx);

/* Number i of them, from 0, NULL after the last; borrowed. */
void *config_nth(const struct config *c, const struct object_class *class,
		 size_t i);
size_t config_count(const struct config *c, const struct object_class *class);

/* By its name, case aside (settings and cee: any), or NULL; borrowed. */
void *config_object(const struct config *c, const struct object_class *class,
		    const char *name);

/* A new one of a named class, with its defaults. NULL = no memory. */
void *config_make(struct config *c, const struct object_class *class,
		  const char *name);

/* 0; ENOMEM; EINVAL and *refusal, and then c is of no use. */
int config_lay(TALLOC_CTX *mem_ctx, struct config *c,
	       const struct overlay *over, struct config_refusal *refusal);

/* --- config_check.c --- */

/* 0, or EINVAL and *refusal on mem_ctx. */
int config_check(TALLOC_CTX *mem_ctx, const struct config *c,
		 struct config_refusal *refusal);

/* --- config_rules.c --- */

/* Makes c->rules. 0 or ENOMEM. */
int config_rules(struct config *c);

/* The number of this node and how many there are: see object.def. */
uint32_t config_node(const struct config *c);
uint32_t config_nodes(const struct config *c);

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
 * Pure. Can the API change it? Not what is needed before the database is
 * open, or a command that cavad runs.
 */
bool config_of_api(const char *setting);

/*
 * Puts into c, which is in use, what can change while cavad runs: filters,
 * servers, [cee] and some of [settings]. `fresh` is on c's side afterwards.
 * *restart (on mem_ctx) names what differs and needs a restart: "" or
 * "[settings] user". 0 or ENOMEM, and then nothing has changed.
 */
int config_take(TALLOC_CTX *mem_ctx, struct config *c, struct config *fresh,
		char **restart);

#endif
