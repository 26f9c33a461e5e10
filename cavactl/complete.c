/*
 * cavactl complete: what may come next, for a shell's completion. Hidden.
 *
 * The words of the line follow, the last one being what is typed just now,
 * perhaps nothing. Answers are a line each; ":files" stands for the names
 * of files. bash hands over --option=value in three words: then the value is
 * completed alone.
 *
 * What an argument may be is told by its name in the tables: "text|json" by
 * itself, SERVER by asking cavad. No error shows: there is nothing then.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "cavactl/command.h"
#include "cavactl/kind.h"

#define COMPLETE_WORDS 64
#define REPORTS_PATH "/platform/11/antivirus/reports/scans?limit=100"

/* Where the names of things are. An ID is that of what the command shows. */
static const struct {
	const char *argument;
	const char *command;	/* its first word; NULL = any */
	const char *path;
	const char *list;
	const char *member;
} complete_names[] = {
	{ "SERVER", NULL, "/platform/11/avscan/nodes/local/status",
	  "nodes", "server_name" },
	{ "JOB", NULL, "/platform/11/avscan/schedules", "schedules",
	  "job_name" },
	{ "ZONE", NULL, "/platform/11/avscan/zones", "zones", "zone_name" },
	{ "RUN", NULL, "/platform/10/job/jobs", "jobs", "id" },
	{ "ACCOUNT", NULL, "/platform/11/avscan/avvendor", "avvendor",
	  "account" },
	{ "REPORT", NULL, REPORTS_PATH, "reports", "id" },
	{ "ID", "events", "/platform/11/avscan/events?limit=100", "events",
	  "id" },
	{ "ID", "reports", REPORTS_PATH, "reports", "id" },
	{ "ID", "threats", "/platform/3/antivirus/reports/threats?limit=100",
	  "reports", "id" },
	{ "ID", "allow", "/platform/11/avscan/allow", "allow", "id" },
};

static void complete_word(const char *word, const char *start)
{
	if (strncmp(word, start, strlen(start)) == 0) {
		output_text(stdout, word);
		printf("\n");
	}
}

static void complete_value(const json_t *value, const char *start)
{
	char number[32] = "";

	if (json_is_string(value)) {
		complete_word(json_string_value(value), start);
	} else if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%lld",
			 (long long)json_integer_value(value));
		complete_word(number, start);
	}
}

static void complete_from_cavad(const struct cavactl *ctl, size_t i,
				const char *start)
{
	const char *why = NULL;
	json_t *reply = NULL;
	const json_t *list = NULL;
	const json_t *row = NULL;
	size_t k = 0;

	if (http_call(ctl->socket_path, "GET", complete_names[i].path, NULL,
		      &reply, &why) == 200) {
		list = json_object_get(reply, complete_names[i].list);
		if (strcmp(complete_names[i].list, "nodes") == 0) {
			list = json_object_get(json_object_get(
				json_array_get(list, 0), "status"),
				"server_status");
		}
	}
	json_array_foreach(list, k, row) {
		complete_value(json_object_get(row,
					       complete_names[i].member),
			       start);
	}
	json_decref(reply);
}

static bool complete_is_of(const char *first,
			   const struct cavactl_command *command)
{
	return first == NULL ||
		(command != NULL && strncmp(command->words, first,
					    strlen(first)) == 0);
}

/* What a word of the tables stands for: SERVER, FIELD. */
static void complete_choice(const struct cavactl *ctl,
			    const struct cavactl_command *command,
			    const char *word, const char *start)
{
	const struct cavactl_option *o = NULL;
	size_t i = 0;

	if (strcmp(word, "PATH") == 0 || strcmp(word, "FILE") == 0) {
		printf(":files\n");
		return;
	}
	if (strcmp(word, "FIELD") == 0 && command != NULL) {
		for (; (o = kind_option(command->fields, i)) != NULL; i++) {
			complete_word(o->name, start);
		}
		return;
	}
	for (i = 0; i < sizeof(complete_names) / sizeof(complete_names[0]);
	     i++) {
		if (strcmp(complete_names[i].argument, word) == 0 &&
		    complete_is_of(complete_names[i].command, command)) {
			complete_from_cavad(ctl, i, start);
			return;
		}
	}
}

/* Of an option: "yes|no", or what it stands for. */
static void complete_value_of(const struct cavactl *ctl,
			      const struct cavactl_option *o,
			      const char *start)
{
	const char *p = o->argument;
	size_t len = 0;

	if (strchr(p, '|') == NULL) {
		complete_choice(ctl, NULL, p, start);
		return;
	}
	for (; *p != '\0'; p += len + (p[len] == '|')) {
		char word[64] = "";

		len = strcspn(p, "|");
		snprintf(word, sizeof(word), "%.*s", (int)len, p);
		complete_word(word, start);
	}
}

/*
 * Argument `nth` of what the tables say: "SERVER [FIELD...]", "JOB|RUN". The
 * last one may stand for more.
 */
static void complete_argument(const struct cavactl *ctl,
			      const struct cavactl_command *command,
			      const char *arguments, int nth,
			      const char *start)
{
	const char *next = strchr(arguments, ' ');
	char *text = NULL;
	char *rest = NULL;
	char *word = NULL;

	for (; nth > 0 && next != NULL; nth--) {
		arguments = next + 1;
		next = strchr(arguments, ' ');
	}
	arguments += arguments[0] == '[';
	text = talloc_strndup(ctl, arguments, strcspn(arguments, " .]"));
	for (word = text == NULL ? NULL : strtok_r(text, "|", &rest);
	     word != NULL; word = strtok_r(NULL, "|", &rest)) {
		complete_choice(ctl, command, word, start);
	}
}

