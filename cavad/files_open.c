/*
 * Opening a file by what it is rather than by what it is called.
 *
 * 1. The path is tried first: openat2() below check_root, no symbolic link
 *    anywhere, no magic link. Without an identity that is all.
 * 2. What was found is compared with the identity. Renames, replaced files
 *    and swapped parent directories all show up here as "another file".
 * 3. Then the kernel's file handle opens the inode, wherever it is now, on
 *    the mount of the nearest directory of the hint that still exists. A
 *    stale handle, or no link left, is a file that is gone.
 * 4. A file opened by handle may have no known name (a cold dentry has no
 *    parent), so its name is a guess until opening that name finds the same
 *    file again: first what the kernel says, then the entries of the hint's
 *    directory. What ends up open is always what the path led to.
 *
 * Everything is O_PATH, which cannot block on a FIFO, wake a device or break
 * a lease; files_reopen() comes after the file is known to be regular.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cavad/files_open.h"
#include "common/tiered.h"

#define OPEN_RACES 4		/* tries against renames going on */
#define OPEN_ENTRIES 100000	/* of a directory that are looked at */

int files_root_open(const char *check_root, struct files_root *root)
{
	char resolved[PATH_MAX] = "";
	size_t len = strlen(check_root);

	while (len > 0 && check_root[len - 1] == '/') {
		len--;
	}
	if (check_root[0] != '/' || len >= sizeof(root->configured)) {
		return EINVAL;
	}
	memcpy(root->configured, check_root, len);
	root->configured[len] = '\0';

	if (realpath(check_root, resolved) == NULL) {
		return errno;
	}
	len = strcmp(resolved, "/") == 0 ? 0 : strlen(resolved);
	memcpy(root->resolved, resolved, len);
	root->resolved[len] = '\0';

	root->fd = open(resolved, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root->fd == -1 ? errno : 0;
}

/* What follows "prefix/" in path, or NULL. */
static const char *path_below(const char *prefix, const char *path)
{
	size_t len = strlen(prefix);

	if (strncmp(prefix, path, len) != 0 || path[len] != '/') {
		return NULL;
	}
	path += len;
	while (*path == '/') {
		path++;
	}
	return *path == '\0' ? NULL : path;
}

static const char *root_relative(const struct files_root *root,
				 const char *path)
{
	const char *rel = path_below(root->resolved, path);

	if (rel == NULL) {
		rel = path_below(root->configured, path);
	}
	return rel;
}

/* 0 or errno. */
static int open_beneath(const struct files_root *root, const char *rel,
			int flags, int *result)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	int tries = 0;
	long fd = -1;

	/* EAGAIN: a rename while ".." was resolved */
	do {
		fd = syscall(SYS_openat2, root->fd, rel, &how, sizeof(how));
	} while (fd == -1 && (errno == EAGAIN || errno == EINTR) &&
		 ++tries < OPEN_RACES);
	if (fd == -1) {
		return errno;
	}
	*result = fd;
	return 0;
}

static int found_io(struct files_found *found, int error)
{
	found->error = error;
	return FILES_IO;
}

static void found_close(struct files_found *found)
{
	if (found->fd != -1) {
		close(found->fd);
		found->fd = -1;
	}
}

static enum files_status status_of_open(struct files_found *found, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return FILES_GONE;
	case EXDEV:
		return FILES_OUTSIDE;
	default:
		return found_io(found, error);
	}
}

/*
 * Of found->fd: is it there, regular, and which one? If it is `want`, by which
 * handle is known.
 */
static enum files_status found_facts(const struct ident *want,
				     struct files_found *found)
{
	struct statfs fs;
	struct statx stx;
	int ret = 0;

	ret = statx(found->fd, "", AT_EMPTY_PATH, IDENT_STATX, &stx);
	if (ret == -1) {
		return found_io(found, errno);
	}
	if (!S_ISREG(stx.stx_mode) &&
	    !(found->any_type && S_ISDIR(stx.stx_mode))) {
		return FILES_NOT_REGULAR;
	}
	if (stx.stx_nlink == 0) {
		return FILES_GONE;
	}
	content_of_statx(&stx, &found->content);
	found->stub = tiered_is_short(stx.stx_blocks, stx.stx_size);
	ret = ident_of_statx(found->fd, &stx, want, &fs, &found->ident);
	if (ret != 0) {
		return found_io(found, ret);
	}
	found->fuse = fs.f_type == FUSE_SUPER_MAGIC;
	return FILES_OK;
}

