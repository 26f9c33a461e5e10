/* includes: cavad/server.c
 *
 * The spool: notices that smbds left while cavad was away, read through the
 * real files process into the real store.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"

static size_t frame_of(const struct proto_message *m, uint8_t *to)
{
	uint8_t data[PROTO_MAX];
	size_t len = proto_encode(m, data);
	struct buf b = buf_writer(to, 4);

	assert_int_not_equal(len, 0);
	buf_put_u32(&b, (uint32_t)len);
	memcpy(to + 4, data, len);
	return 4 + len;
}

/* As an smbd does. */
static void spool(struct test *t, const void *data, size_t len)
{
	char *path = talloc_asprintf(t, "%s/notices", t->spool);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void spool_notice(struct test *t, const char *path, uint8_t kind)
{
	const struct proto_message m = {
		.number = PROTO_NOTICE,
		.u.notice = {
			.seq = 1, .kind = kind, .ident = ident_at(path),
			.path = path, .user = "DOM\\writer",
			.client = "192.0.2.2",
		},
	};
	uint8_t frame[PROTO_MAX + 4];

	spool(t, frame, frame_of(&m, frame));
}

static bool spool_empty(struct test *t)
{
	const char *names[] = { "notices", "taken" };
	size_t i;

	for (i = 0; i < 2; i++) {
		char *path = talloc_asprintf(t, "%s/%s", t->spool, names[i]);
		struct stat st;

		if (stat(path, &st) == 0 && st.st_size > 0) {
			return false;
		}
	}
	return true;
}

static int set_up_before(void **p)
{
	*p = set_up_test();
	return 0;
}

/* At start; while it is read it is not known what is owed. */
static void test_at_start(void **p)
{
	struct test *t = *p;
	char *closed = make_file(t, "closed");
	char *renamed = make_file(t, "renamed");
	char *written = make_file(t, "written");
	struct ident ident = ident_at(closed);

	spool_notice(t, closed, PROTO_KIND_CLOSE);
	spool_notice(t, renamed, PROTO_KIND_RENAME);
	spool_notice(t, written, PROTO_KIND_WILL_WRITE);
	t->scans = scans_create(t, t->ev, t->config, t->files, t->store,
				t->servers, t->events, &t->counters);
	t->servers->scans = t->scans;
	assert_true(scan_spool_reading(t->scans));
	WAIT_FOR(t, !scan_spool_reading(t->scans));
	assert_true(scan_owed(t->scans, &ident));
	assert_true(spool_empty(t));
	assert_int_equal(pending(t), 3);
	/* a handle that wrote is gone with its smbd */
	WAIT_FOR(t, t->servers->running_count == 3);
	while (t->servers->running_count > 0) {
		fake_end(t->servers, VERDICT_CLEAN);
	}
	WAIT_FOR(t, pending(t) == 0);
	assert_int_equal(state_of(written), VERDICT_STATE_CLEAN);
}

static void count(void *private_data)
{
	(*(int *)private_data)++;
}

/* An smbd is back. The one that waits for the reading is told. */
static void test_when_asked(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	int read = 0;

	t->servers->at_once = true;
	scans_on_spool_read(t->scans, count, &read);
	spool_notice(t, path, PROTO_KIND_CLOSE);
	scan_spool_read(t->scans);
	WAIT_FOR(t, read == 1);
	assert_true(spool_empty(t));
	WAIT_FOR(t, state_of(path) == VERDICT_STATE_CLEAN);
	assert_int_equal(t->servers->asked, 1);
	scans_on_spool_read(t->scans, NULL, NULL);
}

static const struct event *event_of(struct test *t, enum event_number number)
{
	const struct event *e = NULL;
	unsigned int i;

	for (i = 0; (e = events_up(t->events, i)) != NULL; i++) {
		if (e->number == number) {
			return e;
		}
	}
	return NULL;
}

/* What makes no sense is skipped, told, and holds up nothing. */
static void test_nonsense(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	const struct proto_message other = {
		.number = PROTO_CANCEL, .u.cancel.id = 1,
	};
	const uint8_t bytes[] = { 3, 0, 0, 0, 'a', 'b', 'c' };
	const uint8_t cut[] = { 200, 0, 0, 0, 'a' };
	uint8_t frame[PROTO_MAX + 4];

	spool(t, bytes, sizeof(bytes));
	spool(t, frame, frame_of(&other, frame));
	spool_notice(t, make_file(t, "b"), PROTO_KIND_RENAME + 1);
	spool_notice(t, path, PROTO_KIND_CLOSE);
	spool(t, cut, sizeof(cut));
	start_scans(t);
	assert_true(spool_empty(t));
	assert_int_equal(pending(t), 1);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_CLOSE);
	assert_string_equal(event_of(t, EVENT_CAVA_SPOOL_DAMAGED)->text,
			    "12 bytes are no notices, as after a power "
			    "failure; those files are scanned when they are "
			    "read, in profile strict, or by a job");
	assert_int_equal(event_of(t, EVENT_CAVA_SPOOL_DAMAGED)->count, 1);
	assert_null(event_of(t, EVENT_CAVA_SPOOL_FULL));
}

