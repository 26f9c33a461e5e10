/*
 * All objects at once.
 *
 *   GET  /platform/11/avscan/schema    what there is to set, from object.def
 *   GET  /platform/11/avscan/export    what is set, as a document
 *   POST /platform/11/avscan/apply     makes it as the document says
 *
 * A document has some of "settings", "cee", "servers", "filters", "jobs". A
 * part that is not in it stays as it is. A part that is in it is all there
 * is to say: servers and jobs that it does not list are removed, and a field
 * that it does not name is as cavad.conf has it, or else the default. All of
 * it is made in one transaction, or nothing; a second time it changes
 * nothing. The answer is the difference, and with ?dry_run=true all there is.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cavad/api_http.h"
#include "cavad/api_object.h"
#include "cavad/api_value.h"
#include "common/near.h"

/* --- schema --- */

/* What can only be read. */
static void schema_more(const struct api_kind *kind, json_t *fields)
{
	static const struct {
		const struct api_kind *kind;
		const char *name, *type, *help;
	} rows[] = {
		{ &kind_servers, "server_type", "string", "CEE/CAVA: it "
		  "fetches files itself; ICAP: it is handed them" },
		{ &kind_servers, "engine", "string", "how it is spoken to: "
		  "cee, cees, icap, icaps, clamd, null" },
		{ &kind_jobs, "last_scheduled_run", "integer", "when its "
		  "schedule last started a run, s since the epoch; 0 = "
		  "never" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].kind == kind) {
			json_array_append_new(fields, json_pack(
				"{s:s, s:s, s:s, s:b}", "name", rows[i].name,
				"type", rows[i].type, "help", rows[i].help,
				"read_only", 1));
		}
	}
}

static json_t *schema_kind(const struct api_kind *kind)
{
	const struct object_field *f = NULL;
	json_t *fields = json_array();

	for (f = kind->class->fields; f->name != NULL; f++) {
		json_t *field = api_value_schema(kind->class, f);
		bool fixed = kind == &kind_settings && !config_of_api(f->name);

		json_object_set_new(field, "read_only", json_boolean(fixed));
		json_array_append_new(fields, field);
	}
	schema_more(kind, fields);
	return json_pack("{s:s, s:s, s:s, s:s?, s:b, s:o}",
			 "object", kind->class->name, "part", kind->plural,
			 "route", kind->route, "name_field", kind->name_field,
			 "made", (int)kind->made, "fields", fields);
}

void api_schema(struct api_call *call)
{
	const struct api_kind *kind = NULL;
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; (kind = api_kind(i)) != NULL; i++) {
		json_array_append_new(list, schema_kind(kind));
	}
	api_reply(call, 200, json_pack("{s:o}", "schema", list));
}

/* --- export --- */

static bool apply_has(const struct api_kind *kind,
		      const struct object_field *f)
{
	return kind != &kind_settings || config_of_api(f->name);
}

/* With the fields that somebody has set. */
static json_t *export_object(const struct api_kind *kind, void *object)
{
	const struct object_origin *origin = object_origin(kind->class,
							   object);
	const struct object_field *f = NULL;
	json_t *json = json_object();

	if (kind->name_field != NULL) {
		json_object_set_new(json, kind->name_field, json_string(
			*(const char *const *)object));
	}
	for (f = kind->class->fields; f->name != NULL; f++) {
		uint64_t bit = object_field_bit(kind->class, f);

		if (((origin->file | origin->store) & bit) != 0 &&
		    apply_has(kind, f)) {
			json_object_set_new(json, f->name, api_value_set(
				kind->class, object, f));
		}
	}
	return json;
}

