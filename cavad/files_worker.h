/*
 * A worker of the files process.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_WORKER_H
#define CAVAD_FILES_WORKER_H

#include "cavad/files_open.h"

/* Serves requests from sock until it ends; returns the exit status. */
int files_worker_run(int sock, const struct files_root *root,
		     const char *spool_dir);

#endif
