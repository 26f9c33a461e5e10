/*
 * The way of a command to cavad, and of the answer to the reader.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "cavactl/cavactl.h"
#include "cavactl/unreachable.h"

static void call_error(const json_t *reply, long code)
{
	const json_t *e = NULL;
	size_t i = 0;
	bool said = false;

	json_array_foreach(json_object_get(reply, "errors"), i, e) {
		const char *text = json_string_value(json_object_get(
			e, "message"));

		if (text != NULL) {
			output_error("%s", text);
			said = true;
		}
	}
	if (!said) {
		output_error("cavad answered %ld", code);
	}
}

enum cavactl_exit cavactl_call(const struct cavactl *ctl, const char *method,
			       const char *path, json_t *body,
			       json_t **reply)
{
	const char *why = NULL;
	long code = http_call(ctl->socket_path, method, path, body, reply,
			      &why);

	if (code == 0) {
		unreachable_explain(ctl->socket_path, why);
		return CAVACTL_UNREACHABLE;
	}
	if (code >= 300) {
		call_error(*reply, code);
		if (code == 403) {
			unreachable_stranger();
		}
		json_decref(*reply);
		*reply = NULL;
		return CAVACTL_REFUSED;
	}
	return CAVACTL_OK;
}

enum cavactl_exit cavactl_delete(const struct cavactl *ctl,
				 const char *base, const char *name)
{
	char *escaped = http_escape(name);
	char *path = NULL;
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (escaped == NULL ||
	    asprintf(&path, "%s/%s", base, escaped) == -1) {
		output_error("out of memory");
		free(escaped);
		return CAVACTL_REFUSED;
	}
	ret = cavactl_call(ctl, "DELETE", path, NULL, &reply);
	json_decref(reply);
	free(path);
	free(escaped);
	return ret;
}

enum cavactl_exit cavactl_list(const struct cavactl *ctl, const char *path,
			       const char *member, json_t **reply)
{
	enum cavactl_exit ret = cavactl_call(ctl, "GET", path, NULL, reply);
	json_t *page = NULL;

	while (ret == CAVACTL_OK && strstr(path, "limit=") == NULL &&
	       json_is_string(json_object_get(*reply, "resume"))) {
		char *token = http_escape(json_string_value(
			json_object_get(*reply, "resume")));
		char *next = token == NULL ? NULL : talloc_asprintf(
			ctl, "%.*s?resume=%s", (int)strcspn(path, "?"), path,
			token);

		free(token);
		ret = next == NULL ? CAVACTL_REFUSED :
			cavactl_call(ctl, "GET", next, NULL, &page);
		talloc_free(next);
		if (ret != CAVACTL_OK) {
			json_decref(*reply);
			*reply = NULL;
			break;
		}
		json_array_extend(json_object_get(*reply, member),
				  json_object_get(page, member));
		json_object_set(*reply, "resume",
				json_object_get(page, "resume"));
		json_decref(page);
	}
	return ret;
}

enum cavactl_exit cavactl_show(const struct cavactl *ctl, const char *path,
			       const char *member,
			       const struct output_column *columns,
			       void (*prepare)(json_t *row),
			       const char *none)
{
	json_t *reply = NULL;
	json_t *row = NULL;
	const json_t *rows = NULL;
	size_t i = 0;
	enum cavactl_exit ret = cavactl_list(ctl, path, member, &reply);

	if (ret != CAVACTL_OK) {
		return ret;
	}
	rows = json_object_get(reply, member);
	if (ctl->format != OUTPUT_JSON && prepare != NULL) {
		json_array_foreach(rows, i, row) {
			prepare(row);
		}
	}
	if (ctl->format == OUTPUT_JSON) {
		output_json(reply);
	} else if (ctl->format == OUTPUT_CSV) {
		output_csv(rows, columns);
	} else if (json_array_size(rows) == 0 && none != NULL) {
		printf("%s\n", none);
	} else {
		output_table(rows, columns);
	}
	json_decref(reply);
	return CAVACTL_OK;
}
