/*
 * What cavactl prints: tables for people, JSON for programs.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_OUTPUT_H
#define CAVACTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A column: a heading, and the member of each object that fills it. */
struct output_column {
	const char *heading;	/* NULL ends the list */
	const char *member;
	bool right;		/* numbers */
};

/* A table of the objects of an array. */
void output_table(const json_t *array, const struct output_column *columns);

void output_json(const json_t *json);

/*
 * Text with control characters, and bytes that are no UTF-8, as \xNN: file
 * names are anybody's, and a terminal obeys what it is shown.
 */
void output_text(FILE *file, const char *text);

/* "cavactl: ..." as one line on stderr, such a text too. */
void output_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "2026-11-23 09:30 (3 h ago)" of seconds since the epoch. */
void output_time(char *to, size_t size, int64_t seconds);

#endif
