/*
 * Scans of named streams: what is different from those of files.
 *
 * The verdict is on the stream's bytes (common/stream.h) and in the store
 * alone, under a key made of them, so that streams with the same bytes are
 * scanned once. A change meanwhile does not void it: who asked compares the
 * bytes of the answer with those he has, and asks again. That a stream is
 * infected is kept under its own identity as well: what becomes of it is
 * readable only after a new clean verdict.
 *
 * A server that fetches is told FILE:TOKEN. CHECK$ names what it opened by
 * the bytes that it hands out, so that no other ones are ever judged instead:
 * not those that somebody sets for the time of the scan.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <string.h>

#include "cavad/scan_private.h"
#include "common/stream.h"

bool scan_is_stream(const struct scan *scan)
{
	return scan->ident.stream[0] != '\0';
}

void scan_set_name(struct scan *scan)
{
	char token[STREAM_TOKEN_MAX];

	TALLOC_FREE(scan->name);
	if (scan_is_stream(scan)) {
		stream_token(scan->ident.stream, token);
		scan->name = talloc_asprintf(scan, "%s:%s", scan->path,
					     token);
	}
}

const char *scan_name(const struct scan *scan)
{
	return scan->name != NULL ? scan->name : scan->path;
}

struct ident scan_asked_ident(const struct scan *scan)
{
	struct ident asked = scan->ident;
	struct ident bytes;

	if (scan_is_stream(scan)) {
		stream_result_key(&scan->before, &bytes);
		memcpy(asked.stream, bytes.stream, sizeof(asked.stream));
	}
	return asked;
}

struct scan *scan_asked_find(const struct scans *s,
			     const struct ident *ident)
{
	struct scan *scan = NULL;

	if (ident->stream[0] == '\0') {
		return scan_find(s, ident);
	}
	LIST_FOREACH(scan, &s->all, entry) {
		struct ident asked = scan_asked_ident(scan);

		if (scan->outstanding != NULL && ident_equal(&asked, ident)) {
			return scan;
		}
	}
	return NULL;
}

bool scan_stream_current(const struct scan *scan, const struct content *now,
			 struct verdict *v)
{
	const struct scans *s = scan->scans;
	struct ident key;
	int ret = 0;

	stream_result_key(now, &key);
	ret = store_result_get(s->store, &key, v);
	return ret == 0 && content_equal(&v->content, now) &&
		!verdict_is_old(v, config_signature_min(s->config, scan->job));
}

bool scan_stream_news(const struct scan *scan, const struct verdict *v)
{
	struct verdict old;
	int ret = 0;

	if (!scan_is_stream(scan) || v->result != VERDICT_INFECTED) {
		return false;
	}
	ret = store_result_get(scan->scans->store, &scan->ident, &old);
	return ret != 0 || old.result != VERDICT_INFECTED;
}

struct ident scan_result_key(struct scan *scan, bool known)
{
	struct scans *s = scan->scans;
	struct tevent_req *req = NULL;
	struct ident key;

	if (!scan_is_stream(scan)) {
		return scan->ident;
	}
	scan->verdict.stamp = scan->verdict.content.ctime;
	stream_result_key(&scan->verdict.content, &key);
	if (!known && scan->verdict.result != VERDICT_INFECTED) {
		return key;
	}
	/* in this order; it is written though nobody waits for it */
	req = store_result_put_send(scan, s->ev, s->store, &key,
				    &scan->verdict);
	talloc_free(req);
	return scan->ident;
}
