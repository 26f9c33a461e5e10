/*
 * cavactl avvendor: the accounts that antivirus servers read files with.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavactl/cavactl.h"

#define AVVENDOR_PATH "/platform/11/avscan/avvendor"

static const char *avvendor_account(const json_t *a)
{
	const char *name = json_string_value(json_object_get(a, "account"));

	return name == NULL ? "" : name;
}

enum cavactl_exit cmd_avvendor_list(const struct cavactl *ctl,
				    const char **args)
{
	json_t *reply = NULL;
	const json_t *list = NULL;
	const json_t *a = NULL;
	size_t i = 0;
	enum cavactl_exit ret = cavactl_call(ctl, "GET", AVVENDOR_PATH, NULL,
					     &reply);

	(void)args;
	if (ret != CAVACTL_OK) {
		return ret;
	}
	list = json_object_get(reply, "avvendor");
	if (ctl->json) {
		output_json(reply);
	} else if (json_array_size(list) == 0) {
		printf("No account may fetch files. Add the one your "
		       "antivirus server uses:\n"
		       "  cavactl avvendor add 'DOMAIN\\account'\n");
	} else {
		json_array_foreach(list, i, a) {
			char added[64];

			output_time(added, sizeof(added), json_integer_value(
				json_object_get(a, "added")));
			output_text(stdout, avvendor_account(a));
			printf("  added %s\n", added);
		}
	}
	json_decref(reply);
	return CAVACTL_OK;
}

enum cavactl_exit cmd_avvendor_add(const struct cavactl *ctl,
				   const char **args)
{
	json_t *body = json_pack("{s:s}", "account", args[0]);
	json_t *reply = NULL;
	enum cavactl_exit ret = CAVACTL_OK;

	if (body == NULL) {
		output_error("%s: not UTF-8", args[0]);
		return CAVACTL_REFUSED;
	}
	ret = cavactl_call(ctl, "POST", AVVENDOR_PATH, body, &reply);
	if (ret == CAVACTL_OK && ctl->json) {
		output_json(reply);
	} else if (ret == CAVACTL_OK) {
		output_text(stdout, args[0]);
		printf(" may now fetch the files it is asked to scan.\n");
	}
	json_decref(reply);
	json_decref(body);
	return ret;
}

enum cavactl_exit cmd_avvendor_remove(const struct cavactl *ctl,
				      const char **args)
{
	enum cavactl_exit ret = cavactl_delete(ctl, AVVENDOR_PATH, args[0]);

	if (ret == CAVACTL_OK && !ctl->json) {
		output_text(stdout, args[0]);
		printf(" may fetch nothing any more.\n");
	}
	return ret;
}
