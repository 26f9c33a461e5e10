/*
 * Scan or not: the tables of filter.h, each cell of them, and the rules.
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
#include <string.h>

#include "common/filter.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* "a", "b" as the bytes of a list. */
#define LIST(text) ((struct filter_list) { .items = (text), \
					   .size = sizeof(text) })

/* ---- reads: every profile, every state ---- */

enum cell {
	GO,			/* without a reason: it is clean */
	DENY,			/* it is infected */
	ASK,			/* scan and wait */
	OWED,			/* wait if one is owed */
	PASS,			/* unscanned, since the profile says so */
	STUCK,			/* denied: nobody will clear it */
	KEPT			/* denied: quarantined */
};

static const struct {
	enum verdict_state state;
	enum cell cells[4];	/* standard, strict, writes_only, no_scan */
} reads[] = {
	{ VERDICT_STATE_NONE, { OWED, ASK, PASS, PASS } },
	{ VERDICT_STATE_STALE, { OWED, ASK, PASS, PASS } },
	{ VERDICT_STATE_MARKED, { ASK, ASK, PASS, PASS } },
	{ VERDICT_STATE_CLEAN, { GO, GO, GO, GO } },
	{ VERDICT_STATE_INFECTED, { DENY, DENY, DENY, DENY } },
	{ VERDICT_STATE_WAS_INFECTED, { ASK, ASK, STUCK, STUCK } },
	{ VERDICT_STATE_QUARANTINED, { KEPT, KEPT, KEPT, KEPT } },
};

static void assert_cell(struct filter_decision d, enum cell cell)
{
	static const struct filter_decision meant[] = {
		[GO] = { FILTER_GO, VERDICT_REASON_NONE },
		[DENY] = { FILTER_DENY, VERDICT_REASON_NONE },
		[ASK] = { FILTER_ASK, VERDICT_REASON_NONE },
		[OWED] = { FILTER_ASK_OWED, VERDICT_REASON_NONE },
		[PASS] = { FILTER_GO, VERDICT_REASON_PROFILE },
		[STUCK] = { FILTER_DENY, VERDICT_REASON_WAS_INFECTED },
		[KEPT] = { FILTER_DENY, VERDICT_REASON_QUARANTINED },
	};

	assert_int_equal(d.action, meant[cell].action);
	assert_int_equal(d.reason, meant[cell].reason);
}

static void test_reads(void **p)
{
	struct filter f = FILTER_DEFAULT;
	size_t i, profile;

	(void)p;
	for (i = 0; i < COUNT(reads); i++) {
		struct filter_facts x = { .operation = FILTER_READ,
					  .state = reads[i].state };

		for (profile = 0; profile < 4; profile++) {
			f.profile = (enum filter_profile)profile;
			assert_cell(filter_decide(&f, &x),
				    reads[i].cells[profile]);
			/* an open before a synchronous read is one */
			x.operation = FILTER_OPEN;
			x.gate = true;
			assert_cell(filter_decide(&f, &x),
				    reads[i].cells[profile]);
			x.operation = FILTER_READ;
			x.gate = false;
		}
	}
}

/* What was written unscanned waits where it would have been scanned. */
static void test_marks(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_READ,
				  .state = VERDICT_STATE_MARKED };

	(void)p;
	for (x.mark = 0; x.mark < VERDICT_REASON_COUNT; x.mark++) {
		bool unwatched = x.mark == VERDICT_REASON_PROFILE ||
			x.mark == VERDICT_REASON_DISABLED;

		f.on_close = FILTER_TRIGGER_PROFILE;
		assert_cell(filter_decide(&f, &x), ASK);
		f.on_close = FILTER_TRIGGER_NO;
		assert_cell(filter_decide(&f, &x), unwatched ? OWED : ASK);
	}
}

static void test_read_triggers(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_READ };

	(void)p;
	f.profile = FILTER_NO_SCAN;
	f.on_read = FILTER_TRIGGER_YES;
	assert_cell(filter_decide(&f, &x), ASK);
	f.profile = FILTER_STRICT;
	f.on_read = FILTER_TRIGGER_NO;
	assert_cell(filter_decide(&f, &x), PASS);
	x.state = VERDICT_STATE_WAS_INFECTED;
	assert_cell(filter_decide(&f, &x), STUCK);
	x.state = VERDICT_STATE_INFECTED;
	assert_cell(filter_decide(&f, &x), DENY);
}

