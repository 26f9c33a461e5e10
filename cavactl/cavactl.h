/*
 * Commands of cavactl: rows of tables, one table a noun (cmd_NOUN.c), with
 * words, arguments and options of their own; command.c lists the tables.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_H
#define CAVACTL_H

#include <stdbool.h>

#include "cavactl/http.h"
#include "cavactl/output.h"

#define CAVACTL_ARGS_ANY 1000000

/* Exit statuses, as cavactl(1) has them. */
enum cavactl_exit {
	CAVACTL_OK = 0,		/* scan: clean */
	CAVACTL_REFUSED = 1,	/* usage, or cavad refused the request */
	CAVACTL_INFECTED = 2,
	CAVACTL_NO_VERDICT = 3,	/* scan: failed, skipped, unscannable */
	CAVACTL_UNREACHABLE = 4
};

/* An option of a command, or (command.c) of every command. */
struct cavactl_option {
	const char *name;	/* --name; NULL ends the list */
	char letter;		/* or '\0' */
	const char *argument;	/* "N"; "yes|no"; "[SECONDS]": may be left
				 * out, and follows = only; NULL: none */
	const char *help;	/* one line */
};

struct cavactl;
struct object_class;

struct cavactl_command {
	const char *words;	/* one or two; NULL ends the table */
	const char *arguments;	/* "SERVER", "PATH..."; complete.c knows
				 * what some of these names stand for */
	int least, most;	/* how many of them */
	const char *help;	/* one line; NULL: hidden */
	/* args: the words after the command, NULL at the end. */
	enum cavactl_exit (*fn)(const struct cavactl *ctl,
				const char **args);
	const struct cavactl_option *options;	/* may be NULL */
	const char *examples;	/* a line each, without "cavactl "; or NULL */
	const struct object_class *fields;	/* of what it is about */
	bool takes_fields;	/* as options: --field=value */
	bool watch;		/* --watch makes sense */
};

/* What was asked for. */
struct cavactl {
	const struct cavactl_command *command;
	const char *socket_path;
	enum output_format format;
	struct cavactl_value {
		const struct cavactl_option *option;
		const char *text;	/* NULL: a flag, or no argument */
	} *values;			/* in the order given */
	size_t value_count;
	bool *ended;		/* --watch: set it when there is no more to
				 * come */
};

/* The tables. A new one is listed in command.c, too. */
extern const struct cavactl_command commands_status[];
extern const struct cavactl_command commands_settings[];
extern const struct cavactl_command commands_servers[];
extern const struct cavactl_command commands_server_objects[];
extern const struct cavactl_command commands_probe[];
extern const struct cavactl_command commands_filters[];
extern const struct cavactl_command commands_zones[];
extern const struct cavactl_command commands_events[];
extern const struct cavactl_command commands_jobs[];
extern const struct cavactl_command commands_job_objects[];
extern const struct cavactl_command commands_reports[];
extern const struct cavactl_command commands_scan[];
extern const struct cavactl_command commands_avvendor[];
extern const struct cavactl_command commands_apply[];
extern const struct cavactl_command commands_complete[];
extern const struct cavactl_command commands_explain[];
extern const struct cavactl_command commands_selftest[];
extern const struct cavactl_command commands_threats[];
extern const struct cavactl_command commands_quarantine[];
extern const struct cavactl_command commands_allow[];

/* --- options --- */

/* Was --name given? */
bool cavactl_flag(const struct cavactl *ctl, const char *name);

/* The argument of the last --name, or NULL. */
const char *cavactl_option(const struct cavactl *ctl, const char *name);

/*
 * *value becomes the argument of --name, and stays as it is without one.
 * False: that is no number from min to max, which has been said.
 */
bool cavactl_number(const struct cavactl *ctl, const char *name,
		    long long min, long long max, long long *value);

/* --- the way to cavad --- */

/*
 * Calls cavad. CAVACTL_OK and *reply (may be NULL), or what to exit with,
 * the reason being on stderr.
 */
enum cavactl_exit cavactl_call(const struct cavactl *ctl, const char *method,
			       const char *path, json_t *body,
			       json_t **reply);

/* DELETE of base/name, with what the name needs escaped. */
enum cavactl_exit cavactl_delete(const struct cavactl *ctl,
				 const char *base, const char *name);

/*
 * GETs a list with all its pages, or with one if path has a limit= in it;
 * *reply as cavactl_call() has it, its array `member` being all of them.
 */
enum cavactl_exit cavactl_list(const struct cavactl *ctl, const char *path,
			       const char *member, json_t **reply);

/*
 * The same, and shows the objects in the reply's array `member`: the reply
 * as JSON, or the columns as a table or CSV. prepare (may be NULL) is called
 * for each object before that, never for JSON. none (may be NULL): what to
 * say in text when there is no object.
 */
enum cavactl_exit cavactl_show(const struct cavactl *ctl, const char *path,
			       const char *member,
			       const struct output_column *columns,
			       void (*prepare)(json_t *row),
			       const char *none);

/*
 * Absolute, with the directory's links resolved; the last part stays as it
 * is, so that a link is refused and not followed. The caller's to free(); NULL
 * and errno.
 */
char *cavactl_absolute(const char *path);

/*
 * Rows of threats, as many pages as it takes for `wanted`; NULL and *ret. And
 * to be shown: takes them.
 */
json_t *threats_fetch(const struct cavactl *ctl, const char *query,
		      size_t wanted, enum cavactl_exit *ret);
enum cavactl_exit threats_show(const struct cavactl *ctl, json_t *rows,
			       const char *none);

/* --reason and --expires, into the body. False: which has been said. */
bool allow_terms(const struct cavactl *ctl, json_t *body);

#endif
