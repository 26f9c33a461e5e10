/*
 * Packets: see files_packet.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A descriptor for each message, and no room for one more. */
union control {
	struct cmsghdr align;
	char space[CMSG_LEN(FILES_BUNCH * sizeof(int))];
};

bool files_out_add(struct files_out *out, const uint8_t *data, size_t len,
		   int fd)
{
	if (out->count == FILES_BUNCH ||
	    out->len + FILES_PACKET_HEAD + len > FILES_PACKET_MAX) {
		return false;
	}
	out->messages[out->count].data = data;
	out->messages[out->count].len = len;
	out->messages[out->count].fd = fd;
	out->count++;
	out->len += FILES_PACKET_HEAD + len;
	return true;
}

static void control_put(const struct files_out *out, union control *control,
			struct msghdr *msg)
{
	struct cmsghdr *cmsg = &control->align;
	int fds[FILES_BUNCH];
	unsigned int num = 0;
	unsigned int i = 0;

	for (i = 0; i < out->count; i++) {
		if (out->messages[i].fd != -1) {
			fds[num++] = out->messages[i].fd;
		}
	}
	if (num == 0) {
		return;
	}
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(num * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, num * sizeof(int));
	msg->msg_control = control->space;
	msg->msg_controllen = cmsg->cmsg_len;
}

int files_out_send(const struct files_out *out, int sock, int flags)
{
	uint8_t heads[FILES_BUNCH][FILES_PACKET_HEAD];
	struct iovec iov[2 * FILES_BUNCH];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 * out->count };
	union control control = { .space = { 0 } };
	struct buf head;
	unsigned int i = 0;
	ssize_t sent = 0;

	for (i = 0; i < out->count; i++) {
		head = buf_writer(heads[i], FILES_PACKET_HEAD);
		buf_put_u32(&head, (uint32_t)out->messages[i].len);
		buf_put_u32(&head, out->messages[i].fd != -1);
		iov[2 * i].iov_base = heads[i];
		iov[2 * i].iov_len = FILES_PACKET_HEAD;
		iov[2 * i + 1].iov_base = (void *)out->messages[i].data;
		iov[2 * i + 1].iov_len = out->messages[i].len;
	}
	control_put(out, &control, &msg);
	do {
		sent = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	return sent == -1 ? errno : 0;
}

static void control_get(struct msghdr *msg, struct files_in *in)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	if (cmsg == NULL || cmsg->cmsg_level != SOL_SOCKET ||
	    cmsg->cmsg_type != SCM_RIGHTS) {
		return;
	}
	in->fds = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(in->fd, CMSG_DATA(cmsg), in->fds * sizeof(int));
}

/* As many messages, and of those with descriptors, as there may be and are? */
static bool in_is_sane(const struct files_in *in)
{
	struct buf b = buf_reader(in->data, in->len);
	unsigned int count = 0;
	unsigned int fds = 0;
	uint32_t len = 0;
	uint32_t with = 0;

	while (buf_left(&b) > 0) {
		len = buf_get_u32(&b);
		with = buf_get_u32(&b);
		if (b.error != 0 || len < FILES_MSG_HEAD ||
		    len > FILES_MSG_MAX || len > buf_left(&b) || with > 1 ||
		    ++count > FILES_BUNCH) {
			return false;
		}
		fds += with;
		b.pos += len;
	}
	return fds == in->fds;
}

void files_in_drop(struct files_in *in)
{
	while (in->next < in->fds) {
		close(in->fd[in->next++]);
	}
	in->next = in->fds = 0;
	in->len = in->pos = 0;
}

int files_in_recv(struct files_in *in, int sock, int flags)
{
	union control control = { .space = { 0 } };
	struct iovec iov = { .iov_base = in->data,
			     .iov_len = sizeof(in->data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	ssize_t got = 0;

	files_in_drop(in);
	do {
		got = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	} while (got == -1 && errno == EINTR);
	if (got == -1) {
		return errno;
	}
	control_get(&msg, in);
	in->len = (size_t)got;
	if (got == 0 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    !in_is_sane(in)) {
		files_in_drop(in);
		return got == 0 ? EPIPE : EBADMSG;
	}
	return 0;
}

bool files_in_next(struct files_in *in, struct buf *message, int *fd)
{
	struct buf b = buf_reader(in->data, in->len);
	uint32_t len = 0;

	*fd = -1;
	b.pos = in->pos;
	if (buf_left(&b) == 0) {
		return false;
	}
	len = buf_get_u32(&b);
	if (buf_get_u32(&b) != 0) {
		*fd = in->fd[in->next++];
	}
	*message = buf_reader(in->data + b.pos, len);
	in->pos = b.pos + len;
	return true;
}

int files_msg_send(int sock, const struct buf *b, int fd, int flags)
{
	struct files_out out = { .count = 0 };

	if (b->error != 0) {
		return b->error;
	}
	return files_out_add(&out, b->data, b->pos, fd) ?
		files_out_send(&out, sock, flags) : EMSGSIZE;
}

int files_msg_recv(int sock, struct files_in *in, struct buf *message,
		   int *fd, int flags)
{
	int ret = files_in_recv(in, sock, flags);

	*fd = -1;
	if (ret != 0) {
		return ret;
	}
	files_in_next(in, message, fd);
	if (in->pos == in->len) {
		return 0;
	}
	files_in_drop(in);
	if (*fd != -1) {
		close(*fd);
		*fd = -1;
	}
	return EBADMSG;
}
