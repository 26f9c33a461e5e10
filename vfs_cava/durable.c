/*
 * Durable handles: a scan in the meantime does not cost a client its handle.
 *
 * smbd compares the file as it was at the disconnect with the file at the
 * reconnect, and refuses when anything differs. A verdict that is written
 * on the file moves its ctime and may add a block, reading it may move its
 * atime. So while smbd takes either picture, these three are left out of it,
 * and with them a birth time that smbd only made up of them; size, mtime,
 * owner, mode, links and a birth time that is one are compared as ever. Reads
 * through the handle that comes back meet the gates like any other's.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

static void durable_leave_out(SMB_STRUCT_STAT *sbuf)
{
	sbuf->st_ex_atime = sbuf->st_ex_mtime;
	sbuf->st_ex_ctime = sbuf->st_ex_mtime;
	sbuf->st_ex_blocks = 0;
	if (sbuf->st_ex_iflags & ST_EX_IFLAG_CALCULATED_BTIME) {
		sbuf->st_ex_btime = sbuf->st_ex_mtime;
	}
}

int cava_fstat_fn(struct vfs_handle_struct *handle, struct files_struct *fsp,
		  SMB_STRUCT_STAT *sbuf)
{
	struct cava *cava = cava_of(handle);
	int ret = -1;

	if (cava_is_check(cava) && fsp_is_alternate_stream(fsp)) {
		return cava_check_stream_fstat(handle, fsp, sbuf);
	}
	if (cava != NULL && !cava->durable) {
		ret = cava_copy_looks(cava, fsp);
		if (ret != 0) {
			errno = ret;
			return -1;
		}
	}
	ret = SMB_VFS_NEXT_FSTAT(handle, fsp, sbuf);
	if (ret == 0) {
		cava_worm_show(cava, fsp_get_pathref_fd(metadata_fsp(fsp)),
			       sbuf);
	}
	if (ret == 0 && cava != NULL && cava->durable) {
		durable_leave_out(sbuf);
	}
	return ret;
}

/* What the client is told is the whole of it. */
static void durable_restore(struct files_struct *fsp)
{
	SMB_STRUCT_STAT *st = &fsp->fsp_name->st;
	SMB_STRUCT_STAT now;
	int ret = SMB_VFS_FSTAT(fsp, &now);

	if (ret == 0) {
		st->st_ex_atime = now.st_ex_atime;
		st->st_ex_ctime = now.st_ex_ctime;
		st->st_ex_blocks = now.st_ex_blocks;
		if (st->st_ex_iflags & ST_EX_IFLAG_CALCULATED_BTIME) {
			st->st_ex_btime = now.st_ex_btime;
		}
	}
}

NTSTATUS cava_durable_disconnect_fn(struct vfs_handle_struct *handle,
				    struct files_struct *fsp,
				    const DATA_BLOB old_cookie,
				    TALLOC_CTX *mem_ctx,
				    DATA_BLOB *new_cookie)
{
	struct cava *cava = cava_of(handle);
	NTSTATUS status;

	cava->durable = cava_on(cava);
	status = SMB_VFS_NEXT_DURABLE_DISCONNECT(handle, fsp, old_cookie,
						 mem_ctx, new_cookie);
	cava->durable = false;
	return status;
}

NTSTATUS cava_durable_reconnect_fn(struct vfs_handle_struct *handle,
				   struct smb_request *smb1req,
				   struct smbXsrv_open *op,
				   const DATA_BLOB old_cookie,
				   TALLOC_CTX *mem_ctx,
				   struct files_struct **result,
				   DATA_BLOB *new_cookie)
{
	struct cava *cava = cava_of(handle);
	NTSTATUS status;

	cava->durable = cava_on(cava);
	status = SMB_VFS_NEXT_DURABLE_RECONNECT(handle, smb1req, op,
						old_cookie, mem_ctx, result,
						new_cookie);
	cava->durable = false;
	if (NT_STATUS_IS_OK(status)) {
		durable_restore(*result);
	}
	return status;
}
