/*
 * The table of commands: see command.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavactl/command.h"
#include "cavactl/kind.h"
#include "common/near.h"

#define NAMES_MAX 512

/* In the order of --help. */
static const struct cavactl_command *const tables[] = {
	commands_status, commands_settings, commands_servers,
	commands_server_objects, commands_probe, commands_filters,
	commands_zones, commands_events, commands_jobs, commands_job_objects,
	commands_reports, commands_scan, commands_explain,
	commands_selftest, commands_avvendor, commands_threats,
	commands_quarantine, commands_allow, commands_apply,
	commands_complete,
};

const struct cavactl_option command_options[] = {
	{ "socket", 's', "PATH",
	  "default: $CAVAD_API_SOCKET, " CAVACTL_SOCKET },
	{ "format", 'F', "text|json|csv", "for people, or for programs" },
	{ "watch", 'w', "[SECONDS]",
	  "again every 2 seconds, until q or ^C" },
	{ "version", 'V', NULL, "say the version" },
	{ "help", 'h', NULL, "this text, or that of the command" },
	{ NULL, '\0', NULL, NULL }
};

const struct cavactl_command *command_row(size_t i)
{
	size_t t = 0;

	for (t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		const struct cavactl_command *row = tables[t];

		for (; row->words != NULL; row++) {
			if (i-- == 0) {
				return row;
			}
		}
	}
	return NULL;
}

/* How many of words the row's are; 0: it is another */
static int command_match(const char *row, const char *const *words)
{
	int n = 0;

	while (words[n] != NULL) {
		size_t len = strcspn(row, " ");

		if (strlen(words[n]) != len ||
		    strncmp(row, words[n], len) != 0) {
			return 0;
		}
		n++;
		if (row[len] == '\0') {
			return n;
		}
		row += len + 1;
	}
	return 0;
}

const struct cavactl_command *command_find(const char *const *words,
					   int *used)
{
	const struct cavactl_command *found = NULL;
	const struct cavactl_command *row = NULL;
	size_t i = 0;

	*used = 0;
	for (i = 0; (row = command_row(i)) != NULL; i++) {
		int match = command_match(row->words, words);

		if (match > *used) {
			*used = match;
			found = row;
		}
	}
	return found;
}

/* What was meant, perhaps: the first two words, the first one, or a row that
 * begins with it. */
static const char *command_near(const char *const *words)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	const struct cavactl_command *row = NULL;
	const char *near = NULL;
	char said[128] = "";
	size_t n = 0;
	size_t i = 0;

	for (i = 0; n < NAMES_MAX && (row = command_row(i)) != NULL; i++) {
		if (row->help != NULL) {
			names[n++] = row->words;
		}
	}
	if (words[1] != NULL) {
		snprintf(said, sizeof(said), "%s %s", words[0], words[1]);
		near = near_name(names, said);
	}
	if (near == NULL) {
		near = near_name(names, words[0]);
	}
	for (i = 0; near == NULL && names[i] != NULL; i++) {
		if (strncmp(names[i], words[0], strlen(words[0])) == 0) {
			near = names[i];
		}
	}
	return near;
}

void command_unknown(const char *const *words)
{
	const char *near = command_near(words);

	if (near == NULL) {
		output_error("unknown command \"%s\"; cavactl --help lists "
			     "all", words[0]);
		return;
	}
	output_error("unknown command \"%s\"; did you mean \"%s\"? cavactl "
		     "--help lists all", words[0], near);
}

const struct cavactl_option *command_option(
	const struct cavactl_command *command, size_t i)
{
	const struct cavactl_option *o = NULL;
	size_t n = 0;

	o = command == NULL ? NULL : command->options;
	for (; o != NULL && o->name != NULL; o++) {
		if (i-- == 0) {
			return o;
		}
	}
	while (command != NULL && command->takes_fields &&
	       kind_option(command->fields, n) != NULL) {
		if (i-- == 0) {
			return kind_option(command->fields, n);
		}
		n++;
	}
	for (o = command_options; o->name != NULL; o++) {
		if (i-- == 0) {
			return o;
		}
	}
	return NULL;
}

void command_unknown_option(const struct cavactl_command *command,
			    const char *name)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	const struct cavactl_option *o = NULL;
	const char *words = command == NULL ? "" : command->words;
	const char *space = command == NULL ? "" : " ";
	const char *near = NULL;
	size_t i = 0;

	for (i = 0; i < NAMES_MAX &&
		    (o = command_option(command, i)) != NULL; i++) {
		names[i] = o->name;
	}
	near = near_name(names, name);
	if (near == NULL) {
		output_error("cavactl%s%s has no option --%s; cavactl%s%s "
			     "--help lists all", space, words, name, space,
			     words);
		return;
	}
	output_error("cavactl%s%s has no option --%s; did you mean --%s?",
		     space, words, name, near);
}

