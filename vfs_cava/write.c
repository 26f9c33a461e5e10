/*
 * Hooks that change or replace content: told before and after (notice.c),
 * never made to wait.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

/* A scanner's repair, or a client's write while scanning is off. */
static void write_unscanned(struct cava *cava, struct files_struct *fsp)
{
	if (cava_is_check(cava)) {
		cava_clean_write(cava, fsp);
	} else if (cava != NULL && cava->client != NULL) {
		cava_will_write(cava, fsp);
	}
}

ssize_t cava_pwrite_fn(struct vfs_handle_struct *handle,
		       struct files_struct *fsp, const void *data,
		       size_t n, off_t offset)
{
	struct cava *cava = cava_of(handle);
	ssize_t ret = -1;
	int saved_errno = 0;

	if (!cava_on(cava)) {
		write_unscanned(cava, fsp);
		return SMB_VFS_NEXT_PWRITE(handle, fsp, data, n, offset);
	}
	if (cava_stream_is(fsp)) {
		return cava_stream_pwrite(handle, fsp, data, n, offset);
	}
	cava_will_write(cava, fsp);
	ret = SMB_VFS_NEXT_PWRITE(handle, fsp, data, n, offset);
	saved_errno = errno;
	cava_written(cava, fsp);
	errno = saved_errno;
	return ret;
}

struct cava_pwrite_state {
	struct vfs_handle_struct *handle;
	struct files_struct *fsp;
	ssize_t ret;
	struct vfs_aio_state aio;
};

static void cava_pwrite_done(struct tevent_req *subreq);

struct tevent_req *cava_pwrite_send_fn(
	struct vfs_handle_struct *handle, TALLOC_CTX *mem_ctx,
	struct tevent_context *ev, struct files_struct *fsp,
	const void *data, size_t n, off_t offset)
{
	struct cava *cava = cava_of(handle);
	struct cava_pwrite_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;

	if (!cava_on(cava)) {
		write_unscanned(cava, fsp);
		return SMB_VFS_NEXT_PWRITE_SEND(mem_ctx, ev, handle, fsp,
						data, n, offset);
	}
	req = tevent_req_create(mem_ctx, &state, struct cava_pwrite_state);
	if (req == NULL) {
		return NULL;
	}
	*state = (struct cava_pwrite_state) { .handle = handle, .fsp = fsp };

	cava_will_write(cava, fsp);
	cava_writing(cava, fsp, 1);
	subreq = SMB_VFS_NEXT_PWRITE_SEND(state, ev, handle, fsp, data, n,
					  offset);
	if (tevent_req_nomem(subreq, req)) {
		cava_writing(cava, fsp, -1);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, cava_pwrite_done, req);
	return req;
}

static void cava_pwrite_done(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct cava_pwrite_state *state = tevent_req_data(
		req, struct cava_pwrite_state);

	state->ret = SMB_VFS_PWRITE_RECV(subreq, &state->aio);
	TALLOC_FREE(subreq);
	cava_writing(cava_of(state->handle), state->fsp, -1);
	cava_written(cava_of(state->handle), state->fsp);
	tevent_req_done(req);
}

ssize_t cava_pwrite_recv_fn(struct tevent_req *req,
			    struct vfs_aio_state *aio)
{
	struct cava_pwrite_state *state = talloc_get_type(
		_tevent_req_data(req), struct cava_pwrite_state);

	if (state == NULL) {
		return SMB_VFS_PWRITE_RECV(req, aio);
	}
	if (tevent_req_is_unix_error(req, &aio->error)) {
		return -1;
	}
	*aio = state->aio;
	return state->ret;
}

ssize_t cava_recvfile_fn(struct vfs_handle_struct *handle, int fromfd,
			 struct files_struct *fsp, off_t offset,
			 size_t n)
{
	struct cava *cava = cava_of(handle);
	ssize_t ret = -1;
	int saved_errno = 0;

	if (!cava_on(cava)) {
		write_unscanned(cava, fsp);
		return SMB_VFS_NEXT_RECVFILE(handle, fromfd, fsp, offset, n);
	}
	cava_will_write(cava, fsp);
	ret = SMB_VFS_NEXT_RECVFILE(handle, fromfd, fsp, offset, n);
	saved_errno = errno;
	cava_written(cava, fsp);
	errno = saved_errno;
	return ret;
}

