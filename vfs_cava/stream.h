/*
 * Named streams: an operation in progress, and what reading and writing them
 * share. See stream.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef VFS_CAVA_STREAM_H
#define VFS_CAVA_STREAM_H

#include "vfs_cava/vfs_cava.h"

enum cava_stream_what { STREAM_OPEN, STREAM_READ, STREAM_WRITE,
			STREAM_RENAME };

/* An operation on a stream, on its stack, and what was seen in its course. */
struct cava_stream {
	struct cava_stream *outer;
	enum cava_stream_what what;
	struct files_struct *fsp;	/* NULL: a rename */
	char attribute[STREAM_NAME_MAX];	/* whose value was read */
	bool mixed;		/* several of them */
	struct content content;	/* of the last value */
	bool finder_info;
	bool told;		/* WILL_WRITE was said, or need not be */
};

/* What a handle writes, as cavad was told. */
struct cava_written {
	struct ident ident;
	const char *path;
};

void cava_stream_begin(struct cava *cava, struct files_struct *fsp,
		       enum cava_stream_what what, struct cava_stream *op);
void cava_stream_end(struct cava *cava, const struct cava_stream *op);

/* Can this attribute be a stream? */
bool cava_stream_may_hold(const char *attribute);

/*
 * The stream as cavad names it: of the file behind fd the attribute, or, if
 * there is none of this name, one with that content. 0 or errno.
 */
int cava_stream_ident(int fd, const char *attribute, const struct content *c,
		      struct ident *ident);

/*
 * AFP_AfpInfo, which fruit makes of Netatalk's attribute, or, when there is
 * no attribute (""), of nothing?
 */
bool cava_stream_is_netatalk(const struct cava_stream *op,
			     const char *attribute);

/* May what was seen be handed out without a question? */
bool cava_stream_is_clean(struct cava *cava, const struct cava_stream *op);

/* These bytes are clean, wherever they are. */
void cava_stream_clean(struct cava *cava, const struct content *c);

/* They may be read through this handle. */
void cava_stream_cleared(struct cava *cava, struct files_struct *fsp,
			 const struct cava_stream *op);

#endif
