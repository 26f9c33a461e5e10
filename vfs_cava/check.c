/*
 * Role check: the share CHECK$, through which antivirus servers read.
 *
 * The law is cavad's (check.h there) and is asked at run time, at tree
 * connect and at each open: which account, from which address, which inode,
 * to do what. With cavad away the answer is no. The question waits in
 * poll(), at most CHECK_WAIT: this smbd serves one scanner and nobody else.
 *
 * What an account may ask for it can read whatever its rights on the file:
 * the hooks run as root (vfs_cava.c), never `admin users`, since that would
 * lift the share's other limits too. A change is a question of its own, and
 * clean.c.
 *
 *   open for           is asked as
 *   content            OPEN, when there is a descriptor to be read
 *   attributes         LOOK: every AVVendor account may
 *   a directory        LOOK; its descriptor shows no ACL, no watch on it
 *                      ever sees a change, and a listing has the names with
 *                      a scan outstanding and those that lead to one
 *   an ACL, EAs        META: of the files whose content may be read
 *   a change           CHANGE; nothing is ever made, and nothing is changed
 *                      but regular files
 *
 * An account is asked about once more, each second, by who reads on a handle
 * that is open.
 *
 * Refused whoever asks: SMB1 (other ways to the same files), connects that
 * smbd makes for its RPC services, server-side copies, and other FSCTLs.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#define CHECK_WAIT 2000		/* ms */
#define CHECK_HANDLES 1024	/* open at a time in a tree connect */
#define CHECK_LINES 20		/* of the log in a minute of a flood */
#define CHECK_LEASE_SLEEP 5	/* ms */

/*
 * Sets CHECK$'s share modes, locks and leases apart from the clients', but
 * for a repair (clean.c).
 */
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

/* cavad counts them all, and raises an event. */
static void check_log(const struct proto_check *check, const char *what,
		      const char *why)
{
	static time_t minute;
	static unsigned int refused;
	time_t now = time_mono(NULL) / 60;

	if (now != minute) {
		if (refused > CHECK_LINES) {
			DBG_ERR("cava: and %u more refusals\n",
				refused - CHECK_LINES);
		}
		minute = now;
		refused = 0;
	}
	refused++;
	if (refused <= CHECK_LINES) {
		DBG_ERR("cava: refused %s to %s at %s: %s\n", cava_shown(what),
			check->account, check->addr, cava_shown(why));
	}
}

static int check_ask(struct cava *cava, const struct proto_check *check,
		     const char *what)
{
	struct proto_check_answer answer = { .allowed = 0, .reason = "" };
	int ret = client_check(cava->client, talloc_tos(), CHECK_WAIT, check,
			       &answer);

	if (ret != 0) {
		TALLOC_CTX *frame = talloc_stackframe();
		const char *why = talloc_asprintf(
			frame, "cavad does not answer: %s", strerror(ret));

		check_log(check, what, why == NULL ? "" : why);
		TALLOC_FREE(frame);
		return EACCES;
	}
	if (!answer.allowed) {
		check_log(check, what, answer.reason);
		return EACCES;
	}
	return 0;
}

void cava_check_refuse(struct cava *cava, const char *why)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_check check = check_question(cava, PROTO_WHAT_REFUSED);

	check.path = why;
	(void)check_ask(cava, &check, "it");
	TALLOC_FREE(frame);
}

/* smbd's own connects have no client, and no address to be asked about. */
static const char *check_protocol(const struct connection_struct *conn)
{
	const struct smbXsrv_client *client = conn->sconn->client;

	if (client == NULL || client->connections == NULL) {
		return "an RPC service of smbd, by which files may not be "
		       "reached";
	}
	if (client->connections->protocol < PROTOCOL_SMB2_02) {
		return "SMB1, by which files may not be reached; let the "
		       "server speak SMB2 or later";
	}
	return NULL;
}

int cava_check_tree(struct cava *cava)
{
	TALLOC_CTX *frame = talloc_stackframe();
	const struct connection_struct *conn = cava->handle->conn;
	const char *why = check_protocol(conn);
	struct proto_check check = check_question(cava, why == NULL ?
						  PROTO_WHAT_TREE :
						  PROTO_WHAT_REFUSED);
	int ret = 0;

	if (why != NULL) {
		check.path = why;
	}
	ret = check_ask(cava, &check, lp_const_servicename(SNUM(conn)));
	TALLOC_FREE(frame);
	return ret;
}

