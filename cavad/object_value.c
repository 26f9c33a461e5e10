/*
 * Types of fields.
 *
 * Everything here refuses what it does not fully understand: no signs, no
 * trailing characters, no silent cut, no text that JSON could not carry
 * (text is UTF-8 without control characters).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "common/near.h"
#include "cavad/object_check.h"
#include "cavad/object_value.h"

#define CHOICES_MAX 16

static const char size_suffixes[] = "kMGT";

__attribute__((format(printf, 3, 4)))
static int object_complain(TALLOC_CTX *mem_ctx, char **why, const char *fmt,
			   ...)
{
	va_list ap;

	va_start(ap, fmt);
	*why = talloc_vasprintf(mem_ctx, fmt, ap);
	va_end(ap);
	return *why == NULL ? ENOMEM : EINVAL;
}

static int object_parse_bool(TALLOC_CTX *mem_ctx, const char *text,
			     union object_value *value, char **why)
{
	static const char *const words[] = {
		"no", "yes", "false", "true", "0", "1"
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			value->flag = i % 2 == 1;
			return 0;
		}
	}
	return object_complain(mem_ctx, why, "not yes or no (yes, no, true, "
			       "false, 1, 0 are accepted)");
}

/* Digits in front; *end is behind them. False: none, or too large. */
static bool object_digits(const char *text, uint64_t *number,
			  const char **end)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned int digit = *p - '0';

		if (n > (UINT64_MAX - digit) / 10) {
			return false;
		}
		n = n * 10 + digit;
	}
	*number = n;
	*end = p;
	return p != text;
}

/* 10 for "k", 20 for "M", ...; 0 for "", -1 for anything else. */
static int object_size_shift(const char *suffix)
{
	size_t i;

	if (suffix[0] == '\0') {
		return 0;
	}
	for (i = 0; size_suffixes[i] != '\0'; i++) {
		if (strncasecmp(suffix, &size_suffixes[i], 1) == 0) {
			return suffix[1] == '\0' ? 10 * (int)(i + 1) : -1;
		}
	}
	return -1;
}

static char *object_size_text(TALLOC_CTX *mem_ctx, uint64_t n)
{
	size_t i = 0;

	while (n != 0 && n % 1024 == 0 && size_suffixes[i] != '\0') {
		n /= 1024;
		i++;
	}
	if (i == 0) {
		return talloc_asprintf(mem_ctx, "%" PRIu64, n);
	}
	return talloc_asprintf(mem_ctx, "%" PRIu64 "%c", n,
			       size_suffixes[i - 1]);
}

static int object_range(TALLOC_CTX *mem_ctx, const struct object_field *f,
			uint64_t n, char **why)
{
	char *min = NULL;
	char *max = NULL;
	int ret;

	if (n >= f->min && n <= f->max) {
		return 0;
	}
	if (f->type != OBJECT_SIZE) {
		return object_complain(mem_ctx, why,
				       "not in %" PRIu64 " to %" PRIu64 "%s",
				       f->min, f->max,
				       f->type == OBJECT_TIME ? " s" : "");
	}
	min = object_size_text(mem_ctx, f->min);
	max = object_size_text(mem_ctx, f->max);
	ret = object_complain(mem_ctx, why, "not in %s to %s bytes", min, max);
	talloc_free(min);
	talloc_free(max);
	return ret;
}

static const char *object_number_wanted(enum object_type type)
{
	switch (type) {
	case OBJECT_TIME:
		return "not a whole number of seconds";
	case OBJECT_SIZE:
		return "not a size (bytes, or with k, M, G or T behind the "
		       "number)";
	default:
		return "not a whole number";
	}
}

