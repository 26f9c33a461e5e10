/*
 * Sessions of browsers: logged in once, known by a cookie.
 *
 * In memory alone: a restart ends them, and so does a changed password. The
 * id is in a cookie that no script can read; what changes something has to
 * say the other secret in a header as well, which another site's page can
 * not.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SESSION_H
#define CAVAD_SESSION_H

#include <stdbool.h>
#include <talloc.h>

#include "cavad/account.h"

#define SESSION_ABSOLUTE 14400	/* s after which it ends */
#define SESSION_INACTIVE 900	/* s without a request, likewise */
#define SESSIONS_MAX 256	/* the one that is unused longest goes */
#define SESSION_SECRET 65	/* hex digits and a NUL */

struct sessions;

struct session {
	char id[SESSION_SECRET];
	char csrf[SESSION_SECRET];
	const char *user;
};

struct sessions *sessions_create(TALLOC_CTX *mem_ctx);

/* A new one of an account, borrowed until sessions_* is called. 0, errno. */
int session_open(struct sessions *s, const struct account *account,
		 const struct session **result);

/*
 * Whose session is it? It counts as used. NULL: none that is alive, or its
 * account is not in `accounts` any more with the hash that it had.
 */
const struct session *session_find(struct sessions *s,
				   const struct accounts *accounts,
				   const char *id);

void session_close(struct sessions *s, const char *id);

#endif
