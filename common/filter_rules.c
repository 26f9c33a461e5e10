/*
 * The rules of a filter: names, paths, accounts, hosts.
 *
 * 1. Letters are compared as the share has it: exactly, or without regard to
 *    case (Latin, Greek and Cyrillic letters). Accounts and hosts never
 *    regard case. A byte that is no UTF-8 is a character of its own.
 * 2. `*` is any number of characters, `?` is one; neither is ever a `/`. One
 *    pass with one place to come back to: at most the length of the pattern
 *    times that of the name, however many stars there are.
 * 3. An extension is whatever follows a dot of the name: x.tar.gz has "gz"
 *    and "tar.gz", .DS_Store has "DS_Store". Dots and blanks at the end do
 *    not count, since Windows drops them: "x.exe." is a program there.
 * 4. A path is compared directory by directory, from the root, or from the
 *    share's root when the rule has no slash in front: /a/b is no part of
 *    /a/bc. With a slash at its end a rule means what is below a directory,
 *    without one the file of that name too.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/filter.h"

#include <string.h>
#include <strings.h>

#include "common/address.h"

struct rule_span {
	const char *p;
	const char *end;
};

static struct rule_span rule_text(const char *text)
{
	return (struct rule_span) { text, text + strlen(text) };
}

/* --- characters --- */

/* Bytes that follow the first one of a character. */
static unsigned int rule_more(uint8_t first)
{
	return first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : 0;
}

/* Takes one character from the front; a stray byte is 0x110000 + byte. */
static uint32_t rule_next(struct rule_span *s)
{
	uint8_t first = (uint8_t)*s->p++;
	unsigned int more = rule_more(first);
	const char *p = s->p;
	uint32_t c = first & (0x3f >> more);
	unsigned int i;

	if (first < 0x80) {
		return first;
	}
	for (i = 0; i < more && p < s->end; i++, p++) {
		if (((uint8_t)*p & 0xc0) != 0x80) {
			break;
		}
		c = c << 6 | ((uint8_t)*p & 0x3f);
	}
	if (more == 0 || i < more) {
		return 0x110000 + first;
	}
	s->p = p;
	return c;
}

/* Capitals in rows that have their small letters at a fixed distance. */
static const struct {
	uint32_t first, last;
	uint32_t step;		/* 2: capital and small letter in turn */
	uint32_t distance;
} rule_capitals[] = {
	{ 'A', 'Z', 1, 32 },
	{ 0xc0, 0xd6, 1, 32 }, { 0xd8, 0xde, 1, 32 },
	{ 0x100, 0x12e, 2, 1 }, { 0x132, 0x136, 2, 1 },
	{ 0x139, 0x147, 2, 1 }, { 0x14a, 0x176, 2, 1 },
	{ 0x179, 0x17d, 2, 1 },
	{ 0x386, 0x386, 1, 38 }, { 0x388, 0x38a, 1, 37 },
	{ 0x38c, 0x38c, 1, 64 }, { 0x38e, 0x38f, 1, 63 },
	{ 0x391, 0x3a1, 1, 32 }, { 0x3a3, 0x3ab, 1, 32 },
	{ 0x400, 0x40f, 1, 80 }, { 0x410, 0x42f, 1, 32 },
	{ 0x490, 0x4be, 2, 1 },
};

static uint32_t rule_fold(uint32_t c)
{
	size_t i;

	if (c < 0x80) {
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	}
	for (i = 1; i < sizeof(rule_capitals) / sizeof(rule_capitals[0]);
	     i++) {
		if (c < rule_capitals[i].first) {
			break;
		}
		if (c <= rule_capitals[i].last &&
		    (c - rule_capitals[i].first) % rule_capitals[i].step == 0) {
			return c + rule_capitals[i].distance;
		}
	}
	return c == 0x3c2 ? 0x3c3 : c;	/* sigma at the end of a word */
}

static bool rule_same(uint32_t a, uint32_t b, bool exact)
{
	return a == b || (!exact && rule_fold(a) == rule_fold(b));
}

/* Rule 2. */
static bool rule_glob(struct rule_span pattern, struct rule_span text,
		      bool exact)
{
	const char *star = NULL;	/* behind the last one */
	struct rule_span from = text;	/* what it does not cover */

	while (text.p < text.end) {
		struct rule_span p = pattern;
		struct rule_span t = text;
		uint32_t c = 0;

		if (p.p < p.end && *p.p == '*') {
			pattern.p++;
			star = pattern.p;
			from = text;
			continue;
		}
		if (p.p < p.end) {
			c = rule_next(&p);
			if (c == '?') {
				(void)rule_next(&t);
			} else if (!rule_same(c, rule_next(&t), exact)) {
				t = text;
			}
		}
		if (t.p != text.p) {
			pattern = p;
			text = t;
			continue;
		}
		if (star == NULL) {
			return false;
		}
		(void)rule_next(&from);
		text = from;
		pattern.p = star;
	}
	while (pattern.p < pattern.end && *pattern.p == '*') {
		pattern.p++;
	}
	return pattern.p == pattern.end;
}

/* --- names --- */

/* Rule 3: the name without what Windows drops. */
static struct rule_span rule_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct rule_span name = rule_text(slash == NULL ? path : slash + 1);

	while (name.end > name.p &&
	       (name.end[-1] == '.' || name.end[-1] == ' ')) {
		name.end--;
	}
	return name;
}

