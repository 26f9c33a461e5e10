/*
 * Scans of what is infected: hashed, held against the allow-list, answered as
 * the zone's threat_response says, and kept as a threat.
 *
 * 1. The hash is taken while the lock of the scan is held, so it is that of
 *    what was scanned as surely as the verdict is. Where the engine was handed
 *    no descriptor the file is opened for it.
 * 2. A quarantine is written with the verdict. What destroys the content is
 *    done afterwards, and only to what the record is about: a file that has
 *    changed since is scanned again and answered then.
 * 3. What is allowed has the verdict infected on the file like any other. It
 *    is only the answer that says so, here and at each look-up, so that it
 *    ends with its entry. A row that still says allowed without one means:
 *    to be scanned once more.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cavad/files_record.h"
#include "cavad/hash.h"
#include "cavad/scan_private.h"
#include "common/log.h"
#include "common/proto.h"

static void scan_opened(struct tevent_req *subreq);
static void scan_hashed(struct tevent_req *subreq);
static void scan_responded(struct tevent_req *subreq);

void scans_use_threats(struct scans *s, struct threats *threats,
		       struct allows *allows,
		       unsigned int (*fn)(void *private_data,
					  const char *path),
		       void *private_data)
{
	s->threats = threats;
	s->allows = allows;
	s->response_fn = fn;
	s->response_private = private_data;
}

/* --- is it allowed? --- */

static enum allow_answer scan_allowed(struct scan *scan,
				      const struct content *content,
				      const char *threat,
				      const uint8_t *digest)
{
	struct allow_facts facts = {
		.ident = &scan->ident,
		.content = content,
		.threat = threat,
		.hashed = digest != NULL,
		.now = (int64_t)time(NULL),
	};

	if (digest != NULL) {
		memcpy(facts.digest, digest, DIGEST_SIZE);
	}
	return allows_judge(scan->scans->allows, &facts, &scan->allow);
}

static void scan_count_allowed(struct scan *scan, struct verdict *v)
{
	v->reason = VERDICT_REASON_ALLOWED;
	scan->scans->counters->threats_allowed++;
}

static bool scan_known_row(struct scan *scan, const struct threat *row,
			   struct verdict *v)
{
	struct threats *threats = scan->scans->threats;
	bool hashed = row != NULL && row->hashed && row->stamp == v->stamp;
	char why[64];

	switch (scan_allowed(scan, &v->content, v->threat,
			     hashed ? row->digest : NULL)) {
	case ALLOW_YES:
		break;
	case ALLOW_UNKNOWN:
		return false;
	case ALLOW_NO:
		return row == NULL || row->state != THREAT_ALLOWED;
	}
	scan_count_allowed(scan, v);
	if (row != NULL && (row->state != THREAT_ALLOWED ||
			    row->allow != scan->allow)) {
		snprintf(why, sizeof(why), "entry %" PRIu64 " of the "
			 "allow-list", scan->allow);
		(void)threats_change(threats, row->id, THREAT_ALLOWED,
				     scan->allow, "cavad", why);
	}
	return true;
}

bool scan_known_infected(struct scan *scan, const struct ident *ident,
			 struct verdict *v)
{
	struct scans *s = scan->scans;
	struct threat *row = NULL;
	bool stands = true;

	if (s->threats == NULL || v->result != VERDICT_INFECTED ||
	    verdict_quarantined(v)) {
		return true;
	}
	scan->ident = *ident;
	v->reason = VERDICT_REASON_NONE;
	row = threats_find(s->threats, scan, ident, v->threat);
	stands = scan_known_row(scan, row, v);
	talloc_free(row);
	return stands;
}

/* --- what the server found --- */

bool scan_is_selftest(const struct scan *scan)
{
	return (scan->sources & SCAN_FROM(SCAN_SELFTEST)) != 0;
}

static enum threat_response scan_response(const struct scan *scan)
{
	struct scans *s = scan->scans;

