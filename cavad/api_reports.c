/*
 * /platform/11/antivirus/reports/scans: what scanning has done.
 *
 * Fields are those of OneFS, and beside them what it has none for: bytes that
 * were fetched, handed and passed, throughput and the share of the network
 * that it is. Newest first unless the query says otherwise.
 *
 * A list is read in the order of the reports' numbers, which is that of their
 * starts. By policy_id or status at most REPORTS_LOOKED rows are looked at for
 * one answer; the next page goes on from there. Others are sorted as a whole
 * when there are no more than REPORTS_SORTED.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/api_http.h"
#include "cavad/api_page.h"
#include "common/log.h"

#define REPORTS_LOOKED 20000
#define REPORTS_SORTED 5000
#define REPORTS_REMOVED 256	/* at a time */

/* --- one report --- */

static json_t *report_rate(const struct report *r, uint64_t seconds)
{
	uint64_t bytes = r->bytes_fetched + r->bytes_handed;

	return json_integer((json_int_t)(bytes / (seconds == 0 ? 1 :
						  seconds)));
}

/* Percent of link_speed; null when nobody said what that is. */
static json_t *report_utilisation(const struct report *r, uint64_t seconds,
				  uint64_t mbit)
{
	double bits = 8.0 * (double)(r->bytes_fetched + r->bytes_handed);

	if (mbit == 0) {
		return json_null();
	}
	return json_real(100.0 * bits / (double)(seconds == 0 ? 1 : seconds) /
			 (1e6 * (double)mbit));
}

static uint64_t report_seconds(const struct report *r)
{
	uint64_t end = r->end != 0 ? r->end : (uint64_t)time(NULL);

	return end > r->start ? end - r->start : 0;
}

static json_t *report_json(struct api_call *call, const struct report *r)
{
	uint64_t mbit = call->api->config->settings.link_speed;
	uint64_t seconds = report_seconds(r);
	char id[REPORT_ID_MAX];
	json_t *json = json_object();

#define R(tag, name, key, text) json_object_set_new(json, key, \
		json_integer((json_int_t)r->name));
	REPORT_NUMBERS(R)
#undef R
	report_id(r, id);
	json_object_set_new(json, "id", api_text(id));
	json_object_set_new(json, "source",
			    json_string(report_kind_text(r->kind)));
	json_object_set_new(json, "policy_id", api_text(r->policy));
	json_object_set_new(json, "av_service", api_text(
		r->service[0] == '\0' ? "none" : r->service));
	json_object_set_new(json, "status",
			    json_string(report_status_text(r->status)));
	if (r->job == 0) {
		json_object_set_new(json, "job_id", json_null());
	}
	if (r->end == 0) {
		json_object_set_new(json, "end", json_null());
	}
	json_object_set_new(json, "duration",
			    json_integer((json_int_t)seconds));
	json_object_set_new(json, "bytes_sent", json_integer(
		(json_int_t)(r->bytes_fetched + r->bytes_handed)));
	json_object_set_new(json, "throughput", report_rate(r, seconds));
	json_object_set_new(json, "bandwidth_utilisation",
			    report_utilisation(r, seconds, mbit));
	return json;
}

/* --- lists --- */

static const char *const report_sorts[] = {
	"start", "id", "end", "duration", "files", "num_files_rev",
	"num_cloud_files", "num_cloud_files_rev", "size", "bytes_sent",
	"infections", "scan_fails", "status", "policy_id", "job_id",
	"av_service", "throughput", "source", NULL
};
static const char *const report_filters[] = { "policy_id", "status", NULL };
static const struct api_page_spec report_page = {
	.sorts = report_sorts,	/* the first two are the order of rows */
	.descending = true,
	.filters = report_filters,
};

struct report_rows {
	struct api_call *call;
	const struct api_page *page;
	json_t *rows;
	uint64_t max;
};

static bool report_matches(const struct api_page *page,
			   const struct report *r)
{
	const char *policy = page->filters[0];
	const char *status = page->filters[1];

	return (policy == NULL || strcmp(policy, r->policy) == 0) &&
		(status == NULL ||
		 strcasecmp(status, report_status_text(r->status)) == 0);
}

