/*
 * Zones: what is announced, kept, refused and removed, and the filters file.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/store_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "cavad/zone.h"
#include "common/log.h"

struct world {
	struct test *test;
	struct config *config;
	struct counters counters;
	struct events *events;
	struct zones *zones;
	TALLOC_CTX *peers;	/* of members; they end before the zones */
};

static char *in_dir(struct world *w, const char *name)
{
	return talloc_asprintf(w, "%s/%s", w->test->dir, name);
}

/* The configuration as it is with this text in cavad.conf. */
static struct config *configured(struct world *w, const char *text)
{
	char *path = in_dir(w, "conf");
	FILE *f = fopen(path, "w");
	struct config *c = NULL;
	char *error = NULL;
	int ret;

	assert_non_null(f);
	fprintf(f, "[settings]\nstate_dir = %s\n%s", w->test->dir, text);
	fclose(f);
	ret = config_load(w, path, &c, &error);
	unlink(path);
	assert_int_equal(ret, 0);
	return c;
}

static void start(struct world *w)
{
	int ret = zones_create(w, w->test->ev, w->config, w->test->store,
			       &w->counters, w->events, &w->zones);

	assert_int_equal(ret, 0);
	w->peers = talloc_new(w);
	assert_non_null(w->peers);
}

/* A cavad that ends and starts again, after all that was written. */
static void start_again(struct world *w)
{
	struct store_pending *p = &w->test->pending;

	p->ident.ino = 1;
	assert_int_equal(wait_one(w->test, store_pending_put_send(
		w, w->test->ev, w->test->store, p)), 0);
	TALLOC_FREE(w->peers);
	TALLOC_FREE(w->zones);
	start(w);
}

static int world_up(void **p)
{
	struct world *w = NULL;
	struct test *test = NULL;

	set_up(p);
	test = *p;
	w = talloc_zero(test, struct world);
	w->test = test;
	w->events = events_create(w);
	assert_non_null(w->events);
	w->config = configured(w, "[filter Plain]\nscan_profile = strict\n");
	start(w);
	*p = w;
	return 0;
}

static int world_down(void **p)
{
	struct world *w = *p;
	struct test *test = w->test;

	TALLOC_FREE(w->peers);
	TALLOC_FREE(w->zones);
	unlink(in_dir(w, "filters"));
	*p = test;
	return tear_down(p);
}

#define ZONE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, world_up, world_down)

static unsigned int zone_total(const struct world *w)
{
	struct zone_status s;
	unsigned int n = 0;

	while (zone_status(w->zones, n, &s)) {
		n++;
	}
	return n;
}

/* .name is NULL when there is none. */
static struct zone_status zone_named(const struct world *w, const char *name)
{
	struct zone_status s;
	unsigned int i;

	for (i = 0; zone_status(w->zones, i, &s); i++) {
		if (strcmp(s.name, name) == 0) {
			return s;
		}
	}
	return (struct zone_status) { .name = NULL };
}

static size_t share_total(const struct zone_status *s)
{
	size_t n = 0;

	while (s->shares[n].name != NULL) {
		n++;
	}
	return n;
}

static struct zone_member *enter(struct world *w, const char *zone,
				 const char *share, const char *root)
{
	struct zone_member *member = zone_enter(w->peers, w->zones, zone,
						share, root);

	assert_non_null(member);
	return member;
}

static void test_configured(void **p)
{
	struct world *w = *p;
	struct zone_status s = zone_named(w, "Plain");

	assert_int_equal(zone_total(w), 2);
	assert_true(s.configured);
	assert_int_equal(s.connections, 0);
	assert_int_equal(share_total(&s), 0);
	s = zone_named(w, "System");
	assert_non_null(s.name);
	assert_false(s.configured);
}

static void test_announced_is_kept(void **p)
{
	struct world *w = *p;
	struct zone_member *one = enter(w, "Lab", "a", "/srv/a");
	struct zone_member *two = enter(w, "LAB", "A", "/srv/a");
	struct zone_status s;

	enter(w, "lab", "b", "/srv/b");
	assert_int_equal(zone_total(w), 3);
	s = zone_named(w, "Lab");	/* as it was seen first */
	assert_int_equal(s.connections, 3);
	assert_int_equal(share_total(&s), 2);
	talloc_free(one);
	talloc_free(two);
	s = zone_named(w, "Lab");
	assert_int_equal(s.connections, 1);

	start_again(w);
	s = zone_named(w, "Lab");
	assert_non_null(s.name);
	assert_int_equal(s.connections, 0);
	assert_int_equal(share_total(&s), 2);
	assert_string_equal(s.shares[0].name, "a");
	assert_string_equal(s.shares[0].root, "/srv/a");
	assert_string_equal(s.shares[1].root, "/srv/b");
}

