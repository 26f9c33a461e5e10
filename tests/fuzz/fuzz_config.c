/*
 * cavad.conf: any bytes are read or refused with a message, and what was
 * read comes back as it was.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
	struct config *c = NULL;
	char *error = NULL;
	char path[64];
	ssize_t written;
	int fd, ret;

	fd = memfd_create("cavad.conf", MFD_CLOEXEC);
	written = write(fd, data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = config_load(frame, path, &c, &error);
	if (written != (ssize_t)size || (ret == 0) != (c != NULL) ||
	    (ret == 0) != (error == NULL)) {
		abort();
	}
	if (c != NULL) {
		check_again(c);
		config_filter(c, CONFIG_ZONE_DEFAULT);
	}
	close(fd);
	talloc_free(frame);
	return 0;
}
