/*
 * The life of reports: see report.h.
 *
 * 1. A report that is still added to is in memory (struct part_of): that of
 *    on-access, those of runs, and of individual scans under way. What has
 *    changed is written once a second, an infected file at once; so a kill
 *    costs at most about a second of numbers, and no report. A run's numbers
 *    are those of the run (job_run.h), which neither forgets nor repeats.
 * 2. In the table report_index: "day" and "run/N", the reports that are open;
 *    "name/TEXT", those with an id that is not ours; "last", so that no
 *    number is used twice. It is written before the report that it leads to.
 * 3. A report of a day that is over stays in memory until it is committed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "cavad/report_private.h"
#include "common/log.h"
#include "common/tick.h"

#define REPORT_TICK 1		/* s */
#define REPORT_SEEN_FIRST 100000	/* read at the start, the newest */

static void report_saved(struct tevent_req *subreq);
static void reports_time(void *private_data);

/* --- what is in memory --- */

static int report_open_destructor(struct report_open *o)
{
	LIST_REMOVE(o, entry);
	return 0;
}

/* Takes r. NULL = no memory. */
struct report_open *report_open(struct reports *all, struct report *r)
{
	struct report_open *o = talloc_zero(all, struct report_open);

	if (o == NULL) {
		talloc_free(r);
		return NULL;
	}
	o->all = all;
	o->r = talloc_steal(o, r);
	report_id(r, o->id);
	LIST_INSERT_HEAD(&all->open, o, entry);
	talloc_set_destructor(o, report_open_destructor);
	return o;
}

struct report_open *report_open_find(struct reports *all, const char *id)
{
	struct report_open *o = NULL;

	LIST_FOREACH(o, &all->open, entry) {
		if (strcmp(o->id, id) == 0) {
			return o;
		}
	}
	return NULL;
}

struct report_open *report_open_number(struct reports *all, uint64_t number)
{
	struct report_open *o = NULL;

	LIST_FOREACH(o, &all->open, entry) {
		if (o->r->number == number) {
			return o;
		}
	}
	return NULL;
}

/* Nobody adds to it, and the store has it. */
void report_release(struct report_open *o)
{
	if (!o->held && o->parts == 0 && o->writes == 0 && !o->dirty) {
		talloc_free(o);
	}
}

/* --- writing --- */

/* Not waited for: it is written before what comes after it. */
void report_index(struct reports *all, const char *key, uint64_t number)
{
	const struct db_bytes k = { key, strlen(key) };
	uint8_t bytes[8];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	struct tevent_req *subreq = NULL;

	buf_put_u64(&b, number);
	subreq = number == 0 ?
		store_row_del_send(all, all->ev, all->store,
				   STORE_ROWS_REPORT_INDEX, k) :
		store_row_put_send(all, all->ev, all->store,
				   STORE_ROWS_REPORT_INDEX, k, &b);
	talloc_free(subreq);
}

struct tevent_req *report_behind_send(TALLOC_CTX *mem_ctx,
				      struct reports *all)
{
	uint8_t bytes[8];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	buf_put_u64(&b, all->last);
	return store_row_put_send(mem_ctx, all->ev, all->store,
				  STORE_ROWS_REPORT_INDEX,
				  (struct db_bytes) { "last", 4 }, &b);
}

