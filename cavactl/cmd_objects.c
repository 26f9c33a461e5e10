/*
 * cavactl settings, cee, servers, filters, jobs: list, create, view, modify,
 * reset, delete. One set of verbs; which kind it is about, the row says.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavactl/kind.h"
#include "common/near.h"

#define FIELDS_MAX 64

static const struct output_column view_columns[] = {
	{ "FIELD", "field", OUT_TEXT },
	{ "VALUE", "value", OUT_TEXT },
	{ "FROM", "origin", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct kind *object_kind(const struct cavactl *ctl)
{
	return kind_of(ctl->command->fields);
}

/* Of the kind, or of one of its objects; on ctl, NULL = no memory, said. */
static char *object_path(const struct cavactl *ctl, const char *name)
{
	const struct kind *kind = object_kind(ctl);
	char *escaped = NULL;
	char *path = NULL;

	if (kind->name_field == NULL || name == NULL) {
		path = talloc_strdup(ctl, kind->path);
	} else {
		escaped = http_escape(name);
		path = escaped == NULL ? NULL : talloc_asprintf(
			ctl, "%s/%s", kind->path, escaped);
		free(escaped);
	}
	if (path == NULL) {
		output_error("out of memory");
	}
	return path;
}

/* Its name, NULL for what there is one of only; *args goes on behind it. */
static const char *object_name(const struct cavactl *ctl, const char ***args)
{
	const char *name = NULL;

	if (object_kind(ctl)->name_field != NULL) {
		name = **args;
		(*args)++;
	}
	return name;
}

/* "server av1", "settings" */
static void object_print(const struct cavactl *ctl, const char *name)
{
	printf("%s%s", ctl->command->fields->name, name == NULL ? "" : " ");
	output_text(stdout, name == NULL ? "" : name);
}

/* --- list, view --- */

static enum cavactl_exit object_list(const struct cavactl *ctl,
				     const char **args)
{
	const struct kind *kind = object_kind(ctl);
	struct output_column *columns = kind_columns((TALLOC_CTX *)ctl, kind);

	(void)args;
	if (columns == NULL) {
		output_error("out of memory");
		return CAVACTL_REFUSED;
	}
	return cavactl_show(ctl, kind->path, kind->plural, columns, NULL,
			    "There is none yet; create makes one.");
}

/* What a number of seconds is, is not seen at once. */
static char *object_view_text(const struct object_field *f,
			      const struct object_class *class,
			      const json_t *value)
{
	char *text = kind_text(NULL, class, f->name, value);
	char duration[64] = "";

	if (text != NULL && f->type == OBJECT_TIME &&
	    json_integer_value(value) >= 120) {
		output_duration(duration, sizeof(duration),
				json_integer_value(value));
		text = talloc_asprintf_append(text, " (%s)", duration);
	}
	return text;
}

static json_t *object_view_rows(const struct cavactl *ctl,
				const struct kind *kind,
				const json_t *object)
{
	const json_t *origins = json_object_get(object, "origin");
	const struct object_field *f = kind->class->fields;
	json_t *rows = json_array();

	for (; f->name != NULL; f++) {
		const char *origin = json_string_value(
			json_object_get(origins, f->name));
		const json_t *value = json_object_get(object, f->name);
		char *text = ctl->format == OUTPUT_TEXT ?
			object_view_text(f, kind->class, value) :
			kind_text(NULL, kind->class, f->name, value);

		json_array_append_new(rows, json_pack(
			"{s:s, s:s, s:s}", "field", f->name,
			"value", text == NULL ? "" : text,
			"origin", origin == NULL ? "default" :
			strcmp(origin, "file") == 0 ? "cavad.conf" :
			origin));
		talloc_free(text);
	}
	return rows;
}