/* What the handle itself made, but never what is known infected. */
static void test_own_content(void **p)
{
	static const struct {
		enum verdict_state state;
		bool goes;
	} rows[] = {
		{ VERDICT_STATE_NONE, true }, { VERDICT_STATE_STALE, true },
		{ VERDICT_STATE_MARKED, true }, { VERDICT_STATE_CLEAN, true },
		{ VERDICT_STATE_WAS_INFECTED, true },
		{ VERDICT_STATE_INFECTED, false },
		{ VERDICT_STATE_UNSCANNABLE, false },
	};
	struct filter f = FILTER_DEFAULT;
	size_t i;

	(void)p;
	f.profile = FILTER_STRICT;
	f.open_on_fail = false;
	for (i = 0; i < COUNT(rows); i++) {
		struct filter_facts x = { .operation = FILTER_READ,
					  .state = rows[i].state,
					  .own_content = true };

		assert_int_equal(filter_decide(&f, &x).action == FILTER_GO,
				 rows[i].goes);
	}
}

static void test_unscannable(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_READ,
				  .state = VERDICT_STATE_UNSCANNABLE };
	struct filter_decision d;

	(void)p;
	f.profile = FILTER_STRICT;
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_GO);
	assert_int_equal(d.reason, VERDICT_REASON_LIMIT);
	f.open_on_fail = false;
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_DENY);
	assert_int_equal(d.reason, VERDICT_REASON_LIMIT);
}

static void test_opens(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_OPEN };
	int state;

	(void)p;
	f.profile = FILTER_STRICT;
	for (state = VERDICT_STATE_NONE; state <= VERDICT_STATE_QUARANTINED;
	     state++) {
		x.operation = FILTER_OPEN;
		x.state = (enum verdict_state)state;
		assert_cell(filter_decide(&f, &x),
			    state == VERDICT_STATE_INFECTED ? DENY :
			    state == VERDICT_STATE_QUARANTINED ? KEPT : GO);
		x.operation = FILTER_OPEN_REPLACE;	/* how it is fixed */
		assert_cell(filter_decide(&f, &x), GO);
	}
}

/* ---- close and rename ---- */

static const struct {
	enum filter_profile profile;
	enum filter_trigger trigger;
	bool told;
} changes[] = {
	{ FILTER_STANDARD, FILTER_TRIGGER_PROFILE, true },
	{ FILTER_STRICT, FILTER_TRIGGER_PROFILE, true },
	{ FILTER_WRITES_ONLY, FILTER_TRIGGER_PROFILE, true },
	{ FILTER_NO_SCAN, FILTER_TRIGGER_PROFILE, false },
	{ FILTER_STRICT, FILTER_TRIGGER_NO, false },
	{ FILTER_NO_SCAN, FILTER_TRIGGER_YES, true },
};

static void test_changes(void **p)
{
	size_t i;

	(void)p;
	for (i = 0; i < COUNT(changes); i++) {
		struct filter f = FILTER_DEFAULT;
		struct filter_facts x = { .operation = FILTER_CLOSE,
					  .written = true };
		struct filter_decision d;

		f.profile = changes[i].profile;
		f.on_close = changes[i].trigger;
		d = filter_decide(&f, &x);
		assert_int_equal(d.action, changes[i].told ? FILTER_NOTIFY :
							     FILTER_GO);
		assert_int_equal(d.reason, changes[i].told ?
				 VERDICT_REASON_NONE :
				 VERDICT_REASON_PROFILE);
		x.written = false;
		assert_cell(filter_decide(&f, &x), GO);

		f.on_rename = changes[i].trigger;
		f.on_close = FILTER_TRIGGER_PROFILE;
		x.operation = FILTER_RENAME;
		d = filter_decide(&f, &x);
		assert_int_equal(d.action == FILTER_NOTIFY, changes[i].told);
	}
}

