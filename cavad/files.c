/*
 * cavad's end of the files process.
 *
 * 1. A worker gets one request at a time, or a bunch (rule 8). What it has not
 *    started on waits here, so that the stuck timer measures one request, a
 *    lost worker costs the one request it had, and no socket is ever full.
 * 2. A request goes to any idle worker, but an end goes to the worker that
 *    holds the lease of its scan as long as that one lives; after that any
 *    worker does, since it opens the file anew.
 * 3. A worker that does not answer for FILES_STUCK s is replaced by the
 *    parent; its request ends with ETIMEDOUT. One whose socket ends without
 *    our doing has died: EPIPE. Requests that only waited for it go on.
 * 4. A job that is dropped while its worker is at it leaves nobody to tell:
 *    the answer is thrown away, and what a begin has locked is let go. An end
 *    is never taken back, since somebody waits for the lease.
 * 5. A begin that waits for a writer is answered LATER: it stays with its
 *    worker, which serves others meanwhile, and is begun anew by another one
 *    when that worker goes.
 * 6. Callbacks come last in every function: they may free anything, the
 *    `struct files` included.
 * 7. Walkers are workers that take walks and nothing else, so that no walk
 *    stands in the way of a scan; a walk lost with its walker ends like any
 *    other request, and the asker goes on from its last cursor.
 * 8. Requests of which nobody waits are lazy: files_bunch.c gathers them, and
 *    a worker gets several. Each answer starts the stuck timer anew. Which of
 *    a bunch a lost worker was at is not known, since it answers in bunches
 *    too: those that are left are done again, each alone, so that what hangs
 *    or kills costs no other. What is raised is lazy no more.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cavad/files_parent.h"
#include "cavad/files_private.h"

#define FILES_END_WAIT 1000	/* ms for the parent to end */

static void files_push(struct files *f);
static void worker_readable(struct tevent_context *ev, struct tevent_fd *fde,
			    uint16_t flags, void *private_data);
static void worker_stuck(struct tevent_context *ev, struct tevent_timer *te,
			 struct timeval now, void *private_data);

/* Nobody is told any more. Was there somebody? */
static bool job_detach(struct files_job *job)
{
	if (job->slot == NULL) {
		return false;
	}
	*job->slot = NULL;
	job->slot = NULL;
	return true;
}

void files_jobs_add(struct files_jobs *queue, struct files_job *job)
{
	job->queue = queue;
	TAILQ_INSERT_TAIL(queue, job, entry);
}

/* Taken from the queue; or NULL. */
static struct files_job *jobs_first(struct files_jobs *queue)
{
	struct files_job *job = TAILQ_FIRST(queue);

	if (job != NULL) {
		TAILQ_REMOVE(queue, job, entry);
		job->queue = NULL;
	}
	return job;
}

static struct files_scan *scan_find(struct files *f, uint64_t scan_id)
{
	struct files_scan *scan = NULL;

	LIST_FOREACH(scan, &f->scans[scan_id % FILES_SCAN_BUCKETS], entry) {
		if (scan->scan_id == scan_id) {
			return scan;
		}
	}
	return NULL;
}

static void scan_forget(struct files *f, uint64_t scan_id)
{
	struct files_scan *scan = scan_find(f, scan_id);

	if (scan != NULL) {
		LIST_REMOVE(scan, entry);
		talloc_free(scan);
	}
}

/* Without memory for it the end goes to any worker, which is slower only. */
static void scan_remember(struct files *f, uint64_t scan_id,
			  const struct files_worker *w)
{
	struct files_scan *scan = talloc_zero(f, struct files_scan);

	if (scan == NULL) {
		return;
	}
	scan->scan_id = scan_id;
	scan->index = w->index;
	scan->incarnation = w->incarnation;
	LIST_INSERT_HEAD(&f->scans[scan_id % FILES_SCAN_BUCKETS], scan, entry);
}

