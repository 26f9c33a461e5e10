/*
 * The filter where there is an allow-list: cavad is asked about what is
 * known infected, and about nothing else on its account.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/filter.h"

static void test_reads(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_READ };
	struct filter_decision with, without;
	int profile = 0;
	int state = 0;

	(void)p;
	for (profile = FILTER_STANDARD; profile <= FILTER_NO_SCAN;
	     profile++) {
		f.profile = (enum filter_profile)profile;
		for (state = VERDICT_STATE_NONE;
		     state <= VERDICT_STATE_QUARANTINED; state++) {
			x.state = (enum verdict_state)state;
			f.allows = false;
			without = filter_decide(&f, &x);
			f.allows = true;
			with = filter_decide(&f, &x);
			assert_int_equal(with.action,
					 state == VERDICT_STATE_INFECTED ?
					 FILTER_ASK : without.action);
		}
	}
}

static void test_opens(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_OPEN,
				  .state = VERDICT_STATE_INFECTED };

	(void)p;
	f.allows = true;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_GO);
	x.gate = true;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_ASK);
	x.gate = false;
	x.own_content = true;
	x.state = VERDICT_STATE_QUARANTINED;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_DENY);
	x.operation = FILTER_OPEN_REPLACE;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_GO);
}

static void test_answers(void **p)
{
	static const struct {
		enum verdict_state before;
		enum verdict_result result;
		enum verdict_reason reason;
		bool allowed;
	} rows[] = {
		{ VERDICT_STATE_INFECTED, VERDICT_INFECTED,
		  VERDICT_REASON_ALLOWED, true },
		{ VERDICT_STATE_NONE, VERDICT_INFECTED,
		  VERDICT_REASON_ALLOWED, true },
		{ VERDICT_STATE_INFECTED, VERDICT_INFECTED,
		  VERDICT_REASON_NONE, false },
		{ VERDICT_STATE_NONE, VERDICT_INFECTED,
		  VERDICT_REASON_QUARANTINED, false },
		{ VERDICT_STATE_INFECTED, VERDICT_FAILED,
		  VERDICT_REASON_NO_CAVAD, false },
		{ VERDICT_STATE_QUARANTINED, VERDICT_FAILED,
		  VERDICT_REASON_NO_CAVAD, false },
	};
	struct filter f = FILTER_DEFAULT;
	size_t i = 0;

	(void)p;
	f.allows = true;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(filter_allows(&f, rows[i].before,
					       rows[i].result,
					       rows[i].reason),
				 rows[i].allowed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