static int object_parse_number(TALLOC_CTX *mem_ctx,
			       const struct object_field *f, const char *text,
			       bool ranged, union object_value *value,
			       char **why)
{
	const char *end = NULL;
	uint64_t n = 0;
	int shift = 0;
	bool ok;

	ok = object_digits(text, &n, &end);
	if (ok) {
		shift = f->type == OBJECT_SIZE ? object_size_shift(end)
					       : -(*end != '\0');
	}
	if (!ok || shift < 0 || n > UINT64_MAX >> shift) {
		return object_complain(mem_ctx, why, "%s",
				       object_number_wanted(f->type));
	}
	value->number = n << shift;
	return ranged ? object_range(mem_ctx, f, value->number, why) : 0;
}

/* Bytes of the UTF-8 sequence at p, 0 when it is none. */
static size_t object_utf8_length(const unsigned char *p)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len, i;
	uint32_t c;

	if (p[0] < 0x80) {
		return 1;
	}
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4) {
		return 0;
	}
	c = p[0] & (0x7f >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < smallest[len] || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff)) {
		return 0;
	}
	return len;
}

static int object_check_text(TALLOC_CTX *mem_ctx, const struct object_field *f,
			     const char *text, bool ranged, char **why)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = strlen(text);
	size_t step;

	while (*p != '\0') {
		step = object_utf8_length(p);
		if (step == 0 || iscntrl(*p)) {
			return object_complain(mem_ctx, why, "not UTF-8 text "
					       "without control characters");
		}
		p += step;
	}
	if (!ranged) {
		return 0;
	}
	if (len == 0 && f->min > 0) {
		return object_complain(mem_ctx, why, "empty");
	}
	if (len < f->min || len > f->max) {
		return object_complain(mem_ctx, why, "%zu bytes; not in %"
				       PRIu64 " to %" PRIu64, len, f->min,
				       f->max);
	}
	return 0;
}

static int object_parse_str(TALLOC_CTX *mem_ctx, const struct object_field *f,
			    const char *text, bool ranged,
			    union object_value *value, char **why)
{
	const char *wrong = NULL;
	int ret;

	ret = object_check_text(mem_ctx, f, text, ranged, why);
	if (ret != 0) {
		return ret;
	}
	wrong = ranged ? object_check(f->name, text) : NULL;
	if (wrong != NULL) {
		return object_complain(mem_ctx, why, "%s", wrong);
	}
	value->text = talloc_strdup(mem_ctx, text);
	return value->text == NULL ? ENOMEM : 0;
}

/* The item that starts at *p, without blanks around it; *p moves behind. */
static char *object_list_item(TALLOC_CTX *mem_ctx, const char **p)
{
	const char *first = *p + strspn(*p, " \t");
	const char *end = first + strcspn(first, ",");
	const char *last = end;

	*p = *end == ',' ? end + 1 : end;
	while (last > first && (last[-1] == ' ' || last[-1] == '\t')) {
		last--;
	}
	return talloc_strndup(mem_ctx, first, last - first);
}

static size_t object_list_length(const char *text)
{
	size_t n = text[strspn(text, " \t")] != '\0';

	for (; *text != '\0'; text++) {
		n += *text == ',';
	}
	return n;
}

/* The items belong to the list. */
static int object_parse_list(TALLOC_CTX *mem_ctx, const struct object_field *f,
			     const char *text, bool ranged,
			     union object_value *value, char **why)
{
	size_t n = object_list_length(text);
	const char **list = NULL;
	const char *wrong = NULL;
	size_t i;
	int ret;

	ret = object_check_text(mem_ctx, f, text, ranged, why);
	if (ret != 0) {
		return ret;
	}
	list = talloc_zero_array(mem_ctx, const char *, n + 1);
	if (list == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < n; i++) {
		list[i] = object_list_item(list, &text);
		if (list[i] == NULL) {
			talloc_free(list);
			return ENOMEM;
		}
		wrong = list[i][0] == '\0' ? "a name between two commas is "
					     "empty"
					   : object_check(f->name, list[i]);
		if (wrong != NULL) {
			ret = object_complain(mem_ctx, why, "%s%s%s",
					      list[i],
					      list[i][0] != '\0' ? ": " : "",
					      wrong);
			talloc_free(list);
			return ret;
		}
	}
	value->list = list;
	return 0;
}