int cava_check_still(struct cava *cava)
{
	TALLOC_CTX *frame = NULL;
	struct proto_check_answer answer = { .allowed = 0, .reason = "" };
	struct proto_check check;
	time_t now = time_mono(NULL);
	int ret = 0;

	if (now == cava->still) {
		return cava->revoked ? EACCES : 0;
	}
	cava->still = now;
	frame = talloc_stackframe();
	check = check_question(cava, PROTO_WHAT_TREE);
	ret = client_check(cava->client, frame, CHECK_WAIT, &check, &answer);
	if (ret == 0) {
		cava->revoked = !answer.allowed;
	}
	if (ret == 0 && cava->revoked) {
		check_log(&check, "reads by a handle that is open",
			  answer.reason);
	}
	TALLOC_FREE(frame);
	return cava->revoked ? EACCES : 0;
}

const char *cava_check_target(struct cava *cava, const char *alias)
{
	struct proto_check check = check_question(cava, PROTO_WHAT_ALIAS);
	char *path = NULL;
	int ret = 0;

	check.path = alias;
	ret = client_check_names(cava->client, talloc_tos(), CHECK_WAIT,
				 &check, &path);
	return ret == 0 && path[0] == '/' ? path : NULL;
}

int cava_check_ident(struct cava *cava, enum proto_what what,
		     const struct ident *ident, const char *path)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_check check = check_question(cava, what);
	int ret = 0;

	if (ident != NULL) {
		check.ident = *ident;
	}
	check.path = path;
	ret = check_ask(cava, &check, path);
	TALLOC_FREE(frame);
	return ret == 0 ? 0 : EACCES;
}

int cava_check_fd(struct cava *cava, enum proto_what what, int fd,
		  const char *path)
{
	struct ident ident;
	int ret = fd == -1 ? 0 : ident_of_fd(fd, &ident);

	if (ret != 0) {
		return EACCES;
	}
	return cava_check_ident(cava, what, fd == -1 ? NULL : &ident, path);
}

/*
 * The path is the one that was asked for, not where the descriptor's file is
 * by now: directories may be renamed under us.
 */
static int check_named(struct cava *cava, enum proto_what what,
		       const struct ident *ident,
		       const struct smb_filename *name)
{
	TALLOC_CTX *frame = talloc_stackframe();
	const char *path = talloc_asprintf(
		frame, "%s/%s", cava->handle->conn->connectpath,
		name->base_name);
	int ret = path == NULL ? EACCES :
		  cava_check_ident(cava, what, ident, path);

	TALLOC_FREE(frame);
	return ret;
}

static int check_name(struct cava *cava, enum proto_what what, int fd,
		      const struct smb_filename *name)
{
	struct ident ident;
	int ret = fd == -1 ? 0 : ident_of_fd(fd, &ident);

	if (ret != 0) {
		return EACCES;
	}
	return check_named(cava, what, fd == -1 ? NULL : &ident, name);
}

/*
 * As the account first, which can look at most of what there is: to become
 * root and back takes smbd 24 system calls. Within create_file we are root.
 */
#define CAVA_AS_ROOT(cava, failed, call) do { \
	int saved_errno_ = 0; \
	call; \
	if (!(failed) || !cava_is_check(cava) || \
	    (errno != EACCES && errno != EPERM)) { \
		break; \
	} \
	become_root(); \
	call; \
	saved_errno_ = errno; \
	unbecome_root(); \
	errno = saved_errno_; \
} while (0)

/* --- opens --- */

#define CHECK_CONTENT (FILE_READ_DATA | FILE_EXECUTE)
#define CHECK_PROPERTIES (SEC_STD_READ_CONTROL | FILE_READ_EA)
#define CHECK_CHANGE (FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA | \
		      FILE_WRITE_ATTRIBUTES | SEC_STD_DELETE)
#define CHECK_NEVER (FILE_DELETE_CHILD | SEC_STD_WRITE_DAC | \
		     SEC_STD_WRITE_OWNER | SEC_FLAG_SYSTEM_SECURITY)

