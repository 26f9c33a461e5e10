/*
 * Bytes with a sticky error: the layout, each bound, and that the first
 * error is the one that stays.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

#define GUARD 0xa5

static void test_layout(void **p)
{
	static const uint8_t expect[] = {
		0x12, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12,
		0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0xf1,
		'x', 'y', 3, 0, 'a', 'b', 'c', 0, 0, 0, 0,
	};
	uint8_t data[sizeof(expect) + 1];
	uint8_t two[2] = { 0, 0 };
	struct buf b = buf_writer(data, sizeof(expect));

	(void)p;
	memset(data, GUARD, sizeof(data));
	buf_put_u8(&b, 0x12);
	buf_put_u16(&b, 0x1234);
	buf_put_u32(&b, 0x12345678);
	buf_put_u64(&b, 0xf123456789abcdefULL);
	buf_put_bytes(&b, "xy", 2);
	buf_put_str(&b, "abc");
	assert_int_equal(buf_left(&b), 3);
	buf_put_str(&b, NULL);	/* the same as "" */
	assert_int_equal(b.error, 0);
	assert_int_equal(b.pos, sizeof(expect));
	assert_int_equal(buf_left(&b), 0);
	assert_memory_equal(data, expect, sizeof(expect));
	assert_int_equal(data[sizeof(expect)], GUARD);

	b = buf_reader(expect, sizeof(expect));
	assert_int_equal(buf_left(&b), sizeof(expect));
	assert_int_equal(buf_get_u8(&b), 0x12);
	assert_int_equal(buf_get_u16(&b), 0x1234);
	assert_int_equal(buf_get_u32(&b), 0x12345678);
	assert_true(buf_get_u64(&b) == 0xf123456789abcdefULL);
	buf_get_bytes(&b, two, 2);
	assert_memory_equal(two, "xy", 2);
	assert_string_equal(buf_get_str(&b), "abc");
	assert_int_equal(buf_left(&b), 3);
	assert_int_equal(buf_finish(&b), EBADMSG);	/* not at the end */
	assert_int_equal(b.error, 0);		/* which is asked, not set */
	assert_string_equal(buf_get_str(&b), "");
	assert_int_equal(buf_finish(&b), 0);
}

static void test_extremes(void **p)
{
	static const uint64_t values[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x8000, 0xffff, 0x80000000,
		0xffffffff, 0x8000000000000000, 0xffffffffffffffff,
	};
	uint8_t data[15];
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t v = values[i];
		struct buf b = buf_writer(data, sizeof(data));

		buf_put_u8(&b, (uint8_t)v);
		buf_put_u16(&b, (uint16_t)v);
		buf_put_u32(&b, (uint32_t)v);
		buf_put_u64(&b, v);
		assert_int_equal(b.error, 0);
		b = buf_reader(data, sizeof(data));
		assert_int_equal(buf_get_u8(&b), (uint8_t)v);
		assert_int_equal(buf_get_u16(&b), (uint16_t)v);
		assert_int_equal(buf_get_u32(&b), (uint32_t)v);
		assert_true(buf_get_u64(&b) == v);
		assert_int_equal(buf_finish(&b), 0);
	}
}

static void put_u8(struct buf *b) { buf_put_u8(b, 0x11); }
static void put_u16(struct buf *b) { buf_put_u16(b, 0x1111); }
static void put_u32(struct buf *b) { buf_put_u32(b, 0x11111111); }
static void put_u64(struct buf *b) { buf_put_u64(b, 0x1111111111111111); }
static void put_bytes(struct buf *b) { buf_put_bytes(b, "12345", 5); }
static void put_str(struct buf *b) { buf_put_str(b, "123"); }

static void get_u8(struct buf *b) { assert_int_equal(buf_get_u8(b), 0); }
static void get_u16(struct buf *b) { assert_int_equal(buf_get_u16(b), 0); }
static void get_u32(struct buf *b) { assert_int_equal(buf_get_u32(b), 0); }
static void get_u64(struct buf *b) { assert_int_equal(buf_get_u64(b), 0); }
static void get_str(struct buf *b) { assert_string_equal(buf_get_str(b), ""); }

