/*
 * Text as CEE carries it. See cee_text.h.
 *
 * Everything goes through code points: cee_text_next() takes one from UTF-8
 * and refuses what RFC 3629 does (overlong forms, surrogates, above
 * U+10FFFF). Sizes come from the input, so each result is one allocation.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/cee_text.h"

#define CEE_TEXT_REPLACEMENT 0xfffd

static const char cee_text_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/*
 * Pure: the code point at s and how many bytes it took; 0 when it is
 * malformed. s ends with a NUL, which is no continuation byte.
 */
static size_t cee_text_next(const char *s, uint32_t *point)
{
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = (const uint8_t *)s;
	size_t more = 0;
	size_t i;
	uint32_t c = p[0];

	if (c < 0x80) {
		*point = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		more = 1;
		c &= 0x1f;
	} else if (c >= 0xe0 && c <= 0xef) {
		more = 2;
		c &= 0x0f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		more = 3;
		c &= 0x07;
	} else {
		return 0;
	}
	for (i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < smallest[more] || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff)) {
		return 0;
	}
	*point = c;
	return more + 1;
}

static char *cee_text_put(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*out++ = (char)(0xe0 | c >> 12);
		} else {
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

static uint8_t *cee_text_put_unit(uint8_t *out, uint32_t unit)
{
	*out++ = unit & 0xff;
	*out++ = unit >> 8 & 0xff;
	return out;
}

int cee_text_to_utf16(TALLOC_CTX *mem_ctx, const char *utf8,
		      uint8_t **result, size_t *len)
{
	uint8_t *data = NULL;
	uint8_t *out = NULL;
	uint32_t c = 0;

	/* a byte of UTF-8 never makes more than one unit */
	data = talloc_array(mem_ctx, uint8_t, 2 * strlen(utf8) + 1);
	if (data == NULL) {
		return ENOMEM;
	}
	out = data;
	while (*utf8 != '\0') {
		size_t took = cee_text_next(utf8, &c);

		if (took == 0) {
			talloc_free(data);
			return EILSEQ;
		}
		utf8 += took;
		if (c >= 0x10000) {
			c -= 0x10000;
			out = cee_text_put_unit(out, 0xd800 | c >> 10);
			c = 0xdc00 | (c & 0x3ff);
		}
		out = cee_text_put_unit(out, c);
	}
	*len = (size_t)(out - data);
	*result = data;
	return 0;
}

static uint32_t cee_text_unit(const uint8_t *data, size_t at, size_t len)
{
	return at + 1 < len ? data[at] | (uint32_t)data[at + 1] << 8 : 0;
}

int cee_text_from_utf16(TALLOC_CTX *mem_ctx, const uint8_t *data, size_t len,
			char **result)
{
	char *text = NULL;
	char *out = NULL;
	size_t i = 0;

	/* a unit makes at most three bytes, a pair of them four */
	text = talloc_array(mem_ctx, char, len / 2 * 3 + 1);
	if (text == NULL) {
		return ENOMEM;
	}
	out = text;
	while (i < len) {
		uint32_t c = cee_text_unit(data, i, len);

		i += 2;
		if (c >= 0xd800 && c <= 0xdbff) {
			uint32_t low = cee_text_unit(data, i, len);

			i += 2;
			if (low < 0xdc00 || low > 0xdfff) {
				c = 0;
			} else {
				c = 0x10000 + ((c & 0x3ff) << 10 |
					       (low & 0x3ff));
			}
		} else if (c >= 0xdc00 && c <= 0xdfff) {
			c = 0;
		}
		if (c == 0) {
			talloc_free(text);
			return EILSEQ;
		}
		out = cee_text_put(out, c);
	}
	*out = '\0';
	*result = text;
	return 0;
}

int cee_text_name_encode(TALLOC_CTX *mem_ctx, const char *utf8,
			 char **result)
{
	uint8_t *data = NULL;
	char *text = NULL;
	char *out = NULL;
	size_t len = 0;
	size_t i;
	int ret;

	ret = cee_text_to_utf16(mem_ctx, utf8, &data, &len);
	if (ret != 0) {
		return ret;
	}
	text = talloc_array(mem_ctx, char, (len + 2) / 3 * 4 + 1);
	if (text == NULL) {
		talloc_free(data);
		return ENOMEM;
	}
	out = text;
	for (i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)data[i] << 16;

		v |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
		v |= left > 2 ? data[i + 2] : 0;
		*out++ = cee_text_digits[v >> 18];
		*out++ = cee_text_digits[v >> 12 & 0x3f];
		*out++ = left > 1 ? cee_text_digits[v >> 6 & 0x3f] : '=';
		*out++ = left > 2 ? cee_text_digits[v & 0x3f] : '=';
	}
	*out = '\0';
	talloc_free(data);
	*result = text;
	return 0;
}

