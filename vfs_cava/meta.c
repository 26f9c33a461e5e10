/*
 * Metadata: an operation that changes no content keeps the verdict.
 *
 * ACLs, attributes, times, owner and extended attributes move ctime, and so
 * void the record. Around each such operation on a file whose record is
 * current we hold a read lease: nobody has the file open for writing then,
 * so what moved was the operation. cavad is told both pictures (RESTAMP) and
 * writes the record anew.
 *
 * 1. The lease stays META_HOLD ms after the operation, until the clock that
 *    stamps files has certainly moved on: what somebody writes later has
 *    another ctime than the picture.
 * 2. Clients send several operations in a row, faster than cavad writes. A
 *    file that still is what the last RESTAMP left counts as current.
 * 3. No lease to be had (somebody writes; no leases here): the record is
 *    stale, and the file is scanned once more. So it is when a RESTAMP is
 *    lost.
 * 4. Operations call each other (an NT ACL sets a mode and an attribute):
 *    only the outermost is looked at.
 * 5. What was written through the handle is scanned after its close, and
 *    what it made has no record.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#define META_HOLD 20		/* ms */

struct meta {
	bool counted;		/* in cava->meta_depth */
	bool active;
	int fd;			/* of fsp, may be O_PATH */
	int lease;		/* descriptor that holds it */
	struct ident ident;
	struct content before;
};

/* The lease of a descriptor, and a timer that ends it. */
struct meta_hold {
	int fd;
};

static bool meta_is_current(struct cava *cava, struct meta *m)
{
	struct verdict v;
	enum verdict_state state = VERDICT_STATE_NONE;
	size_t i = 0;
	int ret = verdict_read(m->fd, &v);

	if (ret == 0) {
		ret = content_of_fd(m->fd, &m->before);
	}
	if (ret == 0) {
		ret = ident_of_fd(m->fd, &m->ident);
	}
	if (ret != 0) {
		return false;
	}
	state = verdict_state(&v, &m->before, 0);
	if (state == VERDICT_STATE_CLEAN || state == VERDICT_STATE_INFECTED ||
	    state == VERDICT_STATE_UNSCANNABLE) {
		return true;
	}
	for (i = 0; i < CAVA_RESTAMPS; i++) {
		const struct cava_restamp *r = &cava->restamps[i];

		if (content_equal(&r->after, &m->before) &&
		    ident_equal(&r->ident, &m->ident)) {
			return true;	/* rule 2 */
		}
	}
	return false;
}

/* As root. -1: none. A break of it must not end smbd: SIGURG is ignored. */
static int meta_lease(int fd)
{
	char path[32];
	int lease = -1;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	lease = open(path, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (lease == -1) {
		return -1;
	}
	ret = fcntl(lease, F_SETSIG, SIGURG);
	if (ret == 0) {
		ret = fcntl(lease, F_SETLEASE, F_RDLCK);
	}
	if (ret != 0) {
		close(lease);
		return -1;
	}
	return lease;
}

static void meta_begin(struct cava *cava, struct files_struct *fsp,
		       struct meta *m)
{
	const struct cava_file *file = NULL;
	struct content now;
	int ret = 0;

	*m = (struct meta) { .fd = -1, .lease = -1 };
	if (!cava_on(cava)) {
		return;
	}
	m->counted = true;
	if (cava->meta_depth++ > 0) {
		return;
	}
	m->fd = fsp_get_pathref_fd(fsp);
	if (m->fd == -1 || fsp->fsp_flags.is_directory ||
	    fsp_is_alternate_stream(fsp) ||
	    !S_ISREG(fsp->fsp_name->st.st_ex_mode)) {
		return;
	}
	file = cava_file_fetch(cava, fsp);
	if (file != NULL && (file->modified || file->made)) {
		return;		/* rule 5 */
	}
	if (!meta_is_current(cava, m)) {
		return;
	}
	become_root();
	m->lease = meta_lease(m->fd);
	unbecome_root();
	if (m->lease == -1) {
		return;		/* rule 3 */
	}
	ret = content_of_fd(m->fd, &now);
	m->active = ret == 0 && content_equal(&now, &m->before);
}

static int meta_hold_destructor(struct meta_hold *hold)
{
	close(hold->fd);
	return 0;
}

static void meta_hold_end(struct tevent_context *ev, struct tevent_timer *te,
			  struct timeval now, void *private_data)
{
	talloc_free(private_data);
}

/* Rule 1. */
static void meta_hold(struct cava *cava, int fd)
{
	struct meta_hold *hold = talloc_zero(cava, struct meta_hold);
	struct tevent_timer *te = NULL;

	if (hold == NULL) {
		close(fd);
		return;
	}
	hold->fd = fd;
	talloc_set_destructor(hold, meta_hold_destructor);
	te = tevent_add_timer(cava->handle->conn->sconn->ev_ctx, hold,
			      timeval_current_ofs_msec(META_HOLD),
			      meta_hold_end, hold);
	if (te == NULL) {
		talloc_free(hold);
	}
}

static void meta_tell(struct cava *cava, const struct meta *m,
		      const struct content *after)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_restamp restamp = {
		.ident = m->ident,
		.path = cava_fd_path(frame, m->fd),
		.before = m->before,
		.after = *after,
	};

	client_restamp(cava->client, &restamp);
	cava->restamps[cava->restamp] = (struct cava_restamp) {
		.ident = m->ident,
		.after = *after,
	};
	cava->restamp = (cava->restamp + 1) % CAVA_RESTAMPS;
	TALLOC_FREE(frame);
}

