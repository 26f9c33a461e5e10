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

static bool notice_fill(struct cava *cava, TALLOC_CTX *mem_ctx, int fd,
			enum proto_kind kind, struct proto_notice *notice)
{
	int ret = 0;

	*notice = (struct proto_notice) {
		.kind = kind,
		.path = cava_fd_path(mem_ctx, fd),
		.user = talloc_strdup(mem_ctx, cava_user(cava)),
		.client = cava->client_addr,
	};
	ret = ident_of_fd(fd, &notice->ident);
	if (ret != 0) {
		DBG_ERR("cava: %s cannot be identified: %s; it was written "
			"and no scan follows\n", notice->path, strerror(ret));
		return false;
	}
	if (notice->user == NULL) {
		notice->user = "";
	}
	return true;
}

/* client_notice() has put it into the spool, or has said what was lost. */
static void notice_send(struct cava *cava, const struct proto_notice *notice)
{
	(void)client_notice(cava->client, notice);
}

static void notice_remove_record(int fd)
{
	struct verdict v;
	int ret = verdict_read(fd, &v);

	if (ret == ENODATA || (ret == 0 && v.result == VERDICT_INFECTED)) {
		return;
	}
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
	ok = notice_fill(cava, frame, fsp_get_io_fd(file->fsp),
			 PROTO_KIND_WILL_WRITE, &notice);
	if (ok) {
		notice_send(cava, &notice);
	}
	TALLOC_FREE(frame);
}

static void notice_announce(struct tevent_context *ev,
			    struct tevent_immediate *im, void *private_data)
{
	struct cava *cava = talloc_get_type_abort(private_data, struct cava);
	struct cava_file *file = NULL;

	for (file = cava->written; file != NULL; file = file->next) {
		if (fsp_get_io_fd(file->fsp) != -1) {	/* not closing */
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

	if (!cava->filter.enabled || !cava_is_content(fsp)) {
		return;
	}
	file = cava_file_make(cava, fsp);
	if (file == NULL) {
		DBG_ERR("cava: out of memory; %s is written and no scan "
			"follows\n", fsp_str_dbg(fsp));
		return;
	}
	if (!file->own) {
		file->cleared = false;
	}
	if (!file->modified) {
		file->modified = true;
		DLIST_ADD(cava->written, file);
		notice_remove_record(fsp_get_io_fd(fsp));
		notice_will_write(file);
		return;
	}
	(void)client_connect(cava->client);	/* is cavad back? */
	if (file->told != cava->generation) {
		notice_will_write(file);
	}
}

void cava_written(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_fetch(cava, fsp);
	int ret = 0;

	if (file == NULL || !file->own) {
		return;
	}
	ret = content_of_fd(fsp_get_io_fd(fsp), &file->content);
	if (ret != 0 || !notice_exclusive(file, fsp)) {
		file->own = false;
		file->cleared = false;
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
	file->cleared = true;
	file->alone = (share_access & FILE_SHARE_WRITE) == 0;
	cava_written(cava, fsp);
}

struct proto_notice *cava_closing(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_fetch(cava, fsp);
	struct proto_notice *notice = NULL;
	int fd = fsp_get_pathref_fd(fsp);
	bool ok = false;

	if (file == NULL || !file->modified || fd == -1) {
		return NULL;
	}
	notice = talloc_zero(talloc_tos(), struct proto_notice);
	if (notice == NULL) {
		return NULL;	/* WILL_WRITE is still owed */
	}
	ok = notice_fill(cava, notice, fd, PROTO_KIND_CLOSE, notice);
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

void cava_renamed(struct cava *cava, struct files_struct *dirfsp,
		  const struct smb_filename *atname)
{
	TALLOC_CTX *frame = NULL;
	struct proto_notice notice;
	struct stat st;
	int saved_errno = errno;
	int dirfd = fsp_get_pathref_fd(dirfsp);
	int fd = -1;
	int ret = -1;

	if (!cava->filter.enabled || is_named_stream(atname)) {
		return;
	}
	fd = openat(dirfd == -1 ? AT_FDCWD : dirfd, atname->base_name,
		    O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1) {
		errno = saved_errno;
		return;		/* renamed on, or gone: not ours now */
	}
	ret = fstat(fd, &st);
	if (ret == 0 && S_ISREG(st.st_mode)) {
		bool ok = false;

		frame = talloc_stackframe();
		ok = notice_fill(cava, frame, fd, PROTO_KIND_RENAME,
				 &notice);
		if (ok) {
			notice_send(cava, &notice);
		}
		TALLOC_FREE(frame);
	}
	close(fd);
	errno = saved_errno;
}
