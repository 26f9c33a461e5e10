/*
 * Notices: content was or will be changed, a scan is owed.
 *
 * One-way, no round trip; the client keeps each until cavad has it on disk,
 * or puts it into the spool. The first modification through a handle
 * removes a record that is not infected (an infected one sticks: changed
 * or not, the file is readable only after a new clean verdict) and says
 * WILL_WRITE, so that a crashed smbd or a lost close still ends in a scan.
 * cavad knows by connection who writes. A connection that was lost or made
 * is another generation: every handle that wrote says WILL_WRITE once more
 * when one is lost, and again before its first write in each.
 *
 * What the filter leaves out (filter.c) is marked and not told; once it was
 * said that a handle writes, its close is told whatever the filter says by
 * then.
 *
 * Reading back without a scan is for a handle that made or emptied the file,
 * while nobody else can have written: own content. That holds as long as
 * the share mode or an exclusive oplock or lease keeps other writers out,
 * and the content is still what our own last write left.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include <sys/xattr.h>

/* No other SMB handle can write while we hold this one. */
static bool notice_exclusive(const struct cava_file *file,
			     struct files_struct *fsp)
{
	if (file->alone) {
		return true;
	}
	if (fsp->oplock_type == LEASE_OPLOCK) {
		return (fsp_lease_type(fsp) & SMB2_LEASE_WRITE) != 0;
	}
	return EXCLUSIVE_OPLOCK_TYPE(fsp->oplock_type);
}

/*
 * To ask the kernel is dear. Of a file that the handle has made smbd's name
 * will do: there is no link in it. It may become stale, and is a hint where
 * files can be opened by their handle.
 */
static const char *notice_path(TALLOC_CTX *mem_ctx, struct cava *cava,
			       const struct cava_file *file, int fd,
			       const struct ident *ident)
{
	const char *root = cava->handle->conn->connectpath;
	const char *path = NULL;

	if (file == NULL || !file->made || ident->handle_len == 0 ||
	    cava->renames) {
		return cava_fd_path(mem_ctx, fd);
	}
	path = talloc_asprintf(mem_ctx, "%s/%s",
			       strcmp(root, "/") == 0 ? "" : root,
			       file->fsp->fsp_name->base_name);
	return path == NULL ? "" : path;
}

/* file: that of the handle, or NULL; .user is on talloc_tos(). */
static bool notice_fill(struct cava *cava, TALLOC_CTX *mem_ctx,
			struct cava_file *file, int fd, enum proto_kind kind,
			struct proto_notice *notice)
{
	int ret = 0;

	*notice = (struct proto_notice) {
		.kind = kind,
		.user = cava_user(cava),
		.client = cava->client_addr,
	};
	ret = cava_ident(file, fd, &notice->ident);
	notice->path = notice_path(mem_ctx, cava, file, fd, &notice->ident);
	if (ret != 0) {
		DBG_ERR("cava: %s cannot be identified: %s; it was written "
			"and no scan follows\n", cava_shown(notice->path),
			strerror(ret));
		return false;
	}
	return true;
}

/* client_notice() has put it into the spool, or has said what was lost. */
static void notice_send(struct cava *cava, const struct proto_notice *notice)
{
	(void)client_notice(cava->client, notice);
}

/*
 * Is a scan owed after this operation? `result`: what the record says, for
 * no rule holds for what is infected. A file that the handle made has one
 * only if others were quick; while a scan is owed anyway it does not count,
 * since there was nothing in the file and its size changes.
 */
static struct filter_decision notice_decide(struct cava *cava, int fd,
					    bool made,
					    enum filter_operation operation,
					    enum verdict_result *result)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct filter_facts facts = {
		.operation = operation,
		.written = true,
	};
	struct filter_decision d;
	struct verdict v;
	int ret = made ? ENODATA : verdict_read(fd, &v);

	*result = ret == 0 ? v.result :
		  ret == ENODATA ? VERDICT_NONE : VERDICT_FAILED;
	if (ret == 0 && v.result == VERDICT_INFECTED) {
		facts.state = VERDICT_STATE_WAS_INFECTED;
	}
	facts.tiered = operation == FILTER_RENAME && tiered_of_fd(fd);
	cava_filter_facts(cava, fd, &facts);
	d = filter_decide(&cava->filter, &facts);
	TALLOC_FREE(frame);
	if (made && d.action != FILTER_NOTIFY) {
		return notice_decide(cava, fd, false, operation, result);
	}
	return d;
}

