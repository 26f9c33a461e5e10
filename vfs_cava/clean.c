/*
 * Role check: a scanner repairs a file (allow_clean).
 *
 * What it may change is what it was asked to scan, and cavad says so (CHANGE,
 * see check.c): at each open for a change, and once more before a file is
 * deleted or renamed. Those two run as root, as the account has no rights of
 * its own. A name is changed within its directory and never put over another
 * file; nothing is made.
 *
 * A handle that may change a file is among those of the clients: who writes
 * the file may keep it to himself, and who has it in his cache is told first.
 * A reader's share mode does not count, for that reader may be waiting for
 * the verdict; then the handle is apart, as every other one of CHECK$ is.
 * smbd asks for the id of a file at the close once more, and must get the
 * same one: cava->repairs.
 *
 * What was done is told to cavad twice: as the notices that any writer would
 * send (a scan of the new content is owed then, whatever the zone's filter
 * says, and the scanner's word that it is clean now is none), and as the
 * line of who did it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/fs.h>

struct cava_repair {
	struct cava_repair *prev, *next;
	struct cava *cava;
	SMB_DEV_T dev;
	SMB_INO_T ino;
};

bool cava_clean_common(struct cava *cava, const struct smb_filename *name,
		       uint32_t access_mask)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct file_id id = SMB_VFS_NEXT_FILE_ID_CREATE(cava->handle,
							&name->st);
	struct share_mode_lock *lock = fetch_share_mode_unlocked(frame, id);
	uint32_t access = 0;
	uint32_t share = FILE_SHARE_READ | FILE_SHARE_WRITE |
			 FILE_SHARE_DELETE;
	uint32_t lease = 0;
	uint32_t needed = 0;

	if (lock != NULL) {
		share_mode_flags_get(lock, &access, &share, &lease);
	}
	TALLOC_FREE(frame);
	if ((access_mask & (FILE_WRITE_DATA | FILE_APPEND_DATA)) != 0) {
		needed |= FILE_SHARE_WRITE;
	}
	if ((access_mask & SEC_STD_DELETE) != 0) {
		needed |= FILE_SHARE_DELETE;
	}
	if ((access & (FILE_WRITE_DATA | FILE_APPEND_DATA)) != 0 ||
	    (lease & SMB2_LEASE_WRITE) != 0) {
		return true;
	}
	return (share & needed) == needed;
}

static int clean_repair_destructor(struct cava_repair *repair)
{
	DLIST_REMOVE(repair->cava->repairs, repair);
	return 0;
}

void cava_clean_opened(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_make(cava, fsp);
	struct cava_repair *repair = NULL;

	if (file == NULL || file->repair != NULL) {
		return;
	}
	repair = talloc_zero(cava, struct cava_repair);
	if (repair == NULL) {
		return;		/* it is not deleted through this handle */
	}
	repair->cava = cava;
	repair->dev = fsp->fsp_name->st.st_ex_dev;
	repair->ino = fsp->fsp_name->st.st_ex_ino;
	DLIST_ADD(cava->repairs, repair);
	talloc_set_destructor(repair, clean_repair_destructor);
	file->repair = repair;
}

bool cava_clean_is_open(const struct cava *cava, const SMB_STRUCT_STAT *st)
{
	const struct cava_repair *repair = NULL;

	for (repair = cava->repairs; repair != NULL; repair = repair->next) {
		if (repair->dev == st->st_ex_dev &&
		    repair->ino == st->st_ex_ino) {
			return true;
		}
	}
	return false;
}

void cava_clean_write(struct cava *cava, struct files_struct *fsp)
{
	int fd = -1;
	bool first = false;

	if (!cava_is_check(cava) || !cava_is_content(fsp)) {
		return;
	}
	first = cava_repairs(cava, fsp);
	if (first) {
		fd = fsp_get_io_fd(fsp);
		(void)cava_check_fd(cava, PROTO_WHAT_WRITTEN, fd,
				    cava_fd_path(talloc_tos(), fd));
	}
}

/* As root. O_PATH, of a regular file that may be changed; -1 and errno. */
static int clean_open(struct cava *cava, struct files_struct *dirfsp,
		      const struct smb_filename *name)
{
	int dirfd = fsp_get_pathref_fd(dirfsp);
	struct stat st;
	int ret = -1;
	int fd = cava_is_alias(cava, dirfsp, name->base_name) ?
		cava_alias_open(cava, name->base_name) :
		openat(dirfd, name->base_name,
		       O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1) {
		return -1;
	}
	ret = fstat(fd, &st);
	if (ret == 0 && S_ISREG(st.st_mode)) {
		ret = cava_check_fd(cava, PROTO_WHAT_CHANGE, fd,
				    cava_fd_path(talloc_tos(), fd));
	} else {
		ret = EACCES;
	}
	if (ret != 0) {
		close(fd);
		errno = ret;
		return -1;
	}
	return fd;
}

