/*
 * One scan asks a server, and weighs what it answers.
 *
 * A name that SMB cannot carry (unc.h) gets an alias, made for this one
 * question: a name in the root of CHECK$ that role check resolves by asking
 * cavad (PROTO_WHAT_ALIAS). It leads to the path; what is opened there is
 * compared like anything else.
 *
 * A clean answer of a server that fetches counts only when this very file
 * was opened through CHECK$ meanwhile.
 *
 * Such a server finds the file by its name, and names change: Office saves
 * by a rename right after the close that is being scanned, and a directory
 * above may get another name. So when it did not open the file, the scan
 * begins once more, which finds out the name of now; only if that is the
 * one that was asked for, the answer stands.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cavad/scan_private.h"
#include "cavad/unc.h"
#include "common/log.h"
#include "common/proto.h"

#define SCAN_PATIENCE 10	/* times scan_timeout that a scan may take */
#define SCAN_TIME_MAX 86400	/* s */

static void scan_picked(void *private_data, const char *server,
			bool fetches);
static void scan_asked(struct tevent_req *subreq);

static int64_t scan_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* s that a server may take; no SMB operation waits that long. */
static uint32_t scan_time(const struct scan *scan)
{
	const struct settings *s = &scan->scans->config->settings;
	uint64_t time = scan->tiered ? s->scan_cloudpool_timeout :
				       s->scan_timeout;

	time *= SCAN_PATIENCE;
	return time > SCAN_TIME_MAX ? SCAN_TIME_MAX : (uint32_t)time;
}

/*
 * s after which a server counts as slow; a large file, or one that has to be
 * fetched first, is no sign of it.
 */
static uint32_t scan_overdue(const struct scan *scan)
{
	return scan->before.size > QUEUE_LARGE || scan->tiered ? 0 :
	       scan->scans->config->settings.scan_timeout;
}

/* Without memory for it there is none, and the server is not asked. */
static void scan_make_alias(struct scan *scan)
{
	const char *root = scan->scans->config->settings.check_root;
	const char *token = scan_is_stream(scan) ?
			    strrchr(scan_name(scan), ':') : NULL;
	uint64_t number = 0;
	ssize_t got = getrandom(&number, sizeof(number), GRND_NONBLOCK);

	if (got != sizeof(number)) {
		number = scan->id;
	}
	scan->alias = talloc_asprintf(scan, "%s/%s%016" PRIx64 "%s",
				      strcmp(root, "/") == 0 ? "" : root,
				      PROTO_ALIAS, number,
				      token != NULL ? token : "");
}

const char *scan_asked_name(const struct scan *scan)
{
	return scan->alias != NULL ? scan->alias : scan_name(scan);
}

/*
 * The file's own name where SMB can carry it, an alias elsewhere. A stream's
 * token follows the name.
 */
static char *scan_unc_at(struct scan *scan, const char *host)
{
	const struct settings *s = &scan->scans->config->settings;
	const char *token = strrchr(scan_name(scan), ':');
	char *unc = NULL;
	int ret = unc_path(scan, host, s->check_share, s->check_root,
			   scan->path, &unc);

	if (ret == EINVAL) {
		scan_make_alias(scan);
		return scan->alias == NULL ? NULL :
			talloc_asprintf(scan, "\\\\%s\\%s\\%s", host,
					s->check_share,
					strrchr(scan->alias, '/') + 1);
	}
	if (ret != 0 || !scan_is_stream(scan) || token == NULL) {
		return unc;
	}
	return talloc_strdup_append(unc, token);
}

/* NULL: no memory; servers that need one are not asked. */
static char *scan_unc(struct scan *scan)
{
	const struct settings *settings = &scan->scans->config->settings;
	char *host = unc_host(scan, (const char *const *)settings->ip_pool,
			      scan->scans->turn_fn == NULL ? 0 :
			      scan->scans->turn_fn(
				      scan->scans->turn_private));
	char *unc = NULL;

	TALLOC_FREE(scan->alias);
	if (host != NULL) {
		unc = scan_unc_at(scan, host);
	}
	talloc_free(host);
	return unc;
}

void scans_on_turn(struct scans *s, unsigned int (*fn)(void *private_data),
		   void *private_data)
{
	s->turn_fn = fn;
	s->turn_private = private_data;
}

void scan_ask(struct scan *scan)
{
	struct scans *s = scan->scans;
	char *unc = scan_unc(scan);
	const struct engine_scan ask = {
		.id = scan->id,
		.path = scan_name(scan),
		.unc = unc,
		.fd = scan->fd,
		.size = scan->before.size,
		.timeout = scan_time(scan),
		.overdue = scan_overdue(scan),
		.pool = scan->pool->name,
		.server = scan->asked,
		.selftest = scan_is_selftest(scan),
	};

	scan->state = SCAN_ASK;
	scan->subreq = servers_scan_send(scan, s->ev, s->servers, &ask,
					 scan_picked, scan);
	talloc_free(unc);
	if (scan->subreq == NULL) {
		scan_end_without(scan, VERDICT_FAILED, VERDICT_REASON_IO);
		return;
	}
	tevent_req_set_callback(scan->subreq, scan_asked, scan);
}

/* Called in the middle of the servers' walk: only takes note. */
static void scan_picked(void *private_data, const char *server, bool fetches)
{
	struct scan *scan = talloc_get_type_abort(private_data, struct scan);
	struct outstanding *o = scan->scans->outstanding;
	struct ident asked = scan_asked_ident(scan);

	snprintf(scan->server, sizeof(scan->server), "%s", server);
	outstanding_end(o, &scan->outstanding);
	scan->fetched = false;
	if (!fetches) {
		return;
	}
	/* Without memory the server is refused, and the scan fails. */
	scan->outstanding = outstanding_add(o, &asked, scan_asked_name(scan),
					    scan->alias == NULL ? NULL :
					    scan->path, server);
}

