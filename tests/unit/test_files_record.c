/*
 * Records and leases of the files process, with real files. Needs root.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "cavad/files_record.h"
#include "tests/unit/files_test.h"

static void test_record(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_ended ended;
	struct files_begun again;

	assert_true(begun.leased);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	assert_int_equal(state_of(a), VERDICT_STATE_CLEAN);
	assert_int_equal(ended.record.content.size, 10);
	assert_int_equal(ended.record.content.mtime, begun.content.mtime);
	assert_true(ended.content.ctime <= ended.record.stamp);
	assert_true(ended.content.ctime > ended.record.stamp - SECOND);
	wait_settled(t, ended.record.stamp);
	assert_int_equal(state_of(a), VERDICT_STATE_CLEAN);

	again = begin_path(t, a);
	assert_true(again.have_record);
	assert_int_equal(again.record.result, VERDICT_CLEAN);
	assert_int_equal(again.record.stamp, ended.record.stamp);
	assert_string_equal(again.record.engine, "test 1");
	assert_true(content_equal(&again.content, &ended.content));
}

/* Leased, and any change from now on is another ctime. */
static void test_quiet(void **p)
{
	struct test *t = *p;
	struct files_begun begun;
	struct timespec now;
	int64_t age = FILES_STAMP_AHEAD;
	char *a = NULL;
	int i, fd;

	for (i = 1; age >= FILES_STAMP_AHEAD; i++) {	/* a slow machine */
		a = make_file(t, "a");
		begun = begin_lock(t, i, a);
		clock_gettime(CLOCK_REALTIME, &now);
		age = now.tv_sec * SECOND + now.tv_nsec - begun.content.ctime;
		end_let_go(t, i);
	}
	assert_true(begun.leased);
	assert_false(begun.quiet);
	wait_settled(t, begun.content.ctime + FILES_STAMP_AHEAD);
	begun = begin_lock(t, i, a);
	assert_true(begun.leased && begun.quiet);
	end_let_go(t, i);
	fd = open(a, O_WRONLY | O_CLOEXEC);
	begun = begin_lock(t, i + 1, a);
	assert_false(begun.leased || begun.quiet);
	close(fd);
}

static int64_t changed_of(const char *path)
{
	struct verdict v;
	int fd = open_file(path, O_RDONLY);

	assert_int_equal(verdict_read(fd, &v), 0);
	close(fd);
	return v.changed;
}

/* The ctime before all records that are current, one after the other. */
static void test_ctime_before_records(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);
	int64_t changed = begun.content.ctime;
	struct files_ended ended = end_with(t, 1, &begun, VERDICT_CLEAN);

	wait_settled(t, ended.record.stamp);
	assert_true(changed_of(a) == changed);
	begun = begin_lock(t, 2, a);
	assert_true(begun.content.ctime > changed);
	ended = end_with(t, 2, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	wait_settled(t, ended.record.stamp);
	assert_true(changed_of(a) == changed);

	assert_int_equal(chmod(a, 0600), 0);	/* it is another now */
	begun = begin_lock(t, 3, a);
	ended = end_with(t, 3, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	assert_true(changed_of(a) == begun.content.ctime);
	assert_true(changed_of(a) > changed);
}

static void test_lease_keeps_writers_out(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_ended ended;
	int fd = -1;

	assert_true(begun.leased);
	assert_false(can_write(a));
	assert_int_equal(begin_path(t, a).status, FILES_OK);
	assert_false(can_write(a));

	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	fd = open_file(a, O_WRONLY);	/* waits in the kernel */
	assert_true(now_ns(CLOCK_REALTIME) > ended.record.stamp);
	assert_int_equal(state_of(a), VERDICT_STATE_CLEAN);
	assert_int_equal(pwrite(fd, "S", 1, 0), 1);
	assert_int_equal(futimens(fd, (struct timespec[2]) {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = begun.content.mtime / SECOND,
		  .tv_nsec = begun.content.mtime % SECOND } }), 0);
	close(fd);
	assert_int_equal(state_of(a), VERDICT_STATE_STALE);
}

static void test_let_go(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);

	assert_true(begun.leased);
	assert_false(can_write(a));
	end_let_go(t, 1);
	assert_true(can_write(a));
	assert_int_equal(state_of(a), VERDICT_STATE_NONE);
	end_let_go(t, 2);	/* never begun: nothing to do */
}

static void test_lease_of_others(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	int fd = open_file(a, O_RDWR);
	struct files_begin begin = { .scan_id = 1, .path = a, .lock = true };
	struct tevent_req *req = NULL;
	struct files_begun begun;

	signal(SIGIO, SIG_IGN);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
	assert_int_equal(begin_path(t, a).status, FILES_OK);
	assert_int_equal(fcntl(fd, F_GETLEASE), F_WRLCK);

	/* a scan asks for it, and waits until it is given back */
	req = files_begin_send(t, t->ev, t->files, &begin);
	WAIT_FOR(t, fcntl(fd, F_GETLEASE) != F_WRLCK);
	assert_true(tevent_req_is_in_progress(req));
	close(fd);
	assert_true(tevent_req_poll(req, t->ev));
	assert_int_equal(files_begin_recv(req, t, &begun), 0);
	assert_int_equal(begun.status, FILES_OK);
	assert_true(begun.leased);
}