/* The most that is allowed here is to read; root would get more. */
static uint32_t check_mask(uint32_t mask)
{
	const struct generic_mapping mapping = {
		.generic_read = FILE_GENERIC_READ,
		.generic_write = FILE_GENERIC_WRITE,
		.generic_execute = FILE_GENERIC_EXECUTE,
		.generic_all = FILE_GENERIC_ALL,
	};

	if ((mask & SEC_FLAG_MAXIMUM_ALLOWED) != 0) {
		mask &= ~SEC_FLAG_MAXIMUM_ALLOWED;
		mask |= SEC_GENERIC_READ | SEC_GENERIC_EXECUTE;
	}
	se_map_generic(&mask, &mapping);
	return mask;
}

/* Only what exists. CREATE stays, and is refused. */
static uint32_t check_disposition(uint32_t disposition)
{
	switch (disposition) {
	case FILE_OPEN_IF:
		return FILE_OPEN;
	case FILE_OVERWRITE_IF:
	case FILE_SUPERSEDE:
		return FILE_OVERWRITE;
	default:
		return disposition;
	}
}

/* 0 or EACCES. fd: O_PATH, of what is there. */
static int check_open_file(struct cava *cava,
			   const struct smb_filename *name, int fd,
			   uint32_t mask, bool change)
{
	enum proto_what what = PROTO_WHAT_LOOK;

	if (change) {
		what = PROTO_WHAT_CHANGE;
	} else if ((mask & CHECK_CONTENT) != 0) {
		return 0;	/* asked in openat */
	} else if ((mask & CHECK_PROPERTIES) != 0) {
		what = PROTO_WHAT_META;
	}
	return check_name(cava, what, fd, name);
}

NTSTATUS cava_check_create(struct cava *cava,
			   const struct smb_filename *name, uint32_t options,
			   uint32_t *access_mask, uint32_t *disposition,
			   struct cava_create *create)
{
	uint32_t mask = check_mask(*access_mask);
	int fd = name->fsp == NULL ? -1 : fsp_get_pathref_fd(name->fsp);
	bool change = false;
	bool directory = fd != -1 && S_ISDIR(name->st.st_ex_mode);
	int ret = 0;

	if (cava->handle->conn->num_files_open >= CHECK_HANDLES) {
		cava_check_refuse(cava, "one more open: a scanner has no use "
				  "for so many at a time in a connection");
		return NT_STATUS_TOO_MANY_OPENED_FILES;
	}
	*disposition = check_disposition(*disposition);
	change = (mask & CHECK_CHANGE) != 0 || *disposition != FILE_OPEN ||
		(options & FILE_DELETE_ON_CLOSE) != 0;
	if ((mask & CHECK_NEVER) != 0 || *disposition == FILE_CREATE ||
	    (change && (directory || (fd != -1 &&
				       !S_ISREG(name->st.st_ex_mode))))) {
		cava_check_refuse(cava, "to make something, to change a "
				  "directory, or to see or change who may "
				  "use a file: no scanner needs that");
		return NT_STATUS_ACCESS_DENIED;
	}
	if (directory || fd == -1) {
		mask &= ~CHECK_PROPERTIES;
		ret = check_name(cava, PROTO_WHAT_LOOK, fd, name);
	} else {
		ret = check_open_file(cava, name, fd, mask, change);
	}
	if (ret != 0) {
		return NT_STATUS_ACCESS_DENIED;
	}
	if (fd == -1) {		/* it is not there, and is not made */
		mask &= ~CHECK_CHANGE;
		*disposition = FILE_OPEN;
		change = false;
	}
	*access_mask = mask;
	create->change = change;
	create->common = change && cava_clean_common(cava, name, mask);
	return NT_STATUS_OK;
}

/*
 * What changes below a directory is nobody's business here: a watch is there
 * already, which sees nothing, and a client's joins it.
 */
void cava_check_created(struct cava *cava, struct files_struct *fsp)
{
	if (cava->create->common) {
		cava_clean_opened(cava, fsp);
	}
	if (fsp->fsp_flags.is_directory && fsp->notify == NULL) {
		(void)change_notify_create(fsp, 0, 0, false);
	}
}

/* --- listings --- */

static void check_list(struct cava *cava, struct files_struct *fsp)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_check check = check_question(cava, PROTO_WHAT_LIST);
	struct cava_file *file = cava_file_make(cava, fsp);
	char *names = NULL;
	int ret = ENOMEM;

	check.path = cava_fd_path(frame, fsp_get_pathref_fd(fsp));
	if (file != NULL) {
		TALLOC_FREE(file->listing);
		ret = client_check_names(cava->client, frame, CHECK_WAIT,
					 &check, &names);
	}
	if (ret == 0) {
		file->listing = talloc_steal(cava, names);
	}
	TALLOC_FREE(frame);
}

