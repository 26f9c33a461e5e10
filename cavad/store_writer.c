/*
 * Group commit.
 *
 * The loop allocates a write, queues it, and frees it when it is done; the
 * thread only fills in `error` and moves writes from one list to the other.
 * So all talloc calls are the loop's, and `lock` guards nothing but the two
 * lists and the flags. The thread tells the loop through an eventfd.
 *
 * 1. A write belongs to the writer, not to its request: freeing the request
 *    only makes the write forget it.
 * 2. A group that does not fit is halved until the write that does not fit
 *    is alone, so that one failure fails one request and order is kept. A
 *    delete that does not fit is tried again with the reserve.
 * 3. Requests end through tevent_req_defer_callback(), since the callback
 *    of one may free others, or the writer.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cavad/store_writer.h"
#include "common/log.h"
#include "common/req.h"

#define GROUP_MAX 4096		/* writes in one transaction */

struct store_write {
	struct store_write *next;
	int error;
	struct tevent_req *req;	/* the loop's; NULL = freed */
	size_t count;
	struct store_change changes[];	/* their bytes are behind them */
};

struct write_list {
	struct store_write *first;
	struct store_write *last;
};

struct store_writer {
	struct tevent_context *ev;
	struct tevent_fd *fde;
	struct db *db;
	int event_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;	/* for the thread: queued, or stop */
	pthread_cond_t idle;	/* for a flush: nothing queued or under way */
	struct write_list queued;
	struct write_list done;
	bool busy;		/* a group is being written */
	bool hurry;		/* not all that is queued is patient */
	bool stop;
	struct timespec last;	/* monotonic: began the last commit */
};

struct store_writer_state {
	struct store_write *sw;	/* NULL = over */
};

static void write_list_append(struct write_list *list,
			      struct store_write *w)
{
	w->next = NULL;
	if (list->last == NULL) {
		list->first = w;
	} else {
		list->last->next = w;
	}
	list->last = w;
}

static struct store_write *write_list_take(struct write_list *list)
{
	struct store_write *w = list->first;

	if (w == NULL) {
		return NULL;
	}
	list->first = w->next;
	if (list->first == NULL) {
		list->last = NULL;
	}
	w->next = NULL;
	return w;
}

/* The thread. */

static bool write_is_same(struct db_txn *t, const struct store_change *c)
{
	struct db_bytes now = { 0 };
	bool there = db_get(t, c->table, c->key, &now);

	return there && now.len == c->value.len &&
		memcmp(now.data, c->value.data, now.len) == 0;
}

static void write_apply(struct db_txn *t, struct store_write *w)
{
	const struct store_change *c = w->changes;
	size_t i;
	bool there;

	w->error = 0;
	for (i = 0; i < w->count; i++, c++) {
		if (c->kind == STORE_PUT) {
			db_put(t, c->table, c->key, c->value);
			continue;
		}
		if (c->kind == STORE_DEL_SAME && !write_is_same(t, c)) {
			continue;
		}
		there = db_del(t, c->table, c->key);
		if (!there && c->kind == STORE_DEL_EXISTING) {
			w->error = ENOENT;
		}
	}
}

static bool write_deletes(const struct store_write *w)
{
	size_t i;

	for (i = 0; i < w->count; i++) {
		if (w->changes[i].kind == STORE_PUT) {
			return false;
		}
	}
	return true;
}

static int group_commit(struct db *db, struct store_write *const *group,
			size_t n)
{
	struct db_txn t;
	size_t i;

	db_begin(db, DB_WRITE, &t);
	for (i = 0; i < n; i++) {
		write_apply(&t, group[i]);
	}
	return db_commit(&t);
}

static int group_commit_reserve(struct db *db,
				struct store_write *const *group)
{
	int ret;
	int shrunk;

	ret = db_reserve(db, true);
	if (ret != 0) {
		return ENOSPC;
	}
	ret = group_commit(db, group, 1);
	shrunk = db_reserve(db, false);
	if (shrunk != 0) {
		log_warning("the database may now use %d bytes more than "
			    "store_size: %s", DB_RESERVE, strerror(shrunk));
	}
	return ret;
}

