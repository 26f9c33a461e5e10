/*
 * Reads of what is in memory, at once.
 *
 * smbd has a thread read: two switches of threads and a dozen system calls,
 * which costs more than a small read does. What the page cache has needs no
 * thread, since preadv2() with RWF_NOWAIT never waits for a disk; where it
 * would, or the file system does not know that, the next module reads. (A
 * program that is asked for permission by fanotify makes it wait, as it makes
 * an open wait.)
 *
 * Only where that is smbd itself, which reads this descriptor: what another
 * module makes of a read, or counts, is its own.
 *
 * Fewer bytes than were asked for may be all that are cached. They count
 * only if the file ends there.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include <sys/uio.h>

#define READ_NOW_MAX 65536	/* bytes: larger ones are worth a thread */

/* Has nobody between us and smbd's own functions a hook for reads? */
static bool read_is_smbds(const struct vfs_handle_struct *handle)
{
	const struct vfs_handle_struct *h = handle->next;

	while (h->next != NULL && h->fns->pread_fn == NULL &&
	       h->fns->pread_send_fn == NULL) {
		h = h->next;
	}
	return h->next == NULL;
}

static bool read_ends_at(int fd, off_t end)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == end;
}

ssize_t cava_read_now(struct vfs_handle_struct *handle,
		      struct files_struct *fsp, void *data, size_t n,
		      off_t offset)
{
	struct iovec iov = { .iov_base = data,
			     .iov_len = MIN(n, READ_NOW_MAX) };
	int fd = fsp_get_io_fd(fsp);
	ssize_t got = -1;

	if (fd == -1 || !read_is_smbds(handle) ||
	    (n > READ_NOW_MAX &&
	     fsp->fsp_name->st.st_ex_size - offset > READ_NOW_MAX)) {
		return -1;
	}
	got = preadv2(fd, &iov, 1, offset, RWF_NOWAIT);
	if (got == (ssize_t)n) {
		return got;
	}
	return got > 0 && read_ends_at(fd, offset + got) ? got : -1;
}
