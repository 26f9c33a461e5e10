/*
 * Log lines: what stderr gets, byte for byte, and what the journal gets,
 * by a sd_journal_sendv() of this program's own.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION	/* else it is a macro */
#include <systemd/sd-journal.h>

#include "common/log.h"

/* ---- the journal, as its library would be called ---- */

static struct {
	int calls;
	int count;
	char *entries[32];
} journal;

int sd_journal_sendv(const struct iovec *iov, int n)
{
	int i;

	journal.calls++;
	journal.count = n;
	assert_true(n <= 32);
	for (i = 0; i < n; i++) {
		free(journal.entries[i]);
		journal.entries[i] = strndup(iov[i].iov_base, iov[i].iov_len);
		assert_non_null(journal.entries[i]);
	}
	return 0;
}

static int journal_clear(void **p)
{
	int i;

	(void)p;
	for (i = 0; i < 32; i++) {
		free(journal.entries[i]);
	}
	memset(&journal, 0, sizeof(journal));
	return 0;
}

/* ---- stderr, into memory ---- */

static struct {
	int saved, fd;
	char text[32768];
} captured;

static void capture(void)
{
	captured.saved = dup(STDERR_FILENO);
	captured.fd = memfd_create("stderr", MFD_CLOEXEC);
	assert_int_not_equal(captured.saved, -1);
	assert_int_not_equal(captured.fd, -1);
	assert_int_not_equal(dup2(captured.fd, STDERR_FILENO), -1);
}

static const char *captured_text(void)
{
	ssize_t len = pread(captured.fd, captured.text,
			    sizeof(captured.text) - 1, 0);

	dup2(captured.saved, STDERR_FILENO);
	close(captured.saved);
	close(captured.fd);
	assert_true(len >= 0);
	captured.text[len] = '\0';
	return captured.text;
}

static const char *line_of(const char *text)
{
	log_init("test", true, LOG_LEVEL_INFO);
	capture();
	log_info("%s", text);
	return captured_text();
}

static void test_levels(void **p)
{
	static const char *const all[] = { "ERROR: e 1\n", "WARNING: w 2\n",
		"NOTICE: n 3\n", "INFO: i 4\n", "DEBUG: d 5\n" };
	enum log_level level;

	(void)p;
	for (level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		char expect[128] = "";
		int i;

		for (i = 0; i <= (int)level - LOG_LEVEL_ERROR; i++) {
			strcat(expect, all[i]);
		}
		log_init("test", true, level);
		capture();
		log_error("e %d", 1);
		log_warning("w %d", 2);
		log_notice("n %d", 3);
		log_info("i %d", 4);
		log_debug("d %d", 5);
		assert_string_equal(captured_text(), expect);
	}
	assert_int_equal(journal.calls, 0);
}

static void test_errno(void **p)
{
	(void)p;
	log_init("test", true, LOG_LEVEL_INFO);
	capture();
	errno = ENOENT;
	log_error("x: %m");
	assert_string_equal(captured_text(),
			    "ERROR: x: No such file or directory\n");
}

static void test_control_characters(void **p)
{
	char expect[32];
	char text[8];
	int c;

	(void)p;
	for (c = 1; c < 0x80; c++) {
		snprintf(text, sizeof(text), "a%cb", c);
		if (c >= 0x20 && c != 0x7f) {
			snprintf(expect, sizeof(expect), "INFO: a%cb\n", c);
		} else {
			snprintf(expect, sizeof(expect), "INFO: a\\x%02xb\n",
				 c);
		}
		assert_string_equal(line_of(text), expect);
	}
	assert_string_equal(line_of("a\nERROR: forged\n"),
			    "INFO: a\\x0aERROR: forged\\x0a\n");
	assert_string_equal(line_of("\x1b[2J"), "INFO: \\x1b[2J\n");
	assert_string_equal(line_of(""), "INFO: \n");
}

