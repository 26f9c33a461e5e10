/*
 * Messages between cavad, the files parent and its workers: bytes to
 * structs and back.
 *
 * Enumerations come as numbers and are checked here, so that no reader
 * above has to; a number out of range makes the whole message an error.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cavad/files_packet.h"

#define FILES_CANDIDATE_MIN 13	/* bytes: size, what, an empty path */

struct buf files_msg_start(uint8_t *data, uint32_t number, uint32_t id)
{
	struct buf b = buf_writer(data, FILES_MSG_MAX);

	buf_put_u32(&b, number);
	buf_put_u32(&b, id);
	return b;
}

static void msg_bad(struct buf *b)
{
	if (b->error == 0) {
		b->error = EBADMSG;
	}
}

static bool msg_get_bool(struct buf *b)
{
	uint8_t v = buf_get_u8(b);

	if (v > 1) {
		msg_bad(b);
	}
	return v == 1;
}

static enum files_status msg_get_status(struct buf *b)
{
	uint8_t v = buf_get_u8(b);

	if (v > FILES_IO) {
		msg_bad(b);
		return FILES_IO;
	}
	return v;
}

static const char *msg_get_path(struct buf *b)
{
	const char *path = buf_get_str(b);

	if (strlen(path) >= FILES_PATH_MAX) {
		msg_bad(b);
		return "";
	}
	return path;
}

static void msg_get_text(struct buf *b, char text[VERDICT_TEXT_MAX])
{
	const char *s = buf_get_str(b);
	size_t len = strlen(s);

	if (len >= VERDICT_TEXT_MAX) {
		msg_bad(b);
		len = 0;
	}
	memcpy(text, s, len);
	text[len] = '\0';
}

static void msg_put_verdict(struct buf *b, const struct verdict *v)
{
	buf_put_u8(b, v->result);
	buf_put_u16(b, v->reason);
	content_put(b, &v->content);
	buf_put_u64(b, v->stamp);
	buf_put_u64(b, v->scan_time);
	buf_put_u64(b, v->signature_time);
	buf_put_str(b, v->engine);
	buf_put_str(b, v->threat);
	buf_put_str(b, v->server);
}

static void msg_get_verdict(struct buf *b, struct verdict *v)
{
	uint8_t result = buf_get_u8(b);
	uint16_t reason = buf_get_u16(b);

	*v = (struct verdict) { .result = VERDICT_NONE };
	if (result > VERDICT_FAILED || reason >= VERDICT_REASON_COUNT) {
		msg_bad(b);
		return;
	}
	v->result = result;
	v->reason = reason;
	content_get(b, &v->content);
	v->stamp = buf_get_u64(b);
	v->scan_time = buf_get_u64(b);
	v->signature_time = buf_get_u64(b);
	msg_get_text(b, v->engine);
	msg_get_text(b, v->threat);
	msg_get_text(b, v->server);
}

void files_msg_put_begin(struct buf *b, const struct files_begin *begin)
{
	buf_put_u64(b, begin->scan_id);
	buf_put_u8(b, begin->have_ident);
	if (begin->have_ident) {
		ident_put(b, &begin->ident);
	}
	buf_put_str(b, begin->path);
	buf_put_u8(b, begin->lock);
	buf_put_u8(b, begin->want_fd);
	buf_put_u8(b, begin->if_needed);
	buf_put_u64(b, (uint64_t)begin->signature_min);
	buf_put_u64(b, begin->lock_max);
}

void files_msg_get_begin(struct buf *b, struct files_begin *begin)
{
	*begin = (struct files_begin) { .scan_id = buf_get_u64(b) };
	begin->have_ident = msg_get_bool(b);
	if (begin->have_ident) {
		ident_get(b, &begin->ident);
	}
	begin->path = msg_get_path(b);
	begin->lock = msg_get_bool(b);
	begin->want_fd = msg_get_bool(b);
	begin->if_needed = msg_get_bool(b);
	begin->signature_min = (int64_t)buf_get_u64(b);
	begin->lock_max = buf_get_u64(b);
}

