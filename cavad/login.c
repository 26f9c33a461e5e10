/*
 * Logging in: see login.h.
 *
 * The loop allocates a hash to be made, queues it, and frees it; the thread
 * only fills in whether it matched and moves it from one list to the other,
 * and tells the loop by an eventfd. A hash belongs to the logins, not to its
 * request: freeing the request makes it forget that.
 *
 * An attempt counts as a failure from its beginning until it is right, so
 * that a hundred at a time are no way around the limit. Names that nobody has
 * are hashed like the others; their time tells nothing.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/login.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/req.h"

#define LOGIN_KNOWN_MAX 64
#define LOGIN_FROM_MAX 256
#define LOGIN_FROM_SIZE 64

/* A hash to be made. */
struct login_hash {
	struct login_hash *next;
	struct logins *logins;
	char *password;
	char *hash;
	bool known;		/* there is such an account */
	bool match;
	struct tevent_req *req;	/* the loop's; NULL = freed */
};

struct login_list {
	struct login_hash *first;
	struct login_hash **last;
};

struct login_known {
	uint8_t digest[DIGEST_SIZE];
	time_t until;		/* 0 = unused */
};

/* The failures of an address. */
struct login_from {
	char from[LOGIN_FROM_SIZE];
	time_t since;		/* when the window began; 0 = unused */
	unsigned int count;	/* those under way, too */
	unsigned int wrong;
};

struct logins {
	struct tevent_context *ev;
	struct tevent_fd *fde;
	struct accounts *accounts;
	struct events *events;
	struct counters *counters;
	uint8_t key[DIGEST_SIZE];
	struct login_known known[LOGIN_KNOWN_MAX];
	unsigned int known_next;
	struct login_from from[LOGIN_FROM_MAX];
	unsigned int queued_count;

	int event_fd;
	pthread_t thread;
	bool running;		/* the thread */
	pthread_mutex_t lock;	/* for what follows */
	pthread_cond_t work;
	struct login_list queued;
	struct login_list done;
	bool stop;
};

struct login_state {
	struct tevent_context *ev;
	struct logins *logins;
	struct login_hash *hash;	/* NULL = over */
	const char *name;
	const char *from;
	uint8_t digest[DIGEST_SIZE];
};

static void login_hashed(struct login_hash *hash);
static void login_delayed(struct tevent_req *subreq);

static time_t login_now(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + 1;	/* never 0 */
}

/* --- the thread --- */

static void login_list_init(struct login_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void login_list_append(struct login_list *list, struct login_hash *h)
{
	h->next = NULL;
	*list->last = h;
	list->last = &h->next;
}

static struct login_hash *login_list_take(struct login_list *list)
{
	struct login_hash *h = list->first;

	if (h != NULL) {
		list->first = h->next;
		if (list->first == NULL) {
			list->last = &list->first;
		}
	}
	return h;
}

static void *login_thread(void *private_data)
{
	struct logins *l = private_data;
	struct login_hash *h = NULL;
	uint64_t one = 1;
	ssize_t n = 0;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		h = login_list_take(&l->queued);
		if (h == NULL) {
			pthread_cond_wait(&l->work, &l->lock);
			continue;
		}
		pthread_mutex_unlock(&l->lock);
		h->match = account_password(h->hash, h->password) &&
			h->known;
		pthread_mutex_lock(&l->lock);
		login_list_append(&l->done, h);
		n = write(l->event_fd, &one, sizeof(one));
		(void)n;
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void logins_done(struct tevent_context *ev, struct tevent_fd *fde,
			uint16_t flags, void *private_data)
{
	struct logins *l = private_data;
	struct login_hash *h = NULL;
	struct login_hash *done = NULL;
	uint64_t count = 0;
	ssize_t n = read(l->event_fd, &count, sizeof(count));

	(void)ev;
	(void)fde;
	(void)flags;
	(void)n;
	pthread_mutex_lock(&l->lock);
	done = l->done.first;
	login_list_init(&l->done);
	pthread_mutex_unlock(&l->lock);
	while (done != NULL) {
		h = done;
		done = h->next;
		l->queued_count--;
		login_hashed(h);
		talloc_free(h);
	}
}

static int login_hash_destructor(struct login_hash *h)
{
	if (h->password != NULL) {
		explicit_bzero(h->password, strlen(h->password));
	}
	return 0;
}

/* Requests that outlive it: they end when their owners end them. */
static void login_list_forget(struct login_list *list)
{
	struct login_hash *h = NULL;
	struct login_state *state = NULL;

	for (h = list->first; h != NULL; h = h->next) {
		if (h->req != NULL) {
			state = tevent_req_data(h->req, struct login_state);
			state->hash = NULL;
		}
	}
}

static int logins_destructor(struct logins *l)
{
	TALLOC_FREE(l->fde);
	if (l->running) {
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		pthread_cond_signal(&l->work);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	login_list_forget(&l->queued);
	login_list_forget(&l->done);
	if (l->event_fd != -1) {
		close(l->event_fd);
	}
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->work);
	explicit_bzero(l->key, sizeof(l->key));
	return 0;
}

static int logins_start(struct logins *l)
{
	sigset_t all;
	sigset_t before;
	int ret = 0;

	l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->event_fd == -1) {
		return errno;
	}
	l->fde = tevent_add_fd(l->ev, l, l->event_fd, TEVENT_FD_READ,
			       logins_done, l);
	if (l->fde == NULL) {
		return ENOMEM;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&l->thread, NULL, login_thread, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->running = ret == 0;
	return ret;
}

int logins_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		  struct accounts *accounts, struct events *events,
		  struct counters *counters, struct logins **result)
{
	struct logins *l = talloc_zero(mem_ctx, struct logins);
	int ret = 0;

	if (l == NULL) {
		return ENOMEM;
	}
	l->ev = ev;
	l->accounts = talloc_steal(l, accounts);
	l->events = events;
	l->counters = counters;
	l->event_fd = -1;
	login_list_init(&l->queued);
	login_list_init(&l->done);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->work, NULL);
	talloc_set_destructor(l, logins_destructor);
	if (getrandom(l->key, sizeof(l->key), 0) != sizeof(l->key)) {
		ret = EIO;
	}
	ret = ret != 0 ? ret : logins_start(l);
	if (ret != 0) {
		talloc_free(l);
		return ret;
	}
	*result = l;
	return 0;
}

