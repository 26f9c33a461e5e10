/*
 * Included before a file of ours that is tested: while `no_memory` is set,
 * these find none.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef TESTS_NO_MEMORY_H
#define TESTS_NO_MEMORY_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>

static bool no_memory;

static inline char *no_memory_strdup(TALLOC_CTX *mem_ctx, const char *text)
{
	return no_memory ? NULL : talloc_strdup(mem_ctx, text);
}

static inline struct tevent_fd *no_memory_fd(struct tevent_context *ev,
					     TALLOC_CTX *mem_ctx, int fd,
					     uint16_t flags,
					     tevent_fd_handler_t handler,
					     void *private_data)
{
	return no_memory ? NULL : tevent_add_fd(ev, mem_ctx, fd, flags,
						handler, private_data);
}

static inline struct tevent_timer *no_memory_timer(
	struct tevent_context *ev, TALLOC_CTX *mem_ctx, struct timeval when,
	tevent_timer_handler_t handler, void *private_data)
{
	return no_memory ? NULL : tevent_add_timer(ev, mem_ctx, when, handler,
						   private_data);
}

#undef tevent_add_fd
#undef tevent_add_timer
#define talloc_strdup no_memory_strdup
#define tevent_add_fd no_memory_fd
#define tevent_add_timer no_memory_timer

#endif
