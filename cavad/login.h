/*
 * Logging in over the network: is that password right, and how often may an
 * address be wrong?
 *
 * Hashing takes tens of ms on purpose, so a thread does it, one after the
 * other. What was right is remembered for LOGIN_KNOWN (as a keyed digest), so
 * that a program which logs in with each request costs one hash a minute. A
 * wrong one is answered after LOGIN_DELAY, and after LOGIN_FAILURES of them
 * within LOGIN_WINDOW the address is refused without being looked at, unless
 * what it says is remembered as right.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_LOGIN_H
#define CAVAD_LOGIN_H

#include <tevent.h>

#include "cavad/account.h"
#include "cavad/counter.h"
#include "cavad/event.h"

#define LOGIN_KNOWN 60		/* s */
#define LOGIN_DELAY 1		/* s */
#define LOGIN_WINDOW 60		/* s */
#define LOGIN_FAILURES 10	/* of an address in that time */
#define LOGIN_QUEUE 64		/* hashes that wait */

struct logins;

/* accounts: taken. 0 or errno. */
int logins_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		  struct accounts *accounts, struct events *events,
		  struct counters *counters, struct logins **result);

/* Others from now on; what was right is right no longer. Takes them. */
void logins_change(struct logins *l, struct accounts *accounts);

const struct accounts *logins_accounts(const struct logins *l);

/* from: the numeric address, with which failures are counted. */
struct tevent_req *login_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			      struct logins *l, const char *name,
			      const char *password, const char *from);

/*
 * 0: it is right. EACCES; EBUSY: the address was wrong too often; EAGAIN: too
 * many hashes wait; ENOMEM.
 */
int login_recv(struct tevent_req *req);

#endif
