/*
 * Pages: see api_page.h.
 *
 * A token is base64url of the JSON array [version, limit, sort, descending,
 * after, [filters]]. It comes back from strangers and is checked like any
 * other query.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api_page.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cavad/api_http.h"
#include "common/near.h"

#define PAGE_TOKEN_VERSION 1
#define PAGE_TOKEN_MAX 8192	/* what a client of OneFS takes */

static const char *const page_names[] = {
	"limit", "resume", "sort", "dir", "offset", NULL
};
#define PAGE_NAMES 5

struct page_query {
	struct api_call *call;
	const char *names[PAGE_NAMES + API_PAGE_FILTERS + 1];
	const char *unknown;
	unsigned int count;
};

/* --- what a request says --- */

static char *page_accepted(TALLOC_CTX *mem_ctx, const char *const *names)
{
	char *text = talloc_strdup(mem_ctx, "");

	for (; *names != NULL && text != NULL; names++) {
		text = talloc_asprintf_append(text, "%s%s",
					      text[0] == '\0' ? "" : ", ",
					      *names);
	}
	return text;
}

static bool page_one_of(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++) {
		if (strcmp(*names, name) == 0) {
			return true;
		}
	}
	return false;
}

static void page_seen(void *private_data, const char *name)
{
	struct page_query *q = private_data;

	q->count++;
	if (q->unknown == NULL && !page_one_of(q->names, name)) {
		q->unknown = name;
	}
}

/* Are all names of the query known, and resume alone? */
static bool page_names_check(struct api_call *call,
			     const struct api_page_spec *spec)
{
	struct page_query q = { .call = call };
	const char *meant = NULL;
	size_t i = 0;

	memcpy(q.names, page_names, sizeof(page_names));
	for (i = 0; spec->filters != NULL && spec->filters[i] != NULL; i++) {
		q.names[PAGE_NAMES + i] = spec->filters[i];
	}
	api_http_query_each(call, page_seen, &q);
	if (q.unknown != NULL) {
		meant = near_name(q.names, q.unknown);
		api_error(call, 400, q.unknown, "unknown argument %.100s%s%s"
			  "%s; accepted: %s", q.unknown,
			  meant != NULL ? "; did you mean " : "",
			  meant != NULL ? meant : "",
			  meant != NULL ? "?" : "",
			  page_accepted(call, q.names));
		return false;
	}
	if (q.count > 1 && api_http_query(call, "resume") != NULL) {
		api_error(call, 400, "resume", "resume goes on with what the "
			  "first request asked for; no other argument is "
			  "accepted beside it");
		return false;
	}
	return true;
}

/* Leaves *result alone when the query does not name it. */
static bool page_number(struct api_call *call, const char *name, uint64_t min,
			uint64_t *result)
{
	const char *text = api_http_query(call, name);
	uint64_t n = 0;

	if (text == NULL) {
		return true;
	}
	errno = 0;
	n = strtoull(text, NULL, 10);
	if (errno != 0 || text[0] == '\0' ||
	    text[strspn(text, "0123456789")] != '\0' || n < min ||
	    n > UINT32_MAX) {
		api_error(call, 400, name, "%s = \"%.100s\": not a whole "
			  "number from %" PRIu64 " to %" PRIu32, name, text,
			  min, UINT32_MAX);
		return false;
	}
	*result = n;
	return true;
}

static bool page_sort(struct api_call *call, const struct api_page_spec *spec,
		      struct api_page *page)
{
	const char *text = api_http_query(call, "sort");
	size_t i = 0;

	page->sort = spec->sorts[0];
	if (text == NULL) {
		return true;
	}
	while (spec->sorts[i] != NULL && strcmp(spec->sorts[i], text) != 0) {
		i++;
	}
	if (spec->sorts[i] == NULL) {
		api_error(call, 400, "sort", "sort = \"%.100s\": not one of "
			  "%s%s%s", text, page_accepted(call, spec->sorts),
			  spec->sorts_why == NULL ? "" : "; ",
			  spec->sorts_why == NULL ? "" : spec->sorts_why);
		return false;
	}
	page->sort = spec->sorts[i];
	return true;
}

static bool page_dir(struct api_call *call, const struct api_page_spec *spec,
		     struct api_page *page)
{
	const char *text = api_http_query(call, "dir");

	page->descending = spec->descending;
	if (text == NULL) {
		return true;
	}
	page->descending = strcasecmp(text, "DESC") == 0;
	if (!page->descending && strcasecmp(text, "ASC") != 0) {
		api_error(call, 400, "dir", "dir = \"%.100s\": not one of "
			  "ASC, DESC", text);
		return false;
	}
	return true;
}

/* As they are in a token; what would not fit there is refused. */
static json_t *page_filters_json(const struct api_page *page)
{
	json_t *list = json_array();
	size_t i = 0;

	for (i = 0; i < API_PAGE_FILTERS; i++) {
		const char *value = page->filters[i];

		json_array_append_new(list, value == NULL ? json_null() :
				      json_string(value));
	}
	return list;
}