/* A path with %U is another one with each user: no cost that adds up. */
static void test_root_that_changes(void **p)
{
	struct world *w = *p;
	struct zone_status s;
	size_t blocks = 0;
	int i;

	talloc_free(enter(w, "Lab", "home", "/a"));
	wait_one(w->test, put(w->test, 9));
	blocks = talloc_total_blocks(w->zones);
	for (i = 0; i < 51; i++) {
		talloc_free(enter(w, "Lab", "home", i % 2 ? "/a" : "/b"));
	}
	wait_one(w->test, put(w->test, 9));
	assert_int_equal(talloc_total_blocks(w->zones), blocks);
	start_again(w);
	s = zone_named(w, "Lab");
	assert_int_equal(share_total(&s), 1);
	assert_string_equal(s.shares[0].root, "/b");
}

static void test_sorted(void **p)
{
	static const char *const names[] = { "b", "System", "A", "c", "Z" };
	struct world *w = *p;
	struct zone_status before, s;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		enter(w, names[i], "s", "/");
	}
	assert_true(zone_status(w->zones, 0, &before));
	assert_string_equal(before.name, "A");
	for (i = 1; zone_status(w->zones, i, &s); i++) {
		assert_true(strcasecmp(before.name, s.name) < 0);
		before = s;
	}
	assert_int_equal(i, 6);
}

static void test_improper_names(void **p)
{
	static const char *const names[] = { "", "a b", "a/b", "a\nb",
					     "\xc3\xa4", "[x]" };
	struct world *w = *p;
	char name[FILTER_ZONE_MAX + 2];
	unsigned int before = zone_total(w);
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		talloc_free(enter(w, names[i], "s", "/srv"));
	}
	memset(name, 'x', sizeof(name));
	name[FILTER_ZONE_MAX + 1] = '\0';
	talloc_free(enter(w, name, "s", "/srv"));
	assert_int_equal(zone_total(w), before);
	name[FILTER_ZONE_MAX] = '\0';
	enter(w, name, "s", "/srv");
	assert_int_equal(zone_total(w), before + 1);
}

/* A share's name that fits no key: the zone is there, the share is not. */
static void test_share_names(void **p)
{
	struct world *w = *p;
	char zone[FILTER_ZONE_MAX + 1];
	char share[257];
	struct zone_status s;

	memset(zone, 'z', sizeof(zone));
	memset(share, 's', sizeof(share));
	zone[FILTER_ZONE_MAX] = '\0';
	share[256] = '\0';
	enter(w, zone, share, "/srv");
	enter(w, zone, "", "/srv");
	s = zone_named(w, zone);
	assert_int_equal(s.connections, 2);
	assert_int_equal(share_total(&s), 0);
	share[255] = '\0';
	enter(w, zone, share, "/srv");
	start_again(w);
	s = zone_named(w, zone);
	assert_non_null(s.name);
	assert_int_equal(share_total(&s), 1);
}

static void test_limits(void **p)
{
	struct world *w = *p;
	struct zone_status s;
	char name[32];
	char *why = NULL;
	struct zone_member **members = talloc_zero_array(
		w, struct zone_member *, ZONE_SHARES + 5);
	struct tevent_req *req = NULL;
	unsigned int i;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "z%u", i);
		talloc_free(enter(w, name, "", "/"));
	}
	assert_int_equal(zone_total(w), 2 * FILTER_ZONES_MAX);
	assert_null(zone_add_send(w, w->test->ev, w->zones, "more", &why));
	assert_non_null(why);
	assert_non_null(strstr(why, "256"));
	for (i = 0; i < ZONE_SHARES + 5; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		members[i] = enter(w, i % 2 ? "z1" : "z2", name, "/");
	}
	s = zone_named(w, "z1");
	i = (unsigned int)share_total(&s);
	s = zone_named(w, "z2");
	assert_int_equal(i + share_total(&s), ZONE_SHARES);

	/* what is removed makes room, for a zone and for its shares */
	for (i = 0; i < (unsigned int)talloc_array_length(members); i++) {
		TALLOC_FREE(members[i]);
	}
	req = zone_remove_send(w, w->test->ev, w->zones, "z1", &why);
	assert_int_equal(wait_one(w->test, req), 0);
	enter(w, "later", "s", "/srv");
	s = zone_named(w, "later");
	assert_non_null(s.name);
	assert_int_equal(share_total(&s), 1);
}