static void test_disabled(void **p)
{
	static const enum filter_operation all[] = {
		FILTER_OPEN, FILTER_OPEN_REPLACE, FILTER_READ, FILTER_CLOSE,
		FILTER_RENAME };
	struct filter f = FILTER_DEFAULT;
	size_t i;

	(void)p;
	f.enabled = false;
	f.profile = FILTER_STRICT;
	for (i = 0; i < COUNT(all); i++) {
		struct filter_facts x = { .operation = all[i], .written = true,
					  .state = VERDICT_STATE_INFECTED };
		struct filter_decision d = filter_decide(&f, &x);

		assert_int_equal(d.action, FILTER_GO);
		assert_int_equal(d.reason, VERDICT_REASON_DISABLED);
	}
}

/* ---- what rules leave out ---- */

static struct filter with_rules(void)
{
	struct filter f = FILTER_DEFAULT;

	f.profile = FILTER_STRICT;
	f.extensions = LIST("*.log");
	return f;
}

static void test_rules_let_pass_and_say_why(void **p)
{
	struct filter f = with_rules();
	struct filter_facts x = { .operation = FILTER_READ,
				  .path = "/srv/a.log" };
	struct filter_decision d = filter_decide(&f, &x);

	(void)p;
	assert_int_equal(d.action, FILTER_GO);
	assert_int_equal(d.reason, VERDICT_REASON_EXTENSION);
	x.database = true;	/* only cavad may know it as infected */
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_ASK_KNOWN);
	assert_int_equal(d.reason, VERDICT_REASON_EXTENSION);
	x.database = false;
	x.state = VERDICT_STATE_INFECTED;
	assert_cell(filter_decide(&f, &x), DENY);
	x.state = VERDICT_STATE_WAS_INFECTED;
	assert_cell(filter_decide(&f, &x), ASK);

	x.state = VERDICT_STATE_NONE;
	x.operation = FILTER_CLOSE;
	x.written = true;
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_GO);
	assert_int_equal(d.reason, VERDICT_REASON_EXTENSION);
	x.state = VERDICT_STATE_WAS_INFECTED;
	assert_int_equal(filter_decide(&f, &x).action, FILTER_NOTIFY);
}

static void test_size(void **p)
{
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_READ, .size = 100 };
	struct filter_decision d;

	(void)p;
	f.profile = FILTER_STRICT;
	f.size_maximum = 100;
	assert_cell(filter_decide(&f, &x), ASK);
	x.size = 101;
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_GO);
	assert_int_equal(d.reason, VERDICT_REASON_TOO_LARGE);
	f.size_deny = true;
	d = filter_decide(&f, &x);
	assert_int_equal(d.action, FILTER_DENY);
	assert_int_equal(d.reason, VERDICT_REASON_TOO_LARGE);
	f.size_maximum = 0;
	assert_cell(filter_decide(&f, &x), ASK);
}

static const struct {
	const char *items;
	size_t size;
	bool include;
	bool no_extension_skip;
	bool exact;
	const char *path;
	bool skipped;
} names[] = {
#define E(items, include, none, exact, path, skipped) \
	{ items, sizeof(items), include, none, exact, path, skipped }
	/* what is listed is left out */
	E("*.txt", false, false, false, "/a/b.txt", true),
	E("*.txt", false, false, false, "/a/b.TXT", true),
	E("*.txt", false, false, true, "/a/b.TXT", false),
	E("*.txt", false, false, false, "/a/b.txt.exe", false),
	E("*.txt", false, false, false, "/a.txt/b", false),
	E("*.txt\0*.log", false, false, false, "/a/b.log", true),
	E("*.tar.gz", false, false, false, "/a/b.tar.gz", true),
	E("*.tar.gz", false, false, false, "/a/b.gz", false),
	E("*.gz", false, false, false, "/a/b.tar.gz", true),
	E("*.do?", false, false, false, "/a/b.doc", true),
	E("*.do?", false, false, false, "/a/b.docx", false),
	E("*.do?", false, false, false, "/a/b.do\xc3\xa4", true),
	E("*.*", false, false, false, "/a/b.c", true),
	E("*.*", false, false, false, "/a/b", false),
	/* dots and blanks at the end are none */
	E("*.txt", false, false, false, "/a/b.txt.", true),
	E("*.txt", false, false, false, "/a/b.txt . ", true),
	E("*.exe", true, false, false, "/a/b.exe.", false),
	/* dot files have the extension that follows */
	E("*.DS_Store", false, false, false, "/a/.ds_store", true),
	E("*.DS_Store", false, false, true, "/a/.ds_store", false),
	/* letters beyond ASCII */
	E("*.\xc3\x84\xc3\x96", false, false, false, "/b.\xc3\xa4\xc3\xb6",
	  true),
	E("*.\xd0\x94", false, false, false, "/b.\xd0\xb4", true),
	E("*.\xff", false, false, false, "/b.\xff", true),
	E("*.\xff", false, false, false, "/b.\xfe", false),
	/* only what is listed is scanned */
	E("*.exe", true, false, false, "/a/b.exe", false),
	E("*.exe", true, false, false, "/a/b.txt", true),
	E("", true, false, false, "/a/b.txt", true),
	/* no extension is a question of its own */
	E("*.exe", true, false, false, "/a/b", false),
	E("*.exe", true, true, false, "/a/b", true),
	E("*.exe", false, true, false, "/a/b", true),
	E("*.exe", false, true, false, "/a/b.", true),
	/* no name, no rule */
	E("*.exe", true, true, false, "", false),
#undef E
};