/* Rule 2. */
static struct files_jobs *queue_of(struct files *f,
				   const struct files_job *job)
{
	struct files_scan *scan = NULL;
	struct files_worker *w = NULL;
	struct files_jobs *any = job->lazy > 0 ? &f->lazy : &f->waiting;

	if (job->number == FILES_MSG_WALK) {
		return &f->walks;
	}
	if (job->number == FILES_MSG_END) {
		scan = scan_find(f, job->scan_id);
	}
	if (scan == NULL) {
		return any;
	}
	w = &f->workers[scan->index];
	if (w->sock == -1 || w->incarnation != scan->incarnation) {
		return any;
	}
	return job->lazy > 0 ? &w->lazy : &w->waiting;
}

static struct files_job *job_create(struct files *f, uint32_t number,
				    uint64_t scan_id, const struct buf *b)
{
	struct files_job *job = NULL;
	struct buf head;

	job = talloc_zero_size(f, sizeof(*job) + b->pos);
	if (job == NULL) {
		return NULL;
	}
	talloc_set_name_const(job, "struct files_job");
	job->id = ++f->last_id;
	job->number = number;
	job->scan_id = scan_id;
	job->len = b->pos;
	memcpy(job->data, b->data, b->pos);
	head = buf_writer(job->data, FILES_MSG_HEAD);
	buf_put_u32(&head, number);
	buf_put_u32(&head, job->id);
	return job;
}

/*
 * Once more, what is lazy on that queue, unless nobody wants what it would
 * say.
 */
static void jobs_again(struct files *f, struct files_jobs *from,
		       struct files_jobs *lazy)
{
	struct files_job *job = NULL;

	while ((job = jobs_first(from)) != NULL) {
		if (job->slot != NULL || job->number == FILES_MSG_END) {
			files_jobs_add(job->lazy != 0 ? lazy : &f->waiting,
				       job);
		} else {
			talloc_free(job);
		}
	}
}

/* Closes the worker's socket; what it had is for others. */
static void worker_close(struct files_worker *w)
{
	struct files *f = w->files;

	TALLOC_FREE(w->stuck);
	TALLOC_FREE(w->fde);
	if (w->sock != -1) {
		close(w->sock);
		w->sock = -1;
	}
	jobs_again(f, &w->waiting, &f->waiting);
	jobs_again(f, &w->later, &f->waiting);
	jobs_again(f, &w->lazy, &f->lazy);
	jobs_again(f, &w->under_way, &f->again);
}

/* What a worker is at, if it is one thing only; or NULL. */
static struct files_job *worker_alone(const struct files_worker *w)
{
	struct files_job *job = TAILQ_FIRST(&w->under_way);

	return job != NULL && TAILQ_NEXT(job, entry) == NULL ? job : NULL;
}

/* Rules 3 and 8. */
static void worker_lost(struct files_worker *w, int error)
{
	struct files *f = w->files;
	struct files_job *job = worker_alone(w);
	files_job_done done = NULL;
	void *private_data = NULL;

	if (job != NULL) {
		TAILQ_REMOVE(&w->under_way, job, entry);
	}
	worker_close(w);
	files_push(f);
	if (job == NULL) {
		return;
	}
	if (job->number == FILES_MSG_END) {
		scan_forget(f, job->scan_id);
	}
	if (job_detach(job)) {
		done = job->done;
		private_data = job->private_data;
	}
	talloc_free(job);
	if (done != NULL) {
		done(private_data, error, NULL, -1);
	}
}

/*
 * It is measured from now on, if there is memory for it: a request that was
 * not sent for want of it might have nobody who comes back to it.
 */
static void worker_watch(struct files_worker *w)
{
	struct files *f = w->files;
	struct timeval at;

	w->since = tevent_timeval_current();
	if (w->stuck != NULL) {
		return;
	}
	at = tevent_timeval_add(&w->since, f->stuck / 1000,
				f->stuck % 1000 * 1000);
	w->stuck = tevent_add_timer(f->ev, f, at, worker_stuck, w);
}

