/*
 * Messages between smbd and cavad: each row of proto.def there and back,
 * and what is no message. How a filter is encoded is not looked at here.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"

#ifndef SOURCE_DIR		/* the build says it */
#define SOURCE_DIR "."
#endif

#define HEADER 8

static const unsigned int numbers[] = {
#define PROTO(number, NAME, name, text) number,
#include "common/proto.def"
#undef PROTO
};
#define MESSAGES (sizeof(numbers) / sizeof(numbers[0]))

static unsigned int number_unused(void)
{
	unsigned int number = 0;
	size_t i;

	for (i = 0; i < MESSAGES; i++) {
		number = numbers[i] > number ? numbers[i] : number;
	}
	return number + 1;
}

/* ---- any message, filled: no two fields have one value ---- */

static unsigned int filled;

static void fill_u8(uint8_t *v)
{
	*v = (uint8_t)(0x80 + ++filled);
}

static void fill_u32(uint32_t *v)
{
	*v = 0xf1020300 + ++filled;
}

static void fill_u64(uint64_t *v)
{
	*v = 0xf102030405060700 + ++filled;
}

static void fill_str(const char **v)
{
	static const char *const texts[] = { "alpha", "", "gr\xc3\xbcn",
		"d\n", "\xff", "foxtrot", "golf", "hotel", "india" };

	*v = texts[++filled % 9];
}

static void fill_ident(struct ident *v)
{
	*v = (struct ident) {
		.fsid = 0xf000000000000000 + ++filled, .ino = ++filled,
		.btime = -1, .stream = "stream", .handle_type = 0x81,
		.handle_len = 5, .handle = { 1, 2, 3, 4, 5 } };
}

static void fill_content(struct content *v)
{
	*v = (struct content) { .size = UINT64_MAX, .mtime = ++filled,
				.ctime = INT64_MIN };
}

static void fill_filter(struct filter *v)
{
	*v = FILTER_DEFAULT;
	v->profile = FILTER_STRICT;
	v->scan_timeout = 1000 + ++filled;
	v->size_maximum = 5000000000;
}

static struct proto_message fill(unsigned int number)
{
	struct proto_message m;

	memset(&m, 0, sizeof(m));
	m.number = number;
	filled = 0;
	switch (number) {
#define FILL(type, name) fill_##type(&u->name);
#define PROTO(number, NAME, name, text) \
	case number: { \
		struct proto_##name *u = &m.u.name; \
		PROTO_FIELDS_##name(FILL) \
		break; \
	}
#include "common/proto.def"
#undef PROTO
	}
	assert_true(filled > 0);
	return m;
}

/* ---- compare, field by field ---- */

static bool same_u8(const uint8_t *a, const uint8_t *b)
{
	return *a == *b;
}

static bool same_u32(const uint32_t *a, const uint32_t *b)
{
	return *a == *b;
}

static bool same_u64(const uint64_t *a, const uint64_t *b)
{
	return *a == *b;
}

static bool same_str(const char *const *a, const char *const *b)
{
	return strcmp(*a, *b) == 0;
}

static bool same_ident(const struct ident *a, const struct ident *b)
{
	return ident_equal(a, b) && a->handle_type == b->handle_type &&
		a->handle_len == b->handle_len &&
		memcmp(a->handle, b->handle, a->handle_len) == 0;
}

#define same_content content_equal

static bool same_filter(const struct filter *a, const struct filter *b)
{
	return a->enabled == b->enabled && a->profile == b->profile &&
		a->scan_timeout == b->scan_timeout &&
		a->size_maximum == b->size_maximum;
}

static void assert_same(const struct proto_message *a,
			const struct proto_message *b)
{
	assert_int_equal(a->number, b->number);
	switch (a->number) {
#define SAME(type, name) assert_true(same_##type(&x->name, &y->name));
#define PROTO(number, NAME, name, text) \
	case PROTO_##NAME: { \
		const struct proto_##name *x = &a->u.name; \
		const struct proto_##name *y = &b->u.name; \
		PROTO_FIELDS_##name(SAME) \
		break; \
	}
#include "common/proto.def"
#undef PROTO
	}
}

