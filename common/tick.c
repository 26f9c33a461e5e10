/*
 * See tick.h. A timerfd, on the clock that tevent's timers go by.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/tick.h"

#include <sys/timerfd.h>
#include <unistd.h>

struct tick {
	int fd;
	bool set;
	struct tevent_fd *fde;
	tick_fn fn;
	void *private_data;
};

static int tick_destructor(struct tick *t)
{
	TALLOC_FREE(t->fde);
	close(t->fd);
	return 0;
}

static void tick_due(struct tevent_context *ev, struct tevent_fd *fde,
		     uint16_t flags, void *private_data)
{
	struct tick *t = talloc_get_type_abort(private_data, struct tick);
	uint64_t times = 0;

	(void)ev;
	(void)fde;
	(void)flags;
	if (read(t->fd, &times, sizeof(times)) != sizeof(times)) {
		return;		/* it was set anew meanwhile */
	}
	t->set = false;
	t->fn(t->private_data);
}

struct tick *tick_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			 tick_fn fn, void *private_data)
{
	struct tick *t = talloc_zero(mem_ctx, struct tick);

	if (t == NULL) {
		return NULL;
	}
	t->fn = fn;
	t->private_data = private_data;
	t->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->fd == -1) {
		talloc_free(t);
		return NULL;
	}
	talloc_set_destructor(t, tick_destructor);
	t->fde = tevent_add_fd(ev, t, t->fd, TEVENT_FD_READ, tick_due, t);
	if (t->fde == NULL) {
		talloc_free(t);
		return NULL;
	}
	return t;
}

void tick_at(struct tick *t, struct timeval when)
{
	struct itimerspec spec = {
		.it_value = { .tv_sec = when.tv_sec,
			      .tv_nsec = when.tv_usec * 1000 },
	};

	if (spec.it_value.tv_sec <= 0) {
		spec.it_value.tv_sec = 1;	/* 0 would be never */
	}
	/* it fails for what is no time, and none is set here */
	(void)timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &spec, NULL);
	t->set = true;
}

/* Not by tick_at(): a clock that is set does not move it. */
void tick_in(struct tick *t, uint64_t us)
{
	struct itimerspec spec = {
		.it_value = { .tv_sec = (time_t)(us / 1000000),
			      .tv_nsec = (long)(us % 1000000) * 1000 + 1 },
	};

	(void)timerfd_settime(t->fd, 0, &spec, NULL);
	t->set = true;
}

void tick_stop(struct tick *t)
{
	static const struct itimerspec never = { .it_value.tv_sec = 0 };

	(void)timerfd_settime(t->fd, 0, &never, NULL);
	t->set = false;
}

bool tick_is_set(const struct tick *t)
{
	return t->set;
}
