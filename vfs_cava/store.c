/*
 * Where verdicts of a share are kept, and what it must not be stacked on.
 *
 * A verdict is an attribute on the file. Where it cannot be set (read-only,
 * no attributes at all, a user namespace, immutable, append-only, a snapshot)
 * cavad keeps it in its database, which then has the last word: an attribute
 * that is there may be an old one that nobody could replace. So
 *
 * 1. the tree connect asks the kernel, by removing an attribute that no
 *    directory has: ENODATA says that one could be set, and nothing changes;
 * 2. where it cannot, or this one file cannot, "clean" on the file is no
 *    answer: cavad is asked, once a handle, and already at the open, since a
 *    file known infected is denied there and only cavad knows.
 *
 * Rule 2 finds by file what rule 1 cannot: mounts and subvolumes below the
 * share, and one that was remounted read-only since.
 *
 * Modules that do something by themselves, without calling the next one,
 * must come after this one in `vfs objects`: what they do is not seen here.
 * So does streams_xattr, which is often last; this module takes its place
 * before it then, as if vfs objects said so.
 * And where files are not the kernel's there is nothing to look at: no
 * descriptor, no lease, no file handle.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/vfs_cava.h"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#define STORE_REMOTE "its files are not on a file system of the kernel"
#define STORE_READS "it reads and writes without calling the next module"

static const struct {
	const char *module;
	bool anywhere;		/* else: only before cava */
	const char *why;
} store_bad[] = {
	{ "glusterfs", true, STORE_REMOTE "; mount the volume and use "
	  "glusterfs_fuse" },
	{ "ceph", true, STORE_REMOTE "; mount CephFS and leave the module "
	  "out" },
	{ "ceph_new", true, STORE_REMOTE "; mount CephFS and leave the module "
	  "out" },
	{ "io_uring", false, STORE_READS },
	{ "aio_fork", false, STORE_READS },
	{ "btrfs", false, "it clones files without calling the next module" },
	{ "crossrename", false, "it copies files to another file system "
	  "without calling the next module" },
};

/* "name" or "name:parameter" of `vfs objects`. */
static bool store_is(const char *object, const char *module)
{
	size_t len = strlen(module);

	return strncmp(object, module, len) == 0 &&
		(object[len] == '\0' || object[len] == ':');
}

static const char *store_refuses(const char *object, bool before)
{
	size_t i = 0;

	for (i = 0; i < ARRAY_SIZE(store_bad); i++) {
		if ((before || store_bad[i].anywhere) &&
		    store_is(object, store_bad[i].module)) {
			return store_bad[i].why;
		}
	}
	return NULL;
}

bool cava_store_fits(struct connection_struct *conn)
{
	const char **objects = lp_vfs_objects(SNUM(conn));
	bool before = true;
	size_t i = 0;

	for (i = 0; objects != NULL && objects[i] != NULL; i++) {
		const char *why = store_refuses(objects[i], before);

		if (why != NULL) {
			DBG_ERR("cava: share %s is refused: vfs objects has "
				"%s%s: %s\n", lp_const_servicename(SNUM(conn)),
				objects[i], before ? " before cava" : "", why);
			return false;
		}
		before = before && !store_is(objects[i], "cava");
	}
	return true;
}

/* The handles are in the order of `vfs objects`, smbd's own come last. */
static struct vfs_handle_struct *store_handle(struct connection_struct *conn,
					      const char *module)
{
	const char **objects = lp_vfs_objects(SNUM(conn));
	struct vfs_handle_struct *h = conn->vfs_handles;
	size_t i = 0;

	for (i = 0; objects != NULL && objects[i] != NULL; i++) {
		if (h == NULL || store_is(objects[i], module)) {
			return h;
		}
		h = h->next;
	}
	return NULL;
}

