/*
 * Named streams that a module below makes of something else.
 *
 *   streams_depot    a stream is a file of its own, with a descriptor: what
 *                    holds for files holds for it, without a line here
 *   fruit            AFP_Resource is the file ._NAME, its carrier: gated,
 *                    told and scanned as that file
 *   streams_xattr    a stream is an attribute of the file: this file
 *
 * Such a module gets and sets the attribute through the whole stack, so that
 * each value comes by here (cava_fgetxattr_fn) in the course of the read that
 * it is for. The bytes are hashed, and their hash is what has a verdict
 * (common/stream.h). So what is handed out is what was scanned, whoever
 * writes when: nothing has to be locked, compared or looked at again. What is
 * clean is remembered, and costs no question.
 *
 * A read of a stream is always synchronous. So an open that may read is
 * parked until there is a verdict (park.c); a read that finds other bytes
 * than the open did waits in poll().
 *
 * Bytes that no attribute or carrier explains are not handed out.
 *
 * Not scanned is the Finder's information of a file (AFP_AfpInfo, 60 bytes):
 * stream.h says why.
 *
 * Writing is stream_write.c's. The verdict of the file itself stays (meta.c).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/gate.h"
#include "vfs_cava/stream.h"

#include <sys/xattr.h>

#define STREAM_ROUNDS 5		/* changes that one read may meet */

/* Of fruit. */
#define STREAM_AFPINFO ":AFP_AfpInfo"
#define STREAM_AFPINFO_SIZE 60
#define STREAM_NETATALK "user.org.netatalk.Metadata"
#define STREAM_APPLEDOUBLE "._"

/* A stream's handle, and the file that has its content: O_PATH. */
struct stream_carrier {
	struct stream_carrier *prev, *next;
	const struct files_struct *fsp;
	int fd;
};

static struct stream_carrier *stream_carriers;

static bool stream_fd_is_file(int fd)
{
	struct stat st;
	int ret = fstat(fd, &st);

	return ret == 0 && S_ISREG(st.st_mode);
}

bool cava_stream_is_file(const struct files_struct *fsp)
{
	return stream_fd_is_file(fsp_get_pathref_fd(fsp));
}

int cava_stream_fd(const struct files_struct *fsp)
{
	const struct stream_carrier *c = NULL;
	int fd = fsp_get_io_fd(fsp);

	for (c = stream_carriers; c != NULL; c = c->next) {
		if (c->fsp == fsp) {
			return c->fd;
		}
	}
	return stream_fd_is_file(fd) ? fd : -1;
}

bool cava_stream_is(const struct files_struct *fsp)
{
	return fsp_is_alternate_stream(fsp) && !fsp->fsp_flags.is_pathref &&
		cava_stream_fd(fsp) == -1;
}

void cava_stream_forget(struct cava_file *file)
{
	struct stream_carrier *c = NULL;
	struct stream_carrier *next = NULL;

	for (c = stream_carriers; c != NULL; c = next) {
		next = c->next;
		if (c->fsp == file->fsp) {
			DLIST_REMOVE(stream_carriers, c);
			close(c->fd);
			talloc_free(c);
		}
	}
	TALLOC_FREE(file->stream);
}

static bool stream_is_appledouble(const struct files_struct *fsp)
{
	const char *name = strrchr_m(fsp->fsp_name->base_name, '/');

	name = name == NULL ? fsp->fsp_name->base_name : name + 1;
	return strncmp(name, STREAM_APPLEDOUBLE,
		       strlen(STREAM_APPLEDOUBLE)) == 0;
}

