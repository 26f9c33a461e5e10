/*
 * Sessions of browsers: see session.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct session_row {
	struct session session;
	char *user;
	char *hash;		/* the account's, when it logged in */
	time_t opened;		/* 0 = unused */
	time_t used;
};

struct sessions {
	struct session_row rows[SESSIONS_MAX];
};

static time_t session_now(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + 1;	/* never 0 */
}

static int session_secret(char text[SESSION_SECRET])
{
	unsigned char bytes[(SESSION_SECRET - 1) / 2];
	size_t i = 0;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		return EIO;
	}
	for (i = 0; i < sizeof(bytes); i++) {
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	}
	return 0;
}

static void session_end(struct session_row *row)
{
	talloc_free(row->user);
	talloc_free(row->hash);
	explicit_bzero(row, sizeof(*row));
}

struct sessions *sessions_create(TALLOC_CTX *mem_ctx)
{
	return talloc_zero(mem_ctx, struct sessions);
}

int session_open(struct sessions *s, const struct account *account,
		 const struct session **result)
{
	struct session_row *row = &s->rows[0];
	size_t i = 0;
	int ret = 0;

	for (i = 1; i < SESSIONS_MAX; i++) {
		if (s->rows[i].used < row->used) {
			row = &s->rows[i];
		}
	}
	session_end(row);
	ret = session_secret(row->session.id);
	ret = ret != 0 ? ret : session_secret(row->session.csrf);
	row->user = talloc_strdup(s, account->name);
	row->hash = talloc_strdup(s, account->hash);
	if (row->user == NULL || row->hash == NULL) {
		ret = ENOMEM;
	}
	if (ret != 0) {
		session_end(row);
		return ret;
	}
	row->session.user = row->user;
	row->opened = session_now();
	row->used = row->opened;
	*result = &row->session;
	return 0;
}

static struct session_row *session_row(struct sessions *s, const char *id)
{
	struct session_row *found = NULL;
	size_t i = 0;

	if (strlen(id) != SESSION_SECRET - 1) {
		return NULL;
	}
	for (i = 0; i < SESSIONS_MAX; i++) {
		if (s->rows[i].opened != 0 &&
		    account_equal(s->rows[i].session.id, id,
				  SESSION_SECRET - 1)) {
			found = &s->rows[i];
		}
	}
	return found;
}

const struct session *session_find(struct sessions *s,
				   const struct accounts *accounts,
				   const char *id)
{
	struct session_row *row = session_row(s, id);
	const struct account *account = NULL;
	time_t now = session_now();

	if (row == NULL) {
		return NULL;
	}
	account = account_find(accounts, row->user);
	if (account == NULL || strcmp(account->hash, row->hash) != 0 ||
	    now - row->opened >= SESSION_ABSOLUTE ||
	    now - row->used >= SESSION_INACTIVE) {
		session_end(row);
		return NULL;
	}
	row->used = now;
	return &row->session;
}

void session_close(struct sessions *s, const char *id)
{
	struct session_row *row = session_row(s, id);

	if (row != NULL) {
		session_end(row);
	}
}