static void meta_end(struct cava *cava, struct meta *m)
{
	int saved_errno = errno;
	struct content after;
	int ret = 0;

	if (!m->counted) {
		return;
	}
	cava->meta_depth--;
	if (!m->active) {
		if (m->lease != -1) {
			close(m->lease);
		}
		errno = saved_errno;
		return;
	}
	ret = content_of_fd(m->fd, &after);
	if (ret != 0 || content_equal(&after, &m->before)) {
		close(m->lease);
	} else {
		meta_tell(cava, m, &after);
		meta_hold(cava, m->lease);
	}
	errno = saved_errno;
}

#define META(handle, fsp, call) do { \
	struct cava *cava_ = cava_of(handle); \
	struct meta meta_; \
	meta_begin(cava_, fsp, &meta_); \
	call; \
	meta_end(cava_, &meta_); \
} while (0)

NTSTATUS cava_fset_nt_acl_fn(struct vfs_handle_struct *handle,
			     struct files_struct *fsp, uint32_t sent,
			     const struct security_descriptor *sd)
{
	NTSTATUS status;

	META(handle, fsp, status = SMB_VFS_NEXT_FSET_NT_ACL(handle, fsp, sent,
							    sd));
	return status;
}

NTSTATUS cava_fset_dos_attributes_fn(struct vfs_handle_struct *handle,
				     struct files_struct *fsp,
				     uint32_t attributes)
{
	NTSTATUS status;

	META(handle, fsp, status = SMB_VFS_NEXT_FSET_DOS_ATTRIBUTES(
		     handle, fsp, attributes));
	return status;
}

int cava_fchmod_fn(struct vfs_handle_struct *handle,
		   struct files_struct *fsp, mode_t mode)
{
	int ret = -1;

	META(handle, fsp, ret = SMB_VFS_NEXT_FCHMOD(handle, fsp, mode));
	return ret;
}

int cava_fchown_fn(struct vfs_handle_struct *handle,
		   struct files_struct *fsp, uid_t uid, gid_t gid)
{
	int ret = -1;

	META(handle, fsp, ret = SMB_VFS_NEXT_FCHOWN(handle, fsp, uid, gid));
	return ret;
}

int cava_fntimes_fn(struct vfs_handle_struct *handle,
		    struct files_struct *fsp, struct smb_file_time *ft)
{
	int ret = -1;

	META(handle, fsp, ret = SMB_VFS_NEXT_FNTIMES(handle, fsp, ft));
	return ret;
}

int cava_sys_acl_set_fd_fn(struct vfs_handle_struct *handle,
			   struct files_struct *fsp, SMB_ACL_TYPE_T type,
			   SMB_ACL_T acl)
{
	int ret = -1;

	META(handle, fsp, ret = SMB_VFS_NEXT_SYS_ACL_SET_FD(handle, fsp, type,
							    acl));
	return ret;
}

int cava_fsetxattr_fn(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, const char *name,
		      const void *value, size_t size, int flags)
{
	int ret = -1;

	cava_stream_set(cava_of(handle), fsp, name, value, size);
	META(handle, fsp, ret = SMB_VFS_NEXT_FSETXATTR(handle, fsp, name,
						       value, size, flags));
	if (ret == 0) {
		cava_stream_was_set(cava_of(handle), fsp, name, value, size);
	}
	return ret;
}

int cava_fremovexattr_fn(struct vfs_handle_struct *handle,
			 struct files_struct *fsp, const char *name)
{
	int ret = -1;

	META(handle, fsp, ret = SMB_VFS_NEXT_FREMOVEXATTR(handle, fsp, name));
	return ret;
}
