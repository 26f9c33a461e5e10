/*
 * The number of this node in CTDB's nodes file.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "cavad/cluster.h"
#include "cavad/config.h"

static bool here(const char *address)
{
	return strcmp(address, "192.0.2.3") == 0;
}

static const struct {
	const char *text;
	uint32_t node;
	uint32_t nodes;
} files[] = {
	{ "192.0.2.1\n192.0.2.2\n192.0.2.3\n", 3, 3 },
	{ "192.0.2.3", 1, 1 },
	/* taken out: it keeps its number */
	{ "192.0.2.1\n#192.0.2.2\n192.0.2.3\n", 3, 2 },
	{ "# 192.0.2.1\n192.0.2.3\n", 2, 1 },
	/* this host was taken out */
	{ "192.0.2.1\n#192.0.2.3\n", 0, 1 },
	{ "192.0.2.1\n\n  192.0.2.3 \t\n\n", 2, 2 },
	{ "192.0.2.1\r\n192.0.2.3\r\n", 2, 2 },
	{ "192.0.2.30\n", 0, 1 },
	{ "fd00::1\nfd00::2\n", 0, 2 },
	{ "", 0, 0 },
	{ "\n\n", 0, 0 },
};

static void test_parse(void **state)
{
	size_t i = 0;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *text = strdup(files[i].text);
		struct cluster c = cluster_parse(text, here);

		assert_int_equal(c.node, files[i].node);
		assert_int_equal(c.nodes, files[i].nodes);
		free(text);
	}
}

/* The real addresses of this host; what the configuration makes of it. */
static void test_read(void **state)
{
	char dir[] = "/tmp/test_cluster.XXXXXX";
	char path[64] = "";
	struct config *config = NULL;
	FILE *out = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/nodes", dir);
	setenv("CTDB_BASE", dir, 1);

	config = config_create(NULL);
	assert_int_equal(config->cluster.nodes, 0);
	assert_int_equal(config_node(config), 1);
	assert_int_equal(config_nodes(config), 1);
	talloc_free(config);

	out = fopen(path, "w");
	assert_non_null(out);
	fputs("203.0.113.77\n#192.0.2.9\n127.0.0.1\n203.0.113.78\n", out);
	assert_int_equal(fclose(out), 0);
	config = config_create(NULL);
	assert_int_equal(config_node(config), 3);
	assert_int_equal(config_nodes(config), 3);
	/* what cavad.conf says goes first */
	config->settings.node = 7;
	config->settings.nodes = 8;
	assert_int_equal(config_node(config), 7);
	assert_int_equal(config_nodes(config), 8);
	talloc_free(config);

	unlink(path);
	rmdir(dir);
	unsetenv("CTDB_BASE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
