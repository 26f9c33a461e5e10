/*
 * Objects: the table as a whole (golden), and each type's edges.
 *
 * UPDATE_GOLDEN=1 writes tests/golden/objects.txt, and the tables of
 * docs/man/cavad.conf.5, anew.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/near.h"
#include "cavad/object.h"
#include "cavad/object_check.h"
#include "common/filter.h"

#ifndef SOURCE_DIR
#define SOURCE_DIR "."
#endif
#define GOLDEN SOURCE_DIR "/tests/golden/objects.txt"
#define MAN_PAGE SOURCE_DIR "/docs/man/cavad.conf.5"

static const char *const type_names[] = {
	[OBJECT_BOOL] = "BOOL", [OBJECT_UINT] = "UINT",
	[OBJECT_TIME] = "TIME", [OBJECT_SIZE] = "SIZE",
	[OBJECT_STR] = "STR", [OBJECT_LIST] = "LIST", [OBJECT_ENUM] = "ENUM"
};

static FILE *open_source(const char *path, const char *mode)
{
	FILE *f = NULL;

	f = fopen(path, mode);
	if (f == NULL) {
		fail_msg("%s: %s", path, strerror(errno));
	}
	return f;
}

static char *read_source(TALLOC_CTX *mem_ctx, const char *path)
{
	FILE *f = open_source(path, "r");
	char *text = talloc_zero_size(mem_ctx, 65536);
	size_t len;

	len = fread(text, 1, 65535, f);
	assert_in_range(len, 1, 65534);
	fclose(f);
	return text;
}

static char *dump(TALLOC_CTX *mem_ctx)
{
	const struct object_class *class = NULL;
	const struct object_field *f = NULL;
	char *text = talloc_strdup(mem_ctx, "");
	unsigned int i;

	for (i = 0; (class = object_class(i)) != NULL; i++) {
		text = talloc_asprintf_append(text, "[%s%s]\n", class->name,
					      class->named ? " NAME" : "");
		for (f = class->fields; f->name != NULL; f++) {
			text = talloc_asprintf_append(
				text, "%s\t%s\tdefault \"%s\"\t%" PRIu64
				"..%" PRIu64 "\t%s\t%s\n", f->name,
				type_names[f->type], f->def, f->min, f->max,
				f->choices == NULL ? "-" : f->choices,
				f->help);
		}
	}
	return text;
}

static void test_golden(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *text = dump(frame);
	FILE *f = NULL;

	(void)unused;
	if (getenv("UPDATE_GOLDEN") != NULL) {
		f = open_source(GOLDEN, "w");
		fputs(text, f);
		fclose(f);
	}
	assert_string_equal(text, read_source(frame, GOLDEN));
	talloc_free(frame);
}

/* Each default is in its own range, or must be set; and comes back. */
static void test_defaults(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	const struct object_class *class = NULL;
	const struct object_field *f = NULL;
	char *error = NULL, *text = NULL, *again = NULL;
	const char *unset = NULL;
	void *object = NULL;
	unsigned int i;
	int ret;

	(void)unused;
	for (i = 0; (class = object_class(i)) != NULL; i++) {
		object = talloc_zero_size(frame, class->size);
		assert_non_null(object);
		object_defaults(frame, class, object);
		unset = object_unset(class, object);
		for (f = class->fields; f->name != NULL; f++) {
			text = object_get(frame, class, object, f->name);
			assert_non_null(text);
			ret = object_set(frame, class, object, f->name, text,
					 &error);
			if (unset != NULL && strcmp(unset, f->name) == 0) {
				assert_int_equal(ret, EINVAL);
				continue;
			}
			if (ret != 0) {
				fail_msg("%s", error);
			}
			again = object_get(frame, class, object, f->name);
			assert_string_equal(text, again);
		}
	}
	talloc_free(frame);
}