/* The object, the caller's; NULL and *ret. */
static json_t *object_get_json(const struct cavactl *ctl, const char *name,
			       enum cavactl_exit *ret)
{
	const struct kind *kind = object_kind(ctl);
	char *path = object_path(ctl, name);
	json_t *reply = NULL;
	json_t *object = NULL;

	*ret = path == NULL ? CAVACTL_REFUSED :
		cavactl_call(ctl, "GET", path, NULL, &reply);
	if (*ret == CAVACTL_OK) {
		object = json_object_get(reply, kind->plural);
		if (json_is_array(object)) {
			object = json_array_get(object, 0);
		}
		if (object == NULL) {
			output_error("cavad's answer has no %s in it",
				     kind->class->name);
			*ret = CAVACTL_REFUSED;
		}
		json_incref(object);
	}
	json_decref(reply);
	return object;
}

static enum cavactl_exit object_view(const struct cavactl *ctl,
				     const char **args)
{
	enum cavactl_exit ret = CAVACTL_OK;
	json_t *object = object_get_json(ctl, object_name(ctl, &args), &ret);
	json_t *rows = NULL;

	if (object == NULL) {
		return ret;
	}
	if (ctl->format == OUTPUT_JSON) {
		output_json(object);
	} else {
		rows = object_view_rows(ctl, object_kind(ctl), object);
		if (ctl->format == OUTPUT_CSV) {
			output_csv(rows, view_columns);
		} else {
			output_table(rows, view_columns);
		}
		json_decref(rows);
	}
	json_decref(object);
	return ret;
}

/* --- create, modify, reset, delete --- */

static const struct output_column created_columns[] = {
	{ "NAME", "id", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static enum cavactl_exit object_create(const struct cavactl *ctl,
				       const char **args)
{
	const struct kind *kind = object_kind(ctl);
	const char *name = object_name(ctl, &args);
	json_t *body = kind_body(ctl, kind);
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (body == NULL) {
		return CAVACTL_REFUSED;
	}
	if (json_object_set_new(body, kind->name_field,
				json_string(name)) != 0) {
		output_error("%s: not UTF-8", name);
		json_decref(body);
		return CAVACTL_REFUSED;
	}
	ret = cavactl_call(ctl, "POST", kind->path, body, &reply);
	if (ret == CAVACTL_OK && ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, reply, created_columns);
	} else if (ret == CAVACTL_OK) {
		object_print(ctl, name);
		printf(" is made, and in force.\n");
	}
	json_decref(reply);
	json_decref(body);
	return ret;
}

/* Takes body. */
static enum cavactl_exit object_put(const struct cavactl *ctl,
				    const char *name, json_t *body)
{
	char *path = object_path(ctl, name);
	json_t *reply = NULL;
	enum cavactl_exit ret = path == NULL ? CAVACTL_REFUSED :
		cavactl_call(ctl, "PUT", path, body, &reply);

	json_decref(reply);
	json_decref(body);
	return ret;
}

static enum cavactl_exit object_modify(const struct cavactl *ctl,
				       const char **args)
{
	const char *name = object_name(ctl, &args);
	const char *new_name = cavactl_option(ctl, "new_name");
	json_t *body = kind_body(ctl, object_kind(ctl));
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (body == NULL) {
		return CAVACTL_REFUSED;
	}
	if (new_name != NULL &&
	    json_object_set_new(body, "new_name", json_string(new_name)) != 0) {
		output_error("--new_name=%s: not UTF-8", new_name);
		json_decref(body);
		return CAVACTL_REFUSED;
	}
	if (json_object_size(body) == 0) {
		output_error("nothing to change: --FIELD=VALUE; cavactl %s "
			     "--help lists the fields", ctl->command->words);
		json_decref(body);
		return CAVACTL_REFUSED;
	}
	ret = object_put(ctl, name, body);
	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		object_print(ctl, name);
		printf(": changed, and in force.\n");
	}
	return ret;
}

