/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t monotonic_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static int reply_send(const struct files_replies *r, const struct buf *b,
		      int fd)
{
	int ret = files_msg_send(r->sock, b, fd, 0);

	if (fd != -1) {
		close(fd);
	}
	return ret;
}

void files_replies_began(struct files_replies *r)
{
	if (r->count == 0) {
		r->since = monotonic_ms();
	}
}

int files_replies_send(struct files_replies *r)
{
	struct files_reply *reply = NULL;
	struct buf b;
	unsigned int i = 0;
	int ret = 0;

	for (i = 0; i < r->count && ret == 0; i++) {
		reply = &r->kept[i];
		b = buf_writer(reply->data, reply->len);
		b.pos = reply->len;
		ret = reply_send(r, &b, reply->fd);
		free(reply->data);
	}
	r->count = 0;
	files_replies_began(r);
	return ret;
}

int files_reply(struct files_replies *r, const struct buf *b, int fd)
{
	uint8_t *data = b->error == 0 ? malloc(b->pos) : NULL;

	if (data == NULL) {
		return reply_send(r, b, fd);
	}
	memcpy(data, b->data, b->pos);
	r->kept[r->count++] = (struct files_reply){
		.data = data, .len = b->pos, .fd = fd,
	};
	if (r->count == FILES_BUNCH ||
	    monotonic_ms() - r->since >= FILES_REPLY_KEPT) {
		return files_replies_send(r);
	}
	return 0;
}
