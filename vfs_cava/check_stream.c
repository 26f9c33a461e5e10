/*
 * Role check: named streams, below CHECK$ FILE:TOKEN (common/stream.h).
 *
 * No module for streams is there, and no share's settings for them: the
 * attribute whose token it is is read as root, and what is opened is a copy
 * of it in memory. cavad is asked about the bytes of that copy, so that what
 * it lets a scanner judge is what it means.
 *
 * Nothing about a stream can be changed here, nor are streams listed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include "common/digest.h"

#define CHECK_STREAM_TYPE ":$DATA"

/* ":token" or ":token:$DATA"; false: it is none of ours. */
static bool stream_token_of(const struct smb_filename *name,
			    char token[STREAM_TOKEN_MAX])
{
	const char *start = name->stream_name + 1;
	size_t len = strlen(start);
	size_t type = strlen(CHECK_STREAM_TYPE);

	if (len > type &&
	    strcasecmp_m(start + len - type, CHECK_STREAM_TYPE) == 0) {
		len -= type;
	}
	if (len == 0 || len >= STREAM_TOKEN_MAX) {
		return false;
	}
	memcpy(token, start, len);
	token[len] = '\0';
	return true;
}

/* On talloc_tos(). 0 or errno. */
static int stream_load(int fd, const struct smb_filename *name,
		       uint8_t **value, size_t *len)
{
	char token[STREAM_TOKEN_MAX];
	char attribute[STREAM_NAME_MAX];
	bool ours = stream_token_of(name, token);
	int ret = 0;

	*value = talloc_array(talloc_tos(), uint8_t, STREAM_VALUE_MAX);
	if (*value == NULL) {
		return ENOMEM;
	}
	become_root();
	ret = ours ? stream_find(fd, token, NULL, attribute) : ENODATA;
	if (ret == 0) {
		ret = stream_read(fd, attribute, *value, len);
	}
	unbecome_root();
	return ret == ENODATA ? ENOENT : ret;
}

/* The file's, but for what is the stream's own. */
static void stream_stat(const struct smb_filename *name, uint64_t size,
			SMB_STRUCT_STAT *st)
{
	char token[STREAM_TOKEN_MAX] = "";
	uint64_t halves[2];

	(void)stream_token_of(name, token);
	digest_halves(token, strlen(token), halves);
	st->st_ex_ino ^= halves[0];
	st->st_ex_mode &= ~S_IFMT;
	st->st_ex_mode |= S_IFREG;
	st->st_ex_size = size;
	st->st_ex_blocks = size / 512 + 1;
}

/* O_PATH; -1 and errno. */
static int stream_open_file(struct cava *cava, const char *name)
{
	int saved_errno = 0;
	int fd = -1;

	if (cava_is_alias(cava, NULL, name)) {
		return cava_alias_open(cava, name);
	}
	become_root();
	fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	saved_errno = errno;
	unbecome_root();
	errno = saved_errno;
	return fd;
}

int cava_check_stream_stat(struct vfs_handle_struct *handle,
			   struct smb_filename *name)
{
	TALLOC_CTX *frame = talloc_stackframe();
	char *stream_name = name->stream_name;
	struct content content = { .size = 0 };
	uint8_t *value = NULL;
	size_t len = 0;
	int fd = -1;
	int ret = -1;

	name->stream_name = NULL;
	ret = SMB_VFS_STAT(handle->conn, name);		/* cava_stat_fn() */
	name->stream_name = stream_name;
	if (ret == 0) {
		fd = stream_open_file(cava_of(handle), name->base_name);
	}
	ret = fd == -1 ? errno : 0;
	if (ret == 0) {
		ret = stream_load(fd, name, &value, &len);
		close(fd);
	}
	if (ret == 0) {
		stream_content(value, len, &content);
		stream_stat(name, content.size, &name->st);
	}
	TALLOC_FREE(frame);
	errno = ret;
	return ret == 0 ? 0 : -1;
}

int cava_check_stream_fstat(struct vfs_handle_struct *handle,
			    struct files_struct *fsp, SMB_STRUCT_STAT *sbuf)
{
	struct stat st;
	int ret = fstat(fsp_get_pathref_fd(fsp), &st);

	if (ret == 0) {
		ret = SMB_VFS_NEXT_FSTAT(handle, fsp->base_fsp, sbuf);
	}
	if (ret == 0) {
		stream_stat(fsp->fsp_name, st.st_size, sbuf);
	}
	return ret;
}

/* 0, or EACCES: may these bytes be read? */
static int stream_ask(struct cava *cava, int fd,
		      const struct smb_filename *name,
		      const struct content *content, struct ident *ident)
{
	char token[STREAM_TOKEN_MAX] = "";
	struct ident bytes;
	const char *path = NULL;
	int ret = ident_of_fd(fd, ident);

	if (ret != 0) {
		return EACCES;
	}
	stream_result_key(content, &bytes);
	strlcpy(ident->stream, bytes.stream, sizeof(ident->stream));
	(void)stream_token_of(name, token);
	path = talloc_asprintf(talloc_tos(), "%s/%s:%s",
			       cava->handle->conn->connectpath,
			       name->base_name, token);
	if (path == NULL) {
		return EACCES;
	}
	return cava_check_ident(cava, PROTO_WHAT_OPEN, ident, path);
}

/* The path is the one that was asked for, as in check.c. */
int cava_check_stream_openat(struct vfs_handle_struct *handle,
			     struct files_struct *fsp,
			     const struct vfs_open_how *how)
{
	TALLOC_CTX *frame = talloc_stackframe();
	int base_fd = fsp_get_pathref_fd(fsp->base_fsp);
	struct content content;
	struct ident ident;
	uint8_t *value = NULL;
	size_t len = 0;
	int fd = -1;
	int ret = 0;

	if ((how->flags & O_ACCMODE) != O_RDONLY ||
	    (how->flags & (O_CREAT | O_TRUNC)) != 0) {
		ret = EACCES;
	}
	if (ret == 0) {
		ret = stream_load(base_fd, fsp->fsp_name, &value, &len);
	}
	if (ret == 0 && !fsp->fsp_flags.is_pathref) {
		stream_content(value, len, &content);
		ret = stream_ask(cava_of(handle), base_fd, fsp->fsp_name,
				 &content, &ident);
		if (ret == 0) {
			cava_fetch_begin(cava_of(handle), fsp, &ident);
		}
	}
	if (ret == 0) {
		ret = stream_memory(value, len, &fd);
	}
	TALLOC_FREE(frame);
	errno = ret;
	return fd;
}

uint32_t cava_fs_capabilities_fn(struct vfs_handle_struct *handle,
				 enum timestamp_set_resolution *resolution)
{
	uint32_t flags = SMB_VFS_NEXT_FS_CAPABILITIES(handle, resolution);

	return cava_is_check(cava_of(handle)) ? flags | FILE_NAMED_STREAMS :
		flags;
}
