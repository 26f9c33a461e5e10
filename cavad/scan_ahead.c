/*
 * A scan that nobody waits for yet: the file was opened, and is about to be
 * read.
 *
 * It begins only if it can at once, by a connection of those that are for
 * what nobody waits for, and no more of them are under way than there are of
 * those. So opens without a read, as many as there may be, take neither a
 * reader's place nor a notice's. Who reads the file joins it (scan.c).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/scan_private.h"

void scan_ahead(struct scans *s, struct tevent_context *ev,
		const struct scan_request *request)
{
	struct tevent_req *req = NULL;
	struct scan *scan = NULL;

	if (scan_find(s, &request->ident) != NULL ||
	    scans_room(s, SCAN_AHEAD) == 0 ||
	    !scan_pool_is_idle(s, request, s->aheads)) {
		return;
	}
	req = scan_send(s, ev, s, request);
	scan = scan_find(s, &request->ident);
	if (scan != NULL) {
		scan->ahead = true;
		s->aheads++;
	}
	talloc_free(req);	/* the scan goes on */
}
