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

static const struct output_column avvendor_columns[] = {
	{ "ACCOUNT", "account", OUT_TEXT },
	{ "ADDED", "added", OUT_TIME },
	{ NULL, NULL, 0 }
};

static const struct output_column avvendor_added[] = {
	{ "ACCOUNT", "id", OUT_TEXT },
	{ NULL, NULL, 0 }
};

static enum cavactl_exit avvendor_list(const struct cavactl *ctl,
				       const char **args)
{
	(void)args;
	return cavactl_show(ctl, AVVENDOR_PATH, "avvendor", avvendor_columns,
			    NULL, "No account may fetch files. Add the one "
			    "your antivirus server uses:\n"
			    "  cavactl avvendor add 'DOMAIN\\account'");
}

static enum cavactl_exit avvendor_add(const struct cavactl *ctl,
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
	if (ret == CAVACTL_OK && ctl->format != OUTPUT_TEXT) {
		output_record(ctl->format, reply, avvendor_added);
	} else if (ret == CAVACTL_OK) {
		output_text(stdout, args[0]);
		printf(" may now fetch the files it is asked to scan.\n");
	}
	json_decref(reply);
	json_decref(body);
	return ret;
}

static enum cavactl_exit avvendor_remove(const struct cavactl *ctl,
					 const char **args)
{
	enum cavactl_exit ret = cavactl_delete(ctl, AVVENDOR_PATH, args[0]);

	if (ret == CAVACTL_OK && ctl->format == OUTPUT_TEXT) {
		output_text(stdout, args[0]);
		printf(" may fetch nothing any more.\n");
	}
	return ret;
}

const struct cavactl_command commands_avvendor[] = {
	{ "avvendor list", "", 0, 0,
	  "accounts that may fetch files to scan",
	  avvendor_list, .examples = "avvendor list --format csv" },
	{ "avvendor add", "ACCOUNT", 1, 1,
	  "DOMAIN\\name, the name of a local account, or a SID",
	  avvendor_add,
	  .examples = "avvendor add 'EXAMPLE\\svc_cava'\n"
		      "avvendor add avscan" },
	{ "avvendor remove", "ACCOUNT", 1, 1,
	  "in force at once", avvendor_remove,
	  .examples = "avvendor remove 'EXAMPLE\\svc_cava'" },
	{ NULL }
};