/* The kernel's name of fd, without symlinks. 0 or errno. */
static int path_of_fd(int fd, char path[FILES_PATH_MAX])
{
	char link[64] = "";
	ssize_t len = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, FILES_PATH_MAX - 1);
	if (len == -1) {
		return errno;
	}
	if (len == FILES_PATH_MAX - 1) {
		return ENAMETOOLONG;
	}
	path[len] = '\0';
	return 0;
}

/* Puts the path below check_root as it is configured. 0 or errno. */
static int found_path(const struct files_root *root, const char *rel,
		      struct files_found *found)
{
	int len = snprintf(found->path, sizeof(found->path), "%s/%s",
			   root->configured, rel);

	return len >= (int)sizeof(found->path) ? ENAMETOOLONG : 0;
}

/* Nothing in it that another path could say in another way? */
static bool path_is_plain(const char *rel)
{
	size_t len = 0;

	for (; *rel != '\0'; rel += len + (rel[len] == '/')) {
		len = strcspn(rel, "/");
		if (len == 0 || (rel[0] == '.' && len == 1) ||
		    (rel[0] == '.' && rel[1] == '.' && len == 2) ||
		    (rel[len] == '/' && rel[len + 1] == '\0')) {
			return false;
		}
	}
	return true;
}

/*
 * Rule 1. found->fd is open also where the status says "not that one". A
 * plain path that was opened without a link on the way is what it is called;
 * in a directory that folds case, it is as the asker spells it.
 */
static enum files_status find_by_path(const struct files_root *root,
				      const struct ident *want,
				      const char *path,
				      struct files_found *found)
{
	char now[FILES_PATH_MAX] = "";
	const char *rel = root_relative(root, path);
	enum files_status status = FILES_OK;
	int ret = 0;

	if (rel == NULL) {
		return FILES_OUTSIDE;
	}
	ret = open_beneath(root, rel, O_PATH | O_NOFOLLOW, &found->fd);
	if (ret != 0) {
		return status_of_open(found, ret);
	}
	status = found_facts(want, found);
	if (status != FILES_OK) {
		return status;
	}
	if (!path_is_plain(rel)) {
		ret = path_of_fd(found->fd, now);
		if (ret != 0) {
			return found_io(found, ret);
		}
		rel = path_below(root->resolved, now);
	}
	if (rel == NULL) {
		return FILES_OUTSIDE;
	}
	ret = found_path(root, rel, found);
	return ret == 0 ? FILES_OK : found_io(found, ret);
}

/* Does `path` lead to `want`? If so it is what is found. */
static bool find_same(const struct files_root *root, const struct ident *want,
		      const char *path, struct files_found *found)
{
	enum files_status status = find_by_path(root, want, path, found);

	if (status == FILES_OK && ident_equal(want, &found->ident)) {
		return true;
	}
	found_close(found);
	return false;
}

static void path_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL) {
		strcpy(path, ".");
		return;
	}
	*slash = '\0';
}

/*
 * The nearest directory of the hint that exists, else check_root: some
 * descriptor on the mount that the handle is valid for. 0 or errno.
 */
static int open_mount(const struct files_root *root, const char *hint,
		      const struct ident *want, int *result)
{
	char dir[FILES_PATH_MAX] = "";
	const char *rel = root_relative(root, hint);
	struct ident ident;
	int ret = 0;

	snprintf(dir, sizeof(dir), "%s", rel == NULL ? "-" : rel);
	do {
		path_up(dir);
		ret = open_beneath(root, dir, O_RDONLY | O_DIRECTORY, result);
		if (ret != 0) {
			continue;
		}
		ret = ident_of_fd(*result, &ident);
		if (ret == 0 && ident.fsid == want->fsid) {
			return 0;
		}
		close(*result);
	} while (strcmp(dir, ".") != 0);
	return ret == 0 ? ENODEV : ret;
}