	if (s->response_fn == NULL || scan_is_stream(scan) ||
	    scan->allow != 0 ||
	    scan_is_selftest(scan)) {
		return THREAT_DENY;
	}
	return s->response_fn(s->response_private, scan->path);
}

static void scan_judged(struct scan *scan)
{
	struct verdict *v = &scan->verdict;

	scan->allow = 0;
	scan->unsure = false;
	if (scan->scans->threats != NULL) {
		scan->unsure = ALLOW_UNKNOWN == scan_allowed(
			scan, &v->content, v->threat,
			scan->digested ? scan->digest : NULL);
	}
	scan->response = scan_response(scan);
	if (scan->response == THREAT_QUARANTINE) {
		v->reason = VERDICT_REASON_QUARANTINED;
	}
	scan_end(scan);
}

/* The engine has had no need of a descriptor. */
static void scan_open(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct files_begin begin = {
		.scan_id = scan->id,
		.have_ident = true,
		.ident = scan->ident,
		.path = scan->path,
		.want_fd = true,
	};

	scan->subreq = files_begin_send(scan, s->ev, s->files, &begin);
	if (scan->subreq == NULL) {
		scan_judged(scan);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_opened, scan);
}

static void scan_digest(struct scan *scan)
{
	scan->subreq = hash_send(scan, scan->scans->ev, scan->fd);
	if (scan->subreq == NULL) {
		scan_judged(scan);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_hashed, scan);
}

void scan_judge(struct scan *scan)
{
	scan->said = scan->verdict.result;
	scan->digested = false;
	if (scan->said != VERDICT_INFECTED) {
		scan_answer_readers(scan);
		scan_end(scan);
	} else if (scan->scans->threats == NULL) {
		scan_judged(scan);
	} else if (scan->fd == -1) {
		scan_open(scan);
	} else {
		scan_digest(scan);
	}
}

static void scan_unhashed(struct scan *scan, int error)
{
	log_info("%s is infected, and has no hash: %s", scan_name(scan),
		 strerror(error));
	scan_judged(scan);
}

static void scan_opened(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct files_begun begun = { .fd = -1 };
	int ret = files_begin_recv(subreq, scan, &begun);

	TALLOC_FREE(scan->subreq);
	talloc_free(begun.path);
	scan->fd = begun.fd;
	if ((ret != 0 || begun.status == FILES_IO) && scan_may_void(scan)) {
		scan->again = true;
		scan_end_without(scan, VERDICT_FAILED, VERDICT_REASON_IO);
		return;
	}
	if (ret == 0 && scan->fd == -1) {
		ret = begun.error != 0 ? begun.error : ENOENT;
	} else if (ret == 0 && !content_equal(&begun.content, &scan->before)) {
		ret = ESTALE;	/* which its end will see */
	}
	if (ret != 0) {
		scan_unhashed(scan, ret);
		return;
	}
	scan_digest(scan);
}

static void scan_hashed(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	int ret = hash_recv(subreq, scan->digest);

	TALLOC_FREE(scan->subreq);
	if (ret != 0) {
		scan_unhashed(scan, ret);
		return;
	}
	scan->digested = true;
	scan_judged(scan);
}

bool scan_keep_quarantine(struct scan *scan)
{
	struct verdict old;
	int ret = store_result_get(scan->scans->store, &scan->ident, &old);

	return ret == 0 && files_record_keep(&old, &scan->verdict);
}

/* --- it is recorded --- */

static const char *scan_source_text(const struct scan *scan)
{
	if ((scan->sources & SCAN_FROM_CLIENTS) != 0) {
		return "on-access";
	}
	return (scan->sources & SCAN_FROM(SCAN_JOB)) != 0 ? "job" : "manual";
}

