/*
 * The record of a verdict: its bytes, what is no record, and what it says
 * about the file as it is now.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/verdict.h"

#ifndef SOURCE_DIR		/* the build says it */
#define SOURCE_DIR "."
#endif

#define SECOND 1000000000LL
#define FIXED 29		/* bytes of the example before the fields */

/* The example of docs/protocol.md. */
static const struct verdict example = {
	.result = VERDICT_INFECTED,
	.content = { .size = 68, .mtime = 1 * SECOND },
	.stamp = 4020000000,
	.scan_time = 4 * SECOND,
	.signature_time = 1700000000,
	.engine = "ClamAV",
	.threat = "Eicar",
};

static void assert_same(const struct verdict *a, const struct verdict *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->reason, b->reason);
	assert_true(a->content.size == b->content.size);
	assert_true(a->content.mtime == b->content.mtime);
	assert_true(a->content.ctime == b->content.ctime);
	assert_true(a->stamp == b->stamp);
	assert_true(a->scan_time == b->scan_time);
	assert_true(a->signature_time == b->signature_time);
	assert_true(a->changed == b->changed);
	assert_string_equal(a->engine, b->engine);
	assert_string_equal(a->threat, b->threat);
	assert_string_equal(a->server, b->server);
}

/* The hex block below the mark in docs/protocol.md. */
static size_t example_bytes(uint8_t *rec, size_t size)
{
	FILE *f = fopen(SOURCE_DIR "/docs/protocol.md", "r");
	char line[256] = "";
	unsigned int byte = 0;
	size_t len = 0;

	assert_non_null(f);
	while (strcmp(line, "<!-- verdict example: checked by tests -->\n")) {
		assert_non_null(fgets(line, sizeof(line), f));
	}
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "```\n");
	while (fscanf(f, " %2x", &byte) == 1) {
		assert_true(len < size);
		rec[len++] = (uint8_t)byte;
	}
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "```\n");
	fclose(f);
	return len;
}

static void test_example(void **p)
{
	uint8_t written[VERDICT_RECORD_MAX];
	uint8_t rec[VERDICT_RECORD_MAX];
	struct verdict v;
	size_t len = example_bytes(written, sizeof(written));

	(void)p;
	assert_int_equal(verdict_encode(&example, rec, sizeof(rec)), len);
	assert_memory_equal(rec, written, len);
	assert_int_equal(verdict_decode(written, len, &v), 0);
	assert_same(&v, &example);
}

static const struct verdict layout = {
	.result = VERDICT_UNSCANNABLE,
	.reason = VERDICT_REASON_ENCRYPTED,
	.content = { .size = 0x1112131415161718, .mtime = 0x2122232425262728 },
	.stamp = 0x3132333435363738,
	.scan_time = 0x4142434445464748,
	.signature_time = 0x5152535455565758,
	.changed = 0x6162636465666768,
	.engine = "en", .threat = "th", .server = "se",
};

/* The first format: each offset of it, by a value that is nowhere else. */
static void test_format_1(void **p)
{
	static const uint8_t rec[] = {
		'C', 'A', 'V', 'A', 1, 4, 0x0f, 0x00,
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
		0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
		0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
		0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41,
		0x58, 0x57, 0x56, 0x55, 0x54, 0x53, 0x52, 0x51,
		1, 2, 'e', 'n', 2, 2, 't', 'h', 3, 2, 's', 'e',
		4, 8, 0x68, 0x67, 0x66, 0x65, 0x64, 0x63, 0x62, 0x61,
	};
	uint8_t bad[sizeof(rec)];
	struct verdict v;
	size_t i;

	(void)p;
	assert_int_equal(verdict_decode(rec, sizeof(rec), &v), 0);
	assert_same(&v, &layout);
	for (i = 0; i < 5; i++) {
		memcpy(bad, rec, sizeof(rec));
		bad[i] ^= 0x20;
		assert_int_equal(verdict_decode(bad, sizeof(bad), &v),
				 EBADMSG);
	}
	for (i = 0; i < 48; i++) {
		assert_int_equal(verdict_decode(rec, i, &v), EBADMSG);
	}
}