static void set_length(uint8_t *data, uint32_t len)
{
	struct buf b = buf_writer(data, 4);

	buf_put_u32(&b, len);
}

/* In memory of just that length: a sanitizer sees what is read behind it. */
static int decode(const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len + 1);
	uint8_t *end = NULL;
	struct proto_message m;
	int ret;

	assert_non_null(exact);
	end = exact + 1;
	memcpy(end, data, len);
	ret = proto_decode(end, len, &m);
	free(exact);
	return ret;
}

/* ---- the tests ---- */

static void test_round_trip(void **p)
{
	uint8_t data[PROTO_MAX], again[PROTO_MAX];
	size_t i;

	(void)p;
	for (i = 0; i < MESSAGES; i++) {
		struct proto_message m = fill(numbers[i]);
		struct proto_message back;
		struct buf b;
		size_t len = proto_encode(&m, data);

		assert_true(len > HEADER);
		b = buf_reader(data, len);
		assert_int_equal(buf_get_u32(&b), len);
		assert_int_equal(buf_get_u16(&b), PROTO_VERSION);
		assert_int_equal(buf_get_u16(&b), numbers[i]);
		memset(&back, 0xff, sizeof(back));
		assert_int_equal(proto_decode(data, len, &back), 0);
		assert_same(&m, &back);
		assert_int_equal(proto_encode(&back, again), len);
		assert_memory_equal(again, data, len);
	}
}

/* Nothing set at all, strings NULL: "" at the other end. */
static void test_empty(void **p)
{
	uint8_t data[PROTO_MAX];
	struct proto_message m, back;
	size_t i, len;

	(void)p;
	for (i = 0; i < MESSAGES; i++) {
		memset(&m, 0, sizeof(m));
		m.number = numbers[i];
		len = proto_encode(&m, data);
		assert_true(len > HEADER);
		assert_int_equal(proto_decode(data, len, &back), 0);
		assert_int_equal(back.number, numbers[i]);
	}
	memset(&m, 0, sizeof(m));
	m.number = PROTO_CHECK_ANSWER;
	len = proto_encode(&m, data);
	assert_int_equal(proto_decode(data, len, &back), 0);
	assert_string_equal(back.u.check_answer.reason, "");
}

static void test_wire(void **p)
{
	static const uint8_t expect[] = {
		22, 0, 0, 0, PROTO_VERSION, 0, 9, 0,
		8, 7, 6, 5, 4, 3, 2, 1, 1, 2, 0, 'n', 'o', 0,
	};
	struct proto_message m = {
		.number = PROTO_CHECK_ANSWER,
		.u.check_answer = { .id = 0x0102030405060708, .allowed = 1,
				    .reason = "no" } };
	uint8_t data[PROTO_MAX];

	(void)p;
	assert_int_equal(proto_encode(&m, data), sizeof(expect));
	assert_memory_equal(data, expect, sizeof(expect));
	assert_int_equal(proto_decode(expect, sizeof(expect), &m), 0);
	assert_ptr_equal(m.u.check_answer.reason, expect + 19); /* in place */
}

/* Cut anywhere, with the length it had and with one that fits. */
static void test_truncated(void **p)
{
	uint8_t data[PROTO_MAX];
	size_t i, n;

	(void)p;
	for (i = 0; i < MESSAGES; i++) {
		struct proto_message m = fill(numbers[i]);
		size_t len = proto_encode(&m, data);

		for (n = 0; n < len; n++) {
			set_length(data, (uint32_t)len);
			assert_int_equal(decode(data, n), EBADMSG);
			set_length(data, (uint32_t)n);
			assert_int_equal(decode(data, n), EBADMSG);
		}
		set_length(data, (uint32_t)len);
		assert_int_equal(decode(data, len), 0);
	}
}