/* Rule 2. At most 12 deep. */
static void group_write(struct db *db, struct store_write *const *group,
			size_t n)
{
	int ret;
	size_t i;

	ret = group_commit(db, group, n);
	if (ret == 0) {
		return;
	}
	if (ret == ENOSPC && n > 1) {
		group_write(db, group, n / 2);
		group_write(db, group + n / 2, n - n / 2);
		return;
	}
	if (ret == ENOSPC && write_deletes(group[0])) {
		ret = group_commit_reserve(db, group);
		if (ret == 0) {
			return;
		}
	}
	for (i = 0; i < n; i++) {
		group[i]->error = ret;
	}
}

/* Until there is something to be written; with the lock. False: the end. */
static bool writer_wait(struct store_writer *w)
{
	struct timespec end;
	int ret = 0;

	while (w->queued.first == NULL && !w->stop) {
		pthread_cond_wait(&w->work, &w->lock);
	}
	end = w->last;
	end.tv_nsec += STORE_PATIENCE * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	while (ret != ETIMEDOUT && !w->hurry && !w->stop) {
		ret = pthread_cond_clockwait(&w->work, &w->lock,
					     CLOCK_MONOTONIC, &end);
	}
	clock_gettime(CLOCK_MONOTONIC, &w->last);
	w->hurry = false;
	return w->queued.first != NULL;
}

static void *writer_thread(void *private_data)
{
	struct store_writer *w = private_data;
	struct store_write *group[GROUP_MAX];
	const uint64_t one = 1;
	ssize_t written;
	size_t i, n;

	pthread_mutex_lock(&w->lock);
	while (writer_wait(w)) {
		for (n = 0; n < GROUP_MAX && w->queued.first != NULL; n++) {
			group[n] = write_list_take(&w->queued);
		}
		w->busy = true;
		w->hurry = w->queued.first != NULL;
		pthread_mutex_unlock(&w->lock);

		group_write(w->db, group, n);

		pthread_mutex_lock(&w->lock);
		for (i = 0; i < n; i++) {
			write_list_append(&w->done, group[i]);
		}
		w->busy = false;
		if (w->queued.first == NULL) {
			pthread_cond_broadcast(&w->idle);
		}
		/* Fails only when it is set already, as often as 2^64 - 2. */
		written = write(w->event_fd, &one, sizeof(one));
		(void)written;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* The loop. */

static void store_writer_finish(struct store_write *sw)
{
	struct tevent_req *req = sw->req;
	struct store_writer_state *state = NULL;
	int error = sw->error;

	talloc_free(sw);
	if (req == NULL) {
		return;
	}
	state = tevent_req_data(req, struct store_writer_state);
	state->sw = NULL;
	if (error != 0) {
		tevent_req_error(req, error);
	} else {
		tevent_req_done(req);
	}
}

static void store_writer_woken(struct tevent_context *ev,
			       struct tevent_fd *fde, uint16_t flags,
			       void *private_data)
{
	struct store_writer *w = talloc_get_type_abort(
		private_data, struct store_writer);
	struct write_list done;
	struct store_write *sw = NULL;
	uint64_t count = 0;
	ssize_t got;

	(void)ev;
	(void)fde;
	(void)flags;
	pthread_mutex_lock(&w->lock);
	done = w->done;
	w->done = (struct write_list) { 0 };
	got = read(w->event_fd, &count, sizeof(count));
	(void)got;
	pthread_mutex_unlock(&w->lock);

	while ((sw = write_list_take(&done)) != NULL) {
		store_writer_finish(sw);
	}
}

static void write_list_forget(struct write_list *list)
{
	struct store_writer_state *state = NULL;
	struct store_write *sw = NULL;

	while ((sw = write_list_take(list)) != NULL) {
		if (sw->req == NULL) {
			continue;
		}
		state = tevent_req_data(sw->req, struct store_writer_state);
		state->sw = NULL;
	}
}

static int store_writer_destructor(struct store_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);

	write_list_forget(&w->done);
	TALLOC_FREE(w->fde);
	close(w->event_fd);
	pthread_cond_destroy(&w->idle);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	return 0;
}

/* Signals are the loop's. */
static int store_writer_start(struct store_writer *w)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&w->thread, NULL, writer_thread, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int store_writer_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			struct db *db, struct store_writer **result)
{
	struct store_writer *w = NULL;
	int ret;

	w = talloc_zero(mem_ctx, struct store_writer);
	if (w == NULL) {
		return ENOMEM;
	}
	w->ev = ev;
	w->db = db;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd == -1) {
		ret = errno;
		talloc_free(w);
		return ret;
	}
	w->fde = tevent_add_fd(ev, w, w->event_fd, TEVENT_FD_READ,
			       store_writer_woken, w);
	if (w->fde == NULL) {
		close(w->event_fd);
		talloc_free(w);
		return ENOMEM;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->idle, NULL);
	ret = store_writer_start(w);
	if (ret != 0) {
		TALLOC_FREE(w->fde);
		close(w->event_fd);
		talloc_free(w);
		return ret;
	}
	talloc_set_destructor(w, store_writer_destructor);
	*result = w;
	return 0;
}