/* What is far apart, and what ran backwards. */
static void test_layout(void **p)
{
	static const uint8_t expect[] = {
		2, 4, 15,
		0x98, 0xae, 0xd8, 0xa8, 0xc1, 0xe2, 0x84, 0x89, 0x11,
		0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
		0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
		0x27, 200, 1,
		1, 2, 'e', 'n', 4, 2, 0x81, 1,
	};
	struct verdict v = layout;
	struct verdict back;
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t len;

	(void)p;
	v.scan_time = v.stamp - 20;
	v.signature_time = 100;
	v.changed = v.content.mtime - 65;
	v.threat[0] = v.server[0] = '\0';
	len = verdict_encode(&v, rec, sizeof(rec));
	assert_int_equal(len, sizeof(expect));
	assert_memory_equal(rec, expect, sizeof(expect));
	assert_int_equal(verdict_decode(rec, len, &back), 0);
	assert_same(&back, &v);
	len = verdict_encode(&layout, rec, sizeof(rec));
	assert_int_equal(verdict_decode(rec, len, &back), 0);
	assert_same(&back, &layout);
}

/* What ext4 has room for in an inode of 256 bytes. */
static void test_short(void **p)
{
	const struct verdict v = {
		.result = VERDICT_CLEAN,
		.content = { .size = 1 << 30,
			     .mtime = 1700000000 * SECOND },
		.stamp = 1800000000 * SECOND,
		.scan_time = 1800000000 * SECOND - SECOND / 10,
		.signature_time = 1799999999,
		.changed = 1700000000 * SECOND + 5000000,
		.engine = "ClamAV 1.4.3", .server = "clamd-1",
	};
	uint8_t rec[VERDICT_RECORD_MAX];

	(void)p;
	assert_true(verdict_encode(&v, rec, sizeof(rec)) <= 68);
}

static void test_extremes(void **p)
{
	static const int64_t times[] = { INT64_MIN, -1, 0, 1, INT64_MAX };
	static const enum verdict_result results[] = {
		VERDICT_CLEAN, VERDICT_INFECTED, VERDICT_UNSCANNABLE };
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t i, r, len;

	(void)p;
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		for (r = 0; r < 3; r++) {
			struct verdict v = {
				.result = results[r],
				.reason = VERDICT_REASON_SYNC,
				.content = { .size = UINT64_MAX,
					     .mtime = times[i] },
				.stamp = times[i], .scan_time = times[i],
				.signature_time = times[i],
				.changed = times[4 - i] };
			struct verdict back;

			len = verdict_encode(&v, rec, sizeof(rec));
			assert_int_equal(verdict_decode(rec, len, &back), 0);
			assert_same(&back, &v);
		}
	}
}

/* The longest texts there are still make a record that parses. */
static void test_long_texts(void **p)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	struct verdict v = example;
	struct verdict back;
	size_t len;

	(void)p;
	memset(v.engine, 'e', VERDICT_TEXT_MAX - 1);
	memset(v.threat, 't', VERDICT_TEXT_MAX - 1);
	memset(v.server, 's', VERDICT_TEXT_MAX - 1);
	len = verdict_encode(&v, rec, sizeof(rec));
	assert_int_equal(len, FIXED + 3 * (2 + VERDICT_TEXT_MAX - 1));
	assert_int_equal(verdict_decode(rec, len, &back), 0);
	assert_same(&back, &v);

	/* not even a text without its NUL is read past its end */
	memset(v.server, 's', VERDICT_TEXT_MAX);
	assert_int_equal(verdict_encode(&v, rec, sizeof(rec)), len);
	assert_int_equal(verdict_decode(rec, len, &back), 0);
	assert_int_equal(strlen(back.server), VERDICT_TEXT_MAX - 1);
}

static void test_control_characters(void **p)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	struct verdict v = example;
	struct verdict back;
	size_t len;

	(void)p;
	strcpy(v.threat, "a\x01" "b\n\x1b[31m\x7f gr\xc3\xbcn");
	len = verdict_encode(&v, rec, sizeof(rec));
	assert_int_equal(verdict_decode(rec, len, &back), 0);
	assert_string_equal(back.threat, "a?b??[31m? gr\xc3\xbcn");
}

