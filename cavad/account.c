/*
 * Accounts of the API on TCP: see account.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/account.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT_HASH_MIN 47	/* of SHA-256 with no salt; the others are
				 * longer */

/* Methods that take an attacker long; those of htpasswd and mkpasswd. */
static const char *const account_methods[] = {
	"$y$", "$gy$", "$7$", "$2a$", "$2b$", "$2y$", "$6$", "$5$", NULL
};

static bool account_hash_valid(const char *hash)
{
	const char *const *method = account_methods;

	while (*method != NULL &&
	       strncmp(hash, *method, strlen(*method)) != 0) {
		method++;
	}
	return *method != NULL && strlen(hash) >= ACCOUNT_HASH_MIN &&
		strlen(hash) < CRYPT_OUTPUT_SIZE &&
		crypt_checksalt(hash) != CRYPT_SALT_INVALID;
}

static bool account_name_valid(const char *name)
{
	const char *c = NULL;

	for (c = name; *c != '\0'; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f) {
			return false;
		}
	}
	return c > name && c - name <= ACCOUNT_NAME_MAX;
}

/* "name:hash[:read]" is cut in pieces. NULL, or what is wrong with it. */
static const char *account_line(char *line, struct account *row)
{
	char *hash = strchr(line, ':');
	char *role = NULL;

	if (hash == NULL) {
		return "not NAME:HASH or NAME:HASH:read";
	}
	*hash++ = '\0';
	role = strchr(hash, ':');
	if (role != NULL) {
		*role++ = '\0';
	}
	if (!account_name_valid(line)) {
		return "the name must have 1 to 128 characters, no blanks";
	}
	if (!account_hash_valid(hash)) {
		return "not the hash of a password by yescrypt, scrypt, "
			"bcrypt, SHA-512 or SHA-256 (see mkpasswd)";
	}
	if (role != NULL && strcmp(role, "read") != 0 &&
	    strcmp(role, "all") != 0) {
		return "behind the hash nothing, :all or :read is accepted";
	}
	row->name = line;
	row->hash = hash;
	row->role = role != NULL && strcmp(role, "read") == 0 ?
		API_ROLE_READ : API_ROLE_ALL;
	return NULL;
}

static const char *accounts_add(struct accounts *a, char *line)
{
	struct account row = { .name = NULL };
	const char *why = account_line(line, &row);

	if (why != NULL) {
		return why;
	}
	if (account_find(a, row.name) != NULL) {
		return "an account of that name is there already";
	}
	if (a->count == ACCOUNTS_MAX) {
		return "at most 1000 accounts are accepted";
	}
	a->rows[a->count++] = row;
	return NULL;
}

int accounts_parse(TALLOC_CTX *mem_ctx, const char *text,
		   struct accounts **result, char **error)
{
	struct accounts *a = talloc_zero(mem_ctx, struct accounts);
	const char *why = NULL;
	char *next = NULL;
	char *line = NULL;
	unsigned int number = 0;

	if (a != NULL) {
		a->rows = talloc_zero_array(a, struct account, ACCOUNTS_MAX);
		next = talloc_strdup(a, text);
	}
	if (a == NULL || a->rows == NULL || next == NULL) {
		talloc_free(a);
		*error = NULL;
		return ENOMEM;
	}
	while ((line = strsep(&next, "\n")) != NULL && why == NULL) {
		number++;
		line[strcspn(line, "\r")] = '\0';
		if (line[0] != '\0' && line[0] != '#') {
			why = accounts_add(a, line);
		}
	}
	if (why == NULL && a->count == 0) {
		why = "no account is there";
	}
	if (why != NULL) {
		*error = talloc_asprintf(mem_ctx, "line %u: %s", number, why);
		talloc_free(a);
		return EINVAL;
	}
	*result = a;
	return 0;
}

const struct account *account_find(const struct accounts *a,
				   const char *name)
{
	size_t i = 0;

	for (i = 0; i < a->count; i++) {
		if (strcmp(a->rows[i].name, name) == 0) {
			return &a->rows[i];
		}
	}
	return NULL;
}

bool account_equal(const void *a, const void *b, size_t len)
{
	const volatile unsigned char *x = a;
	const volatile unsigned char *y = b;
	unsigned char differs = 0;
	size_t i = 0;

	for (i = 0; i < len; i++) {
		differs |= x[i] ^ y[i];
	}
	return differs == 0;
}

bool account_password(const char *hash, const char *password)
{
	void *data = NULL;
	int size = 0;
	const char *made = crypt_ra(password, hash, &data, &size);
	bool same = made != NULL && made[0] != '*' &&
		strlen(made) == strlen(hash) &&
		account_equal(made, hash, strlen(hash));

	if (data != NULL) {
		explicit_bzero(data, (size_t)size);
	}
	free(data);
	return same;
}

enum api_access api_access(enum api_role role, const char *method, bool open)
{
	if (open || role == API_ROLE_ALL) {
		return API_GRANTED;
	}
	if (role == API_ROLE_NONE) {
		return API_LOGIN;
	}
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ?
		API_GRANTED : API_FORBIDDEN;
}
