/*
 * Why a file can be read, or not: see explain.h. Here facts are gathered.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/req.h"

#define EXPLAIN_FACTS_MAX 32
#define EXPLAIN_EVENTS 5

struct explain_state {
	struct explain_parts parts;
	struct explain *result;
	struct explain_case judged;
	struct files_begun begun;
	struct verdict found;	/* that holds, .result INFECTED; or none */
};

static void explain_looked(struct tevent_req *subreq);

static void explain_add(struct explain_state *state, const char *about,
			const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void explain_add(struct explain_state *state, const char *about,
			const char *fmt, ...)
{
	struct explain *x = state->result;
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = talloc_vasprintf(x, fmt, ap);
	va_end(ap);
	if (text == NULL || x->count == EXPLAIN_FACTS_MAX) {
		talloc_free(text);
		return;
	}
	x->facts[x->count] = (struct explain_fact) { about, text };
	x->count++;
}

/* "2026-11-23 09:30:00 UTC"; s since the epoch. On mem_ctx. */
static const char *explain_time(TALLOC_CTX *mem_ctx, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32] = "";
	struct tm tm;

	if (seconds == 0 || gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC",
		     &tm) == 0) {
		return "unknown";
	}
	return talloc_strdup(mem_ctx, text);
}

/* "infected (Eicar) by av1 (ClamAV 1.0) at ..., signatures of ..." */
static char *explain_verdict(TALLOC_CTX *mem_ctx, const struct verdict *v)
{
	const char *reason = verdict_reason_text(v->reason);
	char *text = talloc_asprintf(mem_ctx, "%s%s%s%s%s%s%s",
				     verdict_result_text(v->result),
				     v->threat[0] != '\0' ? " (" : "",
				     v->threat,
				     v->threat[0] != '\0' ? ")" : "",
				     reason[0] != '\0' ? ": " : "", reason,
				     v->server[0] != '\0' ? "," : "");

	if (v->server[0] == '\0') {
		return text;
	}
	return talloc_asprintf(mem_ctx, "%s by %s (%s) at %s, signatures of "
			       "%s", text, v->server, v->engine,
			       explain_time(mem_ctx, v->scan_time /
					    1000000000),
			       explain_time(mem_ctx, v->signature_time));
}

/* The attribute on the file. */
static void explain_record(struct explain_state *state)
{
	const struct files_begun *b = &state->begun;
	const char *stale = NULL;

	if (!b->have_record) {
		explain_add(state, "record", "none: the file has no attribute "
			    VERDICT_XATTR " (never scanned, or changed "
			    "through a share since)");
		return;
	}
	if (b->record.result == VERDICT_SKIPPED) {
		explain_add(state, "record", "a mark: %s when it was written; "
			    "who reads it where no rule leaves it out waits "
			    "for a scan",
			    verdict_reason_text(b->record.reason));
		return;
	}
	stale = verdict_quarantined(&b->record) ? NULL :
		explain_stale(&b->record, &b->content,
			      state->judged.filter.signature_min);
	explain_add(state, "record", "%s; %s%s",
		    explain_verdict(state->result, &b->record),
		    stale == NULL ? "it holds" : "it does not hold: ",
		    stale == NULL ? "" : stale);
	if (b->record.result == VERDICT_INFECTED && stale == NULL) {
		state->found = b->record;
	}
}

static enum verdict_state explain_holding(const struct verdict *v)
{
	if (verdict_quarantined(v)) {
		return VERDICT_STATE_QUARANTINED;
	}
	return v->result == VERDICT_INFECTED ? VERDICT_STATE_INFECTED :
		v->result == VERDICT_UNSCANNABLE ?
		VERDICT_STATE_UNSCANNABLE : VERDICT_STATE_CLEAN;
}

/* What the database knows; it overrides what is on the file. */
static void explain_database(struct explain_state *state)
{
	struct filter_facts *facts = &state->judged.facts;
	const struct files_begun *b = &state->begun;
	int64_t min = state->judged.filter.signature_min;
	struct verdict v = { .result = VERDICT_NONE };
	int ret = store_result_get(state->parts.store, &b->ident, &v);
	bool same = content_equal(&v.content, &b->content);
	bool holds = ret == 0 && (verdict_quarantined(&v) ||
				  (same && !verdict_is_old(&v, min)));

	facts->state = verdict_state(b->have_record ? &b->record : NULL,
				     &b->content, min);
	if (ret != 0) {
		explain_add(state, "database", ret == ENOENT ?
			    "no verdict on it" : "it cannot be read: %s",
			    strerror(ret));
		return;
	}
	explain_add(state, "database", "%s; %s",
		    explain_verdict(state->result, &v), holds ? "it holds" :
		    "the file has changed since, or signatures are newer");
	if (holds) {
		state->found = v;
		facts->state = explain_holding(&v);
	} else if (v.result == VERDICT_INFECTED &&
		   facts->state != VERDICT_STATE_INFECTED) {
		facts->state = VERDICT_STATE_WAS_INFECTED;
	}
}

