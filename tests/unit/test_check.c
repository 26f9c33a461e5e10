/* includes: cavad/scan.c cavad/server.c cavad/store.c
 *
 * The law of CHECK$: who, from where, to where, which file. Accounts in the
 * store, servers and scans are rows of the test; all else is cavad/check.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "cavad/check.h"

#define SID "S-1-5-21-1-2-3-1000"
#define SCANS_MAX 8

/* What cavad/scan.c would know. */

struct row {
	uint64_t ino;
	const char *path;
	const char *server;
	bool ended;
	bool fetched;		/* as scan_fetched() said */
	bool wrong;		/* as scan_wrong_file() said */
	bool unlocked;		/* as scan_unlock() said */
};

struct scans {
	struct row rows[SCANS_MAX];
	unsigned int count;
};

bool scan_outstanding(struct scans *s, const struct ident *ident,
		      unsigned int i, struct scan_outstanding *o)
{
	unsigned int row;

	for (row = 0; row < s->count; row++) {
		if (s->rows[row].ino != ident->ino || i-- > 0) {
			continue;
		}
		*o = (struct scan_outstanding) {
			.path = s->rows[row].path,
			.server = s->rows[row].server,
			.ended = s->rows[row].ended,
		};
		return true;
	}
	return false;
}

void scan_fetched(struct scans *s, const struct ident *ident)
{
	unsigned int row;

	for (row = 0; row < s->count; row++) {
		if (s->rows[row].ino == ident->ino && !s->rows[row].ended) {
			s->rows[row].fetched = true;
		}
	}
}

const char *scan_alias(struct scans *s, const char *alias)
{
	(void)s;
	return strcmp(alias, "/srv/cava-alias-1") == 0 ? "/srv/a:b" : NULL;
}

void scan_unlock(struct scans *s, const struct ident *ident)
{
	unsigned int row;

	for (row = 0; row < s->count; row++) {
		if (s->rows[row].ino == ident->ino && !s->rows[row].ended) {
			s->rows[row].unlocked = true;
		}
	}
}

bool scan_wrong_file(struct scans *s, const char *path)
{
	bool found = false;
	unsigned int row;

	for (row = 0; row < s->count; row++) {
		if (!s->rows[row].ended &&
		    strcmp(s->rows[row].path, path) == 0) {
			s->rows[row].wrong = true;
			found = true;
		}
	}
	return found;
}

void scan_outstanding_paths(struct scans *s,
			    void (*fn)(void *private_data, const char *path),
			    void *private_data)
{
	unsigned int row;

	for (row = 0; row < s->count; row++) {
		fn(private_data, s->rows[row].path);
	}
}

/* And the others: server av1 comes from 10.0.0.1, av2 from 10.0.0.2. */

bool servers_address(const struct servers *s, const char *server,
		     const char *addr)
{
	(void)s;
	return strncmp(server, "av", 2) == 0 &&
		strncmp(addr, "10.0.0.", 7) == 0 &&
		strcmp(server + 2, addr + 7) == 0;
}

static const char *vendors[4];
static int vendors_error;

int store_avvendor_list(struct store *s, TALLOC_CTX *mem_ctx,
			struct store_account **list)
{
	size_t i;

	(void)s;
	if (vendors_error != 0) {
		return vendors_error;
	}
	*list = talloc_zero_array(mem_ctx, struct store_account, 5);
	for (i = 0; i < 4 && vendors[i] != NULL; i++) {
		(*list)[i].name = vendors[i];
	}
	return 0;
}

/* The set-up. */

struct test {
	struct check *check;
	struct config config;
	struct scans scans;
	struct events *events;
	struct counters counters;
	struct proto_check ask;
	struct proto_check_answer answer;
};

static int set_up(void **p)
{
	struct test *t = talloc_zero(NULL, struct test);
	int ret;

	t->events = events_create(t);
	assert_non_null(t->events);
	ret = check_create(t, NULL, &t->config, NULL, NULL, &t->scans,
			   t->events, &t->counters, &t->check);
	assert_int_equal(ret, 0);
	vendors_error = 0;
	memset(vendors, 0, sizeof(vendors));
	vendors[0] = "DOM\\svc";
	t->ask = (struct proto_check) {
		.id = 7,
		.what = PROTO_WHAT_OPEN,
		.sid = SID,
		.account = "DOM\\svc",
		.addr = "10.0.0.1",
		.server_addr = "10.1.1.1",
		.ident = { .ino = 1 },
		.path = "/srv/a",
	};
	*p = t;
	return 0;
}

