/*
 * Which node of a CTDB cluster this host is.
 *
 * Read from CTDB's nodes file, CTDB_BASE/nodes or /etc/ctdb/nodes, which is
 * the same on all nodes: an address a line; one that begins with # is a node
 * that was taken out and keeps its number. CTDB's own numbers count from 0
 * (ctdb_read_nodes_file() of Samba, ctdb(1) "pnn"), ours from 1.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_CLUSTER_H
#define CAVAD_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster {
	uint32_t node;		/* from 1; 0: none of them is this host */
	uint32_t nodes;		/* that are not taken out; 0: no cluster */
};

/* Pure but for `here`: is this one of our addresses? text is modified. */
struct cluster cluster_parse(char *text, bool (*here)(const char *address));

/* {0, 0} where there is no such file, or where it cannot be read. */
struct cluster cluster_read(void);

#endif