static void test_no_room(void **p)
{
	uint8_t whole[VERDICT_RECORD_MAX];
	size_t len = verdict_encode(&example, whole, sizeof(whole));
	size_t size;

	(void)p;
	for (size = 0; size <= len; size++) {
		uint8_t *rec = malloc(size + 1);

		assert_non_null(rec);
		rec[size] = 0xa5;
		assert_int_equal(verdict_encode(&example, rec, size),
				 size == len ? len : 0);
		assert_int_equal(rec[size], 0xa5);
		free(rec);
	}
}

static void assert_no_record(const uint8_t *rec, size_t len)
{
	uint8_t *exact = malloc(len + 1);
	struct verdict v;

	assert_non_null(exact);
	memcpy(exact, rec, len);
	assert_int_equal(verdict_decode(exact, len, &v), EBADMSG);
	free(exact);
}

/* Cut anywhere: a record only where a field happens to end. */
static void test_truncated(void **p)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t len = verdict_encode(&example, rec, sizeof(rec));
	struct verdict v;
	size_t n;

	(void)p;
	assert_int_equal(len, FIXED + 8 + 7);
	for (n = 0; n < len; n++) {
		if (n != FIXED && n != FIXED + 8) {
			assert_no_record(rec, n);
		}
	}
	assert_int_equal(verdict_decode(rec, FIXED, &v), 0);
	assert_string_equal(v.engine, "");
	assert_int_equal(verdict_decode(rec, FIXED + 8, &v), 0);
	assert_string_equal(v.engine, "ClamAV");
	assert_string_equal(v.threat, "");
}

static void test_not_a_record(void **p)
{
	uint8_t good[VERDICT_RECORD_MAX];
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t len = verdict_encode(&example, good, sizeof(good));
	unsigned int byte;

	(void)p;
	for (byte = 0; byte < 256; byte++) {	/* the format's number */
		if (byte != good[0]) {
			memcpy(rec, good, len);
			rec[0] = (uint8_t)byte;
			assert_no_record(rec, len);
		}
	}
	for (byte = 0; byte < 256; byte++) {
		struct verdict v;
		bool recorded = byte == VERDICT_CLEAN ||
			byte == VERDICT_INFECTED ||
			byte == VERDICT_SKIPPED ||
			byte == VERDICT_UNSCANNABLE;

		memcpy(rec, good, len);
		rec[1] = (uint8_t)byte;
		assert_int_equal(verdict_decode(rec, len, &v),
				 recorded ? 0 : EBADMSG);
	}
	/* lengths of fields that point behind the end */
	memcpy(rec, good, len);
	rec[FIXED + 1] = 0xff;
	assert_no_record(rec, len);
	memcpy(rec, good, len);
	rec[FIXED + 9]++;
	assert_no_record(rec, len);
	/* trailing bytes are the start of a field */
	memcpy(rec, good, len);
	rec[len] = 0;
	assert_no_record(rec, len + 1);
	assert_no_record((const uint8_t *)"", 0);
}

static void test_too_long(void **p)
{
	uint8_t rec[VERDICT_RECORD_MAX + 2];
	struct verdict v;
	size_t len = FIXED;

	(void)p;
	assert_int_equal(verdict_encode(&example, rec, sizeof(rec)),
			 FIXED + 8 + 7);
	memset(rec + FIXED, 0, sizeof(rec) - FIXED);	/* empty fields */
	for (len = FIXED; len <= VERDICT_RECORD_MAX; len += 2) {
		assert_int_equal(verdict_decode(rec, len, &v), 0);
	}
	assert_int_equal(len, VERDICT_RECORD_MAX + 1);
	assert_int_equal(verdict_decode(rec, len, &v), EBADMSG);
}

