/*
 * Named streams that are attributes of a file, for the worker.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_STREAM_H
#define CAVAD_FILES_STREAM_H

#include "cavad/files_open.h"
#include "common/stream.h"

/*
 * Of the stream want->stream of the file behind path_fd, which is any file
 * or directory: content, and a descriptor of a copy if that is wanted.
 */
enum files_status files_stream_begin(int path_fd,
				     const struct files_begin *begin,
				     struct files_begun *begun);

/*
 * What files_streams_send() asks, which may be about a directory. The caller
 * closes found->fd if it is not -1; streams->names is `names`.
 */
void files_streams_list(const struct files_root *root,
			const struct files_begin *ask,
			char names[STREAM_LIST_MAX],
			struct files_found *found,
			struct files_streams *streams);

#endif
