/*
 * Kerberos tickets out of a keytab, or by a password: blocking, for worker
 * processes only.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_TICKET_H
#define CEE_AGENT_TICKET_H

#include <stddef.h>
#include <time.h>

#include "cee_agent/config.h"

/*
 * Logs the storage's user in, with keytab or else password, and leaves the
 * ticket in a credential cache ("FILE:/..."). 0 and until when it is good;
 * EACCES, or EINVAL when nobody is there to ask, with the words of the
 * Kerberos library in `why`.
 */
int ticket_get(const struct storage *s, const char *ccache, time_t *until,
	       char *why, size_t why_size);

#endif
