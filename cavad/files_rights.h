/*
 * What the files process may do: everything else is given away.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_RIGHTS_H
#define CAVAD_FILES_RIGHTS_H

/*
 * Closes every descriptor but stderr and the `num` ones of keep[], which is
 * sorted here. 0 and 1 become /dev/null. 0 or errno.
 */
int files_rights_close(int *keep, unsigned int num);

/*
 * Capabilities, network and core of the parent. 0 or errno; *no_network is 0,
 * or the errno with which an empty network namespace was refused.
 */
int files_rights_drop(int *no_network);

/*
 * System calls, for good: of the parent (which can start workers), of a
 * worker. 0 or errno; ENOTSUP in a build with AddressSanitizer.
 */
int files_rights_parent(void);
int files_rights_worker(void);

#endif