bool files_worker_idle(const struct files_worker *w)
{
	return w->sock != -1 && TAILQ_EMPTY(&w->under_way);
}

void files_worker_give(struct files_worker *w, struct files_bunch *bunch)
{
	struct files *f = w->files;
	struct files_job *job = NULL;
	int ret = files_out_send(&bunch->out, w->sock, MSG_DONTWAIT);

	if (ret == 0) {
		worker_watch(w);
		TAILQ_FOREACH(job, &bunch->jobs, entry) {
			job->queue = NULL;
		}
		TAILQ_CONCAT(&w->under_way, &bunch->jobs, entry);
		return;
	}
	files_bunch_undo(bunch);
	worker_close(w);
	files_push(f);
}

/* What it is to do next, on the queue; or NULL. */
static struct files_jobs *worker_queue(struct files_worker *w)
{
	struct files *f = w->files;

	if (w->index >= FILES_WORKERS) {
		return &f->walks;
	}
	if (!TAILQ_EMPTY(&w->waiting)) {
		return &w->waiting;
	}
	if (!TAILQ_EMPTY(&f->waiting) && !TAILQ_EMPTY(&w->lazy)) {
		return &w->lazy;	/* or it would be held for ever */
	}
	if (TAILQ_EMPTY(&f->waiting) && files_bunch_takes(w)) {
		return &f->again;
	}
	return &f->waiting;
}

/* Gives every idle worker what there is for it. Calls no callback. */
static void files_push(struct files *f)
{
	struct files_worker *w = NULL;
	struct files_bunch one;
	unsigned int i = 0;

	for (i = 0; i < FILES_PROCESSES; i++) {
		w = &f->workers[i];
		if (!files_worker_idle(w)) {
			continue;
		}
		files_bunch_start(&one);
		if (files_bunch_take(&one, worker_queue(w))) {
			files_worker_give(w, &one);
		}
	}
	files_bunch_push(f, false);
}

/* Rule 4: nobody will end this scan. */
static void scan_let_go(struct files *f, uint64_t scan_id)
{
	uint8_t msg[FILES_MSG_MAX];
	struct files_end end = { .scan_id = scan_id };
	struct buf b = files_msg_start(msg, FILES_MSG_END, 0);
	struct files_job *job = NULL;

	files_msg_put_end(&b, &end);
	job = job_create(f, FILES_MSG_END, scan_id, &b);
	if (job == NULL) {
		log_error("out of memory: a file stays locked until cavad "
			  "is restarted");
		return;
	}
	files_jobs_add(queue_of(f, job), job);
}

/* Did a begin, so answered, leave something held at the worker? */
static bool begun_holds(const struct files_job *job, struct buf reply)
{
	return job->number == FILES_MSG_BEGIN && job->lock &&
		buf_get_u8(&reply) == FILES_OK && buf_get_u8(&reply) != 0;
}

/* The job that this reply is to, or NULL. */
static struct files_job *job_take(struct files_jobs *jobs, uint32_t id,
				  uint32_t number)
{
	struct files_job *job = NULL;

	TAILQ_FOREACH(job, jobs, entry) {
		if (job->id == id && job->number == number) {
			TAILQ_REMOVE(jobs, job, entry);
			return job;
		}
	}
	return NULL;
}

/* The same, of what the worker has under way. */
static struct files_job *worker_take(struct files_worker *w, uint32_t id,
				     uint32_t number)
{
	struct files_job *job = job_take(&w->under_way, id, number);

	if (TAILQ_EMPTY(&w->under_way)) {
		TALLOC_FREE(w->stuck);
	} else if (job != NULL) {
		worker_watch(w);
	}
	return job;
}

