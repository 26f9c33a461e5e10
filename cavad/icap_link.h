/*
 * One connection to an ICAP server, with TLS or without, for a thread that
 * may wait. Each call waits until its deadline at most, and ends with
 * ECANCELED when the descriptor `cancel` becomes readable.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_ICAP_LINK_H
#define CAVAD_ICAP_LINK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct icap_link;

/* Before and after all of it; counted. 0 or ENOMEM. */
int icap_link_library(void);
void icap_link_library_end(void);

/* Where a service is; strings of malloc(). */
struct icap_target {
	char *url;		/* for icap_link_open() */
	char *ca_file;		/* the same */
	char *host;		/* HOST:PORT as requests name it */
	char *service;		/* path without its first slash */
};

/*
 * icap://HOST[:PORT]/SERVICE, or icaps. 0, ENOMEM, or EINVAL when it is not
 * of that form; .ca_file is left alone. In each case icap_target_free().
 */
int icap_target_parse(const char *uri, bool tls, struct icap_target *target);
void icap_target_free(struct icap_target *target);

struct icap_wait {
	int64_t deadline;	/* ms of the monotonic clock */
	int cancel;		/* an eventfd, say */
};

/*
 * url: "http://HOST:PORT", or https for TLS with the certificate checked,
 * by those in ca_file if that is not empty.
 * 0 or errno: EHOSTUNREACH (no such name, or no connection in time),
 * ECONNREFUSED, EPROTO (no TLS that can be trusted); `why` says it for a
 * person.
 */
int icap_link_open(const char *url, const char *ca_file,
		   const struct icap_wait *wait, struct icap_link **result,
		   char *why, size_t size);
void icap_link_close(struct icap_link *l);

/* Of the server. */
void icap_link_address(struct icap_link *l, char address[INET6_ADDRSTRLEN]);

/*
 * Sends what goes. *sent 0 = the server has something to say before it takes
 * more. 0 or errno.
 */
int icap_link_send(struct icap_link *l, const void *data, size_t len,
		   const struct icap_wait *wait, size_t *sent);

/* At least a byte, or *got 0 = the server has closed. 0 or errno. */
int icap_link_recv(struct icap_link *l, void *data, size_t size,
		   const struct icap_wait *wait, size_t *got);

/* As icap_link_recv(), but EAGAIN when there is nothing now. */
int icap_link_peek(struct icap_link *l, void *data, size_t size, size_t *got);

int64_t icap_now(void);		/* ms of the monotonic clock */

#endif