void files_msg_put_begun(struct buf *b, const struct files_begun *begun)
{
	buf_put_u8(b, begun->status);
	buf_put_u8(b, begun->locked);
	buf_put_u32(b, begun->error);
	ident_put(b, &begun->ident);
	buf_put_str(b, begun->path);
	content_put(b, &begun->content);
	buf_put_u8(b, begun->have_record);
	if (begun->have_record) {
		msg_put_verdict(b, &begun->record);
	}
	buf_put_u8(b, begun->leased);
	buf_put_u8(b, begun->quiet);
	buf_put_u8(b, begun->tiered);
}

void files_msg_get_begun(struct buf *b, struct files_begun *begun,
			 const char **path)
{
	begun->status = msg_get_status(b);
	begun->locked = msg_get_bool(b);
	begun->error = buf_get_u32(b);
	ident_get(b, &begun->ident);
	*path = msg_get_path(b);
	content_get(b, &begun->content);
	begun->have_record = msg_get_bool(b);
	if (begun->have_record) {
		msg_get_verdict(b, &begun->record);
	}
	begun->leased = msg_get_bool(b);
	begun->quiet = msg_get_bool(b);
	begun->tiered = msg_get_bool(b);
}

void files_msg_put_end(struct buf *b, const struct files_end *end)
{
	buf_put_u64(b, end->scan_id);
	ident_put(b, &end->ident);
	buf_put_str(b, end->path);
	content_put(b, &end->before);
	buf_put_u8(b, end->record != NULL);
	if (end->record != NULL) {
		msg_put_verdict(b, end->record);
	}
}

void files_msg_get_end(struct buf *b, struct files_end *end,
		       struct verdict *record)
{
	*end = (struct files_end) { .scan_id = buf_get_u64(b) };
	ident_get(b, &end->ident);
	end->path = msg_get_path(b);
	content_get(b, &end->before);
	if (msg_get_bool(b)) {
		msg_get_verdict(b, record);
		end->record = record;
	}
}

void files_msg_put_ended(struct buf *b, const struct files_ended *ended)
{
	buf_put_u8(b, ended->status);
	buf_put_u32(b, ended->error);
	msg_put_verdict(b, &ended->record);
	content_put(b, &ended->content);
}

void files_msg_get_ended(struct buf *b, struct files_ended *ended)
{
	ended->status = msg_get_status(b);
	ended->error = buf_get_u32(b);
	msg_get_verdict(b, &ended->record);
	content_get(b, &ended->content);
}

void files_msg_put_respond(struct buf *b, const struct files_respond *r)
{
	buf_put_u8(b, r->action);
	buf_put_u8(b, r->have_ident);
	if (r->have_ident) {
		ident_put(b, &r->ident);
	}
	buf_put_str(b, r->path);
	content_put(b, &r->content);
}

void files_msg_get_respond(struct buf *b, struct files_respond *r)
{
	uint8_t action = buf_get_u8(b);

	if (action < FILES_QUARANTINE || action > FILES_DELETE) {
		msg_bad(b);
	}
	*r = (struct files_respond) { .action = action };
	r->have_ident = msg_get_bool(b);
	if (r->have_ident) {
		ident_get(b, &r->ident);
	}
	r->path = msg_get_path(b);
	content_get(b, &r->content);
}

void files_msg_put_responded(struct buf *b, const struct files_responded *r)
{
	buf_put_u8(b, r->status);
	buf_put_u32(b, r->error);
	ident_put(b, &r->ident);
	buf_put_str(b, r->path);
	content_put(b, &r->content);
	msg_put_verdict(b, &r->record);
	buf_put_u8(b, r->was);
	buf_put_u32(b, r->links);
}

void files_msg_get_responded(struct buf *b, struct files_responded *r,
			     const char **path)
{
	r->status = msg_get_status(b);
	r->error = buf_get_u32(b);
	ident_get(b, &r->ident);
	*path = msg_get_path(b);
	content_get(b, &r->content);
	msg_get_verdict(b, &r->record);
	r->was = msg_get_bool(b);
	r->links = buf_get_u32(b);
}

void files_msg_put_streams(struct buf *b, const struct files_streams *s)
{
	buf_put_u8(b, s->status);
	buf_put_u32(b, s->error);
	ident_put(b, &s->ident);
	buf_put_bytes(b, s->names, s->len);
}

