/*
 * The allow-list: what an entry lets through, as a table; its record; the
 * list in the database.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include <time.h>

#include "cavad/allow.h"
#include "cavad/hash.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW 1000

static const struct ident here = { .fsid = 1, .ino = 2 };
static const struct ident there = { .fsid = 1, .ino = 3 };
static const struct content content = { 68, 5, 6 };
static const struct content moved = { 68, 5, 7 };
static const struct content large = { HASH_MAX + 1, 5, 6 };

#define A { 1 }			/* two digests */
#define B { 2 }

static const struct {
	const char *what;
	struct allow entry;
	struct allow_facts facts;
	enum allow_answer answer;
} rows[] = {
	{ "file, same content",
	  { .kind = ALLOW_FILE, .ident = here, .hashed = true, .digest = A },
	  { .ident = &here, .content = &moved, .hashed = true, .digest = A },
	  ALLOW_YES },
	{ "file, other content",
	  { .kind = ALLOW_FILE, .ident = here, .hashed = true, .digest = A },
	  { .ident = &here, .content = &content, .hashed = true,
	    .digest = B }, ALLOW_NO },
	{ "another file, same content",
	  { .kind = ALLOW_FILE, .ident = here, .hashed = true, .digest = A },
	  { .ident = &there, .content = &content, .hashed = true,
	    .digest = A }, ALLOW_NO },
	{ "file, not hashed yet",
	  { .kind = ALLOW_FILE, .ident = here, .hashed = true, .digest = A },
	  { .ident = &here, .content = &content }, ALLOW_UNKNOWN },
	{ "file that is too large for a hash, untouched",
	  { .kind = ALLOW_FILE, .ident = here, .content = large },
	  { .ident = &here, .content = &large }, ALLOW_YES },
	{ "the same, and its ctime moved",
	  { .kind = ALLOW_FILE, .ident = here, .content = content },
	  { .ident = &here, .content = &moved, .hashed = true, .digest = A },
	  ALLOW_NO },
	{ "hash, anywhere",
	  { .kind = ALLOW_HASH, .ident = here, .hashed = true, .digest = A },
	  { .ident = &there, .content = &moved, .hashed = true, .digest = A },
	  ALLOW_YES },
	{ "hash, other content in the same file, same threat",
	  { .kind = ALLOW_HASH, .ident = here, .hashed = true, .digest = A,
	    .threat = "T" },
	  { .ident = &here, .content = &content, .hashed = true, .digest = B,
	    .threat = "T" }, ALLOW_NO },
	{ "hash, not known",
	  { .kind = ALLOW_HASH, .hashed = true, .digest = A },
	  { .ident = &there, .content = &content }, ALLOW_UNKNOWN },
	{ "hash, will never be known",
	  { .kind = ALLOW_HASH, .hashed = true, .digest = A },
	  { .ident = &there, .content = &large }, ALLOW_NO },
	{ "hash without one",
	  { .kind = ALLOW_HASH },
	  { .ident = &there, .content = &content, .hashed = true },
	  ALLOW_NO },
	{ "threat",
	  { .kind = ALLOW_THREAT, .threat = "T" },
	  { .ident = &there, .content = &content, .threat = "T" },
	  ALLOW_YES },
	{ "another threat in the same file",
	  { .kind = ALLOW_THREAT, .ident = here, .threat = "T", .hashed = true,
	    .digest = A },
	  { .ident = &here, .content = &content, .threat = "T.2",
	    .hashed = true, .digest = A }, ALLOW_NO },
	{ "no name is none",
	  { .kind = ALLOW_THREAT, .threat = "" },
	  { .ident = &here, .content = &content, .threat = "" }, ALLOW_NO },
	{ "expires later",
	  { .kind = ALLOW_THREAT, .threat = "T", .expires = NOW + 1 },
	  { .ident = &here, .content = &content, .threat = "T" },
	  ALLOW_YES },
	{ "expires now",
	  { .kind = ALLOW_THREAT, .threat = "T", .expires = NOW },
	  { .ident = &here, .content = &content, .threat = "T" }, ALLOW_NO },
	{ "no such kind",
	  { .kind = 4, .threat = "T" },
	  { .ident = &here, .content = &content, .threat = "T" }, ALLOW_NO },
};

static void test_table(void **unused)
{
	size_t i = 0;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		struct allow entry = rows[i].entry;
		struct allow_facts facts = rows[i].facts;
		enum allow_answer answer;

		entry.threat = entry.threat == NULL ? "" : entry.threat;
		facts.threat = facts.threat == NULL ? "" : facts.threat;
		facts.now = NOW;
		answer = allow_matches(&entry, &facts);
		if (answer != rows[i].answer) {
			fail_msg("%s: %d", rows[i].what, (int)answer);
		}
	}
}

