/*
 * What was changed over the API: its records, what is laid over cavad.conf,
 * and what a change makes of it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include "cavad/live.h"
#include "cavad/store_private.h"

#define CONF "[settings]\nscan_timeout = 30\nsync_wait = 5\n" \
	"[server a]\nserver_uri = null:\nconnections_maximum = 7\n" \
	"[job j]\nschedule = every day\n"

static struct overlay_object *over(struct overlay *o, const char *class,
				   const char *name, const char *field,
				   const char *text)
{
	struct overlay_object *object = NULL;

	assert_non_null(o);
	object = overlay_make(o, class, name);
	if (field != NULL) {
		assert_int_equal(overlay_set(object, field, text), 0);
	}
	return object;
}

static struct config *built(TALLOC_CTX *mem_ctx, const struct overlay *o)
{
	struct config_refusal refusal;
	struct config *c = NULL;

	if (config_build(mem_ctx, "f", CONF, o, &c, &refusal) != 0) {
		fail_msg("%s", refusal.text);
	}
	return c;
}

/* --- records --- */

static void test_record(void **unused)
{
	static const char bytes[] =
		"\x07\0" "enabled\0" "\x02\0" "no\0"
		"\x13\0" "connections_maximum\0" "\x01\0" "5\0";
	TALLOC_CTX *frame = talloc_new(NULL);
	struct overlay *o = overlay_create(frame);
	struct overlay_object *object = NULL;
	uint8_t data[128];
	struct buf b = buf_writer(data, sizeof(data));
	size_t i;

	(void)unused;
	object = over(o, "server", "av1", "enabled", "no");
	over(o, "server", "av1", "connections_maximum", "5");
	overlay_record_put(&b, object);
	assert_int_equal(b.error, 0);
	assert_int_equal(b.pos, sizeof(bytes) - 1);
	assert_memory_equal(data, bytes, sizeof(bytes) - 1);

	b = buf_reader(bytes, sizeof(bytes) - 1);
	assert_int_equal(overlay_record_get(o, "server", "AV1", &b), EEXIST);
	assert_int_equal(overlay_record_get(o, "server", "av2", &b), 0);
	object = overlay_find(o, "server", "av2");
	assert_string_equal(overlay_get(object, "connections_maximum"), "5");
	/* cut anywhere but between two pairs it is none */
	for (i = 1; i < sizeof(bytes) - 1; i++) {
		b = buf_reader(bytes, i);
		assert_int_equal(overlay_record_get(o, "server", "cut", &b),
				 i == 15 ? 0 : EBADMSG);
		object = overlay_find(o, "server", "cut");
		assert_true((object != NULL) == (i == 15));
		if (object != NULL) {
			overlay_drop(o, object);
		}
	}
	talloc_free(frame);
}

static void keep(struct test *t, const struct overlay *before,
		 const struct overlay *after)
{
	assert_int_equal(wait_one(t, store_objects_send(
		t, t->ev, t->store, before, after)), 0);
}

static struct overlay *kept(struct test *t)
{
	struct overlay *o = NULL;

	assert_int_equal(store_objects_get(t->store, t, &o), 0);
	return o;
}

static void test_store(void **p)
{
	struct test *t = *p;
	struct overlay *none = overlay_create(t);
	struct overlay *o = overlay_create(t);
	struct overlay *next = NULL;

	over(o, "server", "Av1", "enabled", "no");
	over(o, "job", "empty", NULL, NULL);
	over(o, "settings", "", "sync_wait", "7");
	keep(t, none, o);
	next = kept(t);
	assert_int_equal(next->count, 3);
	assert_true(overlay_equal(overlay_find(next, "server", "av1"),
				  overlay_find(o, "server", "av1")));
	assert_int_equal(overlay_find(next, "job", "empty")->count, 0);

	/* a rename by case alone is one; the job goes */
	overlay_find(next, "server", "av1")->name = "AV1";
	overlay_drop(next, overlay_find(next, "job", "empty"));
	keep(t, o, next);
	next = kept(t);
	assert_int_equal(next->count, 2);
	assert_string_equal(overlay_find(next, "server", "av1")->name, "AV1");
}