static void test_required(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct settings settings = { 0 };
	struct server_object server = { .name = "a" };
	char *error = NULL;
	int ret;

	(void)unused;
	object_defaults(frame, &object_settings, &settings);
	assert_null(object_unset(&object_settings, &settings));
	assert_string_equal(object_unset(&object_server, &server),
			    "server_uri");
	object_defaults(frame, &object_server, &server);
	assert_string_equal(object_unset(&object_server, &server),
			    "server_uri");
	ret = object_set(frame, &object_server, &server, "server_uri",
			 "null:", &error);
	assert_int_equal(ret, 0);
	assert_null(object_unset(&object_server, &server));
	assert_string_equal(server.name, "a");
	talloc_free(frame);
}

/* object.def's order of choices is the order of the enums. */
static void test_enums(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct settings s = { 0 };
	struct filter_object f = { 0 };
	char *e = NULL;

	(void)unused;
	object_set(frame, &object_settings, &s, "denial", "virus_infected",
		   &e);
	assert_int_equal(s.denial, FILTER_DENIAL_VIRUS_INFECTED);
	object_set(frame, &object_settings, &s, "denial", "access_denied",
		   &e);
	assert_int_equal(s.denial, FILTER_DENIAL_ACCESS_DENIED);
	object_set(frame, &object_filter, &f, "scan_profile", "strict", &e);
	assert_int_equal(f.scan_profile, FILTER_STRICT);
	object_set(frame, &object_filter, &f, "scan_profile", "standard", &e);
	assert_int_equal(f.scan_profile, FILTER_STANDARD);
	talloc_free(frame);
}

struct sample {
	const struct object_class *class;
	const char *name;
	const char *value;
	const char *expect;	/* what object_get() says, or the error */
};

static const struct sample good[] = {
	{ &object_server, "enabled", "TRUE", "yes" },
	{ &object_server, "enabled", "0", "no" },
	{ &object_server, "enabled", "No", "no" },
	{ &object_server, "connections_maximum", "100", "100" },
	{ &object_server, "connections_maximum", "1", "1" },
	{ &object_settings, "scan_timeout", "4294967295", "4294967295" },
	{ &object_settings, "store_size", "1m", "1M" },
	{ &object_settings, "store_size", "1048577", "1048577" },
	{ &object_settings, "store_size", "1T", "1T" },
	{ &object_settings, "store_size", "1536M", "1536M" },
	{ &object_settings, "store_size", "2048k", "2M" },
	{ &object_settings, "scan_size_maximum", "0", "0" },
	{ &object_settings, "scan_size_maximum", "16T", "16T" },
	{ &object_settings, "denial", "Access_Denied", "access_denied" },
	{ &object_settings, "check_root", "/", "/" },
	{ &object_settings, "check_root", "/srv/a b/..c/.d",
	  "/srv/a b/..c/.d" },
	{ &object_settings, "check_root", "/srv/\xc3\xa4",
	  "/srv/\xc3\xa4" },
	{ &object_settings, "ip_pool", "a,10.0.0.1 , fe80::1",
	  "a, 10.0.0.1, fe80::1" },
	{ &object_settings, "ip_pool", " ", "" },
	{ &object_settings, "api_group", "", "" },
	{ &object_server, "server_uri", "clamd:/run/x", "clamd:/run/x" },
	{ &object_server, "fetch_addresses", "::1", "::1" },
	{ &object_cee, "cluster_id", "000c29b7c6273590c4563e21d8421c2ebcdb",
	  "000c29b7c6273590c4563e21d8421c2ebcdb" },
};

#define YES_NO "not yes or no (yes, no, true, false, 1, 0 are accepted)"
#define SIZES "not a size (bytes, or with k, M, G or T behind the number)"