/* Nothing else in it: it is told all the same. */
static void test_zeroes(void **p)
{
	static const uint8_t zeroes[70000];
	struct test *t = *p;

	spool(t, zeroes, sizeof(zeroes));
	start_scans(t);
	assert_true(spool_empty(t));
	assert_int_equal(pending(t), 0);
	assert_non_null(event_of(t, EVENT_CAVA_SPOOL_DAMAGED));
}

/* It was full: what is in it counts, that more is lost is told once. */
static void test_overflow(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	char *marker = talloc_asprintf(t, "%s/overflow", t->spool);

	spool_notice(t, path, PROTO_KIND_CLOSE);
	close(open(marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	start_scans(t);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_CLOSE);
	assert_int_equal(event_of(t, EVENT_CAVA_SPOOL_FULL)->count, 1);
	assert_null(event_of(t, EVENT_CAVA_SPOOL_DAMAGED));
	assert_int_equal(access(marker, F_OK), -1);
}

/* More than one chunk; most of the files are in the last one. */
static void test_many(void **p)
{
	struct test *t = *p;
	char *paths[20];
	char name[16];
	int i;

	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		paths[i] = make_file(t, name);
	}
	for (i = 0; i < 4000; i++) {
		spool_notice(t, paths[0], PROTO_KIND_CLOSE);
	}
	for (i = 1; i < 20; i++) {
		spool_notice(t, paths[i], PROTO_KIND_CLOSE);
	}
	t->servers->at_once = true;
	start_scans(t);
	assert_true(spool_empty(t));
	WAIT_FOR(t, pending(t) == 0);
	for (i = 0; i < 20; i++) {
		assert_int_equal(state_of(paths[i]), VERDICT_STATE_CLEAN);
	}
}

/* Ended in the middle: what was not committed is still there. */
static void test_ended_meanwhile(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");

	spool_notice(t, path, PROTO_KIND_CLOSE);
	t->scans = scans_create(t, t->ev, t->config, t->files, t->store,
				t->servers, t->events, &t->counters);
	assert_true(scan_spool_reading(t->scans));
	TALLOC_FREE(t->scans);
	start_scans(t);
	assert_int_equal(pending_kind(t, path), PROTO_KIND_CLOSE);
	assert_true(spool_empty(t));
}

#define TEST(name, set_up) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_at_start, set_up_before),
		TEST(test_when_asked, set_up),
		TEST(test_nonsense, set_up_before),
		TEST(test_zeroes, set_up_before),
		TEST(test_overflow, set_up_before),
		TEST(test_many, set_up_before),
		TEST(test_ended_meanwhile, set_up_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