/* Rule 3: 0 and an O_PATH descriptor, or errno. */
static int open_handle(int mount_fd, const struct ident *want, int *result)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + IDENT_HANDLE_MAX];
	} h = { .handle = { .handle_bytes = want->handle_len,
			    .handle_type = want->handle_type } };

	memcpy(h.handle.f_handle, want->handle, want->handle_len);
	*result = open_by_handle_at(mount_fd, &h.handle,
				    O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return *result == -1 ? errno : 0;
}

/* Rule 4, second guess: an entry beside the hint with that inode number. */
static bool find_beside(const struct files_root *root,
			const struct ident *want, const char *hint,
			struct files_found *found)
{
	char path[FILES_PATH_MAX] = "";
	char dir_path[FILES_PATH_MAX] = "";
	const char *rel = root_relative(root, hint);
	const char *name = NULL;
	struct dirent *entry = NULL;
	DIR *dir = NULL;
	bool ok = false;
	unsigned int seen = 0;
	int dir_fd = -1;
	int len = 0;

	if (rel == NULL) {
		return false;
	}
	name = strrchr(rel, '/');
	snprintf(dir_path, sizeof(dir_path), "%.*s",
		 name == NULL ? 1 : (int)(name - rel),
		 name == NULL ? "." : rel);
	if (open_beneath(root, dir_path, O_RDONLY | O_DIRECTORY,
			 &dir_fd) != 0) {
		return false;
	}
	dir = fdopendir(dir_fd);
	if (dir == NULL) {
		close(dir_fd);
		return false;
	}
	while (!ok && seen++ < OPEN_ENTRIES &&
	       (entry = readdir(dir)) != NULL) {
		if (entry->d_ino != want->ino) {
			continue;
		}
		len = snprintf(path, sizeof(path), "%s/%s/%s",
			       root->resolved, dir_path, entry->d_name);
		ok = len < (int)sizeof(path) &&
			find_same(root, want, path, found);
	}
	closedir(dir);
	return ok;
}

/* Does the name that is not below check_root lead to that file? */
static bool elsewhere(const char *path, const struct ident *want)
{
	struct ident ident;
	bool same = false;
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1) {
		return false;
	}
	same = ident_of_fd(fd, &ident) == 0 && ident_equal(&ident, want);
	close(fd);
	return same;
}

/* Rule 4: `fd` is the file by its handle; under which name is it there? */
static enum files_status find_name(const struct files_root *root,
				   const struct ident *want, int fd,
				   const char *hint, struct files_found *found)
{
	char now[FILES_PATH_MAX] = "";
	int tries = 0;
	int ret = 0;

	for (tries = 0; tries < OPEN_RACES; tries++) {
		ret = path_of_fd(fd, now);
		if (ret != 0) {
			return found_io(found, ret);
		}
		if (find_same(root, want, now, found)) {
			return FILES_OK;
		}
	}
	if (find_beside(root, want, hint, found)) {
		return FILES_OK;
	}
	if (path_below(root->resolved, now) == NULL &&
	    elsewhere(now, want)) {
		return FILES_OUTSIDE;
	}
	return found_io(found, ENOENT);
}

static enum files_status find_by_handle(const struct files_root *root,
					const struct ident *want,
					const char *hint,
					struct files_found *found)
{
	struct files_found opened = { .fd = -1,
				      .any_type = found->any_type };
	enum files_status status = FILES_OK;
	int mount_fd = -1;
	int ret = 0;

	ret = open_mount(root, hint, want, &mount_fd);
	if (ret != 0) {
		return found_io(found, ret);
	}
	ret = open_handle(mount_fd, want, &opened.fd);
	close(mount_fd);
	if (ret == ESTALE || ret == ENOENT) {
		return FILES_GONE;
	}
	if (ret != 0) {
		return found_io(found, ret);
	}
	status = found_facts(want, &opened);
	if (status == FILES_OK && !ident_equal(want, &opened.ident)) {
		status = FILES_GONE;
	}
	if (status == FILES_OK) {
		status = find_name(root, want, opened.fd, hint, found);
	} else {
		found->error = opened.error;
	}
	close(opened.fd);
	return status;
}

