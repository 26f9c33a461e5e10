/* includes: cee_agent/pool.c cee_agent/tally.c
 *
 * The workers of cee_agent, which are a stand-in here: that their places are
 * filled again, without memory too.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/no_memory.h"

#include "cee_agent/pool.c"
#include "cee_agent/tally.c"

#define TEST_WORKERS 2

struct test {
	struct tevent_context *ev;
	struct agent_config config;
	struct pool *pool;
};

/* Answers each job with its own id. */
_Noreturn void worker_run(int fd, const struct agent_config *config,
			  unsigned int slot)
{
	struct job job;
	struct job_result result = { .status = CEE_SUCCESS };

	(void)config;
	(void)slot;
	while (recv(fd, &job, sizeof(job), 0) > 0) {
		result.id = job.id;
		(void)send(fd, &result, sizeof(result), MSG_NOSIGNAL);
	}
	_exit(0);
}

const struct storage *agent_config_storage(const struct agent_config *c,
					   const char *host)
{
	(void)c;
	(void)host;
	return NULL;
}

static void turn(struct test *t)
{
	assert_int_equal(tevent_loop_once(t->ev), 0);
}

static int setup(void **p)
{
	struct test *t = talloc_zero(NULL, struct test);
	struct tally *tally = NULL;

	*p = t;
	assert_non_null(t);
	t->ev = tevent_context_init(t);
	tally = tally_create(t);
	assert_non_null(t->ev);
	assert_non_null(tally);
	t->config.workers = TEST_WORKERS;
	assert_int_equal(tally_configure(tally, &t->config), 0);
	assert_int_equal(pool_create(t, &t->config, tally, &t->pool), 0);
	assert_int_equal(pool_watch(t->pool, t->ev), 0);
	return 0;
}

static int teardown(void **p)
{
	struct test *t = *p;

	TALLOC_FREE(t->pool);
	talloc_free(t);
	return 0;
}

static unsigned int alive(struct test *t)
{
	struct pool_usage usage;

	pool_usage(t->pool, &usage);
	return usage.workers;
}

static uint32_t answered(struct test *t)
{
	struct job job = { .kind = JOB_SCAN, .timeout = 60000 };
	struct job_result result;
	struct tevent_req *req = pool_send(t, t->ev, t->pool, &job);

	assert_non_null(req);
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(pool_recv(req, &result), 0);
	talloc_free(req);
	return result.status;
}

/* It is the next second before its place is filled. */
static void test_replaced(void **p)
{
	struct test *t = *p;
	struct pool_worker *w = &t->pool->workers[1];
	struct timeval soonest = w->next;
	struct timeval now;
	pid_t pid = w->pid;

	assert_int_equal(answered(t), CEE_SUCCESS);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (w->pid == 0 || w->pid == pid) {
		turn(t);
	}
	now = tevent_timeval_current();
	assert_true(tevent_timeval_compare(&soonest, &now) <= 0);
	assert_int_equal(alive(t), TEST_WORKERS);
	assert_int_equal(t->pool->tally->replaced_workers, 1);
	assert_int_equal(answered(t), CEE_SUCCESS);
}

/* While there is none it is tried again: no worker less for good. */
static void test_without_memory(void **p)
{
	struct test *t = *p;
	struct pool_worker *w = &t->pool->workers[1];
	struct timeval first = { .tv_sec = 0 };

	w->next = tevent_timeval_current_ofs(0, 50000);
	first = w->next;
	no_memory = true;
	assert_int_equal(kill(w->pid, SIGKILL), 0);
	while (tevent_timeval_compare(&w->next, &first) == 0) {
		turn(t);
	}
	assert_int_equal(w->fd, -1);	/* forked, and not watched */
	assert_int_equal(alive(t), TEST_WORKERS - 1);
	no_memory = false;
	while (w->fd == -1) {
		turn(t);
	}
	assert_int_equal(alive(t), TEST_WORKERS);
	assert_int_equal(answered(t), CEE_SUCCESS);
}

/* A place that a new configuration does not have is not filled. */
static void test_fewer(void **p)
{
	struct test *t = *p;
	struct pool_worker *w = &t->pool->workers[TEST_WORKERS];
	struct agent_config fewer = { .workers = TEST_WORKERS - 1 };
	pid_t pid = w->pid;

	w->next = tevent_timeval_current_ofs(3600, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (w->fd != -1) {
		turn(t);
	}
	w->next = tevent_timeval_current();
	tick_at(t->pool->vacant, w->next);
	pool_configure(t->pool, &fewer);
	assert_int_equal(alive(t), TEST_WORKERS - 1);
	while (tick_is_set(t->pool->vacant)) {
		turn(t);
	}
	assert_int_equal(w->fd, -1);
	assert_int_equal(alive(t), TEST_WORKERS - 1);
	assert_int_equal(answered(t), CEE_SUCCESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replaced),
		TEST(test_without_memory),
		TEST(test_fewer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
