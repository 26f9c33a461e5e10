/*
 * What went over a wire: see trace.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/trace.h"

#include <stdio.h>
#include <string.h>

static void trace_add(struct trace_bytes *b, const void *data, size_t len)
{
	size_t room = b->total < TRACE_MAX ? TRACE_MAX - b->total : 0;

	if (room > 0 && len > 0) {
		memcpy(b->kept + b->total, data, len < room ? len : room);
	}
	b->total += len;
}

void trace_sent(struct trace *t, const void *data, size_t len)
{
	if (t != NULL) {
		trace_add(&t->sent, data, len);
	}
}

void trace_received(struct trace *t, const void *data, size_t len)
{
	if (t != NULL) {
		trace_add(&t->received, data, len);
	}
}

/* Returns how many characters; at most 4, and a NUL. */
static size_t trace_byte(char out[5], uint8_t byte)
{
	if (byte == '\r') {
		return (size_t)sprintf(out, "\\r");
	}
	if (byte == '\\') {
		return (size_t)sprintf(out, "\\\\");
	}
	if (byte == '\n' || (byte >= 0x20 && byte < 0x7f)) {
		return (size_t)sprintf(out, "%c", byte);
	}
	return (size_t)sprintf(out, "\\x%02x", byte);
}

char *trace_text(TALLOC_CTX *mem_ctx, const struct trace_bytes *b)
{
	size_t len = b->total < TRACE_MAX ? b->total : TRACE_MAX;
	char *text = talloc_array(mem_ctx, char, 4 * len + 1);
	size_t pos = 0;
	size_t i;

	if (text == NULL) {
		return NULL;
	}
	text[0] = '\0';
	for (i = 0; i < len; i++) {
		pos += trace_byte(text + pos, b->kept[i]);
	}
	return text;
}
