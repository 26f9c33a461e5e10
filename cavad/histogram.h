/*
 * How often something took how long, in fixed buckets.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_HISTOGRAM_H
#define CAVAD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Upper ends, ms; what is above the last is in the bucket behind it. */
#define HISTOGRAM_ENDS \
	{ 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, \
	  60000 }
#define HISTOGRAM_BUCKETS 14

struct histogram {
	uint64_t bucket[HISTOGRAM_BUCKETS + 1];
	uint64_t sum;		/* ms */
};

static inline uint64_t histogram_end(size_t i)
{
	static const uint64_t ends[HISTOGRAM_BUCKETS] = HISTOGRAM_ENDS;

	return ends[i];
}

static inline void histogram_add(struct histogram *h, uint64_t ms)
{
	size_t i = 0;

	while (i < HISTOGRAM_BUCKETS && ms > histogram_end(i)) {
		i++;
	}
	h->bucket[i]++;
	h->sum += ms;
}

#endif
