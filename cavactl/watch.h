/*
 * --watch: a command again and again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_WATCH_H
#define CAVACTL_WATCH_H

#include "cavactl/cavactl.h"

/*
 * Runs ctl->command every --watch seconds, until it says that it has ended,
 * or q or ^C on a terminal, which it redraws. Exit status of the last run.
 */
enum cavactl_exit watch(const struct cavactl *ctl, const char **args);

#endif
