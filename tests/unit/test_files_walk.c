/* includes: cavad/files_walk.c cavad/files_names.c */
/*
 * Walks: everything once, whatever the tree does meanwhile, and nothing that
 * is not below. In this process; with small windows.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#define WINDOW_NAMES 8
#define WINDOWS_MAX 2
#define WALK_CANDIDATES 5
#include "cavad/files_names.c"
#include "cavad/files_walk.c"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/unit/files_test.h"

struct tree {
	char top[64];
	struct files_root root;
	struct walk *walk;
	struct files_walk ask;
	char cursor[FILES_PATH_MAX];
	struct files_walked last;
	struct walk_counts sum;
	char seen[1 << 20];	/* paths below root, one a line, in order */
};

static void tree_path(struct tree *t, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", t->top, name);
}

static void tree_file(struct tree *t, const char *name)
{
	char path[512];

	tree_path(t, name, path);
	write_file(path, "text");
}

static void tree_dir(struct tree *t, const char *name)
{
	char path[512];

	tree_path(t, name, path);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int tree_up(void **p)
{
	struct tree *t = calloc(1, sizeof(*t));

	snprintf(t->top, sizeof(t->top), "/tmp/test_walk.XXXXXX");
	assert_non_null(mkdtemp(t->top));
	assert_int_equal(files_root_open(t->top, &t->root), 0);
	t->walk = walk_create(&t->root);
	t->ask = (struct files_walk) { .path = t->top,
				       .rules = FILTER_DEFAULT };
	*p = t;
	return 0;
}

static int tree_down(void **p)
{
	struct tree *t = *p;
	struct stat here, top;
	char command[128];
	int ret = 0;

	walk_end(t->walk);
	/* no file system that was walked is kept busy */
	ret = stat(".", &here) + fstat(t->root.fd, &top);
	assert_int_equal(ret, 0);
	assert_true(here.st_dev == top.st_dev && here.st_ino == top.st_ino);
	close(t->root.fd);
	/* nftw() cannot: paths longer than PATH_MAX */
	snprintf(command, sizeof(command), "rm -r %s", t->top);
	ret = system(command);
	free(t);
	return ret;
}

static void tree_sum(struct tree *t)
{
#define W(name, text) t->sum.name += t->last.counts.name;
	WALK_COUNTS(W)
#undef W
}

/* One batch, as it comes over the socket. */
static void batch(struct tree *t)
{
	static uint8_t data[FILES_MSG_MAX];
	struct buf out = files_msg_start(data, FILES_MSG_WALK, 1);
	TALLOC_CTX *frame = talloc_new(NULL);
	struct buf in;
	uint32_t i = 0;

	t->ask.cursor = t->cursor;
	walk_batch(t->walk, &t->ask, &out);
	assert_int_equal(out.error, 0);
	in = buf_reader(data, out.pos);
	buf_get_u64(&in);
	files_msg_get_walked(&in, frame, &t->last);
	assert_int_equal(buf_finish(&in), 0);
	snprintf(t->cursor, sizeof(t->cursor), "%s", t->last.cursor);
	for (i = 0; i < t->last.count; i++) {
		const struct files_candidate *c = &t->last.candidates[i];

		assert_true(c->content || c->streams);
		strcat(t->seen, strcmp(c->path, t->top) == 0 ? "" :
		       c->path + strlen(t->top) + 1);
		strcat(t->seen, c->content ? "" : "(streams)");
		strcat(t->seen, "\n");
	}
	tree_sum(t);
	talloc_free(frame);
}

/* A walker that was lost knows nothing. */
static void forget(struct tree *t)
{
	walk_end(t->walk);
	t->walk = walk_create(&t->root);
}

static void walk_all(struct tree *t, bool lossy)
{
	unsigned int n = 0;

	do {
		batch(t);
		assert_int_equal(t->last.error, 0);
		assert_true(++n < 10000);
		if (lossy) {
			forget(t);
		}
	} while (!t->last.done);
}

static void make_tree(struct tree *t)
{
	char name[64];
	int i = 0;

	tree_dir(t, "b");
	tree_dir(t, "b/deep");
	tree_dir(t, "b/deep/er");
	tree_dir(t, "b/deep/er/still");
	tree_dir(t, "empty");
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "b/f%02d", i * 7 % 40);
		tree_file(t, name);
		snprintf(name, sizeof(name), "b/deep/er/still/%d", i);
		tree_file(t, name);
		snprintf(name, sizeof(name), "b/deep/z%d", i);
		tree_file(t, name);
	}
	tree_file(t, "a");
	tree_file(t, "c");
	tree_file(t, "b.txt");
}

