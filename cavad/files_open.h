/*
 * Opening a file by what it is rather than by what it is called.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_OPEN_H
#define CAVAD_FILES_OPEN_H

#include "cavad/files.h"
#include "cavad/files_msg.h"

/* Nothing outside of it is ever opened. */
struct files_root {
	char configured[FILES_PATH_MAX];	/* "/" is "" */
	char resolved[FILES_PATH_MAX];		/* the same without symlinks */
	int fd;
};

struct files_found {
	int fd;				/* O_PATH; -1 unless FILES_OK */
	int error;			/* errno with FILES_IO */
	bool any_type;			/* directories have streams too */
	bool stub;			/* less on the disk than it has */
	bool fuse;			/* on a file system of a program */
	struct ident ident;
	struct content content;		/* when it was found */
	char path[FILES_PATH_MAX];	/* below root->configured */
};

/* 0 or errno. The descriptor stays open for good. */
int files_root_open(const char *check_root, struct files_root *root);

/*
 * Finds a regular file below root. want NULL: by path alone. Of a named
 * stream it is the file, or directory, that has it. Opens nothing for
 * reading, so it disturbs nobody's lease.
 */
enum files_status files_find(const struct files_root *root,
			     const struct ident *want, const char *path,
			     struct files_found *found);

/* The same for what has named streams: a directory as well. */
enum files_status files_find_any(const struct files_root *root,
				 const struct ident *want, const char *path,
				 struct files_found *found);

/*
 * A directory below root, or root itself, without a link on the way. 0 and
 * O_PATH, or errno; path is where it is as root is configured.
 */
int files_open_directory(const struct files_root *root, const char *dir,
			 char path[FILES_PATH_MAX], int *result);

/*
 * Removes the name of what files_find() found, if it still leads to that.
 * FILES_OK; FILES_CHANGED: it does not; FILES_IO with *error.
 */
enum files_status files_unlink(const struct files_root *root,
			       const struct files_found *found, int *error);

/*
 * A read-only descriptor of what files_find() found. 0 or errno, EAGAIN
 * when somebody's write lease has to be given back first.
 */
int files_reopen(int path_fd, int *result);

#endif
