/*
 * A file is not its content alone: scans of its named streams, one after the
 * other, for who scans files and not what a client opens (individual scans,
 * jobs). On access each stream is asked about by itself.
 *
 * These are the streams of vfs_streams_xattr, which are attributes. Those of
 * vfs_streams_depot are files, and walked and scanned as such.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SCAN_STREAMS_H
#define CAVAD_SCAN_STREAMS_H

#include "cavad/scan.h"

/*
 * `file` is what a scan of the file itself was asked with, or would have
 * been; its texts are copied. fn hears of each stream's answer, whose .path
 * is FILE:STREAM (stream_token()), and lives for the call.
 */
struct tevent_req *scan_streams_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct scans *s,
	const struct scan_request *file,
	void (*fn)(void *private_data, const struct scan_answer *answer),
	void *private_data);
/*
 * 0, also when the file is gone; errno: some were not asked about. *count
 * of the streams are answered.
 */
int scan_streams_recv(struct tevent_req *req, uint32_t *count);

#endif
