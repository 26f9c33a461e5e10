/*
 * Objects over the API: see api_object.h.
 *
 *   GET PUT              /platform/11/avscan/settings, .../cee
 *   GET POST DELETE      /platform/11/avscan/servers, .../jobs
 *   GET PUT DELETE       .../servers/{name}, .../jobs/{name}
 *   GET, GET PUT         .../filters, .../filters/{zone, or its id}
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cavad/api_object.h"
#include "cavad/api_page.h"
#include "cavad/api_value.h"
#include "cavad/engine.h"
#include "common/near.h"

#define SHOWN_MAX 100		/* bytes of a value in an error */
#define NAMES_MAX 80

static const char *const server_sorts[] = {
	"server_name", "id", "server_uri", "enabled", "server_type", "pool",
	NULL
};
static const char *const filter_sorts[] = {
	"zone_name", "id", "filter_enabled", "scan_profile", "pool", NULL
};
static const char *const job_sorts[] = {
	"job_name", "id", "description", "enabled", "schedule", "impact",
	"priority", "last_scheduled_run", NULL
};

const struct api_kind kind_settings = {
	.class = &object_settings, .plural = "settings",
	.route = "/platform/11/avscan/settings",
};
const struct api_kind kind_cee = {
	.class = &object_cee, .plural = "cee",
	.route = "/platform/11/avscan/cee",
};
const struct api_kind kind_servers = {
	.class = &object_server, .plural = "servers",
	.route = "/platform/11/avscan/servers", .name_field = "server_name",
	.sorts = server_sorts, .made = true,
};
const struct api_kind kind_filters = {
	.class = &object_filter, .plural = "filters",
	.route = "/platform/11/avscan/filters", .name_field = "zone_name",
	.sorts = filter_sorts,
};
const struct api_kind kind_jobs = {
	.class = &object_job, .plural = "jobs",
	.route = "/platform/11/avscan/jobs", .name_field = "job_name",
	.sorts = job_sorts, .made = true,
};

const struct api_kind *api_kind(unsigned int i)
{
	static const struct api_kind *const kinds[] = {
		&kind_settings, &kind_cee, &kind_servers, &kind_filters,
		&kind_jobs
	};

	return i < sizeof(kinds) / sizeof(kinds[0]) ? kinds[i] : NULL;
}

/* --- what there is --- */

/* As the model names who moves a file's bytes; engine has the protocol. */
static const char *server_type(const struct engine_ops *ops)
{
	return ops != NULL && ops->fetches ? "CEE/CAVA" : "ICAP";
}

static void object_more_server(const struct server_object *server,
			       json_t *json)
{
	const struct engine_ops *ops = engine_find(server->server_uri);

	json_object_set_new(json, "server_type",
			    json_string(server_type(ops)));
	json_object_set_new(json, "engine", json_string(
		ops == NULL ? "" : ops->scheme));
}

static void object_more_job(struct api *api, const struct job_object *job,
			    json_t *json)
{
	json_object_set_new(json, "last_scheduled_run", json_integer(
		(json_int_t)job_last(api->jobs, job)));
}

static json_t *object_origins(const struct object_class *class,
			      const void *object)
{
	const struct object_origin *origin = object_origin(
		class, (void *)(uintptr_t)object);
	const struct object_field *f = NULL;
	json_t *json = json_object();

	for (f = class->fields; f->name != NULL; f++) {
		uint64_t bit = object_field_bit(class, f);

		if ((origin->store & bit) != 0) {
			json_object_set_new(json, f->name,
					    json_string("database"));
		} else if ((origin->file & bit) != 0) {
			json_object_set_new(json, f->name,
					    json_string("file"));
		}
	}
	return json;
}