void logins_change(struct logins *l, struct accounts *accounts)
{
	memset(l->known, 0, sizeof(l->known));
	talloc_free(l->accounts);
	l->accounts = talloc_steal(l, accounts);
}

const struct accounts *logins_accounts(const struct logins *l)
{
	return l->accounts;
}

/* --- what was right lately --- */

/* Of all that makes it right, with the key: no way back to the password. */
static bool login_digest(const struct logins *l, const char *name,
			 const char *password, const char *hash,
			 uint8_t digest[DIGEST_SIZE])
{
	char *text = talloc_asprintf(NULL, "%s:%s:%s", name, hash, password);
	uint8_t bytes[2 * DIGEST_SIZE];

	if (text == NULL) {
		return false;
	}
	memcpy(bytes, l->key, DIGEST_SIZE);
	digest_of(text, strlen(text), bytes + DIGEST_SIZE);
	digest_of(bytes, sizeof(bytes), digest);
	explicit_bzero(text, strlen(text));
	talloc_free(text);
	return true;
}

static bool login_is_known(const struct logins *l,
			   const uint8_t digest[DIGEST_SIZE])
{
	time_t now = login_now();
	bool found = false;
	size_t i = 0;

	for (i = 0; i < LOGIN_KNOWN_MAX; i++) {
		found = found || (l->known[i].until > now &&
				  account_equal(l->known[i].digest, digest,
						DIGEST_SIZE));
	}
	return found;
}

static void login_remember(struct logins *l,
			   const uint8_t digest[DIGEST_SIZE])
{
	struct login_known *k = &l->known[l->known_next];

	l->known_next = (l->known_next + 1) % LOGIN_KNOWN_MAX;
	memcpy(k->digest, digest, DIGEST_SIZE);
	k->until = login_now() + LOGIN_KNOWN;
}

/* --- what was wrong --- */

/* Its row; the one that is unused longest when it has none. */
static struct login_from *login_from(struct logins *l, const char *from)
{
	struct login_from *oldest = &l->from[0];
	time_t now = login_now();
	size_t i = 0;

	for (i = 0; i < LOGIN_FROM_MAX; i++) {
		if (l->from[i].since != 0 &&
		    strcmp(l->from[i].from, from) == 0) {
			oldest = &l->from[i];
			break;
		}
		if (l->from[i].since < oldest->since) {
			oldest = &l->from[i];
		}
	}
	if (i == LOGIN_FROM_MAX || now - oldest->since >= LOGIN_WINDOW) {
		*oldest = (struct login_from) { .since = now };
		strncpy(oldest->from, from, LOGIN_FROM_SIZE - 1);
	}
	return oldest;
}

