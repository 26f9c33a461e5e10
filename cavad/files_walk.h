/*
 * A walk over a tree, a batch at a time.
 *
 * The walker keeps nothing that matters: a request says where to go on (the
 * cursor) and the reply says where it got to. So a walker that was lost, or
 * a host that was, costs one batch, and who asks for no more has stopped it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_WALK_H
#define CAVAD_FILES_WALK_H

#include "cavad/files_open.h"

struct walk;

/* NULL = no memory. Free with walk_end(). */
struct walk *walk_create(const struct files_root *root);
void walk_end(struct walk *w);

/*
 * Walks on, for WALK_TIME or until the batch is full. The reply is written
 * to `out`, behind its head: files_walked as files_msg_get_walked() has it.
 */
void walk_batch(struct walk *w, const struct files_walk *ask,
		struct buf *out);

/* Serves FILES_MSG_WALK from sock until it ends; the exit status. */
int files_walker_run(int sock, const struct files_root *root);

#endif
