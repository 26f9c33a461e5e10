/*
 * What cavactl prints: see output.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavactl/output.h"

#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

/* "512", "1.5k", "20.0G": units as in cavad.conf */
static char *output_size(TALLOC_CTX *mem_ctx, int64_t bytes)
{
	static const char units[] = "kMGTPE";
	double n = (double)bytes;
	size_t i = 0;

	if (bytes < 1024) {
		return talloc_asprintf(mem_ctx, "%lld", (long long)bytes);
	}
	for (n /= 1024; n >= 1024 && units[i + 1] != '\0'; i++) {
		n /= 1024;
	}
	return talloc_asprintf(mem_ctx, "%.1f%c", n, units[i]);
}

static char *output_iso(TALLOC_CTX *mem_ctx, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL) {
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	}
	return talloc_strdup(mem_ctx, text);
}

static char *output_integer(TALLOC_CTX *mem_ctx, int64_t n, int kind,
			    bool csv)
{
	char when[64] = "";

	switch (csv && kind != OUT_TIME ? OUT_NUMBER : kind) {
	case OUT_TIME:
		if (csv || n == 0) {
			return n == 0 ? talloc_strdup(mem_ctx, "") :
				output_iso(mem_ctx, n);
		}
		output_time(when, sizeof(when), n);
		return talloc_strdup(mem_ctx, when);
	case OUT_DURATION:
		output_duration(when, sizeof(when), n);
		return talloc_strdup(mem_ctx, when);
	case OUT_SIZE:
		return output_size(mem_ctx, n);
	default:
		return talloc_asprintf(mem_ctx, "%lld", (long long)n);
	}
}

/* "a, b" of a list */
static char *output_items(TALLOC_CTX *mem_ctx, const json_t *array)
{
	char *text = talloc_strdup(mem_ctx, "");
	const json_t *item = NULL;
	size_t i = 0;

	json_array_foreach(array, i, item) {
		if (json_is_string(item)) {
			text = talloc_asprintf_append(
				text, "%s%s", i == 0 ? "" : ", ",
				json_string_value(item));
		}
	}
	return text;
}

/* What a cell says; "" for what is not there. Of no memory, NULL. */
static char *output_cell(TALLOC_CTX *mem_ctx, const json_t *value, int kind,
			 bool csv)
{
	if (json_is_string(value)) {
		return talloc_strdup(mem_ctx, json_string_value(value));
	}
	if (json_is_integer(value)) {
		return output_integer(mem_ctx, json_integer_value(value),
				      kind & OUT_KIND, csv);
	}
	if (json_is_boolean(value)) {
		return talloc_strdup(mem_ctx, json_is_true(value) ?
				     (csv ? "true" : "yes") :
				     (csv ? "false" : "no"));
	}
	if (json_is_real(value)) {
		return talloc_asprintf(mem_ctx, "%.3g",
				       json_real_value(value));
	}
	return json_is_array(value) ? output_items(mem_ctx, value) :
		talloc_strdup(mem_ctx, "");
}

static bool output_right(int kind)
{
	return (kind & OUT_KIND) == OUT_NUMBER ||
		(kind & OUT_KIND) == OUT_SIZE;
}

static void output_line(struct libscols_table *table, const json_t *row,
			const struct output_column *columns)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	size_t at = 0;
	size_t c = 0;

	for (c = 0; line != NULL && columns[c].heading != NULL; c++) {
		char *cell = NULL;

		if ((columns[c].kind & OUT_NOT_TEXT) != 0) {
			continue;
		}
		cell = output_cell(NULL, json_object_get(
			row, columns[c].member), columns[c].kind, false);
		scols_line_set_data(line, at++, cell);
		talloc_free(cell);
	}
}

void output_table(const json_t *array, const struct output_column *columns)
{
	struct libscols_table *table = scols_new_table();
	const json_t *row = NULL;
	size_t i = 0;
	size_t c = 0;

	if (table == NULL) {
		return;
	}
	for (c = 0; columns[c].heading != NULL; c++) {
		if ((columns[c].kind & OUT_NOT_TEXT) == 0) {
			scols_table_new_column(
				table, columns[c].heading, 0,
				output_right(columns[c].kind) ?
				SCOLS_FL_RIGHT : 0);
		}
	}
	json_array_foreach(array, i, row) {
		output_line(table, row, columns);
	}
	scols_print_table(table);
	scols_unref_table(table);
}

static void output_csv_cell(const char *text, bool first)
{
	const char *p = text;

	if (!first) {
		putchar(',');
	}
	if (strpbrk(text, ",\"\r\n") == NULL) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *p != '\0'; p++) {
		if (*p == '"') {
			putchar('"');
		}
		putchar(*p);
	}
	putchar('"');
}

