/*
 * Role check: the share CHECK$, through which antivirus servers read.
 *
 * The law is cavad's (check.h there) and is asked at run time, at tree
 * connect and before the content of any open can be read: which account,
 * from which address, which inode. With cavad away the answer is no. The
 * question waits in poll(), at most CHECK_WAIT: this smbd serves one
 * scanner and nobody else.
 *
 * What an account may ask for it can read whatever its rights on the file:
 * the hooks run as root (vfs_cava.c), never `admin users`, since that would
 * lift the share's other limits too. Nothing can be changed here; the share
 * is read only and the module refuses again.
 *
 * A listing shows the names with a scan outstanding, and the directories
 * that lead to one. Opens for attributes alone show no content and are not
 * asked about.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#define CHECK_WAIT 2000		/* ms */

/* Sets CHECK$'s share modes, locks and leases apart from the clients'. */
#define CAVA_CHECK_EXTID 0x4341564143484b24ULL	/* "CAVACHK$" */

/* Strings are on talloc_tos(). */
static struct proto_check check_question(struct cava *cava,
					 enum proto_what what)
{
	const struct auth_session_info *info =
		cava->handle->conn->session_info;
	struct proto_check check = {
		.what = what,
		.sid = "",
		.account = cava_user(cava),
		.addr = cava->client_addr,
		.server_addr = cava->server_addr,
		.path = "",
	};
	struct dom_sid_buf sid;

	if (info == NULL || info->security_token == NULL ||
	    info->security_token->num_sids == 0) {
		return check;
	}
	check.sid = talloc_strdup(talloc_tos(),
			dom_sid_str_buf(&info->security_token->sids[0], &sid));
	if (check.sid == NULL) {
		check.sid = "";
	}
	if (info->info != NULL) {
		check.local = strequal(info->info->domain_name,
				       get_global_sam_name());
	}
	return check;
}

static int check_ask(struct cava *cava, const struct proto_check *check,
		     const char *what)
{
	struct proto_check_answer answer = { .allowed = 0, .reason = "" };
	int ret = client_check(cava->client, talloc_tos(), CHECK_WAIT, check,
			       &answer);

	if (ret != 0) {
		DBG_ERR("cava: refused %s to %s at %s: cavad does not "
			"answer: %s\n", what, check->account, check->addr,
			strerror(ret));
		return EACCES;
	}
	if (!answer.allowed) {
		DBG_ERR("cava: refused %s to %s at %s: %s\n", what,
			check->account, check->addr, answer.reason);
		return EACCES;
	}
	return 0;
}

int cava_check_tree(struct cava *cava)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_check check = check_question(cava, PROTO_WHAT_TREE);
	int ret = check_ask(cava, &check,
			    lp_const_servicename(SNUM(cava->handle->conn)));

	TALLOC_FREE(frame);
	return ret;
}

/*
 * The path is the one that was asked for, not where the descriptor's file is
 * by now: directories may be renamed under us.
 */
int cava_check_open(struct cava *cava, struct files_struct *fsp, int fd)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_check check = check_question(cava, PROTO_WHAT_OPEN);
	int ret = ident_of_fd(fd, &check.ident);

	if (ret == 0) {
		check.path = talloc_asprintf(frame, "%s/%s",
					     fsp->conn->connectpath,
					     fsp->fsp_name->base_name);
		ret = check.path == NULL ? ENOMEM : 0;
	}
	if (ret == 0) {
		ret = check_ask(cava, &check, check.path);
	}
	TALLOC_FREE(frame);
	return ret == 0 ? 0 : EACCES;
}

void cava_check_list(struct cava *cava, int dirfd)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_check check = check_question(cava, PROTO_WHAT_LIST);
	char *names = NULL;
	int ret = 0;

	TALLOC_FREE(cava->listing);
	check.path = cava_fd_path(frame, dirfd);
	ret = client_check_names(cava->client, frame, CHECK_WAIT, &check,
				 &names);
	if (ret == 0) {
		cava->listing = talloc_steal(cava, names);
	}
	TALLOC_FREE(frame);
}

bool cava_check_listed(struct cava *cava, const char *name)
{
	size_t len = strlen(name);
	const char *p = cava->listing;

	if (ISDOT(name) || ISDOTDOT(name)) {
		return true;
	}
	while (p != NULL && *p != '\0') {
		const char *end = strchrnul(p, '\n');

		if ((size_t)(end - p) == len && memcmp(p, name, len) == 0) {
			return true;
		}
		p = *end == '\0' ? end : end + 1;
	}
	return false;
}

/* Only reading, only what exists. */
NTSTATUS cava_check_create(uint32_t access_mask, uint32_t disposition)
{
	const uint32_t change = FILE_WRITE_DATA | FILE_APPEND_DATA |
		FILE_WRITE_EA | FILE_WRITE_ATTRIBUTES | FILE_DELETE_CHILD |
		SEC_STD_DELETE | SEC_STD_WRITE_DAC | SEC_STD_WRITE_OWNER |
		SEC_GENERIC_WRITE | SEC_GENERIC_ALL;

	if ((access_mask & change) != 0) {
		return NT_STATUS_ACCESS_DENIED;
	}
	if (disposition != FILE_OPEN && disposition != FILE_OPEN_IF) {
		return NT_STATUS_ACCESS_DENIED;
	}
	return NT_STATUS_OK;
}