static void test_fields(void **p)
{
	static const uint8_t fields[] = {
		0, 0, 5, 3, 'n', 'e', 'w', 255, 1, 'x',	/* unknown */
		3, 1, 's', 1, 3, 'o', 'n', 'e', 1, 3, 't', 'w', 'o',
		2, 5, 'a', 0, 'b', 0, 'c',
	};
	uint8_t rec[FIXED + sizeof(fields)];
	struct verdict v;
	struct verdict plain = example;

	(void)p;
	plain.engine[0] = '\0';
	plain.threat[0] = '\0';
	assert_int_equal(verdict_encode(&plain, rec, sizeof(rec)), FIXED);
	memcpy(rec + FIXED, fields, sizeof(fields));
	assert_int_equal(verdict_decode(rec, sizeof(rec), &v), 0);
	assert_string_equal(v.server, "s");
	assert_string_equal(v.engine, "two");	/* the last one holds */
	assert_string_equal(v.threat, "a");	/* a string of C */
	assert_int_equal(v.result, VERDICT_INFECTED);
}

/* ---- the state ---- */

#define T (100 * SECOND)

static struct verdict record(enum verdict_result result)
{
	return (struct verdict) {
		.result = result,
		.content = { .size = 68, .mtime = 7 * SECOND },
		.stamp = T, .signature_time = 1000 };
}

static const struct content unchanged = {
	.size = 68, .mtime = 7 * SECOND, .ctime = T - 1000 };

static const struct {
	enum verdict_result result;
	enum verdict_state current, changed, old;
} states[] = {
	{ VERDICT_NONE, VERDICT_STATE_NONE, VERDICT_STATE_NONE,
	  VERDICT_STATE_NONE },
	{ VERDICT_CLEAN, VERDICT_STATE_CLEAN, VERDICT_STATE_STALE,
	  VERDICT_STATE_STALE },
	{ VERDICT_INFECTED, VERDICT_STATE_INFECTED,
	  VERDICT_STATE_WAS_INFECTED, VERDICT_STATE_INFECTED },
	{ VERDICT_UNSCANNABLE, VERDICT_STATE_UNSCANNABLE,
	  VERDICT_STATE_STALE, VERDICT_STATE_STALE },
	/* a mark, whatever the file has become since */
	{ VERDICT_SKIPPED, VERDICT_STATE_MARKED, VERDICT_STATE_MARKED,
	  VERDICT_STATE_MARKED },
	/* never in a record; and if: no reason to let anybody read */
	{ VERDICT_FAILED, VERDICT_STATE_STALE, VERDICT_STATE_STALE,
	  VERDICT_STATE_STALE },
	{ (enum verdict_result)77, VERDICT_STATE_STALE,
	  VERDICT_STATE_STALE, VERDICT_STATE_STALE },
};

static void test_state(void **p)
{
	size_t i;

	(void)p;
	assert_int_equal(verdict_state(NULL, &unchanged, 0),
			 VERDICT_STATE_NONE);
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct verdict v = record(states[i].result);
		struct content now = unchanged;

		assert_int_equal(verdict_state(&v, &now, 0),
				 states[i].current);
		now.size++;
		assert_int_equal(verdict_state(&v, &now, 0),
				 states[i].changed);
		now = unchanged;
		now.mtime++;
		assert_int_equal(verdict_state(&v, &now, 0),
				 states[i].changed);
		now = unchanged;
		now.mtime--;
		assert_int_equal(verdict_state(&v, &now, 0),
				 states[i].changed);
		now = unchanged;
		now.ctime = T + 1;
		assert_int_equal(verdict_state(&v, &now, 0),
				 states[i].changed);
		assert_int_equal(verdict_state(&v, &unchanged, 1001),
				 states[i].old);
	}
}