/* `b`, the reply to the job, stands behind the head; fd is ours. */
static void worker_replied(struct files_worker *w, struct files_job *job,
			   struct buf *b, int fd)
{
	struct files *f = w->files;
	files_job_done done = job->done;
	void *private_data = job->private_data;
	bool wanted = job_detach(job);
	bool holds = begun_holds(job, *b);

	if (holds) {
		scan_remember(f, job->scan_id, w);
	}
	if (holds && !wanted) {
		scan_let_go(f, job->scan_id);
	}
	if (job->number == FILES_MSG_END) {
		scan_forget(f, job->scan_id);
	}
	talloc_free(job);
	files_push(f);
	if (wanted) {
		done(private_data, 0, b, fd);
	} else if (fd != -1) {
		close(fd);
	}
}

/* One message; fd is ours. */
static void worker_message(struct files_worker *w, struct buf *b, int fd)
{
	struct files *f = w->files;
	struct files_job *job = NULL;
	uint32_t number = buf_get_u32(b);
	uint32_t id = buf_get_u32(b);

	if (number == FILES_MSG_LOG && fd == -1) {
		files_msg_logged(b);
		return;
	}
	if (number == FILES_MSG_LATER && fd == -1) {
		job = worker_take(w, id, FILES_MSG_BEGIN);
	}
	if (job != NULL) {
		TAILQ_INSERT_TAIL(&w->later, job, entry);
		files_push(f);
		return;
	}
	job = worker_take(w, id, number);
	if (job == NULL) {
		job = job_take(&w->later, id, number);
	}
	if (job != NULL) {
		worker_replied(w, job, b, fd);
		return;
	}
	log_error("files process: worker %d sent what nobody asked for; it is "
		  "not listened to any more. Please report this.",
		  (int)w->pid);
	if (fd != -1) {
		close(fd);
	}
	worker_lost(w, EPIPE);
}

/* One packet: all or some of a bunch. */
static void worker_readable(struct tevent_context *ev, struct tevent_fd *fde,
			    uint16_t flags, void *private_data)
{
	struct files_worker *w = private_data;
	struct files *f = w->files;
	struct buf b;
	bool freed = false;
	int fd = -1;
	int ret = files_in_recv(&f->in, w->sock, MSG_DONTWAIT);

	(void)ev;
	(void)fde;
	(void)flags;
	if (ret != 0) {
		if (ret != EAGAIN) {
			worker_lost(w, EPIPE);
		}
		return;
	}
	f->freed = &freed;
	while (files_in_next(&f->in, &b, &fd)) {
		worker_message(w, &b, fd);
		if (freed) {
			return;
		}
		if (w->sock == -1) {
			files_in_drop(&f->in);	/* others do it again */
		}
	}
	f->freed = NULL;
}

static void worker_stuck(struct tevent_context *ev, struct tevent_timer *te,
			 struct timeval now, void *private_data)
{
	struct files_worker *w = private_data;
	struct files *f = w->files;
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_REPLACE, 0);
	struct timeval at = tevent_timeval_add(&w->since, f->stuck / 1000,
					       f->stuck % 1000 * 1000);

	(void)te;
	w->stuck = NULL;	/* tevent frees it */
	if (tevent_timeval_compare(&now, &at) < 0) {
		w->stuck = tevent_add_timer(ev, f, at, worker_stuck, w);
	}
	if (w->stuck != NULL) {
		return;		/* it has answered since */
	}
	log_warning("files process: worker %d has not answered for %u s and "
		    "is replaced; a file system below the check root hangs "
		    "or is very slow", (int)w->pid, f->stuck / 1000);
	buf_put_u32(&b, w->index);
	buf_put_u32(&b, w->incarnation);
	/* when this fails the parent is gone, which is noticed elsewhere */
	files_msg_send(f->control, &b, -1, MSG_DONTWAIT);
	worker_lost(w, ETIMEDOUT);
}

