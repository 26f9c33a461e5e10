/*
 * cavad's end of the files process.
 *
 * 1. A worker gets one request at a time. What it has not started on waits
 *    here, so that the stuck timer measures one request, a lost worker costs
 *    the one request it had, and no socket is ever full.
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

#include "cavad/files_job.h"
#include "cavad/files_parent.h"

#define FILES_END_WAIT 1000	/* ms for the parent to end */
#define SCAN_BUCKETS 256

TAILQ_HEAD(files_jobs, files_job);

struct files_job {
	TAILQ_ENTRY(files_job) entry;
	struct files_jobs *queue;	/* NULL = a worker has it */
	struct files_job **slot;	/* NULL = nobody wants the answer */
	files_job_done done;
	void *private_data;
	uint32_t id;
	uint32_t number;
	uint64_t scan_id;
	bool lock;
	size_t len;
	uint8_t data[];
};

/* Which worker holds the lease of a scan. */
struct files_scan {
	LIST_ENTRY(files_scan) entry;
	uint64_t scan_id;
	unsigned int index;
	uint32_t incarnation;
};

struct files_worker {
	struct files *files;
	unsigned int index;
	uint32_t incarnation;
	pid_t pid;
	int sock;			/* -1 = there is none now */
	struct tevent_fd *fde;
	struct tevent_timer *stuck;
	struct files_job *current;
	struct files_jobs later;	/* rule 5; their .queue is NULL */
	struct files_jobs waiting;	/* ends of scans it holds */
};

struct files {
	struct tevent_context *ev;
	int control;
	struct tevent_fd *control_fde;
	pid_t parent;
	void (*fatal)(void *private_data);
	void *private_data;
	struct files_worker workers[FILES_PROCESSES];
	struct files_jobs waiting;
	struct files_jobs walks;	/* rule 7 */
	LIST_HEAD(, files_scan) scans[SCAN_BUCKETS];
	uint32_t last_id;
	unsigned int stuck;		/* ms */
	uint8_t msg[FILES_MSG_MAX];
};

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

static void job_queue(struct files_jobs *queue, struct files_job *job)
{
	job->queue = queue;
	TAILQ_INSERT_TAIL(queue, job, entry);
}

static struct files_job *job_first(struct files_jobs *queue)
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

	LIST_FOREACH(scan, &f->scans[scan_id % SCAN_BUCKETS], entry) {
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
	LIST_INSERT_HEAD(&f->scans[scan_id % SCAN_BUCKETS], scan, entry);
}