static int tear_down(void **p)
{
	talloc_free(*p);
	return 0;
}

static struct row *scanned(struct test *t, uint64_t ino, const char *path,
			   const char *server, bool ended)
{
	struct row *row = &t->scans.rows[t->scans.count++];

	*row = (struct row) {
		.ino = ino, .path = path, .server = server, .ended = ended,
	};
	return row;
}

static bool allowed(struct test *t)
{
	check_ask(t->check, t, &t->ask, &t->answer);
	assert_int_equal(t->answer.id, 7);
	assert_int_equal(t->answer.allowed, t->answer.reason[0] == '\0');
	return t->answer.allowed == 1;
}

#define REFUSED(t, text) do { \
	assert_false(allowed(t)); \
	assert_non_null(strstr((t)->answer.reason, text)); \
} while (0)

/* Accounts. */

static void test_account_matches(void **p)
{
	static const struct {
		const char *entry, *account;
		bool local, match;
	} rows[] = {
		{ SID, "DOM\\other", false, true },
		{ "s-1-5-21-1-2-3-1000", "DOM\\other", false, true },
		{ "S-1-5-21-1-2-3-100", "DOM\\svc", false, false },
		{ "S-1-5-21-1-2-3-10000", "DOM\\svc", false, false },
		{ "DOM\\svc", "DOM\\svc", false, true },
		{ "dom\\SVC", "DOM\\svc", false, true },
		{ "DOM\\svc", "OTHER\\svc", false, false },
		{ "DOM\\svc", "DOM\\svc2", false, false },
		{ "DOM\\svc2", "DOM\\svc", false, false },
		{ "HOST\\av", "HOST\\av", true, true },
		/* a bare name is a local account, nobody of a domain */
		{ "svc", "HOST\\svc", true, true },
		{ "SVC", "HOST\\svc", true, true },
		{ "svc", "svc", true, true },
		{ "svc", "DOM\\svc", false, false },
		{ "svc", "svc", false, false },
		{ "svc", "HOST\\svc2", true, false },
		{ "DOM", "DOM\\svc", true, false },
		{ "", "", true, false },
		{ "", "DOM\\", true, false },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(check_account_matches(
			rows[i].entry, SID, rows[i].account, rows[i].local),
			rows[i].match);
	}
}

static void test_account_valid(void **p)
{
	static const char *const good[] = {
		"a", "DOM\\svc", "DOM\\host$", "svc cava", "a.b-c_d", SID,
		"S-1-1-0", "gr\xc3\xbcn", "DOM\\Dom\xc3\xa4ne",
	};
	static const char *const bad[] = {
		"", " a", "a ", "\\a", "a\\", "a\\b\\c", "a/b", "a:b", "a@b",
		"*", "a\nb", "a\x7f", "S-1-", "S-1-5", "S-1-5-", "S-1-5-x",
		"S-1-5-21-1234567890123456", "S-1-5--1", "a\"b", "a;b",
	};
	char text[400];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *error = NULL;

		assert_int_equal(check_account_valid(*p, good[i], &error),
				 0);
		assert_null(error);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *error = NULL;

		assert_int_equal(check_account_valid(*p, bad[i], &error),
				 EINVAL);
		assert_non_null(strstr(error, bad[i]));
	}
	memset(text, 'a', sizeof(text));
	for (i = 300; i < 302; i++) {
		char *error = NULL;

		text[i] = '\0';
		assert_int_equal(check_account_valid(*p, text, &error),
				 i == 300 ? 0 : EINVAL);
		text[i] = 'a';
	}
}

static void test_tree(void **p)
{
	struct test *t = *p;

	t->ask.what = PROTO_WHAT_TREE;
	assert_true(allowed(t));
	t->ask.account = "DOM\\other";
	REFUSED(t, "cavactl avvendor add 'DOM\\other'");
	t->ask.account = "OTHER\\svc";
	REFUSED(t, "no AVVendor account");
	vendors[1] = "other";
	t->ask.account = "HOST\\other";
	REFUSED(t, "no AVVendor account");
	t->ask.local = 1;
	assert_true(allowed(t));
	vendors[0] = NULL;
	REFUSED(t, "no AVVendor account");
	vendors[0] = SID;
	assert_true(allowed(t));
	/* what cannot be known is no */
	vendors_error = EIO;
	REFUSED(t, "no AVVendor account");
	assert_int_equal(t->counters.check_refused, 5);
	assert_int_equal(t->counters.check_allowed, 0);	/* counts opens */
}

