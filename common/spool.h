/*
 * Where notices wait while cavad is away.
 *
 * One file, DIR/notices, of frames: u32 length, the encoded NOTICE. smbds
 * append to it under flock(2), as root; the files process renames it to
 * DIR/taken under the same lock, hands the frames to cavad, and removes it
 * once they are committed. A file DIR/taken that exists at start was not
 * committed and is read first. DIR belongs to root, mode 0700; nothing in
 * it is followed if it is a link.
 *
 * A power failure may lose what was not written back; the walk after an
 * unclean stop finds those files (later issue; docs/design.md).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_SPOOL_H
#define COMMON_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#define SPOOL_MAX (64 * 1024 * 1024)	/* bytes of DIR/notices */

/*
 * 0; EFBIG (full: a marker DIR/overflow is left for cavad, which raises an
 * event); EPERM (DIR is not root's own 0700 directory); errno.
 */
int spool_append(const char *dir, const uint8_t *msg, size_t len);

/* Makes DIR/taken, unless there is one. 0, ENOENT (nothing spooled), errno */
int spool_take(const char *dir);

/*
 * Reads frames of DIR/taken from *offset on, whole frames only, at most
 * `size` bytes; *offset moves on. *len = 0 at the end. A frame that is cut
 * short or longer than PROTO_MAX ends the file. 0 or errno.
 */
int spool_read(const char *dir, uint64_t *offset, uint8_t *data, size_t size,
	       size_t *len);

/* Removes DIR/taken. 0 or errno. */
int spool_done(const char *dir);

#endif