/* One that does not parse hides no other, and is left alone. */
static void test_damaged(void **p)
{
	struct test *t = *p;
	struct overlay *none = overlay_create(t);
	struct overlay *o = overlay_create(t);
	const struct store_change changes[] = {
		{ .kind = STORE_PUT, .table = STORE_OBJECT,
		  .key = { "server\0b", 8 }, .value = { "\x07\0ena", 5 } },
		{ .kind = STORE_PUT, .table = STORE_OBJECT,
		  .key = { "nonsense", 8 }, .value = { "", 0 } },
	};

	over(o, "server", "a", "enabled", "no");
	over(o, "server", "c", "enabled", "no");
	keep(t, none, o);
	assert_int_equal(wait_one(t, store_writer_send_all(
		t, t->ev, t->store->writer, changes, 2, 0)), 0);
	o = kept(t);
	assert_int_equal(o->count, 2);
	assert_non_null(overlay_find(o, "server", "c"));
	keep(t, o, none);
	assert_int_equal(kept(t)->count, 0);
}

/* All of several changes, or none: the second one does not fit. */
static void test_all_or_none(void **p)
{
	struct test *t = *p;
	char *much = talloc_zero_size(t, 80 * MEGABYTE);
	const struct store_change changes[] = {
		{ .kind = STORE_PUT, .table = STORE_OBJECT,
		  .key = { "job\0a", 5 }, .value = { "", 0 } },
		{ .kind = STORE_PUT, .table = STORE_OBJECT,
		  .key = { "job\0b", 5 }, .value = { much, 80 * MEGABYTE } },
	};

	assert_int_equal(wait_one(t, store_writer_send_all(
		t, t->ev, t->store->writer, changes, 2, 0)), ENOSPC);
	assert_int_equal(kept(t)->count, 0);
	assert_int_equal(wait_one(t, store_writer_send_all(
		t, t->ev, t->store->writer, changes, 1, 0)), 0);
	assert_int_equal(kept(t)->count, 1);
}

/* --- laid over the file --- */

static void test_precedence(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct overlay *o = overlay_create(frame);
	const struct server_object *a = NULL;
	const struct object_field *f = NULL;
	struct config *c = NULL;

	(void)unused;
	over(o, "settings", "", "sync_wait", "9");
	over(o, "server", "A", "enabled", "no");
	over(o, "server", "b", "server_uri", "null:");
	c = built(frame, o);
	assert_int_equal(c->settings.scan_timeout, 30);	/* the file */
	assert_int_equal(c->settings.sync_wait, 9);	/* the database */
	assert_int_equal(c->settings.node, 0);		/* the default */
	a = config_object(c, &object_server, "a");
	assert_string_equal(a->name, "a");
	assert_int_equal(a->connections_maximum, 7);
	assert_false(a->enabled);
	assert_true((a->origin.file & OBJECT_ITSELF) != 0);
	f = object_field(&object_server, "connections_maximum");
	assert_true((a->origin.file & object_field_bit(&object_server, f)) !=
		    0);
	assert_true((a->origin.store & object_field_bit(&object_server, f)) ==
		    0);
	f = object_field(&object_server, "enabled");
	assert_true((a->origin.store & object_field_bit(&object_server, f)) !=
		    0);
	a = config_object(c, &object_server, "b");
	assert_true((a->origin.file & OBJECT_ITSELF) == 0);
	assert_int_equal(config_count(c, &object_server), 2);
	talloc_free(frame);
}

/* A field of a later version is skipped, and stays when others change. */
static void test_unknown_field(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct overlay *o = overlay_create(frame);
	const struct overlay_pair pair = { "sync_wait", "11" };
	const struct live_change change = {
		.kind = LIVE_MODIFY, .class = &object_settings, .name = "",
		.pairs = &pair, .count = 1,
	};
	struct live_refusal refusal;
	struct overlay *next = NULL;

	(void)unused;
	over(o, "settings", "", "of_tomorrow", "x, y");
	over(o, "gadget", "g", "speed", "1");
	next = live_overlay(frame, built(frame, o), o, &change, 1, &refusal);
	assert_non_null(next);
	assert_string_equal(overlay_get(overlay_find(next, "settings", ""),
					"of_tomorrow"), "x, y");
	assert_string_equal(overlay_get(overlay_find(next, "settings", ""),
					"sync_wait"), "11");
	assert_non_null(overlay_find(next, "gadget", "g"));
	assert_int_equal(built(frame, next)->settings.sync_wait, 11);
	talloc_free(frame);
}

static void test_bad_value(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct overlay *o = overlay_create(frame);
	struct config_refusal refusal;
	struct config *c = NULL;

	(void)unused;
	over(o, "server", "a", "connections_maximum", "0");
	assert_int_equal(config_build(frame, "f", CONF, o, &c, &refusal),
			 EINVAL);
	assert_ptr_equal(refusal.class, &object_server);
	assert_string_equal(refusal.field, "connections_maximum");
	assert_non_null(strstr(refusal.text, "not in 1 to 100"));
	talloc_free(frame);
}

/* --- changes --- */