static void test_extensions(void **p)
{
	size_t i;

	(void)p;
	for (i = 0; i < COUNT(names); i++) {
		struct filter f = FILTER_DEFAULT;
		struct filter_facts x = { .path = names[i].path,
					  .case_sensitive = names[i].exact };
		enum verdict_reason reason;

		if (names[i].size > 1) {
			f.extensions.items = names[i].items;
			f.extensions.size = (uint32_t)names[i].size;
		}
		f.extensions_include = names[i].include;
		f.no_extension_skip = names[i].no_extension_skip;
		reason = filter_rules(&f, &x);
		if ((reason == VERDICT_REASON_EXTENSION) !=
		    names[i].skipped) {
			fail_msg("row %zu: %s on %s", i, names[i].items,
				 names[i].path);
		}
	}
}

static const struct {
	const char *rule;
	const char *path;
	bool exact;
	bool skipped;
} paths[] = {
	/* the file of that name, and all below */
	{ "/srv/share/tmp", "/srv/share/tmp", false, true },
	{ "/srv/share/tmp", "/srv/share/tmp/a/b", false, true },
	{ "/srv/share/tmp", "/srv/share/tmpx", false, false },
	{ "/srv/share/tmp", "/srv/share/x/tmp", false, false },
	/* with a slash: what is below only */
	{ "/srv/share/tmp/", "/srv/share/tmp", false, false },
	{ "/srv/share/tmp/", "/srv/share/tmp/a", false, true },
	/* from the share's root */
	{ "tmp", "/srv/share/tmp/a", false, true },
	{ "tmp/", "/srv/share/tmp/a", false, true },
	{ "tmp/a", "/srv/share/tmp/a", false, true },
	{ "a", "/srv/share/tmp/a", false, false },
	{ "tmp", "/srv/other/tmp/a", false, false },
	{ "tmp", "/srv/sharex/tmp/a", false, false },
	{ "tmp", "/srv/sharetmp/a", false, false },
	/* wildcards stay within a name */
	{ "*/cache/", "/srv/share/u1/cache/a", false, true },
	{ "*/cache/", "/srv/share/u1/u2/cache/a", false, false },
	{ "/srv/*/tmp", "/srv/share/tmp/a", false, true },
	{ "/srv/*/tmp", "/srv/a/b/tmp", false, false },
	{ "v?/x", "/srv/share/v1/x", false, true },
	{ "v?/x", "/srv/share/v10/x", false, false },
	{ "*.bak", "/srv/share/a.bak", false, true },
	{ "*.bak", "/srv/share/d/a.bak", false, false },
	/* case as the share has it */
	{ "TMP", "/srv/share/tmp/a", false, true },
	{ "TMP", "/srv/share/tmp/a", true, false },
	/* slashes count once */
	{ "//srv//share//tmp", "/srv/share/tmp/a", false, true },
	{ "/", "/srv/share/a", false, true },
};