static bool notice_is_left_out(enum verdict_reason reason)
{
	return reason == VERDICT_REASON_EXTENSION ||
		reason == VERDICT_REASON_PATH ||
		reason == VERDICT_REASON_PROFILE ||
		reason == VERDICT_REASON_DISABLED;
}

static void notice_remove_record(int fd)
{
	/* If it cannot be removed, the change of mtime and ctime voids it. */
	become_root();
	(void)fremovexattr(fd, VERDICT_XATTR);
	unbecome_root();
}

static void notice_will_write(struct cava_file *file)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct cava *cava = file->cava;
	struct proto_notice notice;
	bool ok = false;

	/* first: while it is sent, the connection may turn out to be lost */
	file->told = cava->generation;
	ok = notice_fill(cava, frame, file, cava_fd(file->fsp),
			 PROTO_KIND_WILL_WRITE, &notice);
	if (ok) {
		notice_send(cava, &notice);
		file->announced = true;
	}
	TALLOC_FREE(frame);
}

/* What is left out is marked, and nobody is told. */
static void notice_first_write(struct cava_file *file)
{
	int fd = cava_fd(file->fsp);
	enum verdict_result result = VERDICT_NONE;
	struct filter_decision d = notice_decide(file->cava, fd, file->made,
						 FILTER_CLOSE, &result);

	if (result != VERDICT_INFECTED) {
		if (notice_is_left_out(d.reason)) {
			(void)cava_mark(fd, d.reason);
		} else if (result != VERDICT_NONE) {
			notice_remove_record(fd);
		}
	}
	file->told = file->cava->generation;
	if (d.action == FILTER_NOTIFY) {
		notice_will_write(file);
	}
}

static void notice_announce(struct tevent_context *ev,
			    struct tevent_immediate *im, void *private_data)
{
	struct cava *cava = talloc_get_type_abort(private_data, struct cava);
	struct cava_file *file = NULL;

	for (file = cava->written; file != NULL; file = file->next) {
		if (!file->announced ||
		    fsp_get_io_fd(file->fsp) == -1) {	/* closing */
			continue;
		}
		if (file->stream != NULL) {
			cava_stream_will_write(file);
		} else {
			notice_will_write(file);
		}
	}
}

/* The client is in the middle of something: say it later. */
void cava_announce(struct cava *cava, bool up)
{
	cava->generation++;
	if (up || cava->written == NULL) {
		return;
	}
	if (cava->announce == NULL) {
		cava->announce = tevent_create_immediate(cava);
	}
	if (cava->announce != NULL) {
		tevent_schedule_immediate(cava->announce,
					  cava->handle->conn->sconn->ev_ctx,
					  notice_announce, cava);
	}
}

void cava_will_write(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = NULL;

	if (!cava_is_content(fsp)) {
		return;
	}
	file = cava_file_make(cava, fsp);
	if (file == NULL) {
		DBG_ERR("cava: out of memory; %s is written and no scan "
			"follows\n", fsp_str_dbg(fsp));
		return;
	}
	if (!file->own) {
		file->cleared = 0;
	}
	if (!file->modified) {
		file->modified = true;
		DLIST_ADD(cava->written, file);
		notice_first_write(file);
		return;
	}
	(void)client_connect(cava->client);	/* is cavad back? */
	if (file->announced && file->told != cava->generation) {
		notice_will_write(file);
	}
}

bool cava_repairs(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_make(cava, fsp);
	int fd = fsp_get_io_fd(fsp);
	struct verdict v;
	int ret = 0;

	if (file == NULL) {
		DBG_ERR("cava: out of memory; %s is repaired and no scan "
			"follows\n", fsp_str_dbg(fsp));
		return false;
	}
	if (file->modified) {
		if (file->told != cava->generation) {
			notice_will_write(file);
		}
		return false;
	}
	file->modified = true;
	DLIST_ADD(cava->written, file);
	ret = verdict_read(fd, &v);
	if (ret != ENODATA && (ret != 0 || v.result != VERDICT_INFECTED)) {
		notice_remove_record(fd);
	}
	notice_will_write(file);
	return true;
}

void cava_written(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_fetch(cava, fsp);
	int ret = EBUSY;

	if (file == NULL || !file->own) {
		return;
	}
	if (notice_exclusive(file, fsp)) {
		ret = content_of_fd(cava_fd(fsp), &file->content);
	}
	if (ret != 0) {
		file->own = false;
		file->cleared = 0;
	}
}

void cava_writing(struct cava *cava, struct files_struct *fsp, int change)
{
	struct cava_file *file = cava_file_fetch(cava, fsp);

	if (file != NULL && (change > 0 || file->writing > 0)) {
		file->writing += change;
	}
}