static struct db_bytes write_bytes(uint8_t **room, struct db_bytes from)
{
	const struct db_bytes copy = { *room, from.len };

	if (from.len != 0) {
		memcpy(*room, from.data, from.len);
		*room += from.len;
	}
	return copy;
}

/* On the writer: it outlives the request (rule 1). NULL = no memory. */
static struct store_write *write_create(struct store_writer *w,
					const struct store_change *changes,
					size_t count)
{
	struct store_write *sw = NULL;
	uint8_t *room = NULL;
	size_t size = sizeof(*sw) + count * sizeof(*changes);
	size_t i;

	for (i = 0; i < count; i++) {
		size += changes[i].key.len + changes[i].value.len;
	}
	sw = talloc_zero_size(w, size);
	if (sw == NULL) {
		return NULL;
	}
	talloc_set_name_const(sw, "struct store_write");
	sw->count = count;
	room = (uint8_t *)&sw->changes[count];
	for (i = 0; i < count; i++) {
		sw->changes[i] = changes[i];
		sw->changes[i].key = write_bytes(&room, changes[i].key);
		sw->changes[i].value = write_bytes(&room, changes[i].value);
	}
	return sw;
}

static void store_writer_cleanup(struct tevent_req *req,
				 enum tevent_req_state req_state)
{
	struct store_writer_state *state = tevent_req_data(
		req, struct store_writer_state);

	(void)req_state;
	if (state->sw != NULL) {
		state->sw->req = NULL;
		state->sw = NULL;
	}
}

/* Wakes the thread where that changes what it waits for. */
static void writer_queue(struct store_writer *w, struct store_write *sw,
			 bool patient)
{
	pthread_mutex_lock(&w->lock);
	if (w->queued.first == NULL || (!patient && !w->hurry)) {
		pthread_cond_signal(&w->work);
	}
	w->hurry = w->hurry || !patient;
	write_list_append(&w->queued, sw);
	pthread_mutex_unlock(&w->lock);
}

struct tevent_req *store_writer_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct store_writer *w,
				     const struct store_change *change,
				     int error)
{
	return store_writer_send_all(mem_ctx, ev, w, change, 1, error);
}

struct tevent_req *store_writer_send_all(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 struct store_writer *w,
					 const struct store_change *changes,
					 size_t count, int error)
{
	struct tevent_req *req = NULL;
	struct store_writer_state *state = NULL;
	struct store_write *sw = NULL;
	bool patient = true;
	size_t i;

	req = tevent_req_create(mem_ctx, &state, struct store_writer_state);
	if (req == NULL) {
		return NULL;
	}
	if (error != 0) {
		tevent_req_error(req, error);
		return tevent_req_post(req, ev);
	}
	sw = write_create(w, changes, count);
	if (tevent_req_nomem(sw, req)) {
		return tevent_req_post(req, ev);
	}
	for (i = 0; i < count; i++) {
		patient = patient && changes[i].patient;
	}
	sw->req = req;
	state->sw = sw;
	tevent_req_set_cleanup_fn(req, store_writer_cleanup);
	tevent_req_defer_callback(req, ev);

	writer_queue(w, sw, patient);
	return req;
}

int store_writer_recv(struct tevent_req *req)
{
	int ret;

	ret = req_error(req);
	tevent_req_received(req);
	return ret;
}

bool store_writer_is_busy(struct store_writer *w)
{
	bool busy;

	pthread_mutex_lock(&w->lock);
	busy = w->hurry || w->busy;
	pthread_mutex_unlock(&w->lock);
	return busy;
}

void store_writer_flush(struct store_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->hurry = w->queued.first != NULL;
	pthread_cond_signal(&w->work);
	while (w->queued.first != NULL || w->busy) {
		pthread_cond_wait(&w->idle, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
}
