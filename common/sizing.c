/*
 * How many antivirus servers a cluster wants: see sizing.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/sizing.h"

static uint64_t sizing_divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

uint64_t sizing_servers(uint64_t nodes)
{
	uint64_t servers = sizing_divide_up(nodes, SIZING_NODES_A_SERVER);

	return servers < SIZING_SERVERS_MIN ? SIZING_SERVERS_MIN : servers;
}

struct sizing sizing_of(uint64_t nodes, uint64_t connections)
{
	struct sizing s = {
		.nodes = nodes,
		.connections = connections,
		.servers = sizing_servers(nodes),
		.in_use = SIZING_SERVERS_A_NODE,
	};

	if (s.servers < s.in_use) {
		s.in_use = s.servers;
	}
	s.total = s.servers * connections;
	s.nodes_each = sizing_divide_up(nodes * s.in_use, s.servers);
	s.share = connections / s.nodes_each;
	if (s.share == 0) {
		s.share = 1;
	}
	return s;
}
