/*
 * Events over the API: those that are up and those that were.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/api_page.h"
#include "cavad/event_json.h"

static const char *const event_sorts[] = { "id", "time_noticed", NULL };
static const char *const event_filters[] = { "before", NULL };
static const struct api_page_spec event_page = {
	.sorts = event_sorts,	/* both are one order */
	.descending = true,
	.filters = event_filters,
};

/* Where it begins; false when the call is answered. */
static bool event_from(struct api_call *call, const struct api_page *page,
		       uint64_t *id)
{
	const char *text = page->after != NULL ? page->after :
			   page->filters[0];
	char *end = NULL;

	if (text == NULL) {
		return true;
	}
	if (page->filters[0] != NULL && !page->descending) {
		api_error(call, 400, "before", "before is for dir = DESC");
		return false;
	}
	errno = 0;
	*id = strtoull(text, &end, 10);
	if (errno == 0 && *end == '\0' && *id > 0 && text[0] != '-') {
		return true;
	}
	api_error(call, 400, page->after != NULL ? "resume" : "before",
		  "\"%.100s\" is not the number of an event", text);
	return false;
}

void api_event_list(struct api_call *call)
{
	struct event_range range = { .from = 0 };
	struct event_row *rows = NULL;
	struct api_page page;
	const char *last = NULL;
	json_t *list = NULL;
	uint64_t total = 0;
	size_t count = 0;
	size_t i = 0;
	int ret = 0;

	if (!api_page(call, &event_page, &page) ||
	    !event_from(call, &page, &range.from)) {
		return;
	}
	range.oldest_first = !page.descending;
	range.skip = page.offset;
	range.max = page.limit + 1;
	ret = event_history_list(call->api->history, call, &range, &rows,
				 &count);
	ret = ret != 0 ? ret : event_history_count(call->api->history,
						   &total);
	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	list = json_array();
	for (i = 0; i < count && i < page.limit; i++) {
		json_array_append_new(list, event_json(&rows[i]));
	}
	if (count > page.limit) {
		last = talloc_asprintf(call, "%" PRIu64, rows[i - 1].id);
	}
	api_page_reply(call, &page, "events", list, last, total);
}

void api_event_view(struct api_call *call)
{
	struct event_row *row = NULL;
	char *end = NULL;
	uint64_t id = strtoull(call->tail, &end, 10);
	int ret = *end != '\0' ? ENOENT :
		  event_history_get(call->api->history, call, id, &row);

	if (ret == ENOENT) {
		api_error(call, 404, NULL, "there is no event %s", call->tail);
		return;
	}
	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	api_reply(call, 200, json_pack("{s:[o]}", "events", event_json(row)));
}