/* Splits "a|b|c" into names ended by NULL; the copy belongs to mem_ctx. */
static int object_split_choices(TALLOC_CTX *mem_ctx, const char *choices,
				const char *names[CHOICES_MAX])
{
	char *copy = talloc_strdup(mem_ctx, choices);
	char *save = NULL;
	char *name = NULL;
	size_t n = 0;

	if (copy == NULL) {
		return ENOMEM;
	}
	name = strtok_r(copy, "|", &save);
	while (name != NULL && n < CHOICES_MAX - 1) {
		names[n] = name;
		n++;
		name = strtok_r(NULL, "|", &save);
	}
	names[n] = NULL;
	return 0;
}

static int object_complain_choice(TALLOC_CTX *mem_ctx,
				  const char *const *names, const char *text,
				  char **why)
{
	const char *meant = near_name(names, text);
	char *all = talloc_strdup(mem_ctx, names[0]);
	size_t i;
	int ret;

	for (i = 1; all != NULL && names[i] != NULL; i++) {
		all = talloc_asprintf_append(all, ", %s", names[i]);
	}
	ret = object_complain(mem_ctx, why, "not one of %s%s%s%s",
			      all == NULL ? "" : all,
			      meant != NULL ? "; did you mean " : "",
			      meant != NULL ? meant : "",
			      meant != NULL ? "?" : "");
	talloc_free(all);
	return ret;
}

static int object_parse_enum(TALLOC_CTX *mem_ctx, const struct object_field *f,
			     const char *text, union object_value *value,
			     char **why)
{
	const char *names[CHOICES_MAX];
	TALLOC_CTX *frame = talloc_new(NULL);
	unsigned int i;
	int ret;

	ret = object_split_choices(frame, f->choices, names);
	if (ret != 0) {
		talloc_free(frame);
		return ret;
	}
	for (i = 0; names[i] != NULL; i++) {
		if (strcasecmp(names[i], text) == 0) {
			value->choice = i;
			talloc_free(frame);
			return 0;
		}
	}
	ret = object_complain_choice(mem_ctx, names, text, why);
	talloc_free(frame);
	return ret;
}

int object_value_parse(TALLOC_CTX *mem_ctx, const struct object_field *f,
		       const char *text, bool ranged,
		       union object_value *value, char **why)
{
	switch (f->type) {
	case OBJECT_BOOL:
		return object_parse_bool(mem_ctx, text, value, why);
	case OBJECT_UINT:
	case OBJECT_TIME:
	case OBJECT_SIZE:
		return object_parse_number(mem_ctx, f, text, ranged, value,
					   why);
	case OBJECT_STR:
		return object_parse_str(mem_ctx, f, text, ranged, value, why);
	case OBJECT_LIST:
		return object_parse_list(mem_ctx, f, text, ranged, value, why);
	case OBJECT_ENUM:
		return object_parse_enum(mem_ctx, f, text, value, why);
	}
	return EINVAL;
}

static char *object_list_text(TALLOC_CTX *mem_ctx, const char *const *list)
{
	char *text = talloc_strdup(mem_ctx, "");
	size_t i;

	for (i = 0; text != NULL && list != NULL && list[i] != NULL; i++) {
		text = talloc_asprintf_append(text, "%s%s",
					      i == 0 ? "" : ", ", list[i]);
	}
	return text;
}

static char *object_enum_text(TALLOC_CTX *mem_ctx,
			      const struct object_field *f,
			      unsigned int choice)
{
	const char *names[CHOICES_MAX];
	TALLOC_CTX *frame = talloc_new(NULL);
	char *text = NULL;
	unsigned int n = 0;
	int ret;

	ret = object_split_choices(frame, f->choices, names);
	while (ret == 0 && n < choice && names[n] != NULL) {
		n++;
	}
	if (ret == 0 && names[n] != NULL) {
		text = talloc_strdup(mem_ctx, names[n]);
	}
	talloc_free(frame);
	return text;
}

