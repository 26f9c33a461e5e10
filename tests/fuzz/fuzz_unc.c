/*
 * UNC paths of any name: below the share, and without a component that SMB
 * would take for something else.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cavad/unc.h"
#include "tests/fuzz/fuzz.h"

#define PREFIX "\\\\host\\CHECK$\\"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"/data/a.txt", "/data/dir/b c.txt", "/data/../etc/passwd",
		"/data/x:y", "/data/back\\slash", "/data/end.", "/data/ ",
		"/data/\xc3\xa4", "/data/\xff", "/database/a", "/data", NULL };

	return fuzz_seed_text(texts, i, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *path = talloc_strndup(frame, (const char *)data, size);
	char *unc = NULL;
	int ret = unc_path(frame, "host", "CHECK$", "/data", path, &unc);

	if (ret == 0) {
		if (strncmp(unc, PREFIX, strlen(PREFIX)) != 0 ||
		    strstr(unc, "\\..\\") != NULL ||
		    strchr(unc, '/') != NULL ||
		    strncmp(path, "/data/", 6) != 0) {
			abort();
		}
	}
	(void)unc_name_valid((const char *)data, size);
	talloc_free(frame);
	return 0;
}