int files_job_send(struct files *f, const struct buf *message,
		   uint32_t number, uint64_t scan_id, bool lock,
		   unsigned int lazy, files_job_done done,
		   void *private_data, struct files_job **slot)
{
	struct files_job *job = job_create(f, number, scan_id, message);

	if (job == NULL) {
		return ENOMEM;
	}
	job->lock = lock;
	job->lazy = lazy;
	job->done = done;
	job->private_data = private_data;
	job->slot = slot;
	*slot = job;
	files_jobs_add(queue_of(f, job), job);
	if (lazy > 0) {
		files_bunch_added(f, job);
	}
	files_push(f);
	return 0;
}

void files_job_drop(struct files_job *job)
{
	job_detach(job);
	if (job->queue != NULL && job->number != FILES_MSG_END) {
		TAILQ_REMOVE(job->queue, job, entry);
		talloc_free(job);
	}
}

void files_job_urgent(struct files *f, struct files_job *job)
{
	job->lazy = 0;
	files_jobs_add(queue_of(f, job), job);
	files_push(f);
}

/* A new worker's socket; without a loop yet in files_start(). */
static void worker_came(struct files *f, struct buf *b, int fd)
{
	struct files_worker *w = NULL;
	uint32_t index = buf_get_u32(b);
	uint32_t incarnation = buf_get_u32(b);
	uint32_t pid = buf_get_u32(b);
	int ret = buf_finish(b);

	if (ret != 0 || index >= FILES_PROCESSES || fd == -1) {
		log_error("files process: a message that makes no sense");
		if (fd != -1) {
			close(fd);
		}
		return;
	}
	w = &f->workers[index];
	if (w->sock != -1) {
		worker_lost(w, EPIPE);	/* its end is still unread */
	}
	w->incarnation = incarnation;
	w->pid = pid;
	w->sock = fd;
	if (f->ev == NULL) {
		return;
	}
	w->fde = tevent_add_fd(f->ev, f, fd, TEVENT_FD_READ, worker_readable,
			       w);
	if (w->fde == NULL) {
		worker_close(w);
		return;
	}
	files_push(f);
}

static void control_ended(struct files *f)
{
	unsigned int i = 0;

	TALLOC_FREE(f->control_fde);
	log_error("the files process has ended; without it no file can be "
		  "scanned");
	for (i = 0; i < FILES_PROCESSES; i++) {
		TALLOC_FREE(f->workers[i].fde);
	}
	f->fatal(f->private_data);
}

static void control_readable(struct tevent_context *ev,
			     struct tevent_fd *fde, uint16_t flags,
			     void *private_data)
{
	struct files *f = private_data;
	struct buf b;
	uint32_t number = 0;
	int fd = -1;
	int ret = 0;

	(void)ev;
	(void)fde;
	(void)flags;
	ret = files_msg_recv(f->control, &f->in, &b, &fd, MSG_DONTWAIT);
	if (ret == EAGAIN) {
		return;
	}
	if (ret != 0) {
		control_ended(f);
		return;
	}
	number = buf_get_u32(&b);
	buf_get_u32(&b);
	if (number == FILES_MSG_WORKER) {
		worker_came(f, &b, fd);
		return;
	}
	if (fd != -1) {
		close(fd);
	}
	if (number == FILES_MSG_LOG) {
		files_msg_logged(&b);
	}
}

/* The parent ends when its socket does; do not leave a zombie. */
static void parent_wait(pid_t pid)
{
	struct pollfd pfd = { .fd = -1, .events = POLLIN };

	pfd.fd = syscall(SYS_pidfd_open, pid, 0);
	if (pfd.fd != -1) {
		poll(&pfd, 1, FILES_END_WAIT);
		close(pfd.fd);
	}
	waitpid(pid, NULL, WNOHANG);
}

static void jobs_detach(struct files_jobs *queue)
{
	struct files_job *job = NULL;

	TAILQ_FOREACH(job, queue, entry) {
		job_detach(job);
	}
}

