/*
 * Waiting for the writes that are under way on a file, beside the loop of a
 * worker.
 *
 * A scan without a lease has to be sure that what it reads is what the
 * stamps of the file stand for. Three things stand against that:
 *
 * 1. A stamp is the coarse clock's, so two changes in a tick look alike.
 *    With the tick over, the next one has another ctime.
 * 2. write() moves ctime first and takes its time over the bytes, for as
 *    long as the page that it copies from takes to come. It holds the lock
 *    of the inode, and the calls below wait for that.
 * 3. What is stored into a dirty page of a mapping moves no time at all.
 *    Written back the page is clean: the next store is a page fault, and
 *    that moves mtime and ctime. (Not on tmpfs.)
 *
 * How long that is, is the writer's choice, and other files must not wait
 * with it: each wait is a thread of its own. It knows nothing but the
 * descriptor, and says in a pipe which slot has settled. A thread that never
 * comes back keeps its slot; one file has one slot at most.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_settle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cavad/files_record.h"

#define SETTLE_TICK 20		/* ms; the clock may be set back meanwhile */
#define SETTLE_STACK (64 * 1024)
#define SETTLE_XATTR "security.cava.none"	/* of no file */

struct settle_slot {
	void *owner;		/* NULL = free */
	dev_t dev;
	ino_t ino;
	int fd;
	int out;
	struct content content;
};

struct files_settle {
	struct settle_slot slots[FILES_SETTLE_MAX];
	int pipe[2];
};

int files_settle_create(struct files_settle **result)
{
	struct files_settle *s = calloc(1, sizeof(*s));
	int ret = 0;

	if (s == NULL) {
		return ENOMEM;
	}
	ret = pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK);
	if (ret == -1) {
		ret = errno;
		free(s);
		return ret;
	}
	*result = s;
	return 0;
}

int files_settle_fd(const struct files_settle *s)
{
	return s->pipe[0];
}

/*
 * All for the lock of the inode only. A mount that is read-only refuses the
 * second before it takes the lock, and some file systems seek without it:
 * those have it for each read (xfs) or to flush a file (vfat, exfat).
 */
static void settle_lock(int fd)
{
	int ret = 0;

	(void)lseek(fd, 0, SEEK_HOLE);
	ret = fremovexattr(fd, SETTLE_XATTR);
	if (ret == -1 && errno == EROFS) {
		(void)fsync(fd);
	}
}

static void *settle_run(void *private_data)
{
	const struct settle_slot *slot = private_data;
	int64_t ctime = slot->content.ctime;
	int wait = files_record_wait(ctime);

	if (!files_record_due(ctime)) {
		(void)poll(NULL, 0, wait < SETTLE_TICK ? wait : SETTLE_TICK);
	}
	(void)sync_file_range(slot->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE |
			      SYNC_FILE_RANGE_WRITE |
			      SYNC_FILE_RANGE_WAIT_AFTER);
	settle_lock(slot->fd);
	/* there is room in the pipe for every slot */
	(void)!write(slot->out, &slot, sizeof(slot));
	return NULL;
}

/* 0 or errno. The thread ends by itself, and nobody joins it. */
static int settle_thread(struct settle_slot *slot)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret = pthread_attr_init(&attr);

	if (ret != 0) {
		return ret;
	}
	ret = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (ret == 0) {
		ret = pthread_attr_setstacksize(&attr, SETTLE_STACK);
	}
	if (ret == 0) {
		ret = pthread_create(&thread, &attr, settle_run, slot);
	}
	pthread_attr_destroy(&attr);
	return ret;
}

int files_settle_start(struct files_settle *s, int fd,
		       const struct content *content, void *owner)
{
	struct settle_slot *slot = NULL;
	struct stat st = { 0 };
	unsigned int i = 0;
	int ret = fstat(fd, &st);

	if (ret == -1) {
		return errno;
	}
	for (i = 0; i < FILES_SETTLE_MAX; i++) {
		if (s->slots[i].owner == NULL) {
			slot = &s->slots[i];
			continue;
		}
		if (s->slots[i].dev == st.st_dev &&
		    s->slots[i].ino == st.st_ino) {
			return EAGAIN;
		}
	}
	if (slot == NULL) {
		return EAGAIN;
	}
	*slot = (struct settle_slot){
		.owner = owner,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.fd = fd,
		.out = s->pipe[1],
		.content = *content,
	};
	ret = settle_thread(slot);
	if (ret != 0) {
		slot->owner = NULL;
	}
	return ret;
}

void *files_settle_next(struct files_settle *s)
{
	struct settle_slot *slot = NULL;
	void *owner = NULL;
	ssize_t n = read(s->pipe[0], &slot, sizeof(slot));

	if (n != sizeof(slot)) {
		return NULL;
	}
	owner = slot->owner;
	slot->owner = NULL;
	return owner;
}
