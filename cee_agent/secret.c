/*
 * Files that nobody else may read. See secret.h.
 *
 * What a group or everybody may read is refused and not only complained
 * about: a password that leaked is not made good by a line in a log.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cee_agent/secret.h"

static bool secret_owner_ok(const struct secret_owner *owner, uid_t uid)
{
	const struct passwd *pw = NULL;

	if (owner->any || uid == geteuid()) {
		return true;
	}
	if (owner->user[0] != '\0') {
		pw = getpwnam(owner->user);
	}
	return pw != NULL && uid == pw->pw_uid;
}

/* An open file, or -1 with *error. */
static int secret_open(TALLOC_CTX *mem_ctx, const char *path,
		       const struct secret_owner *owner, char **error)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1) {
		*error = talloc_strdup(mem_ctx, strerror(errno));
		if (fd != -1) {
			close(fd);
		}
		return -1;
	}
	if (!S_ISREG(st.st_mode) || ((st.st_mode & 07777) != 0600 &&
				     (st.st_mode & 07777) != 0400) ||
	    !secret_owner_ok(owner, st.st_uid)) {
		*error = talloc_strdup(mem_ctx, "must be a file of mode 0600 "
				       "or 0400 that belongs to the agent's "
				       "user");
		close(fd);
		return -1;
	}
	return fd;
}

char *secret_read(TALLOC_CTX *mem_ctx, const char *path,
		  const struct secret_owner *owner, size_t max, char **error)
{
	char *text = NULL;
	ssize_t got;
	int fd;

	fd = secret_open(mem_ctx, path, owner, error);
	if (fd == -1) {
		return NULL;
	}
	text = talloc_zero_array(mem_ctx, char, max + 1);
	got = text == NULL ? -1 : read(fd, text, max);
	close(fd);
	if (got < 0) {
		*error = talloc_strdup(mem_ctx, "cannot be read");
		TALLOC_FREE(text);
	}
	return text;
}

bool secret_is_private(TALLOC_CTX *mem_ctx, const char *path,
		       const struct secret_owner *owner, char **error)
{
	int fd = secret_open(mem_ctx, path, owner, error);

	if (fd == -1) {
		return false;
	}
	close(fd);
	return true;
}