/* Rule 2. */
static struct files_jobs *queue_of(struct files *f,
				   const struct files_job *job)
{
	struct files_scan *scan = NULL;
	struct files_worker *w = NULL;

	if (job->number == FILES_MSG_WALK) {
		return &f->walks;
	}
	if (job->number == FILES_MSG_END) {
		scan = scan_find(f, job->scan_id);
	}
	if (scan == NULL) {
		return &f->waiting;
	}
	w = &f->workers[scan->index];
	if (w->sock == -1 || w->incarnation != scan->incarnation) {
		return &f->waiting;
	}
	return &w->waiting;
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

/* Closes the worker's socket and takes its request from it. */
static struct files_job *worker_close(struct files_worker *w)
{
	struct files_job *job = w->current;

	w->current = NULL;
	TALLOC_FREE(w->stuck);
	TALLOC_FREE(w->fde);
	if (w->sock != -1) {
		close(w->sock);
		w->sock = -1;
	}
	return job;
}

/* Rule 3. */
static void worker_lost(struct files_worker *w, int error)
{
	struct files *f = w->files;
	struct files_job *job = worker_close(w);
	struct files_job *next = NULL;
	files_job_done done = NULL;
	void *private_data = NULL;

	while ((next = job_first(&w->waiting)) != NULL) {
		job_queue(&f->waiting, next);
	}
	while ((next = job_first(&w->later)) != NULL) {
		if (next->slot != NULL) {
			job_queue(&f->waiting, next);
		} else {
			talloc_free(next);
		}
	}
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

/* 0 or errno; the worker has it then. */
static int worker_give(struct files_worker *w, struct files_job *job)
{
	struct files *f = w->files;
	struct buf b = buf_writer(job->data, job->len);
	struct timeval at;
	int ret = 0;

	at = tevent_timeval_current_ofs(f->stuck / 1000,
					f->stuck % 1000 * 1000);
	w->stuck = tevent_add_timer(f->ev, f, at, worker_stuck, w);
	if (w->stuck == NULL) {
		return ENOMEM;
	}
	b.pos = job->len;
	ret = files_msg_send(w->sock, &b, -1, MSG_DONTWAIT);
	if (ret != 0) {
		TALLOC_FREE(w->stuck);
		return ret;
	}
	w->current = job;
	return 0;
}

/* Gives every idle worker what there is for it. Calls no callback. */
static void files_push(struct files *f)
{
	struct files_worker *w = NULL;
	struct files_jobs *open = NULL;
	struct files_job *job = NULL;
	unsigned int i = 0;
	int ret = 0;

	for (i = 0; i < FILES_PROCESSES; i++) {
		w = &f->workers[i];
		if (w->sock == -1 || w->current != NULL) {
			continue;
		}
		open = i < FILES_WORKERS ? &f->waiting : &f->walks;
		job = job_first(&w->waiting);
		if (job == NULL) {
			job = job_first(open);
		}
		if (job == NULL) {
			continue;
		}
		ret = worker_give(w, job);
		if (ret == 0) {
			continue;
		}
		/* died idle: nobody has begun with the job */
		job->queue = open;
		TAILQ_INSERT_HEAD(open, job, entry);
		if (ret != ENOMEM) {
			worker_lost(w, EPIPE);
		}
	}
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
	job_queue(queue_of(f, job), job);
}

/* Did a begin, so answered, leave something held at the worker? */
static bool begun_holds(const struct files_job *job, struct buf reply)
{
	return job->number == FILES_MSG_BEGIN && job->lock &&
		buf_get_u8(&reply) == FILES_OK && buf_get_u8(&reply) != 0;
}

/* It has nothing under way now. */
static struct files_job *worker_take(struct files_worker *w)
{
	struct files_job *job = w->current;

	w->current = NULL;
	TALLOC_FREE(w->stuck);
	return job;
}

/* Rule 5: the job that this reply is to, or NULL. */
static struct files_job *worker_later(struct files_worker *w, uint32_t id,
				      uint32_t number)
{
	struct files_job *job = NULL;

	TAILQ_FOREACH(job, &w->later, entry) {
		if (job->id == id && job->number == number) {
			TAILQ_REMOVE(&w->later, job, entry);
			return job;
		}
	}
	return NULL;
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

static void worker_readable(struct tevent_context *ev, struct tevent_fd *fde,
			    uint16_t flags, void *private_data)
{
	struct files_worker *w = private_data;
	struct files *f = w->files;
	struct files_job *job = NULL;
	struct buf b;
	uint32_t number = 0;
	uint32_t id = 0;
	size_t len = 0;
	int fd = -1;
	int ret = 0;

	(void)ev;
	(void)fde;
	(void)flags;
	ret = files_msg_recv(w->sock, f->msg, &len, &fd, MSG_DONTWAIT);
	if (ret == EAGAIN) {
		return;
	}
	if (ret != 0) {
		worker_lost(w, EPIPE);
		return;
	}
	b = buf_reader(f->msg, len);
	number = buf_get_u32(&b);
	id = buf_get_u32(&b);
	if (number == FILES_MSG_LOG && fd == -1) {
		files_msg_logged(&b);
		return;
	}
	if (w->current != NULL && w->current->id == id &&
	    w->current->number == FILES_MSG_BEGIN &&
	    number == FILES_MSG_LATER && fd == -1) {
		job = worker_take(w);
		TAILQ_INSERT_TAIL(&w->later, job, entry);
		files_push(f);
		return;
	}
	if (w->current != NULL && w->current->id == id &&
	    w->current->number == number) {
		job = worker_take(w);
	} else {
		job = worker_later(w, id, number);
	}
	if (job != NULL) {
		worker_replied(w, job, &b, fd);
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

static void worker_stuck(struct tevent_context *ev, struct tevent_timer *te,
			 struct timeval now, void *private_data)
{
	struct files_worker *w = private_data;
	struct files *f = w->files;
	uint8_t msg[FILES_MSG_MAX];
	struct buf b = files_msg_start(msg, FILES_MSG_REPLACE, 0);

	(void)ev;
	(void)te;
	(void)now;
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
		   files_job_done done, void *private_data,
		   struct files_job **slot)
{
	struct files_job *job = job_create(f, number, scan_id, message);

	if (job == NULL) {
		return ENOMEM;
	}
	job->lock = lock;
	job->done = done;
	job->private_data = private_data;
	job->slot = slot;
	*slot = job;
	job_queue(queue_of(f, job), job);
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
	size_t len = 0;
	int fd = -1;
	int ret = 0;

	(void)ev;
	(void)fde;
	(void)flags;
	ret = files_msg_recv(f->control, f->msg, &len, &fd, MSG_DONTWAIT);
	if (ret == EAGAIN) {
		return;
	}
	if (ret != 0) {
		control_ended(f);
		return;
	}
	b = buf_reader(f->msg, len);
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
	struct files_job *job = NULL;
	unsigned int i = 0;

	jobs_detach(&f->waiting);
	jobs_detach(&f->walks);
	for (i = 0; i < FILES_PROCESSES; i++) {
		jobs_detach(&f->workers[i].waiting);
		jobs_detach(&f->workers[i].later);
		job = worker_close(&f->workers[i]);
		if (job != NULL) {
			job_detach(job);
		}
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
	size_t len = 0;
	int fd = -1;
	int ret = 0;

	while (missing > 0) {
		ret = files_msg_recv(f->control, f->msg, &len, &fd, 0);
		if (ret != 0) {
			return ret;
		}
		b = buf_reader(f->msg, len);
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
	for (i = 0; i < FILES_PROCESSES; i++) {
		f->workers[i].files = f;
		f->workers[i].index = i;
		f->workers[i].sock = -1;
		TAILQ_INIT(&f->workers[i].waiting);
		TAILQ_INIT(&f->workers[i].later);
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
