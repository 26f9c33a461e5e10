/*
 * How many descriptors a process has open.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_UNIT_FDS_H
#define TESTS_UNIT_FDS_H

#include <dirent.h>
#include <stdio.h>

static inline unsigned int count_fds(pid_t pid)
{
	char path[32];
	DIR *dir = NULL;
	unsigned int num = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir) != NULL) {
		num++;
	}
	closedir(dir);
	return num;
}

#endif
