/*
 * vfs_worm: a scan makes no file young again.
 *
 * vfs_worm lets a file be changed for a grace period after its ctime. A
 * verdict that is written on the file moves ctime, so that each scan, even
 * years later, would open it for one more period. The record says what ctime
 * was before it (and before the records it took the place of), so on a share
 * with vfs_worm that is what everybody is told while the record is current:
 * then nothing but the record has moved ctime. A file that was changed since
 * has its own ctime, as it had without us.
 *
 * vfs_worm looks at what stat calls have left in the names and handles of
 * smbd, so this holds wherever in `vfs objects` it is.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

static int64_t worm_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void cava_worm_fd(const struct cava *cava, int fd, SMB_STRUCT_STAT *st)
{
	const struct content now = {
		.size = st->st_ex_size,
		.mtime = worm_ns(st->st_ex_mtime),
		.ctime = worm_ns(st->st_ex_ctime),
	};
	enum verdict_state state = VERDICT_STATE_NONE;
	struct verdict v;
	int saved_errno = errno;
	int ret = 0;

	if (cava == NULL || !cava->worm || !S_ISREG(st->st_ex_mode)) {
		return;
	}
	ret = verdict_read(fd, &v);
	state = verdict_state(ret == 0 ? &v : NULL, &now, 0);
	if ((state == VERDICT_STATE_CLEAN ||
	     state == VERDICT_STATE_INFECTED ||
	     state == VERDICT_STATE_UNSCANNABLE) &&
	    v.changed != 0 && v.changed < now.ctime) {
		st->st_ex_ctime = (struct timespec) {
			.tv_sec = v.changed / 1000000000,
			.tv_nsec = v.changed % 1000000000,
		};
	}
	errno = saved_errno;
}

void cava_worm_path(const struct cava *cava, int dirfd, const char *path,
		    SMB_STRUCT_STAT *st)
{
	int saved_errno = errno;
	int fd = -1;

	if (cava == NULL || !cava->worm || !S_ISREG(st->st_ex_mode)) {
		return;
	}
	fd = openat(dirfd == -1 ? AT_FDCWD : dirfd, path,
		    O_PATH | O_CLOEXEC);
	if (fd != -1) {
		cava_worm_fd(cava, fd, st);
		close(fd);
	}
	errno = saved_errno;
}
