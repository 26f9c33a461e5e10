/*
 * See core.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/core.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int core_forbid(void)
{
	const struct rlimit none = { 0, 0 };
	int ret = setrlimit(RLIMIT_CORE, &none);

	/* that limit says nothing to a core_pattern with a program */
	if (ret == 0) {
		ret = prctl(PR_SET_DUMPABLE, 0);
	}
	return ret == 0 ? 0 : errno;
}
