/*
 * vfs_worm: a scan of a file is no change of it.
 *
 * vfs_worm lets a file be changed for so long after its ctime, and since some
 * version of Samba the ctime it looks at is the kernel's, which the writing
 * of a record moves: each scan would open a kept file again. So the record
 * says which ctime the file had before (verdict.h), and in a share with
 * vfs_worm that one is shown while the record is current, which is as long
 * as nothing but the record has moved it.
 *
 * In Samba 4.17 the seconds of st_ex_ctime are those of mtime; there is
 * nothing to do there.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#define WORM_SECOND INT64_C(1000000000)

void cava_worm_show(struct cava *cava, int fd, SMB_STRUCT_STAT *sbuf)
{
	struct content now;
	struct verdict v;
	int64_t shown = 0;
	int ret = -1;

	if (cava == NULL || !cava->worm || fd == -1 ||
	    !S_ISREG(sbuf->st_ex_mode)) {
		return;
	}
	ret = content_of_fd(fd, &now);
	shown = sbuf->st_ex_ctime.tv_sec * WORM_SECOND +
		sbuf->st_ex_ctime.tv_nsec;
	if (ret != 0 || now.ctime != shown) {
		return;		/* of another moment */
	}
	ret = verdict_read(fd, &v);
	if (ret == 0 && v.changed > 0 && v.changed < now.ctime &&
	    verdict_is_current(&v, &now)) {
		sbuf->st_ex_ctime = (struct timespec) {
			.tv_sec = v.changed / WORM_SECOND,
			.tv_nsec = v.changed % WORM_SECOND,
		};
	}
}

void cava_worm_show_name(struct cava *cava, int dirfd, const char *name,
			 bool follow, SMB_STRUCT_STAT *sbuf)
{
	int saved_errno = errno;
	int fd = -1;

	if (cava == NULL || !cava->worm || !S_ISREG(sbuf->st_ex_mode)) {
		return;
	}
	fd = openat(dirfd, name, O_PATH | O_CLOEXEC |
				 (follow ? 0 : O_NOFOLLOW));
	if (fd != -1) {
		cava_worm_show(cava, fd, sbuf);
		close(fd);
	}
	errno = saved_errno;
}