static bool report_list_row(void *private_data, const struct report *r)
{
	struct report_rows *rows = private_data;

	if (report_matches(rows->page, r)) {
		json_array_append_new(rows->rows, report_json(rows->call, r));
	}
	return json_array_size(rows->rows) < rows->max;
}

/* Where it begins; false when the call is answered. */
static bool report_from(struct api_call *call, const struct api_page *page,
			uint64_t *number)
{
	char *end = NULL;

	if (page->after == NULL) {
		return true;
	}
	errno = 0;
	*number = strtoull(page->after, &end, 10);
	if (errno == 0 && *end == '\0' && *number > 0 &&
	    page->after[0] != '-') {
		return true;
	}
	api_error(call, 400, "resume", "resume is not what an answer of this "
		  "list had as \"resume\"");
	return false;
}

static void reports_in_order(struct api_call *call,
			     const struct api_page *page)
{
	struct report_rows rows = { .call = call, .page = page,
				    .max = page->limit };
	struct report_range range = { .oldest_first = !page->descending,
				      .skip = page->offset,
				      .looks = REPORTS_LOOKED };
	uint64_t last = 0;
	uint64_t total = 0;
	char *token = NULL;
	int ret = 0;

	if (!report_from(call, page, &range.from)) {
		return;
	}
	rows.rows = json_array();
	ret = reports_each(call->api->reports, &range, report_list_row, &rows,
			   &last);
	ret = ret != 0 ? ret : reports_count(call->api->reports, &total);
	if (ret != 0) {
		json_decref(rows.rows);
		api_error_store(call, ret);
		return;
	}
	if (last != 0) {
		token = talloc_asprintf(call, "%" PRIu64, last);
	}
	api_page_reply(call, page, "reports", rows.rows, token, total);
}

static void reports_sorted(struct api_call *call,
			   const struct api_page *page)
{
	struct report_rows rows = { .call = call, .page = page,
				    .rows = json_array(),
				    .max = REPORTS_SORTED + 1 };
	const struct report_range range = { .looks = REPORTS_LOOKED };
	uint64_t last = 0;
	int ret = reports_each(call->api->reports, &range, report_list_row,
			       &rows, &last);

	if (ret != 0 || last != 0) {
		json_decref(rows.rows);
		api_error(call, ret != 0 ? 500 : 400, "sort", "%s", ret != 0 ?
			  strerror(ret) : "there are too many reports to be "
			  "sorted by that: sort by start, or narrow the list "
			  "by policy_id and status");
		return;
	}
	api_page_list(call, &report_page, "reports", rows.rows);
}

/* What is none is answered. */
static bool report_is_status(struct api_call *call, const char *status)
{
	int i = 0;

	for (i = 0; i < REPORT_STATUS_COUNT; i++) {
		if (strcasecmp(status, report_status_text(i)) == 0) {
			return true;
		}
	}
	api_error(call, 400, "status", "status = \"%.100s\": it is Started, "
		  "Paused, Finish, Succeeded, Failed or Cancelled", status);
	return false;
}

void api_reports(struct api_call *call)
{
	struct api_page page;

	if (!api_page(call, &report_page, &page) ||
	    (page.filters[1] != NULL &&
	     !report_is_status(call, page.filters[1]))) {
		return;
	}
	if (strcmp(page.sort, "start") == 0 || strcmp(page.sort, "id") == 0) {
		reports_in_order(call, &page);
	} else {
		reports_sorted(call, &page);
	}
}

/* NULL: there is none, which has been said. */
static struct report *report_named(struct api_call *call)
{
	struct report *r = reports_find(call, call->api->reports,
					call->tail);

	if (r == NULL) {
		api_error(call, 404, NULL, "there is no report %.255s",
			  call->tail);
	}
	return r;
}

void api_report_view(struct api_call *call)
{
	struct report *r = report_named(call);

	if (r != NULL) {
		api_reply(call, 200, json_pack("{s:[o]}", "reports",
					       report_json(call, r)));
	}
}