static const struct sample bad[] = {
	{ &object_server, "enabled", "maybe",
	  "[server cee1] enabled = \"maybe\": " YES_NO },
	{ &object_server, "enabled", "",
	  "[server cee1] enabled = \"\": " YES_NO },
	{ &object_server, "connections_maximum", "0",
	  "[server cee1] connections_maximum = \"0\": not in 1 to 100" },
	{ &object_server, "connections_maximum", "101",
	  "[server cee1] connections_maximum = \"101\": not in 1 to 100" },
	{ &object_server, "connections_maximum", "-1",
	  "[server cee1] connections_maximum = \"-1\": not a whole number" },
	{ &object_server, "connections_maximum", "5x",
	  "[server cee1] connections_maximum = \"5x\": not a whole number" },
	{ &object_server, "connections_maximum", "",
	  "[server cee1] connections_maximum = \"\": not a whole number" },
	{ &object_server, "connections_maximum", "5k",
	  "[server cee1] connections_maximum = \"5k\": not a whole number" },
	{ &object_settings, "scan_timeout", "0",
	  "[settings] scan_timeout = \"0\": not in 1 to 4294967295 s" },
	{ &object_settings, "scan_timeout", "60s",
	  "[settings] scan_timeout = \"60s\": not a whole number of seconds" },
	{ &object_settings, "scan_timeout", "18446744073709551676",
	  "[settings] scan_timeout = \"18446744073709551676\": "
	  "not a whole number of seconds" },
	{ &object_settings, "store_size", "1023k",
	  "[settings] store_size = \"1023k\": not in 1M to 1T bytes" },
	{ &object_settings, "store_size", "17179869184G",
	  "[settings] store_size = \"17179869184G\": " SIZES },
	{ &object_settings, "store_size", "16GB",
	  "[settings] store_size = \"16GB\": " SIZES },
	{ &object_settings, "store_size", "G",
	  "[settings] store_size = \"G\": " SIZES },
	{ &object_settings, "denial", "virus_infekted",
	  "[settings] denial = \"virus_infekted\": not one of "
	  "virus_infected, access_denied; did you mean virus_infected?" },
	{ &object_settings, "denial", "none",
	  "[settings] denial = \"none\": not one of virus_infected, "
	  "access_denied" },
	{ &object_settings, "denial", "",
	  "[settings] denial = \"\": not one of virus_infected, "
	  "access_denied" },
	{ &object_settings, "user", "", "[settings] user = \"\": empty" },
	{ &object_settings, "user", "a\nb",
	  "[settings] user = \"a\nb\": not UTF-8 text without control "
	  "characters" },
	{ &object_settings, "user", "\xc0\xaf",
	  "[settings] user = \"\xc0\xaf\": not UTF-8 text without control "
	  "characters" },
	{ &object_settings, "user", "\xe0\x80\xaf",
	  "[settings] user = \"\xe0\x80\xaf\": not UTF-8 text without "
	  "control characters" },
	{ &object_settings, "user", "\xed\xa0\x80",
	  "[settings] user = \"\xed\xa0\x80\": not UTF-8 text without "
	  "control characters" },
	{ &object_settings, "user", "a\xe2\x82",
	  "[settings] user = \"a\xe2\x82\": not UTF-8 text without control "
	  "characters" },
	{ &object_settings, "check_root", "srv",
	  "[settings] check_root = \"srv\": not an absolute path" },
	{ &object_settings, "check_root", "/srv/",
	  "[settings] check_root = \"/srv/\": has // in it, or / at its "
	  "end" },
	{ &object_settings, "check_root", "/srv/../etc",
	  "[settings] check_root = \"/srv/../etc\": has . or .. in it" },
	{ &object_settings, "check_share", "A/B",
	  "[settings] check_share = \"A/B\": a share's name has none of "
	  "% < > * ? | / \\ + = ; : \" , [ ]" },
	{ &object_settings, "check_share", "Global",
	  "[settings] check_share = \"Global\": has a meaning of its own in "
	  "smb.conf" },
	{ &object_settings, "ip_pool", "a,,b",
	  "[settings] ip_pool = \"a,,b\": a name between two commas is "
	  "empty" },
	{ &object_settings, "ip_pool", "a,",
	  "[settings] ip_pool = \"a,\": a name between two commas is empty" },
	{ &object_settings, "ip_pool", "a, b\\c",
	  "[settings] ip_pool = \"a, b\\c\": b\\c: not a host name or "
	  "address" },
	{ &object_server, "fetch_addresses", "127.0.0.1,host",
	  "[server cee1] fetch_addresses = \"127.0.0.1,host\": host: not a "
	  "numeric IPv4 or IPv6 address" },
	{ &object_server, "server_uri", "cee1:12228/x y",
	  "[server cee1] server_uri = \"cee1:12228/x y\": a URI has no "
	  "blanks" },
	{ &object_server, "server_uri", "10.0.0.1",
	  "[server cee1] server_uri = \"10.0.0.1\": not a URI "
	  "(cee://HOST:PORT/PATH, clamd:/SOCKET, null: and the like)" },
	{ &object_cee, "cluster_id", "12",
	  "[cee] cluster_id = \"12\": not 36 hex digits" },
	{ &object_server, "conections_maximum", "1",
	  "[server cee1] conections_maximum: no such name here; did you mean "
	  "connections_maximum?" },
	{ &object_settings, "server_uri", "x",
	  "[settings] server_uri: no such name here; it belongs in "
	  "[server NAME]" },
	{ &object_settings, "source_id", "x",
	  "[settings] source_id: no such name here; it belongs in [cee]" },
	{ &object_settings, "xyzzy", "x",
	  "[settings] xyzzy: no such name here" },
};