static bool page_filters(struct api_call *call,
			 const struct api_page_spec *spec,
			 struct api_page *page)
{
	json_t *list = NULL;
	bool fits = true;
	size_t i = 0;

	for (i = 0; spec->filters != NULL && spec->filters[i] != NULL; i++) {
		page->filters[i] = api_http_query(call, spec->filters[i]);
	}
	list = page_filters_json(page);
	fits = json_array_size(list) == API_PAGE_FILTERS &&
	       json_dumpb(list, NULL, 0, JSON_COMPACT) <= API_PAGE_FILTER_MAX;
	json_decref(list);
	if (!fits) {
		api_error(call, 400, NULL, "the arguments %s: not UTF-8, or "
			  "more than %d bytes",
			  page_accepted(call, spec->filters),
			  API_PAGE_FILTER_MAX);
	}
	return fits;
}

/* --- tokens --- */

static json_t *page_decode(TALLOC_CTX *mem_ctx, const char *token)
{
	struct base64_decode_ctx b64;
	size_t len = strlen(token);
	uint8_t *text = NULL;
	int ok = 0;

	if (len > PAGE_TOKEN_MAX) {
		return NULL;
	}
	text = talloc_size(mem_ctx, BASE64_DECODE_LENGTH(len) + 1);
	if (text == NULL) {
		return NULL;
	}
	base64url_decode_init(&b64);
	ok = base64_decode_update(&b64, &len, text, len, token) &&
	     base64_decode_final(&b64);
	return ok ? json_loadb((const char *)text, len, 0, NULL) : NULL;
}

/* The six of a token; false: it is none of ours. */
static bool page_take(const struct api_page_spec *spec, json_t *token,
		      struct api_page *page)
{
	json_t *filters = json_array_get(token, 5);
	json_t *after = json_array_get(token, 4);
	const char *sort = json_string_value(json_array_get(token, 2));
	json_int_t limit = json_integer_value(json_array_get(token, 1));
	size_t i = 0;

	if (json_integer_value(json_array_get(token, 0)) !=
		    PAGE_TOKEN_VERSION || sort == NULL || limit < 1 ||
	    limit > API_PAGE_ROWS || !json_is_string(after) ||
	    json_array_size(filters) != API_PAGE_FILTERS) {
		return false;
	}
	while (spec->sorts[i] != NULL && strcmp(spec->sorts[i], sort) != 0) {
		i++;
	}
	page->sort = spec->sorts[i];
	page->limit = (uint64_t)limit;
	page->descending = json_is_true(json_array_get(token, 3));
	page->after = json_string_value(after);
	for (i = 0; spec->filters != NULL && spec->filters[i] != NULL; i++) {
		page->filters[i] = json_string_value(
			json_array_get(filters, i));
	}
	return page->sort != NULL;
}

static int page_token_free(json_t **token)
{
	json_decref(*token);
	return 0;
}

static bool page_resume(struct api_call *call,
			const struct api_page_spec *spec, const char *text,
			struct api_page *page)
{
	json_t **token = talloc_zero(call, json_t *);

	if (token != NULL) {
		talloc_set_destructor(token, page_token_free);
		*token = page_decode(token, text);
	}
	if (token == NULL || !page_take(spec, *token, page)) {
		api_error(call, 400, "resume", "resume is not what an answer "
			  "of this list had as \"resume\"");
		return false;
	}
	return true;
}

/* NULL = no memory, or it is too long. */
static json_t *page_token(const struct api_page *page, const char *last)
{
	struct base64_encode_ctx b64;
	json_t *json = json_pack("[i, I, s, b, s, o]", PAGE_TOKEN_VERSION,
				 (json_int_t)page->limit, page->sort,
				 (int)page->descending, last,
				 page_filters_json(page));
	char *text = json_dumps(json, JSON_COMPACT);
	size_t len = text == NULL ? 0 : strlen(text);
	char *token = talloc_size(NULL, BASE64_ENCODE_LENGTH(len) +
				  BASE64_ENCODE_FINAL_LENGTH);
	json_t *result = NULL;

	if (text != NULL && token != NULL) {
		base64url_encode_init(&b64);
		len = base64_encode_update(&b64, token, len,
					   (const uint8_t *)text);
		len += base64_encode_final(&b64, token + len);
		result = len > PAGE_TOKEN_MAX ? NULL :
			 json_stringn(token, len);
	}
	talloc_free(token);
	free(text);
	json_decref(json);
	return result;
}

bool api_page(struct api_call *call, const struct api_page_spec *spec,
	      struct api_page *page)
{
	const char *token = api_http_query(call, "resume");

