/*
 * Messages between cavad, the files parent and its workers.
 *
 * SOCK_SEQPACKET socketpairs, and in a packet (files_packet.h) one message or
 * some: u32 number, u32 id (a reply repeats the id of its request), the
 * fields. A descriptor may ride along. Both ends are the same binary, so there
 * is no version; cavad has no rights while the other end is root, so
 * everything is decoded as if a stranger had sent it, and what does not decode
 * ends the worker.
 *
 * The files process has no way to the log of its own (it closes every other
 * descriptor): it sends its lines as LOG, and cavad writes them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_MSG_H
#define CAVAD_FILES_MSG_H

#include "cavad/files.h"
#include "common/buf.h"
#include "common/log.h"

#define FILES_SPOOL_CHUNK 65536	/* bytes of frames in a reply */
#define FILES_MSG_MAX (FILES_SPOOL_CHUNK + 512)
#define FILES_MSG_HEAD 8
#define FILES_PATH_MAX 4096	/* with the NUL */

enum files_number {
	/* to a worker, and its reply */
	FILES_MSG_BEGIN = 1,	/* files_begin; files_begun, maybe an fd */
	FILES_MSG_END,		/* files_end; files_ended */
	FILES_MSG_SPOOL,	/* u64 offset; u32 errno, u64 next, u64
				 * damaged, u8 overflow, the rest: frames */
	FILES_MSG_SPOOL_DONE,	/* nothing; u32 errno */

	/* parent to cavad */
	FILES_MSG_WORKER,	/* u32 index, u32 incarnation, u32 pid; fd */
	FILES_MSG_FAILED,	/* u32 errno: could not start */

	/* cavad to parent */
	FILES_MSG_REPLACE,	/* u32 index, u32 incarnation */

	/* worker or parent to cavad */
	FILES_MSG_LOG,		/* u32 enum log_level, str */

	/* worker to cavad */
	FILES_MSG_LATER,	/* nothing: the begin of this id waits for a
				 * writer, and its reply comes; go on */

	/* to a walker, and its reply */
	FILES_MSG_WALK,		/* files_walk; files_walked */

	/* to a worker, and its reply */
	FILES_MSG_RESPOND,	/* files_respond; files_responded */
	FILES_MSG_STREAMS	/* as files_begin; files_streams */
};

/* A writer on data[FILES_MSG_MAX] with number and id in place. */
struct buf files_msg_start(uint8_t *data, uint32_t number, uint32_t id);

void files_msg_put_begin(struct buf *b, const struct files_begin *begin);
void files_msg_get_begin(struct buf *b, struct files_begin *begin);
void files_msg_put_begun(struct buf *b, const struct files_begun *begun);
void files_msg_put_end(struct buf *b, const struct files_end *end);
void files_msg_put_ended(struct buf *b, const struct files_ended *ended);
void files_msg_get_ended(struct buf *b, struct files_ended *ended);

/* *path points into the data; begun->path and .fd are left alone. */
void files_msg_get_begun(struct buf *b, struct files_begun *begun,
			 const char **path);

/* *record is where end->record points if there is one. */
void files_msg_get_end(struct buf *b, struct files_end *end,
		       struct verdict *record);

void files_msg_put_respond(struct buf *b, const struct files_respond *r);
void files_msg_get_respond(struct buf *b, struct files_respond *r);
void files_msg_put_responded(struct buf *b, const struct files_responded *r);

/* *path points into the data; r->path is left alone. */
void files_msg_get_responded(struct buf *b, struct files_responded *r,
			     const char **path);

/* ->names points into the data; as many as a file can have always fit. */
void files_msg_put_streams(struct buf *b, const struct files_streams *s);
void files_msg_get_streams(struct buf *b, struct files_streams *s);

/* ->path, ->cursor and the lists of ->rules point into the data. */
void files_msg_put_walk(struct buf *b, const struct files_walk *walk);
void files_msg_get_walk(struct buf *b, struct files_walk *walk);

/* In pieces: the head with .count, and then as many candidates. */
void files_msg_put_walked(struct buf *b, const struct files_walked *walked);
void files_msg_put_candidate(struct buf *b, const struct files_candidate *c);

/* All of it is on mem_ctx. */
void files_msg_get_walked(struct buf *b, TALLOC_CTX *mem_ctx,
			  struct files_walked *walked);

/* Sends a LOG line; one that does not fit into the socket is dropped. */
void files_msg_log(int sock, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* cavad's side of it: `b` stands behind the head. */
void files_msg_logged(struct buf *b);

#endif
