/*
 * Opening files by path and by identity. Needs root.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/files_test.h"
#include "common/spool.h"
#include "common/stream.h"

#include <sys/xattr.h>

static void test_path_alone(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_path(t, a);
	struct ident ident;
	struct content content;
	int fd = open_file(a, O_RDONLY);

	assert_int_equal(begun.status, FILES_OK);
	assert_int_equal(ident_of_fd(fd, &ident), 0);
	assert_int_equal(content_of_fd(fd, &content), 0);
	close(fd);
	assert_true(ident_equal(&ident, &begun.ident));
	assert_true(content_equal(&content, &begun.content));
	assert_string_equal(begun.path, a);
	assert_false(begun.have_record);
	assert_false(begun.leased);
	assert_int_equal(begun.fd, -1);
}

static void test_renamed(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	char *b = path_in(t, "b");
	struct files_begun first = begin_path(t, a);
	struct files_begun begun;

	assert_int_equal(rename(a, b), 0);
	begun = begin_ident(t, a, &first.ident);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, b);
	assert_true(ident_equal(&first.ident, &begun.ident));

	/* another file has the old name now */
	make_file(t, "a");
	begun = begin_ident(t, a, &first.ident);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, b);
}

static void test_parent_swapped(void **p)
{
	struct test *t = *p;
	char *d = path_in(t, "d");
	char *e = path_in(t, "e");
	char *d_f = path_in(t, "d/f");
	struct files_begun first;
	struct files_begun begun;

	assert_int_equal(mkdir(d, 0755), 0);
	make_file(t, "d/f");
	first = begin_path(t, d_f);
	assert_int_equal(rename(d, e), 0);
	assert_int_equal(mkdir(d, 0755), 0);
	make_file(t, "d/f");

	begun = begin_ident(t, d_f, &first.ident);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, path_in(t, "e/f"));
	assert_int_equal(begun.ident.ino, first.ident.ino);
}

static void test_no_hint(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun first = begin_path(t, a);
	struct files_begun begun = begin_ident(t, NULL, &first.ident);

	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, a);
}

static void test_gone(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun first = begin_path(t, a);
	struct ident no_handle = first.ident;
	struct files_begun begun;
	int fd = open_file(a, O_RDONLY);

	assert_int_equal(unlink(a), 0);
	assert_int_equal(begin_path(t, a).status, FILES_GONE);
	begun = begin_ident(t, a, &first.ident);
	assert_int_equal(begun.status, FILES_GONE);	/* nlink 0 */
	close(fd);
	begun = begin_ident(t, a, &first.ident);
	assert_int_equal(begun.status, FILES_GONE);	/* stale */

	make_file(t, "a");
	begun = begin_ident(t, a, &first.ident);
	assert_int_equal(begun.status, FILES_GONE);
	no_handle.handle_len = 0;
	begun = begin_ident(t, a, &no_handle);
	assert_int_equal(begun.status, FILES_GONE);
}

/* The kernel's name of what the handle opens is one that was removed. */
static void test_hard_link(void **p)
{
	struct test *t = *p;
	char *b = make_file(t, "b");
	char *a = path_in(t, "a");
	struct files_begun first;
	struct files_begun begun;
	int fd = -1;

	assert_int_equal(link(b, a), 0);
	first = begin_path(t, a);
	fd = open_file(a, O_RDONLY);	/* keeps that name in the cache */
	assert_int_equal(unlink(a), 0);
	make_file(t, "a (deleted)");
	begun = begin_ident(t, a, &first.ident);
	close(fd);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, b);
	assert_int_equal(begun.ident.ino, first.ident.ino);
}

static void test_symlinks(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	char *link_a = path_in(t, "link");
	char *through = path_in(t, "dir/a");
	struct files_begun first = begin_path(t, a);
	struct files_begun begun;

	assert_int_equal(symlink(a, link_a), 0);
	assert_int_equal(symlink(t->root, path_in(t, "dir")), 0);
	begun = begin_path(t, link_a);
	assert_int_equal(begun.status, FILES_NOT_REGULAR);
	begun = begin_path(t, through);
	assert_int_equal(begun.status, FILES_IO);
	assert_int_equal(begun.error, ELOOP);

	/* as a hint they lead to the file all the same, by its handle */
	begun = begin_ident(t, link_a, &first.ident);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, a);
	begun = begin_ident(t, through, &first.ident);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, a);
}

static void test_not_regular(void **p)
{
	struct test *t = *p;
	char *fifo = path_in(t, "fifo");
	char *dir = path_in(t, "dir");

	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(begin_lock(t, 1, fifo).status, FILES_NOT_REGULAR);
	assert_int_equal(begin_lock(t, 2, dir).status, FILES_NOT_REGULAR);
}

static void test_outside(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	char *beside = talloc_asprintf(t, "%s-beside", t->root);
	char *away = talloc_asprintf(t, "%s/away", t->top);
	struct files_begun first = begin_path(t, a);

	write_file(beside, "x");
	assert_int_equal(begin_path(t, "/etc/passwd").status, FILES_OUTSIDE);
	assert_int_equal(begin_path(t, beside).status, FILES_OUTSIDE);
	assert_int_equal(begin_path(t, path_in(t, "../root-beside")).status,
			 FILES_OUTSIDE);
	assert_int_equal(begin_path(t, "a").status, FILES_OUTSIDE);
	assert_int_equal(begin_path(t, t->root).status, FILES_OUTSIDE);

	assert_int_equal(rename(a, away), 0);
	assert_int_equal(begin_ident(t, a, &first.ident).status,
			 FILES_OUTSIDE);
}

