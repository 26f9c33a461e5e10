/*
 * Core dumps: of processes that know passwords, and what is in files.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_CORE_H
#define COMMON_CORE_H

/*
 * From now on the kernel writes no core of this process, whatever the limits
 * and the program in kernel.core_pattern, and none but root may look into it.
 * A change of account or of capabilities may undo it (fs.suid_dumpable), so
 * after those. For its children too. 0 or errno.
 */
int core_forbid(void);

#endif