int cava_ftruncate_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, off_t len)
{
	struct cava *cava = cava_of(handle);
	int saved_errno = 0;
	int ret = -1;

	if (!cava_on(cava)) {
		write_unscanned(cava, fsp);
		return SMB_VFS_NEXT_FTRUNCATE(handle, fsp, len);
	}
	if (cava_stream_is(fsp)) {
		return cava_stream_ftruncate(handle, fsp, len);
	}
	cava_will_write(cava, fsp);
	ret = SMB_VFS_NEXT_FTRUNCATE(handle, fsp, len);
	saved_errno = errno;
	if (ret == 0 && len == 0) {
		cava_emptied(cava, fsp, cava->create == NULL ?
			     FILE_SHARE_WRITE : cava->create->share_access);
	} else {
		cava_written(cava, fsp);
	}
	errno = saved_errno;
	return ret;
}

int cava_fallocate_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, uint32_t mode,
		      off_t offset, off_t len)
{
	struct cava *cava = cava_of(handle);
	int saved_errno = 0;
	int ret = -1;

	if (!cava_on(cava)) {
		write_unscanned(cava, fsp);
		return SMB_VFS_NEXT_FALLOCATE(handle, fsp, mode, offset, len);
	}
	cava_will_write(cava, fsp);
	ret = SMB_VFS_NEXT_FALLOCATE(handle, fsp, mode, offset, len);
	saved_errno = errno;
	cava_written(cava, fsp);
	errno = saved_errno;
	return ret;
}

struct tevent_req *cava_offload_write_send_fn(
	struct vfs_handle_struct *handle, TALLOC_CTX *mem_ctx,
	struct tevent_context *ev, uint32_t fsctl, DATA_BLOB *token,
	off_t transfer_offset, struct files_struct *dest_fsp, off_t dest_off,
	off_t to_copy)
{
	struct cava *cava = cava_of(handle);
	DATA_BLOB nothing = data_blob_null;

	if (cava_is_check(cava)) {
		cava_check_refuse(cava, "a server-side copy into CHECK$");
		token = &nothing;	/* is of no file: it fails */
	} else if (cava_on(cava)) {
		struct cava_file *file = NULL;

		/* Others' content comes in: never own content again. */
		cava_will_write(cava, dest_fsp);
		file = cava_file_fetch(cava, dest_fsp);
		if (file != NULL) {
			file->own = false;
			file->cleared = 0;
		}
	} else {
		write_unscanned(cava, dest_fsp);
	}
	return SMB_VFS_NEXT_OFFLOAD_WRITE_SEND(handle, mem_ctx, ev, fsctl,
					       token, transfer_offset,
					       dest_fsp, dest_off, to_copy);
}

/* A new name, for which other rules may hold. */
int cava_linkat_fn(struct vfs_handle_struct *handle,
		   struct files_struct *src_dirfsp,
		   const struct smb_filename *src,
		   struct files_struct *dst_dirfsp,
		   const struct smb_filename *dst, int flags)
{
	struct cava *cava = cava_of(handle);
	int ret = -1;

	if (cava_is_check(cava)) {
		errno = EACCES;
		return -1;
	}
	ret = SMB_VFS_NEXT_LINKAT(handle, src_dirfsp, src, dst_dirfsp, dst,
				  flags);
	if (ret == 0 && cava_on(cava)) {
		cava_renamed(cava, dst_dirfsp, dst);
	}
	return ret;
}

int cava_renameat_fn(struct vfs_handle_struct *handle,
		     struct files_struct *src_dirfsp,
		     const struct smb_filename *src,
		     struct files_struct *dst_dirfsp,
		     const struct smb_filename *dst
		     COMPAT_RENAME_HOW)
{
	struct cava *cava = cava_of(handle);
	int ret = -1;

	if (cava_is_check(cava)) {
		return cava_clean_renameat(cava, src_dirfsp, src, dst_dirfsp,
					   dst);
	}
	if (cava_on(cava) && is_named_stream(dst)) {
		return cava_stream_renameat(handle, src_dirfsp, src,
					    dst_dirfsp, dst
					    COMPAT_RENAME_GIVE);
	}
	ret = COMPAT_NEXT_RENAMEAT(handle, src_dirfsp, src, dst_dirfsp, dst,
				   how);
	if (ret == 0 && cava_on(cava)) {
		cava_renamed(cava, dst_dirfsp, dst);
	}
	return ret;
}