static void test_begin_twice(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);

	assert_int_equal(begun.status, FILES_OK);
	begun = begin_lock(t, 1, a);
	assert_int_equal(begun.status, FILES_IO);
	assert_int_equal(begun.error, EINVAL);
	assert_false(can_write(a));
}

static void restore_mtime(int fd, const struct content *c)
{
	struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = c->mtime / SECOND, .tv_nsec = c->mtime % SECOND },
	};

	assert_int_equal(futimens(fd, times), 0);
}

static void test_changed(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	int fd = open_file(a, O_WRONLY);
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_ended ended;

	assert_false(begun.leased);
	assert_int_equal(pwrite(fd, "S", 1, 0), 1);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_CHANGED);
	assert_int_not_equal(ended.content.mtime, begun.content.mtime);
	assert_int_equal(state_of(a), VERDICT_STATE_NONE);

	begun = begin_lock(t, 2, a);
	WAIT_FOR(t, now_ns(CLOCK_REALTIME_COARSE) > begun.content.ctime);
	assert_int_equal(pwrite(fd, "T", 1, 0), 1);
	restore_mtime(fd, &begun.content);
	ended = end_with(t, 2, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.content.size, begun.content.size);
	assert_int_equal(ended.content.mtime, begun.content.mtime);
	assert_int_equal(ended.status, FILES_CHANGED);
	assert_int_equal(state_of(a), VERDICT_STATE_NONE);
	close(fd);
}

/* A file that began without a record is not asked for it again. */
static void test_quarantined_meanwhile(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	int fd = open_file(a, O_RDONLY);
	struct verdict v = verdict_of(VERDICT_INFECTED);
	struct files_begun begun = begin_path(t, a);
	uint8_t rec[VERDICT_RECORD_MAX];
	size_t len = 0;

	wait_settled(t, begun.content.ctime + FILES_STAMP_AHEAD);
	begun = begin_lock(t, 1, a);
	assert_true(begun.quiet && !begun.have_record);
	v.reason = VERDICT_REASON_QUARANTINED;
	v.content = begun.content;
	v.stamp = now_ns(CLOCK_REALTIME);
	len = verdict_encode(&v, rec, sizeof(rec));
	assert_int_equal(fsetxattr(fd, VERDICT_XATTR, rec, len, 0), 0);
	assert_int_equal(end_with(t, 1, &begun, VERDICT_CLEAN).status,
			 FILES_CHANGED);
	assert_int_equal(state_of(a), VERDICT_STATE_QUARANTINED);
	close(fd);
}

static void test_removed_meanwhile(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun = begin_lock(t, 1, a);

	assert_int_equal(unlink(a), 0);
	assert_int_equal(end_with(t, 1, &begun, VERDICT_CLEAN).status,
			 FILES_GONE);
}

static void test_renamed_meanwhile(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	char *d = path_in(t, "d");
	char *e = path_in(t, "e");
	struct files_begun begun;
	struct files_ended ended;

	assert_int_equal(mkdir(d, 0755), 0);
	a = make_file(t, "d/a");
	begun = begin_lock(t, 1, a);
	assert_int_equal(rename(d, e), 0);
	assert_int_equal(mkdir(d, 0755), 0);
	make_file(t, "d/a");
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	assert_int_equal(state_of(a), VERDICT_STATE_NONE);
	assert_int_equal(state_of(path_in(t, "e/a")), VERDICT_STATE_CLEAN);
}

/* Somebody has it open for writing: to the store, exact to the ctime. */
static void test_no_lease(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	int fd = open_file(a, O_WRONLY);
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_ended ended;
	struct content now;

	assert_false(begun.leased);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_NO_ATTRIBUTE);
	assert_int_equal(state_of(a), VERDICT_STATE_NONE);
	assert_int_equal(content_of_fd(fd, &now), 0);
	assert_int_equal(verdict_state(&ended.record, &now, 0),
			 VERDICT_STATE_CLEAN);
	assert_int_equal(pwrite(fd, "S", 1, 0), 1);
	restore_mtime(fd, &begun.content);
	assert_int_equal(content_of_fd(fd, &now), 0);
	assert_int_equal(verdict_state(&ended.record, &now, 0),
			 VERDICT_STATE_STALE);
	close(fd);
}

