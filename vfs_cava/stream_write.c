/*
 * Writes to named streams that are attributes of a file (stream.c).
 *
 * smbd's module sets the whole attribute with each write. Before the first
 * one in the course of a write through a handle, WILL_WRITE; CLOSE after the
 * handle's close. A stream that was renamed while the handle is open is
 * another one to cavad: CLOSE of the old, WILL_WRITE of the new. A rename
 * sets its new attribute, and is told then.
 *
 * The attribute may have another name on disk than we see (catia below us).
 * It is found by its value then, when that has been set: the verdict is on
 * the bytes, so any attribute with the same bytes will do.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/stream.h"

static bool stream_is_owed(struct cava *cava, int fd,
			   enum filter_operation operation)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct filter_facts facts = {
		.operation = operation,
		.written = true,
	};
	struct filter_decision d;

	cava_filter_facts(cava, fd, &facts);
	d = filter_decide(&cava->filter, &facts);
	TALLOC_FREE(frame);
	if (d.action != FILTER_NOTIFY) {
		cava_count(cava, fd, d.reason);
	}
	return d.action == FILTER_NOTIFY;
}

static void stream_tell(struct cava *cava, enum proto_kind kind,
			const struct ident *ident, const char *path)
{
	const struct proto_notice notice = {
		.kind = kind,
		.ident = *ident,
		.path = path,
		.user = cava_user(cava),
		.client = cava->client_addr,
	};

	(void)client_notice(cava->client, &notice);
}

void cava_stream_will_write(struct cava_file *file)
{
	file->told = file->cava->generation;
	stream_tell(file->cava, PROTO_KIND_WILL_WRITE, &file->stream->ident,
		    file->stream->path);
	file->announced = true;
}

struct proto_notice *cava_stream_closing(const struct cava_file *file)
{
	struct proto_notice *notice = NULL;

	if (!file->announced) {
		return NULL;
	}
	notice = talloc_zero(talloc_tos(), struct proto_notice);
	if (notice == NULL) {
		return NULL;	/* WILL_WRITE is still owed */
	}
	*notice = (struct proto_notice) {
		.kind = PROTO_KIND_CLOSE,
		.ident = file->stream->ident,
		.path = talloc_strdup(notice, file->stream->path),
		.user = cava_user(file->cava),
		.client = file->cava->client_addr,
	};
	if (notice->path == NULL) {
		notice->path = "";
	}
	return notice;
}

static void stream_lost(const struct files_struct *fsp, int error)
{
	DBG_ERR("cava: a stream of %s is written and no scan follows: %s\n",
		fsp_str_dbg(fsp), strerror(error));
}

/* Written for the first time, or by another name than before. */
static void stream_first_write(struct cava_file *file, int fd,
			       const struct ident *ident)
{
	struct cava *cava = file->cava;
	bool owed = stream_is_owed(cava, fd, FILTER_CLOSE);

	if (file->stream != NULL && file->announced) {
		stream_tell(cava, PROTO_KIND_CLOSE, &file->stream->ident,
			    file->stream->path);
		file->announced = false;
	}
	TALLOC_FREE(file->stream);
	file->stream = talloc_zero(cava, struct cava_written);
	if (file->stream == NULL) {
		stream_lost(file->fsp, ENOMEM);
		return;
	}
	file->stream->ident = *ident;
	file->stream->path = cava_fd_path(file->stream, fd);
	if (!file->modified) {
		file->modified = true;
		DLIST_ADD(cava->written, file);
	}
	if (owed) {
		cava_stream_will_write(file);
	}
}

static void stream_writes(struct cava *cava, const struct cava_stream *op,
			  int fd, const struct ident *ident)
{
	struct cava_file *file = cava_file_make(cava, op->fsp);

	if (file == NULL) {
		stream_lost(op->fsp, ENOMEM);
		return;
	}
	if (file->stream == NULL ||
	    !ident_equal(&file->stream->ident, ident)) {
		stream_first_write(file, fd, ident);
		return;
	}
	(void)client_connect(cava->client);	/* is cavad back? */
	if (file->announced && file->told != cava->generation) {
		cava_stream_will_write(file);
	}
}

