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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto.h"

#define SPOOL_MAX (64 * 1024 * 1024)	/* bytes of DIR/notices */
#define SPOOL_CHUNK_MIN (PROTO_MAX + 4)	/* a frame */

/*
 * 0; EFBIG (full); EPERM (DIR is not root's own 0700 directory); errno. When
 * the file had no room a marker DIR/overflow is left for cavad, which raises
 * an event.
 */
int spool_append(const char *dir, const uint8_t *msg, size_t len);

/*
 * Makes DIR/taken, unless there is one. 0, ENOENT (nothing spooled), errno.
 * *overflow: some notices found no room behind these, and are lost.
 */
int spool_take(const char *dir, bool *overflow);

/*
 * Reads frames of DIR/taken from *offset on, whole frames only, at most
 * `size` bytes (SPOOL_CHUNK_MIN or more); *offset moves on. *len = 0 at the
 * end. Bytes that are no frame of a message (torn, zeroed by a power
 * failure) are skipped up to the next frame and counted in *damaged. 0 or
 * errno.
 */
int spool_read(const char *dir, uint64_t *offset, uint8_t *data, size_t size,
	       size_t *len, uint64_t *damaged);

/* Removes DIR/taken. 0 or errno. */
int spool_done(const char *dir);

#endif