/* The row, with what became of it last. */
static void explain_threat_row(struct explain_state *state,
			       const struct threat *row)
{
	const struct threat_change *last = row->changes == 0 ? NULL :
		&row->history[row->changes - 1];

	explain_add(state, "threat", "%" PRIu64 ", %s: %s%s%s%s%s%s",
		    row->id, row->threat[0] != '\0' ? row->threat : "no name",
		    threat_state_text(row->state),
		    last == NULL ? "" : " by ", last == NULL ? "" : last->who,
		    last == NULL || last->why[0] == '\0' ? "" : " (",
		    last == NULL ? "" : last->why,
		    last == NULL || last->why[0] == '\0' ? "" : ")");
}

static void explain_allow(struct explain_state *state,
			  const struct threat *row)
{
	const struct allow *entry = NULL;
	struct allow_facts facts = {
		.ident = &state->begun.ident,
		.content = &state->begun.content,
		.threat = state->found.threat,
		.hashed = row != NULL && row->hashed &&
			  row->stamp == state->found.stamp,
		.now = (int64_t)time(NULL),
	};
	enum allow_answer answer = ALLOW_NO;
	uint64_t id = 0;

	if (facts.hashed) {
		memcpy(facts.digest, row->digest, sizeof(facts.digest));
	}
	answer = allows_judge(state->parts.allows, &facts, &id);
	entry = answer == ALLOW_YES ? allows_find(state->parts.allows, id) :
		NULL;
	state->judged.allowed = entry != NULL;
	if (entry != NULL) {
		explain_add(state, "allow", "entry %" PRIu64 " (%s), by %s: "
			    "%s", id, allow_kind_text(entry->kind),
			    entry->author, entry->reason);
		return;
	}
	explain_add(state, "allow", answer == ALLOW_UNKNOWN ? "an entry may "
		    "be about it: its next scan takes the hash and says" :
		    "no entry of the allow-list is about it");
}

/* What was found, is it quarantined or allowed? */
static void explain_threat(struct explain_state *state)
{
	struct threat *row = NULL;

	if (state->found.result != VERDICT_INFECTED) {
		return;
	}
	row = threats_find(state->parts.threats, state->result,
			   &state->begun.ident, state->found.threat);
	if (row != NULL) {
		explain_threat_row(state, row);
	}
	if (!verdict_quarantined(&state->found)) {
		explain_allow(state, row);
	}
}

static void explain_scan(struct explain_state *state)
{
	struct scans *scans = state->parts.scans;
	const struct ident *ident = &state->begun.ident;
	const char *step = NULL;
	struct store_pending *p = NULL;
	int ret;

	scan_hear(scans);
	step = scan_step(scans, ident);
	ret = store_pending_get(state->parts.store, state->result, ident, &p);
	state->judged.owed = scan_owed(scans, ident);
	if (step != NULL) {
		explain_add(state, "scan", "under way: %s", step);
	}
	if (ret == 0) {
		explain_add(state, "scan", "owed since %s for %s, client %s",
			    explain_time(state->result,
					 p->since / 1000000000),
			    p->user[0] != '\0' ? p->user : "unknown",
			    p->client[0] != '\0' ? p->client : "unknown");
	} else if (step == NULL) {
		explain_add(state, "scan", "none is owed, queued or running");
	}
}

static void explain_servers(struct explain_state *state, const char *pool)
{
	const struct servers *servers = state->parts.servers;
	char *list = talloc_strdup(state->result, "");
	size_t i = 0;

	state->judged.usable = servers_pool_usable(servers, pool);
	for (i = 0; i < servers_count(servers) && list != NULL; i++) {
		struct server_status s = servers_status(servers, i);

		if (strcmp(s.pool, pool) == 0) {
			list = talloc_asprintf_append(
				list, "%s%s %s", list[0] != '\0' ? ", " : "",
				s.name, server_state_text(s.state));
		}
	}
	explain_add(state, "servers", "pool %s: %s", pool,
		    list == NULL || list[0] == '\0' ? "it has none" : list);
}

static void explain_filter(struct explain_state *state)
{
	static const char *const profiles[] = {
		[FILTER_STANDARD] = "standard", [FILTER_STRICT] = "strict",
		[FILTER_WRITES_ONLY] = "writes_only",
		[FILTER_NO_SCAN] = "no_scan",
	};
	static const char *const triggers[] = {
		[FILTER_TRIGGER_PROFILE] = "", [FILTER_TRIGGER_YES] =
		", scan_on_read yes", [FILTER_TRIGGER_NO] =
		", scan_on_read no",
	};
	const struct filter *f = &state->judged.filter;

	explain_add(state, "filter", "zone %s: %s, profile %s%s, open_on_fail "
		    "%s%s", state->result->zone, f->enabled ? "enabled" :
		    state->judged.service ? "filter_enabled = no" :
		    "service_enabled = no", profiles[f->profile],
		    triggers[f->on_read], f->open_on_fail ? "yes" : "no",
		    f->accounts.size != 0 || f->hosts.size != 0 ?
		    ", some accounts or hosts are exempt" : "");
}