void api_export(struct api_call *call)
{
	const struct config *config = call->api->config;
	const struct api_kind *kind = NULL;
	json_t *reply = json_object();
	void *object = NULL;
	unsigned int k;
	size_t i;

	for (k = 0; (kind = api_kind(k)) != NULL; k++) {
		json_t *list = json_array();

		for (i = 0; (object = config_nth(config, kind->class, i)) !=
			    NULL; i++) {
			json_array_append_new(list,
					      export_object(kind, object));
		}
		if (kind->name_field == NULL) {
			json_object_set(reply, kind->plural,
					json_array_get(list, 0));
			json_decref(list);
		} else {
			json_object_set_new(reply, kind->plural, list);
		}
	}
	api_reply(call, 200, reply);
}

/* --- the difference between two configurations --- */

static void diff_row(json_t *rows, const struct object_class *class,
		     const char *name, const char *field, json_t *from,
		     json_t *to, const char *change)
{
	json_array_append_new(rows, json_pack(
		"{s:s, s:s?, s:s?, s:o?, s:o?, s:s}", "object", class->name,
		"name", name, "field", field, "from", from, "to", to,
		"change", change));
}

static bool diff_is_set(const struct object_class *class, void *object,
			const struct object_field *f)
{
	return (object_origin(class, object)->store &
		object_field_bit(class, f)) != 0;
}

/*
 * Either may be NULL: it is not there. Then it is told by the fields that are
 * set; a filter that is not there any more has the defaults.
 */
static void diff_object(json_t *rows, const struct object_class *class,
			void *old, void *new)
{
	void *object = old != NULL ? old : new;
	const char *name = class->named ? *(const char *const *)object : NULL;
	const char *change = old == NULL ? "create" : new != NULL ? "modify" :
		class == &object_filter ? "reset" : "remove";
	const struct object_field *f = NULL;
	size_t before = json_array_size(rows);

	for (f = class->fields; f->name != NULL; f++) {
		json_t *from = old == NULL ? NULL :
			       api_value_set(class, old, f);
		json_t *to = new == NULL ? NULL :
			     api_value_set(class, new, f);
		bool same = old != NULL && new != NULL ?
			    json_equal(from, to) :
			    !diff_is_set(class, object, f);

		if (same) {
			json_decref(from);
			json_decref(to);
			continue;
		}
		diff_row(rows, class, name, f->name, from, to, change);
	}
	if ((old == NULL || new == NULL) && json_array_size(rows) == before) {
		diff_row(rows, class, name, NULL, NULL, NULL, change);
	}
}

static json_t *apply_diff(const struct config *old, const struct config *new)
{
	const struct object_class *class = NULL;
	json_t *rows = json_array();
	void *object = NULL;
	unsigned int c;
	size_t i;

	for (c = 0; (class = object_class(c)) != NULL; c++) {
		for (i = 0; (object = config_nth(old, class, i)) != NULL;
		     i++) {
			const char *name = class->named ?
				*(const char *const *)object : "";

			/* a filter that has gone has the defaults */
			diff_object(rows, class, object,
				    config_object(new, class, name));
		}
		for (i = 0; class->named &&
			    (object = config_nth(new, class, i)) != NULL;
		     i++) {
			if (config_object(old, class, *(const char *const *)
					  object) == NULL) {
				diff_object(rows, class, NULL, object);
			}
		}
	}
	return rows;
}

/* --- apply --- */

struct apply {
	struct api_call *call;
	struct live_change *changes;
	size_t count;
	json_t *rows;		/* the difference */
};

static int apply_destructor(struct apply *a)
{
	json_decref(a->rows);
	return 0;
}

static struct live_change *apply_next(struct apply *a)
{
	struct live_change *list = talloc_realloc(
		a, a->changes, struct live_change, a->count + 1);

	if (list == NULL) {
		api_error(a->call, 500, NULL, "out of memory");
		return NULL;
	}
	a->changes = list;
	a->count++;
	return &list[a->count - 1];
}

