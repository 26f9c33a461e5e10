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

#if SMB_VFS_INTERFACE_VERSION != 47 && SMB_VFS_INTERFACE_VERSION != 50
#error "Samba 4.17 (VFS interface 47) and 4.22 (50) only: see docs/releases.md"
#endif

#if SMB_VFS_INTERFACE_VERSION >= 50
#include "lib/util/util_file.h"
#endif

/* What renameat has at its end: in a declaration, in a call, in the next. */
#if SMB_VFS_INTERFACE_VERSION >= 50
#define COMPAT_RENAME_HOW , const struct vfs_rename_how *how
#define COMPAT_RENAME_GIVE , how
#define COMPAT_NEXT_RENAMEAT SMB_VFS_NEXT_RENAMEAT
#else
#define COMPAT_RENAME_HOW
#define COMPAT_RENAME_GIVE
#define COMPAT_NEXT_RENAMEAT(handle, src_dirfsp, src, dst_dirfsp, dst, how) \
	SMB_VFS_NEXT_RENAMEAT(handle, src_dirfsp, src, dst_dirfsp, dst)
#endif

/* Is st_ex_ctime what the kernel says? In 4.17 its seconds are mtime's. */
#define COMPAT_CTIME (SMB_VFS_INTERFACE_VERSION >= 50)

/* And readdir, until interface 49. */
#if SMB_VFS_INTERFACE_VERSION >= 49
#define COMPAT_READDIR_STAT
#define COMPAT_NEXT_READDIR(handle, dirfsp, dirp, sbuf) \
	SMB_VFS_NEXT_READDIR(handle, dirfsp, dirp)
#else
#define COMPAT_READDIR_STAT , SMB_STRUCT_STAT *sbuf
#define COMPAT_NEXT_READDIR SMB_VFS_NEXT_READDIR
#endif

#endif
