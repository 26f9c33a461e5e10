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
#include <unistd.h>

#include "cee_agent/service.h"
#include "cee_agent/smb.h"
#include "common/core.h"
#include "common/log.h"

#define AGENT_CONFIG "/etc/cavad/cee_agent.conf"

struct main_options {
	char *config;
	int foreground;
	int debug;
	int check;
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
		{ "check-config", '\0', POPT_ARG_NONE, &o->check, 0,
		  "say whether the configuration is right, and exit", NULL },
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

/* The sockets to serve, -1 for those that are not. 0 or errno, logged. */
static int main_bind(const struct agent_config *config,
		     int fds[AGENT_LISTENERS])
{
	const struct address *addresses[AGENT_LISTENERS] = {
		&config->listen, &config->https_listen };
	size_t i;
	int ret;

	for (i = 0; i < AGENT_LISTENERS; i++) {
		fds[i] = -1;
		if (addresses[i]->len == 0) {
			continue;
		}
		fds[i] = main_listen(addresses[i]);
		if (fds[i] == -1) {
			ret = errno;
			log_error("%s = %s: %s: is another program there, or "
				  "is it no address of this host?",
				  i == 0 ? "listen" : "https_listen",
				  addresses[i]->text, strerror(ret));
			return ret;
		}
	}
	return 0;
}

/* Workers, then the loop. 0 or errno. */
static int main_serve(TALLOC_CTX *mem_ctx, struct agent *agent,
		      int fds[AGENT_LISTENERS])
{
	int ret;

	agent->tally = tally_create(mem_ctx);
	if (agent->tally == NULL) {
		return ENOMEM;
	}
	ret = tally_configure(agent->tally, agent->config);
	if (ret == 0) {
		ret = pool_create(mem_ctx, agent->config, agent->tally,
				  &agent->pool);
	}
	if (ret != 0) {
		return ret;
	}
	agent->ev = tevent_context_init(mem_ctx);
	if (agent->ev == NULL) {
		return ENOMEM;
	}
	ret = pool_watch(agent->pool, agent->ev);
	return ret != 0 ? ret : service_run(mem_ctx, agent, fds);
}

/* All of it, on mem_ctx. 0 or errno, which is logged. */
static int main_run(TALLOC_CTX *mem_ctx, const char *path)
{
	struct agent agent = { .ev = NULL };
	int fds[AGENT_LISTENERS];
	char *error = NULL;
	int ret;

	ret = agent_config_load(mem_ctx, path, false, &agent.config, &error);
	if (ret != 0) {
		log_error("%s", error != NULL ? error : strerror(ret));
		return ret;
	}
	service_warn(agent.config);
	ret = main_bind(agent.config, fds);
	if (ret != 0) {
		return ret;
	}
	ret = main_become(agent.config->user);
	if (ret != 0) {
		log_error("user = %s: %s", agent.config->user,
			  strerror(ret));
		return ret;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ret = core_forbid();
	if (ret == 0) {
		ret = smb_start(mem_ctx);
	}
	if (ret == 0) {
		ret = main_serve(mem_ctx, &agent, fds);
	}
	if (ret != 0) {
		log_error("cannot go on: %s", strerror(ret));
	}
	return ret;
}

/* 0 or errno, which is printed. */
static int main_check(TALLOC_CTX *mem_ctx, const char *path)
{
	struct agent_config *config = NULL;
	char *error = NULL;
	int ret;

	ret = agent_config_load(mem_ctx, path, true, &config, &error);
	if (ret != 0) {
		fprintf(stderr, "cee_agent: %s\n",
			error != NULL ? error : strerror(ret));
		return ret;
	}
	service_warn(config);
	printf("%s: OK\n", path);
	return 0;
}

int main(int argc, const char **argv)
{
	struct main_options o = { .config = NULL };
	const char *path = AGENT_CONFIG;
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
	if (o.config != NULL) {
		path = o.config;
	}
	log_init("cee_agent", o.foreground || o.debug || o.check,
		 o.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	mem_ctx = talloc_new(NULL);
	ret = ENOMEM;
	if (mem_ctx != NULL) {
		ret = o.check ? main_check(mem_ctx, path) :
				main_run(mem_ctx, path);
	}
	talloc_free(mem_ctx);
	free(o.config);
	return ret == 0 ? 0 : 1;
}
