/*
 * Writing the verdict's record on an open file, and taking it off again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_RECORD_H
#define CAVAD_FILES_RECORD_H

#include "cavad/files.h"

/* A record that was written and has to be looked at once T has passed. */
struct files_written {
	struct verdict record;
	struct content content;	/* as the writing left it */
};

/*
 * Writes `record` if ended->content, as fd was found to be, is still
 * `before`. FILES_OK fills in `written`; in every case but FILES_IO
 * ended->content is what is there now, and with FILES_NO_ATTRIBUTE
 * ended->record fits it. written_to: somebody has the file open for writing.
 * bare: `before` was seen without a record, by who knows that ctime would
 * have moved since.
 */
enum files_status files_record_write(int fd, const struct content *before,
				     const struct verdict *record,
				     bool written_to, bool bare,
				     struct files_ended *ended,
				     struct files_written *written);

/* Sets ended->record as it is: FILES_OK, NO_ATTRIBUTE, or IO and .error. */
enum files_status files_record_put(int fd, struct files_ended *ended);

/*
 * Pure. A quarantine outlives every later verdict: is it in the record that
 * is there and not in *v? Then it is in *v now.
 */
bool files_record_keep(const struct verdict *there, struct verdict *v);

/* Is T certainly behind us, for whatever is stamped from now on? */
bool files_record_due(int64_t stamp);

/* ms until files_record_due() may be true, for poll(); at least 1. */
int files_record_wait(int64_t stamp);

/* After T, when no lease kept writers away: removes what cannot be true. */
void files_record_check(int fd, const struct files_written *written);

#endif
