/*
 * One reading of the spool: chunk after chunk, then done.
 *
 * 1. A chunk's notices are all committed before the next is read, and all
 *    chunks before the files process is told to remove them. If a commit
 *    fails they stay, and are read again later: twice does no harm.
 * 2. A frame that does not decode is counted and skipped; waiting for it to
 *    get better would hold up those behind it.
 * 3. After a reading that brought something another one follows at once,
 *    since smbds may have written more meanwhile.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cavad/spooled.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/tick.h"

#define SPOOLED_GAP 50		/* ms between two that were asked for */

struct spooled {
	struct tevent_context *ev;
	struct files *files;
	struct debts *debts;
	struct events *events;
	struct tick *tick;
	struct tevent_req *subreq;
	TALLOC_CTX *commits;	/* of one chunk */
	unsigned int committing;
	bool reading;
	bool asked;		/* one is due: tick */
	bool failed;
	int64_t began;		/* monotonic ms */
	uint64_t offset;
	uint64_t count;		/* of this reading */
	uint64_t bad;
	uint64_t damaged;	/* bytes */
	bool overflow;
	void (*fn)(void *private_data);
	void *private_data;
};

static void spooled_next(struct spooled *sp);
static void spooled_chunk(struct tevent_req *subreq);
static void spooled_committed(struct tevent_req *subreq);
static void spooled_done(struct tevent_req *subreq);

static int64_t spooled_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void spooled_later(struct spooled *sp, int64_t ms)
{
	tick_in(sp->tick, (uint64_t)ms * 1000);
}

/* What is lost: said once a reading, by the event's own line. */
static void spooled_lost(struct spooled *sp)
{
	if (sp->overflow) {
		event_raise(sp->events, EVENT_CAVA_SPOOL_FULL, "",
			    "what was written since is marked and scanned "
			    "when it is read, or by a job");
	}
	if (sp->damaged > 0) {
		event_raise(sp->events, EVENT_CAVA_SPOOL_DAMAGED, "",
			    "%" PRIu64 " bytes are no notices, as after a "
			    "power failure; those files are scanned when "
			    "they are read, in profile strict, or by a job",
			    sp->damaged);
	}
}

static void spooled_report(struct spooled *sp)
{
	spooled_lost(sp);
	if (sp->bad > 0) {
		log_warning("%" PRIu64 " notices in the spool make no sense "
			    "and were skipped", sp->bad);
	}
	if (sp->count > 0) {
		log_info("%" PRIu64 " notices were taken from the spool",
			 sp->count);
		/* handles that were writing, and what found no room */
		debts_look(sp->debts);
	}
}

static void spooled_over(struct spooled *sp)
{
	spooled_report(sp);
	sp->reading = false;
	spooled_later(sp, SPOOLED_INTERVAL * 1000);
	if (sp->fn != NULL) {
		sp->fn(sp->private_data);
	}
}

static void spooled_fail(struct spooled *sp, int error)
{
	log_error("notices in the spool cannot be taken over now: %s",
		  strerror(error));
	spooled_over(sp);
}

static void spooled_start(struct spooled *sp)
{
	sp->reading = true;
	sp->asked = false;
	sp->failed = false;
	sp->began = spooled_now();
	sp->offset = 0;
	sp->count = 0;
	sp->bad = 0;
	sp->damaged = 0;
	sp->overflow = false;
	tick_stop(sp->tick);
	spooled_next(sp);
}

static void spooled_next(struct spooled *sp)
{
	sp->subreq = files_spool_send(sp, sp->ev, sp->files, sp->offset);
	if (sp->subreq == NULL) {
		spooled_fail(sp, ENOMEM);
		return;
	}
	tevent_req_set_callback(sp->subreq, spooled_chunk, sp);
}

