/*
 * What the API on TCP needs before cavad gives up its rights: bound sockets,
 * certificate, key, accounts, and the files of the page.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_TCP_H
#define CAVAD_API_TCP_H

#include "cavad/account.h"
#include "cavad/object.h"
#include "common/access.h"

#define API_TCP_LISTEN_MAX 16

/* What the files say. */
struct api_tcp_files {
	char *certificate;	/* PEM */
	char *key;
	struct accounts *accounts;
	struct access *metrics;	/* who gets /metrics without a login */
};

struct api_tcp {
	int fds[API_TCP_LISTEN_MAX];	/* closed with it */
	size_t count;
	struct api_tcp_files *files;
	struct web *web;	/* NULL = none */
};

/*
 * Reads the files, as start and reload do. *result is NULL when api_listen is
 * empty. 0, or errno with *error, which names the setting and the file.
 */
int api_tcp_read(TALLOC_CTX *mem_ctx, const struct settings *s,
		 struct api_tcp_files **result, char **error);

/* Reads and binds, as root. The same. */
int api_tcp_open(TALLOC_CTX *mem_ctx, const struct settings *s,
		 struct api_tcp **result, char **error);

#endif
