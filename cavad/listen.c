/*
 * A listening unix socket: see listen.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

/* 0: nobody is there, and nothing is in the way. */
static int listen_clear(const struct sockaddr_un *addr, int type)
{
	struct stat st;
	int fd = -1;
	int ret = lstat(addr->sun_path, &st);

	if (ret != 0) {
		return errno == ENOENT ? 0 : errno;
	}
	if (!S_ISSOCK(st.st_mode)) {
		return EEXIST;	/* a file of somebody's */
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		return errno;
	}
	ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	ret = ret == 0 ? 0 : errno;
	close(fd);
	if (ret == 0 || ret == EAGAIN) {
		return EADDRINUSE;
	}
	if (ret == ENOENT) {
		return 0;
	}
	if (ret != ECONNREFUSED) {
		return ret;
	}
	return unlink(addr->sun_path) == 0 ? 0 : errno;
}

int listen_unix(const char *path, int type, mode_t mode, int *result)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t before = 0;
	int fd = -1;
	int ret = 0;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		return ENAMETOOLONG;
	}
	strcpy(addr.sun_path, path);
	ret = listen_clear(&addr, type);
	if (ret != 0) {
		return ret;
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		return errno;
	}
	before = umask(0777);	/* nobody before the chmod */
	ret = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	ret = ret == 0 ? 0 : errno;
	umask(before);
	if (ret == 0 && chmod(path, mode) != 0) {
		ret = errno;
	}
	if (ret == 0 && listen(fd, LISTEN_BACKLOG) != 0) {
		ret = errno;
	}
	if (ret != 0) {
		close(fd);
		return ret;
	}
	*result = fd;
	return 0;
}
