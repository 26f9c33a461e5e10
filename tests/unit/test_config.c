/*
 * cavad.conf: what is read, and every way to get it wrong.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cavad/config.h"

#define A43 "a1b2c3d4e5f6g7h8i9j0a1b2c3d4e5f6g7h8i9j0abc"

#ifndef SOURCE_DIR
#define SOURCE_DIR "."
#endif

struct test {
	char dir[64];
	char path[128];
	struct config *config;
	char *error;		/* without the path in front */
};

static int set_up(void **p)
{
	struct test *t = talloc_zero(NULL, struct test);

	strcpy(t->dir, "/tmp/test_config.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/cavad.conf", t->dir);
	*p = t;
	return 0;
}

static int tear_down(void **p)
{
	struct test *t = *p;

	unlink(t->path);
	rmdir(t->dir);
	talloc_free(t);
	return 0;
}

static void write_file(struct test *t, const void *data, size_t len)
{
	FILE *f = fopen(t->path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

static int load_bytes(struct test *t, const void *data, size_t len)
{
	char *error = NULL;
	size_t path_len = strlen(t->path);
	int ret;

	write_file(t, data, len);
	TALLOC_FREE(t->config);
	t->error = NULL;
	ret = config_load(t, t->path, &t->config, &error);
	if (error != NULL) {
		assert_memory_equal(error, t->path, path_len);
		t->error = error + path_len;
	}
	assert_int_equal(ret == 0, error == NULL);
	assert_int_equal(ret == 0, t->config != NULL);
	return ret;
}

static int load(struct test *t, const char *text)
{
	return load_bytes(t, text, strlen(text));
}

static void test_defaults(void **p)
{
	struct test *t = *p;
	struct config *c = NULL;
	char *error = NULL;
	struct filter f;
	const struct filter expect = FILTER_DEFAULT;
	int ret;

	ret = config_load(t, NULL, &c, &error);
	assert_int_equal(ret, 0);
	assert_null(c->servers[0]);
	assert_null(c->filters[0]);
	assert_string_equal(c->settings.state_dir, "/var/lib/cavad");
	assert_int_equal(c->settings.store_size, 16ULL << 30);
	assert_int_equal(c->cee.heartbeat_action, 9);

	/* object.def and FILTER_DEFAULT agree. */
	f = config_filter(c, CONFIG_ZONE_DEFAULT);
	assert_int_equal(f.enabled, expect.enabled);
	assert_int_equal(f.profile, expect.profile);
	assert_int_equal(f.open_on_fail, expect.open_on_fail);
	assert_int_equal(f.denial, expect.denial);
	assert_int_equal(f.scan_timeout, expect.scan_timeout);
	assert_int_equal(f.sync_wait, expect.sync_wait);
	assert_int_equal(f.size_maximum, expect.size_maximum);
	assert_int_equal(f.signature_min, expect.signature_min);

	assert_int_equal(load(t, ""), 0);
	assert_int_equal(t->config->settings.scan_timeout, 60);
}

static void test_all_sections(void **p)
{
	struct test *t = *p;
	int ret;

	ret = load(t,
		   "\xef\xbb\xbf# first\r\n"
		   "[settings] ; why\r\n"
		   "  check_root = /srv/a#b;c \t# root\r\n"
		   "\tscan_timeout:30\n"
		   "; comment = no\n"
		   "\n"
		   "ip_pool = a, b ; two\n"
		   " [ filter   Zone-1 ] # z\n"
		   "scan_profile = strict\n"
		   "[server cee1]\n"
		   "server_uri = cee://h:12228/cee\n"
		   "enabled = no\n"
		   "[cee]\n"
		   "scan_action = 7\n"
		   "[server two]\n"
		   "server_uri = null:");
	if (ret != 0) {
		fail_msg("%s", t->error);
	}
	assert_string_equal(t->config->settings.check_root, "/srv/a#b;c");
	assert_int_equal(t->config->settings.scan_timeout, 30);
	assert_string_equal(t->config->settings.ip_pool[1], "b");
	assert_string_equal(t->config->filters[0]->name, "Zone-1");
	assert_int_equal(t->config->filters[0]->scan_profile, FILTER_STRICT);
	assert_true(t->config->filters[0]->open_on_fail);
	assert_null(t->config->filters[1]);
	assert_string_equal(t->config->servers[0]->name, "cee1");
	assert_false(t->config->servers[0]->enabled);
	assert_int_equal(t->config->servers[0]->connections_maximum, 20);
	assert_string_equal(t->config->servers[1]->name, "two");
	assert_string_equal(t->config->servers[1]->server_uri, "null:");
	assert_true(t->config->servers[1]->enabled);
	assert_null(t->config->servers[2]);
	assert_int_equal(t->config->cee.scan_action, 7);
}

static const struct {
	const char *text;
	const char *error;
} bad[] = {
	{ "[settings]\n\n[server cee1]\nenabled = maybe\n",
	  ":4: [server cee1] enabled = \"maybe\": not yes or no (yes, no, "
	  "true, false, 1, 0 are accepted)" },
	{ "[settings]\nscan_timeuot = 1\n",
	  ":2: [settings] scan_timeuot: no such name here; did you mean "
	  "scan_timeout?" },
	{ "[settings]\nscan_timeout\n",
	  ":2: neither \"name = value\" nor a [section] nor a comment" },
	{ "[settings]\n[cee]\n\n[settings]\n",
	  ":4: [settings]: there is one already" },
	{ "[cee]\n[cee]\n", ":2: [cee]: there is one already" },
	{ "[server a]\n[server b]\n[server A]\n",
	  ":3: [server A]: there is one already" },
	{ "[filter a]\n[filter A]\n", ":2: [filter A]: there is one already" },
	{ "[settings]\nnode = 2\nnode = 2\n",
	  ":3: node is set twice in this section" },
	{ "node = 2\n", ":1: \"node\" stands before the first [section]" },
	{ "[setings]\n", ":1: [setings]: no such section; did you mean "
	  "settings? (there are [settings], [cee], [filter ZONE], "
	  "[server NAME], [job NAME])" },
	{ "[global]\n", ":1: [global]: no such section (there are "
	  "[settings], [cee], [filter ZONE], [server NAME], [job NAME])" },
	{ "[]\n", ":1: []: no such section (there are [settings], [cee], "
	  "[filter ZONE], [server NAME], [job NAME])" },
	{ "[server]\n",
	  ":1: [server]: a name is missing, as in [server NAME]" },
	{ "[server a b]\n", ":1: [server]: \"b\" is one word too many" },
	{ "[cee x]\n", ":1: [cee]: \"x\" is one word too many" },
	{ "[server a/b]\n", ":1: [server a/b]: a name has 1 to 128 "
	  "characters of A-Z a-z 0-9 . _ -" },
	{ "[server " A43 A43 A43 "]\n", ":1: [server " A43 "a1b2c3d]: a "
	  "name has 1 to 128 characters of A-Z a-z 0-9 . _ -" },
	{ "[settings\n", ":1: a section has no ] at its end" },
	{ "[settings] x\n",
	  ":1: something stands behind the ] of a section" },
	{ "[server a]\nenabled = yes\n", ": [server a] server_uri is not "
	  "set" },
	{ "[server a]\nserver_uri =\n",
	  ":2: [server a] server_uri = \"\": empty" },
	{ "[server a]\nserver_uri = ;null:\n",
	  ":2: [server a] server_uri = \"\": empty" },
	{ "[settings]\n= 3\n", ":2: [settings] : no such name here" },
	{ "[settings]\nspool_dir = /var/lib/cavad\n",
	  ": [settings] spool_dir = \"/var/lib/cavad\": is or lies in "
	  "state_dir, but it must belong to root, and state_dir to user" },
	{ "[settings]\nspool_dir = /a/b\nstate_dir=/a\n",
	  ": [settings] spool_dir = \"/a/b\": is or lies in state_dir, but "
	  "it must belong to root, and state_dir to user" },
	{ "[settings]\nspool_dir = /a\nstate_dir=/a/b\n",
	  ": [settings] state_dir = \"/a/b\": lies in spool_dir, where only "
	  "root may go" },
	{ "[settings]\nipc_socket = /x\napi_socket = /x\n",
	  ": [settings] api_socket = \"/x\": is ipc_socket as well" },
	{ "[job a]\n[job A]\n", ":2: [job A]: there is one already" },
	{ "[job a]\nschedule = every frday\n",
	  ":2: [job a] schedule = \"every frday\": \"frday\" is not "
	  "understood; did you mean Friday? Accepted here: day, weekday, "
	  "week, month, hours, minutes, a day of the week, other or a number "
	  "before them" },
	{ "[job a]\npaths_to_include = /srv/a, /etc\n",
	  ": [job a] paths_to_include = \"/etc\": not below check_root "
	  "(/srv)" },
	{ "[job a]\nfile_extension_action = include\n",
	  ": [job a] file_extension_action = include, but file_extensions "
	  "is empty: nothing would be scanned" },
	{ "[job a]\npool = x\n[server s]\nserver_uri = null:\n",
	  ": [job a] pool = \"x\": no [server] has this pool, so nothing "
	  "would be scanned" },
};

static void test_bad(void **p)
{
	struct test *t = *p;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ret = load(t, bad[i].text);
		assert_int_equal(ret, EINVAL);
		assert_string_equal(t->error, bad[i].error);
	}
	/* Neighbours whose names merely begin alike. */
	ret = load(t, "[settings]\nspool_dir = /a/bc\nstate_dir = /a/b\n");
	assert_int_equal(ret, 0);
}

/* Longest line that is read whole, and one byte more. */
static void test_line_length(void **p)
{
	struct test *t = *p;
	char *text = talloc_zero_size(t, 20000);
	size_t head;
	int ret;

	head = sprintf(text, "[settings]\ncheck_root = /");
	memset(text + head, 'a', 4094);
	strcpy(text + head + 4094, "\n");
	ret = load(t, text);
	assert_int_equal(ret, 0);
	assert_int_equal(strlen(t->config->settings.check_root), 4095);

	memset(text + head, 'a', 4095);
	strcpy(text + head + 4095, "\n");
	ret = load(t, text);
	assert_int_equal(ret, EINVAL);
	assert_non_null(strstr(t->error, "4096 bytes; not in 1 to 4095"));

	head = sprintf(text, "[settings]\n#");
	memset(text + head, 'a', 8189);
	strcpy(text + head + 8189, "\nnode = 3\n");
	ret = load(t, text);
	assert_int_equal(ret, 0);
	assert_int_equal(t->config->settings.node, 3);

	memset(text + head, 'a', 8190);
	strcpy(text + head + 8190, "\nnode = 3\n");
	ret = load(t, text);
	assert_int_equal(ret, EINVAL);
	assert_string_equal(t->error, ":2: longer than 8190 characters");
}

static void test_file(void **p)
{
	struct test *t = *p;
	char *big = talloc_size(t, 1048577);
	char *error = NULL;
	struct config *c = NULL;
	int ret;

	memset(big, '\n', 1048577);
	ret = load_bytes(t, big, 1048576);
	assert_int_equal(ret, 0);
	ret = load_bytes(t, big, 1048577);
	assert_int_equal(ret, EFBIG);
	assert_string_equal(t->error, ": larger than 1048576 bytes");

	ret = load_bytes(t, "[settings]\nuser = a\0b\n", 22);
	assert_int_equal(ret, EINVAL);
	assert_string_equal(t->error, ":2: a NUL character: not a text file");

	unlink(t->path);
	ret = config_load(t, t->path, &c, &error);
	assert_int_equal(ret, ENOENT);
	assert_non_null(strstr(error, ": No such file or directory; start "
			       "with a copy of cavad.conf.example"));
	ret = config_load(t, t->dir, &c, &error);
	assert_int_equal(ret, EINVAL);
	assert_non_null(strstr(error, ": not a file"));
	ret = mkfifo(t->path, 0600);
	assert_int_equal(ret, 0);
	ret = config_load(t, t->path, &c, &error);
	assert_int_equal(ret, EINVAL);
	assert_null(c);
}

static void test_filter(void **p)
{
	struct test *t = *p;
	struct filter f;
	int ret;

	ret = load(t, "[settings]\ndenial = access_denied\nscan_timeout = 5\n"
		   "sync_wait = 7\nscan_size_maximum = 1k\n"
		   "[filter a]\nscan_profile = strict\nopen_on_fail = no\n"
		   "[filter b]\nfilter_enabled = no\n");
	assert_int_equal(ret, 0);
	f = config_filter(t->config, "A");
	assert_true(f.enabled);
	assert_int_equal(f.profile, FILTER_STRICT);
	assert_false(f.open_on_fail);
	assert_int_equal(f.denial, FILTER_DENIAL_ACCESS_DENIED);
	assert_int_equal(f.scan_timeout, 5000);
	assert_int_equal(f.sync_wait, 7);
	assert_int_equal(f.size_maximum, 1024);
	f = config_filter(t->config, "b");
	assert_false(f.enabled);
	f = config_filter(t->config, "c");
	assert_true(f.enabled);
	assert_int_equal(f.profile, FILTER_STANDARD);

	ret = load(t, "[settings]\nservice_enabled = no\n"
		   "scan_timeout = 4294967295\n[filter a]\n");
	assert_int_equal(ret, 0);
	f = config_filter(t->config, "a");
	assert_false(f.enabled);
	assert_int_equal(f.scan_timeout, UINT32_MAX);
	f = config_filter(t->config, "c");
	assert_false(f.enabled);
}

/* Every field as object_get() says it, written to a file, is read back. */
static void test_dump_then_load(void **p)
{
	struct test *t = *p;
	const struct object_field *f = NULL;
	struct settings before;
	char *text = talloc_strdup(t, "[settings]\n");
	char *value = NULL;
	char *again = NULL;
	int ret;

	ret = load(t, "[settings]\nip_pool = a,b\nstore_size = 3G\n"
		   "denial = access_denied\nservice_enabled = 0\n");
	assert_int_equal(ret, 0);
	before = t->config->settings;
	for (f = object_settings.fields; f->name != NULL; f++) {
		value = object_get(t, &object_settings, &before, f->name);
		text = talloc_asprintf_append(text, "%s = %s\n", f->name,
					      value);
	}
	talloc_steal(t, t->config);
	t->config = NULL;
	ret = load(t, text);
	assert_int_equal(ret, 0);
	for (f = object_settings.fields; f->name != NULL; f++) {
		value = object_get(t, &object_settings, &before, f->name);
		again = object_get(t, &object_settings, &t->config->settings,
				   f->name);
		assert_string_equal(value, again);
	}
}

/* The example in the man page is one. */
static void test_man_example(void **p)
{
	struct test *t = *p;
	char *page = talloc_zero_size(t, 65536);
	char *from = NULL, *to = NULL;
	FILE *f = fopen(SOURCE_DIR "/docs/man/cavad.conf.5", "r");
	size_t len;
	int ret;

	assert_non_null(f);
	len = fread(page, 1, 65535, f);
	fclose(f);
	assert_in_range(len, 1, 65534);
	from = strstr(page, "\n.Sh EXAMPLES\n");
	assert_non_null(from);
	from = strstr(from, "\n[settings]\n");
	assert_non_null(from);
	to = strstr(from, "\n.Ed\n");
	assert_non_null(to);
	*to = '\0';
	ret = load(t, from);
	if (ret != 0) {
		fail_msg("%s", t->error);
	}
	assert_non_null(t->config->servers[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_all_sections),
		TEST(test_bad),
		TEST(test_line_length),
		TEST(test_file),
		TEST(test_filter),
		TEST(test_dump_then_load),
		TEST(test_man_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
