/*
 * What only the whole of cee_agent's configuration shows.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CEE_AGENT_CONFIG_CHECK_H
#define CEE_AGENT_CONFIG_CHECK_H

#include "cee_agent/config.h"

/*
 * Reads the files that it names. NULL, or (on c) what is wrong. `check` as
 * in agent_config_load().
 */
char *config_check(struct agent_config *c, bool check);

#endif