/* The hex block below the mark in docs/protocol.md. */
static size_t example(uint8_t *bytes, size_t size)
{
	FILE *f = fopen(SOURCE_DIR "/docs/protocol.md", "r");
	char line[512] = "";
	unsigned int byte = 0;
	size_t len = 0;

	assert_non_null(f);
	while (strcmp(line, "<!-- allow example: checked by tests -->\n") !=
	       0) {
		assert_non_null(fgets(line, sizeof(line), f));
	}
	assert_non_null(fgets(line, sizeof(line), f));
	while (fscanf(f, " %2x", &byte) == 1) {
		assert_true(len < size);
		bytes[len++] = (uint8_t)byte;
	}
	fclose(f);
	return len;
}

static void test_record(void **unused)
{
	const struct allow entry = {
		.kind = ALLOW_THREAT, .made = 2, .expires = 3, .path = "",
		.threat = "Eicar", .reason = "ours", .author = "root",
	};
	uint8_t bytes[ALLOW_RECORD_MAX];
	uint8_t written[512];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	struct allow *got = NULL;

	(void)unused;
	allow_put_record(&b, &entry);
	assert_int_equal(example(written, sizeof(written)), b.pos);
	assert_memory_equal(written, bytes, b.pos);
	buf_put_u32(&b, 77);		/* of a later version */
	assert_int_equal(b.error, 0);
	b = buf_reader(bytes, b.pos);
	got = allow_get_record(NULL, 9, &b);
	assert_non_null(got);
	assert_int_equal(got->id, 9);
	assert_int_equal(got->kind, ALLOW_THREAT);
	assert_int_equal(got->expires, 3);
	assert_string_equal(got->threat, "Eicar");
	assert_string_equal(got->reason, "ours");
	assert_string_equal(got->author, "root");
	talloc_free(got);
}

struct heard {
	unsigned int came, went;
};

static void heard(void *private_data, const struct allow *entry, bool in,
		  const char *why)
{
	struct heard *h = private_data;

	assert_non_null(entry);
	assert_non_null(why);
	h->came += in;
	h->went += !in;
}

static int ended(struct test *t, struct tevent_req *req, uint64_t *id)
{
	int ret = 0;

	assert_non_null(req);
	while (tevent_req_is_in_progress(req)) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	ret = allows_recv(req, id);
	talloc_free(req);
	return ret;
}

static uint64_t add(struct test *t, struct allows *a, const char *threat,
		    int64_t expires)
{
	const struct allow entry = {
		.kind = ALLOW_THREAT, .path = "", .threat = threat,
		.reason = "r", .author = "me", .expires = expires,
	};
	uint64_t id = 0;

	assert_int_equal(ended(t, allows_add_send(t, t->ev, a, &entry), &id),
			 0);
	return id;
}

static bool lets(const struct allows *a, const char *threat)
{
	const struct allow_facts facts = {
		.ident = &here, .content = &content, .threat = threat,
		.now = (int64_t)time(NULL),
	};
	uint64_t id = 0;

	return allows_judge(a, &facts, &id) == ALLOW_YES;
}

static void test_list(void **p)
{
	struct test *t = *p;
	struct allows *a = NULL;
	struct heard h = { 0 };
	uint64_t one = 0;

	assert_int_equal(allows_create(t, t->ev, t->store, heard, &h, &a), 0);
	assert_false(allows_any(a));
	one = add(t, a, "one", 0);
	add(t, a, "two", 0);
	assert_true(lets(a, "one"));
	talloc_free(a);
	assert_int_equal(allows_create(t, t->ev, t->store, heard, &h, &a), 0);
	assert_true(lets(a, "one") && lets(a, "two") && !lets(a, "three"));
	assert_int_equal(ended(t, allows_remove_send(t, t->ev, a, one), NULL),
			 0);
	assert_false(lets(a, "one"));
	assert_int_equal(ended(t, allows_remove_send(t, t->ev, a, one), NULL),
			 ENOENT);
	assert_int_equal(h.came, 2);
	assert_int_equal(h.went, 1);
	talloc_free(a);
	assert_int_equal(allows_create(t, t->ev, t->store, heard, &h, &a), 0);
	assert_false(lets(a, "one"));
	talloc_free(a);
}

static void test_expires(void **p)
{
	struct test *t = *p;
	struct allows *a = NULL;
	struct heard h = { 0 };

	assert_int_equal(allows_create(t, t->ev, t->store, heard, &h, &a), 0);
	add(t, a, "one", (int64_t)time(NULL) + 1);
	while (h.went == 0) {
		assert_int_equal(tevent_loop_once(t->ev), 0);
	}
	assert_false(lets(a, "one") || allows_any(a));
	talloc_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_record),
		cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expires, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