void cava_stream_carried(struct cava *cava, const struct files_struct *fsp,
			 int fd)
{
	struct cava_stream *op = cava->stream;
	struct stream_carrier *c = NULL;
	struct cava_file *file = NULL;
	char path[32];

	if (op == NULL || op->what != STREAM_OPEN || op->fsp == fsp ||
	    !stream_is_appledouble(fsp) || !stream_fd_is_file(fd)) {
		return;
	}
	file = cava_file_make(cava, op->fsp);	/* forgets it in the end */
	c = talloc_zero(NULL, struct stream_carrier);
	if (file == NULL || c == NULL) {
		talloc_free(c);
		return;		/* nothing explains it then */
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	c->fsp = op->fsp;
	c->fd = open(path, O_PATH | O_CLOEXEC);
	if (c->fd == -1) {
		talloc_free(c);
		return;
	}
	cava_stream_forget(file);
	DLIST_ADD(stream_carriers, c);
}

/* --- what is seen of the modules below --- */

void cava_stream_begin(struct cava *cava, struct files_struct *fsp,
		       enum cava_stream_what what, struct cava_stream *op)
{
	*op = (struct cava_stream) {
		.outer = cava->stream,
		.fsp = fsp,
		.what = what,
	};
	cava->stream = op;
}

void cava_stream_end(struct cava *cava, const struct cava_stream *op)
{
	cava->stream = op->outer;
}

/* smbd keeps things of its own in attributes of a file. */
bool cava_stream_may_hold(const char *attribute)
{
	return strncmp(attribute, "user.", 5) == 0 &&
		strlen(attribute) < STREAM_NAME_MAX &&
		strcmp(attribute, SAMBA_XATTR_DOS_ATTRIB) != 0 &&
		strcmp(attribute, SAMBA_XATTR_MARKER) != 0;
}

static void stream_seen(struct cava_stream *op,
			const struct files_struct *fsp, const char *attribute,
			const uint8_t *value, size_t len)
{
	if (op->fsp == NULL ||
	    (fsp != op->fsp && fsp != op->fsp->base_fsp) ||
	    !cava_stream_may_hold(attribute)) {
		return;
	}
	op->mixed |= op->attribute[0] != '\0' &&
		strcmp(op->attribute, attribute) != 0;
	strlcpy(op->attribute, attribute, sizeof(op->attribute));
	stream_content(value, len, &op->content);
	op->finder_info = stream_is_finder_info(value, len);
}

ssize_t cava_fgetxattr_fn(struct vfs_handle_struct *handle,
			  struct files_struct *fsp, const char *name,
			  void *value, size_t size)
{
	struct cava *cava = cava_of(handle);
	ssize_t ret = SMB_VFS_NEXT_FGETXATTR(handle, fsp, name, value, size);

	if (ret >= 0 && size > 0 && cava != NULL && cava->stream != NULL) {
		stream_seen(cava->stream, fsp, name, value, ret);
	}
	return ret;
}

static int stream_base_fd(const struct files_struct *fsp)
{
	return fsp->base_fsp == NULL ? -1 :
		fsp_get_pathref_fd(fsp->base_fsp);
}

/* A module below us may call it otherwise (catia): then, by its value. */
int cava_stream_ident(int fd, const char *attribute, const struct content *c,
		      struct ident *ident)
{
	char path[32];
	ssize_t size = -1;
	int ret = ident_of_fd(fd, ident);

	if (ret != 0) {
		return ret;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	become_root();
	size = getxattr(path, attribute, NULL, 0);
	if (size != -1) {
		strlcpy(ident->stream, attribute, sizeof(ident->stream));
	} else if (c != NULL) {
		ret = stream_find(fd, NULL, c, ident->stream);
	} else {
		ret = errno;
	}
	unbecome_root();
	return ret;
}

/* --- reading --- */

static struct content *stream_slot(struct cava *cava,
				   const struct content *c)
{
	return &cava->clean[(uint64_t)c->mtime % CAVA_CLEAN];
}

void cava_stream_clean(struct cava *cava, const struct content *c)
{
	if (cava->clean_number != cava->filter_number) {
		memset(cava->clean, 0, sizeof(cava->clean));
		cava->clean_number = cava->filter_number;
	}
	*stream_slot(cava, c) = *c;
}

void cava_stream_cleared(struct cava *cava, struct files_struct *fsp,
			 const struct cava_stream *op)
{
	struct cava_file *file = cava_file_make(cava, fsp);

	if (file != NULL) {
		file->cleared = cava->filter_number;
		file->content = op->content;
	}
}

bool cava_stream_is_netatalk(const struct cava_stream *op,
			     const char *attribute)
{
	const char *name = op->fsp == NULL ? NULL :
		op->fsp->fsp_name->stream_name;
	size_t len = strlen(STREAM_AFPINFO);

	return name != NULL &&
		strncasecmp_m(name, STREAM_AFPINFO, len) == 0 &&
		(name[len] == '\0' || name[len] == ':') &&
		(attribute[0] == '\0' ||
		 strcmp(attribute, STREAM_NETATALK) == 0);
}

bool cava_stream_is_clean(struct cava *cava, const struct cava_stream *op)
{
	const struct cava_file *file = cava_file_fetch(cava, op->fsp);

	if (op->mixed || op->attribute[0] == '\0') {
		return false;
	}
	if (op->finder_info || op->content.size == 0) {
		return true;
	}
	if (cava->clean_number == cava->filter_number &&
	    content_equal(stream_slot(cava, &op->content), &op->content)) {
		return true;
	}
	return file != NULL && file->cleared == cava->filter_number &&
		content_equal(&file->content, &op->content);
}

/* 0, EACCES, or EAGAIN: the stream is another one by now. */
static int stream_gate(struct cava *cava, struct cava_stream *op, ssize_t got)
{
	struct gate g = {
		.cava = cava,
		.fd = stream_base_fd(op->fsp),
		.operation = FILTER_READ,
		.stream = op,
	};
	enum gate_step step = GATE_DENY;
	bool clean = cava_stream_is_clean(cava, op) ||
		(got <= STREAM_AFPINFO_SIZE &&
		 cava_stream_is_netatalk(op, op->attribute));

	if (clean) {
		return 0;
	}
	if (op->mixed || op->attribute[0] == '\0') {
		DBG_ERR("cava: denied %s: what it reads is neither a file nor "
			"an attribute, so it cannot be scanned; see vfs "
			"objects\n", fsp_str_dbg(op->fsp));
		return EACCES;
	}
	step = gate_sync(&g);
	if (step == GATE_GO) {
		cava_stream_cleared(cava, op->fsp, op);
		return 0;
	}
	return g.changed ? EAGAIN : EACCES;
}

ssize_t cava_stream_pread(struct vfs_handle_struct *handle,
			  struct files_struct *fsp, void *data, size_t n,
			  off_t offset)
{
	struct cava *cava = cava_of(handle);
	struct cava_stream op;
	unsigned int rounds = 0;
	ssize_t got = -1;
	int ret = EACCES;

	for (rounds = 0; rounds < STREAM_ROUNDS; rounds++) {
		cava_stream_begin(cava, fsp, STREAM_READ, &op);
		got = SMB_VFS_NEXT_PREAD(handle, fsp, data, n, offset);
		cava_stream_end(cava, &op);
		if (got <= 0) {
			return got;
		}
		ret = stream_gate(cava, &op, got);
		if (ret == 0) {
			return got;
		}
		memset(data, 0, n);
		if (ret != EAGAIN) {
			break;
		}
	}
	errno = EACCES;
	return -1;
}

int cava_stream_openat(struct vfs_handle_struct *handle,
		       const struct files_struct *dirfsp,
		       const struct smb_filename *smb_fname,
		       struct files_struct *fsp,
		       const struct vfs_open_how *how)
{
	struct cava *cava = cava_of(handle);
	struct cava_stream op;
	int ret = 0;
	int fd = -1;

	cava_stream_begin(cava, fsp, STREAM_OPEN, &op);
	fd = SMB_VFS_NEXT_OPENAT(handle, dirfsp, smb_fname, fsp, how);
	cava_stream_end(cava, &op);
	if (fd == -1 || op.mixed || op.attribute[0] == '\0' ||
	    cava_stream_is_netatalk(&op, op.attribute)) {
		return fd;	/* the read will tell */
	}
	ret = cava_gate_open_stream(cava, fsp, stream_base_fd(fsp), &op);
	if (ret == 0) {
		return fd;
	}
	fsp_set_fd(fsp, fd);
	(void)SMB_VFS_NEXT_CLOSE(handle, fsp);
	fsp_set_fd(fsp, -1);
	errno = ret;
	return -1;
}
