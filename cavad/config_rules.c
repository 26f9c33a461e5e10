/*
 * What a configuration says: the rules of zones and jobs, which pool has
 * which files, how old a verdict may be.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cavad/config.h"

/* ".gz" and "gz" are one extension: names that end in ".gz". */
static int config_extensions(TALLOC_CTX *mem_ctx, const char **extensions,
			     struct filter_list *list)
{
	const char **items = NULL;
	size_t n = 0;
	size_t i;
	int ret;

	while (extensions[n] != NULL) {
		n++;
	}
	items = talloc_zero_array(mem_ctx, const char *, n + 1);
	if (items == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < n; i++) {
		items[i] = extensions[i] + (extensions[i][0] == '.');
	}
	ret = filter_list_make(mem_ctx, items, "*.", list);
	talloc_free(items);
	return ret;
}

int config_job_rules(TALLOC_CTX *mem_ctx, const struct job_object *job,
		     struct filter *f)
{
	int ret;

	*f = FILTER_DEFAULT;
	f->extensions_include = job->file_extension_action == 1;
	f->no_extension_skip = !job->scan_if_no_extension;
	ret = config_extensions(mem_ctx, job->file_extensions,
				&f->extensions);
	return ret != 0 ? ret : filter_list_make(
		mem_ctx, job->paths_to_exclude, "", &f->paths);
}

/* ENUM fields are indices: in the order of the enums of filter.h. */
static int config_rules_of(TALLOC_CTX *mem_ctx,
			   const struct filter_object *object,
			   struct filter *f)
{
	int ret;

	*f = FILTER_DEFAULT;
	f->enabled = object->filter_enabled;
	f->profile = (enum filter_profile)object->scan_profile;
	f->on_read = (enum filter_trigger)object->scan_on_read;
	f->on_close = (enum filter_trigger)object->scan_on_close;
	f->on_rename = (enum filter_trigger)object->scan_on_rename;
	f->extensions_include = object->file_extension_action == 1;
	f->no_extension_skip = !object->scan_if_no_extension;
	f->open_on_fail = object->open_on_fail;
	f->size_deny = object->scan_size_maximum_action == 1;
	f->tiered = object->scan_cloudpool_files;
	ret = config_extensions(mem_ctx, object->file_extensions,
				&f->extensions);
	ret = ret != 0 ? ret : filter_list_make(
		mem_ctx, object->paths_to_exclude, "", &f->paths);
	ret = ret != 0 ? ret : filter_list_make(
		mem_ctx, object->exempt_accounts, "", &f->accounts);
	return ret != 0 ? ret : filter_list_make(
		mem_ctx, object->exempt_hosts, "", &f->hosts);
}

int config_rules(struct config *c)
{
	size_t n = talloc_array_length(c->filters) - 1;
	size_t i;
	int ret = 0;

	c->rules = talloc_zero_array(c, struct filter, n);
	if (c->rules == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < n && ret == 0; i++) {
		ret = config_rules_of(c->rules, c->filters[i], &c->rules[i]);
	}
	return ret;
}

const struct filter_object *config_zone(const struct config *c,
					const char *zone)
{
	size_t i;

	for (i = 0; c->filters[i] != NULL; i++) {
		if (strcasecmp(c->filters[i]->name, zone) == 0) {
			return c->filters[i];
		}
	}
	return NULL;
}

const char *config_pool(const struct config *c, const char *zone)
{
	const struct filter_object *filter = config_zone(c, zone);

	return filter != NULL && filter->pool != NULL ? filter->pool :
		SERVER_POOL;
}

uint32_t config_node(const struct config *c)
{
	if (c->settings.node != 0) {
		return (uint32_t)c->settings.node;
	}
	return c->cluster.node != 0 ? c->cluster.node : 1;
}

uint32_t config_nodes(const struct config *c)
{
	if (c->settings.nodes != 0) {
		return (uint32_t)c->settings.nodes;
	}
	return c->cluster.nodes != 0 ? c->cluster.nodes : 1;
}

/* Of rescan_on_signatures in object.def. */
enum { CONFIG_RESCAN_NEVER, CONFIG_RESCAN_READ, CONFIG_RESCAN_JOB };

int64_t config_signature_min(const struct config *c, bool job)
{
	switch (c->settings.rescan_on_signatures) {
	case CONFIG_RESCAN_READ:
		return c->signatures;
	case CONFIG_RESCAN_JOB:
		return job ? c->signatures : 0;
	default:
		return 0;
	}
}

/* scan_zones; empty = all. */
static bool config_scans(const struct config *c, const char *zone)
{
	const char **zones = c->settings.scan_zones;

	if (zones == NULL || zones[0] == NULL) {
		return true;
	}
	while (*zones != NULL && strcasecmp(*zones, zone) != 0) {
		zones++;
	}
	return *zones != NULL;
}

static uint32_t config_ms(uint64_t seconds)
{
	return seconds > UINT32_MAX / 1000 ? UINT32_MAX : seconds * 1000;
}

struct filter config_filter(const struct config *c, const char *zone)
{
	const struct settings *s = &c->settings;
	struct filter f = FILTER_DEFAULT;
	size_t i;

	for (i = 0; c->filters[i] != NULL; i++) {
		if (strcasecmp(c->filters[i]->name, zone) == 0) {
			f = c->rules[i];
			break;
		}
	}
	f.enabled = f.enabled && s->service_enabled && config_scans(c, zone);
	f.denial = (enum filter_denial)s->denial;
	f.scan_timeout = config_ms(s->scan_timeout);
	f.tiered_timeout = config_ms(s->scan_cloudpool_timeout);
	f.sync_wait = s->sync_wait;
	f.size_maximum = s->scan_size_maximum;
	f.signature_min = config_signature_min(c, false);
	f.allows = c->allows;
	return f;
}

const struct job_object *config_job(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; c->jobs[i] != NULL; i++) {
		if (strcasecmp(c->jobs[i]->name, name) == 0) {
			return c->jobs[i];
		}
	}
	return NULL;
}
