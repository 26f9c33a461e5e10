/* includes: cavad/files_worker.c
 *
 * The loop of a worker: what has settled while a request was on its way.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cavad/files_worker.c"

#include <sys/mman.h>

/*
 * A reader waits for what has settled: it is told before the next request is
 * taken, which may take its time. This one ends the worker.
 */
static void test_settled_is_told_first(void **p)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct beginning *b = calloc(1, sizeof(*b));
	struct files_in *in = calloc(1, sizeof(*in));
	uint8_t msg[FILES_MSG_HEAD];
	struct buf request = files_msg_start(msg, 9999, 8);
	struct pollfd settled = { .events = POLLIN };
	struct content content;
	struct buf reply;
	int pair[2] = { -1, -1 };
	int fd = memfd_create("settles", MFD_CLOEXEC);

	(void)p;
	assert_non_null(w);
	assert_non_null(b);
	assert_non_null(in);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair), 0);
	assert_int_equal(files_settle_create(&w->settle), 0);
	w->sock = w->replies.sock = pair[0];
	b->id = 7;
	b->fd = b->found.fd = b->begun.fd = -1;
	assert_int_equal(content_of_fd(fd, &content), 0);
	assert_int_equal(files_settle_start(w->settle, fd, &content, b), 0);
	settled.fd = files_settle_fd(w->settle);
	assert_int_equal(poll(&settled, 1, 10000), 1);
	assert_int_equal(files_msg_send(pair[1], &request, -1, 0), 0);

	w->replies.since = INT64_MAX / 2;	/* no stall sends it either */
	assert_int_equal(worker_loop(w), EBADMSG);
	assert_int_equal(files_msg_recv(pair[1], in, &reply, &fd,
					MSG_DONTWAIT), 0);
	assert_int_equal(buf_get_u32(&reply), FILES_MSG_BEGIN);
	assert_int_equal(buf_get_u32(&reply), 7);
	close(pair[0]);
	close(pair[1]);
	free(in);
	close(settled.fd);
	free(w->settle);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settled_is_told_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
