/*
 * The names of a directory, a window at a time: see files_names.h.
 *
 * All names are read each time. When the window is full the larger half goes,
 * and from then on what is larger than the rest is not taken.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef WINDOW_NAMES		/* the test has smaller ones */
#define WINDOW_NAMES 32768
#endif
#define NAMES_FIRST 64		/* room for so many; then twice as many */

void names_drop(struct names *n)
{
	size_t i = 0;

	for (i = 0; i < n->count; i++) {
		free(n->list[i].text);
	}
	free(n->list);
	*n = (struct names) { .list = NULL };
}

static int name_compare(const void *a, const void *b)
{
	const struct name *x = a;
	const struct name *y = b;

	return strcmp(x->text, y->text);
}

/* Full: the larger half is for another time. */
static void names_halve(struct names *n)
{
	size_t keep = WINDOW_NAMES / 2;
	size_t i = 0;

	qsort(n->list, n->count, sizeof(n->list[0]), name_compare);
	for (i = keep; i < n->count; i++) {
		free(n->list[i].text);
	}
	n->count = keep;
	n->whole = false;
}

/* Room for one more. 0 or errno. */
static int names_grow(struct names *n)
{
	size_t room = n->room == 0 ? NAMES_FIRST : 2 * n->room;
	struct name *list = NULL;

	if (n->count < n->room) {
		return 0;
	}
	list = realloc(n->list, room * sizeof(list[0]));
	if (list == NULL) {
		return ENOMEM;
	}
	n->list = list;
	n->room = room;
	return 0;
}

/* 0 or errno. */
static int names_add(struct names *n, const struct dirent *entry,
		     const char *after)
{
	const char *last = n->whole ? NULL :
		n->list[WINDOW_NAMES / 2 - 1].text;
	char *text = NULL;
	int ret = 0;

	if (strcmp(entry->d_name, ".") == 0 ||
	    strcmp(entry->d_name, "..") == 0 ||
	    strcmp(entry->d_name, after) <= 0 ||
	    (last != NULL && strcmp(entry->d_name, last) > 0)) {
		return 0;
	}
	ret = names_grow(n);
	text = ret == 0 ? strdup(entry->d_name) : NULL;
	if (text == NULL) {
		return ENOMEM;
	}
	n->list[n->count++] = (struct name) {
		.text = text, .ino = entry->d_ino, .type = entry->d_type };
	if (n->count == WINDOW_NAMES) {
		names_halve(n);
	}
	return 0;
}

int names_read(struct names *n, int fd, const char *after)
{
	struct dirent *entry = NULL;
	DIR *dir = NULL;
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC |
			 O_NOATIME);
	int ret = 0;

	names_drop(n);
	if (own == -1) {
		return errno;
	}
	ret = names_grow(n);
	dir = ret != 0 ? NULL : fdopendir(own);
	if (dir == NULL) {
		close(own);
		return ENOMEM;
	}
	n->whole = true;
	do {
		errno = 0;
		entry = readdir(dir);
		ret = entry == NULL ? errno : names_add(n, entry, after);
	} while (entry != NULL && ret == 0);
	closedir(dir);
	qsort(n->list, n->count, sizeof(n->list[0]), name_compare);
	return ret;
}