static void get_bytes(struct buf *b)
{
	uint8_t bytes[6] = "fffff";

	buf_get_bytes(b, bytes, 5);
	assert_memory_equal(bytes, "\0\0\0\0\0", 6);
}

static const struct {
	size_t len;
	void (*put)(struct buf *b);
	void (*get)(struct buf *b);
} rows[] = {
	{ 1, put_u8, get_u8 }, { 2, put_u16, get_u16 },
	{ 4, put_u32, get_u32 }, { 8, put_u64, get_u64 },
	{ 5, put_bytes, get_bytes }, { 6, put_str, get_str },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Exactly as much room as it takes, and each length below. */
static void test_full(void **p)
{
	size_t i, room, j;

	(void)p;
	for (i = 0; i < ROWS; i++) {
		for (room = 0; room <= rows[i].len; room++) {
			/* of that size: a sanitizer sees what is behind */
			uint8_t *data = malloc(room + 1);
			struct buf b = buf_writer(data, room);
			size_t pos;

			assert_non_null(data);
			data[room] = GUARD;
			rows[i].put(&b);
			assert_int_equal(data[room], GUARD);
			if (room == rows[i].len) {
				assert_int_equal(b.error, 0);
				assert_int_equal(b.pos, room);
			} else {
				assert_int_equal(b.error, EMSGSIZE);
				assert_int_equal(buf_finish(&b), EMSGSIZE);
				assert_int_equal(buf_left(&b), 0);
			}
			b.error = EMSGSIZE;
			pos = b.pos;
			memset(data, GUARD, room + 1);
			for (j = 0; j < ROWS; j++) {
				rows[j].put(&b);
			}
			assert_int_equal(b.pos, pos);
			for (j = 0; j <= room; j++) {
				assert_int_equal(data[j], GUARD);
			}
			free(data);
		}
	}
}

/* Too short by any number of bytes: 0 or "", and so is all that follows. */
static void test_short(void **p)
{
	size_t i, have, j;

	(void)p;
	for (i = 0; i < ROWS; i++) {
		for (have = 0; have < rows[i].len; have++) {
			uint8_t whole[8];
			uint8_t *data = malloc(have + 1);
			struct buf b = buf_writer(whole, rows[i].len);

			assert_non_null(data);
			rows[i].put(&b);
			assert_int_equal(b.error, 0);
			memcpy(data, whole, have);
			b = buf_reader(data, have);
			rows[i].get(&b);
			assert_int_equal(b.error, EBADMSG);
			assert_int_equal(buf_left(&b), 0);
			assert_int_equal(buf_finish(&b), EBADMSG);
			for (j = 0; j < ROWS; j++) {
				rows[j].get(&b);
			}
			assert_int_equal(buf_finish(&b), EBADMSG);
			free(data);
		}
	}
}

/* After an error the bytes that are there are not given out either. */
static void test_sticky(void **p)
{
	static const uint8_t data[] = "\x01\x01\x01\x01\x01\x01\x01\x01";
	struct buf b;
	size_t i;

	(void)p;
	for (i = 0; i < ROWS; i++) {
		b = buf_reader(data, 8);
		b.error = EPROTO;
		rows[i].get(&b);
		assert_int_equal(b.pos, 0);
		assert_int_equal(b.error, EPROTO);
		assert_int_equal(buf_finish(&b), EPROTO);
	}
}

/* Lengths that would wrap round are as wrong as any other. */
static void test_huge(void **p)
{
	uint8_t data[4] = { 1, 2, 3, 4 };
	struct buf b = buf_writer(data, sizeof(data));

	(void)p;
	buf_put_u8(&b, 9);
	buf_put_bytes(&b, data, SIZE_MAX);
	assert_int_equal(b.error, EMSGSIZE);
	assert_int_equal(b.pos, 1);
	b = buf_writer(data, sizeof(data));
	buf_put_u8(&b, 9);
	buf_put_bytes(&b, data, SIZE_MAX - 1);
	assert_int_equal(b.error, EMSGSIZE);
	assert_int_equal(data[1], 2);
}

static void test_no_data(void **p)
{
	struct buf b = buf_writer(NULL, 0);
	uint8_t none[1] = { 7 };

	(void)p;
	buf_put_bytes(&b, NULL, 0);
	assert_int_equal(b.error, 0);
	buf_put_u8(&b, 1);
	assert_int_equal(b.error, EMSGSIZE);
	b = buf_reader(NULL, 0);
	assert_int_equal(buf_finish(&b), 0);
	buf_get_bytes(&b, none, 0);
	assert_int_equal(none[0], 7);
	assert_int_equal(buf_finish(&b), 0);
	assert_int_equal(buf_get_u8(&b), 0);
	assert_int_equal(buf_finish(&b), EBADMSG);
}

static void test_string_in_place(void **p)
{
	static const uint8_t data[] = { 2, 0, 'h', 'i', 0, 'x' };
	struct buf b = buf_reader(data, sizeof(data));
	const char *s;

	(void)p;
	s = buf_get_str(&b);
	assert_ptr_equal(s, data + 2);
	assert_int_equal(buf_left(&b), 1);
	assert_int_equal(buf_get_u8(&b), 'x');
}

static void test_bad_strings(void **p)
{
	static const struct {
		size_t len;
		uint8_t data[8];
	} bad[] = {
		{ 5, { 2, 0, 'h', 'i', 'x' } },		/* no NUL */
		{ 5, { 2, 0, 'h', 0, 0 } },		/* a NUL inside */
		{ 5, { 2, 0, 0, 'i', 0 } },
		{ 3, { 0, 0, 'x' } },
		{ 4, { 2, 0, 'h', 'i' } },		/* the NUL is missing */
		{ 2, { 0, 0 } },
		{ 5, { 0xff, 0xff, 'h', 'i', 0 } },
		{ 1, { 0 } },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *data = malloc(bad[i].len);
		struct buf b = buf_reader(data, bad[i].len);

		assert_non_null(data);
		memcpy(data, bad[i].data, bad[i].len);
		assert_string_equal(buf_get_str(&b), "");
		assert_int_equal(b.error, EBADMSG);
		assert_int_equal(buf_finish(&b), EBADMSG);
		free(data);
	}
}

/* The length is a u16: 65535 bytes fit, one more never does. */
static void test_long_strings(void **p)
{
	size_t size = 2 * 65536;
	char *s = malloc(65537);
	uint8_t *data = malloc(size);
	struct buf b = buf_writer(data, size);

	(void)p;
	assert_non_null(s);
	assert_non_null(data);
	memset(s, 'a', 65536);
	s[65536] = '\0';
	buf_put_str(&b, s);
	assert_int_equal(b.error, EMSGSIZE);
	assert_int_equal(b.pos, 0);

	s[65535] = '\0';
	b = buf_writer(data, size);
	buf_put_str(&b, s);
	assert_int_equal(b.error, 0);
	assert_int_equal(b.pos, 65535 + 3);
	b = buf_reader(data, b.pos);
	assert_string_equal(buf_get_str(&b), s);
	assert_int_equal(buf_finish(&b), 0);
	free(data);
	free(s);
}

static void test_varints(void **p)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384,
		UINT64_MAX - 1, UINT64_MAX };
	static const uint8_t over[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0x02 };
	uint8_t data[10];
	struct buf b;
	size_t i, len;

	(void)p;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		b = buf_writer(data, sizeof(data));
		buf_put_varint(&b, values[i]);
		len = b.pos;
		b = buf_reader(data, len);
		assert_true(buf_get_varint(&b) == values[i]);
		assert_int_equal(buf_finish(&b), 0);
		b = buf_reader(data, len - 1);
		buf_get_varint(&b);
		assert_int_equal(b.error, EBADMSG);
	}
	assert_int_equal(len, 10);
	b = buf_reader(over, sizeof(over));
	buf_get_varint(&b);
	assert_int_equal(b.error, EBADMSG);
	b = buf_writer(data, 1);
	buf_put_varint(&b, 128);
	assert_int_equal(b.error, EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_no_data),
		cmocka_unit_test(test_string_in_place),
		cmocka_unit_test(test_bad_strings),
		cmocka_unit_test(test_long_strings),
		cmocka_unit_test(test_varints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
