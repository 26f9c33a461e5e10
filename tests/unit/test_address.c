/*
 * Addresses and networks: what is one, and what is in it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <sys/un.h>
#include <cmocka.h>

#include "common/address.h"

static const struct {
	const char *text;
	const char *address;	/* NULL: it is none */
} addresses[] = {
	{ "192.0.2.7", "::ffff:192.0.2.7" },
	{ "fd00::1", "fd00::1" },
	{ "fe80::1%eth0", "fe80::1" },
	{ "::ffff:192.0.2.7", "::ffff:192.0.2.7" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "192.0.2", NULL },
	{ "192.0.2.256", NULL },
	{ "host", NULL },
	{ "", NULL },
	{ "%eth0", NULL },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NULL },
};

static void test_parse(void **state)
{
	struct in6_addr wanted, got;
	size_t i = 0;

	(void)state;
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		bool ok = address_parse(addresses[i].text, &got);

		assert_int_equal(ok, addresses[i].address != NULL);
		if (ok) {
			inet_pton(AF_INET6, addresses[i].address, &wanted);
			assert_memory_equal(&got, &wanted, sizeof(got));
		}
	}
}

static void test_of(void **state)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct in6_addr wanted, got;

	(void)state;
	inet_pton(AF_INET, "192.0.2.7", &four.sin_addr);
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &wanted);
	assert_true(address_of((struct sockaddr *)&four, &got));
	assert_memory_equal(&got, &wanted, sizeof(got));
	six.sin6_addr = wanted;
	assert_true(address_of((struct sockaddr *)&six, &got));
	assert_memory_equal(&got, &wanted, sizeof(got));
	assert_false(address_of((struct sockaddr *)&local, &got));
}

enum { NO_NETWORK, OUTSIDE, INSIDE };

static const struct {
	const char *network;
	const char *address;
	int wanted;
} networks[] = {
	{ "192.0.2.7", "192.0.2.7", INSIDE },
	{ "192.0.2.7", "192.0.2.6", OUTSIDE },
	{ "192.0.2.0/24", "192.0.2.255", INSIDE },
	{ "192.0.2.0/24", "192.0.3.0", OUTSIDE },
	{ "192.0.2.0/23", "192.0.3.0", INSIDE },
	{ "192.0.2.128/25", "192.0.2.127", OUTSIDE },
	{ "192.0.2.128/25", "192.0.2.128", INSIDE },
	{ "0.0.0.0/0", "203.0.113.9", INSIDE },
	{ "0.0.0.0/0", "fd00::1", OUTSIDE },
	{ "::/0", "203.0.113.9", INSIDE },
	{ "fd00::/8", "fdff::1", INSIDE },
	{ "fd00::/8", "fe00::1", OUTSIDE },
	{ "fd00::/9", "fd80::1", OUTSIDE },
	{ "::ffff:192.0.2.0/120", "192.0.2.9", INSIDE },
	{ "192.0.2.0/33", "192.0.2.0", NO_NETWORK },
	{ "fd00::/129", "fd00::", NO_NETWORK },
	{ "192.0.2.0/", "192.0.2.0", NO_NETWORK },
	{ "192.0.2.0/08", "192.0.2.0", NO_NETWORK },
	{ "192.0.2.0/-1", "192.0.2.0", NO_NETWORK },
	{ "192.0.2.0/24x", "192.0.2.0", NO_NETWORK },
	{ "192.0.2.0/4294967304", "192.0.2.0", NO_NETWORK },
	{ "fe80::1%eth0", "fe80::1", NO_NETWORK },
	{ "/8", "10.0.0.0", NO_NETWORK },
	{ "", "10.0.0.0", NO_NETWORK },
};

static void test_network(void **state)
{
	struct network net;
	struct in6_addr addr;
	size_t i = 0;

	(void)state;
	for (i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		int got = NO_NETWORK;

		assert_true(address_parse(networks[i].address, &addr));
		if (network_parse(networks[i].network, &net)) {
			got = network_has(&net, &addr) ? INSIDE : OUTSIDE;
		}
		if (got != networks[i].wanted) {
			fail_msg("%s in %s", networks[i].address,
				 networks[i].network);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_of),
		cmocka_unit_test(test_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