/* Every question is about the account first. */
static void test_account_of_every_kind(void **p)
{
	struct test *t = *p;
	uint8_t what;

	scanned(t, 1, "/srv/a", "av1", false);
	t->config.settings.check_scope = 1;
	t->config.settings.allow_clean = true;
	for (what = PROTO_WHAT_TREE; what <= PROTO_WHAT_CHANGE; what++) {
		t->ask.what = what;
		t->ask.account = "DOM\\svc";
		assert_true(allowed(t));
		t->ask.account = "DOM\\other";
		REFUSED(t, "no AVVendor account");
		t->ask.account = "DOM\\svc";
		t->config.settings.ip_pool = (const char *[]) { "10.9.9.9",
								NULL };
		REFUSED(t, "ip_pool");
		t->config.settings.ip_pool = NULL;
	}
}

static void test_ip_pool(void **p)
{
	static const struct {
		const char *pool[3];
		const char *addr;
		bool in;
	} rows[] = {
		{ { NULL }, "10.1.1.1", true },
		{ { "10.1.1.1" }, "10.1.1.1", true },
		{ { "10.1.1.1", "10.1.1.2" }, "10.1.1.2", true },
		{ { "10.1.1.1", "10.1.1.2" }, "10.1.1.3", false },
		{ { "10.1.1.1" }, "::ffff:10.1.1.1", true },
		{ { "fd00::1" }, "fd00:0:0::1", true },
		{ { "FD00::A" }, "fd00::a%eth0", true },
		{ { "fd00::1" }, "fd00::2", false },
		{ { "10.1.1.1" }, "", false },
		{ { "10.1.1.1" }, "nonsense", false },
		{ { "::1" }, "", false },
		/* a name that was not looked up stands for no address */
		{ { "10.1.1.1", "files.example" }, "10.1.1.3", false },
		{ { "files.example", "10.1.1.1" }, "10.1.1.1", true },
	};
	struct test *t = *p;
	size_t i;

	t->ask.what = PROTO_WHAT_TREE;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *pool[3] = { rows[i].pool[0], rows[i].pool[1] };

		t->config.settings.ip_pool = pool;
		t->ask.server_addr = rows[i].addr;
		assert_int_equal(allowed(t), rows[i].in);
	}
	t->config.settings.ip_pool = NULL;
}

/* Files. */

static void test_only_what_is_scanned(void **p)
{
	struct test *t = *p;
	struct row *row = scanned(t, 1, "/srv/a", "av1", false);

	assert_true(allowed(t));
	assert_true(row->fetched);
	t->ask.ident.ino = 2;
	t->ask.path = "/srv/b";
	REFUSED(t, "nobody asked to scan /srv/b");
	assert_false(row->wrong);
	assert_int_equal(t->counters.check_allowed, 1);
	assert_int_equal(t->counters.check_refused, 1);
}

static void test_address_of_the_server(void **p)
{
	struct test *t = *p;
	struct row *row = scanned(t, 1, "/srv/a", "av1", false);

	t->ask.addr = "10.0.0.2";
	REFUSED(t, "to which 10.0.0.2 does not belong");
	assert_non_null(strstr(t->answer.reason,
			       "fetch_addresses of [server av1]"));
	assert_false(row->fetched);
	assert_false(row->wrong);
}

/* Within check_grace; that is no fetch of what is asked now. */
static void test_ended(void **p)
{
	struct test *t = *p;
	struct row *row = NULL;

	scanned(t, 1, "/srv/a", "av1", true);
	assert_true(allowed(t));
	/* now av2 is asked, and av1 still has a look */
	row = scanned(t, 1, "/srv/a", "av2", false);
	assert_true(allowed(t));
	assert_false(row->fetched);
	t->ask.addr = "10.0.0.2";
	assert_true(allowed(t));
	assert_true(row->fetched);
}

static void test_wrong_inode(void **p)
{
	struct test *t = *p;
	struct row *row = scanned(t, 1, "/srv/a", "av1", false);

	t->ask.ident.ino = 2;
	REFUSED(t, "/srv/a is not the file that is being scanned");
	assert_true(row->wrong);
	assert_false(row->fetched);
}

