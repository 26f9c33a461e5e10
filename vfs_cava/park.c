/*
 * The gate at open: an open is parked until there is a verdict.
 *
 * smbd is told EAGAIN, takes that for a kernel oplock, keeps the request
 * and runs the whole create again when woken, at the latest after a second;
 * after 70 s it answers SHARING_VIOLATION, so we answer first
 * (CAVA_PARK_MAX). The wait hangs on the smb_request, which lives across
 * the re-runs and dies with cancel, disconnect and completion; the fsp does
 * not. Only for SMB2, and only for the request that the client itself sent.
 *
 * Which reads are synchronous is smbd's choice (schedule_smb2_aio_read):
 * those in a compound, and all when `aio read size` is not 1, sendfile
 * among them. So an open that may be followed by one is gated like a read,
 * and so is one where the verdict is with cavad alone (store.c).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/gate.h"
#include "vfs_cava/stream.h"

#define CAVA_PARK_MAX 65000	/* ms; smbd gives up after 70 s */
#define GATE_READ_MASK (FILE_READ_DATA | FILE_EXECUTE)
#define CAVA_LEASE_POLL 25000	/* us until an open tries again */

/* An open that waits; a child of its smb_request. */
struct cava_park {
	struct cava_park *prev, *next;
	struct cava *cava;	/* NULL: the tree connect has ended */
	struct smb_request *req;
	struct smbXsrv_connection *xconn;
	uint64_t mid;
	struct ident ident;
	struct timeval end;
	bool answered;
	int error;
	struct proto_answer answer;
};

static void park_answered(struct tevent_req *subreq);

static int park_destructor(struct cava_park *park)
{
	if (park->cava != NULL) {
		DLIST_REMOVE(park->cava->parks, park);
	}
	return 0;
}

void cava_park_forget(struct cava *cava)
{
	struct cava_park *park = NULL;

	while ((park = cava->parks) != NULL) {
		DLIST_REMOVE(cava->parks, park);
		park->cava = NULL;
	}
}

static struct cava_park *park_find(struct cava *cava,
				   const struct smb_request *req,
				   const struct ident *ident)
{
	struct cava_park *park = NULL;

	for (park = cava->parks; park != NULL; park = park->next) {
		if (park->req == req && ident_equal(&park->ident, ident)) {
			return park;
		}
	}
	return NULL;
}

bool cava_is_parked(const struct cava *cava, const struct smb_request *req)
{
	const struct cava_park *park = NULL;

	for (park = cava->parks; park != NULL; park = park->next) {
		if (park->req == req) {
			return true;
		}
	}
	return false;
}

/* The request of this open, if it is one that can be parked. */
static struct smb_request *park_request(struct cava *cava,
					const struct files_struct *fsp)
{
	struct smb_request *req = NULL;

	if (cava->create == NULL) {
		return NULL;	/* durable reconnect */
	}
	req = cava->create->req;
	if (req == NULL || req->smb2req == NULL || req->xconn == NULL) {
		return NULL;	/* smbd's own open; SMB1 */
	}
	if (fsp->op == NULL || req->mid != fsp->mid) {
		return NULL;	/* another open within this one */
	}
	return req;
}

static struct cava_park *park_make(struct cava *cava,
				   struct smb_request *req,
				   const struct ident *ident,
				   const struct gate *g)
{
	struct cava_park *park = talloc_zero(req, struct cava_park);
	uint32_t wait = MIN(gate_timeout(g), CAVA_PARK_MAX);

	if (park == NULL) {
		return NULL;
	}
	park->cava = cava;
	park->req = req;
	park->xconn = req->xconn;
	park->mid = req->mid;
	park->ident = *ident;
	park->end = timeval_current_ofs_msec(wait);
	DLIST_ADD(cava->parks, park);
	talloc_set_destructor(park, park_destructor);
	return park;
}

/* 0 = wait. */
static int park_ask(struct cava_park *park, struct gate *g,
		    enum gate_step step)
{
	struct tevent_req *subreq = NULL;
	struct timeval now = timeval_current();
	struct proto_ask ask;
	uint32_t left = 0;
	int ret = 0;

	if (timeval_compare(&now, &park->end) < 0) {
		left = usec_time_diff(&park->end, &now) / 1000;
	}
	ret = gate_question(park, g, step, PROTO_WHY_OPEN, left, &ask);
	if (ret != 0) {
		return ret;
	}
	park->answered = false;
	subreq = client_ask_send(park, park->cava->handle->conn->sconn->ev_ctx,
				 park->cava->client, &ask);
	if (subreq == NULL) {
		return ENOMEM;
	}
	tevent_req_set_callback(subreq, park_answered, park);
	return 0;
}

static void park_answered(struct tevent_req *subreq)
{
	struct cava_park *park = tevent_req_callback_data(subreq,
							  struct cava_park);

	park->error = client_ask_recv(subreq, park, &park->answer);
	TALLOC_FREE(subreq);
	park->answered = true;

	/* May run the create, and so free the park. */
	schedule_deferred_open_message_smb(park->xconn, park->mid);
}