static struct overlay *changed(TALLOC_CTX *mem_ctx, const struct overlay *o,
			       struct live_change change,
			       const struct overlay_pair *pairs,
			       struct live_refusal *refusal)
{
	change.pairs = pairs;
	while (pairs != NULL && pairs[change.count].field != NULL) {
		change.count++;
	}
	*refusal = (struct live_refusal) { .error = 0 };
	return live_overlay(mem_ctx, built(mem_ctx, o), o, &change, 1,
			    refusal);
}

#define PAIRS(...) ((const struct overlay_pair[]) { \
	__VA_ARGS__, { NULL, NULL } })

static void test_changes(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct overlay *o = overlay_create(frame);
	struct live_change c = { .kind = LIVE_MODIFY,
				 .class = &object_settings, .name = "" };
	struct live_refusal r;

	(void)unused;
	/* as it is: nothing is kept; another value is; set back it goes */
	assert_int_equal(changed(frame, o, c, PAIRS({ "sync_wait", "5" }),
				 &r)->count, 0);
	o = changed(frame, o, c, PAIRS({ "sync_wait", "6" }), &r);
	assert_int_equal(o->count, 1);
	assert_int_equal(changed(frame, o, c, PAIRS({ "sync_wait", NULL }),
				 &r)->count, 0);
	/* the value of the file, said while another holds, is kept */
	o = changed(frame, o, c, PAIRS({ "sync_wait", "5" }), &r);
	assert_string_equal(overlay_get(overlay_find(o, "settings", ""),
					"sync_wait"), "5");

	c = (struct live_change) { .kind = LIVE_CREATE,
				   .class = &object_job, .name = "new" };
	o = changed(frame, o, c, NULL, &r);
	assert_int_equal(overlay_find(o, "job", "new")->count, 0);
	c.kind = LIVE_MODIFY;
	c.new_name = "newer";
	o = changed(frame, o, c, PAIRS({ "priority", "2" }), &r);
	assert_null(overlay_find(o, "job", "new"));
	assert_string_equal(overlay_get(overlay_find(o, "job", "newer"),
					"priority"), "2");
	c.name = "newer";
	c.new_name = "NEWER";	/* its own name is not in its way */
	o = changed(frame, o, c, NULL, &r);
	assert_string_equal(overlay_find(o, "job", "newer")->name, "NEWER");
	c.kind = LIVE_REMOVE;
	assert_null(overlay_find(changed(frame, o, c, NULL, &r), "job",
				 "newer"));
	talloc_free(frame);
}

static void test_refused(void **unused)
{
	static const struct {
		enum live_kind kind;
		const struct object_class *class;
		const char *name, *new_name, *field, *text;
		int error;
	} rows[] = {
		{ LIVE_MODIFY, &object_settings, "", NULL, "sync_wait",
		  "10001", EINVAL },
		{ LIVE_MODIFY, &object_settings, "", NULL, "state_dir", "/x",
		  EPERM },
		{ LIVE_MODIFY, &object_settings, "", NULL, "event_command",
		  "/bin/sh", EPERM },
		{ LIVE_MODIFY, &object_settings, "", NULL, "nonsense", NULL,
		  EINVAL },
		{ LIVE_MODIFY, &object_server, "b", NULL, "enabled", "no",
		  ENOENT },
		{ LIVE_MODIFY, &object_server, "a", "b", "enabled", "no",
		  EPERM },
		{ LIVE_CREATE, &object_server, "A", NULL, "enabled", "no",
		  EEXIST },
		{ LIVE_CREATE, &object_job, "a/b", NULL, "enabled", "no",
		  EINVAL },
		{ LIVE_REMOVE, &object_job, "j", NULL, NULL, NULL, EPERM },
		{ LIVE_REMOVE, &object_job, "k", NULL, NULL, NULL, ENOENT },
		{ LIVE_MODIFY, &object_job, "made", "J", NULL, NULL, EEXIST },
	};
	TALLOC_CTX *frame = talloc_new(NULL);
	struct overlay *o = overlay_create(frame);
	struct live_refusal r;
	size_t i;

	(void)unused;
	over(o, "job", "made", NULL, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct live_change c = {
			.kind = rows[i].kind, .class = rows[i].class,
			.name = rows[i].name, .new_name = rows[i].new_name,
		};

		assert_null(changed(frame, o, c, PAIRS({ rows[i].field,
						       rows[i].text }), &r));
		assert_int_equal(r.error, rows[i].error);
		assert_non_null(r.text);
	}
	talloc_free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		TEST(test_store),
		TEST(test_damaged),
		TEST(test_all_or_none),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_unknown_field),
		cmocka_unit_test(test_bad_value),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
