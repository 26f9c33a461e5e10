/*
 * Log lines: see log.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "common/log.h"

#include <stdarg.h>
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

/*
 * Bytes of the printable character in UTF-8 that starts here; 0 = none does:
 * a control character (U+0080 to U+009F too), an overlong form, a surrogate.
 */
static size_t log_printable(const uint8_t *s)
{
	static const uint32_t first[] = { 0, 0, 0xa0, 0x800, 0x10000 };
	size_t len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = s[0] & (0x7f >> len);
	size_t i = 0;

	if (s[0] < 0x80) {
		return s[0] >= 0x20 && s[0] != 0x7f;
	}
	if (s[0] < 0xc0 || s[0] >= 0xf8) {
		return 0;
	}
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) {	/* the NUL is none either */
			return 0;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < first[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
		return 0;
	}
	return len;
}

/*
 * A file name must not be able to forge a line or steer a terminal; and the
 * journal shows a message that is no UTF-8 as "[blob data]" alone.
 */
void log_escape(char *to, size_t size, const char *from)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *s = (const uint8_t *)from;
	size_t n = 0;

	while (*s != '\0' && n + 5 < size) {
		size_t len = log_printable(s);

		if (len > 0) {
			memcpy(to + n, s, len);
			n += len;
			s += len;
			continue;
		}
		to[n++] = '\\';
		to[n++] = 'x';
		to[n++] = hex[*s >> 4];
		to[n++] = hex[*s & 15];
		s++;
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
