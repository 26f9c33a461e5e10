/*
 * --watch: see watch.h.
 *
 * On a terminal each run prints into memory first: the picture changes at
 * once and does not flicker. What has no terminal gets one run after the
 * other.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cavactl/watch.h"

#define WATCH_SECONDS 2.0
#define WATCH_LEAST 0.1
#define WATCH_MOST 3600.0

static volatile sig_atomic_t watch_stop;

static void watch_signal(int number)
{
	(void)number;
	watch_stop = 1;
}

static bool watch_interval(const struct cavactl *ctl, double *seconds)
{
	const char *text = cavactl_option(ctl, "watch");
	char *end = NULL;

	*seconds = WATCH_SECONDS;
	if (text == NULL) {
		return true;
	}
	*seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !(*seconds >= WATCH_LEAST) ||
	    !(*seconds <= WATCH_MOST)) {
		output_error("--watch=%s: %g to %g seconds are accepted",
			     text, WATCH_LEAST, WATCH_MOST);
		return false;
	}
	return true;
}

/* --- on a terminal --- */

/* As many lines as the terminal has; the rest of each is erased. */
static void watch_draw(const char *text)
{
	struct winsize size = { .ws_row = 0 };
	int rows = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
	    size.ws_row == 0) {
		size.ws_row = 24;
	}
	fputs("\033[H", stdout);
	for (rows = size.ws_row; *text != '\0' && rows > 1; rows--) {
		size_t len = strcspn(text, "\n");

		printf("%.*s\033[K\r\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	printf("\033[J%s", "q: end");
	fflush(stdout);
}

/* One run into memory, what it says on stderr too; *text is the caller's. */
static enum cavactl_exit watch_run(const struct cavactl *ctl,
				   const char **args, char **text)
{
	FILE *const out = stdout;
	FILE *const err = stderr;
	size_t len = 0;
	FILE *memory = open_memstream(text, &len);
	enum cavactl_exit ret = CAVACTL_REFUSED;

	if (memory == NULL) {
		return CAVACTL_REFUSED;
	}
	stdout = memory;
	stderr = memory;
	ret = ctl->command->fn(ctl, args);
	stdout = out;
	stderr = err;
	fclose(memory);
	return ret;
}

/* Until the time is over, or a key or a signal ends it: false. */
static bool watch_wait(double seconds)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char key = '\0';
	int ret = poll(&in, 1, (int)(seconds * 1000));

	if (watch_stop) {
		return false;
	}
	if (ret > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' ||
			key == 'Q')) {
		return false;
	}
	return true;
}

static enum cavactl_exit watch_terminal(const struct cavactl *ctl,
					const char **args, double seconds)
{
	struct termios before;
	struct termios raw;
	enum cavactl_exit ret = CAVACTL_OK;
	char *text = NULL;

	if (tcgetattr(STDIN_FILENO, &before) != 0) {
		output_error("the terminal: %s", strerror(errno));
		return CAVACTL_REFUSED;
	}
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	/* another screen, no cursor, long lines are cut */
	fputs("\033[?1049h\033[?25l\033[?7l", stdout);
	do {
		free(text);
		text = NULL;
		ret = watch_run(ctl, args, &text);
		watch_draw(text == NULL ? "" : text);
	} while (!*ctl->ended && ret != CAVACTL_REFUSED &&
		 watch_wait(seconds));
	fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fputs(text == NULL ? "" : text, stdout);
	free(text);
	return ret;
}

/* --- elsewhere --- */

static enum cavactl_exit watch_plain(const struct cavactl *ctl,
				     const char **args, double seconds)
{
	const struct timespec pause = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};
	enum cavactl_exit ret = CAVACTL_OK;

	for (;;) {
		ret = ctl->command->fn(ctl, args);
		fflush(stdout);
		if (*ctl->ended || ret == CAVACTL_REFUSED || watch_stop ||
		    nanosleep(&pause, NULL) != 0) {
			return ret;
		}
	}
}

enum cavactl_exit watch(const struct cavactl *ctl, const char **args)
{
	const struct sigaction stop = { .sa_handler = watch_signal };
	double seconds = 0;

	if (!watch_interval(ctl, &seconds)) {
		return CAVACTL_REFUSED;
	}
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
	    ctl->format == OUTPUT_TEXT) {
		return watch_terminal(ctl, args, seconds);
	}
	return watch_plain(ctl, args, seconds);
}
