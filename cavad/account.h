/*
 * Accounts of the API on TCP, and what a role may do.
 *
 * They are lines of a file, "name:hash" or "name:hash:read", the hash by
 * crypt(3), as `mkpasswd` and `htpasswd -B` make it: yescrypt, scrypt,
 * bcrypt, SHA-512, SHA-256. Weaker ones are refused. With "read" behind it
 * an account may look and change nothing. Empty lines and lines that begin
 * with # are none.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ACCOUNT_H
#define CAVAD_ACCOUNT_H

#include <stdbool.h>
#include <talloc.h>

#define ACCOUNTS_MAX 1000
#define ACCOUNT_NAME_MAX 128	/* bytes */
#define ACCOUNT_PASSWORD_MAX 512

enum api_role { API_ROLE_NONE, API_ROLE_READ, API_ROLE_ALL };

struct account {
	const char *name;
	const char *hash;
	enum api_role role;
};

struct accounts {
	struct account *rows;
	size_t count;
};

/*
 * Pure. `text` is all of the file. 0, EINVAL or ENOMEM with *error (on
 * mem_ctx) "line 3: ...", which never shows a hash.
 */
int accounts_parse(TALLOC_CTX *mem_ctx, const char *text,
		   struct accounts **result, char **error);

/* By its name, or NULL. */
const struct account *account_find(const struct accounts *a,
				   const char *name);

/* Is it the password of that hash? Takes tens of ms: not for the loop. */
bool account_password(const char *hash, const char *password);

enum api_access {
	API_GRANTED,
	API_LOGIN,		/* somebody has to log in first */
	API_FORBIDDEN
};

/*
 * Pure. The one place that says who may do what: may `role` use `method`
 * where, if `open`, nobody needs to log in?
 */
enum api_access api_access(enum api_role role, const char *method, bool open);

/* Pure, and as long whatever differs. */
bool account_equal(const void *a, const void *b, size_t len);

#endif
