/*
 * An open that will be followed by a read says so at once.
 *
 * The gate of a read waits for a scan. The client that opens a file is going
 * to read it, and smbd's own part of the open and a round trip or more pass
 * until it does; so cavad hears of the file when create_file begins, and may
 * begin too. Nobody waits, nothing is decided by it: the read looks at the
 * file and asks, as without. Whether the share's ACLs let the user open it is
 * not known yet; that the file system would is asked.
 *
 * Only for opens that cannot write: a handle that can keeps a scan from its
 * lease, and what it will write is scanned for anyway. Not for what is not
 * whole on the disk: if a module says that it is tiered it would be recalled.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/gate.h"

#define AHEAD_READS (FILE_READ_DATA | FILE_EXECUTE | \
		     GENERIC_READ_ACCESS | GENERIC_EXECUTE_ACCESS)
#define AHEAD_WRITES (FILE_WRITE_DATA | FILE_APPEND_DATA | \
		      GENERIC_WRITE_ACCESS | GENERIC_ALL_ACCESS | \
		      MAXIMUM_ALLOWED_ACCESS)

/* Will it read, and not write? */
static bool ahead_reads(const struct cava_create *create,
			uint32_t access_mask)
{
	if (create->disposition != FILE_OPEN &&
	    create->disposition != FILE_OPEN_IF) {
		return false;
	}
	return (access_mask & AHEAD_READS) != 0 &&
		(access_mask & AHEAD_WRITES) == 0;
}

/* The descriptor of what is about to be opened; -1: none that counts. */
static int ahead_fd(const struct cava *cava, const struct smb_filename *name)
{
	if (!cava_on(cava) || name->fsp == NULL ||
	    !S_ISREG(name->st.st_ex_mode) ||
	    fsp_is_alternate_stream(name->fsp)) {
		return -1;
	}
	return fsp_get_pathref_fd(name->fsp);
}

/* Will a read have it scanned? */
static bool ahead_scans(struct cava *cava, int fd, struct cava_seen *seen)
{
	struct gate g = { .cava = cava, .fd = fd, .pathref = true,
			  .operation = FILTER_READ };
	struct filter_decision d;

	if (gate_see(&g, seen) != 0) {
		return false;
	}
	gate_saw(&g, seen);
	d = gate_decide(&g);
	return d.action == FILTER_ASK && !gate_asked(&g) &&
		!g.stub &&
		faccessat(fd, "", R_OK, AT_EACCESS | AT_EMPTY_PATH) == 0;
}

void cava_ahead(struct cava *cava, const struct smb_filename *name,
		uint32_t access_mask, struct cava_create *create)
{
	struct proto_ahead ahead;
	TALLOC_CTX *frame = NULL;
	int fd = -1;

	if (create->req == NULL || create->req->smb2req == NULL ||
	    !ahead_reads(create, access_mask) ||
	    cava_is_parked(cava, create->req)) {
		return;
	}
	fd = ahead_fd(cava, name);
	if (fd == -1 || !ahead_scans(cava, fd, &create->seen)) {
		return;
	}
	frame = talloc_stackframe();
	ahead = (struct proto_ahead) {
		.path = cava_fd_path(frame, fd),
		.user = cava_user(cava),
		.client = cava->client_addr,
	};
	if (ident_of_fd(fd, &ahead.ident) == 0) {
		client_ahead(cava->client, &ahead);
		create->told = ahead.ident;
		create->told_fd = fd;
	}
	TALLOC_FREE(frame);
}
