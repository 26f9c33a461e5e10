/*
 * An open that will be followed by a read says so at once.
 *
 * The gate of a read waits for a scan. The client that opens a file is going
 * to read it, and needs one round trip or more until it does; so cavad hears
 * of the file with the open, and may begin. Nobody waits, nothing is decided
 * by it: the read looks at the file and asks, as without.
 *
 * Only for opens that cannot write: a handle that can keeps a scan from its
 * lease, and what it will write is scanned for anyway. Not for what is not
 * whole on the disk: if a module says that it is tiered it would be recalled.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/gate.h"

#define AHEAD_WRITES (FILE_WRITE_DATA | FILE_APPEND_DATA)

bool gate_read_scans(const struct files_struct *fsp, const struct gate *g)
{
	struct gate read = *g;
	struct filter_decision d;

	if ((fsp->access_mask & AHEAD_WRITES) != 0) {
		return false;
	}
	read.operation = FILTER_READ;
	read.gate = false;
	read.parkable = false;
	d = gate_decide(&read);
	return d.action == FILTER_ASK && !tiered_is_stub(g->fd);
}

void cava_ahead(struct cava *cava, int fd)
{
	TALLOC_CTX *frame = talloc_stackframe();
	struct proto_ahead ahead = {
		.path = cava_fd_path(frame, fd),
		.user = cava_user(cava),
		.client = cava->client_addr,
	};

	if (ident_of_fd(fd, &ahead.ident) == 0) {
		client_ahead(cava->client, &ahead);
	}
	TALLOC_FREE(frame);
}