static json_t *object_json(struct api *api, const struct api_kind *kind,
			   const char *name, const void *object)
{
	const struct object_class *class = kind->class;
	const struct object_field *f = NULL;
	json_t *json = json_object();

	if (kind->name_field != NULL) {
		json_object_set_new(json, "id", json_string(name));
		json_object_set_new(json, kind->name_field,
				    json_string(name));
	}
	for (f = class->fields; f->name != NULL; f++) {
		json_object_set_new(json, f->name,
				    api_value(class, object, f));
	}
	if (class == &object_server) {
		object_more_server(object, json);
	} else if (class == &object_job) {
		object_more_job(api, object, json);
	}
	json_object_set_new(json, "origin", object_origins(class, object));
	return json;
}

static bool object_zone(const struct api *api, const char *name,
			struct zone_status *zone)
{
	unsigned int i;

	for (i = 0; zone_status(api->zones, i, zone); i++) {
		if (strcasecmp(zone->name, name) == 0) {
			return true;
		}
	}
	return false;
}

static json_t *object_filter_json(struct api *api, const char *name)
{
	const struct filter_object *filter = config_zone(api->config, name);
	TALLOC_CTX *frame = talloc_new(NULL);
	struct filter_object none = { .name = name };
	struct zone_status zone = { .id = 0 };
	char id[16] = "";
	json_t *json = NULL;
	int ret = 0;

	if (filter == NULL) {
		ret = object_defaults(frame, &object_filter, &none);
		filter = &none;
	}
	if (ret != 0) {
		talloc_free(frame);
		return NULL;
	}
	json = object_json(api, &kind_filters, name, filter);
	(void)object_zone(api, name, &zone);
	snprintf(id, sizeof(id), "%" PRIu32, zone.id);
	json_object_set_new(json, "id", json_string(id));
	talloc_free(frame);
	return json;
}

json_t *api_object_json(struct api *api, const struct api_kind *kind,
			const char *name)
{
	const void *object = NULL;

	if (kind == &kind_filters) {
		return object_filter_json(api, name);
	}
	object = config_object(api->config, kind->class, name);
	if (kind->name_field != NULL) {
		name = *(const char *const *)object;	/* as it is written */
	}
	return object_json(api, kind, name, object);
}

const char *api_zone_name(const struct api *api, const char *text)
{
	struct zone_status zone;
	unsigned int i;
	char id[16];

	for (i = 0; zone_status(api->zones, i, &zone); i++) {
		snprintf(id, sizeof(id), "%" PRIu32, zone.id);
		if (strcmp(id, text) == 0) {
			return zone.name;
		}
	}
	return object_zone(api, text, &zone) ? zone.name : NULL;
}

/* The name of what the path stands for; NULL: the call is answered. */
static const char *object_named(struct api_call *call)
{
	const struct api_kind *kind = call->route->kind;
	const char *name = NULL;
	const void *object = NULL;

	if (kind->name_field == NULL) {
		return "";
	}
	if (kind == &kind_filters) {
		name = api_zone_name(call->api, call->tail);
		if (name == NULL) {
			api_error(call, 404, "id", "there is no zone with the "
				  "name or number %.100s; GET %s lists them",
				  call->tail, kind->route);
		}
		return name;
	}
	object = config_object(call->api->config, kind->class, call->tail);
	if (object == NULL) {
		api_error(call, 404, "id", "there is no %s %.128s; GET %s "
			  "lists them", kind->class->name, call->tail,
			  kind->route);
		return NULL;
	}
	return *(const char *const *)object;
}

static json_t *object_rows(struct api *api, const struct api_kind *kind)
{
	json_t *rows = json_array();
	struct zone_status zone;
	const void *object = NULL;
	unsigned int i;

	if (kind == &kind_filters) {
		for (i = 0; zone_status(api->zones, i, &zone); i++) {
			json_array_append_new(rows, object_filter_json(
				api, zone.name));
		}
		return rows;
	}
	for (i = 0; (object = config_nth(api->config, kind->class, i)) != NULL;
	     i++) {
		json_array_append_new(rows, api_object_json(
			api, kind, *(const char *const *)object));
	}
	return rows;
}

void api_object_list(struct api_call *call)
{
	const struct api_kind *kind = call->route->kind;
	const struct api_page_spec spec = { .sorts = kind->sorts };

	api_page_list(call, &spec, kind->plural,
		      object_rows(call->api, kind));
}

