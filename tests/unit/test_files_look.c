/* includes: cavad/files_look.c */
/*
 * Looking at many names by two threads: what each of them gets, that both
 * take part, that nothing is left in hand, and that one is enough.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/stream.h"
#include "common/verdict.h"

static int read_name(const char *name, struct verdict *v);
static bool perhaps(const char *name, bool *record);

#define LOOK_BLOCK 1
#define LOOK_ALONE 3
#define verdict_read_name read_name
#define stream_perhaps perhaps
#include "cavad/files_look.c"
#undef verdict_read_name
#undef stream_perhaps

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/files_test.h"

#define NAMES 40

/* Who reads a record, and who waits for whom. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	pthread_t main;
	const struct looker *forced;
	unsigned int by_main, by_other;
} readers = { .lock = PTHREAD_MUTEX_INITIALIZER,
	      .moved = PTHREAD_COND_INITIALIZER };

/* Run once after the attributes of that name were listed. */
static struct {
	const char *name;
	void (*run)(void);
} meanwhile;

struct dir {
	char top[64];
	struct looker *looker;
	struct look look;
	struct name names[NAMES];
	char texts[NAMES][16];
};

/*
 * Forced: main reads its second name when the other one has one in hand, and
 * that one goes on when main has read all others.
 */
static int read_name(const char *name, struct verdict *v)
{
	bool is_main = pthread_equal(pthread_self(), readers.main);

	pthread_mutex_lock(&readers.lock);
	readers.by_main += is_main;
	readers.by_other += !is_main;
	pthread_cond_broadcast(&readers.moved);
	while (readers.forced != NULL &&
	       (!is_main ? readers.by_main + readers.by_other < NAMES :
		readers.by_main > 1 && readers.by_other == 0 &&
		!readers.forced->no_thread)) {
		pthread_cond_wait(&readers.moved, &readers.lock);
	}
	pthread_mutex_unlock(&readers.lock);
	return verdict_read_name(name, v);
}

static bool perhaps(const char *name, bool *record)
{
	bool streams = stream_perhaps(name, record);

	if (meanwhile.name != NULL && strcmp(name, meanwhile.name) == 0) {
		meanwhile.name = NULL;
		meanwhile.run();
	}
	return streams;
}

static void put_record(const char *name)
{
	uint8_t rec[VERDICT_RECORD_MAX];
	struct verdict v = { .result = VERDICT_CLEAN, .signature_time = 100 };
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	assert_int_equal(content_of_fd(fd, &v.content), 0);
	v.stamp = now_ns(CLOCK_REALTIME) + 50000000;
	len = verdict_encode(&v, rec, sizeof(rec));
	assert_int_equal(fsetxattr(fd, VERDICT_XATTR, rec, len, 0), 0);
	close(fd);
}

/* All of them clean and current. */
static int dir_up(void **p)
{
	struct dir *d = calloc(1, sizeof(*d));
	struct stat st = { 0 };
	int i = 0;

	snprintf(d->top, sizeof(d->top), "/tmp/test_look.XXXXXX");
	assert_non_null(mkdtemp(d->top));
	assert_int_equal(chdir(d->top), 0);
	for (i = 0; i < NAMES; i++) {
		snprintf(d->texts[i], sizeof(d->texts[i]), "f%02d", i);
		write_file(d->texts[i], "text");
		put_record(d->texts[i]);
		assert_int_equal(stat(d->texts[i], &st), 0);
		d->names[i] = (struct name) { .text = d->texts[i],
			.ino = st.st_ino, .type = DT_REG };
	}
	d->looker = looker_create();
	assert_non_null(d->looker);
	d->look = (struct look) {
		.names = d->names, .count = NAMES, .batch = 7,
		.dev = look_dev(major(st.st_dev), minor(st.st_dev)),
		.end = look_clock() + 3600 * 1000,
	};
	readers.main = pthread_self();
	readers.forced = NULL;
	readers.by_main = readers.by_other = 0;
	*p = d;
	return 0;
}

static int dir_down(void **p)
{
	struct dir *d = *p;
	int i = 0;

	looker_end(d->looker);
	for (i = 0; i < NAMES; i++) {
		unlink(d->texts[i]);
	}
	assert_int_equal(chdir("/"), 0);
	rmdir(d->top);
	free(d);
	return 0;
}

static unsigned int count_current(const struct dir *d)
{
	unsigned int n = 0;
	int i = 0;

	for (i = 0; i < NAMES; i++) {
		assert_int_equal(d->names[i].batch, 7);
		n += d->names[i].looks == LOOK_CURRENT;
	}
	return n;
}

static void test_both(void **p)
{
	struct dir *d = *p;

	readers.forced = d->looker;
	looker_look(d->looker, &d->look);
	assert_int_equal(readers.by_other, 1);
	assert_int_equal(readers.by_main, NAMES - 1);
	/* and that one, which came last, was waited for */
	assert_int_equal(count_current(d), NAMES);
	assert_int_equal(d->names[3].size, 4);
}

static void test_again(void **p)
{
	struct dir *d = *p;
	int round = 0;
	int i = 0;

	for (round = 0; round < 200; round++) {
		looker_look(d->looker, &d->look);
		assert_int_equal(count_current(d), NAMES);
		for (i = 0; i < NAMES; i++) {
			d->names[i].looks = LOOK_OPEN;
			d->names[i].batch = 0;
		}
	}
	assert_int_equal(readers.by_main + readers.by_other, 200 * NAMES);
}

