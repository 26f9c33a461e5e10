/*
 * What follows from the facts about a file: each outcome, and each way in
 * which a record does not hold.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cavad/explain.h"

static struct explain_case a_case(enum verdict_state state)
{
	return (struct explain_case) {
		.filter = FILTER_DEFAULT,
		.service = true,
		.usable = true,
		.facts = { .state = state, .path = "/srv/a/x.doc",
			   .root = "/srv/a", .size = 100 },
	};
}

static void expect(const struct explain_case *c, enum explain_outcome outcome,
		   bool infected, const char *because)
{
	struct explain_judgement j = explain_judge(c);

	assert_non_null(strstr(j.because, because));
	assert_int_equal(j.outcome, outcome);
	assert_int_equal(j.infected, infected);
	assert_true(j.change != NULL || outcome == EXPLAIN_READ);
}

static void test_known(void **p)
{
	struct explain_case c = a_case(VERDICT_STATE_CLEAN);

	(void)p;
	expect(&c, EXPLAIN_READ, false, "clean, and holds");
	c = a_case(VERDICT_STATE_INFECTED);
	expect(&c, EXPLAIN_DENIED, true, "it is infected");
	c.filter.profile = FILTER_NO_SCAN;
	expect(&c, EXPLAIN_DENIED, true, "it is infected");
	c.filter.enabled = false;
	expect(&c, EXPLAIN_READ, false, "filter_enabled = no");
	c.service = false;
	expect(&c, EXPLAIN_READ, false, "service_enabled = no");
	c = a_case(VERDICT_STATE_UNSCANNABLE);
	expect(&c, EXPLAIN_READ, false, "can look inside");
	c.filter.open_on_fail = false;
	expect(&c, EXPLAIN_DENIED, false, "can look inside");
}

static void test_quarantined_or_allowed(void **p)
{
	struct explain_case c = a_case(VERDICT_STATE_QUARANTINED);

	(void)p;
	c.filter.allows = true;
	expect(&c, EXPLAIN_DENIED, true, "it is quarantined");
	c.allowed = true;
	expect(&c, EXPLAIN_DENIED, true, "it is quarantined");
	c = a_case(VERDICT_STATE_INFECTED);
	c.filter.allows = true;	/* of another file */
	expect(&c, EXPLAIN_DENIED, true, "it is infected");
	c.allowed = true;
	expect(&c, EXPLAIN_READ, false, "the allow-list lets that through");
}

static void test_was_infected(void **p)
{
	struct explain_case c = a_case(VERDICT_STATE_WAS_INFECTED);

	(void)p;
	expect(&c, EXPLAIN_WAIT, true, "only a new clean verdict");
	c.usable = false;
	expect(&c, EXPLAIN_DENIED, true, "no antivirus server is online");
	c.filter.profile = FILTER_WRITES_ONLY;
	expect(&c, EXPLAIN_DENIED, true, "no read of the zone makes a scan");
}

static void test_unknown(void **p)
{
	struct explain_case c = a_case(VERDICT_STATE_NONE);

	(void)p;
	expect(&c, EXPLAIN_READ, false, "profile standard");
	c.owed = true;
	expect(&c, EXPLAIN_WAIT, false, "a scan of it is owed");
	c.usable = false;
	expect(&c, EXPLAIN_READ, false, "open_on_fail lets");
	c.filter.open_on_fail = false;
	expect(&c, EXPLAIN_DENIED, false, "open_on_fail = no");
	c = a_case(VERDICT_STATE_STALE);
	c.filter.profile = FILTER_STRICT;
	expect(&c, EXPLAIN_WAIT, false, "no verdict that holds");
	c.facts.tiered = true;
	expect(&c, EXPLAIN_READ, false, "tiered");
	c.filter.open_on_fail = false;
	expect(&c, EXPLAIN_DENIED, false, "tiered");
	c = a_case(VERDICT_STATE_NONE);
	c.filter.size_maximum = 10;
	expect(&c, EXPLAIN_READ, false, "larger than");
	c.filter.size_deny = true;
	expect(&c, EXPLAIN_DENIED, false, "larger than");
	c = a_case(VERDICT_STATE_NONE);
	c.filter.profile = FILTER_WRITES_ONLY;
	expect(&c, EXPLAIN_READ, false, "makes no read wait");
}

static void test_rules(void **p)
{
	static const char *const doc[] = { "*.exe", "*.doc", NULL };
	static const char *const paths[] = { "b/", "/srv/a", NULL };
	struct explain_case c = a_case(VERDICT_STATE_NONE);
	TALLOC_CTX *frame = talloc_new(NULL);

	(void)p;
	assert_null(explain_rule(frame, &c.filter, &c.facts));
	assert_int_equal(filter_list_make(frame, paths, "",
					  &c.filter.paths), 0);
	expect(&c, EXPLAIN_READ, false, "paths_to_exclude");
	assert_string_equal(explain_rule(frame, &c.filter, &c.facts),
			    "paths_to_exclude: /srv/a");
	assert_int_equal(filter_list_make(frame, doc, "",
					  &c.filter.extensions), 0);
	expect(&c, EXPLAIN_READ, false, "extension");
	assert_string_equal(explain_rule(frame, &c.filter, &c.facts),
			    "file_extensions: *.doc");
	talloc_free(frame);
}

#define S 1000000000LL

static void test_stale(void **p)
{
	struct verdict v = {
		.content = { .size = 5, .mtime = 10 * S },
		.stamp = 20 * S, .signature_time = 100,
	};
	struct content now = { .size = 5, .mtime = 10 * S, .ctime = 20 * S };

	(void)p;
	assert_null(explain_stale(&v, &now, 0));
	assert_non_null(strstr(explain_stale(&v, &now, 101), "signatures"));
	now.ctime = 20 * S + 1;
	assert_non_null(strstr(explain_stale(&v, &now, 0), "ctime has moved"));
	now.ctime = 10 * S;
	assert_non_null(strstr(explain_stale(&v, &now, 0), "before the scan"));
	now.mtime = 11 * S;
	assert_non_null(strstr(explain_stale(&v, &now, 0), "mtime"));
	now.size = 6;
	assert_non_null(strstr(explain_stale(&v, &now, 0), "size"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_quarantined_or_allowed),
		cmocka_unit_test(test_was_infected),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