void cava_emptied(struct cava *cava, struct files_struct *fsp,
		  uint32_t share_access)
{
	struct cava_file *file = NULL;

	if (!cava->filter.enabled || !cava_is_content(fsp)) {
		return;
	}
	file = cava_file_make(cava, fsp);
	if (file == NULL) {
		return;
	}
	file->own = true;
	file->cleared = cava->filter_number;
	file->alone = (share_access & FILE_SHARE_WRITE) == 0;
	cava_written(cava, fsp);
}

struct proto_notice *cava_closing(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_fetch(cava, fsp);
	struct proto_notice *notice = NULL;
	enum verdict_result result = VERDICT_NONE;
	struct filter_decision d;
	int fd = fsp_get_pathref_fd(fsp);
	bool ok = false;

	if (file == NULL || !file->modified || fd == -1) {
		return NULL;
	}
	if (file->stream != NULL) {
		return cava_stream_closing(file);
	}
	if (fsp_is_alternate_stream(fsp)) {
		fd = cava_fd(fsp);
	}
	if (!file->announced) {
		d = notice_decide(cava, fd, false, FILTER_CLOSE, &result);
		if (d.action != FILTER_NOTIFY) {
			cava_count(cava, fd, d.reason);
			return NULL;
		}
	}
	notice = talloc_zero(talloc_tos(), struct proto_notice);
	if (notice == NULL) {
		return NULL;	/* WILL_WRITE is still owed */
	}
	ok = notice_fill(cava, notice, file, fd, PROTO_KIND_CLOSE, notice);
	if (!ok) {
		TALLOC_FREE(notice);
	}
	return notice;
}

void cava_closed(struct cava *cava, struct proto_notice *notice)
{
	if (notice == NULL) {
		return;
	}
	notice_send(cava, notice);
	TALLOC_FREE(notice);
}

void cava_tell_renamed(struct cava *cava, int fd)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_notice notice;
	bool ok = notice_fill(cava, frame, NULL, fd, PROTO_KIND_RENAME,
			      &notice);

	if (ok) {
		notice_send(cava, &notice);
	}
	TALLOC_FREE(frame);
}

static void notice_renamed(struct cava *cava, int fd)
{
	enum verdict_result result = VERDICT_NONE;
	struct filter_decision d = notice_decide(cava, fd, false,
						 FILTER_RENAME, &result);

	if (d.action != FILTER_NOTIFY) {
		cava_count(cava, fd, d.reason);
		return;
	}
	cava_tell_renamed(cava, fd);
}

/*
 * The modules below may have another name for it (catia, cap): it is they
 * who open it. A descriptor of the caller's, O_PATH, or -1.
 */
static int notice_open(struct cava *cava, struct files_struct *dirfsp,
		       const struct smb_filename *atname)
{
	struct vfs_handle_struct *handle = cava->handle;
	struct vfs_open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
	};
	struct smb_filename *name = NULL;
	struct files_struct *fsp = NULL;
	NTSTATUS status;
	int fd = -1;
	int copy = -1;

	name = full_path_from_dirfsp_atname(talloc_tos(), dirfsp, atname);
	if (name == NULL) {
		return -1;
	}
	status = create_internal_fsp(handle->conn, name, &fsp);
	TALLOC_FREE(name);
	if (!NT_STATUS_IS_OK(status)) {
		return -1;
	}
	fsp->fsp_flags.is_pathref = true;
	fd = SMB_VFS_NEXT_OPENAT(handle, dirfsp, atname, fsp, &how);
	if (fd != -1) {
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		fsp_set_fd(fsp, fd);
		(void)SMB_VFS_NEXT_CLOSE(handle, fsp);
		fsp_set_fd(fsp, -1);
	}
	file_free(NULL, fsp);
	return copy;
}

void cava_renamed(struct cava *cava, struct files_struct *dirfsp,
		  const struct smb_filename *atname)
{
	struct stat st;
	int saved_errno = errno;
	int fd = -1;
	int ret = -1;

	if (!cava->filter.enabled || is_named_stream(atname)) {
		return;
	}
	fd = notice_open(cava, dirfsp, atname);
	if (fd == -1) {
		errno = saved_errno;
		return;		/* renamed on, or gone: not ours now */
	}
	ret = fstat(fd, &st);
	if (ret == 0 && S_ISREG(st.st_mode)) {
		notice_renamed(cava, fd);
	}
	close(fd);
	errno = saved_errno;
}
