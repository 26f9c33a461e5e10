/* includes: cavad/session.c */
/*
 * Sessions: how they end.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cavad/session.c"

static struct account rows[] = { { "admin", "hash", API_ROLE_ALL } };
static const struct accounts there = { rows, 1 };

static const struct session *opened(struct sessions *s)
{
	const struct session *session = NULL;

	assert_int_equal(session_open(s, &rows[0], &session), 0);
	assert_int_equal(strlen(session->id), SESSION_SECRET - 1);
	assert_int_equal(strlen(session->csrf), SESSION_SECRET - 1);
	assert_string_not_equal(session->id, session->csrf);
	return session;
}

static void test_life(void **p)
{
	struct sessions *s = sessions_create(NULL);
	const struct session *session = opened(s);
	char id[SESSION_SECRET];

	(void)p;
	strcpy(id, session->id);
	session = session_find(s, &there, id);
	assert_string_equal(session->user, "admin");
	assert_null(session_find(s, &there, ""));
	assert_null(session_find(s, &there, "x"));
	id[0] = id[0] == '0' ? '1' : '0';
	assert_null(session_find(s, &there, id));
	strcpy(id, session->id);
	session_close(s, id);
	assert_null(session_find(s, &there, id));
	session_close(s, id);
	talloc_free(s);
}

static void test_ends(void **p)
{
	struct sessions *s = sessions_create(NULL);
	static const struct accounts none = { rows, 0 };
	char id[SESSION_SECRET];

	(void)p;
	strcpy(id, opened(s)->id);
	session_row(s, id)->used -= SESSION_INACTIVE;
	assert_null(session_find(s, &there, id));

	strcpy(id, opened(s)->id);
	session_row(s, id)->opened -= SESSION_ABSOLUTE;
	assert_null(session_find(s, &there, id));

	strcpy(id, opened(s)->id);
	assert_null(session_find(s, &none, id));

	strcpy(id, opened(s)->id);
	rows[0].hash = "changed";
	assert_null(session_find(s, &there, id));
	rows[0].hash = "hash";
	assert_null(session_find(s, &there, id));
	talloc_free(s);
}

/* The one that was used least lately makes room. */
static void test_many(void **p)
{
	struct sessions *s = sessions_create(NULL);
	char first[SESSION_SECRET];
	char second[SESSION_SECRET];
	size_t i = 0;

	(void)p;
	strcpy(first, opened(s)->id);
	strcpy(second, opened(s)->id);
	session_row(s, second)->used--;
	for (i = 2; i < SESSIONS_MAX; i++) {
		opened(s);
	}
	assert_non_null(session_row(s, second));
	opened(s);
	assert_null(session_row(s, second));
	assert_non_null(session_find(s, &there, first));
	talloc_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
