/*
 * Another program is run: see program.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavactl/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void program_exec(const char *const *words, int both, int fd)
{
	int null = open("/dev/null", O_RDWR);

	if (null == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(fd, STDOUT_FILENO) == -1 ||
	    dup2(both ? fd : null, STDERR_FILENO) == -1) {
		_exit(126);
	}
	execvp(words[0], (char *const *)words);
	_exit(127);
}

/* All of it is read, so that it ends; the first part is kept. */
static void program_read(int fd, char *text)
{
	size_t len = 0;
	char rest[4096] = "";
	ssize_t n = 0;

	for (;;) {
		size_t room = PROGRAM_OUTPUT_MAX - 1 - len;

		n = read(fd, room > 0 ? text + len : rest,
			 room > 0 ? room : sizeof(rest));
		if (n == -1 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			break;
		}
		len += room > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
}

char *program_output(const char *const *words, int both, int *status)
{
	char *text = malloc(PROGRAM_OUTPUT_MAX);
	int fds[2] = { -1, -1 };
	int how = 0;
	pid_t pid = -1;

	if (text == NULL || pipe2(fds, O_CLOEXEC) != 0) {
		free(text);
		return NULL;
	}
	pid = fork();
	if (pid == 0) {
		program_exec(words, both, fds[1]);
	}
	close(fds[1]);
	if (pid == -1) {
		close(fds[0]);
		free(text);
		return NULL;
	}
	program_read(fds[0], text);
	close(fds[0]);
	while (waitpid(pid, &how, 0) == -1 && errno == EINTR) {
	}
	*status = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
	return text;
}
