/*
 * The replies of a worker of the files process: what it is asked in a bunch
 * is answered in one packet, so that cavad wakes up once. No reply is kept
 * for more than FILES_REPLY_KEPT once the next one is there, so that of a
 * bunch that takes its time cavad sees how far it is.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_REPLY_H
#define CAVAD_FILES_REPLY_H

#include "cavad/files_packet.h"

#define FILES_REPLY_KEPT 5	/* ms */

struct files_replies {
	int sock;
	int64_t since;		/* ms; that the first was begun with */
	struct files_out kept;
	uint8_t data[FILES_PACKET_MAX];
};

/* The work for a reply begins: from here on none is kept for too long. */
void files_replies_began(struct files_replies *r);

/*
 * Keeps the reply for now, or sends it and what is kept. fd (or -1) is closed
 * when it is sent. 0 or errno.
 */
int files_reply(struct files_replies *r, const struct buf *b, int fd);

/* All that are kept. 0 or errno. */
int files_replies_send(struct files_replies *r);

#endif