/* One line when it begins, one when the address is refused. */
static void login_failed(struct logins *l, const char *from, const char *name)
{
	struct login_from *f = login_from(l, from);

	l->counters->api_login_failures++;
	f->wrong++;
	if (f->wrong == 1) {
		event_log(l->events, EVENT_CAVA_LOGIN_FAILED, from,
			  "as %.*s", ACCOUNT_NAME_MAX, name);
	}
	if (f->wrong == LOGIN_FAILURES) {
		event_log(l->events, EVENT_CAVA_LOGIN_FAILED, from,
			  "%d times, the last one as %.*s; it is refused for "
			  "up to %d s", LOGIN_FAILURES, ACCOUNT_NAME_MAX,
			  name, LOGIN_WINDOW);
	}
}

/* --- a login --- */

static void login_cleanup(struct tevent_req *req, enum tevent_req_state s)
{
	struct login_state *state = tevent_req_data(req, struct login_state);

	(void)s;
	if (state->hash != NULL) {
		state->hash->req = NULL;
		state->hash = NULL;
	}
}

/* 0, or why it is not queued. */
static int login_queue(struct tevent_req *req, struct login_state *state,
		       const struct account *account, const char *password)
{
	struct logins *l = state->logins;
	const char *hash = account != NULL ? account->hash :
			   l->accounts->rows[0].hash;
	struct login_hash *h = NULL;

	if (login_from(l, state->from)->count >= LOGIN_FAILURES) {
		return EBUSY;
	}
	if (l->queued_count >= LOGIN_QUEUE) {
		return EAGAIN;
	}
	h = talloc_zero(l, struct login_hash);
	if (h == NULL) {
		return ENOMEM;
	}
	talloc_set_destructor(h, login_hash_destructor);
	h->logins = l;
	h->known = account != NULL;
	h->password = talloc_strdup(h, password);
	h->hash = talloc_strdup(h, hash);
	if (h->password == NULL || h->hash == NULL) {
		talloc_free(h);
		return ENOMEM;
	}
	h->req = req;
	state->hash = h;
	login_from(l, state->from)->count++;
	l->queued_count++;
	pthread_mutex_lock(&l->lock);
	login_list_append(&l->queued, h);
	pthread_cond_signal(&l->work);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

struct tevent_req *login_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			      struct logins *l, const char *name,
			      const char *password, const char *from)
{
	const struct account *account = account_find(l->accounts, name);
	struct login_state *state = NULL;
	struct tevent_req *req = tevent_req_create(mem_ctx, &state,
						   struct login_state);
	int ret = 0;

	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->logins = l;
	state->name = talloc_strndup(state, name, ACCOUNT_NAME_MAX);
	state->from = talloc_strdup(state, from);
	if (state->name == NULL || state->from == NULL ||
	    !login_digest(l, name, password,
			  account == NULL ? "" : account->hash,
			  state->digest)) {
		tevent_req_oom(req);
		return tevent_req_post(req, ev);
	}
	if (account != NULL && login_is_known(l, state->digest)) {
		tevent_req_done(req);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_cleanup_fn(req, login_cleanup);
	ret = login_queue(req, state, account, password);
	if (ret != 0) {
		tevent_req_error(req, (uint64_t)ret);
		return tevent_req_post(req, ev);
	}
	return req;
}

static void login_hashed(struct login_hash *hash)
{
	struct tevent_req *req = hash->req;
	struct login_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct login_from *from = NULL;

	if (req == NULL) {
		return;		/* nobody waits; it stays a failure */
	}
	state = tevent_req_data(req, struct login_state);
	state->hash = NULL;
	hash->req = NULL;
	if (hash->match) {
		from = login_from(state->logins, state->from);
		from->count -= from->count > 0;
		login_remember(state->logins, state->digest);
		tevent_req_done(req);
		return;
	}
	login_failed(state->logins, state->from, state->name);
	subreq = tevent_wakeup_send(state, state->ev,
				    tevent_timeval_current_ofs(LOGIN_DELAY,
							       0));
	if (subreq == NULL) {
		tevent_req_error(req, EACCES);
		return;
	}
	tevent_req_set_callback(subreq, login_delayed, req);
}

static void login_delayed(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);

	(void)tevent_wakeup_recv(subreq);
	TALLOC_FREE(subreq);
	tevent_req_error(req, EACCES);
}

int login_recv(struct tevent_req *req)
{
	int ret = req_error(req);

	tevent_req_received(req);
	return ret;
}
