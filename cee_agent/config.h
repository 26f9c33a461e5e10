/*
 * Configuration of cee_agent: an INI file, read at start and at a reload.
 *
 * What a key means is in docs/man/cee_agent.8; which there are, and their
 * defaults and bounds, is in the tables of config.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_CONFIG_H
#define CEE_AGENT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <talloc.h>

#include "common/access.h"

#ifndef CAVA_VERSION	/* the build says it */
#define CAVA_VERSION "0.1"
#endif

#define AGENT_STORAGES_MAX 64
#define AGENT_HOSTS_MAX 16	/* names of one storage */
#define AGENT_CLAMDS_MAX 8
#define AGENT_WORKERS_MAX 64

struct address {
	struct sockaddr_storage sa;	/* AF_INET, AF_INET6 or AF_UNIX */
	socklen_t len;			/* 0 = none */
	const char *text;		/* as it was written */
};

enum storage_login { LOGIN_NTLM = 0, LOGIN_KERBEROS };

enum storage_encryption { ENCRYPTION_IF_OFFERED = 0, ENCRYPTION_IF_REQUIRED,
			  ENCRYPTION_REQUIRED };

struct host_names {
	const char *names[AGENT_HOSTS_MAX];
	size_t num;
};

/* A server whose CHECK$ may be asked for files. */
struct storage {
	const char *name;
	struct host_names hosts;	/* as UNC paths have them, any case */
	const char *share;
	const char *user;
	const char *domain;
	const char *password_file;
	const char *password;
	const char *keytab;
	const char *ccache;
	uint64_t login;		/* enum storage_login */
	uint64_t encryption;	/* enum storage_encryption */
	uint64_t max_scans;	/* of its files at once; 0 = all workers */
	uint64_t port;
	unsigned int seen;	/* bit n: row n of config.c's table */
};

struct clamd_list {
	struct address addresses[AGENT_CLAMDS_MAX];
	size_t num;
};

struct agent_config {
	const char *path;
	unsigned int seen;	/* as in struct storage */
	struct address listen;
	struct address https_listen;
	const char *https_certificate;	/* files */
	const char *https_key;
	const char *certificate_pem;	/* what is in them */
	const char *key_pem;
	struct clamd_list clamd;
	const char *clamd_conf;
	struct access *allow;
	struct access *status_allow;
	const char *version;	/* said as ceeVersion */
	const char *user;	/* "" = stay who we are */
	uint64_t workers;
	uint64_t max_size;	/* bytes; larger files are over the limit */
	const char *max_size_why;	/* "max_size", or clamd's option */
	bool alerts_unknown;	/* clamd_conf does not have AlertExceedsMax */
	uint64_t timeout;	/* s a scan may take at most */
	uint64_t max_connections;
	uint64_t max_connections_per_host;
	uint64_t idle_timeout;	/* s */
	struct storage storages[AGENT_STORAGES_MAX];
	size_t num_storages;
};

/*
 * 0, or errno with *error (on mem_ctx) saying where and what. `check`: by
 * an admin who wants to know whether the service would take it.
 */
int agent_config_load(TALLOC_CTX *mem_ctx, const char *path, bool check,
		      struct agent_config **result, char **error);

/* The storage that has this name in UNC paths; NULL = none. */
const struct storage *agent_config_storage(const struct agent_config *c,
					   const char *host);

#endif