	*page = (struct api_page) { .limit = API_PAGE_ROWS };
	if (!page_names_check(call, spec)) {
		return false;
	}
	if (token != NULL) {
		return page_resume(call, spec, token, page);
	}
	if (!page_number(call, "limit", 1, &page->limit) ||
	    !page_number(call, "offset", 0, &page->offset) ||
	    !page_sort(call, spec, page) || !page_dir(call, spec, page) ||
	    !page_filters(call, spec, page)) {
		return false;
	}
	if (page->limit > API_PAGE_ROWS) {
		page->limit = API_PAGE_ROWS;
	}
	return true;
}

void api_page_reply(struct api_call *call, const struct api_page *page,
		    const char *name, json_t *rows, const char *last,
		    uint64_t total)
{
	json_t *resume = last == NULL ? json_null() : page_token(page, last);
	json_t *reply = json_pack("{s:o, s:o, s:I}", name, rows, "resume",
				  resume, "total", (json_int_t)total);

	if (reply == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	api_reply(call, 200, reply);
}

/* --- lists that are at hand --- */

static int page_compare_values(const json_t *a, const json_t *b)
{
	const char *s = json_string_value(a);
	const char *t = json_string_value(b);
	json_int_t m = json_is_true(a) ? 1 : json_integer_value(a);
	json_int_t n = json_is_true(b) ? 1 : json_integer_value(b);
	int order = 0;

	if (s != NULL && t != NULL) {
		order = strcasecmp(s, t);
		return order != 0 ? order : strcmp(s, t);
	}
	if ((s != NULL) != (t != NULL)) {
		return s != NULL ? 1 : -1;	/* null, as numbers, first */
	}
	return m == n ? 0 : m < n ? -1 : 1;
}

/* By the field that sorts, then by id. a and b: [value, id]. */
static int page_compare(const json_t *a, const json_t *b)
{
	int order = page_compare_values(json_array_get(a, 0),
					json_array_get(b, 0));

	return order != 0 ? order : page_compare_values(
		json_array_get(a, 1), json_array_get(b, 1));
}

struct page_row {
	json_t *key;	/* [value, id] */
	json_t *row;
};

static int page_row_up(const void *a, const void *b)
{
	return page_compare(((const struct page_row *)a)->key,
			    ((const struct page_row *)b)->key);
}

static int page_row_down(const void *a, const void *b)
{
	return page_row_up(b, a);
}

static json_t *page_key(const json_t *row, const char *sort)
{
	return json_pack("[O?, O?]", json_object_get(row, sort),
			 json_object_get(row, "id"));
}

/* Sorted. NULL = no memory. */
static struct page_row *page_sorted(TALLOC_CTX *mem_ctx,
				    const struct api_page *page, json_t *rows)
{
	size_t n = json_array_size(rows);
	struct page_row *list = talloc_zero_array(mem_ctx, struct page_row,
						  n + 1);
	size_t i = 0;

	for (i = 0; list != NULL && i < n; i++) {
		list[i].row = json_array_get(rows, i);
		list[i].key = page_key(list[i].row, page->sort);
	}
	if (list != NULL) {
		qsort(list, n, sizeof(list[0]), page->descending ?
		      page_row_down : page_row_up);
	}
	return list;
}

/* The first row that is on the page. */
static size_t page_first(const struct api_page *page,
			 const struct page_row *list, size_t n)
{
	json_t *after = NULL;
	size_t i = 0;

	if (page->after == NULL) {
		return page->offset < n ? page->offset : n;
	}
	after = json_loads(page->after, 0, NULL);
	for (i = 0; i < n; i++) {
		int order = page_compare(list[i].key, after);

		if (page->descending ? order < 0 : order > 0) {
			break;
		}
	}
	json_decref(after);
	return i;
}

json_t *api_page_cut(struct api_call *call, const struct api_page *page,
		     json_t *rows, const char **last)
{
	struct page_row *list = page_sorted(call, page, rows);
	size_t n = json_array_size(rows);
	json_t *cut = json_array();
	size_t i = 0;
	char *text = NULL;

	*last = NULL;
	if (list == NULL) {
		json_decref(rows);
		return cut;
	}
	i = page_first(page, list, n);
	for (; i < n && json_array_size(cut) < page->limit; i++) {
		json_array_append(cut, list[i].row);
	}
	if (i < n) {
		text = json_dumps(list[i - 1].key, JSON_COMPACT);
		*last = talloc_strdup(call, text == NULL ? "" : text);
		free(text);
	}
	for (i = 0; i < n; i++) {
		json_decref(list[i].key);
	}
	talloc_free(list);
	json_decref(rows);
	return cut;
}

void api_page_list(struct api_call *call, const struct api_page_spec *spec,
		   const char *name, json_t *rows)
{
	size_t total = json_array_size(rows);
	const char *last = NULL;
	struct api_page page;

	if (!api_page(call, spec, &page)) {
		json_decref(rows);
		return;
	}
	rows = api_page_cut(call, &page, rows, &last);
	api_page_reply(call, &page, name, rows, last, total);
}
