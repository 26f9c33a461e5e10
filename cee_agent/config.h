/*
 * Configuration of cee_agent: an INI file, read once at start.
 *
 * What a key means is in docs/man/cee_agent.8; which there are, and their
 * defaults and bounds, is in the tables of config.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_CONFIG_H
#define CEE_AGENT_CONFIG_H

#include <stdint.h>
#include <sys/socket.h>
#include <talloc.h>

#include "cee_agent/access.h"

#ifndef CAVA_VERSION	/* the build says it */
#define CAVA_VERSION "0.1"
#endif

#define AGENT_STORAGES_MAX 64

struct address {
	struct sockaddr_storage sa;	/* AF_INET, AF_INET6 or AF_UNIX */
	socklen_t len;
	const char *text;		/* as it was written */
};

/* A server whose CHECK$ may be asked for files. */
struct storage {
	const char *name;
	const char *host;	/* as UNC paths have it, any case */
	const char *share;
	const char *user;
	const char *domain;
	const char *password_file;
	const char *password;
	uint64_t port;
	unsigned int seen;	/* bit n: row n of config.c's table */
};

struct agent_config {
	const char *path;
	unsigned int seen;	/* as in struct storage */
	struct address listen;
	struct address clamd;
	struct access *allow;
	const char *version;	/* said as ceeVersion */
	const char *user;	/* "" = stay who we are */
	uint64_t workers;
	uint64_t max_size;	/* bytes; larger files are over the limit */
	uint64_t timeout;	/* s a scan may take at most */
	struct storage storages[AGENT_STORAGES_MAX];
	size_t num_storages;
};

/* 0, or errno with *error (on mem_ctx) saying where and what. */
int agent_config_load(TALLOC_CTX *mem_ctx, const char *path,
		      struct agent_config **result, char **error);

#endif
