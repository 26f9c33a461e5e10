/*
 * vfs_cava: CAVA-style antivirus for a Samba share; the hooks.
 *
 * Every operation that can expose, change or replace content is here; each
 * hook gathers, asks (gate.c), tells (notice.c), and calls the next module.
 *
 *   expose    openat pread pread_send sendfile offload_read; fgetxattr, by
 *             which named streams are read (stream.c)
 *   change    pwrite pwrite_send recvfile ftruncate fallocate
 *             offload_write, and close as the end of it
 *   replace   renameat, linkat (a name for which other rules may hold);
 *             create_file, for what it created or emptied
 *   keep      metadata, so that it costs no scan (meta.c); SMB's EAs are
 *             user.*, never security.cava; fsetxattr, by which named
 *             streams are written
 *
 * Not hooked, since safe:
 *   unlinkat, mkdirat, symlinkat, mknodat: no content comes or goes (the
 *     hooks are those of CHECK$, clean.c).
 *   lchown, fchflags: ctime moves, so the record is stale and the file is
 *     scanned once more.
 *   fsync, lock, strict_lock_check, streaminfo, brl_*: no content.
 *   get_compression, set_compression, fsctl: the content stays the same;
 *     those that change it arrive as fallocate, pwrite or offload_write.
 *   durable_cookie: a picture that is replaced at the disconnect.
 *   offload_write, its source: was gated when the token was made, and is
 *     once more by the fstat before the copy (read.c).
 *     A named stream is gated as it is read for the copy, by pread.
 *   readdir, stat family: names and times, no content.
 *
 * openat is called for much more than data: rules by which a data open is
 * known (DESIGN facts 3.2, 3.3 of Samba 4.17):
 *  1. not is_pathref, not a directory: it is about content;
 *  2. the name may be /proc/self/fd/N: the file is the fsp's own O_PATH
 *     descriptor, which is still there and is what is looked at;
 *  3. that O_PATH descriptor is closed through close_fn afterwards: a close
 *     is only told when content was modified through the handle.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#ifndef CAVA_BUILT_FOR
#error "CAVA_BUILT_FOR must be the version string of the smbd"
#endif

#define CAVA_LEASE_SLEEP 5	/* ms */

struct cava *cava_of(struct vfs_handle_struct *handle)
{
	return (struct cava *)handle->data;
}

bool cava_on(const struct cava *cava)
{
	return cava != NULL && cava->client != NULL && !cava->check &&
		cava->filter.enabled;
}

bool cava_is_check(const struct cava *cava)
{
	return cava != NULL && cava->check;
}

static void cava_file_destroy(void *p)
{
	struct cava_file *file = p;

	cava_gate_forget(file);
	cava_stream_forget(file);
	TALLOC_FREE(file->listing);
	TALLOC_FREE(file->repair);
	if (file->modified) {
		DLIST_REMOVE(file->cava->written, file);
	}
}

struct cava_file *cava_file_fetch(struct cava *cava, struct files_struct *fsp)
{
	return (struct cava_file *)VFS_FETCH_FSP_EXTENSION(cava->handle, fsp);
}

struct cava_file *cava_file_make(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_fetch(cava, fsp);

	if (file == NULL) {
		file = VFS_ADD_FSP_EXTENSION(cava->handle, fsp,
					     struct cava_file,
					     cava_file_destroy);
		if (file != NULL) {
			*file = (struct cava_file) {
				.cava = cava,
				.fsp = fsp,
			};
		}
	}
	return file;
}

bool cava_is_content(const struct files_struct *fsp)
{
	return !fsp->fsp_flags.is_directory && !fsp->fsp_flags.is_pathref &&
		fsp_get_io_fd(fsp) != -1 &&
		S_ISREG(fsp->fsp_name->st.st_ex_mode) &&
		cava_fd(fsp) != -1;
}

int cava_fd(const struct files_struct *fsp)
{
	return fsp_is_alternate_stream(fsp) ? cava_stream_fd(fsp) :
		fsp_get_io_fd(fsp);
}