static void test_added_and_removed(void **p)
{
	struct world *w = *p;
	struct zone_member *member = NULL;
	char *why = NULL;
	struct tevent_req *req = NULL;

	req = zone_add_send(w, w->test->ev, w->zones, "New", &why);
	assert_int_equal(wait_one(w->test, req), 0);
	assert_null(zone_add_send(w, w->test->ev, w->zones, "a b", &why));
	assert_non_null(why);
	start_again(w);
	assert_non_null(zone_named(w, "New").name);
	assert_int_equal(zones_changed(w->zones), 0);
	assert_non_null(zone_named(w, "New").name);

	member = enter(w, "New", "s", "/srv");
	assert_null(zone_remove_send(w, w->test->ev, w->zones, "New", &why));
	assert_non_null(strstr(why, "1 connections"));
	talloc_free(member);
	req = zone_remove_send(w, w->test->ev, w->zones, "NEW", &why);
	assert_int_equal(wait_one(w->test, req), 0);
	assert_null(zone_named(w, "New").name);
	start_again(w);
	assert_null(zone_named(w, "New").name);

	assert_null(zone_remove_send(w, w->test->ev, w->zones, "New", &why));
	assert_non_null(strstr(why, "no zone New"));
	assert_null(zone_remove_send(w, w->test->ev, w->zones, "plain",
				     &why));
	assert_non_null(strstr(why, "cavad.conf"));
	assert_null(zone_remove_send(w, w->test->ev, w->zones, "System",
				     &why));
}

/* What is left in no file, by nobody, goes; what is in use stays. */
static void test_taken_out_of_the_file(void **p)
{
	struct world *w = *p;
	struct config *fresh = NULL;
	struct zone_member *member = enter(w, "Plain", "", "/srv");
	char *restart = NULL;

	fresh = configured(w, "[filter Other]\n");
	assert_int_equal(config_take(w, w->config, fresh, &restart), 0);
	assert_string_equal(restart, "");
	assert_int_equal(zones_changed(w->zones), 0);
	assert_non_null(zone_named(w, "Plain").name);
	assert_false(zone_named(w, "Plain").configured);
	assert_true(zone_named(w, "Other").configured);
	talloc_free(member);
	assert_int_equal(zones_changed(w->zones), 0);
	assert_null(zone_named(w, "Plain").name);
}

/* The innermost share has it; a zone without a section is the default one. */
static void test_pool_of_a_path(void **p)
{
	struct world *w = *p;
	struct config *fresh = NULL;
	char *restart = NULL;

	fresh = configured(w, "[server a]\nserver_uri = null:\n"
			   "[server b]\nserver_uri = null:\npool = icap\n"
			   "[filter Deep]\npool = icap\n");
	assert_int_equal(config_take(w, w->config, fresh, &restart), 0);
	enter(w, "Out", "out", "/srv/out");
	enter(w, "Deep", "deep", "/srv/out/deep");
	assert_string_equal(zones_pool(w->zones, "/srv/out/deep/a"), "icap");
	assert_string_equal(zones_pool(w->zones, "/srv/out/deep"), "icap");
	assert_string_equal(zones_pool(w->zones, "/srv/out/deeper/a"),
			    "default");
	assert_string_equal(zones_pool(w->zones, "/srv/out/a"), "default");
	assert_string_equal(zones_pool(w->zones, "/elsewhere"), "default");
}