static void *make(TALLOC_CTX *mem_ctx, const struct object_class *class)
{
	void *object = talloc_zero_size(mem_ctx, class->size);

	assert_non_null(object);
	object_defaults(mem_ctx, class, object);
	if (class->named) {
		*(const char **)object = "cee1";
	}
	return object;
}

static void test_good(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *error = NULL;
	char *text = NULL;
	size_t i;
	int ret;

	(void)unused;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct sample *s = &good[i];
		void *object = make(frame, s->class);

		ret = object_set(frame, s->class, object, s->name, s->value,
				 &error);
		if (ret != 0) {
			fail_msg("%s", error);
		}
		text = object_get(frame, s->class, object, s->name);
		assert_string_equal(text, s->expect);
	}
	talloc_free(frame);
}

/* An error says the whole truth and changes nothing. */
static void test_bad(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *error = NULL;
	size_t i;
	int ret;

	(void)unused;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct sample *s = &bad[i];
		void *object = make(frame, s->class);
		void *before = talloc_memdup(frame, object, s->class->size);

		ret = object_set(frame, s->class, object, s->name, s->value,
				 &error);
		assert_int_not_equal(ret, 0);
		assert_string_equal(error, s->expect);
		assert_memory_equal(object, before, s->class->size);
		assert_int_equal(ret, strstr(error, "no such name") != NULL
					      ? ENOENT : EINVAL);
	}
	talloc_free(frame);
}

/* A value of any length is named but not repeated in full. */
static void test_long(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct settings *s = make(frame, &object_settings);
	char *error = NULL;
	char path[102] = "/";
	int ret;

	(void)unused;
	memset(path + 1, 'a', 99);
	ret = object_set(frame, &object_settings, s, "ipc_socket", path,
			 &error);
	assert_int_equal(ret, 0);
	path[100] = 'a';
	ret = object_set(frame, &object_settings, s, "ipc_socket", path,
			 &error);
	assert_int_equal(ret, EINVAL);
	assert_non_null(strstr(error, "aaa...\": 101 bytes; not in 1 to 100"));
	assert_int_equal(strlen(s->ipc_socket), 100);
	talloc_free(frame);
}

