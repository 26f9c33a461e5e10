/*
 * How many antivirus servers a cluster wants.
 *
 * The model's numbers: one server for four nodes and never fewer than two;
 * a node uses at most four of them; a server takes 20 connections. All pure.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_SIZING_H
#define COMMON_SIZING_H

#include <stdint.h>

#define SIZING_NODES_A_SERVER 4
#define SIZING_SERVERS_MIN 2
#define SIZING_SERVERS_A_NODE 4
#define SIZING_CONNECTIONS 20

struct sizing {
	uint64_t nodes;
	uint64_t connections;	/* that one server takes */
	uint64_t servers;	/* wanted */
	uint64_t in_use;	/* of these, by one node */
	uint64_t total;		/* connections of all servers */
	uint64_t nodes_each;	/* that use one server, at most */
	uint64_t share;		/* connections_maximum with which no server
				 * gets more than it takes */
};

/* nodes and connections from 1. */
uint64_t sizing_servers(uint64_t nodes);
struct sizing sizing_of(uint64_t nodes, uint64_t connections);

#endif