static char *filters_text(struct world *w)
{
	char *text = talloc_zero_size(w, 1 << 20);
	FILE *f = fopen(in_dir(w, "filters"), "r");

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void test_filters_file(void **p)
{
	struct world *w = *p;
	struct filter f = config_filter(w->config, "Plain");
	uint8_t bytes[FILTER_MAX];
	struct buf b = buf_writer(bytes, sizeof(bytes));
	char *line = talloc_strdup(w, "Plain ");
	size_t i;

	filter_put(&b, &f);
	for (i = 0; i < b.pos; i++) {
		line = talloc_asprintf_append(line, "%02x", bytes[i]);
	}
	line = talloc_asprintf_append(line, "\n");
	assert_non_null(strstr(filters_text(w), line));
	assert_null(strstr(filters_text(w), "Lab "));
	enter(w, "Lab", "s", "/srv");
	start_again(w);
	assert_non_null(strstr(filters_text(w), "Lab "));
}

/* A disk that is full in mid-file leaves the file before as it was. */
static void test_filters_file_is_whole(void **p)
{
	struct world *w = *p;
	struct rlimit old, small;
	char name[32];
	char *before = NULL;
	unsigned int i;
	int ret;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "z%u", i);
		enter(w, name, "", "/");
	}
	assert_int_equal(zones_changed(w->zones), 0);
	before = filters_text(w);
	assert_true(strlen(before) > 12288);
	enter(w, "one-more", "", "/");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 6000;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	ret = zones_changed(w->zones);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(ret, EFBIG);
	assert_string_equal(filters_text(w), before);
	assert_int_equal(access(in_dir(w, "filters.new"), F_OK), -1);
}

static bool no_zone_is_up(const struct world *w)
{
	const struct event *event = events_up(w->events, 0);

	return event != NULL &&
	       event->number == EVENT_SW_AVSCAN_CAVA_NO_ZONE;
}

/* Takes it up; is it said that no zone scans? */
static bool no_zone_with(struct world *w, const char *text)
{
	struct config *fresh = configured(w, text);
	char *restart = NULL;

	assert_int_equal(config_take(w, w->config, fresh, &restart), 0);
	assert_int_equal(zones_changed(w->zones), 0);
	return no_zone_is_up(w);
}

static void test_no_zone_scans(void **p)
{
	struct world *w = *p;
	struct zone_member *member = NULL;

	assert_false(no_zone_is_up(w));
	assert_false(no_zone_with(w, "[filter Plain]\nfilter_enabled = no\n"));
	assert_true(no_zone_with(w, "[filter Plain]\nfilter_enabled = no\n"
				 "[filter System]\nfilter_enabled = no\n"));
	/* nobody wants it to */
	assert_false(no_zone_with(w, "service_enabled = no\n[filter Plain]\n"
				  "filter_enabled = no\n[filter System]\n"
				  "filter_enabled = no\n"));
	assert_true(no_zone_with(w, "scan_zones = Plain\n"
				 "[filter Plain]\nfilter_enabled = no\n"));
	assert_false(no_zone_with(w, "[filter Plain]\n"));

	/* a share's zone without a filter is one that scans */
	assert_true(no_zone_with(w, "[filter Plain]\nfilter_enabled = no\n"
				 "[filter System]\nfilter_enabled = no\n"));
	member = enter(w, "New", "s", "/srv");
	assert_int_equal(tevent_loop_once(w->test->ev), 0);
	assert_false(no_zone_is_up(w));
	talloc_free(member);
}

static void test_counts(void **p)
{
	struct world *w = *p;
	const struct proto_count count = {
		.profile = 1, .extension = 2, .path = 3, .exempt = 4,
		.size = 5, .user = "DOM\\backup", .client = "192.0.2.9",
	};

	zone_count(w->zones, &count);
	zone_count(w->zones, &count);
	assert_int_equal(w->counters.files_skipped_profile, 2);
	assert_int_equal(w->counters.files_skipped_extension, 4);
	assert_int_equal(w->counters.files_skipped_path, 6);
	assert_int_equal(w->counters.files_skipped_exempt, 8);
	assert_int_equal(w->counters.files_skipped_per_filter, 20);
	assert_int_equal(w->counters.files_skipped_per_size, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONE_TEST(test_configured),
		ZONE_TEST(test_announced_is_kept),
		ZONE_TEST(test_root_that_changes),
		ZONE_TEST(test_sorted),
		ZONE_TEST(test_improper_names),
		ZONE_TEST(test_share_names),
		ZONE_TEST(test_limits),
		ZONE_TEST(test_added_and_removed),
		ZONE_TEST(test_taken_out_of_the_file),
		ZONE_TEST(test_pool_of_a_path),
		ZONE_TEST(test_filters_file),
		ZONE_TEST(test_filters_file_is_whole),
		ZONE_TEST(test_no_zone_scans),
		ZONE_TEST(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
