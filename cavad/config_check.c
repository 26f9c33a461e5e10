/*
 * What one field cannot know: does the configuration make sense as a whole?
 *
 * The same for cavad.conf, for what the database lays over it, and for a
 * change over the API, before anything is taken up.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cavad/config.h"
#include "cavad/object_check.h"

struct config_checker {
	TALLOC_CTX *mem_ctx;
	const struct config *config;
	struct config_refusal *refusal;
	int error;		/* sticky */
};

/* name, field: NULL = none */
__attribute__((format(printf, 5, 6)))
static void config_refuse(struct config_checker *p,
			  const struct object_class *class, const char *name,
			  const char *field, const char *fmt, ...)
{
	char *title = NULL;
	char *what = NULL;
	va_list ap;

	if (p->error != 0) {
		return;
	}
	p->error = EINVAL;
	va_start(ap, fmt);
	what = talloc_vasprintf(NULL, fmt, ap);
	va_end(ap);
	title = talloc_asprintf(what, "[%s%s%s]", class->name,
				name == NULL ? "" : " ",
				name == NULL ? "" : name);
	*p->refusal = (struct config_refusal) {
		.class = class,
		.name = name == NULL ? NULL : talloc_strdup(p->mem_ctx, name),
		.field = field,
		.text = talloc_asprintf(p->mem_ctx, "%s %s%s", title, field ==
					NULL ? "" : field, what),
	};
	talloc_free(what);
}

static bool config_has_pool(const struct config *c, const char *pool)
{
	size_t i;

	for (i = 0; c->servers[i] != NULL; i++) {
		if (strcmp(c->servers[i]->pool, pool) == 0) {
			return true;
		}
	}
	return false;
}

/* No server at all is said by an event, and is no reason not to start. */
static void config_check_pool(struct config_checker *p,
			      const struct object_class *class,
			      const char *name, const char *pool)
{
	const struct config *c = p->config;
	bool needless = c->servers[0] == NULL &&
			strcmp(pool, SERVER_POOL) == 0;

	if (!needless && !config_has_pool(c, pool)) {
		config_refuse(p, class, name, "pool", " = \"%s\": no [server] "
			      "has this pool, so nothing would be scanned",
			      pool);
	}
}

static void config_check_filter(struct config_checker *p,
				const struct filter_object *filter)
{
	config_check_pool(p, &object_filter, filter->name, filter->pool);
	if (filter->file_extension_action == 1 &&
	    filter->file_extensions[0] == NULL) {
		config_refuse(p, &object_filter, filter->name,
			      "file_extension_action", " = include, but "
			      "file_extensions is empty: nothing would be "
			      "scanned; use scan_profile = no_scan for that");
	}
}

static void config_check_job(struct config_checker *p,
			     const struct job_object *job)
{
	const char *root = p->config->settings.check_root;
	const char *const *path = NULL;

	for (path = (const char *const *)job->paths_to_include; *path != NULL;
	     path++) {
		if (!object_path_below(*path, root)) {
			config_refuse(p, &object_job, job->name,
				      "paths_to_include", " = \"%.100s\": not "
				      "below check_root (%s)", *path, root);
		}
	}
	if (job->file_extension_action == 1 &&
	    job->file_extensions[0] == NULL) {
		config_refuse(p, &object_job, job->name,
			      "file_extension_action", " = include, but "
			      "file_extensions is empty: nothing would be "
			      "scanned");
	}
	if (p->config->servers[0] != NULL) {
		config_check_pool(p, &object_job, job->name, job->pool);
	}
}

static void config_check_places(struct config_checker *p)
{
	const struct settings *s = &p->config->settings;

	if (strcmp(s->ipc_socket, s->api_socket) == 0) {
		config_refuse(p, &object_settings, NULL, "api_socket",
			      " = \"%s\": is ipc_socket as well",
			      s->api_socket);
	}
	if (object_path_below(s->spool_dir, s->state_dir)) {
		config_refuse(p, &object_settings, NULL, "spool_dir",
			      " = \"%s\": is or lies in state_dir, but it "
			      "must belong to root, and state_dir to user",
			      s->spool_dir);
	}
	if (object_path_below(s->state_dir, s->spool_dir)) {
		config_refuse(p, &object_settings, NULL, "state_dir",
			      " = \"%s\": lies in spool_dir, where only root "
			      "may go", s->state_dir);
	}
}

int config_check(TALLOC_CTX *mem_ctx, const struct config *c,
		 struct config_refusal *refusal)
{
	struct config_checker p = {
		.mem_ctx = mem_ctx, .config = c, .refusal = refusal,
	};
	const char *unset = NULL;
	size_t i;

	for (i = 0; c->servers[i] != NULL; i++) {
		unset = object_unset(&object_server, c->servers[i]);
		if (unset != NULL) {
			config_refuse(&p, &object_server, c->servers[i]->name,
				      unset, " is not set");
		}
	}
	config_check_places(&p);
	for (i = 0; c->filters[i] != NULL; i++) {
		config_check_filter(&p, c->filters[i]);
	}
	for (i = 0; c->jobs[i] != NULL; i++) {
		config_check_job(&p, c->jobs[i]);
	}
	return p.error;
}
