/*
 * Waiting for the writes that are under way on a file, beside the loop of a
 * worker.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_SETTLE_H
#define CAVAD_FILES_SETTLE_H

#include "cavad/files.h"

#define FILES_SETTLE_MAX 64	/* files waited for at a time */

struct files_settle;

/* 0 or errno. Never freed: threads may be in it until the process ends. */
int files_settle_create(struct files_settle **result);

/* Readable when files_settle_next() has something. */
int files_settle_fd(const struct files_settle *s);

/*
 * Nobody keeps writers off fd. `content` is what the file was a moment ago;
 * when files_settle_next() gives `owner` back, every change that it does not
 * show is there to be scanned. fd stays open until then. 0; EAGAIN when this
 * file is waited for already, or too many are; errno.
 */
int files_settle_start(struct files_settle *s, int fd,
		       const struct content *content, void *owner);

/* The owner of one that has settled, or NULL. */
void *files_settle_next(struct files_settle *s);

#endif
