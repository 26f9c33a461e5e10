/*
 * What the files process may not do, tried: system calls beyond its list
 * fail with EPERM for a worker, and most of them for the parent, while the
 * same calls of a process with all rights fail with another error or not at
 * all. Arguments are such that none does any harm.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cavad/files_rights.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PARENT_MAY true

#define CALL(name, ...) { #name, SYS_##name, { __VA_ARGS__ }, false }
#define PARENT(name, ...) { #name, SYS_##name, { __VA_ARGS__ }, PARENT_MAY }

static const struct {
	const char *name;
	long number;
	long arguments[6];
	bool parent_may;
} calls[] = {
	/* the network */
	CALL(socket, AF_INET, SOCK_STREAM),
	CALL(socket, AF_UNIX, SOCK_STREAM),
	CALL(bind, -1),
	CALL(listen, -1),
	CALL(connect, -1),
	CALL(accept4, -1),
	PARENT(socketpair, -1),
	/* other programs and processes */
	CALL(execve, 0),
	CALL(execveat, -1, 0),
	PARENT(clone, CLONE_NEWNS | CLONE_FS),	/* EINVAL if it may */
	CALL(ptrace, 0xffff),
	CALL(process_vm_readv, 0, 0, 0, 0, 0, -1),
	CALL(process_vm_writev, 0, 0, 0, 0, 0, -1),
	PARENT(kill, 0x3fffffff, 0),
	CALL(tgkill, 0x3fffffff, 0x3fffffff, SIGTERM),
	CALL(tkill, 0x3fffffff, SIGTERM),
	CALL(pidfd_open, 0x3fffffff),
	CALL(pidfd_getfd, -1),
	CALL(prlimit64, 0x3fffffff),
	CALL(setpriority, -1),
	/* the system */
	CALL(mount, 0),
	CALL(umount2, 0),
	CALL(open_tree, -1, 0),
	CALL(fsopen, 0),
	CALL(move_mount, -1, 0, -1, 0),
	CALL(pivot_root, 0, 0),
	CALL(chroot, 0),
	CALL(unshare, 0),
	CALL(setns, -1),
	CALL(swapon, 0),
	CALL(reboot, 0),
	CALL(init_module, 0),
	CALL(finit_module, -1),
	CALL(bpf, -1),
	CALL(perf_event_open, 0),
	CALL(keyctl, 0xffff),
	CALL(add_key, 0),
	CALL(clock_settime, CLOCK_REALTIME, 0),
	CALL(settimeofday, 0xff, 0),
	CALL(sethostname, 0, -1),
	CALL(userfaultfd, -1),
	CALL(io_uring_setup, 0),
	CALL(fanotify_init, -1),
	CALL(inotify_init1, -1),
	CALL(personality, 0xffffffff),
	CALL(ioctl, -1, 0),
	/* who it is */
	CALL(setuid, 0),
	CALL(setresuid, 0, 0, 0),
	CALL(setgid, 0),
	CALL(setgroups, -1),
	CALL(capset, 0),
	PARENT(prctl, PR_GET_DUMPABLE),
	PARENT(seccomp, -1),
	/* files: nothing is made, given away, or changed but our record */
	CALL(mkdirat, -1, 0),
	CALL(mknodat, -1, 0),
	CALL(symlinkat, 0, -1, 0),
	CALL(linkat, -1, 0, -1, 0),
	CALL(fchmod, -1),
	CALL(fchmodat, -1, 0),
	CALL(fchown, -1),
	CALL(fchownat, -1, 0),
	CALL(truncate, 0),
	CALL(fallocate, -1),
	CALL(utimensat, -1, 0),
	CALL(setxattr, 0),
	CALL(lsetxattr, 0),
	CALL(removexattr, 0),
	CALL(sendfile, -1, -1),
	CALL(copy_file_range, -1, 0, -1),
	CALL(splice, -1, 0, -1),
	CALL(pwrite64, -1),
	CALL(chdir, 0),
	/* memory that can be executed */
	CALL(mmap, 0, 4096, PROT_READ | PROT_EXEC,
	     MAP_PRIVATE | MAP_ANONYMOUS, -1),
	CALL(mprotect, 1, 4096, PROT_READ | PROT_EXEC),
};

static int try_call(size_t i)
{
	const long *a = calls[i].arguments;
	long ret = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4],
			   a[5]);

	return ret == -1 ? errno : 0;
}

/* In a child that may do what `drop` leaves; the error of each call. */
static void try_all(void (*drop)(void), int errors[COUNT(calls)])
{
	size_t size = COUNT(calls) * sizeof(int);
	int *shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid = 0;
	size_t i = 0;

	assert_ptr_not_equal(shared, MAP_FAILED);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		drop();
		for (i = 0; i < COUNT(calls); i++) {
			shared[i] = try_call(i);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (i = 0; i < COUNT(calls); i++) {
		errors[i] = shared[i];
	}
	munmap(shared, size);
}

static void drop_nothing(void)
{
}

static void drop_common(void)
{
	int no_network = 0;
	int ret = files_rights_drop(&no_network);

	if (ret != 0) {
		_exit(1);
	}
	if (prctl(PR_GET_DUMPABLE) != 0) {
		_exit(2);	/* it would leave what it reads in a core */
	}
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
		_exit(3);
	}
}

static void drop_to_parent(void)
{
	drop_common();
	if (files_rights_parent() != 0) {
		_exit(4);
	}
}

static void drop_to_worker(void)
{
	drop_to_parent();
	if (files_rights_worker() != 0) {
		_exit(5);
	}
}

static void skip_without_filter(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#else
	if (getenv("VALGRIND_LIB") != NULL || geteuid() != 0) {
		skip();
	}
#endif
}

static void test_worker(void **p)
{
	int free_errors[COUNT(calls)];
	int errors[COUNT(calls)];
	size_t told_apart = 0;
	size_t i = 0;

	(void)p;
	skip_without_filter();
	try_all(drop_nothing, free_errors);
	try_all(drop_to_worker, errors);
	for (i = 0; i < COUNT(calls); i++) {
		if (errors[i] != EPERM) {
			fail_msg("a worker's %s: errno %d", calls[i].name,
				 errors[i]);
		}
		told_apart += free_errors[i] != EPERM;
	}
	/* a container may forbid some of them to everybody */
	print_message("%zu calls, %zu of them the test itself may make\n",
		      COUNT(calls), told_apart);
	assert_true(told_apart > COUNT(calls) * 3 / 4);
}

static void test_parent(void **p)
{
	int errors[COUNT(calls)];
	size_t i = 0;

	(void)p;
	skip_without_filter();
	try_all(drop_to_parent, errors);
	for (i = 0; i < COUNT(calls); i++) {
		if ((errors[i] == EPERM) == calls[i].parent_may) {
			fail_msg("the parent's %s: errno %d", calls[i].name,
				 errors[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
