/*
 * The verdict and its record: see verdict.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#define VERDICT_VERSION 2
#define VARINT_MAX 10	/* bytes */
#define VERDICT_STAMP_WINDOW 1000000000LL	/* ns: T - 1 s <= ctime <= T */

enum verdict_tag { VERDICT_TAG_ENGINE = 1, VERDICT_TAG_THREAT = 2,
		   VERDICT_TAG_SERVER = 3, VERDICT_TAG_CHANGED = 4 };

const char *verdict_result_text(enum verdict_result r)
{
	switch (r) {
	case VERDICT_NONE:
		return "none";
	case VERDICT_CLEAN:
		return "clean";
	case VERDICT_INFECTED:
		return "infected";
	case VERDICT_SKIPPED:
		return "skipped";
	case VERDICT_UNSCANNABLE:
		return "unscannable";
	case VERDICT_FAILED:
		return "failed";
	}
	return "unknown";
}

const char *verdict_reason_text(enum verdict_reason r)
{
	static const char *const texts[] = {
#define V(number, NAME, text) [number] = text,
		VERDICT_REASONS(V)
#undef V
	};

	if ((unsigned int)r >= VERDICT_REASON_COUNT) {
		return "unknown reason";
	}
	return texts[r];
}

void verdict_text_clean(char text[VERDICT_TEXT_MAX])
{
	size_t i = 0;

	for (i = 0; i < VERDICT_TEXT_MAX && text[i] != '\0'; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c < 0x20 || c == 0x7f) {
			text[i] = '?';
		}
	}
}

static void verdict_put_text(struct buf *b, enum verdict_tag tag,
			     const char text[VERDICT_TEXT_MAX])
{
	char clean[VERDICT_TEXT_MAX];
	size_t len = strnlen(text, VERDICT_TEXT_MAX - 1);

	if (len == 0) {
		return;
	}
	memcpy(clean, text, len);
	clean[len] = '\0';
	verdict_text_clean(clean);
	buf_put_u8(b, tag);
	buf_put_u8(b, (uint8_t)len);
	buf_put_bytes(b, clean, len);
}

/* value - base, so that small ones are short, whatever their sign. */
static void verdict_put_difference(struct buf *b, int64_t value, int64_t base)
{
	uint64_t d = (uint64_t)value - (uint64_t)base;

	buf_put_varint(b, d << 1 ^ (d >> 63 != 0 ? UINT64_MAX : 0));
}

static int64_t verdict_get_difference(struct buf *b, int64_t base)
{
	uint64_t v = buf_get_varint(b);
	uint64_t d = v >> 1 ^ ((v & 1) != 0 ? UINT64_MAX : 0);

	return (int64_t)((uint64_t)base + d);
}

static void verdict_put_changed(struct buf *b, const struct verdict *v)
{
	uint8_t data[VARINT_MAX];
	struct buf field = buf_writer(data, sizeof(data));

	if (v->changed == 0) {
		return;
	}
	verdict_put_difference(&field, v->changed, v->content.mtime);
	buf_put_u8(b, VERDICT_TAG_CHANGED);
	buf_put_u8(b, (uint8_t)field.pos);
	buf_put_bytes(b, data, field.pos);
}

size_t verdict_encode(const struct verdict *v, uint8_t *rec, size_t size)
{
	struct buf b = buf_writer(rec, size);

	buf_put_u8(&b, VERDICT_VERSION);
	buf_put_u8(&b, (uint8_t)v->result);
	buf_put_varint(&b, (uint16_t)v->reason);
	buf_put_varint(&b, v->content.size);
	buf_put_u64(&b, (uint64_t)v->content.mtime);
	buf_put_u64(&b, (uint64_t)v->stamp);
	verdict_put_difference(&b, v->scan_time, v->stamp);
	verdict_put_difference(&b, v->signature_time, 0);
	verdict_put_text(&b, VERDICT_TAG_ENGINE, v->engine);
	verdict_put_text(&b, VERDICT_TAG_THREAT, v->threat);
	verdict_put_text(&b, VERDICT_TAG_SERVER, v->server);
	verdict_put_changed(&b, v);
	return b.error == 0 ? b.pos : 0;
}

static char *verdict_text_of(struct verdict *v, uint8_t tag)
{
	switch (tag) {
	case VERDICT_TAG_ENGINE:
		return v->engine;
	case VERDICT_TAG_THREAT:
		return v->threat;
	case VERDICT_TAG_SERVER:
		return v->server;
	default:
		return NULL;
	}
}

static void verdict_get_field(struct buf *b, struct verdict *v,
			      uint8_t version)
{
	char text[VERDICT_TEXT_MAX] = "";
	uint8_t tag = buf_get_u8(b);
	uint8_t len = buf_get_u8(b);
	char *to = verdict_text_of(v, tag);
	struct buf field;

	buf_get_bytes(b, text, len);
	if (b->error != 0) {
		return;
	}
	if (to != NULL) {
		memcpy(to, text, sizeof(text));
		return;
	}
	if (tag != VERDICT_TAG_CHANGED) {
		return;
	}
	field = buf_reader(text, len);
	v->changed = version == 1 ? (int64_t)buf_get_u64(&field) :
		verdict_get_difference(&field, v->content.mtime);
	b->error = buf_finish(&field);
}

static void verdict_get_head(struct buf *b, struct verdict *v)
{
	uint64_t reason = 0;

	v->result = buf_get_u8(b);
	reason = buf_get_varint(b);
	v->reason = (enum verdict_reason)(uint16_t)reason;
	v->content.size = buf_get_varint(b);
	v->content.mtime = (int64_t)buf_get_u64(b);
	v->stamp = (int64_t)buf_get_u64(b);
	v->scan_time = verdict_get_difference(b, v->stamp);
	v->signature_time = verdict_get_difference(b, 0);
	if (b->error == 0 && reason > UINT16_MAX) {
		b->error = EBADMSG;
	}
}

