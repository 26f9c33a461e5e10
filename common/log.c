/*
 * Log lines: see log.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "common/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <systemd/sd-journal.h>

#define LOG_LINE_MAX 4096
#define LOG_FIELDS_MAX 16

static struct {
	const char *program;
	bool foreground;
	enum log_level level;
} log_state = { "cavad", true, LOG_LEVEL_INFO };

void log_init(const char *program, bool foreground, enum log_level level)
{
	log_state.program = program;
	log_state.foreground = foreground;
	log_state.level = level;
}

static const char *log_level_text(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "ERROR";
	case LOG_LEVEL_WARNING:
		return "WARNING";
	case LOG_LEVEL_NOTICE:
		return "NOTICE";
	case LOG_LEVEL_INFO:
		return "INFO";
	case LOG_LEVEL_DEBUG:
		return "DEBUG";
	}
	return "INFO";
}

/* A file name must not be able to forge a line or steer a terminal. */
static void log_escape(char *to, size_t size, const char *from)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (; *from != '\0' && n + 5 < size; from++) {
		uint8_t c = (uint8_t)*from;

		if (c >= 0x20 && c != 0x7f) {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '\\';
		to[n++] = 'x';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	to[n] = '\0';
}

static void log_stderr(enum log_level level, const char *line)
{
	char out[LOG_LINE_MAX + 32];
	int len = snprintf(out, sizeof(out), "%s: %s\n",
			   log_level_text(level), line);
	ssize_t ignored = 0;

	if (len < 0) {
		return;
	}
	if ((size_t)len >= sizeof(out)) {
		len = sizeof(out) - 1;
	}
	/* one write, so that the lines of several processes stay whole */
	ignored = write(STDERR_FILENO, out, (size_t)len);
	(void)ignored;
}

static void log_journal(enum log_level level, const char *const *fields,
			const char *line)
{
	char message[LOG_LINE_MAX + 16];
	char priority[16];
	char identifier[64];
	struct iovec iov[LOG_FIELDS_MAX + 3];
	int n = 0;

	snprintf(message, sizeof(message), "MESSAGE=%s", line);
	snprintf(priority, sizeof(priority), "PRIORITY=%d", (int)level);
	snprintf(identifier, sizeof(identifier), "SYSLOG_IDENTIFIER=%s",
		 log_state.program);
	iov[n++] = (struct iovec) { message, strlen(message) };
	iov[n++] = (struct iovec) { priority, strlen(priority) };
	iov[n++] = (struct iovec) { identifier, strlen(identifier) };
	for (; fields != NULL && *fields != NULL && n < LOG_FIELDS_MAX + 3;
	     fields++) {
		iov[n++] = (struct iovec) { (void *)*fields,
					    strlen(*fields) };
	}
	(void)sd_journal_sendv(iov, n);
}

void log_fields(enum log_level level, const char *const *fields,
		const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	char line[LOG_LINE_MAX];
	va_list ap;

	if (level > log_state.level) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_escape(line, sizeof(line), text);
	if (log_state.foreground) {
		log_stderr(level, line);
		return;
	}
	log_journal(level, fields, line);
}
