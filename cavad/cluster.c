/*
 * The number of this node: see cluster.h. CTDB finds it the same way, by the
 * address that it can bind to.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/cluster.h"

#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/log.h"

#define CLUSTER_BASE "/etc/ctdb"
#define CLUSTER_FILE_MAX 65536	/* bytes */

struct cluster cluster_parse(char *text, bool (*here)(const char *address))
{
	struct cluster c = { .nodes = 0 };
	uint32_t number = 0;
	char *save = NULL;
	char *line = NULL;

	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t");
		line[strcspn(line, " \t\r")] = '\0';
		if (line[0] == '\0') {
			continue;
		}
		number++;
		if (line[0] == '#') {
			continue;
		}
		c.nodes++;
		if (c.node == 0 && here(line)) {
			c.node = number;
		}
	}
	return c;
}

static bool cluster_here(const char *address)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST,
		.ai_socktype = SOCK_DGRAM,
	};
	struct addrinfo *ai = NULL;
	bool here = false;

	if (getaddrinfo(address, NULL, &hints, &ai) != 0) {
		return false;
	}
	here = address_is_here(ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	return here;
}

struct cluster cluster_read(void)
{
	const char *base = getenv("CTDB_BASE");
	struct cluster c = { .nodes = 0 };
	char path[4096] = "";
	char *text = NULL;
	ssize_t n = -1;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/nodes",
		 base != NULL ? base : CLUSTER_BASE);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		return c;
	}
	text = calloc(1, CLUSTER_FILE_MAX);
	if (text != NULL) {
		n = read(fd, text, CLUSTER_FILE_MAX - 1);
	}
	close(fd);
	if (n > 0) {
		c = cluster_parse(text, cluster_here);
	}
	if (c.nodes > 0 && c.node == 0) {
		log_warning("%s names no address of this host; node 1 is "
			    "taken for it, unless cavad.conf says node",
			    path);
	}
	free(text);
	return c;
}
