/*
 * What follows from the facts about a file: see explain.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/explain.h"

#include <string.h>

#define EXPLAIN_SCAN_AGAIN "have it scanned anew: cavactl scan --force PATH"

static struct explain_judgement judge(enum explain_outcome outcome,
				      const char *because, const char *change)
{
	static const char *const gets[] = {
		[EXPLAIN_READ] = "gets the content at once",
		[EXPLAIN_WAIT] = "waits for a scan, and gets the content if "
				 "it is clean",
		[EXPLAIN_DENIED] = "is denied",
	};

	return (struct explain_judgement) {
		.outcome = outcome,
		.gets = gets[outcome],
		.because = because,
		.change = change,
	};
}

static struct explain_judgement judge_infected(const char *because)
{
	struct explain_judgement j = judge(
		EXPLAIN_DENIED, because, "replace or delete the file (writing "
		"it anew is allowed); if it is a false alarm, update the "
		"signatures and " EXPLAIN_SCAN_AGAIN);

	j.infected = true;
	return j;
}

/* A scan has to say, and there is nobody to make one. */
static struct explain_judgement judge_no_server(const struct explain_case *c)
{
	if (c->facts.state == VERDICT_STATE_WAS_INFECTED) {
		return judge_infected("it was infected, has changed, and no "
				      "antivirus server is online to say "
				      "that it is clean now");
	}
	if (c->filter.open_on_fail) {
		return judge(EXPLAIN_READ, "it has no verdict, no antivirus "
			     "server is online, and open_on_fail lets "
			     "readers go on",
			     "bring a server back (cavactl servers), or set "
			     "open_on_fail = no for the zone");
	}
	return judge(EXPLAIN_DENIED, "it has no verdict, no antivirus server "
		     "is online, and open_on_fail = no",
		     "bring a server back (cavactl servers), or set "
		     "open_on_fail = yes for the zone");
}

static struct explain_judgement judge_scan(const struct explain_case *c)
{
	struct explain_judgement j;

	if (!c->usable) {
		return judge_no_server(c);
	}
	if (c->facts.state == VERDICT_STATE_WAS_INFECTED) {
		j = judge(EXPLAIN_WAIT, "it was infected and has changed: "
			  "only a new clean verdict opens it",
			  "scan it now: cavactl scan PATH");
		j.infected = true;
		return j;
	}
	return judge(EXPLAIN_WAIT, c->owed ? "a scan of it is owed" :
		     "it has no verdict that holds; if the scan fails or "
		     "takes too long, open_on_fail decides",
		     "scan it now: cavactl scan PATH");
}

static struct explain_judgement judge_owed(const struct explain_case *c,
					   enum verdict_reason reason)
{
	if (c->owed) {
		return judge_scan(c);
	}
	if (reason == VERDICT_REASON_TIERED) {
		return judge(c->filter.open_on_fail ? EXPLAIN_READ :
			     EXPLAIN_DENIED, "it is tiered (offline), which "
			     "scan_cloudpool_files = no leaves unscanned: "
			     "open_on_fail decides",
			     "set scan_cloudpool_files = yes for the zone");
	}
	return judge(EXPLAIN_READ, "it has no verdict that holds, nobody has "
		     "written it through a share since, and profile standard "
		     "does not scan on read",
		     "set scan_profile = strict for the zone, or scan it: "
		     "cavactl scan PATH");
}

static struct explain_judgement judge_skip(enum verdict_reason reason)
{
	switch (reason) {
	case VERDICT_REASON_NONE:
		return judge(EXPLAIN_READ, "its verdict is clean, and holds",
			     NULL);
	case VERDICT_REASON_EXTENSION:
		return judge(EXPLAIN_READ, "the zone does not scan files of "
			     "this extension", "change file_extensions of "
			     "the zone");
	case VERDICT_REASON_PATH:
		return judge(EXPLAIN_READ, "paths_to_exclude leaves it out",
			     "change paths_to_exclude of the zone");
	case VERDICT_REASON_TOO_LARGE:
		return judge(EXPLAIN_READ, "it is larger than "
			     "scan_size_maximum", "raise scan_size_maximum, "
			     "or set scan_size_maximum_action = deny for "
			     "the zone");
	case VERDICT_REASON_LIMIT:
		return judge(EXPLAIN_READ, "no antivirus server can look "
			     "inside it (encrypted, or over its limits), and "
			     "open_on_fail lets readers go on",
			     "raise the server's limits, or set "
			     "open_on_fail = no for the zone");
	default:
		return judge(EXPLAIN_READ, "the profile of the zone makes no "
			     "read wait", "set another scan_profile for the "
			     "zone");
	}
}

