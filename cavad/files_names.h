/*
 * The names of a directory that a walk has yet to look at, in order: a
 * window of them, so that memory has a bound.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_NAMES_H
#define CAVAD_FILES_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct name {
	char *text;
	ino_t ino;
	uint64_t size;		/* of the file, unless LOOK_OPEN */
	uint32_t batch;		/* that looked at it (files_look.h), or 0 */
	unsigned char type;	/* DT_* */
	unsigned char looks;	/* enum look_says of that look */
};

struct names {
	struct name *list;	/* NULL = to be read */
	size_t count, next, room;
	bool whole;		/* there are none behind those */
};

/*
 * Reads the smallest WINDOW_NAMES at most that are behind `after`, as bytes,
 * of the directory fd (O_PATH will do). 0, or errno and what there was.
 */
int names_read(struct names *n, int fd, const char *after);

/* As it was before names_read(). */
void names_drop(struct names *n);

#endif
