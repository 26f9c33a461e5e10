/*
 * Commands of cavactl: rows of a table in main.c, a function each.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_H
#define CAVACTL_H

#include <stdbool.h>

#include "cavactl/http.h"
#include "cavactl/output.h"

/* Exit statuses, as cavactl(1) has them. */
enum cavactl_exit {
	CAVACTL_OK = 0,		/* scan: clean */
	CAVACTL_REFUSED = 1,	/* usage, or cavad refused the request */
	CAVACTL_INFECTED = 2,
	CAVACTL_NO_VERDICT = 3,	/* scan: failed, skipped, unscannable */
	CAVACTL_UNREACHABLE = 4
};

struct cavactl {
	const char *socket_path;
	bool json;
	bool force;
	int nodes;		/* servers advise */
	int connections;
};

/*
 * Calls cavad. CAVACTL_OK and *reply (may be NULL), or what to exit with,
 * the reason being on stderr.
 */
enum cavactl_exit cavactl_call(const struct cavactl *ctl, const char *method,
			       const char *path, json_t *body,
			       json_t **reply);

/* DELETE of base/name, with what the name needs escaped. */
enum cavactl_exit cavactl_delete(const struct cavactl *ctl,
				 const char *base, const char *name);

/* args: the words after the command, NULL at the end. */
enum cavactl_exit cmd_status(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_servers(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_servers_advise(const struct cavactl *ctl,
				     const char **args);
enum cavactl_exit cmd_probe(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_zones(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_zones_add(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_zones_remove(const struct cavactl *ctl,
				   const char **args);
enum cavactl_exit cmd_scan(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_jobs(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_jobs_runs(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_jobs_view(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_jobs_start(const struct cavactl *ctl,
				 const char **args);
enum cavactl_exit cmd_jobs_pause(const struct cavactl *ctl,
				 const char **args);
enum cavactl_exit cmd_jobs_resume(const struct cavactl *ctl,
				  const char **args);
enum cavactl_exit cmd_jobs_cancel(const struct cavactl *ctl,
				  const char **args);
enum cavactl_exit cmd_jobs_schedule(const struct cavactl *ctl,
				    const char **args);

enum cavactl_exit cmd_events(const struct cavactl *ctl, const char **args);
enum cavactl_exit cmd_events_before(const struct cavactl *ctl,
				    const char **args);
enum cavactl_exit cmd_events_view(const struct cavactl *ctl,
				  const char **args);

/* All below an absolute path, shown until it has ended. */
enum cavactl_exit jobs_scan_directory(const struct cavactl *ctl,
				      const char *path);
enum cavactl_exit cmd_avvendor_list(const struct cavactl *ctl,
				    const char **args);
enum cavactl_exit cmd_avvendor_add(const struct cavactl *ctl,
				   const char **args);
enum cavactl_exit cmd_avvendor_remove(const struct cavactl *ctl,
				      const char **args);

#endif