/* [T - 1 s, T], both ends in it, and nowhere does a number wrap round. */
static void test_window(void **p)
{
	static const struct {
		int64_t stamp, ctime;
		bool current;
	} rows[] = {
		{ T, T, true }, { T, T + 1, false },
		{ T, T - SECOND, true }, { T, T - SECOND - 1, false },
		{ T, 0, false }, { T, -T, false },
		{ T, INT64_MAX, false }, { T, INT64_MIN, false },
		{ 0, 0, true }, { 0, -SECOND, true }, { 0, 1, false },
		{ -T, -T, true }, { -T, -T + 1, false },
		{ INT64_MAX, INT64_MAX, true },
		{ INT64_MAX, INT64_MAX - SECOND, true },
		{ INT64_MAX, INT64_MAX - SECOND - 1, false },
		{ INT64_MAX, INT64_MIN, false },
		{ INT64_MIN, INT64_MIN, false },
		{ INT64_MIN, INT64_MAX, false },
		{ INT64_MIN, INT64_MAX - SECOND + 1, false },
		{ INT64_MIN + SECOND - 1, INT64_MIN, false },
		{ INT64_MIN + SECOND, INT64_MIN, true },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = record(VERDICT_CLEAN);
		struct content now = unchanged;

		v.stamp = rows[i].stamp;
		now.ctime = rows[i].ctime;
		assert_int_equal(verdict_state(&v, &now, 0),
				 rows[i].current ? VERDICT_STATE_CLEAN :
				 VERDICT_STATE_STALE);
		v.result = VERDICT_INFECTED;
		assert_int_equal(verdict_state(&v, &now, 0),
				 rows[i].current ? VERDICT_STATE_INFECTED :
				 VERDICT_STATE_WAS_INFECTED);
	}
}

static void test_signatures(void **p)
{
	static const struct {
		int64_t time, minimum;
		bool fresh;
	} rows[] = {
		{ 1000, 0, true }, { 1000, 999, true },
		{ 1000, 1000, true }, { 1000, 1001, false },
		{ 1000, INT64_MAX, false },
		{ 0, 1001, true },	/* not known, scanned in 1001 */
		{ 0, 1002, false },
		{ -5, 0, true },	/* any age will do */
		{ INT64_MIN, 0, true }, { -5, 1, false },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = record(VERDICT_CLEAN);

		v.signature_time = rows[i].time;
		v.scan_time = INT64_C(1001999999999);
		assert_int_equal(verdict_state(&v, &unchanged,
					       rows[i].minimum),
				 rows[i].fresh ? VERDICT_STATE_CLEAN :
				 VERDICT_STATE_STALE);
		/* what was found stays found */
		v.result = VERDICT_INFECTED;
		assert_int_equal(verdict_state(&v, &unchanged,
					       rows[i].minimum),
				 VERDICT_STATE_INFECTED);
	}
}

static void test_texts(void **p)
{
	static const char *const results[] = { "none", "clean", "infected",
		"skipped", "unscannable", "failed" };
	unsigned int i, j;

	(void)p;
	for (i = 0; i < 6; i++) {
		assert_string_equal(verdict_result_text(i), results[i]);
	}
	assert_string_equal(verdict_result_text(6), "unknown");
	assert_string_equal(verdict_result_text((unsigned int)-1), "unknown");

	assert_string_equal(verdict_reason_text(VERDICT_REASON_NONE), "");
	assert_string_equal(verdict_reason_text(VERDICT_REASON_TIMEOUT),
			    "the scan took too long");
	assert_string_equal(verdict_reason_text(VERDICT_REASON_COUNT),
			    "unknown reason");
	assert_string_equal(verdict_reason_text((unsigned int)-1),
			    "unknown reason");
	for (i = 0; i < VERDICT_REASON_COUNT; i++) {	/* no gap, no twin */
		const char *text = verdict_reason_text(i);

		assert_non_null(text);
		for (j = 0; j < i; j++) {
			assert_string_not_equal(text, verdict_reason_text(j));
		}
	}
}

/* ---- on a file ---- */

struct scratch {
	char dir[64], file[96];
	int fd;
};