static void explain_rules(struct explain_state *state)
{
	struct explain_case *c = &state->judged;
	enum verdict_reason reason = filter_rules(&c->filter, &c->facts);

	if (reason == VERDICT_REASON_NONE) {
		explain_add(state, "rules", "none leaves it out");
		return;
	}
	c->rule = explain_rule(state->result, &c->filter, &c->facts);
	explain_add(state, "rules", "%s (%s)", verdict_reason_text(reason),
		    c->rule != NULL ? c->rule : c->filter.no_extension_skip ?
		    "file_extensions, scan_if_no_extension" :
		    "file_extensions_action = include, and it is not among "
		    "them");
}

struct explain_events {
	struct explain_state *state;
	unsigned int count;
};

static bool explain_event(void *private_data, const struct event_row *row)
{
	struct explain_events *e = private_data;
	const struct event *event = &row->event;

	explain_add(e->state, "event", "%" PRIu64 ", %s, %s: %s", row->id,
		    explain_time(e->state->result, event->last / 1000000000),
		    event->meaning, event->text);
	e->count++;
	return e->count < EXPLAIN_EVENTS;
}

static void explain_events(struct explain_state *state)
{
	struct explain_events e = { .state = state };

	(void)event_history_about(state->parts.history, state->result->path,
				  explain_event, &e);
	if (e.count == 0) {
		explain_add(state, "event", "none of the last %u is about it",
			    EVENT_HISTORY_RECENT);
	}
}

static void explain_file(struct explain_state *state)
{
	const struct files_begun *b = &state->begun;

	explain_add(state, "file", "%" PRIu64 " bytes, written %s%s",
		    b->content.size, explain_time(
			    state->result, b->content.mtime / 1000000000),
		    b->tiered ? ", tiered (offline)" : "");
}

static void explain_gather(struct explain_state *state)
{
	const struct explain_parts *p = &state->parts;
	struct explain *x = state->result;
	struct explain_case *c = &state->judged;
	const char *root = zones_root(p->zones, x->path);

	x->share = zones_share(p->zones, x->path);
	x->zone = zones_name(p->zones, x->path);
	c->filter = config_filter(p->config, x->zone);
	c->service = p->config->settings.service_enabled;
	c->facts = (struct filter_facts) {
		.path = x->path,
		.root = root,
		.size = state->begun.content.size,
		.tiered = state->begun.tiered,
	};
	explain_file(state);
	if (x->share[0] != '\0') {
		explain_add(state, "share", "%s (%s)", x->share, root);
	} else {
		explain_add(state, "share", "in none that a client has "
			    "connected to with vfs_cava; the zone is that "
			    "of what is in none");
	}
	explain_filter(state);
	explain_rules(state);
	explain_record(state);
	explain_database(state);
	explain_threat(state);
	explain_scan(state);
	explain_servers(state, zones_pool(p->zones, x->path));
	explain_events(state);
	x->judgement = explain_judge(c);
}

struct tevent_req *explain_send(TALLOC_CTX *mem_ctx,
				struct tevent_context *ev,
				const struct explain_parts *parts,
				const char *path)
{
	const struct files_begin begin = { .path = path };
	struct explain_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;

	req = tevent_req_create(mem_ctx, &state, struct explain_state);
	if (req == NULL) {
		return NULL;
	}
	state->parts = *parts;
	state->result = talloc_zero(state, struct explain);
	if (tevent_req_nomem(state->result, req)) {
		return tevent_req_post(req, ev);
	}
	state->result->facts = talloc_zero_array(
		state->result, struct explain_fact, EXPLAIN_FACTS_MAX);
	subreq = files_begin_send(state, ev, parts->files, &begin);
	if (tevent_req_nomem(state->result->facts, req) ||
	    tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, explain_looked, req);
	return req;
}

static void explain_looked(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct explain_state *state = tevent_req_data(req,
						      struct explain_state);
	struct files_begun *b = &state->begun;
	int ret = files_begin_recv(subreq, state->result, b);

	TALLOC_FREE(subreq);
	if (tevent_req_error(req, ret)) {
		return;
	}
	state->result->status = b->status;
	state->result->error = b->error;
	state->result->path = b->path;
	if (b->status == FILES_OK) {
		explain_gather(state);
	}
	tevent_req_done(req);
}

int explain_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		 struct explain **result)
{
	struct explain_state *state = tevent_req_data(req,
						      struct explain_state);
	int ret = req_error(req);

	if (ret == 0) {
		*result = talloc_move(mem_ctx, &state->result);
	}
	tevent_req_received(req);
	return ret;
}
