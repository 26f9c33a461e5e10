/*
 * The files that a worker holds open:
 *
 * - scanned: from begin with lock to end, under the caller's scan_id, with
 *   the read lease where one was to be had. The lease is the lock: whoever
 *   opens the file for writing waits, and SIGIO, which tells us so, is
 *   ignored, since the scan's end comes anyway. The kernel waits with them
 *   for at most /proc/sys/fs/lease-break-time (45 s) and then takes the lease
 *   away; what is written after that voids the answer like any other change.
 * - settling: after end, until T has passed (files_record.c says why), and
 *   the record is checked once more unless the lease held until then.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/files_held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_MAX 1000		/* ms; the clock may be set back meanwhile */

static int64_t monotonic_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

int held_lease(int fd)
{
	int ret = fcntl(fd, F_SETLEASE, F_RDLCK);

	return ret == -1 ? errno : 0;
}

bool held_leased(const struct held *h)
{
	return h->leased && fcntl(h->fd, F_GETLEASE) == F_RDLCK;
}

struct held *held_find(struct files_held *all, uint64_t scan_id)
{
	struct held *h = NULL;
	unsigned int i = 0;

	for (i = 0; i < all->num; i++) {
		h = all->held[i];
		if (!h->settling && h->scan_id == scan_id) {
			return h;
		}
	}
	return NULL;
}

struct held *held_add(struct files_held *all, uint64_t scan_id, int fd,
		      const struct ident *ident)
{
	struct held *h = NULL;

	if (all->num < FILES_HELD) {
		h = calloc(1, sizeof(*h));
	}
	if (h == NULL) {
		return NULL;
	}
	h->scan_id = scan_id;
	h->fd = fd;
	h->ident = *ident;
	h->leased = held_lease(fd) == 0;
	all->held[all->num++] = h;
	return h;
}

void held_drop(struct files_held *all, struct held *h)
{
	unsigned int i = 0;

	while (all->held[i] != h) {
		i++;
	}
	all->held[i] = all->held[--all->num];
	close(h->fd);		/* and the lease goes */
	free(h);
}

void held_settle(struct held *h)
{
	h->settling = true;
	h->started = monotonic_ms();
}

int held_settled(struct files_held *all)
{
	struct held *h = NULL;
	unsigned int i = 0;
	int timeout = -1;
	int wait = 0;

	while (i < all->num) {
		h = all->held[i];
		if (!h->settling) {
			i++;
			continue;
		}
		if (files_record_due(h->written.record.stamp) ||
		    monotonic_ms() - h->started > SETTLE_MAX) {
			if (!held_leased(h)) {
				files_record_check(h->fd, &h->written);
			}
			held_drop(all, h);
			continue;
		}
		wait = files_record_wait(h->written.record.stamp);
		if (timeout == -1 || wait < timeout) {
			timeout = wait;
		}
		i++;
	}
	return timeout;
}
