/*
 * Reports as records, ids and times: see report.h.
 *
 * A record is a row of fields, u8 tag, u16 length, bytes: a number has 8, a
 * text what it needs. What is 0 or "" is left out, an unknown tag is passed
 * over, so that versions before and behind this one can read it. Tags 1 and
 * 2, u8 each, are the letter of the kind and the number of the status.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/report.h"

#define TAG_KIND 1
#define TAG_STATUS 2
#define TAG_TEXTS 32

const char *report_kind_text(enum report_kind kind)
{
	switch (kind) {
#define K(letter, NAME, text) case REPORT_KIND_##NAME: return text;
	REPORT_KINDS(K)
#undef K
	}
	return "unknown";
}

const char *report_status_text(enum report_status status)
{
	switch (status) {
#define S(number, NAME, text) case REPORT_##NAME: return text;
	REPORT_STATUSES(S)
#undef S
	case REPORT_STATUS_COUNT:
		break;
	}
	return "unknown";
}

bool report_ended(const struct report *r)
{
	return r->status >= REPORT_FINISH;
}

void report_id(const struct report *r, char id[REPORT_ID_MAX])
{
	if (r->name[0] != '\0') {
		snprintf(id, REPORT_ID_MAX, "%s", r->name);
	} else {
		snprintf(id, REPORT_ID_MAX, "%c-%" PRIu64, (char)r->kind,
			 r->number);
	}
}

uint64_t report_id_number(const char *id, enum report_kind *kind)
{
	char *end = NULL;
	uint64_t number = 0;

	if (strchr("AJM", id[0]) == NULL || id[0] == '\0' || id[1] != '-' ||
	    id[2] < '1' || id[2] > '9') {
		return 0;
	}
	errno = 0;
	number = strtoull(id + 2, &end, 10);
	*kind = (enum report_kind)id[0];
	return errno == 0 && *end == '\0' ? number : 0;
}

/* --- records --- */

static void put_number(struct buf *b, uint8_t tag, uint64_t value)
{
	if (value == 0) {
		return;
	}
	buf_put_u8(b, tag);
	buf_put_u16(b, 8);
	buf_put_u64(b, value);
}

static void put_text(struct buf *b, uint8_t tag, const char *text)
{
	size_t len = strlen(text);

	if (len == 0) {
		return;
	}
	buf_put_u8(b, tag);
	buf_put_u16(b, (uint16_t)len);
	buf_put_bytes(b, text, len);
}

void report_put(struct buf *b, const struct report *r)
{
	buf_put_u8(b, TAG_KIND);
	buf_put_u16(b, 1);
	buf_put_u8(b, (uint8_t)r->kind);
	buf_put_u8(b, TAG_STATUS);
	buf_put_u16(b, 1);
	buf_put_u8(b, (uint8_t)r->status);
#define R(tag, name, json, text) put_number(b, tag, r->name);
	REPORT_NUMBERS(R)
#undef R
#define R(tag, name, json) put_text(b, tag, r->name);
	REPORT_TEXTS(R)
#undef R
}

static void get_number(struct report *r, uint8_t tag, uint64_t value)
{
	switch (tag) {
	case TAG_KIND:
		r->kind = value <= UINT8_MAX ? (enum report_kind)value : 0;
		break;
	case TAG_STATUS:
		r->status = value < REPORT_STATUS_COUNT ?
			(enum report_status)value : REPORT_FAILED;
		break;
#define R(tag, name, json, text) case tag: r->name = value; break;
	REPORT_NUMBERS(R)
#undef R
	default:
		break;
	}
}

static void get_text(struct report *r, uint8_t tag, char *text)
{
	switch (tag) {
#define R(tag, name, json) case tag: r->name = text; break;
	REPORT_TEXTS(R)
#undef R
	default:
		break;
	}
}

