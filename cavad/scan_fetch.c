/*
 * What servers may fetch through CHECK$, and bytes that they have read there.
 *
 * smbd tells them when a handle is closed, which may be after the answer: as
 * long as the scan goes on they are its, and then, for check_grace, those of
 * the report that it was part of.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <string.h>

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

bool scan_outstanding(struct scans *s, const struct ident *ident,
		      unsigned int i, struct scan_outstanding *o)
{
	return outstanding_find(s->outstanding, ident, i, o);
}

void scan_outstanding_paths(struct scans *s,
			    void (*fn)(void *private_data, const char *path),
			    void *private_data)
{
	outstanding_paths(s->outstanding, fn, private_data);
}

void scan_fetched(struct scans *s, const struct ident *ident)
{
	struct scan *scan = scan_asked_find(s, ident);

	if (scan != NULL && scan->outstanding != NULL) {
		scan->fetched = true;
	}
}

const char *scan_alias(struct scans *s, const char *alias)
{
	return outstanding_target(s->outstanding, alias);
}

bool scan_wrong_file(struct scans *s, const char *path)
{
	struct scan *scan = NULL;
	bool found = false;

	LIST_FOREACH(scan, &s->all, entry) {
		if (scan->outstanding != NULL &&
		    strcmp(scan_asked_name(scan), path) == 0) {
			scan->wrong_file = true;
			found = true;
		}
	}
	return found;
}
