/*
 * Packets: what goes in comes out, and of what makes no sense nothing does,
 * nor stays open.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cavad/files_packet.h"

struct test {
	struct files_in in;
	struct files_out out;
	int to, from;		/* sockets */
	int end;		/* read end of a pipe; the other one is sent */
	int fd;
};

static int set_up(void **result)
{
	static struct test t;
	int pair[2] = { -1, -1 };
	int ends[2] = { -1, -1 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	t = (struct test) { .to = pair[0], .from = pair[1],
			    .end = ends[0], .fd = ends[1] };
	*result = &t;
	return 0;
}

/* Nothing that was sent is open any more. */
static int tear_down(void **p)
{
	struct test *t = *p;
	char c = 0;

	close(t->fd);
	close(t->to);
	files_in_drop(&t->in);
	assert_int_equal(read(t->end, &c, 1), 0);
	close(t->from);
	close(t->end);
	return 0;
}

static void add(struct test *t, uint32_t id, size_t size, int fd)
{
	static uint8_t data[FILES_BUNCH][FILES_MSG_MAX];
	uint8_t *at = data[t->out.count];

	files_msg_start(at, FILES_MSG_LATER, id);
	assert_true(files_out_add(&t->out, at, size, fd));
}

static void send_out(struct test *t)
{
	assert_int_equal(files_out_send(&t->out, t->to, MSG_DONTWAIT), 0);
	t->out = (struct files_out) { .count = 0 };
}

static void assert_next(struct test *t, uint32_t id, size_t size, bool with)
{
	struct buf b;
	int fd = -1;

	assert_true(files_in_next(&t->in, &b, &fd));
	assert_int_equal(buf_left(&b), size);
	assert_int_equal(buf_get_u32(&b), FILES_MSG_LATER);
	assert_int_equal(buf_get_u32(&b), id);
	assert_int_equal(fd != -1, with);
	if (with) {
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
	}
}

static void assert_last(struct test *t)
{
	struct buf b;
	int fd = -1;

	assert_false(files_in_next(&t->in, &b, &fd));
	assert_int_equal(fd, -1);
}

static void test_bunch(void **p)
{
	struct test *t = *p;
	unsigned int i = 0;
	int round = 0;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < FILES_BUNCH; i++) {
			add(t, i, 8 + i, i % 3 == 1 ? t->fd : -1);
		}
		assert_false(files_out_add(&t->out, t->in.data, 8, -1));
		send_out(t);
		assert_last(t);
		assert_int_equal(files_in_recv(&t->in, t->from, 0), 0);
		for (i = 0; i < FILES_BUNCH; i++) {
			assert_next(t, i, 8 + i, i % 3 == 1);
		}
		assert_last(t);
	}
	assert_int_equal(files_in_recv(&t->in, t->from, MSG_DONTWAIT), EAGAIN);
}

/* Each message has the one that was sent with it. */
static void test_descriptors(void **p)
{
	struct test *t = *p;
	off_t size = 0;
	struct buf b;
	int fds[FILES_BUNCH];
	int fd = -1;
	int i = 0;

	for (i = 0; i < FILES_BUNCH; i++) {
		fds[i] = memfd_create("test", MFD_CLOEXEC);
		assert_int_equal(ftruncate(fds[i], i), 0);
		add(t, i, 8, fds[i]);
	}
	send_out(t);
	assert_int_equal(files_in_recv(&t->in, t->from, 0), 0);
	for (i = 0; i < FILES_BUNCH; i++) {
		close(fds[i]);
		assert_true(files_in_next(&t->in, &b, &fd));
		size = lseek(fd, 0, SEEK_END);
		assert_int_equal(size, i);
		close(fd);
	}
}