char *object_value_text(TALLOC_CTX *mem_ctx, const struct object_field *f,
			const union object_value *value)
{
	switch (f->type) {
	case OBJECT_BOOL:
		return talloc_strdup(mem_ctx, value->flag ? "yes" : "no");
	case OBJECT_UINT:
	case OBJECT_TIME:
		return talloc_asprintf(mem_ctx, "%" PRIu64, value->number);
	case OBJECT_SIZE:
		return object_size_text(mem_ctx, value->number);
	case OBJECT_STR:
		return talloc_strdup(mem_ctx,
				     value->text == NULL ? "" : value->text);
	case OBJECT_LIST:
		return object_list_text(mem_ctx, value->list);
	case OBJECT_ENUM:
		return object_enum_text(mem_ctx, f, value->choice);
	}
	return NULL;
}

static const char **object_list_copy(TALLOC_CTX *mem_ctx, const char **list)
{
	const char **copy = NULL;
	size_t n = 0;
	size_t i;

	while (list[n] != NULL) {
		n++;
	}
	copy = talloc_zero_array(mem_ctx, const char *, n + 1);
	for (i = 0; copy != NULL && i < n; i++) {
		copy[i] = talloc_strdup(copy, list[i]);
		if (copy[i] == NULL) {
			TALLOC_FREE(copy);
		}
	}
	return copy;
}

int object_value_copy(TALLOC_CTX *mem_ctx, const struct object_field *f,
		      union object_value *value)
{
	if (f->type == OBJECT_STR && value->text != NULL) {
		value->text = talloc_strdup(mem_ctx, value->text);
		return value->text == NULL ? ENOMEM : 0;
	}
	if (f->type == OBJECT_LIST && value->list != NULL) {
		value->list = object_list_copy(mem_ctx, value->list);
		return value->list == NULL ? ENOMEM : 0;
	}
	return 0;
}

static bool object_list_equal(const char **a, const char **b)
{
	static const char *none[] = { NULL };

	a = a == NULL ? none : a;
	b = b == NULL ? none : b;
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

bool object_value_equal(const struct object_field *f,
			const union object_value *a,
			const union object_value *b)
{
	switch (f->type) {
	case OBJECT_BOOL:
		return a->flag == b->flag;
	case OBJECT_UINT:
	case OBJECT_TIME:
	case OBJECT_SIZE:
		return a->number == b->number;
	case OBJECT_ENUM:
		return a->choice == b->choice;
	case OBJECT_STR:
		return strcmp(a->text == NULL ? "" : a->text,
			      b->text == NULL ? "" : b->text) == 0;
	case OBJECT_LIST:
		return object_list_equal(a->list, b->list);
	}
	return false;
}

void object_value_store(const struct object_field *f, void *object,
			const union object_value *value)
{
	void *member = (char *)object + f->offset;

	switch (f->type) {
	case OBJECT_BOOL:
		*(bool *)member = value->flag;
		break;
	case OBJECT_UINT:
	case OBJECT_TIME:
	case OBJECT_SIZE:
		*(uint64_t *)member = value->number;
		break;
	case OBJECT_STR:
		*(const char **)member = value->text;
		break;
	case OBJECT_LIST:
		*(const char ***)member = value->list;
		break;
	case OBJECT_ENUM:
		*(unsigned int *)member = value->choice;
		break;
	}
}

void object_value_load(const struct object_field *f, const void *object,
		       union object_value *value)
{
	const void *member = (const char *)object + f->offset;

	switch (f->type) {
	case OBJECT_BOOL:
		value->flag = *(const bool *)member;
		break;
	case OBJECT_UINT:
	case OBJECT_TIME:
	case OBJECT_SIZE:
		value->number = *(const uint64_t *)member;
		break;
	case OBJECT_STR:
		value->text = *(const char *const *)member;
		break;
	case OBJECT_LIST:
		value->list = *(const char **const *)member;
		break;
	case OBJECT_ENUM:
		value->choice = *(const unsigned int *)member;
		break;
	}
}