static void test_trailing(void **p)
{
	uint8_t data[PROTO_MAX + 1];
	size_t i;

	(void)p;
	for (i = 0; i < MESSAGES; i++) {
		struct proto_message m = fill(numbers[i]);
		size_t len = proto_encode(&m, data);

		data[len] = 0;
		assert_int_equal(decode(data, len + 1), EBADMSG);
		set_length(data, (uint32_t)len + 1);
		assert_int_equal(decode(data, len + 1), EBADMSG);
		assert_int_equal(decode(data, len), EBADMSG);
	}
}

static void test_length(void **p)
{
	struct proto_message m = fill(PROTO_ACK);
	uint8_t data[PROTO_MAX];
	size_t len = proto_encode(&m, data);
	unsigned int bit;

	(void)p;
	for (bit = 0; bit < 32; bit++) {
		set_length(data, (uint32_t)len ^ 1U << bit);
		assert_int_equal(decode(data, len), EBADMSG);
	}
}

/* Another version is told apart from rubbish, whatever follows. */
static void test_version(void **p)
{
	struct proto_message m = fill(PROTO_ASK);
	uint8_t data[PROTO_MAX];
	size_t len = proto_encode(&m, data);
	unsigned int version;

	(void)p;
	for (version = 0; version <= UINT16_MAX; version++) {
		data[4] = (uint8_t)version;
		data[5] = (uint8_t)(version >> 8);
		assert_int_equal(decode(data, len), version == PROTO_VERSION ?
				 0 : EPROTONOSUPPORT);
		assert_int_equal(decode(data, len - 1), EBADMSG);
	}
	m = fill(PROTO_NOTICE);
	len = proto_encode(&m, data);
	for (version = 0; version <= PROTO_VERSION + 1; version++) {
		data[4] = (uint8_t)version;
		assert_int_equal(proto_decode_kept(data, len, &m),
				 version >= PROTO_VERSION_KEPT &&
				 version <= PROTO_VERSION ?
				 0 : EPROTONOSUPPORT);
	}
	data[4] = PROTO_VERSION + 1;
	data[5] = 0;
	set_length(data, HEADER);
	assert_int_equal(decode(data, HEADER), EPROTONOSUPPORT);
	set_length(data, HEADER - 1);
	assert_int_equal(decode(data, HEADER - 1), EBADMSG);
}

static void test_number(void **p)
{
	uint8_t data[PROTO_MAX] = { 0, 0, 0, 0, PROTO_VERSION, 0 };
	struct proto_message m;
	unsigned int number;

	(void)p;
	for (number = 0; number <= UINT16_MAX; number++) {
		set_length(data, HEADER);
		data[6] = (uint8_t)number;
		data[7] = (uint8_t)(number >> 8);
		/* none of them is without fields */
		assert_int_equal(proto_decode(data, HEADER, &m), EBADMSG);
	}
	memset(&m, 0, sizeof(m));
	assert_int_equal(proto_encode(&m, data), 0);
	m.number = number_unused();
	assert_int_equal(proto_encode(&m, data), 0);
	m.number = 65536 + PROTO_ACK;	/* not cut to 16 bits */
	assert_int_equal(proto_encode(&m, data), 0);
}

/* By hand, so that it need not be one that proto_encode() would make. */
static size_t message_with_string(uint8_t *data, const char *s)
{
	struct buf b = buf_writer(data, PROTO_MAX);

	buf_put_u32(&b, 0);
	buf_put_u16(&b, PROTO_VERSION);
	buf_put_u16(&b, PROTO_CHECK_NAMES);
	buf_put_u64(&b, 1);
	buf_put_str(&b, s);
	assert_int_equal(b.error, 0);
	set_length(data, (uint32_t)b.pos);
	return b.pos;
}

