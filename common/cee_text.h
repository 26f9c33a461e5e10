/*
 * Text as CEE carries it: UTF-16LE, base64, XML.
 *
 * Pure conversions for cee_msg.c. Strict both ways: what is no valid UTF-8
 * or UTF-16 is an error, so that no two spellings name the same file.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_CEE_TEXT_H
#define COMMON_CEE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* No BOM, no terminator. 0, EILSEQ, ENOMEM. */
int cee_text_to_utf16(TALLOC_CTX *mem_ctx, const char *utf8,
		      uint8_t **result, size_t *len);

/* 0, ENOMEM, EILSEQ (half a unit, half a surrogate pair, a NUL). */
int cee_text_from_utf16(TALLOC_CTX *mem_ctx, const uint8_t *data, size_t len,
			char **result);

/* UTF-8 to base64 of UTF-16LE. 0, EILSEQ, ENOMEM. */
int cee_text_name_encode(TALLOC_CTX *mem_ctx, const char *utf8,
			 char **result);

/* 0, EBADMSG, ENOMEM */
int cee_text_name_decode(TALLOC_CTX *mem_ctx, const char *base64,
			 char **result);

/*
 * For an attribute in double quotes. Whatever XML cannot carry becomes
 * U+FFFD. NULL when out of memory.
 */
char *cee_text_escape(TALLOC_CTX *mem_ctx, const char *text);

#endif
