/*
 * Why a file could not be fetched. See fetch_error.h.
 *
 * The same errno means one thing before the share was reached and another
 * after it: a share that is not there must not be told as a file that is
 * not, or storage would think the file gone.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cee_agent/fetch_error.h"
#include "common/cee_msg.h"

static uint32_t fetch_error_status(const struct fetch_error *e)
{
	switch (e->error) {
	case ENOENT:
	case ENOTDIR:
		return e->connected ? CEE_ERROR_FILE_NOT_FOUND :
				      CEE_ERROR_FAIL;
	case EACCES:
	case EPERM:
		return CEE_ERROR_ACCESS_DENIED;
	case ETIMEDOUT:
		return CEE_ERROR_TIMEOUT;
	default:
		return CEE_ERROR_FAIL;
	}
}

/* The login, or the way to it. */
static void fetch_error_connect(const struct fetch_error *e, char *text,
				size_t size)
{
	const struct storage *s = e->storage;

	switch (e->error) {
	case EACCES:
	case EPERM:
		snprintf(text, size, "%s does not let %s in%s%s: check user, "
			 "%s and encryption of [storage %s], and `cavactl "
			 "avvendor list` there", e->host, s->user,
			 e->why[0] == '\0' ? "" : ": ", e->why,
			 s->keytab != NULL ? "keytab" : s->ccache != NULL ?
			 "ccache" : "domain, password_file", s->name);
		return;
	case ENOENT:
	case ENODEV:
		snprintf(text, size, "%s has no share %s: make it there with "
			 "`cavad --setup-share`, or correct share in "
			 "[storage %s]", e->host, s->share, s->name);
		return;
	case EINVAL:
		/* libsmbclient's word for a share that refuses, and for
		 * "no logon servers" */
		snprintf(text, size, "%s lets %s not into %s%s%s: is it in "
			 "AVVendor there (`cavactl avvendor list`), does "
			 "fetch_addresses of the server there have this "
			 "address%s?", e->host, s->user, s->share,
			 e->why[0] == '\0' ? "" : ": ", e->why,
			 s->login == LOGIN_KERBEROS ? ", can a KDC be reached, "
			 "are the clocks the same" : "");
		return;
	default:
		snprintf(text, size, "cannot connect to %s port %u: %s: is "
			 "smbd up there, and can it be reached from here?",
			 e->host, (unsigned int)s->port, strerror(e->error));
	}
}

uint32_t fetch_error_text(const struct fetch_error *e, char *text,
			  size_t size)
{
	if (!e->connected) {
		fetch_error_connect(e, text, size);
	} else if (e->error == EACCES || e->error == EPERM) {
		snprintf(text, size, "%s over SMB: %s: %s has no scan of it "
			 "under way for %s from this address (`cavactl "
			 "avvendor list`, fetch_addresses of the server "
			 "there)", e->what, strerror(e->error), e->host,
			 e->storage->user);
	} else {
		snprintf(text, size, "%s over SMB: %s", e->what,
			 strerror(e->error));
	}
	return fetch_error_status(e);
}