static bool reset_field(const struct cavactl *ctl, const char *field,
			json_t *body)
{
	const struct object_class *class = ctl->command->fields;
	const char *names[FIELDS_MAX + 1] = { NULL };
	const char *near = NULL;
	size_t i = 0;

	for (i = 0; i < FIELDS_MAX && class->fields[i].name != NULL; i++) {
		names[i] = class->fields[i].name;
	}
	if (object_field(class, field) == NULL) {
		near = near_name(names, field);
		output_error("%s is no field of %s%s%s%s", field,
			     class->name, near == NULL ? "; cavactl " :
			     "; did you mean ", near == NULL ?
			     ctl->command->words : near,
			     near == NULL ? " --help lists them" : "?");
		return false;
	}
	json_object_set_new(body, field, json_null());
	return true;
}

/* Those that the database has, and that can do without. */
static enum cavactl_exit reset_all(const struct cavactl *ctl,
				   const char *name, json_t *body)
{
	enum cavactl_exit ret = CAVACTL_OK;
	json_t *object = object_get_json(ctl, name, &ret);
	const char *field = NULL;
	json_t *origin = NULL;

	json_object_foreach(json_object_get(object, "origin"), field,
			    origin) {
		const struct object_field *f = object_field(
			ctl->command->fields, field);
		bool needed = f != NULL && f->type == OBJECT_STR &&
			f->min > 0 && f->def[0] == '\0';

		if (!needed && json_is_string(origin) &&
		    strcmp(json_string_value(origin), "database") == 0) {
			json_object_set_new(body, field, json_null());
		}
	}
	json_decref(object);
	return ret;
}

static enum cavactl_exit object_reset(const struct cavactl *ctl,
				      const char **args)
{
	const char *name = object_name(ctl, &args);
	bool all = cavactl_flag(ctl, "all");
	json_t *body = json_object();
	enum cavactl_exit ret = CAVACTL_OK;

	if (all == (args[0] != NULL)) {
		output_error("either --all, or the fields to set back");
		json_decref(body);
		return CAVACTL_REFUSED;
	}
	for (; *args != NULL; args++) {
		if (!reset_field(ctl, *args, body)) {
			json_decref(body);
			return CAVACTL_REFUSED;
		}
	}
	if (all) {
		ret = reset_all(ctl, name, body);
	}
	if (ret != CAVACTL_OK) {
		json_decref(body);
		return ret;
	}
	ret = object_put(ctl, name, body);
	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		object_print(ctl, name);
		printf(": as cavad.conf, or else the default, has it.\n");
	}
	return ret;
}

static enum cavactl_exit object_delete(const struct cavactl *ctl,
				       const char **args)
{
	enum cavactl_exit ret = cavactl_delete(ctl, object_kind(ctl)->path,
					       args[0]);

	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		object_print(ctl, args[0]);
		printf(" is gone.\n");
	}
	return ret;
}

/* --- the commands --- */

static const struct cavactl_option reset_options[] = {
	{ "all", 'a', NULL, "each field that was changed" },
	{ NULL, '\0', NULL, NULL }
};

static const struct cavactl_option rename_options[] = {
	{ "new_name", '\0', "TEXT", "what it is called from now on" },
	{ NULL, '\0', NULL, NULL }
};

#define MODIFY_HELP "--FIELD=VALUE, in force at once"
#define VIEW_HELP "each field, and where its value comes from"
#define RESET_HELP "fields back to cavad.conf, or the default"

