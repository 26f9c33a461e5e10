/*
 * Asked ahead: an open that will be followed by a read asks at once.
 *
 * The gate of a read waits for a scan; the client that opens a file is going
 * to read it, and needs one round trip or more until it does. So the scan
 * begins with the open, and the read takes over what was asked, if it still
 * is about the same content. Nobody waits for it before, nothing is decided
 * by it: the read looks at the file itself, as without.
 *
 * Only for opens that cannot write: a handle that can keeps a scan from its
 * lease, and what it will write is scanned for anyway. Not for what is not
 * whole on the disk: if a module says that it is tiered it would be recalled.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/gate.h"

#define AHEAD_MAX 64		/* questions of a tree connect at a time */
#define AHEAD_FRESH 1		/* s: older ones have waited too long already */
#define AHEAD_WRITES (FILE_WRITE_DATA | FILE_APPEND_DATA)

struct cava_ahead {
	struct cava_file *file;
	struct tevent_context *ev;
	struct tevent_req *subreq;
	struct content content;
	enum gate_step step;
	struct timeval asked;
};

enum gate_step gate_ahead(const struct files_struct *fsp, const struct gate *g)
{
	struct gate read = *g;
	struct filter_decision d;
	enum gate_step step = GATE_GO;

	if ((fsp->access_mask & AHEAD_WRITES) != 0) {
		return GATE_GO;
	}
	read.operation = FILTER_READ;
	read.gate = false;
	read.parkable = false;
	d = gate_decide(&read);
	step = gate_step_of(&d);
	return gate_asks(step) && !tiered_is_stub(g->fd) ? step : GATE_GO;
}

static int ahead_destructor(struct cava_ahead *ahead)
{
	ahead->file->ahead = NULL;
	ahead->file->cava->aheads--;
	return 0;
}

/* Before the read: what it says is on the file, or is asked for again. */
static void ahead_answered(struct tevent_req *subreq)
{
	struct cava_ahead *ahead = tevent_req_callback_data(
		subreq, struct cava_ahead);

	talloc_free(ahead);
}

static struct cava_ahead *ahead_make(struct cava *cava,
				     struct files_struct *fsp)
{
	struct cava_ahead *ahead = NULL;
	struct cava_file *file = NULL;

	if (cava->aheads < AHEAD_MAX) {
		file = cava_file_make(cava, fsp);
	}
	if (file == NULL || file->ahead != NULL) {
		return NULL;
	}
	ahead = talloc_zero(cava, struct cava_ahead);
	if (ahead == NULL) {
		return NULL;
	}
	ahead->file = file;
	file->ahead = ahead;
	cava->aheads++;
	talloc_set_destructor(ahead, ahead_destructor);
	return ahead;
}

void cava_ahead_ask(struct cava *cava, struct files_struct *fsp, int fd,
		    const struct cava_opened *opened)
{
	struct cava_ahead *ahead = ahead_make(cava, fsp);
	struct proto_ask ask;
	struct gate g;
	int ret = 0;

	if (ahead == NULL) {
		return;
	}
	ahead->ev = cava->handle->conn->sconn->ev_ctx;
	ahead->content = opened->content;
	ahead->step = opened->ahead;
	ahead->asked = timeval_current();
	g = gate_of_fsp(cava, fsp, ahead->file);
	g.fd = fd;
	ret = gate_question(ahead, &g, ahead->step, PROTO_WHY_READ,
			    gate_timeout(&g), &ask);
	if (ret == 0) {
		ahead->subreq = client_ask_send(ahead, ahead->ev,
						cava->client, &ask);
	}
	if (ahead->subreq == NULL) {
		talloc_free(ahead);
		return;
	}
	tevent_req_set_callback(ahead->subreq, ahead_answered, ahead);
}

struct tevent_req *gate_ahead_take(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct cava_file *file,
				   const struct gate *g, enum gate_step step)
{
	struct cava_ahead *ahead = file->ahead;
	struct tevent_req *subreq = NULL;

	if (ahead == NULL || ahead->ev != ev || ahead->step != step ||
	    !content_equal(&ahead->content, &g->content) ||
	    timeval_elapsed(&ahead->asked) > AHEAD_FRESH) {
		return NULL;
	}
	subreq = talloc_move(mem_ctx, &ahead->subreq);
	talloc_free(ahead);
	return subreq;
}

void cava_ahead_forget(struct cava_file *file)
{
	TALLOC_FREE(file->ahead);
}
