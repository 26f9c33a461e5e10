/*
 * Names of named streams, which clients choose: a token is a name that SMB
 * carries, and names that differ have tokens that differ. Input: two of
 * them, a newline between.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "cavad/unc.h"
#include "common/stream.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_50 "01234567890123456789012345678901234567890123456789"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"user.DosStream.Zone.Identifier:$DATA\n"
		"user.DosStream.zone.identifier:$DATA",
		"user.DosStream.a b:$DATA\nuser.DosStream.a:b:$DATA",
		"user.DosStream.cava-0123:$DATA\nuser.other",
		"user.DosStream.:$DATA\nuser.DosStream.x",
		"user.DosStream." FUZZ_50 FUZZ_50 FUZZ_50 FUZZ_50 FUZZ_50
		FUZZ_50 ":$DATA\nuser.DosStream." FUZZ_50 FUZZ_50 FUZZ_50
		FUZZ_50 "01234567890123456789012345678901234:$DATA", NULL };

	return fuzz_seed_text(texts, i, data);
}

static void check_token(const char token[STREAM_TOKEN_MAX])
{
	size_t len = strnlen(token, STREAM_TOKEN_MAX);

	if (len == 0 || len == STREAM_TOKEN_MAX ||
	    !unc_name_valid(token, len) || strchr(token, ':') != NULL) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *one = talloc_strndup(NULL, (const char *)data, size);
	char *other = strchr(one, '\n');
	char token[STREAM_TOKEN_MAX];
	char token_other[STREAM_TOKEN_MAX];

	if (other != NULL) {
		*other++ = '\0';
		if (strlen(one) < strlen("user.DosStream.") ||
		    strlen(other) < strlen("user.DosStream.")) {
			talloc_free(one);
			return 0;
		}
		stream_token(one, token);
		stream_token(other, token_other);
		check_token(token);
		check_token(token_other);
		if (strcmp(one, other) != 0 &&
		    strcmp(token, token_other) == 0) {
			abort();
		}
	}
	talloc_free(one);
	return 0;
}