const struct cavactl_command commands_settings[] = {
	{ "settings view", "", 0, 0, VIEW_HELP, object_view,
	  .fields = &object_settings },
	{ "settings modify", "", 0, 0, MODIFY_HELP, object_modify,
	  .fields = &object_settings, .takes_fields = true,
	  .examples = "settings modify --scan_timeout=90 "
		      "--scan_size_maximum=2G" },
	{ "settings reset", "[FIELD...]", 0, FIELDS_MAX, RESET_HELP,
	  object_reset, .options = reset_options, .fields = &object_settings,
	  .examples = "settings reset scan_timeout" },
	{ "cee view", "", 0, 0, VIEW_HELP, object_view,
	  .fields = &object_cee },
	{ "cee modify", "", 0, 0, MODIFY_HELP, object_modify,
	  .fields = &object_cee, .takes_fields = true,
	  .examples = "cee modify --heartbeat_interval=20" },
	{ "cee reset", "[FIELD...]", 0, FIELDS_MAX, RESET_HELP,
	  object_reset, .options = reset_options, .fields = &object_cee,
	  .examples = "cee reset heartbeat_interval" },
	{ NULL }
};

const struct cavactl_command commands_server_objects[] = {
	{ "servers list", "", 0, 0, "what is set", object_list,
	  .fields = &object_server },
	{ "servers create", "NAME", 1, 1, "--FIELD=VALUE, in use at once",
	  object_create, .fields = &object_server, .takes_fields = true,
	  .examples = "servers create av1 --server_uri=cee://av1:12228/cee\n"
		      "servers create local --server_uri="
		      "clamd:/run/clamav/clamd.ctl" },
	{ "servers view", "SERVER", 1, 1, VIEW_HELP, object_view,
	  .fields = &object_server },
	{ "servers modify", "SERVER", 1, 1, MODIFY_HELP, object_modify,
	  .options = rename_options, .fields = &object_server,
	  .takes_fields = true,
	  .examples = "servers modify av1 --enabled=no" },
	{ "servers reset", "SERVER [FIELD...]", 1, FIELDS_MAX, RESET_HELP,
	  object_reset, .options = reset_options, .fields = &object_server,
	  .examples = "servers reset av1 enabled" },
	{ "servers delete", "SERVER", 1, 1, "its scans go to another one",
	  object_delete, .fields = &object_server,
	  .examples = "servers delete av1" },
	{ NULL }
};

const struct cavactl_command commands_filters[] = {
	{ "filters list", "", 0, 0, "one for each zone", object_list,
	  .fields = &object_filter },
	{ "filters view", "ZONE", 1, 1, VIEW_HELP, object_view,
	  .fields = &object_filter, .examples = "filters view System" },
	{ "filters modify", "ZONE", 1, 1, MODIFY_HELP, object_modify,
	  .fields = &object_filter, .takes_fields = true,
	  .examples = "filters modify System --scan_profile=strict "
		      "--file_extensions=iso,vmdk" },
	{ "filters reset", "ZONE [FIELD...]", 1, FIELDS_MAX, RESET_HELP,
	  object_reset, .options = reset_options, .fields = &object_filter,
	  .examples = "filters reset System --all" },
	{ NULL }
};

const struct cavactl_command commands_job_objects[] = {
	{ "jobs list", "", 0, 0, "what is set", object_list,
	  .fields = &object_job },
	{ "jobs create", "NAME", 1, 1, "--FIELD=VALUE", object_create,
	  .fields = &object_job, .takes_fields = true,
	  .examples = "jobs create weekly --schedule='every Friday at 22:00' "
		      "--impact=LOW" },
	{ "jobs view", "JOB", 1, 1, VIEW_HELP, object_view,
	  .fields = &object_job },
	{ "jobs modify", "JOB", 1, 1, MODIFY_HELP, object_modify,
	  .options = rename_options, .fields = &object_job,
	  .takes_fields = true,
	  .examples = "jobs modify weekly --paths_to_exclude=/srv/share/tmp" },
	{ "jobs reset", "JOB [FIELD...]", 1, FIELDS_MAX, RESET_HELP,
	  object_reset, .options = reset_options, .fields = &object_job,
	  .examples = "jobs reset weekly impact" },
	{ "jobs delete", "JOB", 1, 1, "its run is cancelled", object_delete,
	  .fields = &object_job, .examples = "jobs delete weekly" },
	{ NULL }
};