static void test_paths(void **p)
{
	size_t i;

	(void)p;
	for (i = 0; i < COUNT(paths); i++) {
		struct filter f = FILTER_DEFAULT;
		struct filter_facts x = { .path = paths[i].path,
					  .root = "/srv/share",
					  .case_sensitive = paths[i].exact };
		enum verdict_reason reason;

		f.paths.items = paths[i].rule;
		f.paths.size = (uint32_t)strlen(paths[i].rule) + 1;
		reason = filter_rules(&f, &x);
		if ((reason == VERDICT_REASON_PATH) != paths[i].skipped) {
			fail_msg("row %zu: %s on %s", i, paths[i].rule,
				 paths[i].path);
		}
	}
}

/* However many stars: at most pattern times name. */
static void test_stars_end(void **p)
{
	char pattern[2002] = "*.";
	char path[4001] = "/";
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .path = path };
	size_t i;

	(void)p;
	for (i = 2; i < 2000; i += 2) {
		memcpy(pattern + i, "*a", 2);
	}
	memcpy(pattern + i, "b", 2);
	memset(path + 1, 'a', sizeof(path) - 2);
	path[2] = '.';
	f.extensions = (struct filter_list) { pattern, sizeof(pattern) };
	f.extensions.size = (uint32_t)strlen(pattern) + 1;
	assert_int_equal(filter_rules(&f, &x), VERDICT_REASON_NONE);
}

/* ---- who reads ---- */

static const struct {
	const char *item;
	const char *domain, *account;
	bool local;
	bool exempt;
} accounts[] = {
	{ "backup", "SERVER", "backup", true, true },
	{ "backup", "SERVER", "BACKUP", true, true },
	{ "backup", "DOMAIN", "backup", false, false },
	{ "DOMAIN\\backup", "DOMAIN", "backup", false, true },
	{ "domain\\backup", "DOMAIN", "Backup", false, true },
	{ "DOMAIN\\backup", "OTHER", "backup", false, false },
	{ "DOMAIN\\backup", "DOMAIN", "backup2", false, false },
	{ "DOMAIN\\back", "DOMAIN", "backup", false, false },
	{ "b*", "SERVER", "backup", true, false },
	{ "", "SERVER", "", true, false },
};

static void test_accounts(void **p)
{
	size_t i;

	(void)p;
	for (i = 0; i < COUNT(accounts); i++) {
		struct filter f = FILTER_DEFAULT;
		struct filter_facts x = { .domain = accounts[i].domain,
					  .account = accounts[i].account,
					  .local = accounts[i].local };

		f.accounts.items = accounts[i].item;
		f.accounts.size = (uint32_t)strlen(accounts[i].item) + 1;
		if (filter_exempt(&f, &x) != accounts[i].exempt) {
			fail_msg("row %zu: %s", i, accounts[i].item);
		}
	}
}

static const struct {
	const char *item;
	const char *host;
	bool valid;
	bool exempt;
} hosts[] = {
	{ "192.0.2.7", "192.0.2.7", true, true },
	{ "192.0.2.7", "192.0.2.77", true, false },
	{ "192.0.2.0/24", "192.0.2.255", true, true },
	{ "192.0.2.0/24", "192.0.3.0", true, false },
	{ "192.0.2.128/25", "192.0.2.127", true, false },
	{ "192.0.2.128/25", "192.0.2.128", true, true },
	{ "0.0.0.0/0", "203.0.113.9", true, true },
	{ "0.0.0.0/0", "2001:db8::1", true, false },
	{ "192.0.2.7/32", "192.0.2.7", true, true },
	{ "192.0.2.7", "::ffff:192.0.2.7", true, true },
	{ "2001:db8::/32", "2001:db8:1::5", true, true },
	{ "2001:db8::/32", "2001:db9::5", true, false },
	{ "2001:db8::1", "2001:DB8:0::1", true, true },
	{ "::1/128", "::1", true, true },
	{ "192.0.2.7/33", "192.0.2.7", false, false },
	{ "192.0.2.7/", "192.0.2.7", false, false },
	{ "192.0.2.7/8x", "192.0.2.7", false, false },
	{ "192.0.2.7/08", "192.0.2.7", false, false },
	{ "192.0.2", "192.0.2.0", false, false },
	{ "::1/129", "::1", false, false },
	{ "backup.example", "192.0.2.7", false, false },
	{ "", "", false, false },
	{ "192.0.2.7", "backup.example", true, false },
	{ "192.0.2.7", "", true, false },
};

