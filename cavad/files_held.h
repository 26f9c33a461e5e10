/*
 * The files that a worker holds open: the leases of scans under way.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_FILES_HELD_H
#define CAVAD_FILES_HELD_H

#include "cavad/files_record.h"

#define FILES_HELD 4096		/* files a worker keeps open for scans */

struct held {
	uint64_t scan_id;
	struct ident ident;
	int fd;
	bool leased;
	bool bare;		/* no record, unless ctime has moved since */
	bool settling;		/* ended; waits for T */
	int64_t started;	/* settling: monotonic ms */
	struct files_written written;
};

struct files_held {
	struct held *held[FILES_HELD];
	unsigned int num;
};

/* 0; EAGAIN while anybody has the file open for writing; errno: none here */
int held_lease(int fd);

/* False too when somebody waits for it: then the kernel may take it away. */
bool held_leased(const struct held *h);

/* That of a scan which has not ended, or NULL. */
struct held *held_find(struct files_held *all, uint64_t scan_id);

/* Takes fd over; NULL when there is no room: then fd is still the caller's. */
struct held *held_add(struct files_held *all, uint64_t scan_id, int fd,
		      const struct ident *ident);
void held_drop(struct files_held *all, struct held *h);

/* Its scan has ended and its record is written: held until T. */
void held_settle(struct held *h);

/* Ends what has settled; returns the timeout for poll(). */
int held_settled(struct files_held *all);

#endif
