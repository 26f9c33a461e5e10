/*
 * What clamd.conf says of clamd's limits. See clamd_conf.h.
 *
 * clamd cannot be asked for them, and says OK to what is over MaxFileSize
 * or MaxScanSize. Whoever has its configuration at hand needs not to trust
 * two people to write the same number into two files.
 *
 * The syntax is clamd's: "Option value", case of the option matters, sizes
 * with K, M or G after them, "#" starts a comment. The defaults are those
 * of ClamAV 1.4; 0 is no limit.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cee_agent/clamd_conf.h"

#define MEGABYTE (UINT64_C(1) << 20)

/* What cannot be read is no limit that could be relied on: the least. */
static uint64_t clamd_conf_size(const char *value)
{
	static const char units[] = "KMG";
	const char *unit = NULL;
	unsigned int shift = 0;
	char *end = NULL;
	uint64_t n;

	if (!isdigit((unsigned char)value[0])) {
		return 1;
	}
	errno = 0;
	n = strtoull(value, &end, 10);
	if (*end != '\0') {
		unit = strchr(units, toupper((unsigned char)*end));
		if (unit == NULL) {
			return 1;
		}
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (errno != 0 || n == 0 || n > UINT64_MAX >> shift) {
		return UINT64_MAX;
	}
	return n << shift;
}

static bool clamd_conf_yes(const char *value)
{
	return strcasecmp(value, "yes") == 0 ||
	       strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static void clamd_conf_take(struct clamd_limits *limits, const char *option,
			    const char *value)
{
	if (strcmp(option, "MaxFileSize") == 0) {
		limits->file = clamd_conf_size(value);
	} else if (strcmp(option, "MaxScanSize") == 0) {
		limits->scan = clamd_conf_size(value);
	} else if (strcmp(option, "StreamMaxLength") == 0) {
		limits->stream = clamd_conf_size(value);
	} else if (strcmp(option, "AlertExceedsMax") == 0) {
		limits->alert_exceeds = clamd_conf_yes(value);
	}
}

void clamd_conf_parse(char *text, struct clamd_limits *limits)
{
	static const char blank[] = " \t\r\"";
	char *save = NULL;
	char *line = NULL;

	*limits = (struct clamd_limits) {
		.file = 100 * MEGABYTE,
		.scan = 400 * MEGABYTE,
		.stream = 100 * MEGABYTE,
	};
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *word = NULL;
		char *option = NULL;
		char *value = NULL;

		option = strtok_r(line, blank, &word);
		if (option == NULL || option[0] == '#') {
			continue;
		}
		value = strtok_r(NULL, blank, &word);
		if (value != NULL) {
			clamd_conf_take(limits, option, value);
		}
	}
}

uint64_t clamd_conf_smallest(const struct clamd_limits *limits,
			     const char **option)
{
	uint64_t least = limits->file;

	*option = "MaxFileSize";
	if (limits->stream < least) {
		least = limits->stream;
		*option = "StreamMaxLength";
	}
	if (limits->scan < least) {
		least = limits->scan;
		*option = "MaxScanSize";
	}
	return least;
}