static bool check_listed(const struct cava_file *file, const char *name)
{
	size_t len = strlen(name);
	const char *p = file == NULL ? NULL : file->listing;

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

/* The lock of the scan, which cavad takes off for a repair. */
static int check_openat_unlocked(struct vfs_handle_struct *handle,
			     const struct files_struct *dirfsp,
			     const struct smb_filename *smb_fname,
			     struct files_struct *fsp,
			     const struct vfs_open_how *how)
{
	struct timeval end = timeval_current_ofs_msec(CHECK_WAIT);
	int fd = -1;

	while (true) {
		fd = SMB_VFS_NEXT_OPENAT(handle, dirfsp, smb_fname, fsp, how);
		if (fd != -1 || errno != EAGAIN) {
			return fd;
		}
		if (timeval_expired(&end)) {
			return -1;
		}
		smb_msleep(CHECK_LEASE_SLEEP);
	}
}

/*
 * smbd opens names as O_PATH first, and content by what that gave it. What
 * it would open otherwise is none of a scanner's doings.
 */
static int check_openat_alias(struct cava *cava,
			      const struct smb_filename *name,
			      struct files_struct *fsp)
{
	if (!fsp->fsp_flags.is_pathref) {
		errno = EACCES;
		return -1;
	}
	fsp->fsp_flags.have_proc_fds = fsp->conn->have_proc_fds;
	return cava_alias_open(cava, name->base_name);
}

int cava_check_openat(struct vfs_handle_struct *handle,
		      const struct files_struct *dirfsp,
		      const struct smb_filename *smb_fname,
		      struct files_struct *fsp,
		      const struct vfs_open_how *how)
{
	struct cava *cava = cava_of(handle);
	struct vfs_open_how safe = *how;
	struct ident ident;
	int ret = 0;
	int fd = -1;
	bool content = (how->flags & (O_PATH | O_DIRECTORY)) == 0 &&
		!fsp->fsp_flags.is_pathref && !fsp->fsp_flags.is_directory;
	bool writes = content && (how->flags & O_ACCMODE) != O_RDONLY;

	if (fsp_is_alternate_stream(fsp)) {
		return cava_check_stream_openat(handle, fsp, how);
	}
	if (content && !S_ISREG(fsp->fsp_name->st.st_ex_mode)) {
		/* opening a device or pipe is an act */
		cava_check_refuse(cava, "what is no regular file");
		errno = EACCES;
		return -1;
	}
	if (writes && (cava->create == NULL || !cava->create->change)) {
		errno = EACCES;
		return -1;
	}
	if (content) {
		safe.flags |= O_NONBLOCK | O_NOATIME;
	}
	if (cava_is_alias(cava, dirfsp, smb_fname->base_name)) {
		return check_openat_alias(cava, smb_fname, fsp);
	}
	CAVA_AS_ROOT(cava, fd == -1,
		     fd = check_openat_unlocked(handle, dirfsp, smb_fname,
						fsp, &safe));
	if (fd == -1 && errno == EAGAIN) {
		errno = EACCES;		/* nothing here is parked */
	}
	if (fd == -1 || !content || (how->flags & O_ACCMODE) == O_WRONLY) {
		return fd;
	}
	ret = ident_of_fd(fd, &ident) == 0 ?
	      check_named(cava, PROTO_WHAT_OPEN, &ident, fsp->fsp_name) :
	      EACCES;
	if (ret != 0) {
		close(fd);
		errno = ret;
		return -1;
	}
	cava_fetch_begin(cava, fsp, &ident);
	return fd;
}

/* --- role check: as root, apart from the clients, pending names only --- */

int cava_stat_fn(struct vfs_handle_struct *handle,
		 struct smb_filename *smb_fname)
{
	int ret = -1;

	if (cava_is_check(cava_of(handle)) && is_named_stream(smb_fname)) {
		return cava_check_stream_stat(handle, smb_fname);
	}
	if (cava_is_check(cava_of(handle)) &&
	    cava_is_alias(cava_of(handle), NULL, smb_fname->base_name)) {
		return cava_alias_stat(cava_of(handle), smb_fname->base_name,
				       &smb_fname->st);
	}
	CAVA_AS_ROOT(cava_of(handle), ret == -1,
		     ret = SMB_VFS_NEXT_STAT(handle, smb_fname));
	if (ret == 0) {
		cava_worm_show_name(cava_of(handle), AT_FDCWD,
				    smb_fname->base_name, true,
				    &smb_fname->st);
	}
	return ret;
}

int cava_lstat_fn(struct vfs_handle_struct *handle,
		  struct smb_filename *smb_fname)
{
	int ret = -1;

	if (cava_is_check(cava_of(handle)) &&
	    cava_is_alias(cava_of(handle), NULL, smb_fname->base_name)) {
		return cava_alias_stat(cava_of(handle), smb_fname->base_name,
				       &smb_fname->st);
	}
	CAVA_AS_ROOT(cava_of(handle), ret == -1,
		     ret = SMB_VFS_NEXT_LSTAT(handle, smb_fname));
	if (ret == 0) {
		cava_worm_show_name(cava_of(handle), AT_FDCWD,
				    smb_fname->base_name, false,
				    &smb_fname->st);
	}
	return ret;
}

int cava_fstatat_fn(struct vfs_handle_struct *handle,
		    const struct files_struct *dirfsp,
		    const struct smb_filename *smb_fname,
		    SMB_STRUCT_STAT *sbuf, int flags)
{
	int ret = -1;

	if (cava_is_check(cava_of(handle)) &&
	    cava_is_alias(cava_of(handle), dirfsp,
			  smb_fname->base_name)) {
		return cava_alias_stat(cava_of(handle), smb_fname->base_name,
				       sbuf);
	}
	CAVA_AS_ROOT(cava_of(handle), ret == -1,
		     ret = SMB_VFS_NEXT_FSTATAT(handle, dirfsp, smb_fname,
						sbuf, flags));
	if (ret == 0) {
		cava_worm_show_name(cava_of(handle),
				    fsp_get_pathref_fd(dirfsp),
				    smb_fname->base_name,
				    (flags & AT_SYMLINK_NOFOLLOW) == 0, sbuf);
	}
	return ret;
}

int cava_chdir_fn(struct vfs_handle_struct *handle,
		  const struct smb_filename *smb_fname)
{
	int ret = -1;

	CAVA_AS_ROOT(cava_of(handle), ret == -1,
		     ret = SMB_VFS_NEXT_CHDIR(handle, smb_fname));
	return ret;
}

struct smb_filename *cava_realpath_fn(struct vfs_handle_struct *handle,
				      TALLOC_CTX *mem_ctx,
				      const struct smb_filename *name)
{
	struct smb_filename *result = NULL;

	CAVA_AS_ROOT(cava_of(handle), result == NULL,
		     result = SMB_VFS_NEXT_REALPATH(handle, mem_ctx, name));
	return result;
}

DIR *cava_fdopendir_fn(struct vfs_handle_struct *handle,
		       struct files_struct *fsp, const char *mask,
		       uint32_t attr)
{
	struct cava *cava = cava_of(handle);

	if (cava_is_check(cava)) {
		check_list(cava, fsp);
	}
	return SMB_VFS_NEXT_FDOPENDIR(handle, fsp, mask, attr);
}

struct dirent *cava_readdir_fn(struct vfs_handle_struct *handle,
			       struct files_struct *dirfsp, DIR *dirp
			       COMPAT_READDIR_STAT)
{
	struct cava *cava = cava_of(handle);
	struct dirent *entry = NULL;
	bool listed = true;

	if (!cava_is_check(cava)) {
		return COMPAT_NEXT_READDIR(handle, dirfsp, dirp, sbuf);
	}
	do {
		become_root();		/* it looks at what it finds */
		entry = COMPAT_NEXT_READDIR(handle, dirfsp, dirp, sbuf);
		unbecome_root();
		listed = entry == NULL ||
			 check_listed(cava_file_fetch(cava, dirfsp),
				      entry->d_name);
	} while (!listed);
	return entry;
}

struct file_id cava_file_id_create_fn(struct vfs_handle_struct *handle,
				      const SMB_STRUCT_STAT *sbuf)
{
	struct cava *cava = cava_of(handle);
	struct file_id id = SMB_VFS_NEXT_FILE_ID_CREATE(handle, sbuf);
	bool common = false;

	if (!cava_is_check(cava)) {
		return id;
	}
	common = cava->create != NULL && cava->create->common;
	if (!common && !cava_clean_is_open(cava, sbuf)) {
		id.extid ^= CAVA_CHECK_EXTID;
	}
	return id;
}