static void test_long_string(void **p)
{
	struct proto_message m = { .number = PROTO_CHECK_NAMES,
				   .u.check_names = { .id = 1 } };
	char s[PROTO_STR_MAX + 2];
	uint8_t data[PROTO_MAX], by_hand[PROTO_MAX];
	struct proto_message back;
	size_t len;

	(void)p;
	memset(s, 's', sizeof(s));
	s[PROTO_STR_MAX] = '\0';
	m.u.check_names.names = s;
	len = proto_encode(&m, data);
	assert_int_equal(len, HEADER + 8 + 2 + PROTO_STR_MAX + 1);
	assert_int_equal(message_with_string(by_hand, s), len);
	assert_memory_equal(by_hand, data, len);
	assert_int_equal(proto_decode(data, len, &back), 0);
	assert_string_equal(back.u.check_names.names, s);

	s[PROTO_STR_MAX] = 's';
	s[PROTO_STR_MAX + 1] = '\0';
	assert_int_equal(proto_encode(&m, data), 0);
	len = message_with_string(data, s);
	assert_int_equal(decode(data, len), EBADMSG);
}

/* Strings that may be, but too much of them for one packet. */
static void test_too_much(void **p)
{
	static char s[PROTO_STR_MAX + 1];
	struct proto_message m = fill(PROTO_ASK);
	struct proto_message back;
	uint8_t data[PROTO_MAX + 16];
	size_t len, room, i;

	(void)p;
	memset(s, 's', PROTO_STR_MAX);
	m.u.ask.path = m.u.ask.user = m.u.ask.client = s;
	memset(m.u.ask.ident.stream, 't', IDENT_STREAM_MAX - 1);
	m.u.ask.ident.handle_len = IDENT_HANDLE_MAX;
	len = proto_encode(&m, data);	/* the longest ASK there is */
	assert_true(len > 3 * PROTO_STR_MAX);
	assert_int_equal(proto_decode(data, len, &back), 0);
	assert_same(&m, &back);

	m = fill(PROTO_CHECK);
	m.u.check.account = m.u.check.addr = m.u.check.path = s;
	m.u.check.server_addr = "";
	m.u.check.sid = s;
	memset(data, 0xa5, sizeof(data));
	assert_int_equal(proto_encode(&m, data), 0);
	for (i = PROTO_MAX; i < sizeof(data); i++) {
		assert_int_equal(data[i], 0xa5);
	}
	/* to the byte */
	m.u.check.sid = "";
	len = proto_encode(&m, data);
	assert_true(len > 0);
	room = PROTO_MAX - len;
	assert_true(room < PROTO_STR_MAX);
	m.u.check.sid = s + PROTO_STR_MAX - room;
	assert_int_equal(proto_encode(&m, data), PROTO_MAX);
	assert_int_equal(proto_decode(data, PROTO_MAX, &back), 0);
	assert_same(&m, &back);
	m.u.check.sid--;
	assert_int_equal(proto_encode(&m, data), 0);
}

/* A HELLO that is right in all but this: it is longer than a message. */
static void test_over_long(void **p)
{
	static char s[PROTO_STR_MAX + 1];
	uint8_t data[PROTO_MAX + 1024];
	struct buf b = buf_writer(data, sizeof(data));
	size_t len, i;

	(void)p;
	memset(s, 's', PROTO_STR_MAX);
	buf_put_u32(&b, 0);
	buf_put_u16(&b, PROTO_VERSION);
	buf_put_u16(&b, PROTO_HELLO);
	buf_put_u32(&b, 1);
	buf_put_u8(&b, 0);
	for (i = 0; i < 3; i++) {
		buf_put_str(&b, s);
	}
	len = b.pos;
	buf_put_str(&b, s + PROTO_STR_MAX - (PROTO_MAX - len - 3));
	assert_int_equal(b.pos, PROTO_MAX);
	set_length(data, PROTO_MAX);
	assert_int_equal(decode(data, PROTO_MAX), 0);
	b.pos = len;
	buf_put_str(&b, s + PROTO_STR_MAX - (PROTO_MAX - len - 3) - 1);
	assert_int_equal(b.error, 0);
	set_length(data, PROTO_MAX + 1);
	assert_int_equal(decode(data, PROTO_MAX + 1), EBADMSG);
}

