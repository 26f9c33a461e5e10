/*
 * Kerberos tickets out of a keytab, or by a password. See ticket.h.
 *
 * libsmbclient takes tickets from a credential cache, but reads no keytab;
 * and that of Samba 4.22 makes them from a password only where smb.conf has
 * the realm, of which there may be several here. The two sides have Kerberos
 * libraries of their own; what they share is a file.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <krb5.h>
#include <stdio.h>
#include <string.h>

#include "cee_agent/ticket.h"

struct ticket {
	krb5_context context;
	krb5_principal principal;
	krb5_keytab keytab;
	krb5_ccache ccache;
	krb5_creds creds;
};

static void ticket_say(const struct ticket *t, krb5_error_code code,
		       char *why, size_t why_size)
{
	const char *text = krb5_get_error_message(t->context, code);

	snprintf(why, why_size, "%s", text);
	krb5_free_error_message(t->context, text);
}

/* By the key of the storage, or by its password. */
static krb5_error_code ticket_creds(struct ticket *t, const struct storage *s)
{
	krb5_error_code code;

	if (s->keytab == NULL) {
		return krb5_get_init_creds_password(
			t->context, &t->creds, t->principal, s->password,
			NULL, NULL, 0, NULL, NULL);
	}
	code = krb5_kt_resolve(t->context, s->keytab, &t->keytab);
	if (code != 0) {
		return code;
	}
	return krb5_get_init_creds_keytab(t->context, &t->creds,
					  t->principal, t->keytab, 0, NULL,
					  NULL);
}

static krb5_error_code ticket_login(struct ticket *t, const struct storage *s,
				    const char *ccache)
{
	krb5_error_code code;

	code = krb5_parse_name(t->context, s->user, &t->principal);
	if (code == 0) {
		code = ticket_creds(t, s);
	}
	if (code == 0) {
		code = krb5_cc_resolve(t->context, ccache, &t->ccache);
	}
	if (code == 0) {
		code = krb5_cc_initialize(t->context, t->ccache,
					  t->principal);
	}
	if (code == 0) {
		code = krb5_cc_store_cred(t->context, t->ccache, &t->creds);
	}
	return code;
}

static void ticket_free(struct ticket *t)
{
	krb5_free_cred_contents(t->context, &t->creds);
	if (t->ccache != NULL) {
		krb5_cc_close(t->context, t->ccache);
	}
	if (t->keytab != NULL) {
		krb5_kt_close(t->context, t->keytab);
	}
	krb5_free_principal(t->context, t->principal);
	krb5_free_context(t->context);
}

int ticket_get(const struct storage *s, const char *ccache, time_t *until,
	       char *why, size_t why_size)
{
	struct ticket t = { .context = NULL };
	krb5_error_code code;

	code = krb5_init_context(&t.context);
	if (code != 0) {
		snprintf(why, why_size, "krb5.conf cannot be read");
		return EACCES;
	}
	code = ticket_login(&t, s, ccache);
	if (code != 0) {
		ticket_say(&t, code, why, why_size);
	} else {
		*until = t.creds.times.endtime;
	}
	ticket_free(&t);
	if (code == 0) {
		return 0;
	}
	return code == KRB5_KDC_UNREACH ? EINVAL : EACCES;
}
