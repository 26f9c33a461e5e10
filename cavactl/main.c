/*
 * cavactl: asks cavad over its REST API.
 *
 * The words of the command come first, its options after them: which
 * options there are depends on the command. Those of every command may
 * stand anywhere.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "cavactl/command.h"
#include "cavactl/watch.h"

#define WORDS_MAX 8		/* of a command, and more */

static bool option_has_argument(const struct cavactl_option *o)
{
	return o->argument != NULL && o->argument[0] != '[';
}

/* Does the next word belong to this one, an option of every command? */
static bool option_takes_next(const char *word)
{
	const struct cavactl_option *o = command_options;

	for (; o->name != NULL; o++) {
		if (option_has_argument(o) &&
		    ((word[1] == o->letter && word[2] == '\0') ||
		     (word[1] == '-' && strcmp(word + 2, o->name) == 0))) {
			return true;
		}
	}
	return false;
}

/* The first words that are no options: the command is among them. */
static void find_words(char **argv, const char **words)
{
	int n = 0;

	for (argv++; *argv != NULL && n < WORDS_MAX; argv++) {
		if (strcmp(*argv, "--") == 0) {
			continue;
		}
		if ((*argv)[0] != '-' || (*argv)[1] == '\0') {
			words[n++] = *argv;
		} else if (option_takes_next(*argv) && argv[1] != NULL) {
			argv++;
		}
	}
}

/* --- the options of one command, for getopt_long() --- */

struct options {
	struct option *longs;	/* val: 256 + index */
	char *letters;		/* ":f:h" */
	size_t count;
};

static void options_letter(struct options *o,
			   const struct cavactl_option *row)
{
	if (row->letter != '\0') {
		o->letters = talloc_asprintf_append(
			o->letters, "%c%s", row->letter,
			row->argument == NULL ? "" :
			row->argument[0] == '[' ? "::" : ":");
	}
}

static bool options_make(TALLOC_CTX *mem_ctx,
			 const struct cavactl_command *command,
			 struct options *o)
{
	const struct cavactl_option *row = NULL;
	size_t i = 0;

	while (command_option(command, o->count) != NULL) {
		o->count++;
	}
	o->longs = talloc_zero_array(mem_ctx, struct option, o->count + 1);
	o->letters = talloc_strdup(mem_ctx, ":");
	if (o->longs == NULL || o->letters == NULL) {
		return false;
	}
	for (i = 0; i < o->count; i++) {
		row = command_option(command, i);
		o->longs[i] = (struct option){
			.name = row->name,
			.has_arg = row->argument == NULL ? no_argument :
				   row->argument[0] == '[' ?
				   optional_argument : required_argument,
			.val = 256 + (int)i,
		};
		options_letter(o, row);
	}
	return o->letters != NULL;
}

/* What getopt_long() did not like is said. */
static void options_error(const struct cavactl_command *command, int got,
			  const char *word)
{
	if (got == ':') {
		output_error("%s: its argument is missing", word);
	} else if (optopt >= 256) {
		output_error("%s: this option takes no argument", word);
	} else if (optopt != 0) {
		output_error("unknown option -%c; see cavactl%s%s --help",
			     optopt, command == NULL ? "" : " ",
			     command == NULL ? "" : command->words);
	} else {
		char name[64] = "";

		snprintf(name, sizeof(name), "%.*s",
			 (int)strcspn(word + 2, "="), word + 2);
		command_unknown_option(command, name);
	}
}

static const struct cavactl_option *options_row(
	const struct cavactl_command *command, int got)
{
	const struct cavactl_option *row = NULL;
	size_t i = 0;

	if (got >= 256) {
		return command_option(command, (size_t)got - 256);
	}
	for (i = 0; (row = command_option(command, i)) != NULL; i++) {
		if (row->letter == got) {
			return row;
		}
	}
	return NULL;
}

/* argv is permuted: what is left begins at optind. */
static bool options_parse(struct cavactl *ctl, int argc, char **argv)
{
	struct options o = { .count = 0 };
	int got = 0;

	ctl->values = talloc_zero_array(ctl, struct cavactl_value, argc);
	if (ctl->values == NULL || !options_make(ctl, ctl->command, &o)) {
		output_error("out of memory");
		return false;
	}
	opterr = 0;
	while ((got = getopt_long(argc, argv, o.letters, o.longs,
				  NULL)) != -1) {
		if (got == '?' && optopt == '?') {
			got = 'h';
		}
		if (got == '?' || got == ':') {
			options_error(ctl->command, got, argv[optind - 1]);
			return false;
		}
		ctl->values[ctl->value_count++] = (struct cavactl_value){
			.option = options_row(ctl->command, got),
			.text = optarg,
		};
	}
	return true;
}