void api_object_view(struct api_call *call)
{
	const struct api_kind *kind = call->route->kind;
	const char *name = object_named(call);
	json_t *json = NULL;

	if (name == NULL) {
		return;
	}
	json = api_object_json(call->api, kind, name);
	if (kind->name_field != NULL) {
		json = json_pack("[o]", json);
	}
	api_reply(call, 200, json_pack("{s:o}", kind->plural, json));
}

/* --- what a body asks for --- */

static void object_wrong(struct api_call *call, const char *field,
			 const json_t *value, const char *why)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	bool whole = text != NULL && strlen(text) <= SHOWN_MAX;

	api_error(call, 400, field, "%s = %.*s%s: %s", field, SHOWN_MAX,
		  text == NULL ? "?" : text, whole ? "" : "...",
		  why == NULL ? "out of memory" : why);
	free(text);
}

static void object_unknown_field(struct api_call *call,
				 const struct api_kind *kind,
				 const char *name)
{
	const struct object_field *f = NULL;
	const char *names[NAMES_MAX] = { NULL };
	const char *meant = NULL;
	char *all = talloc_strdup(call, "");
	size_t n = 0;

	if (kind->name_field != NULL) {
		names[n] = kind->name_field;
		n++;
	}
	for (f = kind->class->fields; f->name != NULL; f++) {
		if (kind == &kind_settings && !config_of_api(f->name)) {
			continue;
		}
		names[n] = f->name;
		n++;
	}
	meant = near_name(names, name);
	for (n = 0; names[n] != NULL && all != NULL; n++) {
		all = talloc_asprintf_append(all, "%s%s", n == 0 ? "" : ", ",
					     names[n]);
	}
	api_error(call, 400, name, "unknown field %.100s%s%s%s; accepted: %s",
		  name, meant != NULL ? "; did you mean " : "",
		  meant != NULL ? meant : "", meant != NULL ? "?" : "", all);
}

/* A string that names it. False: the call is answered. */
static bool object_name_text(struct api_call *call, const char *field,
			     const json_t *value, const char **name)
{
	if (!json_is_string(value) || json_string_length(value) == 0 ||
	    json_string_length(value) > 255) {
		object_wrong(call, field, value, "must be a string of 1 to "
			     "255 characters");
		return false;
	}
	*name = json_string_value(value);
	return true;
}

/* What is no field of the class: names, and what can only be read. */
static bool object_extra(struct api_call *call, const struct api_kind *kind,
			 const json_t *now, const char *field,
			 const json_t *value, struct live_change *change)
{
	bool create = change->kind == LIVE_CREATE;
	bool named = kind->name_field != NULL &&
		     strcmp(field, kind->name_field) == 0;

	if (create && named) {
		return true;	/* looked at before */
	}
	if (create && kind->made && strcmp(field, "id") == 0) {
		if (json_is_string(value) &&
		    strcmp(json_string_value(value), change->name) == 0) {
			return true;
		}
		object_wrong(call, field, value, "the id is the name");
		return false;
	}
	if (!create && kind->made && strcmp(field, "new_name") == 0) {
		return object_name_text(call, field, value,
					&change->new_name);
	}
	if (now != NULL && json_object_get(now, field) != NULL) {
		if (json_equal(json_object_get(now, field), value)) {
			return true;
		}
		object_wrong(call, field, value, named && kind->made ?
			     "to rename it, say new_name" :
			     "can only be read");
		return false;
	}
	object_unknown_field(call, kind, field);
	return false;
}

static bool object_pair(struct api_call *call, const struct object_field *f,
			const json_t *value, struct overlay_pair *pair)
{
	char *why = NULL;

	pair->field = f->name;
	pair->text = NULL;
	if (json_is_null(value)) {
		return true;
	}
	pair->text = api_value_text(call, f, value, &why);
	if (pair->text == NULL) {
		object_wrong(call, f->name, value, why);
	}
	return pair->text != NULL;
}