static int line_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each of them, once. */
static void check_seen(struct tree *t, size_t expected)
{
	char *lines[1000] = { NULL };
	char *save = NULL;
	char *line = NULL;
	size_t n = 0;
	size_t i = 0;

	for (line = strtok_r(t->seen, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		lines[n++] = line;
	}
	assert_int_equal(n, expected);
	qsort(lines, n, sizeof(lines[0]), line_compare);
	for (i = 1; i < n; i++) {
		assert_string_not_equal(lines[i - 1], lines[i]);
	}
}

static void test_all(void **p)
{
	struct tree *t = *p;

	make_tree(t);
	walk_all(t, false);
	assert_int_equal(t->sum.files, 123);
	assert_int_equal(t->sum.directories, 6);
	assert_int_equal(t->sum.failed + t->sum.gone, 0);
	assert_int_equal(t->sum.bytes, 123 * 4);
	check_seen(t, 123);
}

static void test_resumed(void **p)
{
	struct tree *t = *p;

	make_tree(t);
	walk_all(t, true);
	assert_int_equal(t->sum.files, 123);
	assert_int_equal(t->sum.directories, 6);
	check_seen(t, 123);
}

/* In the middle of a directory that is then removed, and of one renamed. */
static void test_vanishing(void **p)
{
	struct tree *t = *p;
	char path[512], to[512];

	make_tree(t);
	while (strncmp(t->cursor, "b/deep/er/still/", 16) != 0) {
		batch(t);
		assert_false(t->last.done);
	}
	tree_path(t, "b/deep/er", path);
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	forget(t);
	batch(t);
	assert_int_equal(strncmp(t->cursor, "b/deep/z", 8), 0);
	tree_path(t, "b", path);
	tree_path(t, "b2", to);
	assert_int_equal(rename(path, to), 0);
	forget(t);
	walk_all(t, false);
	assert_non_null(strstr(t->seen, "\nb2/f39\n"));
	assert_non_null(strstr(t->seen, "\nc\n"));
	assert_int_equal(t->sum.failed, 0);
}

static void test_links(void **p)
{
	struct tree *t = *p;
	char path[512];

	tree_dir(t, "d");
	tree_file(t, "d/f");
	tree_path(t, "d/up", path);
	assert_int_equal(symlink("..", path), 0);
	tree_path(t, "out", path);
	assert_int_equal(symlink("/etc", path), 0);
	tree_path(t, "fifo", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	walk_all(t, false);
	assert_string_equal(t->seen, "d/f\n");
	assert_int_equal(t->sum.others, 3);

	t->ask.path = path;
	tree_path(t, "out", path);
	t->cursor[0] = '\0';
	batch(t);
	assert_int_not_equal(t->last.error, 0);
	t->ask.path = "/etc";
	batch(t);
	assert_int_equal(t->last.error, EXDEV);
	/* a cursor is anybody's, too */
	t->ask.path = t->top;
	strcpy(t->cursor, "d/../../../etc/passwd");
	batch(t);
	assert_null(strstr(t->seen, "passwd"));
}

static void test_rules(void **p)
{
	struct tree *t = *p;

	tree_dir(t, "d");
	tree_dir(t, "tmp");
	tree_dir(t, "d/tmp");
	tree_file(t, "tmp/f.doc");
	tree_file(t, "d/tmp/f.doc");
	tree_file(t, "d/f.DOC");
	tree_file(t, "d/f.iso");
	tree_file(t, "none");
	t->ask.rules.paths = (struct filter_list) { "tmp/", 5 };
	t->ask.rules.extensions = (struct filter_list) { "*.doc", 6 };
	t->ask.rules.extensions_include = true;
	t->ask.rules.no_extension_skip = true;
	walk_all(t, false);
	assert_string_equal(t->seen, "d/f.DOC\nd/tmp/f.doc\n");
	assert_int_equal(t->sum.excluded, 3);
}

static void mark(struct tree *t, const char *name, enum verdict_result result)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	struct verdict v = { .result = result, .signature_time = 100 };
	char path[512];
	int fd = -1;
	size_t len = 0;

	tree_file(t, name);
	tree_path(t, name, path);
	fd = open(path, O_RDONLY);
	assert_int_equal(content_of_fd(fd, &v.content), 0);
	v.stamp = now_ns(CLOCK_REALTIME) + 50000000;
	len = verdict_encode(&v, rec, sizeof(rec));
	assert_int_equal(fsetxattr(fd, VERDICT_XATTR, rec, len, 0), 0);
	close(fd);
}

static void test_current(void **p)
{
	struct tree *t = *p;

	tree_file(t, "a");
	mark(t, "clean", VERDICT_CLEAN);
	mark(t, "infected", VERDICT_INFECTED);
	mark(t, "marked", VERDICT_SKIPPED);
	mark(t, "stale", VERDICT_CLEAN);
	tree_file(t, "stale");
	walk_all(t, false);
	/* whether the allow-list has what is infected, a walker cannot know */
	assert_int_equal(t->sum.infected, 0);
	assert_non_null(strstr(t->seen, "a\ninfected\nmarked\n"));
	assert_null(strstr(t->seen, "clean\n"));

	t->ask.signature_min = 101;
	t->seen[0] = t->cursor[0] = '\0';
	walk_all(t, false);
	assert_non_null(strstr(t->seen, "clean\n"));

	t->ask.ignore_previous = true;
	t->seen[0] = t->cursor[0] = '\0';
	walk_all(t, false);
	assert_string_equal(t->seen, "a\nclean\ninfected\nmarked\nstale\n");
}

/* What was looked at ahead for one batch is not good for the next one. */
static void test_ahead(void **p)
{
	struct tree *t = *p;
	char path[512];
	char name[8];
	int i = 0;

	mark(t, "a", VERDICT_CLEAN);
	tree_dir(t, "d");
	for (i = 0; i < WALK_CANDIDATES; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		tree_file(t, name);
	}
	mark(t, "z", VERDICT_CLEAN);
	batch(t);
	assert_int_equal(t->last.count, WALK_CANDIDATES);
	assert_int_equal(t->sum.current, 1);
	tree_path(t, "z", path);
	write_file(path, "another text");
	batch(t);
	assert_true(t->last.done);
	assert_int_equal(t->sum.current, 1);
	assert_non_null(strstr(t->seen, "d/4\nz\n"));
}

static void put_stream(struct tree *t, const char *name, const char *stream)
{
	char path[512];

	tree_path(t, name, path);
	assert_int_equal(setxattr(path, stream, "bytes", 6, 0), 0);
}

/* What has streams is a candidate for those, once, wherever it is resumed. */
static void test_streams(void **p)
{
	struct tree *t = *p;

	tree_dir(t, "d");
	tree_dir(t, "e");
	tree_file(t, "e/1");
	tree_file(t, "e/2");
	tree_file(t, "e/3");	/* the first batch is full */
	tree_file(t, "e/4");
	put_stream(t, "", "user.DosStream.top:$DATA");
	put_stream(t, "e", "user.DosStream.s:$DATA");
	mark(t, "clean", VERDICT_CLEAN);
	put_stream(t, "clean", "user.DosStream.s:$DATA");
	mark(t, "clean", VERDICT_CLEAN);
	mark(t, "none", VERDICT_CLEAN);
	put_stream(t, "none", "user.comment");
	mark(t, "none", VERDICT_CLEAN);
	walk_all(t, true);
	assert_string_equal(t->seen, "(streams)\nclean(streams)\n"
			    "e(streams)\ne/1\ne/2\ne/3\ne/4\n");
}

/* What is no longer young is dealt with by name: no other candidates. */
static void test_new(void **p)
{
	struct tree *t = *p;

	tree_file(t, "a");
	tree_file(t, "b.tmp");
	tree_file(t, "c");
	put_stream(t, "c", "user.DosStream.s:$DATA");
	mark(t, "clean", VERDICT_CLEAN);
	mark(t, "infected", VERDICT_INFECTED);
	let_age();
	t->ask.rules.extensions = (struct filter_list) { "*.tmp", 6 };
	walk_all(t, true);
	assert_string_equal(t->seen, "a\nc\ninfected\n");
	assert_int_equal(t->sum.files, 5);
	assert_int_equal(t->sum.bytes, 4 * 4);
	assert_int_equal(t->sum.excluded, 1);
	assert_int_equal(t->sum.current, 1);

	t->ask.ignore_previous = true;
	t->sum = (struct walk_counts) { .files = 0 };
	t->seen[0] = t->cursor[0] = '\0';
	walk_all(t, true);
	assert_string_equal(t->seen, "a\nc\nclean\ninfected\n");
	assert_int_equal(t->sum.files, 5);
	assert_int_equal(t->sum.bytes, 4 * 4);
	assert_int_equal(t->sum.current, 0);
}

/* cmocka's would go on with the tests, in the child. */
static void check_at(bool ok, int line)
{
	if (!ok) {
		fprintf(stderr, "line %d\n", line);
		_exit(1);
	}
}

#define check(ok) check_at(ok, __LINE__)

/* In a mount namespace of its own: exits 0 when all is well. */
static void in_namespace(struct tree *t)
{
	char from[512], to[512];

	check(unshare(CLONE_NEWNS) == 0);
	check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	tree_path(t, "d", from);
	tree_path(t, "d/loop", to);
	check(mount(from, to, NULL, MS_BIND, NULL) == 0);
	tree_path(t, "tmpfs", to);
	check(mount("none", to, "tmpfs", 0, NULL) == 0);
	tree_file(t, "tmpfs/other");
	close(t->root.fd);
	check(files_root_open(t->top, &t->root) == 0);
	walk_all(t, true);
	check(strcmp(t->seen, "d/f\n") == 0);
	check(t->sum.mounts == 2);

	t->ask.other_mounts = true;
	t->seen[0] = t->cursor[0] = '\0';
	walk_all(t, true);
	check(strcmp(t->seen, "d/f\ntmpfs/other\n") == 0);
	check(t->sum.loops == 1);
}

static void test_mounts(void **p)
{
	struct tree *t = *p;
	int status = 0;
	pid_t pid = 0;

	tree_dir(t, "d");
	tree_dir(t, "d/loop");
	tree_dir(t, "tmpfs");
	tree_file(t, "d/f");
	pid = fork();
	if (pid == 0) {
		in_namespace(t);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Deeper than there are windows, and than a cursor could say. */
static void test_deep(void **p)
{
	struct tree *t = *p;
	char name[101];
	int fd = open(t->top, O_RDONLY | O_DIRECTORY);
	int next = -1;
	int i = 0;

	memset(name, 'n', 100);
	name[100] = '\0';
	for (i = 0; i < 60; i++) {
		assert_int_equal(mkdirat(fd, name, 0700), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = next;
		next = openat(fd, "f", O_CREAT | O_WRONLY, 0600);
		close(next);
	}
	close(fd);
	walk_all(t, true);
	assert_int_equal(t->sum.failed, 1);
	assert_in_range(t->sum.files, 35, 40);
}

int main(void)
{
#define WALK_TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, tree_up, tree_down)
	const struct CMUnitTest tests[] = {
		WALK_TEST(all),
		WALK_TEST(resumed),
		WALK_TEST(vanishing),
		WALK_TEST(links),
		WALK_TEST(rules),
		WALK_TEST(current),
		WALK_TEST(ahead),
		WALK_TEST(streams),
		WALK_TEST(new),
		WALK_TEST(mounts),
		WALK_TEST(deep),
	};

	return files_test_main(tests);
}