static void test_alone(void **p)
{
	struct dir *d = *p;

	d->looker->no_thread = true;	/* as if there was no memory for it */
	looker_look(d->looker, &d->look);
	assert_int_equal(readers.by_other, 0);
	assert_int_equal(count_current(d), NAMES);
}

static void test_few(void **p)
{
	struct dir *d = *p;

	d->look.count = LOOK_ALONE;
	looker_look(d->looker, &d->look);
	assert_false(d->looker->have_thread);
	assert_int_equal(d->names[LOOK_ALONE - 1].looks, LOOK_CURRENT);
	assert_int_equal(d->names[LOOK_ALONE].batch, 0);
}

/* Time is up: what was not looked at says so. */
static void test_time(void **p)
{
	struct dir *d = *p;
	int i = 0;

	d->look.end = look_clock();
	looker_look(d->looker, &d->look);
	for (i = 0; i < NAMES; i++) {
		assert_int_equal(d->names[i].batch, 0);
	}
}

/* Whatever is not exactly that is not current. */
static void test_others(void **p)
{
	struct dir *d = *p;

	assert_int_equal(removexattr("f00", VERDICT_XATTR), 0);
	write_file("f01", "other");
	assert_int_equal(setxattr("f02", "user.DosStream.s:$DATA", "x", 2, 0),
			 0);
	put_record("f02");
	assert_int_equal(rename("f04", "f03"), 0);
	assert_int_equal(symlink("f05", "f04"), 0);
	assert_int_equal(unlink("f06"), 0);
	d->names[7].type = DT_DIR;
	d->names[7].batch = 7;
	looker_look(d->looker, &d->look);
	assert_int_equal(count_current(d), NAMES - 7);
	assert_int_equal(d->names[3].looks, LOOK_OPEN);
	assert_int_equal(d->names[4].looks, LOOK_OPEN);

	d->look.signature_min = 101;
	looker_look(d->looker, &d->look);
	assert_int_equal(count_current(d), 0);
	d->look.signature_min = 0;
	d->look.dev++;
	looker_look(d->looker, &d->look);
	assert_int_equal(count_current(d), 0);
}

/* Without a record it is new, unless it is so young that nobody can say. */
static void test_new(void **p)
{
	struct dir *d = *p;
	unsigned int tries = 0;

	assert_int_equal(removexattr("f01", VERDICT_XATTR), 0);
	assert_int_equal(setxattr("f01", "user.DosStream.s:$DATA", "x", 2, 0),
			 0);
	do {			/* until that is within one tick */
		put_record("f00");
		assert_int_equal(removexattr("f00", VERDICT_XATTR), 0);
		looker_look(d->looker, &d->look);
		assert_true(++tries < 1000);
	} while (d->names[0].looks != LOOK_OPEN);
	let_age();
	looker_look(d->looker, &d->look);
	assert_int_equal(d->names[0].looks, LOOK_NEW);
	assert_int_equal(d->names[0].size, 4);
	assert_int_equal(d->names[1].looks, LOOK_OPEN);
	assert_int_equal(count_current(d), NAMES - 2);

	d->look.ignore_previous = true;
	readers.by_main = readers.by_other = 0;
	looker_look(d->looker, &d->look);
	assert_int_equal(d->names[1].looks, LOOK_OPEN);
	assert_int_equal(d->names[2].looks, LOOK_NEW);
	assert_int_equal(count_current(d), 0);
	assert_int_equal(readers.by_main + readers.by_other, 0);
}

static void rename_back(void)
{
	assert_int_equal(rename("with", "f00"), 0);
}

static void replace(void)
{
	assert_int_equal(rename("f02", "f01"), 0);
}

static void put_stream(void)
{
	assert_int_equal(setxattr("f03", "user.DosStream.s:$DATA", "x", 2, 0),
			 0);
}

/* What was listed is one file, what is there another. */
static void test_renamed(void **p)
{
	struct dir *d = *p;

	d->look.ignore_previous = true;
	assert_int_equal(setxattr("f00", "user.DosStream.s:$DATA", "x", 2, 0),
			 0);
	assert_int_equal(rename("f00", "with"), 0);
	write_file("f00", "bait");
	let_age();
	meanwhile.name = "f00";
	meanwhile.run = rename_back;
	looker_look(d->looker, &d->look);
	assert_int_equal(d->names[0].looks, LOOK_OPEN);

	meanwhile.name = "f01";
	meanwhile.run = replace;
	looker_look(d->looker, &d->look);
	assert_int_equal(d->names[1].looks, LOOK_OPEN);

	meanwhile.name = "f03";
	meanwhile.run = put_stream;
	looker_look(d->looker, &d->look);
	assert_int_equal(d->names[3].looks, LOOK_OPEN);
	assert_null(meanwhile.name);
}

#define LOOK_TEST(name) cmocka_unit_test_setup_teardown(name, dir_up, dir_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOK_TEST(test_both),
		LOOK_TEST(test_again),
		LOOK_TEST(test_alone),
		LOOK_TEST(test_few),
		LOOK_TEST(test_time),
		LOOK_TEST(test_others),
		LOOK_TEST(test_new),
		LOOK_TEST(test_renamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
