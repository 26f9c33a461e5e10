/*
 * What the files process may do: everything else is given away.
 *
 * Writing security.* takes CAP_SYS_ADMIN, so this process is near to root
 * whatever else is dropped. Three fences stand around it:
 *
 * 1. Capabilities: the five below, in all sets, the bounding set included.
 * 2. An empty network namespace, where the host allows one.
 * 3. A list of the system calls it needs; any other one fails with EPERM.
 *    None that makes a socket, runs a program, mounts, traces, loads, or
 *    changes an owner, a mode or an identity is among them. The parent may
 *    fork and kill on top of that, a worker may not: it has the rights to
 *    hurt every process of root otherwise.
 *
 * The list names calls of the C library as well as our own. One that a new
 * C library wants and does not get fails as a call that the kernel refuses.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cavad/files_rights.h"
#include "common/core.h"

static const cap_value_t rights_capabilities[] = {
	CAP_SYS_ADMIN,		/* security.cava */
	CAP_DAC_READ_SEARCH,	/* any file whatever its mode, and by handle */
	CAP_LEASE,		/* a lease on somebody else's file */
	CAP_FOWNER,		/* O_NOATIME on somebody else's file */
	CAP_DAC_OVERRIDE,	/* threat_response: truncate, delete */
};

enum rights_who { WORKER = 1, PARENT = 2, BOTH = WORKER | PARENT };

static const struct {
	int call;
	enum rights_who who;
} rights_calls[] = {
	/* messages */
	{ SCMP_SYS(poll), BOTH },
	{ SCMP_SYS(ppoll), BOTH },
	{ SCMP_SYS(recvmsg), BOTH },
	{ SCMP_SYS(sendmsg), BOTH },
	{ SCMP_SYS(read), BOTH },
	{ SCMP_SYS(write), BOTH },
	{ SCMP_SYS(close), BOTH },
	{ SCMP_SYS(close_range), BOTH },

	/* files, all through files_open.c */
	{ SCMP_SYS(openat2), BOTH },
	{ SCMP_SYS(open), BOTH },
	{ SCMP_SYS(openat), BOTH },
	{ SCMP_SYS(open_by_handle_at), BOTH },
	{ SCMP_SYS(name_to_handle_at), BOTH },
	{ SCMP_SYS(fcntl), BOTH },
	{ SCMP_SYS(stat), BOTH },
	{ SCMP_SYS(lstat), BOTH },
	{ SCMP_SYS(fstat), BOTH },
	{ SCMP_SYS(newfstatat), BOTH },
	{ SCMP_SYS(statx), BOTH },
	{ SCMP_SYS(statfs), BOTH },
	{ SCMP_SYS(fstatfs), BOTH },
	{ SCMP_SYS(readlink), BOTH },
	{ SCMP_SYS(readlinkat), BOTH },
	{ SCMP_SYS(getdents64), BOTH },
	{ SCMP_SYS(lseek), BOTH },
	{ SCMP_SYS(getxattr), BOTH },
	{ SCMP_SYS(fgetxattr), BOTH },
	{ SCMP_SYS(listxattr), BOTH },
	{ SCMP_SYS(lgetxattr), BOTH },
	{ SCMP_SYS(llistxattr), BOTH },
	{ SCMP_SYS(fchdir), BOTH },
	{ SCMP_SYS(fsetxattr), BOTH },
	{ SCMP_SYS(fremovexattr), BOTH },
	{ SCMP_SYS(memfd_create), BOTH },

	/* the spool */
	{ SCMP_SYS(flock), BOTH },
	{ SCMP_SYS(pread64), BOTH },
	{ SCMP_SYS(fsync), BOTH },
	{ SCMP_SYS(fdatasync), BOTH },
	{ SCMP_SYS(sync_file_range), BOTH },
	{ SCMP_SYS(rename), BOTH },
	{ SCMP_SYS(renameat), BOTH },
	{ SCMP_SYS(renameat2), BOTH },
	{ SCMP_SYS(unlink), BOTH },
	{ SCMP_SYS(unlinkat), BOTH },

	/* files_respond.c */
	{ SCMP_SYS(ftruncate), BOTH },

	/* files_settle.c */
	{ SCMP_SYS(pipe2), BOTH },

	/* the C library: clock, memory, signals, the end */
	{ SCMP_SYS(clock_gettime), BOTH },
	{ SCMP_SYS(gettimeofday), BOTH },
	{ SCMP_SYS(brk), BOTH },
	{ SCMP_SYS(munmap), BOTH },
	{ SCMP_SYS(mremap), BOTH },
	{ SCMP_SYS(madvise), BOTH },
	{ SCMP_SYS(futex), BOTH },
	{ SCMP_SYS(getrandom), BOTH },
	{ SCMP_SYS(rseq), BOTH },
	{ SCMP_SYS(set_robust_list), BOTH },
	{ SCMP_SYS(getpid), BOTH },
	{ SCMP_SYS(getppid), BOTH },
	{ SCMP_SYS(gettid), BOTH },
	{ SCMP_SYS(geteuid), BOTH },
	{ SCMP_SYS(getuid), BOTH },
	{ SCMP_SYS(rt_sigaction), BOTH },
	{ SCMP_SYS(rt_sigprocmask), BOTH },
	{ SCMP_SYS(rt_sigreturn), BOTH },
	{ SCMP_SYS(restart_syscall), BOTH },
	{ SCMP_SYS(exit), BOTH },
	{ SCMP_SYS(exit_group), BOTH },

	/* workers come and go */
	{ SCMP_SYS(clone), PARENT },
	{ SCMP_SYS(fork), PARENT },
	{ SCMP_SYS(socketpair), PARENT },
	{ SCMP_SYS(wait4), PARENT },
	{ SCMP_SYS(kill), PARENT },
	{ SCMP_SYS(prctl), PARENT },
	{ SCMP_SYS(seccomp), PARENT },
};

