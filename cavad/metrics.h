/*
 * The text of /metrics: OpenMetrics 1.0, or the older text form of
 * Prometheus, which differs in the names of counters and the last line.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_METRICS_H
#define CAVAD_METRICS_H

#include <stdbool.h>
#include <talloc.h>

#include "cavad/histogram.h"

struct metrics {
	char *text;		/* NULL = no memory */
	bool open;		/* OpenMetrics */
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* The lines before the samples of a family; name without _total. */
void metrics_family(struct metrics *m, const char *name,
		    enum metric_type type, const char *help);

/* labels: pairs of name and value, ended by NULL; or NULL. */
void metrics_sample(struct metrics *m, const char *name,
		    enum metric_type type, const char *const *labels,
		    double value);

/* All samples of a family in seconds. */
void metrics_histogram(struct metrics *m, const char *name,
		       const struct histogram *h);

/* Takes the text, on mem_ctx; NULL = no memory. */
char *metrics_end(struct metrics *m, TALLOC_CTX *mem_ctx);

/* Pure. A label's value: \, " and newline escaped, what is no UTF-8 as ?. */
char *metrics_escape(TALLOC_CTX *mem_ctx, const char *text);

#endif