int cava_check_openat(struct vfs_handle_struct *handle,
		      const struct files_struct *dirfsp,
		      const struct smb_filename *smb_fname,
		      struct files_struct *fsp,
		      const struct vfs_open_how *how)
{
	struct cava *cava = cava_of(handle);
	struct vfs_open_how safe = *how;
	int saved_errno = 0;
	int fd = -1;
	bool content = (how->flags & (O_PATH | O_DIRECTORY)) == 0 &&
		!fsp->fsp_flags.is_pathref && !fsp->fsp_flags.is_directory;

	if (content && !S_ISREG(fsp->fsp_name->st.st_ex_mode)) {
		errno = EACCES;	/* opening a device or pipe is an act */
		return -1;
	}
	if (content) {
		safe.flags |= O_NONBLOCK | O_NOATIME;
	}
	become_root();
	fd = SMB_VFS_NEXT_OPENAT(handle, dirfsp, smb_fname, fsp, &safe);
	saved_errno = errno;
	unbecome_root();
	errno = saved_errno;
	if (fd == -1 || !content) {
		return fd;
	}
	saved_errno = cava_check_open(cava, fsp, fd);
	if (saved_errno != 0) {
		close(fd);
		errno = saved_errno;
		return -1;
	}
	return fd;
}

/* --- role check: as root, apart from the clients, pending names only --- */

#define CAVA_AS_ROOT(cava, call) do { \
	int saved_errno_ = 0; \
	if (!cava_is_check(cava)) { \
		call; \
		break; \
	} \
	become_root(); \
	call; \
	saved_errno_ = errno; \
	unbecome_root(); \
	errno = saved_errno_; \
} while (0)

int cava_stat_fn(struct vfs_handle_struct *handle,
		 struct smb_filename *smb_fname)
{
	int ret = -1;

	CAVA_AS_ROOT(cava_of(handle),
		     ret = SMB_VFS_NEXT_STAT(handle, smb_fname));
	return ret;
}

int cava_lstat_fn(struct vfs_handle_struct *handle,
		  struct smb_filename *smb_fname)
{
	int ret = -1;

	CAVA_AS_ROOT(cava_of(handle),
		     ret = SMB_VFS_NEXT_LSTAT(handle, smb_fname));
	return ret;
}

int cava_fstatat_fn(struct vfs_handle_struct *handle,
		    const struct files_struct *dirfsp,
		    const struct smb_filename *smb_fname,
		    SMB_STRUCT_STAT *sbuf, int flags)
{
	int ret = -1;

	CAVA_AS_ROOT(cava_of(handle),
		     ret = SMB_VFS_NEXT_FSTATAT(handle, dirfsp, smb_fname,
						sbuf, flags));
	return ret;
}

int cava_chdir_fn(struct vfs_handle_struct *handle,
		  const struct smb_filename *smb_fname)
{
	int ret = -1;

	CAVA_AS_ROOT(cava_of(handle),
		     ret = SMB_VFS_NEXT_CHDIR(handle, smb_fname));
	return ret;
}

struct smb_filename *cava_realpath_fn(struct vfs_handle_struct *handle,
				      TALLOC_CTX *mem_ctx,
				      const struct smb_filename *name)
{
	struct smb_filename *result = NULL;

	CAVA_AS_ROOT(cava_of(handle),
		     result = SMB_VFS_NEXT_REALPATH(handle, mem_ctx, name));
	return result;
}

DIR *cava_fdopendir_fn(struct vfs_handle_struct *handle,
		       struct files_struct *fsp, const char *mask,
		       uint32_t attr)
{
	struct cava *cava = cava_of(handle);

	if (cava_is_check(cava)) {
		cava_check_list(cava, fsp_get_pathref_fd(fsp));
	}
	return SMB_VFS_NEXT_FDOPENDIR(handle, fsp, mask, attr);
}

struct dirent *cava_readdir_fn(struct vfs_handle_struct *handle,
			       struct files_struct *dirfsp, DIR *dirp,
			       SMB_STRUCT_STAT *sbuf)
{
	struct cava *cava = cava_of(handle);
	struct dirent *entry = NULL;
	bool listed = true;

	do {
		CAVA_AS_ROOT(cava, entry = SMB_VFS_NEXT_READDIR(
				     handle, dirfsp, dirp, sbuf));
		if (entry != NULL && cava_is_check(cava)) {
			listed = cava_check_listed(cava, entry->d_name);
		}
	} while (entry != NULL && !listed);
	return entry;
}

struct file_id cava_file_id_create_fn(struct vfs_handle_struct *handle,
				      const SMB_STRUCT_STAT *sbuf)
{
	struct file_id id = SMB_VFS_NEXT_FILE_ID_CREATE(handle, sbuf);

	if (cava_is_check(cava_of(handle))) {
		id.extid ^= CAVA_CHECK_EXTID;
	}
	return id;
}