static void test_hosts(void **p)
{
	size_t i;

	(void)p;
	for (i = 0; i < COUNT(hosts); i++) {
		struct filter f = FILTER_DEFAULT;
		struct filter_facts x = { .host = hosts[i].host };

		f.hosts.items = hosts[i].item;
		f.hosts.size = (uint32_t)strlen(hosts[i].item) + 1;
		if (filter_exempt(&f, &x) != hosts[i].exempt ||
		    filter_is_host(hosts[i].item) != hosts[i].valid) {
			fail_msg("row %zu: %s", i, hosts[i].item);
		}
	}
}

/* ---- after an answer ---- */

static void test_allows(void **p)
{
	static const struct {
		enum verdict_state before;
		enum verdict_result result;
		enum verdict_reason reason;
		bool on_fail, deny_large;
		bool allowed;
	} rows[] = {
		{ VERDICT_STATE_NONE, VERDICT_CLEAN, 0, false, false, true },
		{ VERDICT_STATE_WAS_INFECTED, VERDICT_CLEAN, 0, false, false,
		  true },
		{ VERDICT_STATE_NONE, VERDICT_INFECTED, 0, true, false,
		  false },
		{ VERDICT_STATE_NONE, VERDICT_FAILED, VERDICT_REASON_TIMEOUT,
		  true, false, true },
		{ VERDICT_STATE_NONE, VERDICT_FAILED, VERDICT_REASON_TIMEOUT,
		  false, false, false },
		{ VERDICT_STATE_NONE, VERDICT_UNSCANNABLE,
		  VERDICT_REASON_LIMIT, true, false, true },
		{ VERDICT_STATE_NONE, VERDICT_UNSCANNABLE,
		  VERDICT_REASON_LIMIT, false, false, false },
		{ VERDICT_STATE_WAS_INFECTED, VERDICT_FAILED,
		  VERDICT_REASON_TIMEOUT, true, false, false },
		{ VERDICT_STATE_NONE, VERDICT_FAILED,
		  VERDICT_REASON_NOT_OWED, false, false, true },
		{ VERDICT_STATE_WAS_INFECTED, VERDICT_FAILED,
		  VERDICT_REASON_NOT_OWED, true, false, false },
		{ VERDICT_STATE_NONE, VERDICT_FAILED,
		  VERDICT_REASON_WAS_INFECTED, true, false, false },
		{ VERDICT_STATE_NONE, VERDICT_SKIPPED,
		  VERDICT_REASON_TOO_LARGE, false, false, true },
		{ VERDICT_STATE_NONE, VERDICT_SKIPPED,
		  VERDICT_REASON_TOO_LARGE, true, true, false },
		{ VERDICT_STATE_WAS_INFECTED, VERDICT_SKIPPED,
		  VERDICT_REASON_TOO_LARGE, true, false, false },
		{ VERDICT_STATE_INFECTED, VERDICT_SKIPPED,
		  VERDICT_REASON_DISABLED, false, false, true },
	};
	size_t i;

	(void)p;
	for (i = 0; i < COUNT(rows); i++) {
		struct filter f = FILTER_DEFAULT;

		f.open_on_fail = rows[i].on_fail;
		f.size_deny = rows[i].deny_large;
		if (filter_allows(&f, rows[i].before, rows[i].result,
				  rows[i].reason) != rows[i].allowed) {
			fail_msg("row %zu", i);
		}
	}
}

/* ---- as bytes ---- */

static struct filter whole_filter(void)
{
	struct filter f = FILTER_DEFAULT;

	f.profile = FILTER_WRITES_ONLY;
	f.open_on_fail = false;
	f.denial = FILTER_DENIAL_ACCESS_DENIED;
	f.on_read = FILTER_TRIGGER_YES;
	f.on_close = FILTER_TRIGGER_NO;
	f.extensions_include = true;
	f.no_extension_skip = true;
	f.size_deny = true;
	f.scan_timeout = 1234;
	f.tiered = true;
	f.tiered_timeout = 4321;
	f.sync_wait = 567;
	f.size_maximum = 1ULL << 40;
	f.signature_min = 1700000000;
	f.extensions = LIST("*.doc\0*.tar.gz");
	f.paths = LIST("/a/b/\0c");
	f.accounts = LIST("D\\a");
	f.hosts = LIST("192.0.2.0/24\0::1");
	return f;
}