static void test_list(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct settings *s = make(frame, &object_settings);
	char *error = NULL;

	(void)unused;
	assert_null(s->ip_pool[0]);
	object_set(frame, &object_settings, s, "ip_pool", "a,b", &error);
	assert_string_equal(s->ip_pool[0], "a");
	assert_string_equal(s->ip_pool[1], "b");
	assert_null(s->ip_pool[2]);
	assert_null(object_get(frame, &object_settings, s, "nothing"));
	talloc_free(frame);
}

/* A copy is equal, lives alone, and every field counts. */
static void test_copy(void **unused)
{
	TALLOC_CTX *first = talloc_new(NULL);
	struct server_object a = { .name = talloc_strdup(first, "one") };
	struct server_object *b = NULL;
	struct server_object other;
	char *error = NULL;

	(void)unused;
	object_defaults(first, &object_server, &a);
	assert_int_equal(object_set(first, &object_server, &a,
				    "fetch_addresses", "10.0.0.1, 10.0.0.2",
				    &error), 0);
	assert_int_equal(object_set(first, &object_server, &a, "server_uri",
				    "cee://h", &error), 0);
	b = object_copy(NULL, &object_server, &a);
	assert_true(object_equal(&object_server, &a, b));
	talloc_free(first);
	assert_string_equal(b->name, "one");
	assert_string_equal(b->server_uri, "cee://h");
	assert_string_equal(b->fetch_addresses[1], "10.0.0.2");
	assert_null(b->fetch_addresses[2]);

	other = *b;
	other.name = "two";
	assert_false(object_equal(&object_server, &other, b));
	other = *b;
	other.fetch_addresses++;
	assert_false(object_equal(&object_server, &other, b));
	other = *b;
	other.pool = "other";
	assert_false(object_equal(&object_server, &other, b));
	other = *b;
	other.enabled = !other.enabled;
	assert_false(object_equal(&object_server, &other, b));
	other = *b;
	other.connections_maximum++;
	assert_false(object_equal(&object_server, &other, b));
	other = *b;
	other.pool = NULL;		/* as an empty one */
	b->pool = "";
	assert_true(object_equal(&object_server, &other, b));
	talloc_free(b);
}

static void test_near(void **unused)
{
	static const char *const names[] = { "scan_timeout", "sync_wait",
					     NULL };
	char big[200] = "";

	(void)unused;
	memset(big, 'a', sizeof(big) - 1);
	assert_int_equal(near_distance("", ""), 0);
	assert_int_equal(near_distance("abc", ""), 3);
	assert_int_equal(near_distance("", "abc"), 3);
	assert_int_equal(near_distance("kitten", "sitting"), 3);
	assert_int_equal(near_distance("ab", "ba"), 1);
	assert_int_equal(near_distance("ABC", "abc"), 0);
	assert_string_equal(near_name(names, "scan_timeuot"), "scan_timeout");
	assert_string_equal(near_name(names, "syncwait"), "sync_wait");
	assert_string_equal(near_name(names, "Sync_Wait"), "sync_wait");
	assert_null(near_name(names, "denial"));
	assert_null(near_name(names, ""));
	assert_null(near_name(names, big));
}

static void test_names(void **unused)
{
	char name[130] = "";

	(void)unused;
	assert_null(object_check_name("cee-1.example_a"));
	assert_non_null(object_check_name(""));
	assert_non_null(object_check_name("a b"));
	assert_non_null(object_check_name("a/b"));
	memset(name, 'a', 128);
	assert_null(object_check_name(name));
	name[128] = 'a';
	assert_non_null(object_check_name(name));
	assert_true(object_uri_is_cee("h:12228/CEE"));
	assert_true(object_uri_is_cee("192.0.2.1:12228"));
	assert_true(object_uri_is_cee("[::1]:12228/a:b"));
	assert_true(object_uri_is_cee("[::1]/a"));
	assert_false(object_uri_is_cee("cee://h:12228/CEE"));
	assert_false(object_uri_is_cee("clamd:/run/clamd"));
	assert_false(object_uri_is_cee("null:"));
	assert_false(object_uri_is_cee(":1"));
	assert_true(object_path_below("/a", "/a"));
	assert_true(object_path_below("/a/b", "/a"));
	assert_true(object_path_below("/a", "/"));
	assert_false(object_path_below("/ab", "/a"));
	assert_false(object_path_below("/a", "/a/b"));
}