/* One that may be opened too is as wrong under another's name. */
static void test_swapped(void **p)
{
	struct test *t = *p;
	struct row *a = scanned(t, 1, "/srv/a", "av1", false);
	struct row *b = scanned(t, 2, "/srv/b", "av1", false);

	t->ask.path = "/srv/b";
	REFUSED(t, "not the file");
	assert_true(b->wrong);
	assert_false(a->wrong);
	t->ask.path = "/srv/a";
	t->ask.ident.ino = 2;
	REFUSED(t, "not the file");
	assert_true(a->wrong);
	assert_false(a->fetched || b->fetched);
}

/* Nor one whose scan under this name is over. */
static void test_swapped_with_ended(void **p)
{
	struct test *t = *p;
	struct row *b = NULL;

	scanned(t, 1, "/srv/a", "av1", true);
	b = scanned(t, 2, "/srv/a", "av1", false);
	REFUSED(t, "not the file");
	assert_true(b->wrong);
}

/* Renamed meanwhile, and nothing else is scanned by that name. */
static void test_renamed(void **p)
{
	struct test *t = *p;
	struct row *row = scanned(t, 1, "/srv/a", "av1", false);

	t->ask.path = "/srv/renamed";
	assert_true(allowed(t));
	assert_true(row->fetched);
	assert_false(row->wrong);
}

/* check_scope = all: any file and address, but never the wrong inode. */
static void test_scope_all(void **p)
{
	struct test *t = *p;
	struct row *row = scanned(t, 1, "/srv/a", "av1", false);

	t->config.settings.check_scope = 1;
	t->ask.addr = "192.0.2.1";
	assert_true(allowed(t));
	assert_true(row->fetched);
	t->ask.ident.ino = 2;
	t->ask.path = "/srv/b";
	assert_true(allowed(t));
	t->ask.path = "/srv/a";
	REFUSED(t, "not the file");
	assert_true(row->wrong);
	t->ask.account = "DOM\\other";
	REFUSED(t, "no AVVendor account");
}

/* A refusal is up about the pair until it is allowed to open something. */
static void test_event(void **p)
{
	struct test *t = *p;
	const struct event *e = NULL;

	assert_false(allowed(t));
	assert_false(allowed(t));
	e = events_up(t->events, 0);
	assert_non_null(e);
	assert_int_equal(e->number, EVENT_CAVA_CHECK_REFUSED);
	assert_string_equal(e->what, "DOM\\svc@10.0.0.1");
	assert_int_equal(e->count, 2);
	t->ask.what = PROTO_WHAT_TREE;
	assert_true(allowed(t));
	assert_non_null(events_up(t->events, 0));
	t->ask.what = PROTO_WHAT_OPEN;
	scanned(t, 1, "/srv/a", "av1", false);
	assert_true(allowed(t));
	assert_null(events_up(t->events, 0));
}

static const struct event *event_of(struct test *t, const char *what)
{
	const struct event *e = NULL;
	unsigned int i;

	for (i = 0; (e = events_up(t->events, i)) != NULL; i++) {
		if (strcmp(e->what, what) == 0) {
			break;
		}
	}
	return e;
}

/* Whoever has many addresses fills no more than a part of the events. */
static void test_flood(void **p)
{
	struct test *t = *p;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		t->ask.addr = talloc_asprintf(t, "fd00::%x", i);
		assert_false(allowed(t));
	}
	assert_non_null(event_of(t, "DOM\\svc@fd00::0"));
	assert_non_null(event_of(t, "DOM\\svc@fd00::1f"));
	assert_null(event_of(t, "DOM\\svc@fd00::20"));
	assert_int_equal(event_of(t, "others")->count, 168);
	assert_null(events_up(t->events, 33));
	/* one that is up goes on counting */
	t->ask.addr = "fd00::1f";
	assert_false(allowed(t));
	assert_int_equal(event_of(t, "DOM\\svc@fd00::1f")->count, 2);
	assert_int_equal(t->counters.check_refused, 201);
}

/* Attributes are shown to every scanner, what else there is is not. */
static void test_look_and_meta(void **p)
{
	struct test *t = *p;
	struct row *row = NULL;

	t->ask.what = PROTO_WHAT_LOOK;
	assert_true(allowed(t));
	t->ask.what = PROTO_WHAT_META;
	REFUSED(t, "nobody asked to scan /srv/a");
	row = scanned(t, 1, "/srv/a", "av1", false);
	assert_true(allowed(t));
	assert_false(row->fetched);
	t->ask.addr = "10.0.0.2";
	REFUSED(t, "to which 10.0.0.2 does not belong");
	/* no content was read, so the scan is as good as before */
	t->ask.addr = "10.0.0.1";
	t->ask.ident.ino = 2;
	REFUSED(t, "nobody asked");
	assert_false(row->wrong);
}

