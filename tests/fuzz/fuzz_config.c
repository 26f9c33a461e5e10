/*
 * cavad.conf: any text is read or refused with a message, and what was
 * read comes back as it was. That a file is text is for test_config.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>

#include "cavad/config.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"[settings]\nip_pool = 192.0.2.1, 192.0.2.2\n"
		"check_root = /data\nscan_timeout = 60\nnode = 2\n",
		"[filter System]\nscan_profile = strict\nopen_on_fail = no\n"
		"file_extensions = doc, tar.gz, do?\n"
		"paths_to_exclude = /a/b/, c\nexempt_hosts = 192.0.2.0/24\n",
		"[server av]\nserver_uri = cee://host:12228/vee\n"
		"connections_maximum = 20\n[cee]\nscan_method = PUT\n",
		NULL };

	return fuzz_seed_text(texts, i, data);
}

static void check_again(struct config *c)
{
	const struct object_field *f = NULL;
	char *text = NULL;
	char *error = NULL;
	int ret;

	for (f = object_settings.fields; f->name != NULL; f++) {
		text = object_get(c, &object_settings, &c->settings, f->name);
		ret = object_set(c, &object_settings, &c->settings, f->name,
				 text, &error);
		if (ret != 0) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *text = talloc_strndup(frame, (const char *)data, size);
	struct config_refusal refusal = { .text = NULL };
	struct config *c = NULL;
	int ret = config_build(frame, "cavad.conf", text, NULL, &c, &refusal);

	if ((ret == 0) != (c != NULL) || (ret == 0) != (refusal.text == NULL)) {
		abort();
	}
	if (c != NULL) {
		check_again(c);
		config_filter(c, CONFIG_ZONE_DEFAULT);
	}
	talloc_free(frame);
	return 0;
}
