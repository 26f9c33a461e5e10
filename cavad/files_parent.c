/*
 * The parent of the files process: keeps the right number of workers.
 *
 * It opens check_root, gives away what it does not need, and forks workers.
 * Each gets a socketpair of its own, whose other end goes to cavad over the
 * control socket. It never touches a file after that, so it cannot hang in
 * one, and it is what remains when a worker does.
 *
 * A worker that ended is forked anew, at most once a second. One that cavad
 * reports as stuck is killed and replaced at once: SIGKILL waits for the
 * kernel, which may wait for a dead disk or server. When FILES_DYING of them
 * wait like that there are no new ones until some are dead.
 *
 * The end: cavad has another uid by then, so the kernel would not let its
 * death signal through to us. The end of the control socket says the same,
 * and comes whatever cavad died of. Workers get SIGKILL when the parent
 * dies, and see the end of their own socket too. Signals of a terminal or of
 * a service manager to the whole group are ignored: cavad decides.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cavad/files_packet.h"
#include "cavad/files_parent.h"
#include "cavad/files_rights.h"
#include "cavad/files_walk.h"
#include "cavad/files_worker.h"

#define FORK_PAUSE 1000		/* ms between two forks of one worker */

struct slot {
	pid_t pid;		/* 0 = none */
	uint32_t incarnation;
	int64_t started;	/* monotonic ms */
};

struct parent {
	int control;
	int signals;
	struct files_root root;
	const char *spool_dir;
	struct slot slots[FILES_PROCESSES];
	unsigned int dying;
	uint8_t msg[FILES_MSG_MAX];
	struct files_in in;
};

static int64_t monotonic_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static void parent_failed(int control, uint8_t *msg, int error)
{
	struct buf b = files_msg_start(msg, FILES_MSG_FAILED, 0);

	buf_put_u32(&b, error);
	files_msg_send(control, &b, -1, 0);
}

/* In the worker. */
static void worker_start(struct parent *p, pid_t parent, int sock,
			 bool walks)
{
	int ret = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent) {
		_exit(0);	/* it was gone before that */
	}
	prctl(PR_SET_NAME, walks ? "cavad-walk" : "cavad-files-w", 0, 0, 0);
	close(p->control);
	close(p->signals);
	ret = files_rights_worker();
	if (ret != 0 && ret != ENOTSUP) {
		files_msg_log(sock, LOG_LEVEL_WARNING, "a worker runs without "
			      "a system call filter: %s", strerror(ret));
	}
	if (walks) {
		_exit(files_walker_run(sock, &p->root));
	}
	_exit(files_worker_run(sock, &p->root, p->spool_dir));
}

/* 0 or errno; started and incarnation count tries, too. */
static int slot_start(struct parent *p, unsigned int index)
{
	struct slot *slot = &p->slots[index];
	struct buf b = files_msg_start(p->msg, FILES_MSG_WORKER, 0);
	pid_t parent = getpid();
	int pair[2] = { -1, -1 };
	int ret = 0;

	slot->started = monotonic_ms();
	slot->incarnation++;
	ret = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	if (ret == -1) {
		return errno;
	}
	slot->pid = fork();
	if (slot->pid == 0) {
		close(pair[0]);
		worker_start(p, parent, pair[1], index >= FILES_WORKERS);
	}
	close(pair[1]);
	if (slot->pid == -1) {
		ret = errno;
		slot->pid = 0;
		close(pair[0]);
		return ret;
	}
	buf_put_u32(&b, index);
	buf_put_u32(&b, slot->incarnation);
	buf_put_u32(&b, slot->pid);
	ret = files_msg_send(p->control, &b, pair[0], 0);
	close(pair[0]);
	return ret;
}

/* Starts what is missing; returns the timeout for poll(). */
static int parent_fill(struct parent *p)
{
	int64_t now = monotonic_ms();
	int timeout = -1;
	unsigned int i = 0;
	int ret = 0;

	if (p->dying >= FILES_DYING) {
		return -1;
	}
	for (i = 0; i < FILES_PROCESSES; i++) {
		if (p->slots[i].pid != 0) {
			continue;
		}
		if (now - p->slots[i].started < FORK_PAUSE) {
			timeout = FORK_PAUSE;
			continue;
		}
		ret = slot_start(p, i);
		if (ret != 0) {
			files_msg_log(p->control, LOG_LEVEL_ERROR,
				      "cannot start a worker: %s; trying "
				      "again", strerror(ret));
			timeout = FORK_PAUSE;
		}
	}
	return timeout;
}

static void parent_reaped(struct parent *p, pid_t pid, int status)
{
	unsigned int i = 0;

	for (i = 0; i < FILES_PROCESSES && p->slots[i].pid != pid; i++) {
	}
	if (i == FILES_PROCESSES) {
		p->dying--;
		return;
	}
	p->slots[i].pid = 0;
	if (WIFSIGNALED(status)) {
		files_msg_log(p->control, LOG_LEVEL_WARNING, "worker %d ended "
			      "by signal %d; a new one takes its place",
			      (int)pid, WTERMSIG(status));
	}
}