static int files_destructor(struct files *f)
{
	unsigned int i = 0;

	if (f->freed != NULL) {
		*f->freed = true;
	}
	files_in_drop(&f->in);
	jobs_detach(&f->waiting);
	jobs_detach(&f->lazy);
	jobs_detach(&f->again);
	jobs_detach(&f->walks);
	for (i = 0; i < FILES_PROCESSES; i++) {
		jobs_detach(&f->workers[i].waiting);
		jobs_detach(&f->workers[i].later);
		jobs_detach(&f->workers[i].lazy);
		jobs_detach(&f->workers[i].under_way);
		worker_close(&f->workers[i]);
	}
	TALLOC_FREE(f->control_fde);
	close(f->control);
	parent_wait(f->parent);
	return 0;
}

/* Before the loop: takes what the parent says until all workers are there. */
static int wait_started(struct files *f)
{
	struct buf b;
	uint32_t number = 0;
	unsigned int missing = FILES_PROCESSES;
	int fd = -1;
	int ret = 0;

	while (missing > 0) {
		ret = files_msg_recv(f->control, &f->in, &b, &fd, 0);
		if (ret != 0) {
			return ret;
		}
		number = buf_get_u32(&b);
		buf_get_u32(&b);
		switch (number) {
		case FILES_MSG_WORKER:
			worker_came(f, &b, fd);
			missing--;
			break;
		case FILES_MSG_LOG:
			files_msg_logged(&b);
			break;
		default:
			ret = buf_get_u32(&b);
			return ret == 0 ? EBADMSG : ret;
		}
	}
	return 0;
}

int files_start(TALLOC_CTX *mem_ctx, const char *check_root,
		const char *spool_dir, struct files **result)
{
	struct files *f = talloc_zero(mem_ctx, struct files);
	int pair[2] = { -1, -1 };
	unsigned int i = 0;
	int ret = 0;

	if (f == NULL) {
		return ENOMEM;
	}
	f->stuck = FILES_STUCK * 1000;
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->walks);
	TAILQ_INIT(&f->lazy);
	TAILQ_INIT(&f->again);
	for (i = 0; i < FILES_PROCESSES; i++) {
		f->workers[i].files = f;
		f->workers[i].index = i;
		f->workers[i].sock = -1;
		TAILQ_INIT(&f->workers[i].waiting);
		TAILQ_INIT(&f->workers[i].later);
		TAILQ_INIT(&f->workers[i].lazy);
		TAILQ_INIT(&f->workers[i].under_way);
	}
	ret = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	if (ret == -1) {
		ret = errno;
		talloc_free(f);
		return ret;
	}
	f->parent = fork();
	if (f->parent == 0) {
		files_parent_run(pair[1], check_root, spool_dir);
	}
	ret = errno;
	close(pair[1]);
	if (f->parent == -1) {
		close(pair[0]);
		talloc_free(f);
		return ret;
	}
	f->control = pair[0];
	talloc_set_destructor(f, files_destructor);
	ret = wait_started(f);
	if (ret != 0) {
		talloc_free(f);
		return ret;
	}
	*result = f;
	return 0;
}

void files_attach(struct files *f, struct tevent_context *ev,
		  void (*fatal)(void *private_data), void *private_data)
{
	struct files_worker *w = NULL;
	unsigned int i = 0;
	bool ok = true;

	f->ev = ev;
	f->fatal = fatal;
	f->private_data = private_data;
	f->control_fde = tevent_add_fd(ev, f, f->control, TEVENT_FD_READ,
				       control_readable, f);
	ok = f->control_fde != NULL;
	for (i = 0; i < FILES_PROCESSES; i++) {
		w = &f->workers[i];
		w->fde = tevent_add_fd(ev, f, w->sock, TEVENT_FD_READ,
				       worker_readable, w);
		ok = ok && w->fde != NULL;
	}
	if (!ok) {
		log_error("out of memory: cannot listen to the files "
			  "process");
		fatal(private_data);
	}
}
