/*
 * What an entry of the allow-list has let through is scanned again when the
 * entry is gone: the server may know better by now.
 *
 * Nobody reads it until then: the record on the file says infected. All rows
 * of threats are walked, some at a time, and for each that still counts as
 * allowed by an entry that is not there a scan is owed, in the database. So
 * nothing is lost when cavad ends meanwhile; and the walk is repeated at the
 * next start.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <time.h>

#include "cavad/allow_gone.h"
#include "common/log.h"
#include "common/proto.h"

#define GONE_SLICE 256		/* rows looked at without going back to the
				 * loop */

struct allow_gone {
	struct tevent_context *ev;
	struct tevent_immediate *im;
	struct scans *scans;
	struct threats *threats;
	struct allows *allows;
	uint64_t from;
	bool walking;
	bool again;		/* one more has gone since it began */
};

static void gone_slice(struct tevent_context *ev, struct tevent_immediate *im,
		       void *private_data);

static bool gone_row(void *private_data, struct threat *row)
{
	struct allow_gone *g = private_data;
	const struct store_pending notice = {
		.kind = PROTO_KIND_CLOSE,
		.since = (int64_t)time(NULL) * 1000000000,
		.ident = row->ident,
		.path = row->path,
		.user = row->user,
		.client = row->client,
	};

	if (row->state == THREAT_ALLOWED &&
	    allows_find(g->allows, row->allow) == NULL) {
		talloc_free(scan_notice_send(g, g->ev, g->scans, &notice));
	}
	return true;
}

static void gone_slice(struct tevent_context *ev, struct tevent_immediate *im,
		       void *private_data)
{
	struct allow_gone *g = talloc_get_type_abort(private_data,
						     struct allow_gone);
	const struct threats_range range = {
		.from = g->from,
		.oldest_first = true,
		.looks = GONE_SLICE,
	};
	int ret = threats_each(g->threats, &range, gone_row, g, &g->from);

	scan_write(g->scans);	/* no smbd keeps what is owed for these */
	if (ret != 0) {
		log_error("threats cannot be read: %d; what the allow-list "
			  "let through is denied until it is scanned", ret);
		g->from = 0;
	}
	if (g->from == 0 && !g->again) {
		g->walking = false;
		return;
	}
	if (g->from == 0) {
		g->again = false;
	}
	tevent_schedule_immediate(im, ev, gone_slice, g);
}

void allow_gone_look(struct allow_gone *g)
{
	if (g->walking) {
		g->again = true;
		return;
	}
	g->walking = true;
	g->from = 0;
	tevent_schedule_immediate(g->im, g->ev, gone_slice, g);
}

struct allow_gone *allow_gone_create(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct scans *scans,
				     struct threats *threats,
				     struct allows *allows)
{
	struct allow_gone *g = talloc_zero(mem_ctx, struct allow_gone);

	if (g == NULL) {
		return NULL;
	}
	g->ev = ev;
	g->scans = scans;
	g->threats = threats;
	g->allows = allows;
	g->im = tevent_create_immediate(g);
	if (g->im == NULL) {
		talloc_free(g);
		return NULL;
	}
	allow_gone_look(g);
	return g;
}