/* The file of a handle stays the same. */
int cava_ident(struct cava_file *file, int fd, struct ident *ident)
{
	int ret = 0;

	if (file == NULL) {
		return ident_of_fd(fd, ident);
	}
	if (!file->identified) {
		ret = ident_of_fd(fd, &file->ident);
		file->identified = ret == 0;
	}
	*ident = file->ident;
	return ret;
}

/* --- tree connect --- */

/* Called at the disconnect, and with the handle once more. */
static void cava_free(void **data)
{
	if (*data != NULL) {
		cava_park_forget(talloc_get_type_abort(*data, struct cava));
	}
	TALLOC_FREE(*data);
}

static int cava_connect_fn(struct vfs_handle_struct *handle,
			   const char *service, const char *user)
{
	struct cava *cava = NULL;
	bool fits = cava_store_fits(handle->conn);
	int ret = -1;

	if (!fits) {
		errno = EINVAL;
		return -1;
	}
	ret = SMB_VFS_NEXT_CONNECT(handle, service, user);
	if (ret < 0) {
		return ret;
	}
	fits = cava_store_place(handle);
	ret = fits ? cava_connect(handle, &cava) : EINVAL;
	if (ret == 0 && cava->check) {
		ret = cava_check_tree(cava);
	}
	if (ret != 0) {
		TALLOC_FREE(cava);
		SMB_VFS_NEXT_DISCONNECT(handle);
		errno = ret;
		return -1;
	}
	SMB_VFS_HANDLE_SET_DATA(handle, cava, cava_free, struct cava,
				return -1);
	return 0;
}

static void cava_disconnect_fn(struct vfs_handle_struct *handle)
{
	struct cava *cava = cava_of(handle);

	if (cava != NULL) {
		cava_count_send(cava);
	}
	SMB_VFS_HANDLE_FREE_DATA(handle);
	SMB_VFS_NEXT_DISCONNECT(handle);
}

/* --- open and close --- */

static NTSTATUS cava_create_file_fn(struct vfs_handle_struct *handle,
				    struct smb_request *req,
				    struct files_struct *dirfsp,
				    struct smb_filename *smb_fname,
				    uint32_t access_mask,
				    uint32_t share_access,
				    uint32_t create_disposition,
				    uint32_t create_options,
				    uint32_t file_attributes,
				    uint32_t oplock_request,
				    const struct smb2_lease *lease,
				    uint64_t allocation_size,
				    uint32_t private_flags,
				    struct security_descriptor *sd,
				    struct ea_list *ea_list,
				    files_struct **result, int *pinfo,
				    const struct smb2_create_blobs *in_blobs,
				    struct smb2_create_blobs *out_blobs)
{
	struct cava *cava = cava_of(handle);
	struct cava_create create = {
		.req = req,
		.disposition = create_disposition,
		.share_access = share_access,
		.seen.fd = -1,
		.told_fd = -1,
	};
	int info = FILE_WAS_OPENED;
	NTSTATUS status;

	if (cava == NULL) {
		cava_store_unconnected(handle->conn);
		return NT_STATUS_ACCESS_DENIED;
	}
	create.outer = cava->create;
	if (cava_is_check(cava)) {
		status = cava_check_create(cava, smb_fname, create_options,
					   &access_mask, &create_disposition,
					   &create);
		if (!NT_STATUS_IS_OK(status)) {
			return status;
		}
		become_root();
	}
	cava_ahead(cava, smb_fname, access_mask, &create);
	cava->create = &create;
	status = SMB_VFS_NEXT_CREATE_FILE(
		handle, req, dirfsp, smb_fname, access_mask, share_access,
		create_disposition, create_options, file_attributes,
		oplock_request, lease, allocation_size, private_flags, sd,
		ea_list, result, &info, in_blobs, out_blobs);
	if (cava->check) {
		unbecome_root();
	}
	if (cava->check && NT_STATUS_IS_OK(status)) {
		cava_check_created(cava, *result);
	}
	cava->create = create.outer;

	if (pinfo != NULL) {
		*pinfo = info;
	}
	if (create.infected && NT_STATUS_EQUAL(status,
					       NT_STATUS_ACCESS_DENIED) &&
	    cava->filter.denial == FILTER_DENIAL_VIRUS_INFECTED) {
		return NT_STATUS_VIRUS_INFECTED;
	}
	if (NT_STATUS_IS_OK(status) && info == FILE_WAS_CREATED &&
	    cava_on(cava)) {
		cava_emptied(cava, *result, share_access);
	}
	return status;
}