static void test_refused_by_the_module(void **p)
{
	struct test *t = *p;

	t->ask.what = PROTO_WHAT_REFUSED;
	t->ask.path = "SMB1";
	scanned(t, 1, "SMB1", "av1", false);
	REFUSED(t, "SMB1");
	assert_int_equal(t->counters.check_refused, 1);
}

/* Repairs. */

static void test_change_needs_allow_clean(void **p)
{
	struct test *t = *p;
	struct row *row = scanned(t, 1, "/srv/a", "av1", false);

	t->ask.what = PROTO_WHAT_CHANGE;
	REFUSED(t, "set allow_clean = yes and run cavad --setup-share");
	assert_false(row->unlocked);
	t->config.settings.allow_clean = true;
	assert_true(allowed(t));
	assert_true(row->unlocked);
	assert_false(row->fetched);
}

/* check_scope = all lets read, and nothing more. */
static void test_change_only_what_is_scanned(void **p)
{
	struct test *t = *p;
	struct row *row = NULL;

	t->ask.what = PROTO_WHAT_CHANGE;
	t->config.settings.allow_clean = true;
	t->config.settings.check_scope = 1;
	REFUSED(t, "nobody asked to scan /srv/a; allow_clean is for");
	row = scanned(t, 1, "/srv/a", "av1", false);
	t->ask.addr = "10.0.0.2";
	REFUSED(t, "to which 10.0.0.2 does not belong");
	assert_false(row->unlocked);
	t->ask.addr = "10.0.0.1";
	t->ask.ident.ino = 2;
	REFUSED(t, "nobody asked");
	assert_false(row->wrong);
	t->ask.ident.ino = 1;
	row->ended = true;		/* within check_grace */
	assert_true(allowed(t));
	t->ask.account = "DOM\\other";
	REFUSED(t, "no AVVendor account");
}

static void test_done(void **p)
{
	struct test *t = *p;
	uint8_t what;

	for (what = PROTO_WHAT_TREE; what <= PROTO_WHAT_REFUSED; what++) {
		t->ask.what = what;
		assert_int_equal(check_done(t->check, &t->ask),
				 what >= PROTO_WHAT_WRITTEN &&
				 what <= PROTO_WHAT_DELETED);
	}
	assert_int_equal(t->counters.check_changes, 3);
	assert_int_equal(t->counters.check_refused, 0);
}

/* Listings. */

static void test_names(void **p)
{
	struct test *t = *p;

	assert_string_equal(check_names(t->check, t, "/srv"), "");
	scanned(t, 1, "/srv/dir/b", "av1", false);
	scanned(t, 2, "/srv/dir/sub/deep/x", "av1", false);
	scanned(t, 3, "/srv/dir/sub/y", "av1", true);
	scanned(t, 4, "/srv/dirt", "av1", false);
	scanned(t, 5, "/srv/dir/a", "av1", false);
	assert_string_equal(check_names(t->check, t, "/srv/dir"),
			    "a\nb\nsub\n");
	assert_string_equal(check_names(t->check, t, "/srv/dir/"),
			    "a\nb\nsub\n");
	assert_string_equal(check_names(t->check, t, "/srv"), "dir\ndirt\n");
	assert_string_equal(check_names(t->check, t, "/"), "srv\n");
	assert_string_equal(check_names(t->check, t, "/srv/dir/sub/deep"),
			    "x\n");
	assert_string_equal(check_names(t->check, t, "/srv/dir/b"), "");
	assert_string_equal(check_names(t->check, t, "/sr"), "");
	assert_string_equal(check_names(t->check, t, "/other"), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_account_matches), TEST(test_account_valid),
		TEST(test_tree), TEST(test_account_of_every_kind),
		TEST(test_ip_pool), TEST(test_only_what_is_scanned),
		TEST(test_address_of_the_server), TEST(test_ended),
		TEST(test_wrong_inode), TEST(test_swapped),
		TEST(test_swapped_with_ended), TEST(test_renamed),
		TEST(test_scope_all), TEST(test_event), TEST(test_flood),
		TEST(test_look_and_meta), TEST(test_refused_by_the_module),
		TEST(test_change_needs_allow_clean),
		TEST(test_change_only_what_is_scanned), TEST(test_done),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