/*
 * A field that has that very value already is left out. What triggers a scan
 * has it by scan_profile, so not when that is to change.
 */
static bool object_same(const struct object_field *f, const json_t *now,
			const json_t *body)
{
	const json_t *profile = json_object_get(body, "scan_profile");

	if (now == NULL || !json_equal(json_object_get(now, f->name),
				       json_object_get(body, f->name))) {
		return false;
	}
	return f->type != OBJECT_ENUM || profile == NULL ||
	       !json_is_boolean(json_object_get(now, f->name)) ||
	       json_equal(profile, json_object_get(now, "scan_profile"));
}

static bool object_fields(struct api_call *call, const struct api_kind *kind,
			  const json_t *now, json_t *body,
			  struct live_change *change)
{
	const struct object_field *f = NULL;
	struct overlay_pair *pairs = NULL;
	const char *name = NULL;
	json_t *value = NULL;

	pairs = talloc_zero_array(call, struct overlay_pair,
				  json_object_size(body) + 1);
	change->pairs = pairs;
	if (pairs == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return false;
	}
	json_object_foreach(body, name, value) {
		f = object_field(kind->class, name);
		if (f == NULL) {
			if (!object_extra(call, kind, now, name, value,
					  change)) {
				return false;
			}
			continue;
		}
		if (object_same(f, now, body)) {
			continue;
		}
		if (!object_pair(call, f, value, &pairs[change->count])) {
			return false;
		}
		change->count++;
	}
	return true;
}

bool api_object_change(struct api_call *call, const struct api_kind *kind,
		       const char *name, json_t *body,
		       struct live_change *change)
{
	json_t *now = NULL;
	json_t *value = NULL;
	bool ok = true;

	*change = (struct live_change) {
		.kind = name == NULL ? LIVE_CREATE : LIVE_MODIFY,
		.class = kind->class,
		.name = name == NULL ? NULL : talloc_strdup(call, name),
	};
	if (!json_is_object(body)) {
		api_error(call, 400, NULL, "the body must be a JSON object "
			  "with fields of the %s", kind->class->name);
		return false;
	}
	if (name != NULL) {
		now = api_object_json(call->api, kind, name);
		ok = object_fields(call, kind, now, body, change);
		json_decref(now);
		return ok;
	}
	change->name = "";
	value = json_object_get(body, kind->name_field);
	if (value != NULL && !object_name_text(call, kind->name_field, value,
					       &change->name)) {
		return false;
	}
	ok = object_fields(call, kind, NULL, body, change);
	if (ok && value == NULL) {
		api_error(call, 400, kind->name_field, "%s is required",
			  kind->name_field);
		return false;
	}
	return ok;
}

/* --- changes --- */

struct object_work {
	struct api_call *call;
	struct live_change *changes;
	size_t count;
};

void api_object_refused(struct api_call *call,
			const struct live_refusal *refusal)
{
	unsigned int code = 500;

	switch (refusal->error) {
	case EINVAL:
		code = 400;
		break;
	case ENOENT:
		code = 404;
		break;
	case EEXIST:
	case EPERM:
		code = 409;
		break;
	case ENOSPC:
		code = 503;
		break;
	}
	api_error(call, code, refusal->field, "%s", refusal->text);
}

static void object_audit(struct api_call *call,
			 const struct live_change *change)
{
	char *what = talloc_asprintf(call, "%s%s%s", change->class->name,
				     change->name[0] == '\0' ? "" : " ",
				     change->name);
	char *text = talloc_strdup(call, change->kind == LIVE_CREATE ?
				   "added" : change->kind == LIVE_REMOVE ?
				   "removed" : "changed");
	size_t i;

	if (change->new_name != NULL && text != NULL) {
		text = talloc_asprintf_append(text, ", new name %s",
					      change->new_name);
	}
	for (i = 0; i < change->count && text != NULL; i++) {
		const struct overlay_pair *pair = &change->pairs[i];

		text = pair->text == NULL ? talloc_asprintf_append(
			text, ", %s set back", pair->field) :
			talloc_asprintf_append(
				text, ", %s = %s", pair->field,
				api_value_shown(call, pair->field,
						pair->text));
	}
	api_audit(call, what, "%s", text == NULL ? "changed" : text);
}

