/*
 * What cavactl prints: tables for people, JSON and CSV for programs.
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

enum output_format { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_CSV };

/* What the JSON of a column is, and how it is shown. */
enum output_kind {
	OUT_TEXT = 0,
	OUT_NUMBER = 1,		/* to the right */
	OUT_TIME,		/* seconds since the epoch; CSV: ISO 8601 */
	OUT_DURATION,		/* seconds; CSV: as they are */
	OUT_SIZE,		/* bytes; CSV: as they are */
	OUT_FLAG,		/* yes, no; CSV: true, false */
	OUT_KIND = 0xff,
	OUT_NOT_CSV = 0x100,	/* for people only */
	OUT_NOT_TEXT = 0x200	/* for programs only */
};

/* A column: a heading, and the member of each object that fills it. */
struct output_column {
	const char *heading;	/* NULL ends the list; CSV has the member */
	const char *member;
	int kind;		/* enum output_kind */
};

/* A table of the objects of an array. */
void output_table(const json_t *array, const struct output_column *columns);

/* The same as CSV (RFC 4180), with a line of names. */
void output_csv(const json_t *array, const struct output_column *columns);

/*
 * One object in any format: JSON as it is; text a line a column that is not
 * empty, "heading value"; CSV as above, two lines.
 */
void output_record(enum output_format format, const json_t *object,
		   const struct output_column *columns);

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

/* "90 s", "5 min", "3 h 20 min" */
void output_duration(char *to, size_t size, int64_t seconds);

#endif
