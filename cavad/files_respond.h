/*
 * What is done about one file, and lasts; for a worker.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_RESPOND_H
#define CAVAD_FILES_RESPOND_H

#include "cavad/files_open.h"

/* ->path is that of *found; the caller closes found->fd if it is not -1. */
void files_respond(const struct files_root *root,
		   const struct files_respond *respond,
		   struct files_found *found,
		   struct files_responded *responded);

#endif
