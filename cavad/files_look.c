/*
 * Looking at many names at once: see files_look.h.
 *
 * 1. A file is passed over by three system calls: what has the record is the
 *    inode that the directory listed, and is still under that name after its
 *    record was read. Whatever is not exactly that is not current here, and
 *    is looked at again by who opens it.
 * 2. A file whose list of attributes has no record is to be scanned, whatever
 *    file it is by then. That it has no streams is true if nothing was renamed
 *    to that name since, nor got any: either would move ctime, so that has to
 *    be older than the look. (A file system that does not list records makes
 *    work: who is to scan the file reads its record first.)
 * 3. There is one thread beside the one that asks. Both take LOOK_BLOCK names
 *    at a time until there are none; who asks waits for no more than the
 *    block that the other one has in hand. So a thread that is late, or was
 *    never made, costs nothing.
 * 4. The thread knows names and the working directory, which all threads of
 *    a process share: it opens nothing, and keeps nothing.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "common/stream.h"
#include "common/verdict.h"

#ifndef LOOK_BLOCK		/* the test has smaller ones */
#define LOOK_BLOCK 8
#define LOOK_ALONE 32		/* so few are not worth waking anybody */
#endif
#define LOOK_STACK (64 * 1024)

struct looker {
	pthread_t thread;
	bool have_thread, no_thread;
	pthread_mutex_t lock;	/* for what follows */
	pthread_cond_t work, done;
	struct look look;
	size_t next;		/* name that nobody has */
	bool busy;		/* the thread has some */
	bool stop;
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t look_clock(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t look_dev(uint32_t major, uint32_t minor)
{
	return (uint64_t)major << 32 | minor;
}

/* The inode that the directory listed, as it is now. */
static bool look_stat(const struct look *look, const struct name *name,
		      struct content *now)
{
	struct statx stx = { 0 };

	if (statx(AT_FDCWD, name->text, AT_SYMLINK_NOFOLLOW,
		  STATX_BASIC_STATS, &stx) == -1 ||
	    !S_ISREG(stx.stx_mode) || stx.stx_ino != name->ino ||
	    look->dev != look_dev(stx.stx_dev_major, stx.stx_dev_minor)) {
		return false;
	}
	content_of_statx(&stx, now);
	return true;
}

/* Rules 1 and 2; *size is the file's. */
static enum look_says look_at_name(const struct look *look,
				   const struct name *name, uint64_t *size)
{
	int64_t before = clock_ns(CLOCK_REALTIME_COARSE);
	struct content now;
	struct verdict v;
	bool record = false;

	if (stream_perhaps(name->text, &record)) {
		return LOOK_OPEN;
	}
	record = record && !look->ignore_previous;
	if ((record && verdict_read_name(name->text, &v) != 0) ||
	    !look_stat(look, name, &now)) {
		return LOOK_OPEN;
	}
	*size = now.size;
	if (!record) {
		return now.ctime < before ? LOOK_NEW : LOOK_OPEN;
	}
	return verdict_state(&v, &now, look->signature_min) ==
		VERDICT_STATE_CLEAN ? LOOK_CURRENT : LOOK_OPEN;
}

static void look_at_names(const struct look *look, size_t first, size_t count)
{
	size_t i = 0;

	for (i = first; i < first + count; i++) {
		struct name *name = &look->names[i];

		if (name->type == DT_REG) {
			name->looks = look_at_name(look, name, &name->size);
			name->batch = look->batch;
		}
	}
}

/*
 * Takes the next block of names and looks at them. The lock is held, and let
 * go meanwhile. False: there are none.
 */
static bool look_block(struct looker *k)
{
	const struct look look = k->look;
	size_t first = k->next;
	size_t count = look.count - first;

	if (count > LOOK_BLOCK) {
		count = LOOK_BLOCK;
	}
	if (count == 0 || look_clock() >= look.end) {
		return false;
	}
	k->next += count;
	pthread_mutex_unlock(&k->lock);
	look_at_names(&look, first, count);
	pthread_mutex_lock(&k->lock);
	return true;
}

static void *looker_run(void *private_data)
{
	struct looker *k = private_data;

	pthread_mutex_lock(&k->lock);
	while (!k->stop) {
		k->busy = true;
		while (look_block(k)) {
		}
		k->busy = false;
		pthread_cond_signal(&k->done);
		pthread_cond_wait(&k->work, &k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* Once, and when there is work: a worker's rights are final by then. */
static void looker_thread(struct looker *k)
{
	pthread_attr_t attr;
	int ret = 0;

	if (k->have_thread || k->no_thread) {
		return;
	}
	ret = pthread_attr_init(&attr);
	if (ret == 0) {
		ret = pthread_attr_setstacksize(&attr, LOOK_STACK);
		if (ret == 0) {
			ret = pthread_create(&k->thread, &attr, looker_run, k);
		}
		pthread_attr_destroy(&attr);
	}
	k->have_thread = ret == 0;
	k->no_thread = ret != 0;
}

void looker_look(struct looker *k, const struct look *look)
{
	pthread_mutex_lock(&k->lock);
	k->look = *look;
	k->next = 0;
	if (look->count > LOOK_ALONE) {
		pthread_mutex_unlock(&k->lock);
		looker_thread(k);
		pthread_cond_signal(&k->work);
		pthread_mutex_lock(&k->lock);
	}
	while (look_block(k)) {
	}
	while (k->busy) {
		pthread_cond_wait(&k->done, &k->lock);
	}
	k->look.count = k->next = 0;
	pthread_mutex_unlock(&k->lock);
}

struct looker *looker_create(void)
{
	struct looker *k = calloc(1, sizeof(*k));

	if (k != NULL) {
		pthread_mutex_init(&k->lock, NULL);
		pthread_cond_init(&k->work, NULL);
		pthread_cond_init(&k->done, NULL);
	}
	return k;
}

void looker_end(struct looker *k)
{
	if (k == NULL) {
		return;
	}
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->work);
	pthread_mutex_unlock(&k->lock);
	if (k->have_thread) {
		pthread_join(k->thread, NULL);
	}
	pthread_mutex_destroy(&k->lock);
	pthread_cond_destroy(&k->work);
	pthread_cond_destroy(&k->done);
	free(k);
}
