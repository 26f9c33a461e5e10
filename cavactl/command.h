/*
 * The table of commands: finding one, guessing one, explaining one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_COMMAND_H
#define CAVACTL_COMMAND_H

#include "cavactl/cavactl.h"

#define CAVACTL_SOCKET "/run/cavad/api.sock"

/* Those that every command has. */
extern const struct cavactl_option command_options[];

/* Row i of all tables; NULL after the last. */
const struct cavactl_command *command_row(size_t i);

/*
 * Pure. The row that most of the words (NULL at the end) belong to, "zones
 * add" before "zones", and how many words it has. NULL: none.
 */
const struct cavactl_command *command_find(const char *const *words,
					   int *used);

/* Says that there is no such command, and which one was meant, perhaps. */
void command_unknown(const char *const *words);

/* Option i of a command, its own first; NULL after the last. command may be
 * NULL: those of all commands. */
const struct cavactl_option *command_option(
	const struct cavactl_command *command, size_t i);

/* Says that the command has no option of that name, and what was meant. */
void command_unknown_option(const struct cavactl_command *command,
			    const char *name);

void command_print_all(void);
void command_print(const struct cavactl_command *command);

#endif
