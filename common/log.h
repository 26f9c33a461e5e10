/*
 * Log lines: for the administrator, once, where a thing is handled.
 *
 * In the foreground to stderr as "LEVEL: text"; else to the systemd
 * journal. Control characters in what is logged, and bytes that are no
 * UTF-8, come out as \xNN, so that a file name cannot forge a line. At most
 * 4 KiB of a line are kept. Not used by vfs_cava, which has Samba's.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4,
		 LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6,
		 LOG_LEVEL_DEBUG = 7 };	/* numbers of syslog(3) */

/* Before the first line; `program` is static. */
void log_init(const char *program, bool foreground, enum log_level level);

/* Further journal fields: NULL-terminated "KEY=value" strings, or NULL. */
void log_fields(enum log_level level, const char *const *fields,
		const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* `from` as lines show it, cut to fit; size is at least 1. */
void log_escape(char *to, size_t size, const char *from);

#define log_error(...) log_fields(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_fields(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_fields(LOG_LEVEL_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_fields(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_fields(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

#endif