static void test_no_lease_changed(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	int fd = open_file(a, O_WRONLY);
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_ended ended;

	assert_int_equal(pwrite(fd, "S", 1, 0), 1);
	restore_mtime(fd, &begun.content);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_CHANGED);
	assert_int_equal(state_of(a), VERDICT_STATE_NONE);
	close(fd);
}

/* Scans without a lease and writes, unseen by mtime, before T. */
static struct files_ended write_before_t(struct test *t, const char *path,
					 enum verdict_result result)
{
	int fd = open_file(path, O_WRONLY);
	struct files_begun begun;
	struct files_ended ended;
	struct content now;
	uint64_t scan_id = 1;

	do {
		begun = begin_lock(t, ++scan_id, path);
		assert_false(begun.leased);
		ended = end_with(t, scan_id, &begun, result);
		assert_int_equal(ended.status, FILES_OK);
		do {
			assert_int_equal(pwrite(fd, "S", 1, 0), 1);
			restore_mtime(fd, &begun.content);
			assert_int_equal(content_of_fd(fd, &now), 0);
		} while (now.ctime == ended.content.ctime);
	} while (now.ctime > ended.record.stamp);
	close(fd);
	return ended;
}

/* A file system without leases: what is written is looked at once more. */
static void test_no_leases_here(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	int fd = open_file(a, O_RDWR);
	const struct verdict clean = { .result = VERDICT_CLEAN };
	struct files_written written;
	struct files_ended ended;
	struct content before;

	assert_int_equal(content_of_fd(fd, &before), 0);
	ended.content = before;
	assert_int_equal(files_record_write(fd, &before, &clean, false, false,
					    &ended, &written), FILES_OK);
	files_record_check(fd, &written);
	assert_int_equal(state_of(a), VERDICT_STATE_CLEAN);
	assert_int_equal(pwrite(fd, "S", 1, 0), 1);
	restore_mtime(fd, &before);
	files_record_check(fd, &written);
	assert_int_equal(state_of(a), VERDICT_STATE_NONE);
	close(fd);
}

static void test_infected_sticks(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_ended ended = write_before_t(t, a, VERDICT_INFECTED);
	struct files_begun begun;

	wait_settled(t, ended.record.stamp);
	begun = begin_path(t, a);
	assert_true(begun.have_record);
	assert_int_equal(begun.record.result, VERDICT_INFECTED);
	write_file(a, "other");
	assert_int_equal(state_of(a), VERDICT_STATE_WAS_INFECTED);
}

static void test_lease_at_end(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	int fd = open_file(a, O_WRONLY);
	struct files_begun begun = begin_lock(t, 1, a);
	struct files_ended ended;

	assert_false(begun.leased);
	close(fd);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	assert_int_equal(ended.status, FILES_OK);
	if (now_ns(CLOCK_REALTIME) < ended.record.stamp - 5000000) {
		assert_false(can_write(a));
	}
}

static bool set_immutable(const char *path, bool on)
{
	int fd = open_file(path, O_RDONLY);
	int flags = 0;
	int ret = ioctl(fd, FS_IOC_GETFLAGS, &flags);

	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	if (ret == 0) {
		ret = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	close(fd);
	return ret == 0;
}

static int tear_down_immutable(void **p)
{
	struct test *t = *p;

	set_immutable(path_in(t, "a"), false);
	return tear_down(p);
}

static void test_no_attribute(void **p)
{
	struct test *t = *p;
	char *a = make_file(t, "a");
	struct files_begun begun;
	struct files_ended ended;
	struct files_begun after;

	if (!set_immutable(a, true)) {
		skip();
	}
	begun = begin_lock(t, 1, a);
	ended = end_with(t, 1, &begun, VERDICT_CLEAN);
	after = begin_path(t, a);
	assert_true(set_immutable(a, false));
	assert_int_equal(ended.status, FILES_NO_ATTRIBUTE);
	assert_false(after.have_record);
	assert_true(content_equal(&ended.content, &begun.content));
	assert_int_equal(verdict_state(&ended.record, &after.content, 0),
			 VERDICT_STATE_CLEAN);
	after = begin_path(t, a);	/* chattr moved ctime */
	assert_int_equal(verdict_state(&ended.record, &after.content, 0),
			 VERDICT_STATE_STALE);
	assert_true(can_write(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(record),
		TEST(quiet),
		TEST(ctime_before_records),
		TEST(lease_keeps_writers_out),
		TEST(let_go),
		TEST(lease_of_others),
		TEST(begin_twice),
		TEST(changed),
		TEST(quarantined_meanwhile),
		TEST(removed_meanwhile),
		TEST(renamed_meanwhile),
		TEST(no_lease),
		TEST(no_lease_changed),
		TEST(no_leases_here),
		TEST(infected_sticks),
		TEST(lease_at_end),
		cmocka_unit_test_setup_teardown(test_no_attribute, set_up,
						tear_down_immutable),
	};

	return files_test_main(tests);
}
