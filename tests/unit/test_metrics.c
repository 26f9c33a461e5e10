/*
 * The text of /metrics, in both forms; labels that want escaping.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cavad/metrics.h"

static char *text_of(bool open)
{
	static const char *const labels[] = { "server", "a\"\\\n\xff", NULL };
	struct metrics m = { .text = talloc_strdup(NULL, ""), .open = open };
	struct histogram h = { .sum = 0 };

	histogram_add(&h, 0);
	histogram_add(&h, 5);
	histogram_add(&h, 6);
	histogram_add(&h, 60001);
	metrics_family(&m, "x_scans", METRIC_COUNTER, "scans");
	metrics_sample(&m, "x_scans", METRIC_COUNTER, labels, 3);
	metrics_family(&m, "x_time", METRIC_HISTOGRAM, "time");
	metrics_histogram(&m, "x_time", &h);
	return metrics_end(&m, NULL);
}

#define SAMPLES \
	"x_scans_total{server=\"a\\\"\\\\\\n?\"} 3\n" \
	"# HELP x_time time\n# TYPE x_time histogram\n" \
	"x_time_bucket{le=\"0.001\"} 1\nx_time_bucket{le=\"0.005\"} 2\n" \
	"x_time_bucket{le=\"0.01\"} 3\nx_time_bucket{le=\"0.025\"} 3\n" \
	"x_time_bucket{le=\"0.05\"} 3\nx_time_bucket{le=\"0.1\"} 3\n" \
	"x_time_bucket{le=\"0.25\"} 3\nx_time_bucket{le=\"0.5\"} 3\n" \
	"x_time_bucket{le=\"1\"} 3\nx_time_bucket{le=\"2.5\"} 3\n" \
	"x_time_bucket{le=\"5\"} 3\nx_time_bucket{le=\"10\"} 3\n" \
	"x_time_bucket{le=\"30\"} 3\nx_time_bucket{le=\"60\"} 3\n" \
	"x_time_bucket{le=\"+Inf\"} 4\n" \
	"x_time_sum 60.012\nx_time_count 4\n"

static void test_forms(void **p)
{
	char *text = text_of(true);

	(void)p;
	assert_string_equal(text, "# HELP x_scans scans\n"
			    "# TYPE x_scans counter\n" SAMPLES "# EOF\n");
	talloc_free(text);
	text = text_of(false);
	assert_string_equal(text, "# HELP x_scans_total scans\n"
			    "# TYPE x_scans_total counter\n" SAMPLES);
	talloc_free(text);
}

static void test_escape(void **p)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "", "" }, { "av1", "av1" }, { "\\", "\\\\" },
		{ "\"", "\\\"" }, { "\n", "\\n" }, { "\r\t\x7f", "???" },
		{ "gr\xc3\xbcn", "gr\xc3\xbcn" }, { "\xc3", "?" },
		{ "\xc0\xaf", "??" }, { "\xed\xa0\x80", "???" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xe2\x82", "??" }, { "\xe2\"", "?\\\"" },
	};
	size_t i = 0;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = metrics_escape(NULL, rows[i].in);

		assert_string_equal(text, rows[i].out);
		talloc_free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