static int setup(void **p)
{
	struct scratch *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->dir, "/tmp/verdict.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->file, sizeof(s->file), "%s/file", s->dir);
	s->fd = open(s->file, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_not_equal(s->fd, -1);
	*p = s;
	return 0;
}

static int teardown(void **p)
{
	struct scratch *s = *p;

	close(s->fd);
	unlink(s->file);
	rmdir(s->dir);
	free(s);
	return 0;
}

static void put_record(const struct scratch *s, const void *rec, size_t len)
{
	int ret = fsetxattr(s->fd, VERDICT_XATTR, rec, len, 0);

	if (ret == -1 && errno == EPERM) {
		skip();		/* root's alone */
	}
	assert_int_equal(ret, 0);
}

static void test_read(void **p)
{
	struct scratch *s = *p;
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t len = verdict_encode(&example, rec, sizeof(rec));
	int flags[] = { O_RDONLY, O_WRONLY, O_PATH };
	struct verdict v;
	size_t i;

	put_record(s, rec, len);
	for (i = 0; i < 3; i++) {
		int fd = open(s->file, flags[i]);

		assert_int_not_equal(fd, -1);
		assert_int_equal(verdict_read(fd, &v), 0);
		assert_same(&v, &example);
		assert_int_equal(fremovexattr(s->fd, VERDICT_XATTR), 0);
		assert_int_equal(verdict_read(fd, &v), ENODATA);
		put_record(s, rec, len);
		close(fd);
	}
}

/* Writing the record is what moves ctime: then it holds, until a change. */
static void test_read_and_judge(void **p)
{
	struct scratch *s = *p;
	uint8_t rec[VERDICT_RECORD_MAX];
	struct verdict v = example;
	struct content now;
	size_t len;

	v.result = VERDICT_CLEAN;
	assert_int_equal(write(s->fd, "text", 4), 4);
	assert_int_equal(content_of_fd(s->fd, &v.content), 0);
	v.stamp = v.content.ctime + SECOND / 2;
	len = verdict_encode(&v, rec, sizeof(rec));
	put_record(s, rec, len);
	assert_int_equal(content_of_fd(s->fd, &now), 0);
	assert_int_equal(verdict_read(s->fd, &v), 0);
	assert_int_equal(verdict_state(&v, &now, 0), VERDICT_STATE_CLEAN);
	assert_int_equal(write(s->fd, "more", 4), 4);
	assert_int_equal(content_of_fd(s->fd, &now), 0);
	assert_int_equal(verdict_state(&v, &now, 0), VERDICT_STATE_STALE);
}

static void test_read_bad(void **p)
{
	struct scratch *s = *p;
	uint8_t rec[2 * VERDICT_RECORD_MAX] = "";
	struct verdict v;
	int fd = open(s->file, O_PATH);

	assert_int_not_equal(fd, -1);
	assert_int_equal(verdict_encode(&example, rec, sizeof(rec)),
			 FIXED + 8 + 7);
	memset(rec + FIXED, 0, sizeof(rec) - FIXED);
	rec[FIXED] = 5;		/* a field of one byte makes the number even */
	rec[FIXED + 1] = 1;
	put_record(s, rec, VERDICT_RECORD_MAX);		/* just fits */
	assert_int_equal(verdict_read(s->fd, &v), 0);
	put_record(s, rec, VERDICT_RECORD_MAX + 1);
	assert_int_equal(verdict_read(s->fd, &v), EBADMSG);
	assert_int_equal(verdict_read(fd, &v), EBADMSG);
	put_record(s, rec, 2 * VERDICT_RECORD_MAX);
	assert_int_equal(verdict_read(s->fd, &v), EBADMSG);
	put_record(s, rec, FIXED - 1);
	assert_int_equal(verdict_read(s->fd, &v), EBADMSG);
	assert_int_equal(verdict_read(fd, &v), EBADMSG);
	put_record(s, rec, 0);
	assert_int_equal(verdict_read(s->fd, &v), EBADMSG);
	assert_int_equal(verdict_read(fd, &v), EBADMSG);
	close(fd);
}

static void test_read_no_file(void **p)
{
	struct verdict v;
	int fd = open("/dev/null", O_PATH);
	int ret;

	(void)p;
	assert_int_not_equal(fd, -1);
	close(fd);
	ret = verdict_read(fd, &v);
	assert_int_not_equal(ret, 0);
	assert_int_not_equal(ret, ENODATA);
	ret = verdict_read(-1, &v);
	assert_int_not_equal(ret, 0);
	assert_int_not_equal(ret, ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_format_1),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_not_a_record),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_texts),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_and_judge, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_read_bad, setup,
						teardown),
		cmocka_unit_test(test_read_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
