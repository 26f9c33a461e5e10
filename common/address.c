/*
 * Addresses and networks: see address.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/address.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#define ADDRESS_BITS 128
#define ADDRESS_BITS4 32

static void address_map(struct in6_addr *addr, const struct in_addr *four)
{
	*addr = (struct in6_addr) { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&addr->s6_addr[12], four, sizeof(*four));
}

/* The first len bytes of it. *bits: how many it has in its own family. */
static bool address_plain(const char *text, size_t len, struct in6_addr *addr,
			  unsigned int *bits)
{
	char copy[INET6_ADDRSTRLEN] = "";
	struct in_addr four;

	if (len >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, text, len);
	if (inet_pton(AF_INET, copy, &four) == 1) {
		address_map(addr, &four);
		*bits = ADDRESS_BITS4;
		return true;
	}
	*bits = ADDRESS_BITS;
	return inet_pton(AF_INET6, copy, addr) == 1;
}

bool address_parse(const char *text, struct in6_addr *addr)
{
	unsigned int bits = 0;

	return address_plain(text, strcspn(text, "%"), addr, &bits);
}

bool address_of(const struct sockaddr *sa, struct in6_addr *addr)
{
	if (sa->sa_family == AF_INET) {
		address_map(addr,
			    &((const struct sockaddr_in *)sa)->sin_addr);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		*addr = ((const struct sockaddr_in6 *)sa)->sin6_addr;
		return true;
	}
	return false;
}

bool address_is_here(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool here = fd != -1 && bind(fd, sa, len) == 0;

	if (fd != -1) {
		close(fd);
	}
	return here;
}

/* 0 to max, decimal, without leading zeros; false otherwise. */
static bool network_bits(const char *text, unsigned int max,
			 unsigned int *bits)
{
	unsigned int n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && p - text < 3; p++) {
		n = n * 10 + (unsigned int)(*p - '0');
	}
	*bits = n;
	return p != text && *p == '\0' && n <= max &&
		(text[0] != '0' || text[1] == '\0');
}

bool network_parse(const char *text, struct network *net)
{
	size_t len = strcspn(text, "/");
	unsigned int most = 0;
	unsigned int bits = 0;

	if (!address_plain(text, len, &net->address, &most)) {
		return false;
	}
	bits = most;
	if (text[len] == '/' && !network_bits(text + len + 1, most, &bits)) {
		return false;
	}
	net->bits = ADDRESS_BITS - most + bits;
	return true;
}

bool network_has(const struct network *net, const struct in6_addr *addr)
{
	unsigned int bytes = net->bits / 8;
	unsigned int rest = net->bits % 8;
	unsigned int differ = 0;

	if (memcmp(&net->address, addr, bytes) != 0) {
		return false;
	}
	if (rest == 0) {
		return true;
	}
	differ = net->address.s6_addr[bytes] ^ addr->s6_addr[bytes];
	return differ >> (8 - rest) == 0;
}
