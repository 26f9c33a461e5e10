/*
 * How many servers a cluster wants: the numbers of the model.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/sizing.h"

static void test_servers(void **state)
{
	static const struct {
		uint64_t nodes;
		uint64_t servers;
	} rows[] = {
		{ 1, 2 }, { 4, 2 }, { 5, 2 }, { 8, 2 }, { 9, 3 }, { 12, 3 },
		{ 16, 4 }, { 20, 5 }, { 40, 10 }, { 42, 11 }, { 44, 11 },
		{ 65535, 16384 }, { UINT64_MAX, UINT64_MAX / 4 + 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(sizing_servers(rows[i].nodes),
				 rows[i].servers);
	}
}

static void test_sums(void **state)
{
	struct sizing s = sizing_of(20, SIZING_CONNECTIONS);

	(void)state;
	assert_int_equal(s.servers, 5);
	assert_int_equal(s.total, 100);
	assert_int_equal(s.in_use, 4);
	assert_int_equal(s.nodes_each, 16);
	assert_int_equal(s.share, 1);
	s = sizing_of(1, 20);
	assert_int_equal(s.in_use, 2);
	assert_int_equal(s.nodes_each, 1);
	assert_int_equal(s.share, 20);
	s = sizing_of(8, 20);
	assert_int_equal(s.nodes_each, 8);
	assert_int_equal(s.share, 2);
	s = sizing_of(44, 10);
	assert_int_equal(s.total, 110);
	assert_int_equal(s.share, 1);
}

/* What is advised holds: no server gets more, while a node has one. */
static void test_share_holds(void **state)
{
	uint64_t nodes;

	(void)state;
	for (nodes = 1; nodes < 1000; nodes++) {
		struct sizing s = sizing_of(nodes, 100);

		assert_true(s.share * s.nodes_each <= 100);
		assert_true(s.nodes_each * s.servers >= nodes * s.in_use);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_share_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
