/*
 * Packets between cavad, the files parent and its workers: messages
 * (files_msg.h), one or several, in one system call.
 *
 * A call takes longer than the bytes of a request, and each packet may be a
 * wake-up, so what goes out together goes in one. For each message: u32
 * length, u32 1 = a descriptor comes with it, the bytes. The descriptors are
 * in the order of their messages. What comes is checked as a whole before
 * any of it is handed out.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_PACKET_H
#define CAVAD_FILES_PACKET_H

#include "cavad/files_msg.h"

#define FILES_PACKET_HEAD 8
#define FILES_PACKET_MAX (FILES_MSG_MAX + FILES_PACKET_HEAD)

/* To be sent; count and len 0: nothing. What it points to is the caller's. */
struct files_out {
	unsigned int count;
	size_t len;		/* of all, with their heads */
	struct {
		const uint8_t *data;
		size_t len;
		int fd;
	} messages[FILES_BUNCH];
};

/* fd -1 = none. False: there is no room. An empty one has room for any. */
bool files_out_add(struct files_out *out, const uint8_t *data, size_t len,
		   int fd);

/* Never raises SIGPIPE. flags: 0 or MSG_DONTWAIT. 0 or errno: all or none. */
int files_out_send(const struct files_out *out, int sock, int flags);

/* What came; all zero before the first one. */
struct files_in {
	size_t len, pos;
	unsigned int fds, next;
	int fd[FILES_BUNCH];
	uint8_t data[FILES_PACKET_MAX];
};

/*
 * Takes one packet; what is left of the one before is dropped. 0; EPIPE (the
 * other end is gone); EBADMSG; errno.
 */
int files_in_recv(struct files_in *in, int sock, int flags);

/*
 * The next message of it, good until the next packet. False: that was all.
 * *fd is -1 or close-on-exec and the caller's.
 */
bool files_in_next(struct files_in *in, struct buf *message, int *fd);

/* Closes what nobody has taken. */
void files_in_drop(struct files_in *in);

/* The same for who has one message to send, and never gets more. */
int files_msg_send(int sock, const struct buf *b, int fd, int flags);
int files_msg_recv(int sock, struct files_in *in, struct buf *message,
		   int *fd, int flags);

#endif
