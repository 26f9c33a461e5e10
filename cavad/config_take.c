/*
 * A new cavad.conf while cavad runs.
 *
 * Everybody holds a pointer to the one struct config and looks when there is
 * something to decide, so what may change is changed in place: all filters
 * and jobs, servers and [cee] (servers_update() is for what runs), and the
 * settings that nobody has copied or acted upon (config_live). The rest keeps
 * the value it had at start and is named, for a restart to take up. A value
 * of the file that equals the one in force is no difference, whatever was in
 * the file meanwhile.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cavad/config.h"
#include "cavad/object_value.h"

/* Those that nobody has copied, or who has is told of the change. */
static const char *const config_live[] = {
	"service_enabled", "scan_zones", "scan_timeout",
	"scan_cloudpool_timeout", "scan_size_maximum", "ip_pool",
	"report_expiry", "report_time", "link_speed", "sync_wait", "denial",
	"check_grace", "check_scope",
	"allow_clean", "scan_maximum", "rescan_on_signatures", "node",
	"nodes", "event_command", "event_webhook", "event_webhook_ca_file",
	"event_severity", "event_timeout", NULL
};

static bool config_is_live(const char *name)
{
	size_t i;

	for (i = 0; config_live[i] != NULL; i++) {
		if (strcmp(config_live[i], name) == 0) {
			return true;
		}
	}
	return false;
}

bool config_of_api(const char *setting)
{
	return config_is_live(setting) &&
	       strcmp(setting, "event_command") != 0;
}

/* Adds "[settings] node", or ", node" behind what is there. */
static void config_name(char **text, const char *title, const char *what)
{
	if (*text == NULL) {
		return;		/* no memory; said at the end */
	}
	*text = talloc_asprintf_append(*text, "%s%s%s%s",
				       (*text)[0] == '\0' ? "" : ", ", title,
				       what[0] == '\0' ? "" : " ", what);
}

static bool config_differs(const struct object_class *class, const void *a,
			   const void *b, const char *name)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *old = object_get(frame, class, a, name);
	char *new = object_get(frame, class, b, name);
	bool differs = old == NULL || new == NULL || strcmp(old, new) != 0;

	talloc_free(frame);
	return differs;
}

/* Of a class that needs a restart, or of its fields that do. */
static void config_name_fields(char **text, const char *title,
			       const struct object_class *class,
			       const void *old, const void *new)
{
	const struct object_field *field = NULL;

	for (field = class->fields; field->name != NULL; field++) {
		if (class == &object_settings && config_is_live(field->name)) {
			continue;
		}
		if (config_differs(class, old, new, field->name)) {
			config_name(text, title, field->name);
		}
	}
}

/* Texts and lists are on `fresh`, as everything else that is taken. */
static void config_take_settings(struct config *c, const struct config *fresh)
{
	const struct object_field *field = NULL;
	union object_value value;
	size_t i;

	for (i = 0; config_live[i] != NULL; i++) {
		field = object_field(&object_settings, config_live[i]);
		object_value_load(field, &fresh->settings, &value);
		object_value_store(field, &c->settings, &value);
	}
	c->settings.origin = fresh->settings.origin;
}

int config_take(TALLOC_CTX *mem_ctx, struct config *c, struct config *fresh,
		char **restart)
{
	char *text = talloc_strdup(mem_ctx, "");

	config_name_fields(&text, "[settings]", &object_settings,
			   &c->settings, &fresh->settings);
	if (text == NULL) {
		return ENOMEM;
	}
	config_take_settings(c, fresh);
	talloc_free(c->taken);
	c->taken = talloc_steal(c, fresh);
	c->filters = fresh->filters;
	c->rules = fresh->rules;
	c->jobs = fresh->jobs;
	c->servers = fresh->servers;
	c->cee = fresh->cee;
	c->cluster = fresh->cluster;
	*restart = text;
	return 0;
}