bool cava_store_place(struct vfs_handle_struct *handle)
{
	struct connection_struct *conn = handle->conn;
	struct vfs_handle_struct *streams = store_handle(conn,
							 "streams_xattr");
	struct vfs_handle_struct *h = NULL;

	if (store_handle(conn, "cava") != handle) {
		DBG_ERR("cava: share %s is refused: the modules are not in "
			"the order of vfs objects; name cava once there\n",
			lp_const_servicename(SNUM(conn)));
		return false;
	}
	for (h = streams; h != NULL && h != handle; h = h->next) {
	}
	if (h == NULL) {
		return true;	/* it comes later, or there is none */
	}
	DLIST_REMOVE(conn->vfs_handles, handle);
	DLIST_ADD_AFTER(conn->vfs_handles, handle, DLIST_PREV(streams));
	DBG_NOTICE("cava: share %s: works before streams_xattr, whatever vfs "
		   "objects says\n", lp_const_servicename(SNUM(conn)));
	return true;
}

bool cava_store_beside(struct connection_struct *conn, const char *module)
{
	const char **objects = lp_vfs_objects(SNUM(conn));
	size_t i = 0;

	for (i = 0; objects != NULL && objects[i] != NULL; i++) {
		if (store_is(objects[i], module)) {
			return true;
		}
	}
	return false;
}

bool cava_store_renames(struct connection_struct *conn)
{
	static const char *const names[] = {
		"cap", "catia", "media_harmony", "unityed_media", "widelinks",
	};
	size_t i = 0;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (cava_store_beside(conn, names[i])) {
			return true;
		}
	}
	return lp_widelinks(SNUM(conn));
}

void cava_store_unconnected(struct connection_struct *conn)
{
	bool fits = cava_store_fits(conn);

	if (fits) {
		DBG_ERR("cava: share %s: every open is refused: a module "
			"before cava in vfs objects has not called it at the "
			"tree connect; put cava first\n",
			lp_const_servicename(SNUM(conn)));
	}
}

/* As root. */
void cava_store_probe(struct cava *cava)
{
	const char *share = lp_const_servicename(SNUM(cava->handle->conn));
	int ret = removexattr(cava->root, VERDICT_XATTR);
	int error = ret == 0 ? ENODATA : errno;

	cava->database = error != ENODATA;
	if (!cava->database) {
		DBG_NOTICE("cava: share %s: verdicts are kept on the files, "
			   "as the attribute %s\n", share, VERDICT_XATTR);
		return;
	}
	DBG_NOTICE("cava: share %s: verdicts are kept in the database of "
		   "cavad, which is asked at each open, since the attribute "
		   "%s cannot be set below %s: %s\n", share, VERDICT_XATTR,
		   cava->root, strerror(error));
}

/* A read-only subvolume of btrfs shows only by what access() says. */
static bool store_readonly(int fd)
{
	struct statfs fs;
	int ret = fstatfs(fd, &fs);

	if (ret != 0 || (fs.f_flags & ST_RDONLY) != 0) {
		return true;
	}
	ret = faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS);
	return ret != 0 && errno == EROFS;
}

/* Of the mount and device of `stx`, asked about once a second. */
static bool store_mount_readonly(struct cava *cava, int fd,
				 const struct statx *stx)
{
	struct cava_mount *m = &cava->mount;
	uint64_t device = (uint64_t)stx->stx_dev_major << 32 |
			  stx->stx_dev_minor;
	time_t now = time_mono(NULL);

	if ((stx->stx_mask & STATX_MNT_ID) == 0) {
		return store_readonly(fd);
	}
	if (m->mount != stx->stx_mnt_id || m->device != device ||
	    now >= m->until) {
		*m = (struct cava_mount) {
			.mount = stx->stx_mnt_id,
			.device = device,
			.until = now + 1,
			.readonly = store_readonly(fd),
		};
	}
	return m->readonly;
}

int cava_store_look(struct cava *cava, int fd, struct cava_seen *seen)
{
	const uint64_t fixed = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
	struct statx stx;
	int ret = statx(fd, "", AT_EMPTY_PATH,
			STATX_BASIC_STATS | STATX_MNT_ID, &stx);

	if (ret != 0) {
		return errno;
	}
	content_of_statx(&stx, &seen->content);
	seen->stub = tiered_is_short(stx.stx_blocks, stx.stx_size);
	seen->database = cava->database ||
			 (stx.stx_attributes & fixed) != 0 ||
			 store_mount_readonly(cava, fd, &stx);
	return 0;
}