static void test_size(void **p)
{
	struct test *t = *p;

	add(t, 1, FILES_MSG_MAX, t->fd);
	assert_false(files_out_add(&t->out, t->in.data, 8, -1));
	send_out(t);
	add(t, 2, FILES_MSG_MAX - 16, -1);
	add(t, 3, 8, -1);
	assert_false(files_out_add(&t->out, t->in.data, 8, -1));
	send_out(t);
	assert_int_equal(files_in_recv(&t->in, t->from, 0), 0);
	assert_next(t, 1, FILES_MSG_MAX, true);
	assert_last(t);
	assert_int_equal(files_in_recv(&t->in, t->from, 0), 0);
	assert_next(t, 2, FILES_MSG_MAX - 16, false);
	assert_next(t, 3, 8, false);
	assert_last(t);
}

/* What nobody took is closed: by the next packet, and by hand. */
static void test_dropped(void **p)
{
	struct test *t = *p;

	add(t, 1, 8, t->fd);
	add(t, 2, 8, t->fd);
	send_out(t);
	add(t, 3, 8, t->fd);
	send_out(t);
	assert_int_equal(files_in_recv(&t->in, t->from, 0), 0);
	assert_next(t, 1, 8, true);
	assert_int_equal(files_in_recv(&t->in, t->from, 0), 0);
	files_in_drop(&t->in);
	assert_last(t);
}

static void test_end(void **p)
{
	struct test *t = *p;

	close(t->to);
	assert_int_equal(files_in_recv(&t->in, t->from, 0), EPIPE);
	assert_last(t);
	add(t, 1, 8, t->fd);
	assert_int_equal(files_out_send(&t->out, t->from, 0), EPIPE);
}

static void test_one(void **p)
{
	struct test *t = *p;
	uint8_t data[8];
	struct buf b = buf_writer(data, sizeof(data));
	int fd = -1;

	buf_put_u64(&b, 7);
	assert_int_equal(files_msg_send(t->to, &b, t->fd, 0), 0);
	assert_int_equal(files_msg_recv(t->from, &t->in, &b, &fd, 0), 0);
	assert_int_equal(buf_get_u64(&b), 7);
	assert_int_not_equal(fd, -1);
	close(fd);
	b.error = EMSGSIZE;
	assert_int_equal(files_msg_send(t->to, &b, -1, 0), EMSGSIZE);

	add(t, 1, 8, t->fd);
	add(t, 2, 8, t->fd);
	send_out(t);
	assert_int_equal(files_msg_recv(t->from, &t->in, &b, &fd, 0), EBADMSG);
	assert_int_equal(fd, -1);
	assert_last(t);
}

/* Of each head: length, and whether there is a descriptor. */
static void send_raw(struct test *t, const uint32_t (*heads)[2],
		     unsigned int count, size_t more, unsigned int fds)
{
	static uint8_t data[2 * FILES_PACKET_MAX];
	struct buf b = buf_writer(data, sizeof(data));
	struct iovec iov = { .iov_base = data };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control = { .space = { 0 } };
	unsigned int i = 0;

	for (i = 0; i < count; i++) {
		buf_put_u32(&b, heads[i][0]);
		buf_put_u32(&b, heads[i][1]);
		b.pos += heads[i][0] < sizeof(data) / 2 ? heads[i][0] : 8;
	}
	iov.iov_len = b.pos + more;
	if (fds > 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_LEN(fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fds * sizeof(int));
	}
	for (i = 0; i < fds; i++) {
		memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &t->fd,
		       sizeof(int));
	}
	assert_int_equal(sendmsg(t->to, &msg, 0), iov.iov_len);
}

#define RAW(t, more, fds, ...) do { \
	const uint32_t heads_[][2] = { __VA_ARGS__ }; \
	send_raw(t, heads_, sizeof(heads_) / sizeof(heads_[0]), more, fds); \
} while (0)

#define BAD(t, more, fds, ...) do { \
	RAW(t, more, fds, __VA_ARGS__); \
	assert_int_equal(files_in_recv(&(t)->in, (t)->from, 0), EBADMSG); \
	assert_last(t); \
} while (0)

