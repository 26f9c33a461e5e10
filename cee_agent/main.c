/*
 * cee_agent: a CEE server for Linux, with ClamAV as its engine.
 *
 * Order matters here. The socket is bound first, while we may; then rights
 * are given up; then libsmbclient is given its configuration; then
 * the workers are forked, while there is nothing else to inherit; then
 * everything else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <grp.h>
#include <popt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cee_agent/listener.h"
#include "cee_agent/smb.h"
#include "common/log.h"

#define AGENT_CONFIG "/etc/cavad/cee_agent.conf"

struct main_options {
	char *config;
	int foreground;
	int debug;
	int version;
};

/* 0, or the exit status of a program that goes no further. */
static int main_options(int argc, const char **argv,
			struct main_options *o)
{
	const struct poptOption table[] = {
		{ "config", 'c', POPT_ARG_STRING, &o->config, 0,
		  "configuration (default " AGENT_CONFIG ")", "FILE" },
		{ "foreground", 'f', POPT_ARG_NONE, &o->foreground, 0,
		  "log to stderr instead of the journal", NULL },
		{ "debug", 'd', POPT_ARG_NONE, &o->debug, 0,
		  "log to stderr, and more", NULL },
		{ "version", 'V', POPT_ARG_NONE, &o->version, 0,
		  "print the version", NULL },
		POPT_AUTOHELP
		POPT_TABLEEND
	};
	poptContext popt = poptGetContext(NULL, argc, argv, table, 0);
	int ret;

	ret = poptGetNextOpt(popt);
	if (ret < -1) {
		fprintf(stderr, "cee_agent: %s: %s\n",
			poptBadOption(popt, 0), poptStrerror(ret));
	} else if (poptPeekArg(popt) != NULL) {
		fprintf(stderr, "cee_agent: takes no arguments, see "
			"--help\n");
		ret = 0;
	}
	poptFreeContext(popt);
	return ret == -1 ? 0 : 1;
}

/* A listening socket, or -1 with errno. */
static int main_listen(const struct address *address)
{
	const struct sockaddr *sa = (const struct sockaddr *)&address->sa;
	int one = 1;
	int error;
	int fd;
	int ret;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	if (fd == -1) {
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ret = bind(fd, sa, address->len);
	if (ret == 0) {
		ret = listen(fd, SOMAXCONN);
	}
	if (ret == -1) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* 0 or errno */
static int main_become(const char *user)
{
	const struct passwd *pw = NULL;
	int ret;

	if (user[0] == '\0') {
		return 0;
	}
	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		return errno == 0 ? ENOENT : errno;
	}
	if (geteuid() == pw->pw_uid && getuid() == pw->pw_uid) {
		return 0;
	}
	ret = initgroups(user, pw->pw_gid);
	if (ret == 0) {
		ret = setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid);
	}
	if (ret == 0) {
		ret = setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid);
	}
	return ret == 0 ? 0 : errno;
}

static void main_stop(struct tevent_context *ev, struct tevent_signal *se,
		      int signum, int count, void *siginfo,
		      void *private_data)
{
	bool *stop = private_data;

	(void)ev;
	(void)se;
	(void)signum;
	(void)count;
	(void)siginfo;
	*stop = true;
}

/* From a listening socket and workers to the end. 0 or errno. */
static int main_serve(TALLOC_CTX *mem_ctx, struct agent *agent, int fd)
{
	static const int signals[] = { SIGTERM, SIGINT };
	struct tevent_signal *se = NULL;
	struct listener *listener = NULL;
	bool stop = false;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		se = tevent_add_signal(agent->ev, mem_ctx, signals[i], 0,
				       main_stop, &stop);
		if (se == NULL) {
			return ENOMEM;
		}
	}
	ret = pool_watch(agent->pool, agent->ev);
	if (ret == 0) {
		ret = listener_create(mem_ctx, agent, fd, &listener);
	}
	if (ret != 0) {
		return ret;
	}
	log_notice("cee_agent " CAVA_VERSION " ready on %s",
		   agent->config->listen.text);
	sd_notify(0, "READY=1");
	while (!stop) {
		ret = tevent_loop_once(agent->ev);
		if (ret != 0) {
			ret = errno;
			break;
		}
	}
	sd_notify(0, "STOPPING=1");
	return ret;
}

/* All of it, on mem_ctx. 0 or errno, which is logged. */
static int main_run(TALLOC_CTX *mem_ctx, const char *path)
{
	struct agent_config *config = NULL;
	struct agent agent = { .ev = NULL };
	char *error = NULL;
	int ret;
	int fd;

	ret = agent_config_load(mem_ctx, path, &config, &error);
	if (ret != 0) {
		log_error("%s", error != NULL ? error : strerror(ret));
		return ret;
	}
	agent.config = config;
	fd = main_listen(&config->listen);
	if (fd == -1) {
		ret = errno;
		log_error("listen = %s: %s", config->listen.text,
			  strerror(ret));
		return ret;
	}
	ret = main_become(config->user);
	if (ret != 0) {
		log_error("user = %s: %s", config->user, strerror(ret));
		return ret;
	}
	/* there are passwords in this memory */
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ret = smb_start(mem_ctx);
	if (ret == 0) {
		ret = pool_create(mem_ctx, config, &agent.pool);
	}
	if (ret == 0) {
		agent.ev = tevent_context_init(mem_ctx);
		ret = agent.ev == NULL ? ENOMEM :
		      main_serve(mem_ctx, &agent, fd);
	}
	if (ret != 0) {
		log_error("cannot go on: %s", strerror(ret));
	}
	return ret;
}

int main(int argc, const char **argv)
{
	struct main_options o = { .config = NULL };
	TALLOC_CTX *mem_ctx = NULL;
	int ret;

	ret = main_options(argc, argv, &o);
	if (ret != 0) {
		return ret;
	}
	if (o.version) {
		printf("cee_agent " CAVA_VERSION "\n");
		return 0;
	}
	log_init("cee_agent", o.foreground || o.debug,
		 o.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	mem_ctx = talloc_new(NULL);
	ret = ENOMEM;
	if (mem_ctx != NULL) {
		ret = main_run(mem_ctx, o.config != NULL ? o.config :
			       AGENT_CONFIG);
	}
	talloc_free(mem_ctx);
	free(o.config);
	return ret == 0 ? 0 : 1;
}