static void complete_option_names(const struct cavactl_command *command,
				  const char *start)
{
	const struct cavactl_option *o = NULL;
	size_t i = 0;

	for (i = 0; (o = command_option(command, i)) != NULL; i++) {
		char word[128] = "";

		if (command != NULL && !command->watch &&
		    strcmp(o->name, "watch") == 0) {
			continue;
		}
		snprintf(word, sizeof(word), "--%s%s", o->name,
			 o->argument == NULL || o->argument[0] == '[' ?
			 "" : "=");
		complete_word(word, start);
	}
}

/* Next words of rows that begin with these. */
static void complete_commands(const char *const *words, int count,
			      const char *start)
{
	const struct cavactl_command *row = NULL;
	char last[64] = "";
	size_t i = 0;

	for (i = 0; (row = command_row(i)) != NULL; i++) {
		const char *p = row->words;
		char word[64] = "";
		int n = 0;

		for (n = 0; n < count && p[0] != '\0'; n++) {
			size_t len = strcspn(p, " ");

			if (strlen(words[n]) != len ||
			    strncmp(p, words[n], len) != 0) {
				break;
			}
			p += len + (p[len] == ' ');
		}
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(p, " "), p);
		if (n == count && word[0] != '\0' && row->help != NULL &&
		    strcmp(word, last) != 0) {
			complete_word(word, start);
			strcpy(last, word);
		}
	}
}

/* "--name" or "-x", then its argument */
static const struct cavactl_option *complete_find_option(
	const struct cavactl_command *command, const char *word)
{
	const struct cavactl_option *o = NULL;
	size_t len = strcspn(word, "=");
	size_t i = 0;

	for (i = 0; (o = command_option(command, i)) != NULL; i++) {
		if ((word[1] == o->letter && word[2] == '\0') ||
		    (word[1] == '-' && strlen(o->name) == len - 2 &&
		     strncmp(word + 2, o->name, len - 2) == 0)) {
			return o;
		}
	}
	return NULL;
}

static void complete_option(const struct cavactl *ctl,
			    const struct cavactl_command *command,
			    const char *word)
{
	const struct cavactl_option *o = complete_find_option(command, word);
	const char *equal = strchr(word, '=');
	char *text = NULL;
	size_t len = 0;
	FILE *memory = NULL;
	FILE *const out = stdout;
	char *p = NULL;

	if (equal == NULL) {
		complete_option_names(command, word);
		return;
	}
	if (o == NULL || o->argument == NULL ||
	    (memory = open_memstream(&text, &len)) == NULL) {
		return;
	}
	stdout = memory;
	complete_value_of(ctl, o, equal + 1);
	stdout = out;
	fclose(memory);
	for (p = strtok(text, "\n"); p != NULL; p = strtok(NULL, "\n")) {
		printf("%.*s%s\n", (int)(equal + 1 - word), word, p);
	}
	free(text);
}

/*
 * What is typed after words that are done. Those that are options, and their
 * arguments, are passed over.
 */
static enum cavactl_exit complete_line(const struct cavactl *ctl,
				       const char **line, int count)
{
	const char *words[COMPLETE_WORDS + 1] = { NULL };
	const struct cavactl_command *command = NULL;
	const struct cavactl_option *o = NULL;
	const char *start = line[count - 1];
	int n = 0;
	int used = 0;
	int i = 0;

	for (i = 0; i + 1 < count; i++) {
		command = command_find(words, &used);
		o = line[i][0] != '-' ? NULL :
			complete_find_option(command, line[i]);
		if (line[i][0] != '-') {
			words[n++] = line[i];
		} else if (o != NULL && o->argument != NULL &&
			   o->argument[0] != '[' &&
			   strchr(line[i], '=') == NULL) {
			if (i + 2 == count) {
				complete_value_of(ctl, o, start);
				return CAVACTL_OK;
			}
			i++;
		}
	}
	command = command_find(words, &used);
	if (start[0] == '-') {
		complete_option(ctl, command, start);
		return CAVACTL_OK;
	}
	complete_commands(words, n, start);
	if (command != NULL && n - used < command->most) {
		complete_argument(ctl, command, command->arguments,
				  n - used, start);
	}
	return CAVACTL_OK;
}

/* "--format" "=" "te" become one word. */
static enum cavactl_exit complete(const struct cavactl *ctl,
				  const char **args)
{
	const char *line[COMPLETE_WORDS] = { NULL };
	char *joined = NULL;
	int count = 0;

	for (; *args != NULL && count < COMPLETE_WORDS; args++) {
		if (count > 0 && strcmp(*args, "=") == 0 &&
		    strncmp(line[count - 1], "--", 2) == 0) {
			joined = talloc_asprintf(
				ctl, "%s=%s", line[count - 1],
				args[1] == NULL ? "" : args[1]);
			if (joined == NULL) {
				return CAVACTL_REFUSED;
			}
			line[count - 1] = joined;
			args += args[1] != NULL;
		} else {
			line[count++] = *args;
		}
	}
	return count == 0 ? CAVACTL_OK : complete_line(ctl, line, count);
}

const struct cavactl_command commands_complete[] = {
	{ "complete", "WORD...", 0, COMPLETE_WORDS, NULL, complete,
	  .watch = false },
	{ NULL }
};
