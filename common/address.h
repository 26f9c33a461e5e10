/*
 * Addresses and networks, numeric. IPv4 is ::ffff:a.b.c.d, so that there is
 * one kind of address.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

struct network {
	struct in6_addr address;
	unsigned int bits;	/* that count: 128 for one address */
};

/* Pure. A scope (%eth0) is cut off. False: it is no numeric address. */
bool address_parse(const char *text, struct in6_addr *addr);

/* As the kernel has it. False: neither IPv4 nor IPv6. */
bool address_of(const struct sockaddr *sa, struct in6_addr *addr);

/* Can a socket be bound to it? Its port is 0. */
bool address_is_here(const struct sockaddr *sa, socklen_t len);

/* Pure. "192.0.2.7", "10.1.0.0/16", "fd00::/8"; no scope. */
bool network_parse(const char *text, struct network *net);

/* Pure. */
bool network_has(const struct network *net, const struct in6_addr *addr);

#endif