static void assert_list(struct filter_list a, struct filter_list b)
{
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.items, b.items, a.size);
}

static void test_wire(void **p)
{
	static uint8_t data[FILTER_MAX];
	struct filter f = whole_filter();
	struct buf b = buf_writer(data, sizeof(data));
	struct filter g;
	size_t len = 0;

	(void)p;
	filter_put(&b, &f);
	assert_int_equal(b.error, 0);
	len = b.pos;
	b = buf_reader(data, len);
	filter_get(&b, &g);
	assert_int_equal(buf_finish(&b), 0);
	assert_list(g.extensions, f.extensions);
	assert_list(g.paths, f.paths);
	assert_list(g.accounts, f.accounts);
	assert_list(g.hosts, f.hosts);
	g.extensions = f.extensions;
	g.paths = f.paths;
	g.accounts = f.accounts;
	g.hosts = f.hosts;
	assert_int_equal(g.profile, f.profile);
	assert_int_equal(g.open_on_fail, false);
	assert_int_equal(g.denial, f.denial);
	assert_int_equal(g.on_read, f.on_read);
	assert_int_equal(g.on_close, f.on_close);
	assert_int_equal(g.on_rename, f.on_rename);
	assert_true(g.extensions_include && g.no_extension_skip &&
		    g.size_deny && g.enabled);
	assert_int_equal(g.scan_timeout, 1234);
	assert_int_equal(g.tiered_timeout, 4321);
	assert_true(g.tiered);
	assert_int_equal(g.sync_wait, 567);
	assert_int_equal(g.size_maximum, f.size_maximum);
	assert_int_equal(g.signature_min, f.signature_min);
	/* cut anywhere it is none, and lists never point outside */
	while (len-- > 0) {
		b = buf_reader(data, len);
		filter_get(&b, &g);
		assert_int_not_equal(buf_finish(&b), 0);
		assert_true(g.hosts.size == 0 ||
			    g.hosts.items + g.hosts.size <=
			    (const char *)data + len);
	}
}

/* A number that is none of the enum's, a list without its end. */
static void test_hostile_wire(void **p)
{
	static uint8_t data[FILTER_MAX];
	struct filter f = whole_filter();
	struct buf b = buf_writer(data, sizeof(data));
	struct filter g;
	size_t len, i;

	(void)p;
	filter_put(&b, &f);
	len = b.pos;
	for (i = 0; i < 10; i++) {
		uint8_t kept = data[i];

		data[i] = 4;
		b = buf_reader(data, len);
		filter_get(&b, &g);
		assert_int_not_equal(buf_finish(&b), 0);
		data[i] = kept;
	}
	data[len - 1] = 'x';
	b = buf_reader(data, len);
	filter_get(&b, &g);
	assert_int_not_equal(buf_finish(&b), 0);
}

static void test_list_bounds(void **p)
{
	static char item[FILTER_LIST_MAX];
	const char *items[] = { item, NULL };
	struct filter_list list;
	struct filter f = FILTER_DEFAULT;
	struct filter copy;

	(void)p;
	memset(item, 'a', sizeof(item) - 1);
	assert_int_equal(filter_list_make(NULL, items, "", &list), 0);
	assert_int_equal(list.size, FILTER_LIST_MAX);
	f.paths = list;
	assert_int_equal(filter_copy(NULL, &f, &copy), 0);
	assert_list(copy.paths, list);
	assert_ptr_not_equal(copy.paths.items, list.items);
	assert_null(copy.hosts.items);	/* nothing to free */
	talloc_free((void *)copy.paths.items);
	talloc_free((void *)list.items);
	assert_int_equal(filter_list_make(NULL, items, "*", &list), EMSGSIZE);
	assert_int_equal(filter_list_make(NULL, items + 1, "*", &list), 0);
	assert_int_equal(list.size, 0);
	assert_null(filter_list_next(&list, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_read_triggers),
		cmocka_unit_test(test_own_content),
		cmocka_unit_test(test_unscannable),
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_rules_let_pass_and_say_why),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_stars_end),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_allows),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_hostile_wire),
		cmocka_unit_test(test_list_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