void scan_unlock(struct scans *s, const struct ident *ident)
{
	struct scan *scan = scan_find(s, ident);

	if (scan != NULL && scan->state == SCAN_ASK) {
		/* The comparison at the end opens the file anew. */
		scan_let_go(scan);
	}
}

/* It did not open the file: is it because of the name? */
static bool scan_missed(struct scan *scan,
			const char server[VERDICT_TEXT_MAX],
			enum verdict_reason reason)
{
	if (!scan_may_void(scan)) {
		return false;
	}
	scan->missed = talloc_strdup(scan, scan->path);
	if (scan->missed == NULL) {
		return false;
	}
	scan->missed_reason = reason;
	memcpy(scan->missed_by, server, sizeof(scan->missed_by));
	scan->again = true;
	scan_end_without(scan, VERDICT_FAILED, reason);
	return true;
}

static void scan_not_fetched(struct scan *scan, const char *server,
			     enum verdict_reason reason)
{
	if (reason == VERDICT_REASON_NOT_FETCHED) {
		event_raise(scan->scans->events, EVENT_CAVA_NOT_FETCHED,
			    server, "it says %s is clean, but did not open "
			    "it through %s: its answer does not count; check "
			    "the server's antivirus and its access to the "
			    "share", scan_name(scan),
			    scan->scans->config->settings.check_share);
	}
	scan_end_without(scan, VERDICT_FAILED, reason);
}

bool scan_missed_again(struct scan *scan)
{
	bool same = scan->missed != NULL &&
		    strcmp(scan->missed, scan->path) == 0;

	TALLOC_FREE(scan->missed);
	if (same) {
		scan_not_fetched(scan, scan->missed_by, scan->missed_reason);
	}
	return same;
}

static void scan_verdict_of(struct scan *scan,
			    const struct engine_answer *answer,
			    const char server[VERDICT_TEXT_MAX])
{
	struct verdict *v = &scan->verdict;

	*v = (struct verdict) {
		.result = answer->result,
		.reason = answer->reason,
		.content = scan->before,
		.scan_time = scan_now(),
		.signature_time = answer->signature_time,
	};
	memcpy(v->engine, answer->engine, sizeof(v->engine));
	memcpy(v->threat, answer->threat, sizeof(v->threat));
	memcpy(v->server, server, sizeof(v->server));
	verdict_text_clean(v->engine);
	verdict_text_clean(v->threat);
	scan->let_go = answer->result != VERDICT_CLEAN &&
		       answer->result != VERDICT_INFECTED &&
		       answer->result != VERDICT_UNSCANNABLE;
}

/* What opened through CHECK$ under the path was another file. */
static void scan_was_wrong(struct scan *scan)
{
	log_notice("another file was found at %s while it was scanned: the "
		   "answer does not count", scan_name(scan));
	scan->again = scan_may_void(scan);
	scan_end_without(scan, VERDICT_FAILED, VERDICT_REASON_WRONG_FILE);
}

/* True: the pool has other servers since it began, which want one. */
static bool scan_lacks_fd(struct scan *scan,
			  const struct engine_answer *answer)
{
	if (answer->result != VERDICT_FAILED || scan->fd != -1 ||
	    !scan_wants_fd(scan) || !scan_may_void(scan)) {
		return false;
	}
	scan->again = true;
	scan_end_without(scan, VERDICT_FAILED, answer->reason);
	return true;
}

static void scan_asked(struct tevent_req *subreq)
{
	struct scan *scan = tevent_req_callback_data(subreq, struct scan);
	struct scans *s = scan->scans;
	struct engine_answer answer;
	char server[VERDICT_TEXT_MAX];
	bool fetches = false;
	int ret;

	ret = servers_scan_recv(subreq, &answer, server, &fetches);
	TALLOC_FREE(scan->subreq);
	if (scan->outstanding != NULL) {
		outstanding_set_report(scan->outstanding, scan_report(scan));
	}
	outstanding_end(s->outstanding, &scan->outstanding);
	if (ret != 0) {
		log_warning("%s was not scanned: %s", scan_name(scan),
			    strerror(ret));
		scan_end_without(scan, VERDICT_FAILED,
				 VERDICT_REASON_SERVER_ERROR);
		return;
	}
	scan->bytes_sent += answer.sent;
	scan->bytes_passed += answer.passed;
	if (scan->wrong_file) {
		scan_was_wrong(scan);
		return;
	}
	if (scan_lacks_fd(scan, &answer)) {
		return;
	}
	if (answer.result == VERDICT_FAILED && answer.detail[0] != '\0') {
		log_info("antivirus server %s on %s: %s", server,
			 scan_name(scan), answer.detail);
	}
	if (fetches && !scan->fetched &&
	    (answer.result == VERDICT_CLEAN ||
	     answer.reason == VERDICT_REASON_SERVER_ERROR)) {
		enum verdict_reason reason = answer.result == VERDICT_CLEAN ?
			VERDICT_REASON_NOT_FETCHED : answer.reason;
		bool again = scan_missed(scan, server, reason);

		if (!again) {
			scan_not_fetched(scan, server, reason);
		}
		return;
	}
	if (answer.result == VERDICT_CLEAN && fetches) {
		event_clear(s->events, EVENT_CAVA_NOT_FETCHED, server);
	}
	scan_verdict_of(scan, &answer, server);
	scan_judge(scan);
}