/* Fields that the database has and `named` does not: set back. */
static bool apply_set_back(struct apply *a, const struct object_class *class,
			   void *object, const json_t *named,
			   struct live_change *change)
{
	const struct object_field *f = NULL;
	struct overlay_pair *pairs = talloc_zero_array(
		a, struct overlay_pair, change->count + 64);
	size_t i;

	if (pairs == NULL) {
		api_error(a->call, 500, NULL, "out of memory");
		return false;
	}
	for (i = 0; i < change->count; i++) {
		pairs[i] = change->pairs[i];
	}
	for (f = class->fields; f->name != NULL; f++) {
		if ((object_origin(class, object)->store &
		     object_field_bit(class, f)) != 0 &&
		    json_object_get(named, f->name) == NULL) {
			pairs[change->count].field = f->name;
			change->count++;
		}
	}
	change->pairs = pairs;
	return true;
}

/* One of the document. `name` NULL: it is to be made. */
static bool apply_object(struct apply *a, const struct api_kind *kind,
			 const char *name, json_t *body)
{
	struct live_change *change = apply_next(a);
	void *object = NULL;

	if (change == NULL ||
	    !api_object_change(a->call, kind, name, body, change)) {
		return false;
	}
	if (change->new_name != NULL) {
		api_error(a->call, 400, "new_name", "new_name is for PUT; a "
			  "document says what there is to be");
		return false;
	}
	object = name == NULL ? NULL : config_object(a->call->api->config,
						     kind->class, name);
	return object == NULL ||
	       apply_set_back(a, kind->class, object, body, change);
}

/* One that the document does not list. */
static bool apply_rest(struct apply *a, const struct api_kind *kind,
		       void *object)
{
	struct live_change *change = apply_next(a);

	if (change == NULL) {
		return false;
	}
	*change = (struct live_change) {
		.kind = kind->made ? LIVE_REMOVE : LIVE_MODIFY,
		.class = kind->class,
		.name = talloc_strdup(a, *(const char *const *)object),
	};
	return kind->made || apply_set_back(a, kind->class, object, NULL,
					    change);
}

static bool apply_listed(const json_t *list, const struct api_kind *kind,
			 const char *name, size_t end)
{
	size_t i;

	for (i = 0; i < json_array_size(list) && i < end; i++) {
		const char *other = json_string_value(json_object_get(
			json_array_get(list, i), kind->name_field));

		if (other != NULL && strcasecmp(other, name) == 0) {
			return true;
		}
	}
	return false;
}

/* One of a list: which one is it? */
static bool apply_member(struct apply *a, const struct api_kind *kind,
			 json_t *list, size_t i)
{
	json_t *body = json_array_get(list, i);
	const char *name = json_string_value(json_object_get(
		body, kind->name_field));
	const char *known = NULL;

	if (name == NULL) {
		api_error(a->call, 400, kind->plural, "%s[%zu]: must be an "
			  "object with the string %s", kind->plural, i,
			  kind->name_field);
		return false;
	}
	if (apply_listed(list, kind, name, i)) {
		api_error(a->call, 400, kind->name_field, "%s = %.128s: is "
			  "listed twice", kind->name_field, name);
		return false;
	}
	if (kind->made) {
		return apply_object(a, kind, config_object(
			a->call->api->config, kind->class, name) == NULL ?
			NULL : name, body);
	}
	known = api_zone_name(a->call->api, name);
	if (known == NULL) {
		api_error(a->call, 404, kind->name_field, "there is no zone "
			  "%.128s; a zone is made by cavactl zones add, or by "
			  "cava:zone in smb.conf", name);
		return false;
	}
	return apply_object(a, kind, known, body);
}

