/*
 * Named streams that are attributes of a file, for the worker.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_STREAM_H
#define CAVAD_FILES_STREAM_H

#include "cavad/files.h"

/*
 * Of the stream want->stream of the file behind path_fd, which is any file
 * or directory: content, and a descriptor of a copy if that is wanted.
 */
enum files_status files_stream_begin(int path_fd,
				     const struct files_begin *begin,
				     struct files_begun *begun);

#endif
