/*
 * What went over a wire, for an administrator who wants to see it.
 *
 * An engine that is given one writes down the bytes that it sends and gets,
 * as far as there is room; with NULL nothing happens.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_TRACE_H
#define CAVAD_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#define TRACE_MAX 16384		/* bytes kept of each direction */

struct trace_bytes {
	uint8_t kept[TRACE_MAX];
	size_t total;		/* there were; more than were kept, maybe */
};

struct trace {
	struct trace_bytes sent;
	struct trace_bytes received;
};

void trace_sent(struct trace *t, const void *data, size_t len);
void trace_received(struct trace *t, const void *data, size_t len);

/*
 * As text: printable ASCII and line ends as they are, CR as \r, any other
 * byte as \xNN, a backslash doubled. NULL = no memory.
 */
char *trace_text(TALLOC_CTX *mem_ctx, const struct trace_bytes *bytes);

#endif
