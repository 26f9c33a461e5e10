/*
 * What is written down of a wire: bounded, and shown as printable text.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cavad/trace.h"

static void test_text(void **state)
{
	struct trace *t = talloc_zero(NULL, struct trace);

	(void)state;
	assert_string_equal(trace_text(t, &t->sent), "");
	trace_sent(t, "a\\b\r\n", 5);
	trace_sent(t, "\0\x1b\xff~", 4);
	assert_string_equal(trace_text(t, &t->sent),
			    "a\\\\b\\r\n\\x00\\x1b\\xff~");
	assert_int_equal(t->received.total, 0);
	talloc_free(t);
	trace_sent(NULL, "a", 1);
	trace_received(NULL, "a", 1);
}

static void test_bounded(void **state)
{
	struct trace *t = talloc_zero(NULL, struct trace);
	char chunk[1000];
	int i;

	(void)state;
	memset(chunk, '\xff', sizeof(chunk));
	for (i = 0; i < 100; i++) {
		trace_received(t, chunk, sizeof(chunk));
	}
	assert_int_equal(t->received.total, 100000);
	assert_int_equal(strlen(trace_text(t, &t->received)), 4 * TRACE_MAX);
	assert_int_equal(t->sent.total, 0);
	talloc_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