/* One frame becomes a debt. */
static void spooled_notice(struct spooled *sp, const uint8_t *msg, size_t len)
{
	struct proto_message m;
	struct store_pending p;
	struct tevent_req *subreq = NULL;
	struct timespec now;
	int ret;

	ret = proto_decode_kept(msg, len, &m);
	if (ret != 0 || m.number != PROTO_NOTICE ||
	    m.u.notice.kind > PROTO_KIND_RENAME) {
		sp->bad++;
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	p = (struct store_pending) {
		.kind = m.u.notice.kind,
		.since = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
		.ident = m.u.notice.ident,
		.path = m.u.notice.path,
		.user = m.u.notice.user,
		.client = m.u.notice.client,
	};
	subreq = debt_notice_send(sp->commits, sp->ev, sp->debts, &p);
	if (subreq == NULL) {
		sp->failed = true;
		return;
	}
	sp->count++;
	sp->committing++;
	tevent_req_set_callback(subreq, spooled_committed, sp);
}

static void spooled_frames(struct spooled *sp, const uint8_t *data,
			   size_t len)
{
	struct buf b = buf_reader(data, len);

	while (buf_left(&b) > 0) {
		uint32_t size = buf_get_u32(&b);

		if (b.error != 0 || size > buf_left(&b)) {
			sp->bad++;
			return;
		}
		spooled_notice(sp, b.data + b.pos, size);
		b.pos += size;
	}
	debts_write(sp->debts);		/* no smbd has them any more */
}

/* A chunk is committed, or was empty. */
static void spooled_go_on(struct spooled *sp, bool end)
{
	TALLOC_FREE(sp->commits);
	if (sp->failed) {
		spooled_fail(sp, EIO);
		return;
	}
	if (!end) {
		spooled_next(sp);
		return;
	}
	sp->subreq = files_spool_done_send(sp, sp->ev, sp->files);
	if (sp->subreq == NULL) {
		spooled_fail(sp, ENOMEM);
		return;
	}
	tevent_req_set_callback(sp->subreq, spooled_done, sp);
}

static void spooled_chunk(struct tevent_req *subreq)
{
	struct spooled *sp = tevent_req_callback_data(subreq, struct spooled);
	struct files_spooled got;
	int ret;

	ret = files_spool_recv(subreq, sp, &got);
	TALLOC_FREE(sp->subreq);
	if (ret != 0) {
		spooled_fail(sp, ret);
		return;
	}
	sp->offset = got.next;
	sp->damaged += got.damaged;
	sp->overflow |= got.overflow;
	sp->commits = talloc_new(sp);
	if (sp->commits == NULL) {
		talloc_free(got.data);
		spooled_fail(sp, ENOMEM);
		return;
	}
	spooled_frames(sp, got.data, got.len);
	talloc_free(got.data);
	if (sp->committing == 0) {
		spooled_go_on(sp, got.len == 0);
	}
}

static void spooled_committed(struct tevent_req *subreq)
{
	struct spooled *sp = tevent_req_callback_data(subreq, struct spooled);
	int ret;

	ret = debt_notice_recv(subreq);
	talloc_free(subreq);
	if (ret != 0) {
		sp->failed = true;
	}
	sp->committing--;
	if (sp->committing == 0) {
		spooled_go_on(sp, false);
	}
}

static void spooled_done(struct tevent_req *subreq)
{
	struct spooled *sp = tevent_req_callback_data(subreq, struct spooled);
	bool more = sp->count > 0;
	int ret;

	ret = files_spool_done_recv(subreq);
	TALLOC_FREE(sp->subreq);
	if (ret != 0) {
		spooled_fail(sp, ret);
		return;
	}
	if (more) {
		spooled_report(sp);
		spooled_start(sp);
		return;
	}
	spooled_over(sp);
}

static void spooled_time(void *private_data)
{
	spooled_start(talloc_get_type_abort(private_data, struct spooled));
}

void spooled_read(struct spooled *sp)
{
	int64_t since = spooled_now() - sp->began;

	if (sp->reading) {
		return;		/* if it brings something, one follows */
	}
	spooled_later(sp, since >= SPOOLED_GAP ? 0 : SPOOLED_GAP - since);
	sp->asked = true;
}

bool spooled_reading(const struct spooled *sp)
{
	return sp->reading || sp->asked;
}

void spooled_on_read(struct spooled *sp, void (*fn)(void *private_data),
		     void *private_data)
{
	sp->fn = fn;
	sp->private_data = private_data;
}

struct spooled *spooled_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       struct files *files, struct debts *debts,
			       struct events *events)
{
	struct spooled *sp = talloc_zero(mem_ctx, struct spooled);

	if (sp == NULL) {
		return NULL;
	}
	sp->ev = ev;
	sp->files = files;
	sp->debts = debts;
	sp->events = events;
	sp->tick = tick_create(sp, ev, spooled_time, sp);
	if (sp->tick == NULL) {
		talloc_free(sp);
		return NULL;
	}
	spooled_start(sp);
	return sp;
}