struct tevent_req *report_put_send(TALLOC_CTX *mem_ctx, struct reports *all,
				   const struct report *r)
{
	uint8_t bytes[REPORT_RECORD_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	uint8_t key[8];

	report_put(&b, r);
	return store_row_put_send(mem_ctx, all->ev, all->store,
				  STORE_ROWS_REPORT,
				  store_number_key(r->number, key), &b);
}

void report_save(struct report_open *o)
{
	struct tevent_req *subreq = NULL;

	if (!o->dirty || o->writes != 0) {
		return;
	}
	subreq = report_put_send(o, o->all, o->r);
	if (subreq == NULL) {
		return;		/* at the next tick */
	}
	o->dirty = false;
	o->writes++;
	tevent_req_set_callback(subreq, report_saved, o);
}

static void report_saved(struct tevent_req *subreq)
{
	struct report_open *o = tevent_req_callback_data(subreq,
							 struct report_open);
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	o->writes--;
	if (ret != 0) {
		if (!o->all->failed) {
			log_error("report %s cannot be kept: %s; it is tried "
				  "again each second", o->id, strerror(ret));
		}
		o->dirty = true;
	}
	o->all->failed = ret != 0;
	report_release(o);
}

/* The next one. NULL = no memory. */
struct report *report_new(struct reports *all, enum report_kind kind,
			  const char *policy, time_t start)
{
	struct report *r = talloc_zero(all, struct report);

	if (r == NULL) {
		return NULL;
	}
	r->number = ++all->last;
	r->kind = kind;
	r->status = REPORT_STARTED;
	r->start = (uint64_t)start;
	r->name = r->service = "";
	r->policy = talloc_strdup(r, policy);
	if (r->policy == NULL) {
		talloc_free(r);
		return NULL;
	}
	report_index(all, "last", r->number);
	return r;
}

/* --- who scans --- */

static const char *engine_of(const struct reports *all, const char *server)
{
	size_t count = servers_count(all->servers);
	size_t i = 0;

	for (i = 0; i < count; i++) {
		struct server_status s = servers_status(all->servers, i);

		if (strcmp(s.name, server) == 0) {
			return s.engine;
		}
	}
	return NULL;
}

/* "CEE/CAVA", or "CEE/CAVA, ICAP" when both have done it. */
static void report_served(struct report_open *o, const char *server)
{
	const char *engine = server[0] == '\0' ? NULL :
			     engine_of(o->all, server);
	struct report *r = o->r;
	char *text = NULL;

	if (engine == NULL || strstr(r->service, engine) != NULL ||
	    strlen(r->service) + strlen(engine) > 250) {
		return;
	}
	text = talloc_asprintf(r, "%s%s%s", r->service,
			       r->service[0] == '\0' ? "" : ", ", engine);
	if (text != NULL) {
		r->service = text;
		o->dirty = true;
	}
}

/* --- on-access --- */

static void reports_count_client(struct reports *all,
				 const struct scan_facts *facts)
{
	const struct report_scan scan = {
		.verdict = facts->verdict,
		.duration = facts->duration,
		.from_record = facts->from_record,
		.tiered = facts->tiered,
		.selftest = (facts->sources & SCAN_FROM(SCAN_SELFTEST)) != 0,
		.bytes_fetched = facts->bytes_fetched,
		.bytes_handed = facts->bytes_sent,
		.bytes_passed = facts->bytes_passed,
	};
	struct report_open *o = all->day;
	bool infected = report_count(o->r, &scan);

	o->dirty = true;
	if (!infected || facts->from_record || facts->ident == NULL) {
		return;		/* what is known was counted when found */
	}
	if (report_seen_add(&all->seen, facts->ident)) {
		o->r->infections++;
		report_save(o);
	}
}


static void reports_scanned(void *private_data,
			    const struct scan_facts *facts)
{
	struct reports *all = talloc_get_type_abort(private_data,
						    struct reports);
	struct report_open *o = report_open_find(all, facts->report);

	reports_look(all, time(NULL));
	if (o != NULL) {
		report_served(o, facts->server);
	}
	if ((facts->sources & SCAN_FROM_CLIENTS) != 0) {
		reports_count_client(all, facts);
		report_served(all->day, facts->server);
	}
}

/* Starts one at `start`. 0 or ENOMEM, and the one before stays. */
static int report_day_begin(struct reports *all, time_t start)
{
	struct report *r = report_new(all, REPORT_KIND_ON_ACCESS,
				      REPORT_ON_ACCESS, start);
	struct report_open *o = r == NULL ? NULL : report_open(all, r);

	if (o == NULL) {
		return ENOMEM;
	}
	o->held = true;
	o->dirty = true;
	all->day = o;
	report_seen_clear(&all->seen);
	report_index(all, "day", r->number);
	report_save(o);
	scans_set_report(all->scans, o->id);
	return 0;
}

void reports_look(struct reports *all, time_t now)
{
	int at = report_time_parse(all->config->settings.report_time);
	struct report_open *o = all->day;
	time_t end = 0;

	if (now == all->looked) {
		return;
	}
	all->looked = now;
	end = report_day_end((time_t)o->r->start, at);
	if (now < end || report_day_begin(all, report_day_start(now, at))) {
		return;
	}
	o->r->end = (uint64_t)end;
	o->r->status = REPORT_FINISH;
	o->held = false;
	o->dirty = true;
	log_info("report %s of on-access scans is complete: %" PRIu64
		 " files scanned, %" PRIu64 " infected", o->id, o->r->files,
		 o->r->infections);
	report_save(o);
}

/* What was read of a file whose scan has ended. */
static void reports_late(void *private_data, const char *id, uint64_t bytes)
{
	struct reports *all = talloc_get_type_abort(private_data,
						    struct reports);
	struct report_open *o = report_open_find(all, id);
	struct report *r = o != NULL ? o->r : reports_find(all, all, id);

	if (r == NULL) {
		return;
	}
	if (o == NULL) {
		o = report_open(all, r);
	}
	if (o == NULL) {
		return;
	}
	if (r->kind == REPORT_KIND_JOB && o->held) {
		job_fetched(all->jobs, r->job, bytes);
		return;
	}
	r->bytes_fetched += bytes;
	o->dirty = true;
	report_save(o);
}

/* --- time --- */

static int reports_destructor(struct reports *all)
{
	report_seen_clear(&all->seen);
	return 0;
}

static void reports_save_all(struct reports *all)
{
	struct report_open *o = NULL;

	LIST_FOREACH(o, &all->open, entry) {
		report_save(o);
	}
}

static void reports_time(void *private_data)
{
	struct reports *all = talloc_get_type_abort(private_data,
						    struct reports);

	tick_in(all->tick, REPORT_TICK * 1000000ULL);
	reports_look(all, time(NULL));
	reports_save_all(all);
}

void reports_stop(struct reports *all)
{
	reports_look(all, time(NULL));
	reports_save_all(all);
}

/* --- reading --- */

struct report_read {
	TALLOC_CTX *mem_ctx;
	uint64_t number;
	struct report *r;
};

static void report_read_row(void *private_data, struct buf *record)
{
	struct report_read *read = private_data;

	read->r = report_get(read->mem_ctx, read->number, record);
}

static struct report *report_row(TALLOC_CTX *mem_ctx, struct reports *all,
				 uint64_t number)
{
	struct report_read read = { .mem_ctx = mem_ctx, .number = number };
	uint8_t key[8];

	(void)store_row_get(all->store, STORE_ROWS_REPORT,
			    store_number_key(number, key), report_read_row,
			    &read);
	return read.r;
}

static void report_read_number(void *private_data, struct buf *record)
{
	*(uint64_t *)private_data = buf_get_u64(record);
}

/* 0 = the index does not have it. */
static uint64_t report_indexed(struct reports *all, const char *key)
{
	uint64_t number = 0;

	(void)store_row_get(all->store, STORE_ROWS_REPORT_INDEX,
			    (struct db_bytes) { key, strlen(key) },
			    report_read_number, &number);
	return number;
}

struct report *report_indexed_row(TALLOC_CTX *mem_ctx, struct reports *all,
				  const char *key)
{
	uint64_t number = report_indexed(all, key);

	return number == 0 ? NULL : report_row(mem_ctx, all, number);
}

/* As it is now, on mem_ctx: it lives no longer than what is in memory. */
static struct report *report_now(TALLOC_CTX *mem_ctx, struct report_open *o)
{
	struct report *r = talloc_memdup(mem_ctx, o->r, sizeof(*o->r));

	if (r != NULL && r->kind == REPORT_KIND_JOB) {
		report_of_run(o->all, r);
	}
	if (r != NULL && o->parts > 0) {
		r->status = REPORT_STARTED;
	}
	return r;
}

struct report *reports_find(TALLOC_CTX *mem_ctx, struct reports *all,
			    const char *id)
{
	struct report_open *o = report_open_find(all, id);
	enum report_kind kind = 0;
	uint64_t number = report_id_number(id, &kind);
	char key[REPORT_ID_MAX + 8];
	char found[REPORT_ID_MAX];
	struct report *r = NULL;

	if (o != NULL) {
		return report_now(mem_ctx, o);
	}
	if (number == 0) {
		snprintf(key, sizeof(key), "name/%.*s", REPORT_ID_MAX - 1,
			 id);
		number = report_indexed(all, key);
	}
	r = number == 0 ? NULL : report_row(mem_ctx, all, number);
	if (r != NULL) {
		report_id(r, found);
		if (strcmp(found, id) != 0) {
			TALLOC_FREE(r);
		}
	}
	return r;
}

struct report_list {
	struct reports *all;
	const struct report_range *range;
	TALLOC_CTX *mem_ctx;
	bool (*fn)(void *private_data, const struct report *r);
	void *private_data;
	uint64_t skipped;
	size_t looked;
	uint64_t last;
	bool more;
};

static bool report_list_row(void *private_data, struct db_bytes key,
			    struct buf *record)
{
	struct report_list *l = private_data;
	uint64_t number = store_number(key);
	struct report_open *o = NULL;
	struct report *r = NULL;
	bool go_on = true;

	if (l->skipped < l->range->skip) {
		l->skipped++;
		return true;
	}
	o = report_open_number(l->all, number);
	r = o != NULL ? report_now(l->mem_ctx, o) :
	    report_get(l->mem_ctx, number, record);
	l->looked++;
	l->last = number;
	if (r != NULL) {
		go_on = l->fn(l->private_data, r);
		talloc_free(r);
	}
	l->more = !go_on ||
		(l->range->looks != 0 && l->looked >= l->range->looks);
	return !l->more;
}

int reports_each(struct reports *all, const struct report_range *range,
		 bool (*fn)(void *private_data, const struct report *r),
		 void *private_data, uint64_t *last)
{
	struct report_list l = {
		.all = all, .range = range, .fn = fn,
		.private_data = private_data,
	};
	struct db_bytes from = { 0 };
	uint8_t key[8];
	int ret = 0;

	if (range->from != 0) {
		from = store_number_key(range->from, key);
	}
	l.mem_ctx = talloc_new(all);
	ret = store_row_each(all->store, STORE_ROWS_REPORT, from,
			     !range->oldest_first, report_list_row, &l);
	talloc_free(l.mem_ctx);
	*last = l.more ? l.last : 0;
	return ret;
}

int reports_count(struct reports *all, uint64_t *count)
{
	return store_row_count(all->store, STORE_ROWS_REPORT, count);
}

/* --- start --- */

static bool report_last_row(void *private_data, struct db_bytes key,
			    struct buf *record)
{
	(void)record;
	*(uint64_t *)private_data = store_number(key);
	return false;
}

static bool report_seen_row(void *private_data, struct threat *threat)
{
	struct reports *all = private_data;

	(void)report_seen_add(&all->seen, &threat->ident);
	return true;
}

/* The infected files that the day has counted. */
static void reports_seen(struct reports *all)
{
	const struct threats_range range = {
		.report = all->day->id,
		.looks = REPORT_SEEN_FIRST,
	};
	uint64_t last = 0;
	int ret = threats_each(all->threats, &range, report_seen_row, all,
			       &last);

	if (ret != 0) {
		log_warning("infected files that %s has counted are not "
			    "known: %s; those that are found again are "
			    "counted twice", all->day->id, strerror(ret));
	}
}

/* The day that was open, or a first one. */
static int reports_resume(struct reports *all)
{
	struct report *r = report_indexed_row(all, all, "day");
	time_t now = time(NULL);

	if (r == NULL || report_ended(r)) {
		talloc_free(r);
		return report_day_begin(all, now);
	}
	all->day = report_open(all, r);
	if (all->day == NULL) {
		return ENOMEM;
	}
	all->day->held = true;
	reports_seen(all);
	scans_set_report(all->scans, all->day->id);
	reports_look(all, now);
	return 0;
}

int reports_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   const struct config *config, struct store *store,
		   struct servers *servers, struct scans *scans,
		   struct threats *threats, struct reports **result)
{
	struct reports *all = talloc_zero(mem_ctx, struct reports);
	uint64_t last = 0;
	int ret = 0;

	if (all == NULL) {
		return ENOMEM;
	}
	all->ev = ev;
	all->config = config;
	all->store = store;
	all->servers = servers;
	all->scans = scans;
	all->threats = threats;
	LIST_INIT(&all->open);
	talloc_set_destructor(all, reports_destructor);
	ret = store_row_each(store, STORE_ROWS_REPORT,
			     (struct db_bytes) { 0 }, true, report_last_row,
			     &all->last);
	last = report_indexed(all, "last");
	all->last = last > all->last ? last : all->last;
	ret = ret != 0 ? ret : reports_resume(all);
	ret = ret != 0 ? ret : scans_watch(scans, reports_scanned, all);
	all->tick = tick_create(all, ev, reports_time, all);
	ret = ret == 0 && all->tick == NULL ? ENOMEM : ret;
	scans_on_late_bytes(scans, reports_late, all);
	if (ret != 0) {
		talloc_free(all);
		return ret;
	}
	tick_in(all->tick, REPORT_TICK * 1000000ULL);
	*result = all;
	return 0;
}