static void test_root_by_symlink(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	char *root = talloc_asprintf(t, "%s/link", t->top);
	char *link_a = talloc_asprintf(t, "%s/a", root);
	struct files_begun begun;

	assert_int_equal(symlink(t->root, root), 0);
	TALLOC_FREE(t->files);
	assert_int_equal(start(t, root), 0);
	begun = begin_path(t, a);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, link_a);
	begun = begin_path(t, link_a);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, link_a);
}

static void test_root_missing(void **p)
{
	struct test *t = *p;

	TALLOC_FREE(t->files);
	assert_int_equal(start(t, path_in(t, "nothing")), ENOENT);
}

static void test_stream(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_path(t, a);

	strcpy(begun.ident.stream, "security.s");
	begun = begin_ident(t, a, &begun.ident);
	assert_int_equal(begun.status, FILES_IO);
	assert_int_equal(begun.error, EINVAL);
	strcpy(begun.ident.stream, "user.s");
	begun = begin_ident(t, a, &begun.ident);
	assert_int_equal(begun.status, FILES_GONE);
}

/* The attribute's bytes, wherever its file or directory is by now. */
static void stream_of(struct test *t, const char *path)
{
	struct files_begun begun;
	struct ident ident;
	struct content c;
	int fd = open(path, O_PATH | O_CLOEXEC);
	char text[8] = "";

	assert_int_equal(ident_of_fd(fd, &ident), 0);
	close(fd);
	strcpy(ident.stream, "user.s");
	stream_content((const uint8_t *)"abc", 4, &c);
	assert_int_equal(setxattr(path, "user.s", "abc", 4, 0), 0);
	begun = begin_ident(t, path_in(t, "nowhere"), &ident);
	assert_int_equal(begun.status, FILES_OK);
	assert_string_equal(begun.path, path);
	assert_string_equal(begun.ident.stream, "user.s");
	assert_true(content_equal(&begun.content, &c));
	assert_false(begun.have_record);
	assert_false(begun.leased);

	begun = begin_as(t, &(struct files_begin) { .scan_id = 99,
		.have_ident = true, .ident = ident, .path = path,
		.want_fd = true });
	assert_int_equal(begun.status, FILES_OK);
	assert_int_equal(read(begun.fd, text, sizeof(text)), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(write(begun.fd, "x", 1), -1);
	close(begun.fd);

	assert_int_equal(getxattr(path, VERDICT_XATTR, text, 0), -1);
	assert_int_equal(removexattr(path, "user.s"), 0);
	begun = begin_ident(t, path, &ident);
	assert_int_equal(begun.status, FILES_GONE);
}

static void test_stream_of_file(void **p)
{
	struct test *t = *p;

	stream_of(t, make_file(t, "a"));
}

static void test_stream_of_directory(void **p)
{
	struct test *t = *p;
	char *dir = path_in(t, "d");

	assert_int_equal(mkdir(dir, 0700), 0);
	stream_of(t, dir);
}

static void test_want_fd(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun;
	char text[16] = "";

	begun = begin_as(t, &(struct files_begin) { .path = a,
						    .want_fd = true });
	assert_int_equal(begun.status, FILES_OK);
	assert_int_equal(fcntl(begun.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(begun.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(read(begun.fd, text, sizeof(text)), 10);
	assert_string_equal(text, "some text\n");
	close(begun.fd);
}

static size_t spool_one(struct test *t, uint8_t *data, uint64_t seq)
{
	const struct proto_message m = {
		.number = PROTO_NOTICE,
		.u.notice = { .seq = seq, .path = "/a", .user = "u" },
	};
	size_t len = proto_encode(&m, data);

	assert_int_equal(spool_append(t->spool, data, len), 0);
	return len;
}

static void spool_next(struct test *t, uint64_t offset,
		       struct files_spooled *got)
{
	struct tevent_req *req = NULL;

	req = files_spool_send(t, t->ev, t->files, offset);
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_spool_recv(req, t, got), 0);
	talloc_free(req);
}

static void test_spool(void **p)
{
	struct test *t = *p;
	struct files_spooled got;
	struct tevent_req *req = NULL;
	uint8_t data[PROTO_MAX];
	bool overflow = false;
	size_t size = 0;
	struct buf b;

	spool_next(t, 0, &got);
	assert_int_equal(got.len, 0);

	size = 4 + spool_one(t, data, 1);
	size += 4 + spool_one(t, data, 2);
	spool_next(t, 0, &got);
	assert_int_equal(got.len, size);
	assert_int_equal(got.next, size);
	assert_int_equal(got.damaged, 0);
	assert_false(got.overflow);
	b = buf_reader(got.data + size / 2, size / 2);
	assert_int_equal(buf_get_u32(&b), size / 2 - 4);
	assert_memory_equal(got.data + size / 2 + 4, data, size / 2 - 4);

	spool_next(t, size, &got);
	assert_int_equal(got.len, 0);
	req = files_spool_done_send(t, t->ev, t->files);
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_spool_done_recv(req), 0);
	assert_int_equal(spool_take(t->spool, &overflow), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(path_alone),
		TEST(renamed),
		TEST(parent_swapped),
		TEST(no_hint),
		TEST(gone),
		TEST(hard_link),
		TEST(symlinks),
		TEST(not_regular),
		TEST(outside),
		TEST(root_by_symlink),
		TEST(root_missing),
		TEST(stream),
		TEST(stream_of_file),
		TEST(stream_of_directory),
		TEST(want_fd),
		TEST(spool),
	};

	return files_test_main(tests);
}