static void stream_renamed(struct cava *cava, int fd,
			   const struct ident *ident)
{
	TALLOC_CTX *frame = talloc_stackframe();
	bool owed = stream_is_owed(cava, fd, FILTER_RENAME);

	if (owed) {
		stream_tell(cava, PROTO_KIND_RENAME, ident,
			    cava_fd_path(frame, fd));
	}
	TALLOC_FREE(frame);
}

void cava_stream_set(struct cava *cava, const struct files_struct *fsp,
		     const char *attribute, const void *value, size_t len)
{
	struct cava_stream *op = cava_on(cava) ? cava->stream : NULL;
	int fd = fsp_get_pathref_fd(fsp);
	struct content content;
	struct ident ident;
	int ret = 0;

	if (op == NULL || op->what != STREAM_WRITE ||
	    !cava_stream_may_hold(attribute)) {
		return;
	}
	stream_content(value, len, &content);
	op->told = content.size == 0 || stream_is_finder_info(value, len) ||
		cava_stream_is_netatalk(op, attribute);
	if (op->told) {
		return;		/* it is not scanned */
	}
	ret = cava_stream_ident(fd, attribute, NULL, &ident);
	op->told = ret == 0;
	if (op->told) {
		stream_writes(cava, op, fd, &ident);
	}
}

void cava_stream_was_set(struct cava *cava, const struct files_struct *fsp,
			 const char *attribute, const void *value, size_t len)
{
	struct cava_stream *op = cava_on(cava) ? cava->stream : NULL;
	int fd = fsp_get_pathref_fd(fsp);
	struct content content;
	struct ident ident;
	int ret = 0;

	if (op == NULL || op->told || !cava_stream_may_hold(attribute) ||
	    (op->what != STREAM_WRITE && op->what != STREAM_RENAME)) {
		return;
	}
	stream_content(value, len, &content);
	ret = cava_stream_ident(fd, attribute, &content, &ident);
	if (ret != 0) {
		stream_lost(fsp, ret);
		return;
	}
	if (op->what == STREAM_WRITE) {
		stream_writes(cava, op, fd, &ident);
	} else {
		stream_renamed(cava, fd, &ident);
	}
}

ssize_t cava_stream_pwrite(struct vfs_handle_struct *handle,
			   struct files_struct *fsp, const void *data,
			   size_t n, off_t offset)
{
	struct cava *cava = cava_of(handle);
	struct cava_stream op;
	ssize_t ret = -1;

	cava_stream_begin(cava, fsp, STREAM_WRITE, &op);
	ret = SMB_VFS_NEXT_PWRITE(handle, fsp, data, n, offset);
	cava_stream_end(cava, &op);
	return ret;
}

int cava_stream_ftruncate(struct vfs_handle_struct *handle,
			  struct files_struct *fsp, off_t len)
{
	struct cava *cava = cava_of(handle);
	struct cava_stream op;
	int ret = -1;

	cava_stream_begin(cava, fsp, STREAM_WRITE, &op);
	ret = SMB_VFS_NEXT_FTRUNCATE(handle, fsp, len);
	cava_stream_end(cava, &op);
	return ret;
}

int cava_stream_renameat(struct vfs_handle_struct *handle,
			 struct files_struct *src_dirfsp,
			 const struct smb_filename *src,
			 struct files_struct *dst_dirfsp,
			 const struct smb_filename *dst
			 COMPAT_RENAME_HOW)
{
	struct cava *cava = cava_of(handle);
	struct cava_stream op;
	int ret = -1;

	cava_stream_begin(cava, NULL, STREAM_RENAME, &op);
	ret = COMPAT_NEXT_RENAMEAT(handle, src_dirfsp, src, dst_dirfsp, dst,
				   how);
	cava_stream_end(cava, &op);
	return ret;
}