static const char *scan_or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* The row; `did` says what was done about it. */
static void scan_keep_threat(struct scan *scan, enum threat_state state,
			     const char *did)
{
	const struct verdict *v = &scan->verdict;
	struct threat found = {
		.ident = scan->ident,
		.path = scan->path,
		.threat = v->threat,
		.engine = v->engine,
		.server = v->server,
		.source = scan_source_text(scan),
		.user = scan->user,
		.client = scan->client,
		.share = scan_share(scan),
		.report = scan_report(scan),
		.also = scan_report_also(scan),
		.content = v->content,
		.stamp = v->stamp,
		.hashed = scan->digested,
		.allow = scan->allow,
	};
	char *why = talloc_asprintf(scan, "found by %s%s%s", v->server,
				    did[0] != '\0' ? "; " : "", did);

	if (scan->scans->threats == NULL || why == NULL) {
		return;
	}
	memcpy(found.digest, scan->digest, sizeof(found.digest));
	(void)threats_found(scan->scans->threats, &found, state, "cavad",
			    why);
	talloc_free(why);
}

static void scan_tell_found(const struct scan *scan, enum threat_state state,
			    const char *did)
{
	const struct verdict *v = &scan->verdict;
	const char *user = scan->user[0] != '\0' ? scan->user : "unknown";
	const char *client = scan->client[0] != '\0' ? scan->client :
			     "unknown";
	const struct event_detail details[] = {
		{ "user", scan->user },
		{ "client", scan->client },
		{ "share", scan_share(scan) },
		{ "path", scan_name(scan) },
		{ "threat", v->threat },
		{ "server", v->server },
		{ "action", threat_remediation(state) },
		{ NULL, NULL },
	};

	event_log_details(scan->scans->events, EVENT_SW_AVSCAN_CAVA_INFECTED,
			  scan_name(scan), details, "threat %s, found by %s "
			  "(%s); user %s, client %s, share %s; it cannot be "
			  "read any more%s%s", v->threat, v->server,
			  v->engine, user, client,
			  details[2].value[0] != '\0' ? details[2].value :
			  "unknown", did[0] != '\0' ? "; " : "", did);
}

static void scan_found_finish(struct scan *scan, enum threat_state state,
			      const char *did)
{
	scan_keep_threat(scan, state, did);
	scan_tell_found(scan, state, did);
	scan_finish(scan, &scan->verdict, false);
}

/* It was quarantined before, and stays so whatever the server says now. */
static void scan_found_quarantined(struct scan *scan)
{
	const struct verdict *v = &scan->verdict;
	struct threat *row = NULL;
	char *why = NULL;

	if (scan->scans->threats == NULL) {
		scan_finish(scan, v, false);
		return;
	}
	row = threats_find(scan->scans->threats, scan, &scan->ident,
			   v->threat);
	why = talloc_asprintf(scan, "scanned again by %s: %s; the quarantine "
			      "holds", v->server,
			      verdict_result_text(scan->said));
	if (row != NULL && why != NULL) {
		(void)threats_change(scan->scans->threats, row->id,
				     THREAT_QUARANTINED, 0, "cavad", why);
	}
	scan_finish(scan, v, false);
}

static void scan_respond(struct scan *scan)
{
	struct scans *s = scan->scans;
	const struct files_respond respond = {
		.action = scan->response == THREAT_TRUNCATE ?
			  FILES_TRUNCATE : FILES_DELETE,
		.have_ident = true,
		.ident = scan->ident,
		.path = scan->path,
		.content = scan->verdict.content,
	};

	scan->subreq = files_respond_send(scan, s->ev, s->files, &respond);
	if (scan->subreq == NULL) {
		scan_found_finish(scan, THREAT_INFECTED, strerror(ENOMEM));
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_responded, scan);
}

static void scan_tell_selftest(const struct scan *scan)
{
	event_log(scan->scans->events, EVENT_CAVA_SELFTEST, scan_name(scan),
		  "%s, found by %s (%s)", scan->verdict.threat,
		  scan->verdict.server, scan->verdict.engine);
}

static char *scan_undone_text(struct scan *scan, const char *why)
{
	return talloc_asprintf(scan, "not %s, but denied: %s",
			       scan->response == THREAT_TRUNCATE ?
			       "truncated" : "deleted", why);
}

