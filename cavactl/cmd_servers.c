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
	{ "NAME", "server_name", OUT_TEXT },
	{ "URI", "server_uri", OUT_TEXT },
	{ "TYPE", "server_type", OUT_TEXT },
	{ "POOL", "pool", OUT_TEXT },
	{ "STATE", "server_state", OUT_TEXT },
	{ "VERSION", "version", OUT_TEXT },
	{ "SIGNATURES", "signature_timestamp", OUT_TEXT },
	{ "RTT MS", "rtt", OUT_NUMBER | OUT_NOT_CSV },
	{ "LEAST", "scan_rtt_min", OUT_NUMBER | OUT_NOT_TEXT },
	{ "AVERAGE", "scan_rtt", OUT_NUMBER | OUT_NOT_TEXT },
	{ "LAST", "scan_rtt_last", OUT_NUMBER | OUT_NOT_TEXT },
	{ "CONN", "load", OUT_NUMBER | OUT_NOT_CSV },
	{ "CONN", "connections", OUT_NUMBER | OUT_NOT_TEXT },
	{ "LIMIT", "connections_maximum", OUT_NUMBER | OUT_NOT_TEXT },
	{ "SCANS", "scan_requests", OUT_NUMBER },
	{ "FAILED", "scan_failures", OUT_NUMBER },
	{ NULL, NULL, 0 }
};

static const struct output_column servers_sizing[] = {
	{ "NODES", "nodes", OUT_NUMBER },
	{ "SERVERS", "servers", OUT_NUMBER },
	{ "CONNECTIONS", "total", OUT_NUMBER },
	{ "SERVERS A NODE USES", "in_use", OUT_NUMBER },
	{ "NODES THAT USE A SERVER", "nodes_each", OUT_NUMBER },
	{ "SAFE connections_maximum", "share", OUT_NUMBER },
	{ NULL, NULL, 0 }
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
		printf("There is no antivirus server. cavactl servers create "
		       "NAME --server_uri=URI makes one.\n");
		return;
	}
	json_array_foreach(servers, i, server) {
		servers_add_texts(server);
	}
	output_table(servers, servers_columns);
}

static enum cavactl_exit servers_state(const struct cavactl *ctl,
				       const char **args)
{
	json_t *reply = NULL;
	json_t *servers = NULL;
	enum cavactl_exit ret = cavactl_call(
		ctl, "GET", "/platform/11/avscan/nodes/local/status", NULL,
		&reply);

	(void)args;
	if (ret != CAVACTL_OK) {
		return ret;
	}
	servers = json_object_get(json_object_get(json_array_get(
		json_object_get(reply, "nodes"), 0), "status"),
		"server_status");
	if (ctl->format == OUTPUT_CSV) {
		output_csv(servers, servers_columns);
	} else if (ctl->format == OUTPUT_JSON) {
		json_t *wrapped = json_pack("{s:O}", "servers", servers);

		output_json(wrapped);
		json_decref(wrapped);
	} else {
		servers_print(servers);
	}
	json_decref(reply);
	return CAVACTL_OK;
}

static enum cavactl_exit servers_advise(const struct cavactl *ctl,
					const char **args)
{
	long long nodes = 0;
	long long connections = SIZING_CONNECTIONS;
	struct sizing s;
	json_t *row = NULL;
	json_t *rows = json_array();

	(void)args;
	if (!cavactl_number(ctl, "nodes", 1, SERVERS_NODES_MAX, &nodes) ||
	    !cavactl_number(ctl, "connections", 1, SERVERS_CONNECTIONS_MAX,
			    &connections)) {
		json_decref(rows);
		return CAVACTL_REFUSED;
	}
	if (nodes == 0) {
		output_error("--nodes=N is missing: a number from 1 to "
			     "%d is accepted", SERVERS_NODES_MAX);
		json_decref(rows);
		return CAVACTL_REFUSED;
	}
	s = sizing_of((uint64_t)nodes, (uint64_t)connections);
	row = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			"nodes", (json_int_t)s.nodes,
			"connections", (json_int_t)s.connections,
			"servers", (json_int_t)s.servers,
			"total", (json_int_t)s.total,
			"in_use", (json_int_t)s.in_use,
			"nodes_each", (json_int_t)s.nodes_each,
			"share", (json_int_t)s.share);
	json_array_append_new(rows, row);
	if (ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, row, servers_sizing);
	} else {
		printf("One server for %d nodes, at least %d; each takes "
		       "%lld connections.\n\n", SIZING_NODES_A_SERVER,
		       SIZING_SERVERS_MIN, connections);
		output_table(rows, servers_sizing);
		printf("\nEach node opens up to connections_maximum "
		       "connections to each server it uses, and\nknows of no "
		       "other node's: with the last number no server gets "
		       "more than it takes.\nIn cavad.conf: nodes = %lld, and "
		       "the number of each node as node; where CTDB\nruns, "
		       "cavad takes both from its nodes file.\n", nodes);
	}
	json_decref(rows);
	return CAVACTL_OK;
}

static const struct cavactl_option servers_advise_options[] = {
	{ "nodes", 'n', "N", "nodes of the cluster" },
	{ "connections", 'c', "N", "that one server takes (20)" },
	{ NULL, '\0', NULL, NULL }
};

const struct cavactl_command commands_servers[] = {
	{ "servers", "", 0, 0,
	  "antivirus servers: state, load, round-trip times",
	  servers_state, .examples = "servers --watch=5", .watch = true },
	{ "servers advise", "", 0, 0,
	  "how many servers a cluster of --nodes wants", servers_advise,
	  .options = servers_advise_options,
	  .examples = "servers advise --nodes=6" },
	{ NULL }
};