static bool rule_name_listed(const struct filter *f,
			     const struct filter_facts *x,
			     struct rule_span name)
{
	const char *item = NULL;

	while ((item = filter_list_next(&f->extensions, item)) != NULL) {
		if (rule_glob(rule_text(item), name, x->case_sensitive)) {
			return true;
		}
	}
	return false;
}

static bool rule_extension_skips(const struct filter *f,
				 const struct filter_facts *x)
{
	struct rule_span name = rule_name(x->path);

	if (memchr(name.p, '.', (size_t)(name.end - name.p)) == NULL) {
		return f->no_extension_skip;
	}
	return rule_name_listed(f, x, name) != f->extensions_include;
}

/* --- paths --- */

/* The next part of a path, without slashes. False: there is none. */
static bool rule_part(struct rule_span *path, struct rule_span *part)
{
	while (path->p < path->end && *path->p == '/') {
		path->p++;
	}
	part->p = path->p;
	while (path->p < path->end && *path->p != '/') {
		path->p++;
	}
	part->end = path->p;
	return part->p < part->end;
}

/* Rule 4; path is what the rule starts from. */
static bool rule_path_holds(struct rule_span rule, struct rule_span path,
			    bool exact)
{
	bool below = rule.end[-1] == '/';
	struct rule_span part, dir;

	while (rule_part(&rule, &dir)) {
		if (!rule_part(&path, &part) ||
		    !rule_glob(dir, part, exact)) {
			return false;
		}
	}
	return !below || rule_part(&path, &part);
}

/* What lies below the share's root; empty when the file does not. */
static struct rule_span rule_below(const struct filter_facts *x)
{
	size_t len = x->root == NULL ? 0 : strlen(x->root);

	while (len > 0 && x->root[len - 1] == '/') {
		len--;
	}
	if (x->root == NULL || strncmp(x->path, x->root, len) != 0 ||
	    x->path[len] != '/') {
		return (struct rule_span) { NULL, NULL };
	}
	return rule_text(x->path + len);
}

static bool rule_path_skips(const struct filter *f,
			    const struct filter_facts *x)
{
	struct rule_span whole = rule_text(x->path);
	struct rule_span below = rule_below(x);
	const char *item = NULL;

	while ((item = filter_list_next(&f->paths, item)) != NULL) {
		if (item[0] != '\0' &&
		    rule_path_holds(rule_text(item),
				    item[0] == '/' ? whole : below,
				    x->case_sensitive)) {
			return true;
		}
	}
	return false;
}

bool filter_prunes(const struct filter *f, const struct filter_facts *x)
{
	struct rule_span whole = rule_text(x->path);
	struct rule_span below = rule_below(x);
	struct rule_span rule = { NULL, NULL };
	const char *item = NULL;

	while ((item = filter_list_next(&f->paths, item)) != NULL) {
		rule = rule_text(item);
		while (rule.p < rule.end && rule.end[-1] == '/') {
			rule.end--;
		}
		if (rule.p < rule.end &&
		    rule_path_holds(rule, item[0] == '/' ? whole : below,
				    x->case_sensitive)) {
			return true;
		}
	}
	return false;
}

enum verdict_reason filter_rules(const struct filter *f,
				 const struct filter_facts *x)
{
	if (x->path == NULL || x->path[0] == '\0') {
		return VERDICT_REASON_NONE;
	}
	if (rule_extension_skips(f, x)) {
		return VERDICT_REASON_EXTENSION;
	}
	return rule_path_skips(f, x) ? VERDICT_REASON_PATH :
				       VERDICT_REASON_NONE;
}

/* --- who reads --- */

static bool rule_equal(struct rule_span a, struct rule_span b)
{
	while (a.p < a.end && b.p < b.end) {
		if (!rule_same(rule_next(&a), rule_next(&b), false)) {
			return false;
		}
	}
	return a.p == a.end && b.p == b.end;
}

/* DOMAIN\name, or the name of an account of this server. */
static bool rule_is_account(const char *item, const struct filter_facts *x)
{
	const char *backslash = strchr(item, '\\');

	if (backslash == NULL) {
		return x->local && rule_equal(rule_text(item),
					      rule_text(x->account));
	}
	return rule_equal((struct rule_span) { item, backslash },
			  rule_text(x->domain)) &&
		rule_equal(rule_text(backslash + 1), rule_text(x->account));
}

bool filter_is_host(const char *text)
{
	struct network network;

	return network_parse(text, &network);
}

bool filter_exempt(const struct filter *f, const struct filter_facts *x)
{
	const char *item = NULL;
	struct network network;
	struct in6_addr host;

	if (x->account != NULL && x->domain != NULL && x->account[0] != '\0') {
		while ((item = filter_list_next(&f->accounts, item)) != NULL) {
			if (rule_is_account(item, x)) {
				return true;
			}
		}
	}
	if (f->hosts.size == 0 || x->host == NULL ||
	    !address_parse(x->host, &host)) {
		return false;
	}
	while ((item = filter_list_next(&f->hosts, item)) != NULL) {
		if (network_parse(item, &network) &&
		    network_has(&network, &host)) {
			return true;
		}
	}
	return false;
}