static int compare_int(const void *a, const void *b)
{
	const int *x = a;
	const int *y = b;

	return *x - *y;
}

int files_rights_close(int *keep, unsigned int num)
{
	unsigned int first = STDERR_FILENO + 1;
	unsigned int i = 0;
	int ret = 0;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd == -1) {
		return errno;
	}
	ret = dup2(fd, STDIN_FILENO);
	if (ret != -1) {
		ret = dup2(fd, STDOUT_FILENO);
	}
	qsort(keep, num, sizeof(keep[0]), compare_int);
	for (i = 0; ret != -1 && i < num; i++) {
		if ((unsigned int)keep[i] > first) {
			ret = close_range(first, keep[i] - 1, 0);
		}
		first = keep[i] + 1;
	}
	if (ret != -1) {
		ret = close_range(first, ~0U, 0);
	}
	return ret == -1 ? errno : 0;
}

static int drop_bounding(void)
{
	unsigned int num = sizeof(rights_capabilities) /
		sizeof(rights_capabilities[0]);
	cap_value_t cap = 0;
	unsigned int i = 0;
	int ret = 0;

	for (cap = 0; cap_get_bound(cap) >= 0; cap++) {
		for (i = 0; i < num && rights_capabilities[i] != cap; i++) {
		}
		if (i < num || cap_get_bound(cap) == 0) {
			continue;
		}
		ret = cap_drop_bound(cap);
		if (ret == -1) {
			return errno;
		}
	}
	return 0;
}

static int drop_capabilities(void)
{
	int num = sizeof(rights_capabilities) /
		sizeof(rights_capabilities[0]);
	cap_t caps = cap_init();
	int ret = caps == NULL ? -1 : 0;

	if (ret == 0) {
		ret = cap_set_flag(caps, CAP_PERMITTED, num,
				   rights_capabilities, CAP_SET);
	}
	if (ret == 0) {
		ret = cap_set_flag(caps, CAP_EFFECTIVE, num,
				   rights_capabilities, CAP_SET);
	}
	if (ret == 0) {
		ret = cap_set_proc(caps);
	}
	ret = ret == 0 ? 0 : errno;
	cap_free(caps);
	return ret;
}

int files_rights_drop(int *no_network)
{
	int ret = unshare(CLONE_NEWNET);

	*no_network = ret == -1 ? errno : 0;
	/* no core with somebody's files in it */
	ret = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (ret == -1) {
		return errno;
	}
	ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (ret == -1) {
		return errno;
	}
	ret = drop_bounding();
	if (ret != 0) {
		return ret;
	}
	ret = drop_capabilities();
	return ret == 0 ? core_forbid() : ret;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

static int rights_filter(enum rights_who who)
{
	(void)who;
	(void)rights_calls;
	return ENOTSUP;
}

#else

/*
 * Calls that depend on what they are given: memory that can be executed is
 * never made. 0 or -errno.
 */
static int rights_limited(scmp_filter_ctx filter, enum rights_who who)
{
	const struct scmp_arg_cmp not_exec =
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int ret = 0;

	ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			       not_exec);
	if (ret == 0) {
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
				       SCMP_SYS(mprotect), 1, not_exec);
	}
	if (ret == 0) {
		/* abort(), and no other signal to anybody */
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
				       SCMP_SYS(tgkill), 1,
				       SCMP_A2(SCMP_CMP_EQ, 6));
	}
	if (ret == 0 && who == WORKER) {
		/* a thread of its own (files_settle.c), and no process */
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
				       SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ,
					       CLONE_THREAD, CLONE_THREAD));
	}
	if (ret == 0) {
		/* so that the C library falls back to clone() */
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
				       SCMP_SYS(clone3), 0);
	}
	return ret;
}

/*
 * Not by prctl(): where only that one works an emulator (valgrind) stands in
 * between, and the filter would hit its own calls instead of ours.
 */
static bool have_seccomp(void)
{
	const uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
		       &action) == 0;
}

static int rights_filter(enum rights_who who)
{
	unsigned int num = sizeof(rights_calls) / sizeof(rights_calls[0]);
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	unsigned int i = 0;
	int ret = filter == NULL ? -ENOMEM : 0;

	if (!have_seccomp()) {
		ret = -ENOSYS;
	}
	for (i = 0; ret == 0 && i < num; i++) {
		if ((rights_calls[i].who & who) == 0) {
			continue;
		}
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
				       rights_calls[i].call, 0);
	}
	if (ret == 0) {
		ret = rights_limited(filter, who);
	}
	if (ret == 0) {
		ret = seccomp_load(filter);
	}
	seccomp_release(filter);
	return -ret;
}

#endif

int files_rights_parent(void)
{
	return rights_filter(PARENT);
}

int files_rights_worker(void)
{
	return rights_filter(WORKER);
}