/* What a field accepts, as the man page says it. */
static char *man_accepts(TALLOC_CTX *mem_ctx, const struct object_field *f)
{
	switch (f->type) {
	case OBJECT_BOOL:
		return talloc_strdup(mem_ctx, "yes or no");
	case OBJECT_UINT:
		return talloc_asprintf(mem_ctx, "%" PRIu64 " to %" PRIu64,
				       f->min, f->max);
	case OBJECT_TIME:
		return talloc_asprintf(mem_ctx, "seconds, %" PRIu64 " to %"
				       PRIu64, f->min, f->max);
	case OBJECT_SIZE:
		return talloc_asprintf(mem_ctx, "size in bytes, %" PRIu64
				       " to %" PRIu64, f->min, f->max);
	case OBJECT_STR:
		return talloc_asprintf(mem_ctx, "text of %" PRIu64 " to %"
				       PRIu64 " bytes", f->min, f->max);
	case OBJECT_LIST:
		return talloc_asprintf(mem_ctx, "list, at most %" PRIu64
				       " bytes", f->max);
	case OBJECT_ENUM:
		return talloc_asprintf(mem_ctx, "one of %s", f->choices);
	}
	return NULL;
}

/* The part of the man page between the two marks of a class. */
static char *man_table(TALLOC_CTX *mem_ctx, const struct object_class *class)
{
	const struct object_field *f = NULL;
	char *text = talloc_strdup(mem_ctx, ".Bl -tag -width Ds\n");
	bool required;

	for (f = class->fields; f->name != NULL; f++) {
		required = f->type == OBJECT_STR && f->min > strlen(f->def);
		text = talloc_asprintf_append(
			text, ".It Sy %s%s%s\n%s\n.Pq %s%s\n", f->name,
			f->def[0] != '\0' ? " = " : " =", f->def, f->help,
			man_accepts(mem_ctx, f),
			required ? "; must be set" : "");
	}
	return talloc_asprintf_append(text, ".El\n");
}

/* Replaces what the marks enclose by the table; marks must be there. */
static char *man_with_table(TALLOC_CTX *mem_ctx, const char *page,
			    const struct object_class *class)
{
	char *begin = talloc_asprintf(mem_ctx, ".\\\" begin %s, from "
				      "object.def\n", class->name);
	char *end = talloc_asprintf(mem_ctx, ".\\\" end %s\n", class->name);
	const char *from = strstr(page, begin);
	const char *to = NULL;

	assert_non_null(from);
	from += strlen(begin);
	to = strstr(from, end);
	assert_non_null(to);
	return talloc_asprintf(mem_ctx, "%.*s%s%s", (int)(from - page), page,
			       man_table(mem_ctx, class), to);
}

/* Every field, default and range of object.def is in it, and no other. */
static void test_man_page(void **unused)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	const struct object_class *class = NULL;
	char *page = read_source(frame, MAN_PAGE);
	char *wanted = page;
	size_t tables = 0;
	const char *p = NULL;
	unsigned int i;
	FILE *f = NULL;

	(void)unused;
	for (i = 0; (class = object_class(i)) != NULL; i++) {
		wanted = man_with_table(frame, wanted, class);
	}
	if (getenv("UPDATE_GOLDEN") != NULL) {
		f = open_source(MAN_PAGE, "w");
		fputs(wanted, f);
		fclose(f);
		page = wanted;
	}
	assert_string_equal(page, wanted);
	for (p = page; (p = strstr(p, "from object.def\n")) != NULL; p++) {
		tables++;
	}
	assert_int_equal(tables, i);
	talloc_free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_enums),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_man_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