/* A line of --help: what it is about, and the text, wrapped, behind it. */
static void command_print_line(const char *usage, int width,
			       const char *help)
{
	int room = 80 - width - 3;
	int len = 0;

	if (strlen(usage) > (size_t)width) {
		printf("  %s\n", usage);
		usage = "";
	}
	while ((int)strlen(help) > room) {
		for (len = room; len > 0 && help[len] != ' '; len--) {
		}
		if (len == 0) {
			break;
		}
		printf("  %-*s %.*s\n", width, usage, len, help);
		usage = "";
		help += len + 1;
	}
	printf("  %-*s %s\n", width, usage, help);
}

static void command_print_option(const struct cavactl_option *o)
{
	char usage[64] = "";
	const char *optional = "";
	int len = 0;

	if (o->letter != '\0') {
		len = snprintf(usage, sizeof(usage), "-%c, ", o->letter);
	}
	len += snprintf(usage + len, sizeof(usage) - len, "--%s", o->name);
	if (o->argument != NULL) {
		optional = o->argument[0] == '[' ? "[=" : "=";
		snprintf(usage + len, sizeof(usage) - len, "%s%s", optional,
			 o->argument + (optional[0] == '['));
	}
	command_print_line(usage, 24, o->help);
}

static void command_print_usage(const struct cavactl_command *row)
{
	char usage[64] = "";

	if (row->help == NULL) {
		return;
	}
	snprintf(usage, sizeof(usage), "%s %s", row->words, row->arguments);
	command_print_line(usage, 26, row->help);
}

void command_print_all(void)
{
	const struct cavactl_command *row = NULL;
	const struct cavactl_option *o = NULL;
	size_t i = 0;

	printf("Usage: cavactl [OPTION...] COMMAND [OPTION...]\n\n"
	       "Commands:\n");
	for (i = 0; (row = command_row(i)) != NULL; i++) {
		command_print_usage(row);
	}
	printf("\nOptions:\n");
	for (o = command_options; o->name != NULL; o++) {
		command_print_option(o);
	}
	printf("\nMore about one: cavactl COMMAND --help.\n"
	       "Exit status: 0 done, and a scan said clean; 1 refused; 2 "
	       "infected; 3 no\nverdict; 4 cavad cannot be reached.\n");
}

static void command_print_examples(const char *text)
{
	printf("\nExamples:\n");
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		printf("  cavactl %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* Rows whose words go on where those of this one end. */
static void command_print_below(const struct cavactl_command *command)
{
	const struct cavactl_command *row = NULL;
	size_t len = strlen(command->words);
	bool first = true;
	size_t i = 0;

	for (i = 0; (row = command_row(i)) != NULL; i++) {
		if (strncmp(row->words, command->words, len) == 0 &&
		    row->words[len] == ' ') {
			printf("%s", first ? "\nSee also:\n" : "");
			command_print_usage(row);
			first = false;
		}
	}
}

/* Where they are options, or words of the command line. */
static void command_print_fields(const struct cavactl_command *command)
{
	const struct cavactl_option *o = NULL;
	bool words = strstr(command->arguments, "FIELD") != NULL;
	size_t i = 0;

	if (!command->takes_fields && !words) {
		return;
	}
	printf("\nFields:\n");
	for (i = 0; (o = kind_option(command->fields, i)) != NULL; i++) {
		if (words) {
			printf("  %s\n", o->name);
		} else {
			printf("  --%s=%s\n", o->name, o->argument);
		}
		kind_print_field(command->fields, i, "      ");
	}
}

void command_print(const struct cavactl_command *command)
{
	const struct cavactl_option *o = command->options;

	printf("Usage: cavactl %s%s%s%s\n\n%s\n\nOptions:\n", command->words,
	       command->arguments[0] == '\0' ? "" : " ", command->arguments,
	       command->takes_fields ? " --FIELD=VALUE..." : " [OPTION...]",
	       command->help);
	for (; o != NULL && o->name != NULL; o++) {
		command_print_option(o);
	}
	for (o = command_options; o->name != NULL; o++) {
		if (strcmp(o->name, "watch") != 0 || command->watch) {
			command_print_option(o);
		}
	}
	command_print_fields(command);
	if (command->examples != NULL) {
		command_print_examples(command->examples);
	}
	command_print_below(command);
}