static struct explain_judgement judge_deny(const struct explain_case *c,
					   enum verdict_reason reason)
{
	struct explain_judgement j;

	switch (reason) {
	case VERDICT_REASON_QUARANTINED:
		j = judge(EXPLAIN_DENIED, "it is quarantined, which holds "
			  "whatever a later scan says", "cavactl quarantine "
			  "release PATH");
		j.infected = true;
		return j;
	case VERDICT_REASON_TOO_LARGE:
		return judge(EXPLAIN_DENIED, "it is larger than "
			     "scan_size_maximum, and "
			     "scan_size_maximum_action = deny",
			     "raise scan_size_maximum, or set "
			     "scan_size_maximum_action = allow for the zone");
	case VERDICT_REASON_LIMIT:
		return judge(EXPLAIN_DENIED, "no antivirus server can look "
			     "inside it (encrypted, or over its limits), and "
			     "open_on_fail = no",
			     "raise the server's limits and "
			     EXPLAIN_SCAN_AGAIN ", or set open_on_fail = yes "
			     "for the zone");
	case VERDICT_REASON_WAS_INFECTED:
		return judge_infected("it was infected and has changed, and "
				      "no read of the zone makes a scan");
	default:
		break;
	}
	return judge_infected(c->facts.state == VERDICT_STATE_INFECTED ?
			      "it is infected" : "it was infected");
}

struct explain_judgement explain_judge(const struct explain_case *c)
{
	struct filter_facts facts = c->facts;
	struct filter filter = c->filter;
	struct filter_decision d;

	if (!c->filter.enabled) {
		return judge(EXPLAIN_READ, c->service ?
			     "the zone takes no part (filter_enabled = no)" :
			     "scanning is off (service_enabled = no)",
			     c->service ? "set filter_enabled = yes for the "
			     "zone" : "set service_enabled = yes");
	}
	if (c->facts.state == VERDICT_STATE_INFECTED && c->allowed) {
		return judge(EXPLAIN_READ, "it is infected, and the "
			     "allow-list lets that through", "take the entry "
			     "out of the list: cavactl allow remove ID");
	}
	/* others ask cavad, whether it is allowed; here that is known */
	filter.allows = false;
	facts.operation = FILTER_READ;
	d = filter_decide(&filter, &facts);
	switch (d.action) {
	case FILTER_GO:
	case FILTER_NOTIFY:
	case FILTER_ASK_KNOWN:
		return judge_skip(d.reason);
	case FILTER_ASK:
		return judge_scan(c);
	case FILTER_ASK_OWED:
		return judge_owed(c, d.reason);
	case FILTER_DENY:
		break;
	}
	return judge_deny(c, d.reason);
}

const char *explain_stale(const struct verdict *v, const struct content *now,
			  int64_t signature_min)
{
	if (v->content.size != now->size) {
		return "the file has another size now";
	}
	if (v->content.mtime != now->mtime) {
		return "the file was written since (its mtime has moved)";
	}
	if (now->ctime > v->stamp) {
		return "the file was changed since (its ctime has moved: "
		       "written, renamed, or other rights)";
	}
	if (now->ctime < v->stamp - 1000000000) {
		return "the file's ctime is from before the scan (a copy of "
		       "the record, or a clock that was set back)";
	}
	return verdict_is_old(v, signature_min) ?
	       "the servers have newer signatures (rescan_on_signatures)" :
	       NULL;
}

/* Does this one item leave it out? */
static bool rule_alone(const char *item, bool extensions,
		       const struct filter_facts *facts)
{
	struct filter one = FILTER_DEFAULT;
	struct filter_list list = { item, (uint32_t)strlen(item) + 1 };

	if (extensions) {
		one.extensions = list;
	} else {
		one.paths = list;
	}
	return filter_rules(&one, facts) != VERDICT_REASON_NONE;
}

char *explain_rule(TALLOC_CTX *mem_ctx, const struct filter *f,
		   const struct filter_facts *facts)
{
	const char *item = NULL;

	while (!f->extensions_include &&
	       (item = filter_list_next(&f->extensions, item)) != NULL) {
		if (rule_alone(item, true, facts)) {
			return talloc_asprintf(mem_ctx, "file_extensions: %s",
					       item);
		}
	}
	while ((item = filter_list_next(&f->paths, item)) != NULL) {
		if (rule_alone(item, false, facts)) {
			return talloc_asprintf(mem_ctx, "paths_to_exclude: "
					       "%s", item);
		}
	}
	return NULL;
}