static enum files_status find(const struct files_root *root,
			      const struct ident *want, const char *path,
			      struct files_found *found)
{
	enum files_status status = FILES_OK;

	status = find_by_path(root, want, path, found);
	if (want != NULL &&
	    !(status == FILES_OK && ident_equal(want, &found->ident))) {
		found_close(found);
		if (want->handle_len > 0) {
			status = find_by_handle(root, want, path, found);
		} else if (status != FILES_IO) {
			/* nothing leads to it any more */
			status = FILES_GONE;
		}
	}
	if (status != FILES_OK) {
		found_close(found);
	}
	return status;
}

enum files_status files_find_any(const struct files_root *root,
				 const struct ident *want, const char *path,
				 struct files_found *found)
{
	*found = (struct files_found) { .fd = -1, .any_type = true };
	return find(root, want, path, found);
}

enum files_status files_find(const struct files_root *root,
			     const struct ident *want, const char *path,
			     struct files_found *found)
{
	enum files_status status = FILES_OK;
	struct ident file;

	if (want == NULL || want->stream[0] == '\0') {
		*found = (struct files_found) { .fd = -1 };
		return find(root, want, path, found);
	}
	file = *want;
	file.stream[0] = '\0';
	status = files_find_any(root, &file, path, found);
	if (status == FILES_OK) {
		memcpy(found->ident.stream, want->stream,
		       sizeof(found->ident.stream));
	}
	return status;
}

int files_reopen(int path_fd, int *result)
{
	char link[64] = "";
	int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	*result = open(link, flags | O_NOATIME);
	if (*result == -1 && errno == EPERM) {
		*result = open(link, flags);
	}
	return *result == -1 ? errno : 0;
}

enum files_status files_unlink(const struct files_root *root,
			       const struct files_found *found, int *error)
{
	char dir[FILES_PATH_MAX] = ".";
	const char *rel = root_relative(root, found->path);
	const char *name = rel == NULL ? NULL : strrchr(rel, '/');
	struct ident ident;
	int dir_fd = -1;
	int fd = -1;
	int ret = rel == NULL ? EXDEV : 0;

	if (name != NULL) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(name - rel), rel);
	}
	name = name == NULL ? rel : name + 1;
	ret = ret != 0 ? ret : open_beneath(root, dir, O_PATH | O_DIRECTORY,
					    &dir_fd);
	if (ret != 0) {
		*error = ret;
		return FILES_IO;
	}
	fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ret = fd == -1 ? errno : ident_of_fd(fd, &ident);
	if (ret == 0 && ident_equal(&ident, &found->ident)) {
		ret = unlinkat(dir_fd, name, 0) == 0 ? 0 : errno;
	} else if (ret == 0) {
		ret = ENOENT;
	}
	if (fd != -1) {
		close(fd);
	}
	close(dir_fd);
	*error = ret;
	if (ret == ENOENT || ret == EISDIR) {
		return FILES_CHANGED;
	}
	return ret == 0 ? FILES_OK : FILES_IO;
}

int files_open_directory(const struct files_root *root, const char *dir,
			 char path[FILES_PATH_MAX], int *result)
{
	const char *rel = root_relative(root, dir);
	bool whole = strcmp(dir, root->configured) == 0 ||
		strcmp(dir, root->resolved) == 0 ||
		(strcmp(dir, "/") == 0 && root->configured[0] == '\0');
	int len = 0;

	if (rel == NULL && !whole) {
		return EXDEV;
	}
	len = snprintf(path, FILES_PATH_MAX, "%s%s%s", root->configured,
		       whole ? "" : "/", whole ? "" : rel);
	while (len > 0 && len < FILES_PATH_MAX && path[len - 1] == '/') {
		path[--len] = '\0';
	}
	if (len >= FILES_PATH_MAX) {
		return ENAMETOOLONG;
	}
	return open_beneath(root, whole ? "." : rel,
			    O_PATH | O_DIRECTORY, result);
}
