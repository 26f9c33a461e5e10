/*
 * What one question to the filter costs: the decision alone, with rules as
 * an administrator may have them. Prints a line for each.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <time.h>

#include "common/filter.h"

#define RUNS 1000000

#define LIST(text) ((struct filter_list) { .items = (text), \
					   .size = sizeof(text) })

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void measure(const char *what, const struct filter *f,
		    const struct filter_facts *x)
{
	volatile unsigned int actions = 0;
	int64_t start = now();
	int i;

	for (i = 0; i < RUNS; i++) {
		actions += filter_decide(f, x).action;
	}
	printf("%-40s %6.0f ns\n", what, (double)(now() - start) / RUNS);
}

int main(void)
{
	struct filter plain = FILTER_DEFAULT;
	struct filter rules = FILTER_DEFAULT;
	struct filter_facts x = {
		.operation = FILTER_READ,
		.path = "/srv/share/projects/2026/q4/report-final.docx",
		.root = "/srv/share", .domain = "DOM", .account = "user",
		.host = "192.0.2.7" };

	plain.profile = rules.profile = FILTER_STRICT;
	rules.extensions = LIST("*.pst\0*.mdb\0*.ldb\0*.vhd\0*.vhdx\0*.vmdk\0"
				"*.iso\0*.tmp\0*.log\0*.bak\0*.tar.gz\0*.db");
	rules.paths = LIST("/srv/scratch/\0/srv/backup/\0*/cache/\0tmp/\0"
			   "projects/*/build/");
	rules.accounts = LIST("DOM\\svc_backup\0DOM\\svc_index");
	rules.hosts = LIST("192.0.2.128/25\0" "2001:db8::/32");
	measure("no rules", &plain, &x);
	measure("12 extensions, 5 paths, 4 readers", &rules, &x);
	x.state = VERDICT_STATE_CLEAN;
	measure("the same, verdict clean", &rules, &x);
	return 0;
}
