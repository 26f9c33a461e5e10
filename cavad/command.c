/*
 * A program is run: see command.h.
 *
 * Its stdin is a file in memory, so that one that does not read it holds up
 * nobody. Its end is told by a descriptor (pidfd), so that no signal has to
 * be shared with others.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/req.h"

struct command_state {
	struct tevent_context *ev;
	pid_t pid;		/* 0 = not running */
	int pidfd;
	struct tevent_fd *fde;
	uint32_t timeout;
	bool late;		/* and so killed */
	char *why;
};

static void command_ended(struct tevent_context *ev, struct tevent_fd *fde,
			  uint16_t flags, void *private_data);
static void command_late(struct tevent_context *ev,
			 struct tevent_timer *timer, struct timeval now,
			 void *private_data);

/* Words of the line. 0, ENOMEM; EINVAL: none, or too many. */
static int command_words(TALLOC_CTX *mem_ctx, const char *line,
			 char ***result)
{
	char **words = talloc_zero_array(mem_ctx, char *,
					 COMMAND_WORDS_MAX + 1);
	char *copy = words == NULL ? NULL : talloc_strdup(words, line);
	char *save = NULL;
	char *word = NULL;
	size_t n = 0;

	if (copy == NULL) {
		return ENOMEM;
	}
	for (word = strtok_r(copy, " \t", &save); word != NULL;
	     word = strtok_r(NULL, " \t", &save)) {
		if (n == COMMAND_WORDS_MAX) {
			return EINVAL;
		}
		words[n] = word;
		n++;
	}
	*result = words;
	return n == 0 ? EINVAL : 0;
}

/* -1 and errno */
static int command_input(const char *text)
{
	size_t len = strlen(text);
	ssize_t n = 0;
	int fd = memfd_create("cavad-event", MFD_CLOEXEC);

	if (fd == -1) {
		return -1;
	}
	n = write(fd, text, len);
	if (n < 0 || (size_t)n != len || lseek(fd, 0, SEEK_SET) == -1) {
		close(fd);
		errno = n < 0 ? errno : ENOMEM;
		return -1;
	}
	return fd;
}

static int command_attributes(posix_spawnattr_t *attr)
{
	sigset_t all;
	sigset_t none;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setpgroup(attr, 0);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setsigmask(attr, &none);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP |
					POSIX_SPAWN_SETSIGDEF |
					POSIX_SPAWN_SETSIGMASK);
}

/* 0 or errno */
static int command_spawn(struct command_state *state, char **words,
			 char *const *environment, int input)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int ret = posix_spawn_file_actions_init(&actions);

	if (ret != 0) {
		return ret;
	}
	ret = posix_spawnattr_init(&attr);
	if (ret != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return ret;
	}
	ret = posix_spawn_file_actions_adddup2(&actions, input, 0);
	ret = ret != 0 ? ret :
	      posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	ret = ret != 0 ? ret :
	      posix_spawn_file_actions_addchdir_np(&actions, "/");
	ret = ret != 0 ? ret : command_attributes(&attr);
	ret = ret != 0 ? ret : posix_spawn(&state->pid, words[0], &actions,
					   &attr, words, environment);
	if (ret != 0) {
		state->pid = 0;
	}
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return ret;
}

static void command_kill(struct command_state *state)
{
	/* the group, and in case it has left it, itself */
	(void)kill(-state->pid, SIGKILL);
	(void)kill(state->pid, SIGKILL);
}

static void command_cleanup(struct tevent_req *req,
			    enum tevent_req_state req_state)
{
	struct command_state *state = tevent_req_data(req,
						      struct command_state);

	(void)req_state;
	TALLOC_FREE(state->fde);
	if (state->pidfd != -1) {
		close(state->pidfd);
		state->pidfd = -1;
	}
	if (state->pid != 0) {
		command_kill(state);
		(void)waitpid(state->pid, NULL, WNOHANG);
		state->pid = 0;
	}
}

/* 0 or errno */
static int command_watch(struct command_state *state, struct tevent_req *req,
			 uint32_t timeout)
{
	struct tevent_timer *timer = NULL;

	state->pidfd = pidfd_open(state->pid, 0);
	if (state->pidfd == -1) {
		return errno;
	}
	state->fde = tevent_add_fd(state->ev, state, state->pidfd,
				   TEVENT_FD_READ, command_ended, req);
	timer = tevent_add_timer(state->ev, state,
				 tevent_timeval_current_ofs(timeout, 0),
				 command_late, state);
	return state->fde == NULL || timer == NULL ? ENOMEM : 0;
}

static int command_start(struct command_state *state, struct tevent_req *req,
			 const struct command *c)
{
	char **words = NULL;
	int input = -1;
	int ret = command_words(state, c->line, &words);

	if (ret != 0) {
		return ret;
	}
	input = command_input(c->input);
	if (input == -1) {
		return errno;
	}
	ret = command_spawn(state, words, c->environment, input);
	close(input);
	return ret != 0 ? ret : command_watch(state, req, c->timeout);
}

struct tevent_req *command_send(TALLOC_CTX *mem_ctx,
				struct tevent_context *ev,
				const struct command *c)
{
	struct command_state *state = NULL;
	struct tevent_req *req = NULL;
	int ret = 0;

	req = tevent_req_create(mem_ctx, &state, struct command_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->pidfd = -1;
	state->timeout = c->timeout;
	tevent_req_set_cleanup_fn(req, command_cleanup);
	ret = command_start(state, req, c);
	if (ret != 0) {
		state->why = talloc_asprintf(state, "cannot be started: %s",
					     strerror(ret));
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	return req;
}

static void command_late(struct tevent_context *ev,
			 struct tevent_timer *timer, struct timeval now,
			 void *private_data)
{
	struct command_state *state = private_data;

	(void)ev;
	(void)timer;
	(void)now;
	state->late = true;
	command_kill(state);	/* its end is told by the pidfd */
}

static void command_ended(struct tevent_context *ev, struct tevent_fd *fde,
			  uint16_t flags, void *private_data)
{
	struct tevent_req *req = talloc_get_type_abort(private_data,
						       struct tevent_req);
	struct command_state *state = tevent_req_data(req,
						      struct command_state);
	int status = 0;
	pid_t pid = waitpid(state->pid, &status, WNOHANG);

	(void)ev;
	(void)fde;
	(void)flags;
	if (pid == 0) {
		return;
	}
	state->pid = 0;
	if (state->late) {
		state->why = talloc_asprintf(state, "it took longer than %u s "
					     "and was killed",
					     state->timeout);
		tevent_req_error(req, ETIMEDOUT);
		return;
	}
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		tevent_req_done(req);
		return;
	}
	state->why = WIFSIGNALED(status) ?
		talloc_asprintf(state, "it ended on signal %d",
				WTERMSIG(status)) :
		talloc_asprintf(state, "exit status %d",
				WEXITSTATUS(status));
	tevent_req_error(req, EIO);
}

bool command_may_go_later(int error)
{
	return error == ENOMEM || error == EAGAIN || error == EMFILE ||
	       error == ENFILE;
}

int command_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx, char **why)
{
	struct command_state *state = tevent_req_data(req,
						      struct command_state);
	int ret = req_error(req);

	*why = talloc_move(mem_ctx, &state->why);
	tevent_req_received(req);
	return ret;
}
