/*
 * The parent of the files process.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_PARENT_H
#define CAVAD_FILES_PARENT_H

#define FILES_DYING 16		/* killed workers that are not dead yet */

/*
 * In the forked child; never returns. Sends FILES_MSG_FAILED, or one
 * FILES_MSG_WORKER for each of FILES_PROCESSES, and then serves `control`.
 */
void files_parent_run(int control, const char *check_root,
		      const char *spool_dir) __attribute__((noreturn));

#endif