/*
 * A write open must not block on the lease of a scan: EAGAIN parks it. Where
 * it cannot be parked we wait here, as long as a synchronous read may.
 */
static int cava_open_unblocked(struct vfs_handle_struct *handle,
			       const struct files_struct *dirfsp,
			       const struct smb_filename *smb_fname,
			       struct files_struct *fsp,
			       const struct vfs_open_how *how)
{
	struct cava *cava = cava_of(handle);
	struct timeval end = timeval_current_ofs_msec(cava->filter.sync_wait);
	struct vfs_open_how nonblocking = *how;
	bool parked = false;
	int fd = -1;

	nonblocking.flags |= O_NONBLOCK;
	while (true) {
		fd = SMB_VFS_NEXT_OPENAT(handle, dirfsp, smb_fname, fsp,
					 &nonblocking);
		if (fd != -1) {
			break;
		}
		if (errno != EAGAIN) {
			return -1;
		}
		parked = cava_gate_lease(cava, fsp);
		if (parked || timeval_expired(&end)) {
			errno = EAGAIN;
			return -1;
		}
		smb_msleep(CAVA_LEASE_SLEEP);
	}
	if ((how->flags & O_NONBLOCK) == 0) {
		(void)set_blocking(fd, true);
	}
	return fd;
}

/* What cavad was told about when this create_file began, if it is that. */
static const struct ident *cava_told(const struct cava *cava, int pathref_fd)
{
	const struct cava_create *create = cava->create;

	return pathref_fd != -1 && create != NULL &&
		create->told_fd == pathref_fd ? &create->told : NULL;
}

static void cava_was_opened(struct cava *cava, struct files_struct *fsp,
			    const struct cava_opened *opened)
{
	struct cava_file *file = NULL;

	if (opened->cleared || opened->made || opened->ident != NULL) {
		file = cava_file_make(cava, fsp);
	}
	if (file == NULL) {
		return;
	}
	file->made = opened->made;
	if (opened->ident != NULL) {
		file->ident = *opened->ident;
		file->identified = true;
	}
	if (opened->cleared) {
		file->cleared = cava->filter_number;
		file->content = opened->content;
	}
}

static int cava_openat_fn(struct vfs_handle_struct *handle,
			  const struct files_struct *dirfsp,
			  const struct smb_filename *smb_fname,
			  struct files_struct *fsp,
			  const struct vfs_open_how *how)
{
	struct cava *cava = cava_of(handle);
	struct cava_opened opened = { .cleared = false };
	int pathref_fd = -1;
	int ret = 0;
	int fd = -1;

	if (cava_is_check(cava)) {
		return cava_check_openat(handle, dirfsp, smb_fname, fsp, how);
	}
	if (!cava_on(cava) || fsp->fsp_flags.is_pathref ||
	    fsp->fsp_flags.is_directory) {
		return SMB_VFS_NEXT_OPENAT(handle, dirfsp, smb_fname, fsp,
					   how);
	}
	if (fsp_is_alternate_stream(fsp) && !cava_stream_is_file(fsp)) {
		return cava_stream_openat(handle, dirfsp, smb_fname, fsp, how);
	}
	pathref_fd = fsp_get_pathref_fd(fsp);
	if (pathref_fd != -1) {
		if (!S_ISREG(fsp->fsp_name->st.st_ex_mode)) {
			return SMB_VFS_NEXT_OPENAT(handle, dirfsp, smb_fname,
						   fsp, how);
		}
		ret = cava_gate_open(cava, fsp, pathref_fd, &opened);
	}
	if (ret != 0) {
		errno = ret;
		return -1;
	}
	if ((how->flags & O_ACCMODE) == O_RDONLY) {
		fd = SMB_VFS_NEXT_OPENAT(handle, dirfsp, smb_fname, fsp, how);
	} else {
		fd = cava_open_unblocked(handle, dirfsp, smb_fname, fsp, how);
	}
	if (fd == -1) {
		return -1;
	}
	cava_stream_carried(cava, fsp, fd);
	if (!fsp_is_alternate_stream(fsp)) {
		opened.made = pathref_fd == -1 && (how->flags & O_EXCL) != 0;
		opened.ident = cava_told(cava, pathref_fd);
	}
	cava_was_opened(cava, fsp, &opened);
	return fd;
}

