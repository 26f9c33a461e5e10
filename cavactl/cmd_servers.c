/*
 * cavactl servers: the antivirus servers, a line each; and how many of them a
 * cluster wants.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "cavactl/cavactl.h"
#include "common/sizing.h"

#define SERVERS_NODES_MAX 65535
#define SERVERS_CONNECTIONS_MAX 100

static const struct output_column servers_columns[] = {
	{ "NAME", "server_name", false },
	{ "URI", "server_uri", false },
	{ "TYPE", "server_type", false },
	{ "POOL", "pool", false },
	{ "STATE", "server_state", false },
	{ "VERSION", "version", false },
	{ "SIGNATURES", "signature_timestamp", false },
	{ "RTT MS", "rtt", true },
	{ "CONN", "load", true },
	{ "SCANS", "scan_requests", true },
	{ "FAILED", "scan_failures", true },
	{ NULL, NULL, false }
};

static const struct output_column servers_sizing[] = {
	{ "NODES", "nodes", true },
	{ "SERVERS", "servers", true },
	{ "CONNECTIONS", "total", true },
	{ "SERVERS A NODE USES", "in_use", true },
	{ "NODES THAT USE A SERVER", "nodes_each", true },
	{ "SAFE connections_maximum", "share", true },
	{ NULL, NULL, false }
};

static long long servers_number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* "3/20" and "1/4/2": what is two or three numbers of the reply. */
static void servers_add_texts(json_t *server)
{
	char text[128];

	snprintf(text, sizeof(text), "%lld/%lld",
		 servers_number(server, "connections"),
		 servers_number(server, "connections_maximum"));
	json_object_set_new(server, "load", json_string(text));
	snprintf(text, sizeof(text), "%lld/%lld/%lld",
		 servers_number(server, "scan_rtt_min"),
		 servers_number(server, "scan_rtt"),
		 servers_number(server, "scan_rtt_last"));
	json_object_set_new(server, "rtt", json_string(text));
}

static void servers_print(json_t *servers)
{
	json_t *server = NULL;
	size_t i = 0;

	if (json_array_size(servers) == 0) {
		printf("There is no antivirus server. Add a [server NAME] to "
		       "cavad.conf, then systemctl reload cavad.\n");
		return;
	}
	json_array_foreach(servers, i, server) {
		servers_add_texts(server);
	}
	output_table(servers, servers_columns);
}

enum cavactl_exit cmd_servers(const struct cavactl *ctl, const char **args)
{
	json_t *reply = NULL;
	json_t *servers = NULL;
	enum cavactl_exit ret = cavactl_call(
		ctl, "GET", "/platform/11/avscan/nodes/1/status", NULL,
		&reply);

	(void)args;
	if (ret != CAVACTL_OK) {
		return ret;
	}
	servers = json_object_get(json_object_get(json_array_get(
		json_object_get(reply, "nodes"), 0), "status"),
		"server_status");
	if (ctl->json) {
		json_t *wrapped = json_pack("{s:O}", "servers", servers);

		output_json(wrapped);
		json_decref(wrapped);
	} else {
		servers_print(servers);
	}
	json_decref(reply);
	return CAVACTL_OK;
}

/* An option's number in its range? If not, that is said. */
static bool servers_in_range(const char *option, int value, int max)
{
	if (value >= 1 && value <= max) {
		return true;
	}
	output_error("--%s=%d: a number from 1 to %d is accepted", option,
		     value, max);
	return false;
}

enum cavactl_exit cmd_servers_advise(const struct cavactl *ctl,
				     const char **args)
{
	struct sizing s;
	json_t *row = NULL;
	json_t *rows = json_array();

	(void)args;
	if (!servers_in_range("nodes", ctl->nodes, SERVERS_NODES_MAX) ||
	    !servers_in_range("connections", ctl->connections,
			      SERVERS_CONNECTIONS_MAX)) {
		json_decref(rows);
		return CAVACTL_REFUSED;
	}
	s = sizing_of((uint64_t)ctl->nodes, (uint64_t)ctl->connections);
	row = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			"nodes", (json_int_t)s.nodes,
			"connections", (json_int_t)s.connections,
			"servers", (json_int_t)s.servers,
			"total", (json_int_t)s.total,
			"in_use", (json_int_t)s.in_use,
			"nodes_each", (json_int_t)s.nodes_each,
			"share", (json_int_t)s.share);
	json_array_append_new(rows, row);
	if (ctl->json) {
		output_json(row);
	} else {
		printf("One server for %d nodes, at least %d; each takes %d "
		       "connections.\n\n", SIZING_NODES_A_SERVER,
		       SIZING_SERVERS_MIN, ctl->connections);
		output_table(rows, servers_sizing);
		printf("\nEach node opens up to connections_maximum "
		       "connections to each server it uses, and\nknows of no "
		       "other node's: with the last number no server gets "
		       "more than it takes.\nIn cavad.conf: nodes = %d, and "
		       "the number of each node as node.\n", ctl->nodes);
	}
	json_decref(rows);
	return CAVACTL_OK;
}
