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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
