/*
 * The text of /metrics: see metrics.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/metrics.h"

#include <stdint.h>
#include <string.h>

static const char *const metric_types[] = {
	[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram"
};

/* Bytes of the UTF-8 character at s, 0 = it is none. */
static size_t metrics_utf8(const unsigned char *s)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		     (s[0] & 0xf0) == 0xe0 ? 3 :
		     s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
	size_t i = 0;

	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f)) {
		return 0;
	}
	return len;
}

char *metrics_escape(TALLOC_CTX *mem_ctx, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	char *result = talloc_size(mem_ctx, 2 * strlen(text) + 1);
	char *out = result;
	size_t len = 0;

	if (result == NULL) {
		return NULL;
	}
	while (*s != '\0') {
		len = metrics_utf8(s);
		if (*s == '\\' || *s == '"' || *s == '\n') {
			*out++ = '\\';
			*out++ = *s == '\n' ? 'n' : (char)*s;
		} else if (len == 0 || *s < ' ' || *s == 0x7f) {
			*out++ = '?';
		} else {
			memcpy(out, s, len);
			out += len;
		}
		s += len == 0 ? 1 : len;
	}
	*out = '\0';
	return result;
}

static void metrics_add(struct metrics *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void metrics_add(struct metrics *m, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (m->text == NULL) {
		return;
	}
	va_start(ap, fmt);
	text = talloc_vasprintf_append_buffer(m->text, fmt, ap);
	va_end(ap);
	if (text == NULL) {
		talloc_free(m->text);
	}
	m->text = text;
}

static const char *metrics_suffix(const struct metrics *m,
				  enum metric_type type)
{
	return type == METRIC_COUNTER && !m->open ? "_total" : "";
}

void metrics_family(struct metrics *m, const char *name,
		    enum metric_type type, const char *help)
{
	const char *suffix = metrics_suffix(m, type);

	metrics_add(m, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help,
		    name, suffix, metric_types[type]);
}

static void metrics_labels(struct metrics *m, const char *const *labels)
{
	char *value = NULL;
	const char *between = "{";

	for (; labels != NULL && labels[0] != NULL; labels += 2) {
		value = metrics_escape(NULL, labels[1]);
		metrics_add(m, "%s%s=\"%s\"", between, labels[0],
			    value == NULL ? "" : value);
		talloc_free(value);
		between = ",";
	}
	if (between[0] == ',') {
		metrics_add(m, "}");
	}
}

void metrics_sample(struct metrics *m, const char *name,
		    enum metric_type type, const char *const *labels,
		    double value)
{
	metrics_add(m, "%s%s", name, type == METRIC_COUNTER ? "_total" : "");
	metrics_labels(m, labels);
	metrics_add(m, value == (double)(int64_t)value ? " %.0f\n" :
		    " %.6g\n", value);
}

void metrics_histogram(struct metrics *m, const char *name,
		       const struct histogram *h)
{
	uint64_t count = 0;
	size_t i = 0;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		count += h->bucket[i];
		metrics_add(m, "%s_bucket{le=\"%g\"} %llu\n", name,
			    (double)histogram_end(i) / 1000,
			    (unsigned long long)count);
	}
	count += h->bucket[i];
	metrics_add(m, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.3f\n"
		    "%s_count %llu\n", name, (unsigned long long)count, name,
		    (double)h->sum / 1000, name, (unsigned long long)count);
}

char *metrics_end(struct metrics *m, TALLOC_CTX *mem_ctx)
{
	if (m->open) {
		metrics_add(m, "# EOF\n");
	}
	return m->text == NULL ? NULL : talloc_steal(mem_ctx, m->text);
}