/* The next look at it scans it again, and answers it then. */
static void scan_found_unsure(struct scan *scan)
{
	char *did = scan_undone_text(scan, "the allow-list may let it through "
				     "by its hash, which could not be had");

	scan_found_finish(scan, THREAT_INFECTED, scan_or_empty(did));
}

void scan_found(struct scan *scan)
{
	struct scans *s = scan->scans;
	struct verdict *v = &scan->verdict;

	if (scan_is_selftest(scan)) {
		scan_tell_selftest(scan);
		scan_finish(scan, v, false);
		return;
	}
	if (verdict_quarantined(v) && scan->response != THREAT_QUARANTINE) {
		scan_found_quarantined(scan);
		return;
	}
	if (verdict_quarantined(v)) {
		s->counters->threats_quarantined++;
		scan_found_finish(scan, THREAT_QUARANTINED, "quarantined");
		return;
	}
	if (scan->allow != 0) {
		log_notice("%s: %s, found by %s, is let through by entry "
			   "%" PRIu64 " of the allow-list", scan_name(scan),
			   v->threat, v->server, scan->allow);
		scan_keep_threat(scan, THREAT_ALLOWED, "let through by the "
				 "allow-list");
		scan_count_allowed(scan, v);
		scan_finish(scan, v, false);
		return;
	}
	if (scan->response == THREAT_TRUNCATE ||
	    scan->response == THREAT_DELETE) {
		if (scan->unsure) {
			scan_found_unsure(scan);
			return;
		}
		scan_respond(scan);
		return;
	}
	scan_found_finish(scan, THREAT_INFECTED, "");
}

/* What is empty now is scanned like anything else. */
static void scan_owe(struct scan *scan)
{
	const struct store_pending notice = {
		.kind = PROTO_KIND_CLOSE,
		.since = (int64_t)time(NULL) * 1000000000,
		.ident = scan->ident,
		.path = scan->path,
		.user = "",
		.client = "",
	};

	talloc_free(scan_notice_send(scan, scan->scans->ev, scan->scans,
				     &notice));
	scan_write(scan->scans);	/* no smbd keeps it */
}

static char *scan_done_text(struct scan *scan,
			    const struct files_responded *r)
{
	if (scan->response == THREAT_TRUNCATE) {
		return talloc_strdup(scan, "truncated");
	}
	return r->links == 0 ? talloc_strdup(scan, "deleted") :
		talloc_asprintf(scan, "deleted; it has %u other name%s (hard "
				"links), which stay and are denied", r->links,
				r->links == 1 ? "" : "s");
}

static const char *scan_undone_why(int error,
				   const struct files_responded *r)
{
	return error != 0 ? strerror(error) :
		r->status == FILES_CHANGED ? "it is another one by now" :
		r->status == FILES_GONE ? "it is gone" :
		r->error == ETXTBSY ? "somebody has it open for writing" :
		strerror(r->error);
}

static void scan_responded(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct counters *c = scan->scans->counters;
	struct files_responded r = { .status = FILES_IO };
	bool deleted = scan->response == THREAT_DELETE;
	enum threat_state state = THREAT_INFECTED;
	char *did = NULL;
	int ret = files_respond_recv(subreq, scan, &r);

	TALLOC_FREE(scan->subreq);
	if (ret == 0 && r.status == FILES_OK) {
		did = scan_done_text(scan, &r);
		state = deleted ? THREAT_DELETED : THREAT_TRUNCATED;
		c->threats_deleted += deleted;
		c->threats_truncated += !deleted;
	} else {
		did = scan_undone_text(scan, scan_undone_why(ret, &r));
	}
	if (state == THREAT_TRUNCATED) {
		scan_owe(scan);
	}
	scan_found_finish(scan, state, scan_or_empty(did));
}

/* --- and what is not infected --- */

void scan_cleared(struct scan *scan, enum threat_state state,
		  const char *why)
{
	if (scan->scans->threats != NULL && scan->have_ident) {
		threats_change_file(scan->scans->threats, &scan->ident,
				    THREAT_LIVE, state, "cavad", why);
	}
}