void files_msg_get_streams(struct buf *b, struct files_streams *s)
{
	*s = (struct files_streams) { .status = msg_get_status(b) };
	s->error = buf_get_u32(b);
	ident_get(b, &s->ident);
	s->len = buf_left(b);
	s->names = (const char *)b->data + b->pos;
	if (s->len > 0 && s->names[s->len - 1] != '\0') {
		msg_bad(b);
	}
	if (b->error != 0) {
		s->len = 0;
	}
	b->pos += s->len;
}

void files_msg_put_walk(struct buf *b, const struct files_walk *walk)
{
	buf_put_str(b, walk->path);
	buf_put_str(b, walk->cursor);
	buf_put_u8(b, walk->other_mounts);
	buf_put_u8(b, walk->ignore_previous);
	buf_put_u64(b, (uint64_t)walk->signature_min);
	filter_put(b, &walk->rules);
}

void files_msg_get_walk(struct buf *b, struct files_walk *walk)
{
	*walk = (struct files_walk) { .path = msg_get_path(b) };
	walk->cursor = msg_get_path(b);
	walk->other_mounts = msg_get_bool(b);
	walk->ignore_previous = msg_get_bool(b);
	walk->signature_min = (int64_t)buf_get_u64(b);
	filter_get(b, &walk->rules);
}

void files_msg_put_walked(struct buf *b, const struct files_walked *walked)
{
	buf_put_u32(b, walked->error);
	buf_put_u8(b, walked->done);
	buf_put_str(b, walked->cursor);
#define W(name, text) buf_put_u64(b, walked->counts.name);
	WALK_COUNTS(W)
#undef W
	buf_put_u32(b, walked->count);
}

void files_msg_put_candidate(struct buf *b, const struct files_candidate *c)
{
	buf_put_u64(b, c->size);
	buf_put_u8(b, c->content);
	buf_put_u8(b, c->streams);
	buf_put_str(b, c->path);
}

void files_msg_get_walked(struct buf *b, TALLOC_CTX *mem_ctx,
			  struct files_walked *walked)
{
	uint32_t i = 0;

	*walked = (struct files_walked) { .error = buf_get_u32(b) };
	walked->done = msg_get_bool(b);
	walked->cursor = talloc_strdup(mem_ctx, msg_get_path(b));
#define W(name, text) walked->counts.name = buf_get_u64(b);
	WALK_COUNTS(W)
#undef W
	walked->count = buf_get_u32(b);
	if (walked->count > buf_left(b) / FILES_CANDIDATE_MIN) {
		msg_bad(b);
	}
	if (b->error != 0) {
		walked->count = 0;
	}
	walked->candidates = talloc_zero_array(
		mem_ctx, struct files_candidate, walked->count);
	if (walked->cursor == NULL || walked->candidates == NULL) {
		b->error = b->error != 0 ? b->error : ENOMEM;
		return;
	}
	for (i = 0; i < walked->count; i++) {
		struct files_candidate *c = &walked->candidates[i];

		c->size = buf_get_u64(b);
		c->content = msg_get_bool(b);
		c->streams = msg_get_bool(b);
		c->path = talloc_strdup(walked->candidates, msg_get_path(b));
		if (c->path == NULL && b->error == 0) {
			b->error = ENOMEM;
		}
	}
}

void files_msg_log(int sock, enum log_level level, const char *fmt, ...)
{
	uint8_t data[FILES_MSG_MAX];
	char line[1024] = "";
	struct buf b = files_msg_start(data, FILES_MSG_LOG, 0);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_put_u32(&b, level);
	buf_put_str(&b, line);
	files_msg_send(sock, &b, -1, MSG_DONTWAIT);
}

void files_msg_logged(struct buf *b)
{
	uint32_t level = buf_get_u32(b);
	const char *line = buf_get_str(b);
	int error = buf_finish(b);

	if (error != 0) {
		log_error("files process: a log line that makes no sense");
		return;
	}
	if (level < LOG_LEVEL_ERROR || level > LOG_LEVEL_DEBUG) {
		level = LOG_LEVEL_ERROR;
	}
	log_fields(level, NULL, "files process: %s", line);
}