void api_object_made(struct api_call *call, const struct live_change *change)
{
	struct jobs *jobs = call->api->jobs;

	object_audit(call, change);
	if (change->class != &object_job) {
		return;
	}
	if (change->kind != LIVE_MODIFY) {
		job_forget(jobs, change->name);
	} else if (change->new_name != NULL &&
		   strcmp(change->new_name, change->name) != 0) {
		job_renamed(jobs, change->name, change->new_name);
	}
}

static void object_changed(struct tevent_req *subreq)
{
	struct object_work *work = tevent_req_callback_data(
		subreq, struct object_work);
	struct api_call *call = work->call;
	struct live_refusal refusal;
	size_t i;
	int ret = live_change_recv(subreq, call, &refusal);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_object_refused(call, &refusal);
		return;
	}
	for (i = 0; i < work->count; i++) {
		api_object_made(call, &work->changes[i]);
	}
	if (work->count == 1 && work->changes[0].kind == LIVE_CREATE) {
		api_reply(call, 201, json_pack("{s:s}", "id",
					       work->changes[0].name));
		return;
	}
	api_reply(call, 204, NULL);
}

static void object_send(struct api_call *call, struct live_change *changes,
			size_t count)
{
	struct object_work *work = talloc_zero(call, struct object_work);
	struct tevent_req *subreq = NULL;

	if (work != NULL) {
		*work = (struct object_work) { call, changes, count };
		subreq = live_change_send(work, call->api->live, changes,
					  count);
	}
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, object_changed, work);
}

void api_object_create(struct api_call *call)
{
	struct live_change *change = talloc_zero(call, struct live_change);

	if (change != NULL && api_object_change(call, call->route->kind, NULL,
						call->body, change)) {
		object_send(call, change, 1);
	}
}

void api_object_modify(struct api_call *call)
{
	struct live_change *change = talloc_zero(call, struct live_change);
	const struct api_kind *kind = call->route->kind;
	const char *name = object_named(call);
	uint64_t run = 0;

	if (change == NULL || name == NULL ||
	    !api_object_change(call, kind, name, call->body, change)) {
		return;
	}
	if (change->new_name != NULL && kind == &kind_jobs) {
		run = job_running(call->api->jobs, name);
	}
	if (run != 0) {
		api_error(call, 409, "new_name", "run %" PRIu64 " of job %s "
			  "is under way; rename it when that has ended, or "
			  "cancel it", run, name);
		return;
	}
	object_send(call, change, 1);
}

void api_object_delete(struct api_call *call)
{
	struct live_change *change = talloc_zero(call, struct live_change);
	const char *name = object_named(call);

	if (change == NULL || name == NULL) {
		return;
	}
	*change = (struct live_change) {
		.kind = LIVE_REMOVE, .class = call->route->kind->class,
		.name = talloc_strdup(change, name),
	};
	object_send(call, change, 1);
}

void api_object_delete_all(struct api_call *call)
{
	const struct object_class *class = call->route->kind->class;
	size_t count = config_count(call->api->config, class);
	struct live_change *changes = talloc_zero_array(
		call, struct live_change, count + 1);
	size_t i;

	for (i = 0; changes != NULL && i < count; i++) {
		const void *object = config_nth(call->api->config, class, i);

		changes[i] = (struct live_change) {
			.kind = LIVE_REMOVE, .class = class,
			.name = talloc_strdup(changes,
					      *(const char *const *)object),
		};
	}
	object_send(call, changes, count);
}

/* Filters come and go with their zones. */
void api_object_fixed(struct api_call *call)
{
	api_error(call, 405, NULL, "each zone has one filter, which comes and "
		  "goes with it: PUT %s/{zone} changes it, with null for a "
		  "field to set it back", call->route->kind->route);
}
