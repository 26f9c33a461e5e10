/*
 * The rules of a filter on any name: they end, in time, and regard no byte
 * behind it. Input: a pattern, a newline, a path.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"*.doc?\n/data/x/letter.docx", "*.tar.gz\n/data/a.TAR.GZ",
		"/data/*/tmp/\n/data/x/tmp/y", "scratch\n/data/scratch/a",
		"*a*a*a*a*b\n/data/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"\xc3\x84*\n/data/\xc3\xa4rger", "192.0.2.0/24\n192.0.2.7",
		"2001:db8::/32\n2001:db8::1", NULL };

	return fuzz_seed_text(texts, i, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 3);
	char *path = NULL;
	struct filter f = FILTER_DEFAULT;
	struct filter_facts x = { .operation = FILTER_READ, .root = "/data",
				  .domain = "D", .account = "a" };
	struct filter_decision d;

	if (text == NULL) {
		abort();
	}
	memcpy(text, data, size);
	path = strchr(text, '\n');
	if (path != NULL) {
		*path++ = '\0';
	} else {
		path = text + strlen(text);
	}
	f.extensions = (struct filter_list) { text, strlen(text) + 1 };
	f.paths = f.extensions;
	f.accounts = f.extensions;
	f.hosts = f.extensions;
	f.profile = FILTER_STRICT;
	x.path = path;
	x.host = path;
	d = filter_decide(&f, &x);
	if (d.action == FILTER_NOTIFY) {
		abort();
	}
	x.state = VERDICT_STATE_INFECTED;
	d = filter_decide(&f, &x);
	if (d.action != FILTER_DENY) {
		abort();	/* no rule lets it through */
	}
	x.case_sensitive = true;
	(void)filter_rules(&f, &x);
	(void)filter_is_host(text);
	free(text);
	return 0;
}