static int clean_unlink(struct vfs_handle_struct *handle,
			struct files_struct *dirfsp,
			const struct smb_filename *name, int flags)
{
	struct cava *cava = cava_of(handle);
	const char *path = NULL;
	int saved_errno = 0;
	int ret = -1;
	int fd = clean_open(cava, dirfsp, name);

	if (fd == -1) {
		return -1;
	}
	path = cava_fd_path(talloc_tos(), fd);
	ret = cava_is_alias(cava, dirfsp, name->base_name) ?
		cava_alias_unlink(cava, name->base_name) :
		SMB_VFS_NEXT_UNLINKAT(handle, dirfsp, name, flags);
	saved_errno = errno;
	if (ret == 0) {
		(void)cava_check_fd(cava, PROTO_WHAT_DELETED, fd, path);
	}
	close(fd);
	errno = saved_errno;
	return ret;
}

int cava_unlinkat_fn(struct vfs_handle_struct *handle,
		     struct files_struct *dirfsp,
		     const struct smb_filename *name, int flags)
{
	struct cava *cava = cava_of(handle);
	int saved_errno = EACCES;
	int ret = -1;

	if (!cava_is_check(cava)) {
		return SMB_VFS_NEXT_UNLINKAT(handle, dirfsp, name, flags);
	}
	if ((flags & AT_REMOVEDIR) == 0) {
		become_root();
		ret = clean_unlink(handle, dirfsp, name, flags);
		saved_errno = errno;
		unbecome_root();
	}
	errno = saved_errno;
	return ret;
}

static bool clean_same_directory(struct files_struct *a,
				 struct files_struct *b)
{
	struct stat a_st, b_st;

	return fstat(fsp_get_pathref_fd(a), &a_st) == 0 &&
		fstat(fsp_get_pathref_fd(b), &b_st) == 0 &&
		a_st.st_dev == b_st.st_dev && a_st.st_ino == b_st.st_ino;
}

/* Not the next module's way: that one would replace what is there. */
static int clean_rename(struct cava *cava, struct files_struct *dirfsp,
			const struct smb_filename *src,
			const struct smb_filename *dst)
{
	int dirfd = fsp_get_pathref_fd(dirfsp);
	int saved_errno = 0;
	int ret = -1;
	int fd = clean_open(cava, dirfsp, src);

	if (fd == -1) {
		return -1;
	}
	ret = renameat2(dirfd, src->base_name, dirfd, dst->base_name,
			RENAME_NOREPLACE);
	saved_errno = errno;
	if (ret == 0) {
		cava_tell_renamed(cava, fd);
		(void)cava_check_fd(cava, PROTO_WHAT_RENAMED, fd,
				    cava_fd_path(talloc_tos(), fd));
	}
	close(fd);
	errno = saved_errno;
	return ret;
}

int cava_clean_renameat(struct cava *cava, struct files_struct *src_dirfsp,
			const struct smb_filename *src,
			struct files_struct *dst_dirfsp,
			const struct smb_filename *dst)
{
	int saved_errno = 0;
	int ret = -1;

	if (!clean_same_directory(src_dirfsp, dst_dirfsp) ||
	    cava_is_alias(cava, src_dirfsp, src->base_name)) {
		cava_check_refuse(cava, "a rename to another directory: a "
				  "repaired file stays where it is");
		errno = EACCES;
		return -1;
	}
	become_root();
	ret = clean_rename(cava, src_dirfsp, src, dst);
	saved_errno = errno;
	unbecome_root();
	errno = saved_errno;
	return ret;
}

/* --- never --- */

int cava_mkdirat_fn(struct vfs_handle_struct *handle,
		    struct files_struct *dirfsp,
		    const struct smb_filename *name, mode_t mode)
{
	if (cava_is_check(cava_of(handle))) {
		errno = EACCES;
		return -1;
	}
	return SMB_VFS_NEXT_MKDIRAT(handle, dirfsp, name, mode);
}

int cava_symlinkat_fn(struct vfs_handle_struct *handle,
		      const struct smb_filename *target,
		      struct files_struct *dirfsp,
		      const struct smb_filename *name)
{
	if (cava_is_check(cava_of(handle))) {
		errno = EACCES;
		return -1;
	}
	return SMB_VFS_NEXT_SYMLINKAT(handle, target, dirfsp, name);
}

int cava_mknodat_fn(struct vfs_handle_struct *handle,
		    struct files_struct *dirfsp,
		    const struct smb_filename *name, mode_t mode,
		    SMB_DEV_T dev)
{
	if (cava_is_check(cava_of(handle))) {
		errno = EACCES;
		return -1;
	}
	return SMB_VFS_NEXT_MKNODAT(handle, dirfsp, name, mode, dev);
}

NTSTATUS cava_fsctl_fn(struct vfs_handle_struct *handle,
		       struct files_struct *fsp, TALLOC_CTX *mem_ctx,
		       uint32_t function, uint16_t req_flags,
		       const uint8_t *in_data, uint32_t in_len,
		       uint8_t **out_data, uint32_t max_out_len,
		       uint32_t *out_len)
{
	if (cava_is_check(cava_of(handle))) {
		return NT_STATUS_NOT_SUPPORTED;
	}
	return SMB_VFS_NEXT_FSCTL(handle, fsp, mem_ctx, function, req_flags,
				  in_data, in_len, out_data, max_out_len,
				  out_len);
}