static void parent_reap(struct parent *p)
{
	struct signalfd_siginfo info;
	ssize_t got = read(p->signals, &info, sizeof(info));
	int status = 0;
	pid_t pid = 0;

	if (got != sizeof(info)) {
		return;
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		parent_reaped(p, pid, status);
	}
}

static void parent_replace(struct parent *p, uint32_t index,
			   uint32_t incarnation)
{
	struct slot *slot = &p->slots[index];

	if (slot->pid == 0 || slot->incarnation != incarnation) {
		return;		/* ended by itself meanwhile */
	}
	kill(slot->pid, SIGKILL);
	slot->pid = 0;
	slot->started -= FORK_PAUSE;	/* at once */
	p->dying++;
	if (p->dying == FILES_DYING) {
		files_msg_log(p->control, LOG_LEVEL_ERROR, "%d workers hang "
			      "in the kernel, no new ones until they end: is "
			      "a disk or file server below the check root "
			      "away?", FILES_DYING);
	}
}

/* 0, or errno: cavad is gone. */
static int parent_serve(struct parent *p)
{
	struct buf in;
	uint32_t number = 0;
	uint32_t index = 0;
	uint32_t incarnation = 0;
	int fd = -1;
	int ret = files_msg_recv(p->control, &p->in, &in, &fd, 0);

	if (ret != 0) {
		return ret;
	}
	if (fd != -1) {
		close(fd);
		return EBADMSG;
	}
	number = buf_get_u32(&in);
	buf_get_u32(&in);
	index = buf_get_u32(&in);
	incarnation = buf_get_u32(&in);
	ret = buf_finish(&in);
	if (ret != 0 || number != FILES_MSG_REPLACE ||
	    index >= FILES_PROCESSES) {
		return EBADMSG;
	}
	parent_replace(p, index, incarnation);
	return 0;
}

static void parent_loop(struct parent *p)
{
	struct pollfd pfds[2] = {
		{ .fd = p->control, .events = POLLIN },
		{ .fd = p->signals, .events = POLLIN },
	};
	int timeout = 0;
	int ret = 0;

	while (ret == 0) {
		timeout = parent_fill(p);
		if (poll(pfds, 2, timeout) <= 0) {
			continue;
		}
		if (pfds[1].revents != 0) {
			parent_reap(p);
		}
		if (pfds[0].revents != 0) {
			ret = parent_serve(p);
		}
	}
}

/* 0 or errno. */
static int parent_signals(struct parent *p)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
				       SIGPIPE, SIGIO, SIGUSR1, SIGUSR2 };
	unsigned int i = 0;
	sigset_t set;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		signal(ignored[i], SIG_IGN);
	}
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signals == -1 ? errno : 0;
}

/* 0 or errno. */
static int parent_prepare(struct parent *p, const char *check_root)
{
	struct rlimit limit = { 0 };
	int keep[1] = { p->control };
	int no_network = 0;
	int ret = 0;

	ret = files_rights_close(keep, 1);
	if (ret == 0) {
		ret = parent_signals(p);
	}
	if (ret == 0) {
		ret = files_root_open(check_root, &p->root);
	}
	if (ret != 0) {
		return ret;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	umask(077);
	ret = chdir("/");
	if (ret == -1) {
		return errno;
	}
	ret = files_rights_drop(&no_network);
	if (ret != 0) {
		return ret;
	}
	if (no_network != 0) {
		files_msg_log(p->control, LOG_LEVEL_INFO, "no network "
			      "namespace of its own: %s",
			      strerror(no_network));
	}
	ret = files_rights_parent();
	if (ret != 0 && ret != ENOTSUP) {
		files_msg_log(p->control, LOG_LEVEL_WARNING, "runs without a "
			      "system call filter: %s", strerror(ret));
	}
	return 0;
}

void files_parent_run(int control, const char *check_root,
		      const char *spool_dir)
{
	struct parent *p = calloc(1, sizeof(*p));
	unsigned int i = 0;
	int ret = 0;

	if (p == NULL) {
		_exit(1);
	}
	p->control = control;
	p->spool_dir = spool_dir;
	prctl(PR_SET_NAME, "cavad-files", 0, 0, 0);
	ret = parent_prepare(p, check_root);
	for (i = 0; ret == 0 && i < FILES_PROCESSES; i++) {
		ret = slot_start(p, i);
	}
	if (ret != 0) {
		parent_failed(control, p->msg, ret);
		_exit(1);
	}
	parent_loop(p);
	for (i = 0; i < FILES_PROCESSES; i++) {
		if (p->slots[i].pid != 0) {
			kill(p->slots[i].pid, SIGKILL);
		}
	}
	_exit(0);
}