/* --- removal --- */

static void api_report_removed(struct tevent_req *subreq);

void api_report_remove(struct api_call *call)
{
	struct report *r = report_named(call);
	struct tevent_req *subreq = NULL;

	if (r == NULL) {
		return;
	}
	subreq = report_remove_send(call, call->api->reports, r);
	if (subreq == NULL) {
		api_error(call, 409, NULL, "report %.255s is still being "
			  "made%s", call->tail, r->kind == REPORT_KIND_JOB ?
			  ": cancel the run first" :
			  r->kind == REPORT_KIND_ON_ACCESS ?
			  ": it ends at report_time" : "");
		return;
	}
	tevent_req_set_callback(subreq, api_report_removed, call);
}

static void api_report_removed(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	int ret = report_remove_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret == EBUSY) {
		api_error(call, 409, NULL, "report %.255s is being added to "
			  "again", call->tail);
		return;
	}
	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	api_audit(call, talloc_asprintf(call, "report %s", call->tail),
		  "removed");
	api_reply(call, 204, NULL);
}

struct reports_removal {
	struct api_call *call;
	uint64_t from;		/* numbers behind it */
	uint64_t before;	/* only what ended before this second */
	uint64_t removed;
	unsigned int under_way;
	int error;
};

static void reports_remove_more(struct reports_removal *m);
static void reports_removed_one(struct tevent_req *subreq);

static bool reports_remove_row(void *private_data, const struct report *r)
{
	struct reports_removal *m = private_data;
	struct tevent_req *subreq = NULL;

	if (!report_ended(r) || r->end >= m->before) {
		return true;
	}
	subreq = report_remove_send(m, m->call->api->reports, r);
	if (subreq != NULL) {
		tevent_req_set_callback(subreq, reports_removed_one, m);
		m->under_way++;
	}
	return true;
}

static void reports_remove_more(struct reports_removal *m)
{
	const struct report_range range = {
		.from = m->from, .oldest_first = true,
		.looks = REPORTS_REMOVED,
	};
	uint64_t last = 0;
	int ret = 0;

	do {
		struct report_range next = range;

		next.from = m->from;
		ret = reports_each(m->call->api->reports, &next,
				   reports_remove_row, m, &last);
		m->from = last;
	} while (ret == 0 && last != 0 && m->under_way == 0);
	m->error = m->error != 0 ? m->error : ret;
	if (m->under_way > 0) {
		return;
	}
	if (m->error != 0) {
		api_error_store(m->call, m->error);
		return;
	}
	if (m->removed > 0) {
		api_audit(m->call, "reports", "%" PRIu64 " removed",
			  m->removed);
	}
	api_reply(m->call, 204, NULL);
}

static void reports_removed_one(struct tevent_req *subreq)
{
	struct reports_removal *m = tevent_req_callback_data(
		subreq, struct reports_removal);
	int ret = report_remove_recv(subreq);

	talloc_free(subreq);
	m->error = m->error != 0 ? m->error : ret;
	m->removed += ret == 0;
	m->under_way--;
	if (m->under_way > 0) {
		return;
	}
	if (m->from == 0 || m->error != 0) {
		m->from = UINT64_MAX;	/* there are no more */
	}
	reports_remove_more(m);
}

void api_reports_remove(struct api_call *call)
{
	const char *text = api_http_query(call, "age");
	struct reports_removal *m = talloc_zero(call, struct reports_removal);
	uint64_t now = (uint64_t)time(NULL);
	uint64_t age = 0;

	if (text != NULL) {
		errno = 0;
		age = strtoull(text, NULL, 10);
		if (errno != 0 || text[0] == '\0' || age > UINT32_MAX ||
		    text[strspn(text, "0123456789")] != '\0') {
			api_error(call, 400, "age", "age = \"%.100s\": not a "
				  "number of seconds from 0 to %" PRIu32,
				  text, UINT32_MAX);
			return;
		}
	}
	if (m == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	m->call = call;
	m->before = text == NULL ? UINT64_MAX : age > now ? 0 : now - age;
	reports_remove_more(m);
}