/* A NUL inside, none at the end, a length behind the end. */
static void test_bad_string(void **p)
{
	uint8_t data[PROTO_MAX];
	size_t len = message_with_string(data, "a\nb");

	(void)p;
	assert_int_equal(decode(data, len), 0);
	data[HEADER + 8 + 2 + 1] = '\0';
	assert_int_equal(decode(data, len), EBADMSG);
	len = message_with_string(data, "a\nb");
	data[len - 1] = 'x';
	assert_int_equal(decode(data, len), EBADMSG);
	len = message_with_string(data, "a\nb");
	data[HEADER + 8] = 0xff;
	data[HEADER + 9] = 0xff;
	assert_int_equal(decode(data, len), EBADMSG);
	data[HEADER + 8] = 2;		/* shorter: no NUL there */
	data[HEADER + 9] = 0;
	assert_int_equal(decode(data, len), EBADMSG);
}

/* Any byte of any message flipped: an answer, and nothing read outside. */
static void test_flipped(void **p)
{
	uint8_t data[PROTO_MAX];
	size_t i, n;
	int bit;

	(void)p;
	for (i = 0; i < MESSAGES; i++) {
		struct proto_message m = fill(numbers[i]);
		size_t len = proto_encode(&m, data);

		for (n = 0; n < len; n++) {
			for (bit = 0; bit < 8; bit++) {
				int ret;

				data[n] ^= (uint8_t)(1 << bit);
				ret = decode(data, len);
				data[n] ^= (uint8_t)(1 << bit);
				assert_true(ret == 0 || ret == EBADMSG ||
					    (ret == EPROTONOSUPPORT &&
					     (n == 4 || n == 5)));
			}
		}
	}
}

static void test_name(void **p)
{
	(void)p;
	assert_string_equal(proto_name(PROTO_HELLO), "HELLO");
	assert_string_equal(proto_name(PROTO_ASK), "ASK");
	assert_string_equal(proto_name(PROTO_CHECK_NAMES), "CHECK_NAMES");
	assert_string_equal(proto_name(0), "?");
	assert_string_equal(proto_name(number_unused()), "?");
	assert_string_equal(proto_name(65536 + 1), "?");
	assert_string_equal(proto_name((unsigned int)-1), "?");
}

/* The table of docs/protocol.md, to the letter. */
static void test_document(void **p)
{
	static const char *const rows[] = {
#define FIELD(type, name) ", " #type " " #name
#define PROTO(number, NAME, name, text) \
	"| " #number " | " #NAME " | " text " | \0" PROTO_FIELDS_##name(FIELD),
#include "common/proto.def"
#undef PROTO
	};
	FILE *f = fopen(SOURCE_DIR "/docs/protocol.md", "r");
	char line[512] = "", expect[512];
	size_t i;

	(void)p;
	assert_non_null(f);
	while (strcmp(line, "<!-- proto table: checked by tests -->\n")) {
		assert_non_null(fgets(line, sizeof(line), f));
	}
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(fgets(line, sizeof(line), f));
	for (i = 0; i < MESSAGES; i++) {
		const char *fields = rows[i] + strlen(rows[i]) + 1;

		snprintf(expect, sizeof(expect), "%s%s |\n", rows[i],
			 fields + strlen(", "));
		assert_non_null(fgets(line, sizeof(line), f));
		assert_string_equal(line, expect);
	}
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "\n");
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_long_string),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_over_long),
		cmocka_unit_test(test_bad_string),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