static void test_utf8(void **p)
{
	static const struct {
		const char *text, *expect;
	} rows[] = {
		{ "gr\xc3\xbcn", "gr\xc3\xbcn" },
		{ "\xc2\xa0|\xdf\xbf|\xe0\xa0\x80|\xe2\x82\xac",
		  "\xc2\xa0|\xdf\xbf|\xe0\xa0\x80|\xe2\x82\xac" },
		{ "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80" },
		{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
		  "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
		/* U+0080 to U+009F are control characters: CSI is one */
		{ "\xc2\x80|\xc2\x9b" "2J|\xc2\x9f",
		  "\\xc2\\x80|\\xc2\\x9b2J|\\xc2\\x9f" },
		/* what is no UTF-8 */
		{ "\x9b" "2J", "\\x9b2J" }, { "gr\xfcn", "gr\\xfcn" },
		{ "\xc3(", "\\xc3(" }, { "a\xc3", "a\\xc3" },
		{ "\xc3\n", "\\xc3\\x0a" },
		{ "\xe2\x82", "\\xe2\\x82" }, { "\xe2\x82x", "\\xe2\\x82x" },
		{ "\xf0\x9f\x98", "\\xf0\\x9f\\x98" },
		{ "\xc0\x8a", "\\xc0\\x8a" }, { "\xc1\xbf", "\\xc1\\xbf" },
		{ "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf" },
		{ "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xed\xbf\xbf", "\\xed\\xbf\\xbf" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" },
		{ "\xf8\x90\x80\x80", "\\xf8\\x90\\x80\\x80" },
		{ "\xff", "\\xff" },
	};
	size_t i;

	(void)p;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char expect[128];

		snprintf(expect, sizeof(expect), "INFO: %s\n",
			 rows[i].expect);
		assert_string_equal(line_of(rows[i].text), expect);
	}
}

/* Cut, but one line it stays, and no character is cut in two. */
static void test_long(void **p)
{
	static const char *const parts[] = { "x", "\n", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\xff" };
	static char text[20000];
	size_t i, shift;

	(void)p;
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (shift = 0; shift < 4; shift++) {
			size_t part = strlen(parts[i]);
			const char *line = NULL;
			size_t len;

			memset(text, 'y', shift);
			text[shift] = '\0';
			for (len = shift; len < 19000; len += part) {
				strcpy(text + len, parts[i]);
			}
			line = line_of(text);
			len = strlen(line);
			assert_true(len > 4000 && len <= 4096 + 6);
			assert_ptr_equal(strchr(line, '\n'), line + len - 1);
			if (i == 2 || i == 3) {
				/* only the bytes at the cut, escaped */
				char *cut = strchr(line, '\\');

				assert_true(cut == NULL ||
					    cut >= line + len - 13);
			}
		}
	}
}

static void test_journal(void **p)
{
	static const char *const fields[] = { "CAVA_PATH=/a\nb", "CAVA_X=",
					      NULL };

	(void)p;
	log_init("program", false, LOG_LEVEL_NOTICE);
	capture();
	log_info("too low");
	assert_int_equal(journal.calls, 0);
	log_warning("w %s", "a\nb\xfc");
	assert_int_equal(journal.calls, 1);
	assert_int_equal(journal.count, 3);
	assert_string_equal(journal.entries[0], "MESSAGE=w a\\x0ab\\xfc");
	assert_string_equal(journal.entries[1], "PRIORITY=4");
	assert_string_equal(journal.entries[2], "SYSLOG_IDENTIFIER=program");
	log_fields(LOG_LEVEL_ERROR, fields, "e");
	assert_int_equal(journal.calls, 2);
	assert_int_equal(journal.count, 5);
	assert_string_equal(journal.entries[0], "MESSAGE=e");
	assert_string_equal(journal.entries[1], "PRIORITY=3");
	/* a field is data, the journal keeps it as it is */
	assert_string_equal(journal.entries[3], "CAVA_PATH=/a\nb");
	assert_string_equal(journal.entries[4], "CAVA_X=");
	assert_string_equal(captured_text(), "");
}

/* In the foreground a line has no fields; too many are left out. */
static void test_fields(void **p)
{
	const char *fields[41];
	int i;

	(void)p;
	for (i = 0; i < 40; i++) {
		fields[i] = "KEY=value";
	}
	fields[40] = NULL;
	log_init("program", true, LOG_LEVEL_INFO);
	capture();
	log_fields(LOG_LEVEL_INFO, fields, "line");
	assert_string_equal(captured_text(), "INFO: line\n");
	log_init("program", false, LOG_LEVEL_INFO);
	log_fields(LOG_LEVEL_INFO, fields, "line");
	assert_int_equal(journal.count, 3 + 16);
	assert_string_equal(journal.entries[18], "KEY=value");
}

static void test_journal_long(void **p)
{
	static char text[20000];

	(void)p;
	memset(text, 'x', sizeof(text) - 1);
	log_init("program", false, LOG_LEVEL_INFO);
	log_info("%s", text);
	assert_int_equal(journal.calls, 1);
	assert_true(strlen(journal.entries[0]) > 4000);
	assert_true(strlen(journal.entries[0]) <= 4096 + 8);
}

/* Nobody reads stderr any more: that is no reason to fail. */
static void test_no_stderr(void **p)
{
	int saved = dup(STDERR_FILENO);

	(void)p;
	assert_int_not_equal(saved, -1);
	close(STDERR_FILENO);
	log_init("test", true, LOG_LEVEL_INFO);
	log_error("to nobody");
	dup2(saved, STDERR_FILENO);
	close(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_levels, journal_clear),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_long),
		cmocka_unit_test_teardown(test_journal, journal_clear),
		cmocka_unit_test_teardown(test_fields, journal_clear),
		cmocka_unit_test_teardown(test_journal_long, journal_clear),
		cmocka_unit_test(test_no_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
