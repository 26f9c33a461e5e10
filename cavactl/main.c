/*
 * cavactl: asks cavad over its REST API. Commands are rows.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavactl/cavactl.h"
#include "common/near.h"
#include "common/sizing.h"

#define CAVACTL_SOCKET "/run/cavad/api.sock"
#define CAVACTL_ARGS_ANY 1000000

static const struct {
	const char *words;	/* one or two */
	const char *arguments;
	int least, most;
	const char *help;
	enum cavactl_exit (*fn)(const struct cavactl *ctl, const char **args);
} commands[] = {
	{ "status", "", 0, 0,
	  "servers, queues, counters, and what is wrong", cmd_status },
	{ "servers", "", 0, 0,
	  "antivirus servers: state, load, round-trip times",
	  cmd_servers },
	{ "servers advise", "", 0, 0,
	  "how many servers a cluster of --nodes wants",
	  cmd_servers_advise },
	{ "server probe", "NAME", 1, 1,
	  "ask it now; show the bytes on the wire", cmd_probe },
	{ "zones", "", 0, 0,
	  "zones, their shares, and the profile of each", cmd_zones },
	{ "zones add", "ZONE", 1, 1,
	  "one with the default filter, before a share has it", cmd_zones_add },
	{ "zones remove", "ZONE", 1, 1,
	  "one that no share uses any more", cmd_zones_remove },
	{ "events", "", 0, 0,
	  "the last hundred things that you should know", cmd_events },
	{ "events before", "ID", 1, 1,
	  "the hundred before that one", cmd_events_before },
	{ "events view", "ID", 1, 1,
	  "all there is to know of one", cmd_events_view },
	{ "jobs", "", 0, 0,
	  "jobs, and when they run next", cmd_jobs },
	{ "jobs runs", "", 0, 0,
	  "the last hundred runs, and how far they are", cmd_jobs_runs },
	{ "jobs view", "RUN", 1, 1,
	  "all there is to know of a run", cmd_jobs_view },
	{ "jobs start", "JOB", 1, 1,
	  "a run of it now; --force: of current files, too", cmd_jobs_start },
	{ "jobs pause", "RUN", 1, 1,
	  "until it is resumed, over a restart too", cmd_jobs_pause },
	{ "jobs resume", "RUN", 1, 1,
	  "from where it stood", cmd_jobs_resume },
	{ "jobs cancel", "RUN", 1, 1,
	  "for good", cmd_jobs_cancel },
	{ "jobs schedule", "PHRASE", 1, CAVACTL_ARGS_ANY,
	  "what it means, and the next five times", cmd_jobs_schedule },
	{ "scan", "PATH...", 1, CAVACTL_ARGS_ANY,
	  "scan now; exit status 2: infected, 3: no verdict",
	  cmd_scan },
	{ "avvendor list", "", 0, 0,
	  "accounts that may fetch files to scan",
	  cmd_avvendor_list },
	{ "avvendor add", "ACCOUNT", 1, 1,
	  "DOMAIN\\name, the name of a local account, or a SID",
	  cmd_avvendor_add },
	{ "avvendor remove", "ACCOUNT", 1, 1,
	  "in force at once", cmd_avvendor_remove },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_error(const json_t *reply, long code)
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
		output_error("cavad cannot be reached at %s: %s.",
			     ctl->socket_path, why);
		fputs("Is it running? systemctl status cavad; systemctl "
		      "start cavad\n", stderr);
		return CAVACTL_UNREACHABLE;
	}
	if (code >= 300) {
		print_error(*reply, code);
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

static void print_commands(void)
{
	size_t i = 0;

	printf("Usage: cavactl [OPTION...] COMMAND\n\nCommands:\n");
	for (i = 0; i < COMMANDS; i++) {
		char usage[64];

		snprintf(usage, sizeof(usage), "%s %s", commands[i].words,
			 commands[i].arguments);
		printf("  %-26s %s\n", usage, commands[i].help);
	}
	printf("\nOptions:\n"
	       "  -s, --socket=PATH          cavad's API "
	       "(" CAVACTL_SOCKET ",\n"
	       "                             or $CAVAD_API_SOCKET)\n"
	       "  -F, --format=text|json     for people, or for programs\n"
	       "  -f, --force                scan: even if the verdict is "
	       "current\n"
	       "  -n, --nodes=N              servers advise: of so many "
	       "nodes\n"
	       "  -c, --connections=N        servers advise: of a server "
	       "(20)\n"
	       "  -V, --version              say the version\n"
	       "  -?, --help                 this text\n");
}

/* How many of words[] (NULL-terminated) the row starts with; 0: no match */
static int command_match(const char *row, const char **words)
{
	const char *space = strchr(row, ' ');
	size_t len = space == NULL ? strlen(row) : (size_t)(space - row);

	if (strlen(words[0]) != len || strncmp(row, words[0], len) != 0) {
		return 0;
	}
	if (space == NULL) {
		return 1;
	}
	return words[1] != NULL && strcmp(space + 1, words[1]) == 0 ? 2 : 0;
}

/* What was meant, perhaps: the first two words, the first one, or a row that
 * begins with it. */
static const char *command_near(const char **words)
{
	const char *names[COMMANDS + 1] = { NULL };
	const char *near = NULL;
	char said[128] = "";
	size_t i = 0;

	for (i = 0; i < COMMANDS; i++) {
		names[i] = commands[i].words;
	}
	if (words[1] != NULL) {
		snprintf(said, sizeof(said), "%s %s", words[0], words[1]);
		near = near_name(names, said);
	}
	if (near == NULL) {
		near = near_name(names, words[0]);
	}
	for (i = 0; near == NULL && i < COMMANDS; i++) {
		if (strncmp(names[i], words[0], strlen(words[0])) == 0) {
			near = names[i];
		}
	}
	return near;
}

static void unknown_command(const char **words)
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

/* The row that most of the words belong to: "zones add" before "zones". */
static size_t find_command(const char **words, int *used)
{
	size_t found = COMMANDS;
	size_t i = 0;

	*used = 0;
	for (i = 0; i < COMMANDS; i++) {
		int match = command_match(commands[i].words, words);

		if (match > *used) {
			*used = match;
			found = i;
		}
	}
	return found;
}

static enum cavactl_exit run_command(const struct cavactl *ctl,
				     const char **words)
{
	int used = 0;
	int count = 0;
	size_t i = find_command(words, &used);

	if (i == COMMANDS) {
		unknown_command(words);
		return CAVACTL_REFUSED;
	}
	while (words[used + count] != NULL) {
		count++;
	}
	if (count < commands[i].least || count > commands[i].most) {
		fprintf(stderr, "usage: cavactl %s %s\n", commands[i].words,
			commands[i].arguments);
		return CAVACTL_REFUSED;
	}
	return commands[i].fn(ctl, words + used);
}

struct options {
	char *socket;
	char *format;
	int force, version, help;
	int nodes, connections;
};

/* ret: of poptGetNextOpt() */
static enum cavactl_exit run(poptContext pc, int ret, const struct options *o)
{
	const char *env = getenv("CAVAD_API_SOCKET");
	const char *format = o->format != NULL ? o->format : "text";
	const struct cavactl ctl = {
		.socket_path = o->socket != NULL ? o->socket :
			       env != NULL ? env : CAVACTL_SOCKET,
		.json = strcmp(format, "json") == 0,
		.force = o->force != 0,
		.nodes = o->nodes,
		.connections = o->connections,
	};
	const char **words = NULL;

	if (ret < -1) {
		output_error("%s: %s; see cavactl --help",
			     poptBadOption(pc, POPT_BADOPTION_NOALIAS),
			     poptStrerror(ret));
		return CAVACTL_REFUSED;
	}
	if (o->version) {
		printf("cavactl %s\n", CAVA_VERSION);
		return CAVACTL_OK;
	}
	words = poptGetArgs(pc);
	if (o->help || words == NULL || words[0] == NULL) {
		print_commands();
		return o->help ? CAVACTL_OK : CAVACTL_REFUSED;
	}
	if (!ctl.json && strcmp(format, "text") != 0) {
		output_error("--format=%s: text and json are accepted",
			     format);
		return CAVACTL_REFUSED;
	}
	return run_command(&ctl, words);
}

int main(int argc, const char **argv)
{
	struct options o = { .connections = SIZING_CONNECTIONS };
	struct poptOption table[] = {
		{ "socket", 's', POPT_ARG_STRING, &o.socket, 0, "", "PATH" },
		{ "format", 'F', POPT_ARG_STRING, &o.format, 0, "", "" },
		{ "force", 'f', POPT_ARG_NONE, &o.force, 0, "", NULL },
		{ "nodes", 'n', POPT_ARG_INT, &o.nodes, 0, "", "N" },
		{ "connections", 'c', POPT_ARG_INT, &o.connections, 0, "",
		  "N" },
		{ "version", 'V', POPT_ARG_NONE, &o.version, 0, "", NULL },
		{ "help", '?', POPT_ARG_NONE, &o.help, 0, "", NULL },
		POPT_TABLEEND
	};
	poptContext pc = poptGetContext("cavactl", argc, argv, table, 0);
	int ret = poptGetNextOpt(pc);
	enum cavactl_exit code = run(pc, ret, &o);

	poptFreeContext(pc);
	free(o.socket);
	free(o.format);
	return (int)code;
}
