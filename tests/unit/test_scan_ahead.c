/*
 * Scans that nobody waits for yet (scan_ahead.c). Servers are the test's
 * (scan_test.h), files process and store the real ones.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"

#include <fcntl.h>

static void ahead(struct test *t, const char *path)
{
	struct scan_request request = { .source = SCAN_AHEAD,
					.have_ident = true, .path = path };
	int fd = open(path, O_PATH | O_CLOEXEC);

	assert_int_equal(ident_of_fd(fd, &request.ident), 0);
	close(fd);
	scan_ahead(t->scans, t->ev, &request);
}

/* Opened, and not read: they take nobody's place, and who reads joins. */
static void test_ahead(void **p)
{
	struct test *t = *p;
	struct tevent_req *reqs[2];
	char *paths[15];
	int i;

	for (i = 0; i < 15; i++) {
		paths[i] = make_file(t, talloc_asprintf(t, "f%d", i));
		ahead(t, paths[i]);
		ahead(t, paths[i]);
	}
	RUNNING(t, 10);		/* half of 20 */
	turn_for(t, 30);
	assert_int_equal(t->servers->running_count, 10);
	assert_int_equal(t->counters.all_scan_requests, 10);
	reqs[0] = ask(t, paths[0], SCAN_ON_ACCESS, false);
	reqs[1] = ask(t, paths[14], SCAN_ON_ACCESS, false);
	RUNNING(t, 11);
	t->servers->at_once = true;
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(answer_of(t, reqs[i]).verdict.result,
				 VERDICT_CLEAN);
	}
	assert_int_equal(t->servers->asked, 11);
	/* the read of what was begun ahead is no other request */
	assert_int_equal(t->counters.all_scan_requests, 11);
	assert_int_equal(t->counters.on_demand_scan_requests, 11);
	WAIT_FOR(t, state_of(paths[9]) == VERDICT_STATE_CLEAN);
	t->servers->online = false;
	ahead(t, paths[13]);
	turn_for(t, 30);
	assert_int_equal(t->servers->asked, 11);
	assert_int_equal(state_of(paths[13]), VERDICT_STATE_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_ahead) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
