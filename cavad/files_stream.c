/*
 * Named streams that are attributes of a file, for the worker.
 *
 * Nothing is locked, no record is written, and there is no end: an attribute
 * is read as a whole, what is handed out is a copy in memory that nobody can
 * change, and the verdict is on those bytes (common/stream.h). Who sets the
 * attribute meanwhile changes nothing about what was scanned; his bytes have
 * another verdict, or none. Attributes user.* only: cavad is not to see
 * others.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_stream.h"

#include <errno.h>
#include <string.h>

#include "common/stream.h"

static enum files_status stream_load(int path_fd, const char *attribute,
				     const uint8_t **value, size_t *len,
				     int *error)
{
	static uint8_t bytes[STREAM_VALUE_MAX];
	int ret = strncmp(attribute, "user.", 5) != 0 ? EINVAL :
		  stream_read(path_fd, attribute, bytes, len);

	if (ret == ENODATA) {
		return FILES_GONE;
	}
	if (ret != 0) {
		*error = ret;
		return FILES_IO;
	}
	*value = bytes;
	return FILES_OK;
}

enum files_status files_stream_begin(int path_fd,
				     const struct files_begin *begin,
				     struct files_begun *begun)
{
	const uint8_t *value = NULL;
	size_t len = 0;
	enum files_status status = stream_load(path_fd, begin->ident.stream,
					       &value, &len, &begun->error);
	int ret = 0;

	if (status != FILES_OK) {
		return status;
	}
	stream_content(value, len, &begun->content);
	if (begin->want_fd) {
		ret = stream_memory(value, len, &begun->fd);
	}
	if (ret != 0) {
		begun->error = ret;
		return FILES_IO;
	}
	return FILES_OK;
}

void files_streams_list(const struct files_root *root,
			const struct files_begin *ask,
			char names[STREAM_LIST_MAX],
			struct files_found *found,
			struct files_streams *streams)
{
	const struct ident *want = ask->have_ident ? &ask->ident : NULL;
	int ret = 0;

	streams->names = names;
	streams->status = files_find_any(root, want, ask->path, found);
	streams->error = found->error;
	if (streams->status != FILES_OK) {
		return;
	}
	streams->ident = found->ident;
	ret = stream_list(found->fd, names, &streams->len);
	if (ret != 0) {
		streams->status = FILES_IO;
		streams->error = ret;
	}
}
