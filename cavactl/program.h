/*
 * Another program is run, without a shell, and what it says is read.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_PROGRAM_H
#define CAVACTL_PROGRAM_H

#define PROGRAM_OUTPUT_MAX (1 << 20)	/* bytes that are kept */

/*
 * Its stdout and, with both, stderr, as text that is the caller's to free();
 * *status: its exit status, 127 = there is no such program, -1 = it ended
 * otherwise. words: NULL at the end. NULL: no memory, no process.
 */
char *program_output(const char *const *words, int both, int *status);

#endif