/* What follows the 'C'. */
static uint8_t verdict_get_head_1(struct buf *b, struct verdict *v)
{
	char magic[3] = "";
	uint8_t version = 0;

	buf_get_bytes(b, magic, sizeof(magic));
	version = buf_get_u8(b);
	v->result = buf_get_u8(b);
	v->reason = buf_get_u16(b);
	v->content.size = buf_get_u64(b);
	v->content.mtime = (int64_t)buf_get_u64(b);
	v->stamp = (int64_t)buf_get_u64(b);
	v->scan_time = (int64_t)buf_get_u64(b);
	v->signature_time = (int64_t)buf_get_u64(b);
	if (b->error == 0 &&
	    (memcmp(magic, "AVA", sizeof(magic)) != 0 || version != 1)) {
		b->error = EBADMSG;
	}
	return version;
}

int verdict_decode(const uint8_t *rec, size_t len, struct verdict *v)
{
	struct buf b = buf_reader(rec, len);
	uint8_t version = 0;

	memset(v, 0, sizeof(*v));
	if (len > VERDICT_RECORD_MAX) {
		return EBADMSG;
	}
	version = buf_get_u8(&b);
	if (version == VERDICT_VERSION) {
		verdict_get_head(&b, v);
	} else if (version == 'C') {
		version = verdict_get_head_1(&b, v);
	} else {
		return EBADMSG;
	}
	if (b.error != 0) {
		return EBADMSG;
	}
	if (v->result != VERDICT_CLEAN && v->result != VERDICT_INFECTED &&
	    v->result != VERDICT_SKIPPED &&
	    v->result != VERDICT_UNSCANNABLE) {
		return EBADMSG;	/* nothing else is ever recorded */
	}
	while (buf_left(&b) > 0) {
		verdict_get_field(&b, v, version);
	}
	return buf_finish(&b);
}

static int verdict_take(const uint8_t *rec, ssize_t len, struct verdict *v)
{
	if (len == -1) {
		return errno == ERANGE ? EBADMSG : errno;
	}
	return verdict_decode(rec, (size_t)len, v);
}

int verdict_read_name(const char *name, struct verdict *v)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	ssize_t len = lgetxattr(name, VERDICT_XATTR, rec, sizeof(rec));

	return verdict_take(rec, len, v);
}

int verdict_read_path(int fd, struct verdict *v)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	char path[32];
	ssize_t len = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = getxattr(path, VERDICT_XATTR, rec, sizeof(rec));
	return verdict_take(rec, len, v);
}

int verdict_read(int fd, struct verdict *v)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	ssize_t len = fgetxattr(fd, VERDICT_XATTR, rec, sizeof(rec));

	if (len == -1 && errno == EBADF) {
		return verdict_read_path(fd, v);
	}
	return verdict_take(rec, len, v);
}

/* ctime in [stamp - 1 s, stamp], without overflow on hostile numbers. */
static bool verdict_in_window(int64_t stamp, int64_t ctime)
{
	int64_t start = 0;

	if (__builtin_sub_overflow(stamp, VERDICT_STAMP_WINDOW, &start)) {
		return false;
	}
	return start <= ctime && ctime <= stamp;
}

bool verdict_quarantined(const struct verdict *v)
{
	return v->result == VERDICT_INFECTED &&
		v->reason == VERDICT_REASON_QUARANTINED;
}

bool verdict_denied(const struct verdict *v)
{
	return v->result == VERDICT_INFECTED &&
		v->reason != VERDICT_REASON_ALLOWED;
}

bool verdict_is_current(const struct verdict *v, const struct content *now)
{
	return v->content.size == now->size &&
		v->content.mtime == now->mtime &&
		verdict_in_window(v->stamp, now->ctime);
}

bool verdict_is_old(const struct verdict *v, int64_t signature_min)
{
	int64_t signatures = v->signature_time;

	if (signatures == 0) {
		signatures = v->scan_time / INT64_C(1000000000);
	}
	return v->result != VERDICT_INFECTED && signature_min != 0 &&
		signatures < signature_min;
}

enum verdict_state verdict_state(const struct verdict *v,
				 const struct content *now,
				 int64_t signature_min)
{
	bool current = false;

	if (v == NULL || v->result == VERDICT_NONE) {
		return VERDICT_STATE_NONE;
	}
	if (v->result == VERDICT_SKIPPED) {
		return VERDICT_STATE_MARKED;
	}
	if (verdict_quarantined(v)) {
		return VERDICT_STATE_QUARANTINED;
	}
	current = verdict_is_current(v, now);
	if (v->result == VERDICT_INFECTED) {
		return current ? VERDICT_STATE_INFECTED :
			VERDICT_STATE_WAS_INFECTED;
	}
	if (!current || verdict_is_old(v, signature_min)) {
		return VERDICT_STATE_STALE;
	}
	if (v->result == VERDICT_CLEAN) {
		return VERDICT_STATE_CLEAN;
	}
	return v->result == VERDICT_UNSCANNABLE ?
		VERDICT_STATE_UNSCANNABLE : VERDICT_STATE_STALE;
}

bool verdict_state_current(enum verdict_state state)
{
	return state == VERDICT_STATE_CLEAN ||
		state == VERDICT_STATE_UNSCANNABLE ||
		state == VERDICT_STATE_INFECTED ||
		state == VERDICT_STATE_QUARANTINED;
}
