/*
 * Which files of a directory have no streams and a clean and current record,
 * or none: by name, many at a time, by two threads.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_LOOK_H
#define CAVAD_FILES_LOOK_H

#include "cavad/files_names.h"

enum look_says {
	LOOK_OPEN = 0,		/* nothing: it is to be opened */
	LOOK_CURRENT,		/* clean and current */
	LOOK_NEW		/* its content is to be scanned */
};

struct look {
	struct name *names;	/* type DT_REG is looked at, nothing else */
	size_t count;
	uint64_t dev;		/* of the directory, as look_dev() has it */
	bool ignore_previous;	/* what has a record is new, too */
	int64_t signature_min;	/* of verdict_state() */
	int64_t end;		/* look_clock(); then no more are begun */
	uint32_t batch;		/* put into each name that was looked at */
};

struct looker;

/* NULL = no memory. Free with looker_end(). */
struct looker *looker_create(void);
void looker_end(struct looker *k);

/*
 * Looks at names of the working directory, which is nobody's to change
 * meanwhile. Done when it returns, but for what `end` left out.
 */
void looker_look(struct looker *k, const struct look *look);

/* ms, monotonic */
int64_t look_clock(void);

uint64_t look_dev(uint32_t major, uint32_t minor);

#endif
