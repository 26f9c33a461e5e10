/*
 * Role check: aliases, for names that SMB cannot carry.
 *
 * Such a file is asked for by a name in the root of CHECK$ that cavad has
 * made up for one question (PROTO_ALIAS...). Each time it is used here,
 * cavad says which path it stands for, and that is opened below the root of
 * the share with no link in between. Whether it may be read is asked as
 * ever, by what was opened.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include <linux/openat2.h>
#include <sys/syscall.h>

/* smbd changes into directories, or has them open. */
static bool alias_is_root(struct cava *cava, const struct files_struct *dir)
{
	int fd = dir == NULL ? -1 : fsp_get_pathref_fd(dir);
	struct stat here, root;
	int ret = -1;

	become_root();
	ret = fstatat(fd == -1 ? AT_FDCWD : fd, "", &here, AT_EMPTY_PATH);
	if (ret == 0) {
		ret = stat(cava->handle->conn->connectpath, &root);
	}
	unbecome_root();
	return ret == 0 && here.st_dev == root.st_dev &&
		here.st_ino == root.st_ino;
}

bool cava_is_alias(struct cava *cava, const struct files_struct *dir,
		   const char *name)
{
	return strnequal(name, PROTO_ALIAS, strlen(PROTO_ALIAS)) &&
		strchr(name, '/') == NULL && alias_is_root(cava, dir);
}

/* Below the root, without a slash in front; on talloc_tos(). Or NULL. */
static const char *alias_path(struct cava *cava, const char *name)
{
	const char *root = cava->handle->conn->connectpath;
	size_t len = strlen(root);
	const char *alias = NULL;
	const char *path = NULL;

	while (len > 0 && root[len - 1] == '/') {
		len--;
	}
	alias = talloc_asprintf(talloc_tos(), "%.*s/%s", (int)len, root,
				name);
	if (alias == NULL) {
		return NULL;
	}
	path = cava_check_target(cava, alias);
	if (path == NULL || strncmp(path, root, len) != 0 ||
	    path[len] != '/' || path[len + 1] == '\0') {
		return NULL;
	}
	return path + len + 1;
}

/* As root. -1 and errno. */
static int alias_openat2(struct cava *cava, const char *path, uint64_t flags)
{
	const struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int root = open(cava->handle->conn->connectpath,
			O_PATH | O_DIRECTORY | O_CLOEXEC);
	int saved_errno = 0;
	int fd = -1;

	if (root == -1) {
		return -1;
	}
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	saved_errno = errno;
	close(root);
	errno = saved_errno;
	return fd;
}

int cava_alias_open(struct cava *cava, const char *name)
{
	const char *path = alias_path(cava, name);
	int saved_errno = ENOENT;
	int fd = -1;

	if (path != NULL) {
		become_root();
		fd = alias_openat2(cava, path, O_PATH | O_NOFOLLOW);
		saved_errno = errno;
		unbecome_root();
	}
	errno = saved_errno;
	return fd;
}

int cava_alias_stat(struct cava *cava, const char *name,
		    SMB_STRUCT_STAT *st)
{
	int saved_errno = 0;
	int ret = -1;
	int fd = cava_alias_open(cava, name);

	if (fd == -1) {
		return -1;
	}
	ret = sys_fstat(fd, st, false);
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return ret;
}

int cava_alias_unlink(struct cava *cava, const char *name)
{
	const char *path = alias_path(cava, name);
	const char *slash = path == NULL ? NULL : strrchr(path, '/');
	const char *dir = ".";
	int saved_errno = ENOENT;
	int ret = -1;
	int fd = -1;

	if (slash != NULL) {
		dir = talloc_strndup(talloc_tos(), path,
				     (size_t)(slash - path));
	}
	if (path != NULL && dir != NULL) {
		fd = alias_openat2(cava, dir, O_PATH | O_DIRECTORY);
		saved_errno = errno;
	}
	if (fd != -1) {
		ret = unlinkat(fd, slash == NULL ? path : slash + 1, 0);
		saved_errno = errno;
		close(fd);
	}
	errno = saved_errno;
	return ret;
}