static void get_field(struct report *r, struct buf *b)
{
	uint8_t bytes[REPORT_RECORD_MAX];
	uint8_t tag = buf_get_u8(b);
	uint16_t len = buf_get_u16(b);
	struct buf value;
	char *text = NULL;

	if (len > buf_left(b)) {
		b->error = EBADMSG;
		return;
	}
	buf_get_bytes(b, bytes, len);
	value = buf_reader(bytes, len);
	if (tag < TAG_TEXTS && (len == 1 || len == 8)) {
		get_number(r, tag, len == 1 ? buf_get_u8(&value) :
			   buf_get_u64(&value));
	} else if (tag >= TAG_TEXTS) {
		text = talloc_strndup(r, (const char *)bytes, len);
		b->error = text == NULL ? ENOMEM : b->error;
		get_text(r, tag, text);
	}
}

struct report *report_get(TALLOC_CTX *mem_ctx, uint64_t number,
			  struct buf *b)
{
	struct report *r = talloc_zero(mem_ctx, struct report);

	if (r == NULL) {
		return NULL;
	}
	r->number = number;
#define R(tag, name, json) r->name = "";
	REPORT_TEXTS(R)
#undef R
	if (buf_left(b) > REPORT_RECORD_MAX) {
		b->error = EBADMSG;
	}
	while (buf_left(b) > 0 && b->error == 0) {
		get_field(r, b);
	}
	if (b->error != 0 || r->kind == 0) {
		talloc_free(r);
		return NULL;
	}
	return r;
}

/* --- counting --- */

/* Nobody was there to be scanned. */
static bool scan_of_nothing(const struct verdict *v)
{
	return v->result == VERDICT_FAILED &&
		(v->reason == VERDICT_REASON_GONE ||
		 v->reason == VERDICT_REASON_NOT_REGULAR);
}

bool report_count(struct report *r, const struct report_scan *scan)
{
	const struct verdict *v = scan->verdict;

	r->bytes_fetched += scan->bytes_fetched;
	r->bytes_handed += scan->bytes_handed;
	r->bytes_passed += scan->bytes_passed;
	r->scan_time += scan->duration;
	if (scan_of_nothing(v)) {
		return false;
	}
	r->reviewed++;
	r->tiered_reviewed += scan->tiered;
	if (v->result == VERDICT_FAILED) {
		r->fails++;
		return false;
	}
	if (v->result == VERDICT_SKIPPED) {
		r->skipped++;
		return false;
	}
	if (!scan->from_record) {
		r->files++;
		r->size += v->content.size;
		r->tiered += scan->tiered;
		r->unscannable += v->result == VERDICT_UNSCANNABLE;
	}
	return verdict_denied(v) && !scan->selftest;
}

/* --- times --- */

int report_time_parse(const char *text)
{
	unsigned int h = 0, m = 0, s = 0;
	size_t len = strlen(text);
	int end = 0;

	if ((len != 5 && len != 8) ||
	    text[strspn(text, "0123456789:")] != '\0') {
		return -1;
	}
	if (len == 5 && (sscanf(text, "%2u:%2u%n", &h, &m, &end) != 2 ||
			 end != 5)) {
		return -1;
	}
	if (len == 8 && (sscanf(text, "%2u:%2u:%2u%n", &h, &m, &s, &end) !=
			 3 || end != 8)) {
		return -1;
	}
	return h > 23 || m > 59 || s > 59 ? -1 : (int)(h * 3600 + m * 60 + s);
}

/* report_time of the day that is `days` from that of `now`. */
static time_t day_of(time_t now, int report_time, int days)
{
	struct tm tm = { 0 };

	localtime_r(&now, &tm);
	tm.tm_mday += days;
	tm.tm_hour = report_time / 3600;
	tm.tm_min = report_time / 60 % 60;
	tm.tm_sec = report_time % 60;
	tm.tm_isdst = -1;
	return mktime(&tm);
}

time_t report_day_end(time_t now, int report_time)
{
	time_t today = day_of(now, report_time, 0);

	return today > now ? today : day_of(now, report_time, 1);
}

time_t report_day_start(time_t now, int report_time)
{
	time_t today = day_of(now, report_time, 0);

	return today <= now ? today : day_of(now, report_time, -1);
}