/*
 * Pure: 1 to 3 bytes of the four digits at s, 0 when they are none. Padding
 * is for the last four only, and hides no bits.
 */
static size_t cee_text_quad(const char *s, bool last, uint8_t out[3])
{
	size_t digits = 4;
	uint32_t v = 0;
	size_t i;

	if (last && s[3] == '=') {
		digits = s[2] == '=' ? 2 : 3;
	}
	for (i = 0; i < 4; i++) {
		const char *at = NULL;

		v <<= 6;
		if (i >= digits) {
			continue;
		}
		at = memchr(cee_text_digits, s[i], 64);
		if (at == NULL) {
			return 0;
		}
		v |= (uint32_t)(at - cee_text_digits);
	}
	if ((digits == 2 && (v & 0xffff) != 0) ||
	    (digits == 3 && (v & 0xff) != 0)) {
		return 0;
	}
	out[0] = v >> 16 & 0xff;
	out[1] = v >> 8 & 0xff;
	out[2] = v & 0xff;
	return digits - 1;
}

int cee_text_name_decode(TALLOC_CTX *mem_ctx, const char *base64,
			 char **result)
{
	size_t digits = strlen(base64);
	uint8_t *data = NULL;
	size_t len = 0;
	size_t i;
	int ret;

	if (digits % 4 != 0) {
		return EBADMSG;
	}
	data = talloc_array(mem_ctx, uint8_t, digits / 4 * 3 + 1);
	if (data == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < digits; i += 4) {
		size_t n = cee_text_quad(base64 + i, i + 4 == digits,
					 data + len);

		if (n == 0) {
			talloc_free(data);
			return EBADMSG;
		}
		len += n;
	}
	ret = cee_text_from_utf16(mem_ctx, data, len, result);
	talloc_free(data);
	return ret == EILSEQ ? EBADMSG : ret;
}

/* Pure: may XML 1.0 carry it? */
static bool cee_text_is_xml(uint32_t c)
{
	if (c < 0x20) {
		return c == '\t' || c == '\n' || c == '\r';
	}
	return c != 0xfffe && c != 0xffff;
}

/* The entity for c, or NULL when it needs none. */
static const char *cee_text_entity(uint32_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\t':
		return "&#9;";
	case '\n':
		return "&#10;";
	case '\r':
		return "&#13;";
	default:
		return NULL;
	}
}

char *cee_text_escape(TALLOC_CTX *mem_ctx, const char *text)
{
	char *result = NULL;
	char *out = NULL;

	/* the longest that one byte becomes is "&quot;" */
	result = talloc_array(mem_ctx, char, 6 * strlen(text) + 1);
	if (result == NULL) {
		return NULL;
	}
	out = result;
	while (*text != '\0') {
		const char *entity = NULL;
		uint32_t c = 0;
		size_t took = cee_text_next(text, &c);

		if (took == 0 || !cee_text_is_xml(c)) {
			c = CEE_TEXT_REPLACEMENT;
		}
		text += took == 0 ? 1 : took;
		entity = cee_text_entity(c);
		if (entity != NULL) {
			out = stpcpy(out, entity);
		} else {
			out = cee_text_put(out, c);
		}
	}
	*out = '\0';
	return result;
}
