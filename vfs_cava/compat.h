/*
 * Samba's private headers, and all that differs between its versions.
 *
 * The module is built for exactly one smbd (CAVA_BUILT_FOR, its version
 * string): private structs have no stable layout.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef VFS_CAVA_COMPAT_H
#define VFS_CAVA_COMPAT_H

#include "includes.h"
#include "smbd/smbd.h"
#include "smbd/globals.h"
#include "locking/share_mode_lock.h"
#include "lib/util/tevent_unix.h"
#include "lib/util/tevent_ntstatus.h"
#include "lib/tsocket/tsocket.h"
#include "../libcli/security/security.h"

#if SMB_VFS_INTERFACE_VERSION != 47
#error "vfs_cava knows VFS interface 47 (Samba 4.17) only"
#endif

#endif
