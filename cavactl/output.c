/*
 * What cavactl prints: see output.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavactl/output.h"

#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

static void output_cell(char *to, size_t size, const json_t *value)
{
	if (json_is_string(value)) {
		snprintf(to, size, "%s", json_string_value(value));
	} else if (json_is_integer(value)) {
		snprintf(to, size, "%lld",
			 (long long)json_integer_value(value));
	} else {
		snprintf(to, size, "%s", json_is_true(value) ? "yes" : "");
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
		scols_table_new_column(table, columns[c].heading, 0,
				       columns[c].right ? SCOLS_FL_RIGHT : 0);
	}
	json_array_foreach(array, i, row) {
		struct libscols_line *line = scols_table_new_line(table,
								  NULL);

		for (c = 0; line != NULL && columns[c].heading != NULL; c++) {
			char cell[1024] = "";

			output_cell(cell, sizeof(cell),
				    json_object_get(row, columns[c].member));
			scols_line_set_data(line, c, cell);
		}
	}
	scols_print_table(table);
	scols_unref_table(table);
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
	char date[32] = "";
	struct tm tm;
	size_t i = 0;

	if (seconds == 0 || localtime_r(&t, &tm) == NULL) {
		snprintf(to, size, "unknown");
		return;
	}
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
	while (i < 3 && ago < units[i].seconds) {
		i++;
	}
	snprintf(to, size, "%s (%lld %s ago)", date,
		 (long long)(ago / units[i].seconds), units[i].unit);
}
