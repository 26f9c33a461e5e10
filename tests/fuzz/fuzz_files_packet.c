/*
 * Packets between cavad and its files process, with their descriptors: what
 * is taken is whole, and whatever was sent, no descriptor stays open.
 *
 * The first byte says how many descriptors go along and whether what was
 * received is read to its end.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cavad/files_packet.h"
#include "tests/fuzz/fuzz.h"

static struct files_in in;
static int pair[2] = { -1, -1 };
static int null = -1;
static int lowest = -1;

static int lowest_free(void)
{
	int fd = fcntl(null, F_DUPFD_CLOEXEC, 0);

	if (fd == -1) {
		abort();
	}
	close(fd);
	return fd;
}

static void prepare(void)
{
	if (null != -1) {
		return;
	}
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null == -1 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC,
				     0, pair) != 0) {
		abort();
	}
	lowest = lowest_free();
}

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	uint8_t message[FILES_MSG_HEAD + 3] = { 1 };
	struct files_out out = { .count = 0 };
	unsigned int count = i + 1;
	ssize_t n;

	if (i >= FILES_BUNCH) {
		return 0;
	}
	prepare();
	while (count-- > 0) {
		(void)files_out_add(&out, message, sizeof(message),
				    count % 2 == 0 ? null : -1);
	}
	if (files_out_send(&out, pair[0], MSG_DONTWAIT) != 0) {
		abort();
	}
	data[0] = (uint8_t)(i / 2 + 1);
	n = recv(pair[1], data + 1, FUZZ_MAX - 1, MSG_DONTWAIT);
	return n < 0 ? 0 : (size_t)n + 1;
}

static void say(const uint8_t *data, size_t size, unsigned int num)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[16];
	unsigned int i;

	for (i = 0; i < num; i++) {
		fds[i] = null;
	}
	if (num > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(num * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, num * sizeof(int));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(num * sizeof(int));
	}
	if (sendmsg(pair[0], &msg, MSG_DONTWAIT) != (ssize_t)size) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf message;
	unsigned int count = 0;
	int fd = -1;
	int ret;

	if (size < 2 || size > FILES_PACKET_MAX) {
		return 0;
	}
	prepare();
	say(data + 1, size - 1, data[0] % 16);
	ret = files_in_recv(&in, pair[1], MSG_DONTWAIT);
	while (ret == 0 && files_in_next(&in, &message, &fd)) {
		if (message.data < in.data ||
		    message.data + message.size > in.data + in.len ||
		    message.size < FILES_MSG_HEAD ||
		    message.size > FILES_MSG_MAX || ++count > FILES_BUNCH) {
			abort();
		}
		if (fd != -1 && close(fd) != 0) {
			abort();
		}
		if ((data[0] & 0x80) != 0) {
			break;
		}
	}
	files_in_drop(&in);
	if (lowest_free() != lowest) {
		abort();
	}
	return 0;
}
