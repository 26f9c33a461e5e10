/*
 * What the files of cavactl selftest share.
 *
 *   cmd_selftest.c    the command, the lines it prints, what cavad says
 *   selftest_samba.c  Samba's configuration
 *   selftest_file.c   test files: through each zone, each server, over SMB
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_SELFTEST_H
#define CAVACTL_SELFTEST_H

#include "cavactl/cavactl.h"

struct selftest {
	const struct cavactl *ctl;
	json_t *steps;		/* {"step", "about", "result", "text",
				 * "mend"}, as cavad has them */
	bool failed;
	json_t *zones;		/* of GET zones */
	json_t *status;		/* of the node */
};

/* One more step; mend is NULL when it went well. Texts are copied. */
void selftest_step(struct selftest *t, const char *step, const char *about,
		   const char *result, const char *mend, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

#define SELFTEST_OK "ok"
#define SELFTEST_WARNING "warning"
#define SELFTEST_FAILED "failed"

/* A member that is a string; "" = it is none. */
const char *selftest_string(const json_t *o, const char *name);

void selftest_samba(struct selftest *t);
void selftest_files(struct selftest *t);

#endif
