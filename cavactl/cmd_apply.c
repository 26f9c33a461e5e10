/*
 * cavactl apply, export: all that is set, as one document. What a document
 * means, api_apply.c of cavad says; here its difference is shown.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cavactl/kind.h"

#define APPLY_PATH "/platform/11/avscan/apply"

static const struct output_column apply_columns[] = {
	{ "OBJECT", "object", OUT_TEXT },
	{ "NAME", "name", OUT_TEXT },
	{ "CHANGE", "change", OUT_TEXT },
	{ "FIELD", "field", OUT_TEXT },
	{ "FROM", "from_text", OUT_TEXT },
	{ "TO", "to_text", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const struct output_column export_columns[] = {
	{ "OBJECT", "object", OUT_TEXT },
	{ "NAME", "name", OUT_TEXT },
	{ "FIELD", "field", OUT_TEXT },
	{ "VALUE", "value", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static const char *apply_string(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text == NULL ? "" : text;
}

/* --- the difference --- */

#define CHANGES 4

static const struct {
	const char *change;	/* of the API */
	const char *done;
} diff_done[CHANGES] = {
	{ "create", "created" },
	{ "modify", "modified" },
	{ "reset", "reset" },
	{ "remove", "removed" },
};

/* "  - enabled = yes" in red, or nothing when the value is not there. */
static void diff_line(char sign, const json_t *row, const char *which)
{
	const char *field = apply_string(row, "field");
	bool colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
	char *text = NULL;

	if (json_object_get(row, which) == NULL ||
	    json_is_null(json_object_get(row, which)) || field[0] == '\0') {
		return;
	}
	text = kind_text(NULL, object_class_find(apply_string(row, "object")),
			 field, json_object_get(row, which));
	printf("%s  %c ", !colour ? "" : sign == '+' ? "\033[32m" :
	       "\033[31m", sign);
	output_text(stdout, field);
	printf(" = ");
	output_text(stdout, text == NULL ? "" : text);
	printf("%s\n", colour ? "\033[0m" : "");
	talloc_free(text);
}

static bool diff_same_object(const json_t *a, const json_t *b)
{
	return strcmp(apply_string(a, "object"),
		      apply_string(b, "object")) == 0 &&
		strcmp(apply_string(a, "name"), apply_string(b, "name")) == 0;
}

/* "remove server spare", "reset filter System (to the defaults)" */
static void diff_head(const json_t *row)
{
	const char *change = apply_string(row, "change");
	const char *name = apply_string(row, "name");

	output_text(stdout, change);
	printf(" ");
	output_text(stdout, apply_string(row, "object"));
	printf("%s", name[0] == '\0' ? "" : " ");
	output_text(stdout, name);
	printf("%s\n", strcmp(change, "reset") == 0 ? " (to the defaults)" :
	       strcmp(change, "remove") == 0 ? " (the document does not "
	       "list it)" : "");
}

/* "1 created, 2 removed": what is to be, or was, done. */
static void diff_sum(const unsigned int *counts, bool dry)
{
	const char *between = "";
	size_t i = 0;

	printf("%s", dry ? "To be done: " : "Done: ");
	for (i = 0; i < CHANGES; i++) {
		if (counts[i] > 0) {
			printf("%s%u %s", between, counts[i],
			       diff_done[i].done);
			between = ", ";
		}
	}
	printf(".\n");
}

static void diff_print(const json_t *changes, bool dry)
{
	unsigned int counts[CHANGES] = { 0 };
	const json_t *before = NULL;
	const json_t *row = NULL;
	size_t i = 0;
	size_t k = 0;

	json_array_foreach(changes, i, row) {
		bool first = before == NULL || !diff_same_object(before, row);

		if (first) {
			diff_head(row);
		}
		for (k = 0; first && k < CHANGES; k++) {
			counts[k] += strcmp(apply_string(row, "change"),
					    diff_done[k].change) == 0;
		}
		diff_line('-', row, "from");
		diff_line('+', row, "to");
		before = row;
	}
	if (before == NULL) {
		printf("Nothing to do.\n");
		return;
	}
	diff_sum(counts, dry);
}

static void apply_print(const struct cavactl *ctl, json_t *reply, bool dry)
{
	const json_t *changes = json_object_get(reply, "changes");
	json_t *row = NULL;
	size_t i = 0;

	if (ctl->format == OUTPUT_JSON) {
		output_json(reply);
		return;
	}
	if (ctl->format == OUTPUT_TEXT) {
		diff_print(changes, dry);
		return;
	}
	json_array_foreach(changes, i, row) {
		static const char *const sides[] = { "from", "to" };
		size_t s = 0;

		for (s = 0; s < 2; s++) {
			char *text = kind_text(
				NULL, object_class_find(
					apply_string(row, "object")),
				apply_string(row, "field"),
				json_object_get(row, sides[s]));

			json_object_set_new(row, s == 0 ? "from_text" :
					    "to_text", json_string(
						    text == NULL ? "" : text));
			talloc_free(text);
		}
	}
	output_csv(changes, apply_columns);
}

/* --- apply --- */