static bool apply_list(struct apply *a, const struct api_kind *kind,
		       json_t *list)
{
	const struct config *config = a->call->api->config;
	void *object = NULL;
	size_t i;

	if (!json_is_array(list)) {
		api_error(a->call, 400, kind->plural, "%s must be a list",
			  kind->plural);
		return false;
	}
	for (i = 0; (object = config_nth(config, kind->class, i)) != NULL;
	     i++) {
		if (!apply_listed(list, kind, *(const char *const *)object,
				  SIZE_MAX) &&
		    !apply_rest(a, kind, object)) {
			return false;
		}
	}
	for (i = 0; i < json_array_size(list); i++) {
		if (!apply_member(a, kind, list, i)) {
			return false;
		}
	}
	return true;
}

static bool apply_document(struct apply *a, json_t *document)
{
	const char *parts[8] = { NULL };
	const struct api_kind *kind = NULL;
	const char *name = NULL;
	json_t *part = NULL;
	unsigned int i;

	for (i = 0; (kind = api_kind(i)) != NULL; i++) {
		parts[i] = kind->plural;
	}
	if (!json_is_object(document)) {
		api_error(a->call, 400, NULL, "the body must be a JSON object "
			  "with some of settings, cee, servers, filters, "
			  "jobs");
		return false;
	}
	json_object_foreach(document, name, part) {
		const char *meant = near_name(parts, name);

		for (i = 0; parts[i] != NULL && strcmp(parts[i], name) != 0;
		     i++) {
			continue;
		}
		if (parts[i] == NULL) {
			api_error(a->call, 400, name, "unknown part %.100s%s"
				  "%s%s; accepted: settings, cee, servers, "
				  "filters, jobs", name,
				  meant != NULL ? "; did you mean " : "",
				  meant != NULL ? meant : "",
				  meant != NULL ? "?" : "");
			return false;
		}
	}
	for (i = 0; (kind = api_kind(i)) != NULL; i++) {
		part = json_object_get(document, kind->plural);
		if (part != NULL && !(kind->name_field == NULL ?
				      apply_object(a, kind, "", part) :
				      apply_list(a, kind, part))) {
			return false;
		}
	}
	return true;
}

static void apply_done(struct tevent_req *subreq)
{
	struct apply *a = tevent_req_callback_data(subreq, struct apply);
	struct live_refusal refusal;
	size_t i;
	int ret = live_change_recv(subreq, a->call, &refusal);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_object_refused(a->call, &refusal);
		return;
	}
	for (i = 0; i < a->count; i++) {
		if (a->changes[i].kind != LIVE_MODIFY ||
		    a->changes[i].count > 0) {
			api_object_made(a->call, &a->changes[i]);
		}
	}
	api_reply(a->call, 200, json_pack("{s:O, s:b}", "changes", a->rows,
					  "dry_run", 0));
}

/* dry_run=true|false; false: the call is answered. */
static bool apply_dry(struct api_call *call, bool *dry)
{
	const char *text = api_http_query(call, "dry_run");

	*dry = text != NULL && strcmp(text, "true") == 0;
	if (text == NULL || *dry || strcmp(text, "false") == 0) {
		return true;
	}
	api_error(call, 400, "dry_run", "dry_run = \"%.100s\": not one of "
		  "true, false", text);
	return false;
}

void api_apply(struct api_call *call)
{
	struct apply *a = talloc_zero(call, struct apply);
	struct live_refusal refusal = { .text = NULL };
	struct tevent_req *subreq = NULL;
	struct config *config = NULL;
	bool dry = false;

	if (a == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	a->call = call;
	talloc_set_destructor(a, apply_destructor);
	if (!apply_dry(call, &dry) || !apply_document(a, call->body)) {
		return;
	}
	config = live_try(a, call->api->live, a->changes, a->count, &refusal);
	if (config == NULL) {
		api_object_refused(call, &refusal);
		return;
	}
	a->rows = apply_diff(call->api->config, config);
	talloc_free(config);
	if (dry) {
		api_reply(call, 200, json_pack("{s:O, s:b}", "changes",
					       a->rows, "dry_run", 1));
		return;
	}
	subreq = live_change_send(a, call->api->live, a->changes, a->count);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, apply_done, a);
}
