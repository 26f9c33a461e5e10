/*
 * The file of accounts: what it takes has names and strong hashes, what it
 * refuses says why and shows no hash. And label values of /metrics, which
 * are one quoted word whatever is in them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cavad/account.h"
#include "cavad/metrics.h"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"admin:$6$salt$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr\n",
		"# who\n\nro:$2y$05$abcdefghijklmnopqrstuuqOePqyvJf3Jg9hPl3R4"
			"jFBZ8Ri1hZMa:read\n",
		"a:b\n", "a\"b\\c\xc3\xbc\n", ":::\n", NULL };

	return fuzz_seed_text(texts, i, data);
}

static void fuzz_accounts(const char *text)
{
	struct accounts *a = NULL;
	char *error = NULL;
	int ret = accounts_parse(NULL, text, &a, &error);
	size_t i = 0;

	if ((ret == 0) != (a != NULL) || (ret != 0) != (error != NULL) ||
	    (error != NULL && strchr(error, '$') != NULL)) {
		abort();
	}
	for (i = 0; a != NULL && i < a->count; i++) {
		if (account_find(a, a->rows[i].name) != &a->rows[i] ||
		    a->rows[i].hash[0] != '$' ||
		    a->rows[i].role == API_ROLE_NONE) {
			abort();
		}
	}
	talloc_free(error);
	talloc_free(a);
}

static void fuzz_label(const char *text)
{
	char *label = metrics_escape(NULL, text);
	json_t *json = json_string(label);
	const char *c = NULL;

	if (json == NULL) {
		abort();	/* no UTF-8 */
	}
	for (c = label; *c != '\0'; c++) {
		if (*c == '\\') {
			c++;
			if (strchr("\\\"n", *c) == NULL || *c == '\0') {
				abort();
			}
		} else if (*c == '"' || *c == '\n') {
			abort();
		}
	}
	json_decref(json);
	talloc_free(label);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = talloc_strndup(NULL, (const char *)data, size);

	fuzz_accounts(text);
	fuzz_label(text);
	talloc_free(text);
	return 0;
}