static void test_nonsense(void **p)
{
	struct test *t = *p;

	RAW(t, 0, 1, { 8, 0 }, { 8, 1 });
	assert_int_equal(files_in_recv(&t->in, t->from, 0), 0);
	BAD(t, 0, 1, { 8, 0 }, { 8, 0 });	/* of no message */
	BAD(t, 0, 1, { 8, 1 }, { 8, 1 });	/* one is missing */
	BAD(t, 0, 0, { 8, 1 });
	BAD(t, 0, 2, { 8, 2 });
	BAD(t, 1, 1, { 8, 1 });			/* half a head */
	BAD(t, 0, 1, { 7, 1 });			/* half a message */
	BAD(t, 0, 1, { 8, 1 }, { 0, 0 });
	BAD(t, 0, 1, { 8, 1 }, { UINT32_MAX, 0 });
	BAD(t, 0, 1, { FILES_MSG_MAX + 1, 1 });
	BAD(t, 0, 0, { FILES_MSG_MAX, 0 }, { 8, 0 });
	BAD(t, 0, 0, { 8, 0 }, { 8, 0 }, { 8, 0 }, { 8, 0 }, { 8, 0 },
	    { 8, 0 }, { 8, 0 }, { 8, 0 }, { 8, 0 });
	BAD(t, 0, 9, { 8, 1 }, { 8, 1 }, { 8, 1 }, { 8, 1 }, { 8, 1 },
	    { 8, 1 }, { 8, 1 }, { 8, 1 });
	BAD(t, 0, 16, { 8, 1 });
}

/* Heads that are nearly right: what is taken is whole, and has its own. */
static void test_any(void **p)
{
	static const uint32_t lengths[] = { 0, 7, 8, 8, 8, 9, 100, 65536,
					    FILES_MSG_MAX, UINT32_MAX };
	struct test *t = *p;
	uint32_t heads[FILES_BUNCH + 2][2];
	unsigned int taken = 0;
	struct buf b;
	int fd = -1;
	int i = 0;
	int ret = 0;

	srandom(1);
	for (i = 0; i < 20000; i++) {
		unsigned int count = random() % 3 == 0 ?
			random() % (FILES_BUNCH + 2) : 1 + random() % 2;
		unsigned int fds = 0;
		unsigned int k = 0;

		for (k = 0; k < count; k++) {
			heads[k][0] = lengths[random() % (k == 0 ? 10 : 7)];
			heads[k][1] = random() % 3 == 0;
			fds += heads[k][1];
		}
		send_raw(t, heads, count, random() % 5 == 0 || count == 0,
			 random() % 5 == 0 ? random() % 3 : fds);
		ret = files_in_recv(&t->in, t->from, 0);
		assert_true(ret == 0 || ret == EBADMSG);
		for (k = 0; files_in_next(&t->in, &b, &fd); k++) {
			assert_int_equal(ret, 0);
			assert_int_equal(buf_left(&b), heads[k][0]);
			assert_int_equal(fd != -1, heads[k][1]);
			if (fd != -1) {
				close(fd);
			}
			taken++;
		}
	}
	assert_true(taken > 1000);
}

/* Some of the descriptors found no room in this process. */
static void test_no_room(void **p)
{
	struct test *t = *p;
	struct rlimit old, less;
	int next = dup(t->fd);
	int ret = 0;

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	less = old;
	less.rlim_cur = next + 2;
	add(t, 1, 8, t->fd);
	add(t, 2, 8, t->fd);
	add(t, 3, 8, t->fd);
	send_out(t);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	ret = files_in_recv(&t->in, t->from, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, EBADMSG);
	assert_last(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bunch),
		TEST(test_descriptors),
		TEST(test_size),
		TEST(test_dropped),
		TEST(test_end),
		TEST(test_one),
		TEST(test_nonsense),
		TEST(test_any),
		TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