/* Steps of an open until it goes, is denied, or waits. */
static int gate_open_wait(struct gate *g, struct files_struct *fsp,
			  enum gate_step step)
{
	struct cava *cava = g->cava;
	struct smb_request *req = park_request(cava, fsp);
	struct cava_park *park = NULL;
	struct ident ident;
	int ret = 0;

	if (req == NULL) {
		return EACCES;	/* asked for by gate_read_is_sync() */
	}
	ret = gate_ident(g, &ident);
	if (ret != 0) {
		return EACCES;
	}
	park = park_find(cava, req, &ident);
	if (park == NULL) {
		park = park_make(cava, req, &ident, g);
		if (park == NULL) {
			return ENOMEM;
		}
		ret = park_ask(park, g, step);
		return ret == 0 ? EAGAIN : EACCES;
	}
	if (!park->answered) {
		return EAGAIN;	/* smbd's poll, or a share mode change */
	}
	step = gate_answer(g, park->error, &park->answer);
	if (gate_asks(step)) {
		ret = park_ask(park, g, step);
		return ret == 0 ? EAGAIN : EACCES;
	}
	return step == GATE_GO ? 0 : EACCES;
}

/* Could a read that follows this open be synchronous? */
static bool gate_read_is_sync(struct cava *cava,
			      const struct smb_request *req)
{
	if (req == NULL) {
		return false;
	}
	return smbd_smb2_is_compound(req->smb2req) ||
		lp_aio_read_size(SNUM(cava->handle->conn)) != 1;
}

static bool gate_replaces(const struct cava *cava)
{
	if (cava->create == NULL) {
		return false;
	}
	switch (cava->create->disposition) {
	case FILE_SUPERSEDE:
	case FILE_OVERWRITE:
	case FILE_OVERWRITE_IF:
		return true;
	default:
		return false;
	}
}

int cava_gate_open(struct cava *cava, struct files_struct *fsp, int fd,
		   struct cava_opened *opened)
{
	struct gate g = { .cava = cava, .fd = fd, .pathref = true,
			  .operation = FILTER_OPEN };
	struct smb_request *req = NULL;
	enum gate_step step = GATE_DENY;
	int ret = 0;

	*opened = (struct cava_opened) { .cleared = false };
	if (gate_replaces(cava) || (fsp->access_mask & GATE_READ_MASK) == 0) {
		return 0;	/* a write; that is how it is fixed */
	}
	req = park_request(cava, fsp);
	g.gate = gate_read_is_sync(cava, req);
	g.parkable = req != NULL;
	step = gate_look(&g);
	if (gate_asks(step)) {
		ret = gate_open_wait(&g, fsp, step);
		step = ret == 0 ? GATE_GO : GATE_DENY;
		opened->cleared = ret == 0;
	} else {
		opened->cleared = g.state == VERDICT_STATE_CLEAN &&
			!g.database;
	}
	opened->content = g.content;
	if (g.infected && cava->create != NULL) {
		cava->create->infected = true;
	}
	if (step == GATE_GO) {
		return 0;
	}
	return ret == 0 ? EACCES : ret;
}

/*
 * A stream is always read synchronously. What cannot be parked, or is found
 * to be another one, is left to the gate of the read.
 */
int cava_gate_open_stream(struct cava *cava, struct files_struct *fsp, int fd,
			  const struct cava_stream *seen)
{
	struct gate g = { .cava = cava, .fd = fd, .operation = FILTER_OPEN,
			  .gate = true, .stream = seen };
	enum gate_step step = GATE_GO;
	struct ident ident;
	int ret = 0;

	if (gate_replaces(cava) || (fsp->access_mask & GATE_READ_MASK) == 0 ||
	    cava_stream_is_clean(cava, seen) ||
	    park_request(cava, fsp) == NULL ||
	    gate_ident(&g, &ident) != 0) {
		return 0;
	}
	step = gate_look(&g);
	if (gate_asks(step)) {
		ret = gate_open_wait(&g, fsp, step);
		step = ret == 0 ? GATE_GO : GATE_DENY;
	}
	if (g.changed) {
		return 0;
	}
	if (g.infected) {
		cava->create->infected = true;
	}
	if (step == GATE_GO) {
		cava_stream_cleared(cava, fsp, seen);
		return 0;
	}
	return ret == 0 ? EACCES : ret;
}

static void gate_lease_retry(struct tevent_context *ev,
			     struct tevent_timer *te, struct timeval now,
			     void *private_data)
{
	struct smb_request *req = talloc_get_type_abort(private_data,
							struct smb_request);

	TALLOC_FREE(te);
	schedule_deferred_open_message_smb(req->xconn, req->mid);
}

bool cava_gate_lease(struct cava *cava, struct files_struct *fsp)
{
	struct smb_request *req = park_request(cava, fsp);

	if (req == NULL) {
		return false;
	}
	/* No memory: smbd's own poll wakes it after a second. */
	(void)tevent_add_timer(cava->handle->conn->sconn->ev_ctx, req,
			       timeval_current_ofs(0, CAVA_LEASE_POLL),
			       gate_lease_retry, req);
	return true;
}
