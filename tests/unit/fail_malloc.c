/*
 * Preloaded to a unit test: one of its allocations fails, that number
 * FAIL_MALLOC (the first is 1). Counted are those of the program itself, of
 * talloc and tevent. At the end the count is in the file FAIL_MALLOC_COUNT,
 * and after it the number of the first allocation of each stack of callers.
 *
 * A crash is a stack trace on stderr and the exit status 99: cmocka, which
 * would go on with the next test, does not get the signals.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAIL_RANGES 8
#define FAIL_FRAMES 40
#define FAIL_CRASHED 99
#define FAIL_DEPTH 12		/* frames that tell callers apart */
#define FAIL_SEEN 65536		/* stacks; a power of two */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static struct {
	uintptr_t start, end;
} fail_ranges[FAIL_RANGES];
static unsigned int fail_num;
static atomic_long fail_count;
static long fail_at;
static pid_t fail_pid;
static const char *fail_report;
static _Atomic(uintptr_t) fail_seen[FAIL_SEEN];
static long fail_first[FAIL_SEEN];

static int fail_range(struct dl_phdr_info *info, size_t size, void *unused)
{
	int i = 0;

	(void)size;
	(void)unused;
	if (info->dlpi_name[0] != '\0' &&
	    strstr(info->dlpi_name, "/libtalloc.") == NULL &&
	    strstr(info->dlpi_name, "/libtevent.") == NULL) {
		return 0;
	}
	for (i = 0; i < info->dlpi_phnum && fail_num < FAIL_RANGES; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0) {
			fail_ranges[fail_num].start = info->dlpi_addr +
				p->p_vaddr;
			fail_ranges[fail_num].end = info->dlpi_addr +
				p->p_vaddr + p->p_memsz;
			fail_num++;
		}
	}
	return 0;
}

/* That of the same callers is kept with the number of the first. */
static void fail_note(long number)
{
	void *frames[FAIL_DEPTH];
	int n = backtrace(frames, FAIL_DEPTH);
	uintptr_t hash = 1;
	uintptr_t none = 0;
	size_t at = 0;
	size_t tries = 0;
	int i = 0;

	for (i = 0; i < n; i++) {
		hash = (hash ^ (uintptr_t)frames[i]) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 29;
	}
	hash |= 1;		/* 0 is a free place */
	for (tries = 0; tries < FAIL_SEEN; tries++) {
		at = (hash + tries) % FAIL_SEEN;
		none = 0;
		if (atomic_compare_exchange_strong(&fail_seen[at], &none,
						   hash)) {
			fail_first[at] = number;
			return;
		}
		if (none == hash) {
			return;
		}
	}
}

static bool fail_due(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	unsigned int i = 0;
	long number = 0;

	for (i = 0; i < fail_num; i++) {
		if (at >= fail_ranges[i].start && at < fail_ranges[i].end) {
			number = atomic_fetch_add(&fail_count, 1) + 1;
			if (fail_report != NULL && getpid() == fail_pid) {
				fail_note(number);
			}
			return number == fail_at;
		}
	}
	return false;
}

#define FAIL_HERE() do { \
	if (fail_due(__builtin_return_address(0))) { \
		errno = ENOMEM; \
		return NULL; \
	} \
} while (0)

void *malloc(size_t n)
{
	FAIL_HERE();
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	FAIL_HERE();
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	FAIL_HERE();
	return __libc_realloc(p, n);
}

static void fail_crashed(int number)
{
	void *frames[FAIL_FRAMES];
	int n = backtrace(frames, FAIL_FRAMES);

	(void)number;
	backtrace_symbols_fd(frames, n, STDERR_FILENO);
	_exit(FAIL_CRASHED);
}

static bool fail_is_crash(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGABRT ||
		number == SIGFPE || number == SIGILL;
}

int sigaction(int number, const struct sigaction *act,
	      struct sigaction *old)
{
	static int (*real)(int, const struct sigaction *, struct sigaction *);

	if (act != NULL && fail_is_crash(number) &&
	    act->sa_handler != fail_crashed) {
		return 0;
	}
	if (real == NULL) {
		*(void **)&real = dlsym(RTLD_NEXT, "sigaction");
	}
	return real(number, act, old);
}

/* What cmocka calls; the C library's own does not come by the one above. */
sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction act = { .sa_handler = handler,
				 .sa_flags = SA_RESTART };
	struct sigaction old = { .sa_handler = SIG_DFL };

	return sigaction(number, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

__attribute__((constructor)) static void fail_start(void)
{
	const struct sigaction crash = { .sa_handler = fail_crashed };
	const char *at = getenv("FAIL_MALLOC");
	void *frames[1];
	int number = 0;

	(void)backtrace(frames, 1);	/* which loads what it needs */
	for (number = 1; number < NSIG; number++) {
		if (fail_is_crash(number)) {
			sigaction(number, &crash, NULL);
		}
	}
	fail_pid = getpid();
	fail_at = at == NULL ? 0 : atol(at);
	fail_report = getenv("FAIL_MALLOC_COUNT");
	unsetenv("LD_PRELOAD");		/* what it starts has all it wants */
	dl_iterate_phdr(fail_range, NULL);
}

__attribute__((destructor)) static void fail_end(void)
{
	size_t i = 0;
	int fd = -1;

	if (fail_report == NULL || getpid() != fail_pid) {
		return;
	}
	fd = open(fail_report, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	dprintf(fd, "%ld\n", fail_count);
	for (i = 0; i < FAIL_SEEN; i++) {
		if (fail_seen[i] != 0) {
			dprintf(fd, "%ld\n", fail_first[i]);
		}
	}
	close(fd);
}
