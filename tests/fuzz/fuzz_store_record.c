/* includes: cavad/store.c */
/*
 * Values of the database, as a damaged or a newer one may have them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>

#include "cavad/store.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct db_bytes value = { data, size };
	TALLOC_CTX *frame = talloc_new(NULL);
	struct store_pending *p = NULL;
	struct verdict v;
	int ret;

	ret = store_pending_decode(frame, value, &p);
	if (ret == 0 && strlen(p->path) + strlen(p->user) > size) {
		abort();
	}
	store_result_decode(value, &v);
	talloc_free(frame);
	return 0;
}