/* NULL: it could not be read, which has been said. */
static json_t *apply_read(const char *name)
{
	bool standard = strcmp(name, "-") == 0;
	FILE *file = standard ? stdin : fopen(name, "re");
	json_error_t error;
	json_t *document = NULL;

	if (file == NULL) {
		output_error("%s: %s", name, strerror(errno));
		return NULL;
	}
	document = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
	if (document == NULL) {
		output_error("%s:%d: not JSON: %s", name, error.line,
			     error.text);
	}
	if (!standard) {
		fclose(file);
	}
	return document;
}

static enum cavactl_exit apply_call(const struct cavactl *ctl,
				    json_t *document, bool dry,
				    json_t **reply)
{
	return cavactl_call(ctl, "POST", dry ? APPLY_PATH "?dry_run=true" :
			    APPLY_PATH, document, reply);
}

/* The difference is shown; true when a person wants it made. */
static bool apply_wanted(const struct cavactl *ctl, json_t *document,
			 enum cavactl_exit *ret)
{
	json_t *reply = NULL;
	char answer[16] = "";
	size_t changes = 0;

	*ret = apply_call(ctl, document, true, &reply);
	if (*ret != CAVACTL_OK) {
		return false;
	}
	apply_print(ctl, reply, true);
	changes = json_array_size(json_object_get(reply, "changes"));
	json_decref(reply);
	if (changes == 0) {
		return false;
	}
	printf("Make it so? [y/N] ");
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) == NULL ||
	    (answer[0] != 'y' && answer[0] != 'Y')) {
		printf("Nothing is changed.\n");
		*ret = CAVACTL_REFUSED;
		return false;
	}
	return true;
}

static enum cavactl_exit apply(const struct cavactl *ctl, const char **args)
{
	const char *name = cavactl_option(ctl, "file");
	bool dry = cavactl_flag(ctl, "dry-run");
	bool asks = !dry && !cavactl_flag(ctl, "yes") &&
		ctl->format == OUTPUT_TEXT && isatty(STDIN_FILENO) &&
		isatty(STDOUT_FILENO);
	json_t *document = NULL;
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_REFUSED;

	(void)args;
	if (name == NULL) {
		output_error("--file=FILE is missing: what cavactl export "
			     "prints, or - for standard input");
		return CAVACTL_REFUSED;
	}
	document = apply_read(name);
	if (document == NULL) {
		return CAVACTL_REFUSED;
	}
	if (asks && !apply_wanted(ctl, document, &ret)) {
		json_decref(document);
		return ret;
	}
	ret = apply_call(ctl, document, dry, &reply);
	if (ret == CAVACTL_OK && asks) {
		printf("Done.\n");
	} else if (ret == CAVACTL_OK) {
		apply_print(ctl, reply, dry);
	}
	json_decref(reply);
	json_decref(document);
	return ret;
}

/* --- export --- */

static void export_object(json_t *rows, const char *part,
			  const json_t *object)
{
	const char *field = NULL;
	json_t *value = NULL;
	const char *name = NULL;
	const struct kind *kind = NULL;
	const struct object_class *class = NULL;
	unsigned int i = 0;

	for (i = 0; (class = object_class(i)) != NULL; i++) {
		kind = kind_of(class);
		if (strcmp(kind->plural, part) == 0) {
			break;
		}
	}
	name = class == NULL || kind->name_field == NULL ? "" :
		apply_string(object, kind->name_field);
	json_object_foreach((json_t *)object, field, value) {
		char *text = kind_text(NULL, class, field, value);

		if (class != NULL && object_field(class, field) != NULL) {
			json_array_append_new(rows, json_pack(
				"{s:s, s:s, s:s, s:s}", "object", class->name,
				"name", name, "field", field,
				"value", text == NULL ? "" : text));
		}
		talloc_free(text);
	}
}

static void export_csv(const json_t *reply)
{
	json_t *rows = json_array();
	const char *part = NULL;
	json_t *value = NULL;
	const json_t *object = NULL;
	size_t i = 0;

	json_object_foreach((json_t *)reply, part, value) {
		if (json_is_object(value)) {
			export_object(rows, part, value);
		}
		json_array_foreach(value, i, object) {
			export_object(rows, part, object);
		}
	}
	output_csv(rows, export_columns);
	json_decref(rows);
}

/* In text as well it is JSON: that is what apply takes. */
static enum cavactl_exit export(const struct cavactl *ctl, const char **args)
{
	json_t *reply = NULL;
	enum cavactl_exit ret = cavactl_call(
		ctl, "GET", "/platform/11/avscan/export", NULL, &reply);

	(void)args;
	if (ret == CAVACTL_OK && ctl->format == OUTPUT_CSV) {
		export_csv(reply);
	} else if (ret == CAVACTL_OK) {
		output_json(reply);
	}
	json_decref(reply);
	return ret;
}

static const struct cavactl_option apply_options[] = {
	{ "file", 'f', "FILE", "the document; - is standard input" },
	{ "dry-run", 'n', NULL, "show the difference, change nothing" },
	{ "yes", 'y', NULL, "do not ask" },
	{ NULL, '\0', NULL, NULL }
};

const struct cavactl_command commands_apply[] = {
	{ "apply", "", 0, 0, "make all as a document says, or nothing", apply,
	  .options = apply_options,
	  .examples = "apply -f cava.json --dry-run\n"
		      "apply -f cava.json --yes" },
	{ "export", "", 0, 0, "all that is set, as apply takes it", export,
	  .examples = "export > cava.json" },
	{ NULL }
};
