/*
 * What the files process does about one file: quarantine, release, truncate,
 * delete; and to no other file than the one that is meant.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/files_test.h"

static struct files_responded respond_to(struct test *t,
					 enum files_action action,
					 const struct files_begun *b,
					 const char *path)
{
	const struct files_respond ask = {
		.action = action, .have_ident = true, .ident = b->ident,
		.path = path, .content = b->content,
	};
	struct files_responded r = { .status = FILES_IO };
	struct tevent_req *req = files_respond_send(t, t->ev, t->files, &ask);

	assert_non_null(req);
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_respond_recv(req, t, &r), 0);
	talloc_free(req);
	return r;
}

static enum verdict_state seen_as(const char *path, struct verdict *v)
{
	int fd = open_file(path, O_RDONLY);
	struct content now;
	int ret = verdict_read(fd, v);

	assert_int_equal(content_of_fd(fd, &now), 0);
	close(fd);
	return verdict_state(ret == 0 ? v : NULL, &now, 0);
}

static void assert_size(const char *path, off_t size)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size);
}

static void test_quarantine(void **p)
{
	struct test *t = *p;
	const char *path = make_file(t, "a");
	struct files_begun b = begin_path(t, path);
	struct files_responded r = respond_to(t, FILES_QUARANTINE, &b, path);
	struct verdict clean = verdict_of(VERDICT_CLEAN);
	struct files_ended ended;
	struct verdict v;

	assert_int_equal(r.status, FILES_OK);
	assert_false(r.was);
	assert_int_equal(seen_as(path, &v), VERDICT_STATE_QUARANTINED);

	/* a later verdict does not lift it, written content neither */
	write_file(path, "other text\n");
	b = begin_lock(t, 1, path);
	assert_int_equal(end_error(t, &(struct files_end) {
		.scan_id = 1, .ident = b.ident, .path = path,
		.before = b.content, .record = &clean }, &ended), 0);
	assert_int_equal(ended.status, FILES_OK);
	assert_true(verdict_quarantined(&ended.record));
	assert_int_equal(seen_as(path, &v), VERDICT_STATE_QUARANTINED);

	r = respond_to(t, FILES_RELEASE, &b, path);
	assert_int_equal(r.status, FILES_OK);
	assert_true(r.was);
	assert_int_equal(seen_as(path, &v), VERDICT_STATE_NONE);
	assert_false(respond_to(t, FILES_RELEASE, &b, path).was);
}

/* What was infected before it was quarantined is so after it. */
static void test_release_of_the_infected(void **p)
{
	struct test *t = *p;
	const char *path = make_file(t, "a");
	struct verdict infected = verdict_of(VERDICT_INFECTED);
	struct files_begun b = begin_lock(t, 1, path);
	struct files_ended ended;
	struct verdict v;

	assert_int_equal(end_error(t, &(struct files_end) {
		.scan_id = 1, .ident = b.ident, .path = path,
		.before = b.content, .record = &infected }, &ended), 0);
	(void)respond_to(t, FILES_QUARANTINE, &b, path);
	assert_int_equal(seen_as(path, &v), VERDICT_STATE_QUARANTINED);
	assert_string_equal(v.threat, "Eicar");
	(void)respond_to(t, FILES_RELEASE, &b, path);
	assert_int_equal(seen_as(path, &v), VERDICT_STATE_WAS_INFECTED);
}

static void test_truncate(void **p)
{
	struct test *t = *p;
	const char *path = make_file(t, "a");
	struct files_begun b = begin_path(t, path);

	assert_int_equal(chmod(path, 0), 0);
	b = begin_path(t, path);
	assert_int_equal(respond_to(t, FILES_TRUNCATE, &b, path).status,
			 FILES_OK);
	assert_size(path, 0);
}

/* The name leads to another file by now; the one that is meant has moved. */
static void test_swapped(void **p)
{
	struct test *t = *p;
	const char *path = make_file(t, "a");
	const char *moved = path_in(t, "moved");
	struct files_begun b = begin_path(t, path);

	assert_int_equal(rename(path, moved), 0);
	write_file(path, "innocent\n");
	b = begin_path(t, moved);	/* its ctime of now */
	assert_int_equal(respond_to(t, FILES_TRUNCATE, &b, path).status,
			 FILES_OK);
	assert_size(path, 9);
	assert_size(moved, 0);
	b = begin_path(t, moved);
	assert_int_equal(respond_to(t, FILES_DELETE, &b, path).status,
			 FILES_OK);
	assert_int_equal(access(moved, F_OK), -1);
	assert_size(path, 9);
}

/* What was judged is not what is there. */
static void test_changed(void **p)
{
	struct test *t = *p;
	const char *path = make_file(t, "a");
	struct files_begun b = begin_path(t, path);

	write_file(path, "changed\n");
	assert_int_equal(respond_to(t, FILES_TRUNCATE, &b, path).status,
			 FILES_CHANGED);
	assert_int_equal(respond_to(t, FILES_DELETE, &b, path).status,
			 FILES_CHANGED);
	assert_size(path, 8);
	assert_int_equal(unlink(path), 0);
	write_file(path, "another\n");
	assert_int_equal(respond_to(t, FILES_DELETE, &b, path).status,
			 FILES_GONE);
	assert_size(path, 8);
}

static void test_writer(void **p)
{
	struct test *t = *p;
	const char *path = make_file(t, "a");
	struct files_begun b = begin_path(t, path);
	int fd = open_file(path, O_RDWR);
	struct files_responded r = respond_to(t, FILES_DELETE, &b, path);

	assert_int_equal(r.status, FILES_IO);
	assert_int_equal(r.error, ETXTBSY);
	r = respond_to(t, FILES_TRUNCATE, &b, path);
	assert_int_equal(r.error, ETXTBSY);
	assert_size(path, 10);
	close(fd);
	fd = open_file(path, O_RDONLY);	/* a reader is not in the way */
	assert_int_equal(respond_to(t, FILES_DELETE, &b, path).status,
			 FILES_OK);
	close(fd);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_links(void **p)
{
	struct test *t = *p;
	const char *path = make_file(t, "a");
	struct files_begun b;
	struct files_responded r;

	assert_int_equal(link(path, path_in(t, "b")), 0);
	b = begin_path(t, path);
	r = respond_to(t, FILES_DELETE, &b, path);
	assert_int_equal(r.status, FILES_OK);
	assert_int_equal(r.links, 1);
	assert_int_equal(access(path_in(t, "b"), F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, \
						   tear_down)
		TEST(quarantine),
		TEST(release_of_the_infected),
		TEST(truncate),
		TEST(swapped),
		TEST(changed),
		TEST(writer),
		TEST(links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