static void output_csv_names(const struct output_column *columns)
{
	bool first = true;

	for (; columns->heading != NULL; columns++) {
		if ((columns->kind & OUT_NOT_CSV) == 0) {
			output_csv_cell(columns->member, first);
			first = false;
		}
	}
	fputs("\r\n", stdout);
}

static void output_csv_row(const json_t *row,
			   const struct output_column *columns)
{
	bool first = true;

	for (; columns->heading != NULL; columns++) {
		char *cell = NULL;

		if ((columns->kind & OUT_NOT_CSV) != 0) {
			continue;
		}
		cell = output_cell(NULL, json_object_get(
			row, columns->member), columns->kind, true);
		output_csv_cell(cell == NULL ? "" : cell, first);
		talloc_free(cell);
		first = false;
	}
	fputs("\r\n", stdout);
}

void output_csv(const json_t *array, const struct output_column *columns)
{
	const json_t *row = NULL;
	size_t i = 0;

	output_csv_names(columns);
	json_array_foreach(array, i, row) {
		output_csv_row(row, columns);
	}
}

static void output_record_text(const json_t *object,
			       const struct output_column *columns)
{
	const struct output_column *c = NULL;
	size_t width = 0;

	for (c = columns; c->heading != NULL; c++) {
		if ((c->kind & OUT_NOT_TEXT) == 0 &&
		    strlen(c->heading) > width) {
			width = strlen(c->heading);
		}
	}
	for (c = columns; c->heading != NULL; c++) {
		char *cell = NULL;

		if ((c->kind & OUT_NOT_TEXT) != 0) {
			continue;
		}
		cell = output_cell(NULL, json_object_get(object, c->member),
				   c->kind, false);
		if (cell != NULL && cell[0] != '\0') {
			printf("%-*s  ", (int)width, c->heading);
			output_text(stdout, cell);
			printf("\n");
		}
		talloc_free(cell);
	}
}

void output_record(enum output_format format, const json_t *object,
		   const struct output_column *columns)
{
	switch (format) {
	case OUTPUT_JSON:
		output_json(object);
		break;
	case OUTPUT_CSV:
		output_csv_names(columns);
		output_csv_row(object, columns);
		break;
	case OUTPUT_TEXT:
		output_record_text(object, columns);
		break;
	}
}

void output_json(const json_t *json)
{
	char *text = json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII);

	if (text != NULL) {
		puts(text);
	}
	free(text);
}

void output_text(FILE *file, const char *text)
{
	json_t *utf8 = json_string(text);	/* NULL: it is none */
	const unsigned char *p = (const unsigned char *)text;

	for (; *p != '\0'; p++) {
		if (utf8 != NULL && *p == 0xc2 && p[1] < 0xa0) {
			/* U+0080 to U+009F control terminals too */
			fprintf(file, "\\x%02x\\x%02x", p[0], p[1]);
			p++;
		} else if (*p < 0x20 || *p == 0x7f ||
			   (*p >= 0x80 && utf8 == NULL)) {
			fprintf(file, "\\x%02x", *p);
		} else {
			putc(*p, file);
		}
	}
	json_decref(utf8);
}

void output_error(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len = 0;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	fputs("cavactl: ", stderr);
	output_text(stderr, len == -1 ? "out of memory" : text);
	putc('\n', stderr);
	if (len != -1) {
		free(text);
	}
}

void output_time(char *to, size_t size, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = {
		{ 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" },
	};
	time_t t = (time_t)seconds;
	int64_t ago = (int64_t)time(NULL) - seconds;
	int64_t span = ago < 0 ? -ago : ago;
	char date[32] = "";
	struct tm tm;
	size_t i = 0;

	if (seconds == 0 || localtime_r(&t, &tm) == NULL) {
		snprintf(to, size, "unknown");
		return;
	}
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
	while (i < 3 && span < units[i].seconds) {
		i++;
	}
	snprintf(to, size, "%s (%s%lld %s%s)", date, ago < 0 ? "in " : "",
		 (long long)(span / units[i].seconds), units[i].unit,
		 ago < 0 ? "" : " ago");
}

void output_duration(char *to, size_t size, int64_t seconds)
{
	long long s = (long long)seconds;

	if (s < 120) {
		snprintf(to, size, "%lld s", s);
	} else if (s < 7200) {
		snprintf(to, size, "%lld min", s / 60);
	} else if (s < 172800) {
		snprintf(to, size, "%lld h %lld min", s / 3600, s / 60 % 60);
	} else {
		snprintf(to, size, "%lld days", s / 86400);
	}
}
