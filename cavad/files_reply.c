/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_reply.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t monotonic_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

void files_replies_began(struct files_replies *r)
{
	if (r->kept.count == 0) {
		r->since = monotonic_ms();
	}
}

int files_replies_send(struct files_replies *r)
{
	unsigned int i = 0;
	int ret = 0;

	if (r->kept.count > 0) {
		ret = files_out_send(&r->kept, r->sock, 0);
	}
	for (i = 0; i < r->kept.count; i++) {
		if (r->kept.messages[i].fd != -1) {
			close(r->kept.messages[i].fd);
		}
	}
	r->kept.count = 0;
	r->kept.len = 0;
	files_replies_began(r);
	return ret;
}

/* False: there is no room for it. */
static bool reply_keep(struct files_replies *r, const struct buf *b, int fd)
{
	uint8_t *data = r->data + r->kept.len;

	if (!files_out_add(&r->kept, data, b->pos, fd)) {
		return false;
	}
	memcpy(data, b->data, b->pos);
	return true;
}

int files_reply(struct files_replies *r, const struct buf *b, int fd)
{
	int ret = b->error;

	if (ret == 0 && !reply_keep(r, b, fd)) {
		ret = files_replies_send(r);
		ret = ret == 0 && !reply_keep(r, b, fd) ? EMSGSIZE : ret;
	}
	if (ret != 0) {
		if (fd != -1) {
			close(fd);
		}
		return ret;
	}
	if (r->kept.count == FILES_BUNCH ||
	    monotonic_ms() - r->since >= FILES_REPLY_KEPT) {
		return files_replies_send(r);
	}
	return 0;
}
