/*
 * Bytes that servers have read through CHECK$.
 *
 * smbd tells them when a handle is closed, which may be after the answer: as
 * long as the scan goes on they are its, and then, for check_grace, those of
 * the report that it was part of.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/scan_private.h"

void scan_bytes_fetched(struct scans *s, const struct ident *ident,
			uint64_t bytes)
{
	struct scan *scan = scan_asked_find(s, ident);
	const char *report = NULL;

	if (scan != NULL && scan->began != 0) {
		scan->bytes_fetched += bytes;
		return;
	}
	report = outstanding_report(s->outstanding, ident);
	if (report != NULL && s->late_fn != NULL) {
		s->late_fn(s->late_private, report, bytes);
	}
}

void scans_on_late_bytes(struct scans *s,
			 void (*fn)(void *private_data, const char *report,
				    uint64_t bytes),
			 void *private_data)
{
	s->late_fn = fn;
	s->late_private = private_data;
}