bool cavactl_flag(const struct cavactl *ctl, const char *name)
{
	size_t i = 0;

	for (i = 0; i < ctl->value_count; i++) {
		if (strcmp(ctl->values[i].option->name, name) == 0) {
			return true;
		}
	}
	return false;
}

const char *cavactl_option(const struct cavactl *ctl, const char *name)
{
	const char *text = NULL;
	size_t i = 0;

	for (i = 0; i < ctl->value_count; i++) {
		if (strcmp(ctl->values[i].option->name, name) == 0) {
			text = ctl->values[i].text;
		}
	}
	return text;
}

bool cavactl_number(const struct cavactl *ctl, const char *name,
		    long long min, long long max, long long *value)
{
	const char *text = cavactl_option(ctl, name);
	long long number = 0;
	char *end = NULL;

	if (text == NULL) {
		return true;
	}
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < min ||
	    number > max) {
		output_error("--%s=%s: a number from %lld to %lld is "
			     "accepted", name, text, min, max);
		return false;
	}
	*value = number;
	return true;
}

/* --- what was asked for --- */

static bool set_format(struct cavactl *ctl)
{
	static const char *const names[] = {
		[OUTPUT_TEXT] = "text", [OUTPUT_JSON] = "json",
		[OUTPUT_CSV] = "csv"
	};
	const char *text = cavactl_option(ctl, "format");
	int i = 0;

	for (i = 0; i < 3; i++) {
		if (text == NULL || strcmp(text, names[i]) == 0) {
			ctl->format = (enum output_format)i;
			return true;
		}
	}
	output_error("--format=%s: text, json and csv are accepted", text);
	return false;
}

static enum cavactl_exit run_command(struct cavactl *ctl, const char **args)
{
	const struct cavactl_command *c = ctl->command;
	const char *env = getenv("CAVAD_API_SOCKET");
	int count = 0;

	while (args[count] != NULL) {
		count++;
	}
	if (count < c->least || count > c->most) {
		fprintf(stderr, "usage: cavactl %s%s%s\n", c->words,
			c->arguments[0] == '\0' ? "" : " ", c->arguments);
		return CAVACTL_REFUSED;
	}
	ctl->socket_path = cavactl_option(ctl, "socket");
	if (ctl->socket_path == NULL) {
		ctl->socket_path = env != NULL ? env : CAVACTL_SOCKET;
	}
	if (!set_format(ctl)) {
		return CAVACTL_REFUSED;
	}
	if (!cavactl_flag(ctl, "watch")) {
		return c->fn(ctl, args);
	}
	if (!c->watch) {
		output_error("cavactl %s cannot be watched", c->words);
		return CAVACTL_REFUSED;
	}
	return watch(ctl, args);
}

static enum cavactl_exit run(struct cavactl *ctl, int argc, char **argv)
{
	const char *words[WORDS_MAX + 1] = { NULL };
	int used = 0;

	find_words(argv, words);
	if (words[0] != NULL) {
		ctl->command = command_find(words, &used);
		if (ctl->command == NULL) {
			command_unknown(words);
			return CAVACTL_REFUSED;
		}
	}
	if (!options_parse(ctl, argc, argv)) {
		return CAVACTL_REFUSED;
	}
	if (cavactl_flag(ctl, "version")) {
		printf("cavactl %s\n", CAVA_VERSION);
		return CAVACTL_OK;
	}
	if (ctl->command == NULL) {
		command_print_all();
		return cavactl_flag(ctl, "help") ? CAVACTL_OK :
			CAVACTL_REFUSED;
	}
	if (cavactl_flag(ctl, "help")) {
		command_print(ctl->command);
		return CAVACTL_OK;
	}
	return run_command(ctl, (const char **)argv + optind + used);
}

int main(int argc, char **argv)
{
	struct cavactl *ctl = NULL;
	enum cavactl_exit code = CAVACTL_REFUSED;
	bool ended = false;

	(void)setlocale(LC_CTYPE, "");
	ctl = talloc_zero(NULL, struct cavactl);
	if (ctl == NULL) {
		output_error("out of memory");
		return CAVACTL_REFUSED;
	}
	ctl->ended = &ended;
	code = run(ctl, argc, argv);
	talloc_free(ctl);
	return (int)code;
}
