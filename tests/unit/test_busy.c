/*
 * Files that change faster than they can be scanned.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cavad/busy.h"

static struct ident ident_of(uint64_t ino)
{
	return (struct ident) { .ino = ino };
}

static const struct verdict changed = {
	.result = VERDICT_FAILED, .reason = VERDICT_REASON_CHANGED };
static const struct verdict infected = {
	.result = VERDICT_INFECTED, .reason = VERDICT_REASON_CHANGED };

static void test_for_a_time(void **p)
{
	struct busy b = { .next = 0 };
	struct ident one = ident_of(1), two = ident_of(2);

	(void)p;
	assert_null(busy_find(&b, &one, 1000));
	busy_add(&b, &one, &changed, 1000);
	assert_int_equal(busy_find(&b, &one, 1000)->result, VERDICT_FAILED);
	assert_non_null(busy_find(&b, &one, 1000 + BUSY_TIME - 1));
	assert_null(busy_find(&b, &one, 1000 + BUSY_TIME));
	assert_null(busy_find(&b, &two, 1000));
}

static void test_the_last_answer_counts(void **p)
{
	struct busy b = { .next = 0 };
	struct ident one = ident_of(1);

	(void)p;
	busy_add(&b, &one, &changed, 1000);
	busy_add(&b, &one, &infected, 2000);
	assert_int_equal(busy_find(&b, &one, 1000 + BUSY_TIME)->result,
			 VERDICT_INFECTED);
	assert_int_equal(b.next, 1);	/* in the same place */
}

static void test_the_oldest_goes(void **p)
{
	struct busy b = { .next = 0 };
	struct ident id;
	uint64_t i;

	(void)p;
	for (i = 1; i <= BUSY_FILES + 1; i++) {
		id = ident_of(i);
		busy_add(&b, &id, &changed, 1000);
	}
	id = ident_of(1);
	assert_null(busy_find(&b, &id, 1000));
	for (i = 2; i <= BUSY_FILES + 1; i++) {
		id = ident_of(i);
		assert_non_null(busy_find(&b, &id, 1000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_for_a_time),
		cmocka_unit_test(test_the_last_answer_counts),
		cmocka_unit_test(test_the_oldest_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
