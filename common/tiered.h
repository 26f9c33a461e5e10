/*
 * Is a file tiered: are its bytes elsewhere, so that who reads it has them
 * fetched (HSM, cloud storage)?
 *
 * Two things say so, and both must: the SMB attribute OFFLINE, and that less
 * than half of its bytes are allocated here, so that an attribute alone takes
 * no file with content out of the scans. Samba has OFFLINE from the extended
 * attribute user.DOSATTRIB, which it reads but does not let clients set, and
 * from VFS modules (gpfs, tsmsm, offline), of which only smbd knows.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_TIERED_H
#define COMMON_TIERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* O_PATH will do. What cannot be read is not tiered, and so scanned. */
bool tiered_of_fd(int fd);

/* Are less than half of its bytes here? blocks: of 512 bytes. */
bool tiered_is_short(uint64_t blocks, uint64_t size);
bool tiered_is_stub(int fd);

/*
 * Pure. The DOS attributes in a value of user.DOSATTRIB, as all versions of
 * Samba write them; 0 when it makes no sense. For tests, too.
 */
uint32_t tiered_attributes(const uint8_t *value, size_t len);

#endif
