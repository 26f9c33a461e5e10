/*
 * Giving up rights: see rights.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/rights.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/core.h"

int rights_find(TALLOC_CTX *mem_ctx, const char *user, struct rights *result,
		char **error)
{
	const struct passwd *pw = NULL;

	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		*error = talloc_asprintf(
			mem_ctx, "[settings] user = %s: no such account; "
			"make it (useradd --system %s) or name another",
			user, user);
		return ENOENT;
	}
	if (pw->pw_uid == 0) {
		*error = talloc_asprintf(
			mem_ctx, "[settings] user = %s: cavad parses what "
			"comes from the network and never runs as root",
			user);
		return ENOENT;
	}
	*result = (struct rights) { .uid = pw->pw_uid, .gid = pw->pw_gid };
	return 0;
}

int rights_directory(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;
	int ret = mkdir(path, mode);

	if (ret != 0 && errno != EEXIST) {
		return errno;
	}
	ret = lstat(path, &st);
	if (ret != 0) {
		return errno;
	}
	if (!S_ISDIR(st.st_mode)) {
		return ENOTDIR;
	}
	if (st.st_uid != 0 && st.st_uid != uid) {
		return EPERM;
	}
	ret = lchown(path, uid, gid);
	if (ret == 0) {
		ret = chmod(path, mode);
	}
	return ret == 0 ? 0 : errno;
}

int rights_socket_directory(const char *socket_path)
{
	char *copy = talloc_strdup(NULL, socket_path);
	struct stat st;
	int ret = 0;

	if (copy == NULL) {
		return ENOMEM;
	}
	if (stat(dirname(copy), &st) != 0) {
		TALLOC_FREE(copy);
		copy = talloc_strdup(NULL, socket_path);
		if (copy == NULL) {
			return ENOMEM;
		}
		ret = rights_directory(dirname(copy), 0, 0, 0755);
	}
	talloc_free(copy);
	return ret;
}

int rights_drop(const struct rights *r)
{
	cap_t none = NULL;
	cap_value_t cap = 0;
	int ret = 0;

	/* where that is refused, no_new_privs says the same */
	for (cap = 0; cap_get_bound(cap) >= 0; cap++) {
		(void)cap_drop_bound(cap);
	}
	if (setgroups(0, NULL) != 0 ||
	    setresgid(r->gid, r->gid, r->gid) != 0 ||
	    setresuid(r->uid, r->uid, r->uid) != 0) {
		return errno;
	}
	none = cap_init();
	if (none == NULL) {
		return errno;
	}
	ret = cap_set_proc(none);
	ret = ret == 0 ? 0 : errno;
	cap_free(none);
	if (ret != 0) {
		return ret;
	}
	/* and no core with keys and pieces of files in it */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
		return errno;
	}
	ret = core_forbid();
	if (ret != 0) {
		return ret;
	}
	if (setresuid(0, 0, 0) == 0 || geteuid() == 0 || getegid() == 0) {
		return EPERM;	/* it did not stick */
	}
	return 0;
}