static int cava_close_fn(struct vfs_handle_struct *handle,
			 struct files_struct *fsp)
{
	struct cava *cava = cava_of(handle);
	struct proto_notice *notice = NULL;
	int saved_errno = 0;
	int ret = 0;

	if (cava != NULL && cava->client != NULL) {
		notice = cava_closing(cava, fsp);
	}
	cava_fetch_end(cava, fsp);
	ret = SMB_VFS_NEXT_CLOSE(handle, fsp);
	saved_errno = errno;
	cava_closed(cava, notice);
	errno = saved_errno;
	return ret;
}

static struct vfs_fn_pointers cava_fns = {
	.fs_capabilities_fn = cava_fs_capabilities_fn,
	.connect_fn = cava_connect_fn,
	.disconnect_fn = cava_disconnect_fn,
	.create_file_fn = cava_create_file_fn,
	.openat_fn = cava_openat_fn,
	.close_fn = cava_close_fn,
	.pread_fn = cava_pread_fn,
	.pread_send_fn = cava_pread_send_fn,
	.pread_recv_fn = cava_pread_recv_fn,
	.sendfile_fn = cava_sendfile_fn,
	.pwrite_fn = cava_pwrite_fn,
	.pwrite_send_fn = cava_pwrite_send_fn,
	.pwrite_recv_fn = cava_pwrite_recv_fn,
	.recvfile_fn = cava_recvfile_fn,
	.ftruncate_fn = cava_ftruncate_fn,
	.fallocate_fn = cava_fallocate_fn,
	.offload_read_send_fn = cava_offload_read_send_fn,
	.offload_read_recv_fn = cava_offload_read_recv_fn,
	.offload_write_send_fn = cava_offload_write_send_fn,
	.renameat_fn = cava_renameat_fn,
	.linkat_fn = cava_linkat_fn,
	.unlinkat_fn = cava_unlinkat_fn,
	.mkdirat_fn = cava_mkdirat_fn,
	.symlinkat_fn = cava_symlinkat_fn,
	.mknodat_fn = cava_mknodat_fn,
	.fsctl_fn = cava_fsctl_fn,
	.fset_nt_acl_fn = cava_fset_nt_acl_fn,
	.fset_dos_attributes_fn = cava_fset_dos_attributes_fn,
	.fchmod_fn = cava_fchmod_fn,
	.fchown_fn = cava_fchown_fn,
	.fntimes_fn = cava_fntimes_fn,
	.sys_acl_set_fd_fn = cava_sys_acl_set_fd_fn,
	.fgetxattr_fn = cava_fgetxattr_fn,
	.fsetxattr_fn = cava_fsetxattr_fn,
	.fremovexattr_fn = cava_fremovexattr_fn,
	.durable_disconnect_fn = cava_durable_disconnect_fn,
	.durable_reconnect_fn = cava_durable_reconnect_fn,
	.fstat_fn = cava_fstat_fn,
	.stat_fn = cava_stat_fn,
	.lstat_fn = cava_lstat_fn,
	.fstatat_fn = cava_fstatat_fn,
	.chdir_fn = cava_chdir_fn,
	.realpath_fn = cava_realpath_fn,
	.fdopendir_fn = cava_fdopendir_fn,
	.readdir_fn = cava_readdir_fn,
	.file_id_create_fn = cava_file_id_create_fn,
};

static_decl_vfs;
_PUBLIC_ NTSTATUS vfs_cava_init(TALLOC_CTX *ctx)
{
	const char *running = samba_version_string();

	if (strcmp(running, CAVA_BUILT_FOR) != 0) {
		DBG_ERR("cava: built for Samba %s, this is %s; the module "
			"is not loaded: build it again on this host\n",
			CAVA_BUILT_FOR, running);
		return NT_STATUS_REVISION_MISMATCH;
	}
	return smb_register_vfs(SMB_VFS_INTERFACE_VERSION, "cava", &cava_fns);
}
