/*
 * Pages of a list: limit, resume, sort, dir and offset in a query, parsed in
 * one place for every route that lists.
 *
 * A list that is short is made whole and handed to api_page_list(), which
 * sorts and cuts it. One from the database is read from page->after on, at
 * most page->limit rows, and answered by api_page_reply().
 *
 * A resume token has in it all that the first request asked for, so that the
 * requests that follow say nothing but the token. It is opaque to clients.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_PAGE_H
#define CAVAD_API_PAGE_H

#include "cavad/api_private.h"

#define API_PAGE_ROWS 1000	/* of an answer, whatever limit says */
#define API_PAGE_FILTERS 4
#define API_PAGE_FILTER_MAX 4096	/* bytes of a filter's value */

/* What a route takes. */
struct api_page_spec {
	const char *const *sorts;	/* fields, ended by NULL; the first is
					 * what counts when nobody asks */
	bool descending;		/* the same */
	const char *const *filters;	/* further names, ended by NULL, at
					 * most API_PAGE_FILTERS; or NULL */
	const char *sorts_why;	/* why no others, for a refusal; or NULL */
};

/* What a request asks for. Borrowed from the call. */
struct api_page {
	uint64_t limit;		/* 1..API_PAGE_ROWS */
	uint64_t offset;	/* rows to pass over; 0 behind a token */
	const char *sort;
	bool descending;
	const char *filters[API_PAGE_FILTERS];	/* by spec->filters, or NULL */
	const char *after;	/* what api_page_reply() got as `last`, or
				 * NULL = from the start */
};

/* False: the query makes no sense, and the call is answered. */
bool api_page(struct api_call *call, const struct api_page_spec *spec,
	      struct api_page *page);

/*
 * Answers {name: rows, "resume": ..., "total": total}; takes rows. last:
 * where the next page begins, text of at most 1000 bytes, or NULL = this is
 * the last page. total: rows of all pages.
 */
void api_page_reply(struct api_call *call, const struct api_page *page,
		    const char *name, json_t *rows, const char *last,
		    uint64_t total);

/*
 * All of it for a list that is at hand: takes rows, objects with a string or
 * number `id`, no two of them the same, and the fields that spec->sorts
 * names. A row that comes or goes between two pages moves no other.
 */
void api_page_list(struct api_call *call, const struct api_page_spec *spec,
		   const char *name, json_t *rows);

/* The same of the part of it that a page is; *last as above, on call. */
json_t *api_page_cut(struct api_call *call, const struct api_page *page,
		     json_t *rows, const char **last);

#endif
