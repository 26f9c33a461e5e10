/*
 * The gates: may this content be read now?
 *
 * One decision (gate_look, gate_answer), three ways to wait for it:
 *
 *  1. cava_gate_send: a tevent_req below pread_send and offload_read_send.
 *  2. cava_gate_open: the open is parked (park.c).
 *  3. cava_gate_sync: poll() for at most filter.sync_wait, then refuse while
 *     the scan goes on. For reads that smbd does synchronously on a handle
 *     that no gate has cleared.
 *
 * Named streams that are not files of their own are asked about by the
 * bytes that were seen (stream.c), which are not looked at again.
 *
 * A wait ends on a descriptor number that the fsp still owns; when the
 * handle goes away first, cava_gate_forget() ends it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "vfs_cava/gate.h"
#include "vfs_cava/stream.h"

#define CAVA_ROUNDS 5		/* verdicts that a file may outrun */

static enum gate_step gate_deny(struct gate *g, enum verdict_reason reason)
{
	const char *path = cava_fd_path(talloc_tos(), g->fd);
	const char *why = verdict_reason_text(reason);

	if (g->infected && reason != VERDICT_REASON_QUARANTINED) {
		why = g->threat[0] != '\0' ? g->threat : "infected";
	}
	/* cavad says once that nobody answers; here each file would */
	DEBUG(g->infected ? DBGLVL_ERR : DBGLVL_WARNING,
	      ("cava: denied %s to %s at %s: %s%s\n",
	       path[0] != '\0' ? cava_shown(path) : "a file",
	       cava_user(g->cava), g->cava->client_addr,
	       g->infected ? "virus " : "", cava_shown(why)));
	return GATE_DENY;
}

/* By the mark on the file, or by what a module below this one says. */
static bool gate_tiered(const struct gate *g)
{
	uint32_t attributes = 0;
	NTSTATUS status;

	if (!g->stub) {
		return false;
	}
	if (tiered_of_fd(g->fd)) {
		return true;
	}
	if (g->fsp == NULL || fsp_get_pathref_fd(g->fsp) == -1 ||
	    fsp_is_alternate_stream(g->fsp)) {
		return false;
	}
	status = SMB_VFS_NEXT_FGET_DOS_ATTRIBUTES(g->cava->handle, g->fsp,
						  &attributes);
	/* a file without the attribute is an error, and still offline */
	(void)status;
	return (attributes & FILE_ATTRIBUTE_OFFLINE) != 0;
}

bool gate_asked(const struct gate *g)
{
	return g->database || (g->state == VERDICT_STATE_INFECTED &&
			       g->cava->filter.allows);
}

struct filter_decision gate_decide(struct gate *g)
{
	struct filter_facts facts = {
		.operation = g->operation,
		.state = g->state,
		.mark = g->mark,
	};

	if (g->database && g->state == VERDICT_STATE_CLEAN) {
		facts.state = VERDICT_STATE_STALE;	/* cavad knows better */
	}
	facts.gate = g->gate || (g->parkable && gate_asked(g));
	facts.own_content = g->own;
	facts.database = g->database || g->stream != NULL;
	facts.size = g->content.size;
	g->tiered = g->stream == NULL &&
		    facts.state != VERDICT_STATE_CLEAN &&
		    facts.state != VERDICT_STATE_INFECTED &&
		    facts.state != VERDICT_STATE_QUARANTINED &&
		    gate_tiered(g);
	facts.tiered = g->tiered;
	cava_filter_facts(g->cava, g->fd, &facts);
	return filter_decide(&g->cava->filter, &facts);
}

static enum gate_step gate_step_of(const struct filter_decision *d)
{
	switch (d->action) {
	case FILTER_GO:
	case FILTER_NOTIFY:
		return GATE_GO;
	case FILTER_ASK:
		return GATE_ASK;
	case FILTER_ASK_OWED:
		return GATE_ASK_OWED;
	case FILTER_ASK_KNOWN:
		return GATE_ASK_KNOWN;
	case FILTER_DENY:
		break;
	}
	return GATE_DENY;
}

enum gate_step gate_look(struct gate *g)
{
	struct filter_decision d;
	enum gate_step step = GATE_DENY;
	struct cava_seen seen;
	int ret = 0;

	ret = gate_facts(g, &seen);
	if (ret != 0) {
		return gate_deny(g, VERDICT_REASON_IO);
	}
	d = gate_decide(g);
	g->unfetched = d.reason == VERDICT_REASON_TIERED;
	step = gate_step_of(&d);
	if (d.action == FILTER_GO) {
		cava_count(g->cava, g->fd, d.reason);
	}
	if (step == GATE_ASK_KNOWN) {
		g->skip = d.reason;
	}
	if (step != GATE_DENY) {
		return step;
	}
	g->infected = g->state == VERDICT_STATE_INFECTED ||
		      g->state == VERDICT_STATE_QUARANTINED;
	if (g->infected) {
		strlcpy(g->threat, seen.record.threat, sizeof(g->threat));
	}
	return gate_deny(g, d.reason);
}

/* Clean on the file, where cavad was to be asked: the last that is known. */
static bool gate_allows(const struct gate *g, enum verdict_result result,
			enum verdict_reason reason)
{
	if (result == VERDICT_FAILED && g->state == VERDICT_STATE_CLEAN &&
	    reason != VERDICT_REASON_WAS_INFECTED) {
		return true;
	}
	return filter_allows(&g->cava->filter, g->state, result, reason);
}

static enum gate_step gate_fail(struct gate *g, enum verdict_reason reason);

/* There is no verdict. */
static enum gate_step gate_without(struct gate *g, enum verdict_result result,
				   enum verdict_reason reason)
{
	bool allowed = gate_allows(g, result, reason);

	if (g->unfetched && reason == VERDICT_REASON_NOT_OWED) {
		cava_count(g->cava, g->fd, VERDICT_REASON_TIERED);
		return gate_fail(g, VERDICT_REASON_TIERED);
	}
	if (g->skip != VERDICT_REASON_NONE &&
	    reason != VERDICT_REASON_WAS_INFECTED) {
		cava_count(g->cava, g->fd, g->skip);
		return GATE_GO;
	}
	return allowed ? GATE_GO : gate_deny(g, reason);
}

/* Nobody could answer: open_on_fail. */
static enum gate_step gate_fail(struct gate *g, enum verdict_reason reason)
{
	return gate_without(g, VERDICT_FAILED, reason);
}

/*
 * A clean answer lets content through that is what was scanned: by the
 * record on the file, or, where there is none, by comparison. So does one
 * that it is infected and allowed.
 */
static enum gate_step gate_clean(struct gate *g,
				 const struct proto_answer *answer)
{
	enum gate_step step = GATE_DENY;

	if (g->stream != NULL) {
		g->changed = !content_equal(&g->content, &answer->content);
		if (g->changed) {
			return GATE_DENY;
		}
		cava_stream_clean(g->cava, &g->content);
		return GATE_GO;
	}
	step = gate_look(g);

	if (step == GATE_GO || step == GATE_DENY) {
		return step;
	}
	if (content_equal(&g->content, &answer->content)) {
		return GATE_GO;
	}
	g->rounds++;
	if (g->rounds >= CAVA_ROUNDS) {
		return gate_fail(g, VERDICT_REASON_CHANGED);
	}
	return step;
}

enum gate_step gate_answer(struct gate *g, int error,
				  const struct proto_answer *answer)
{
	if (error != 0) {
		return gate_fail(g, error == ETIMEDOUT ?
				 VERDICT_REASON_TIMEOUT :
				 VERDICT_REASON_NO_CAVAD);
	}
	if (answer->result == VERDICT_CLEAN ||
	    (answer->result == VERDICT_INFECTED &&
	     filter_allows(&g->cava->filter, g->state, answer->result,
			   answer->reason))) {
		return gate_clean(g, answer);
	}
	if (answer->result == VERDICT_INFECTED) {
		g->infected = true;
		strlcpy(g->threat, answer->threat, sizeof(g->threat));
		return gate_deny(g, answer->reason);
	}
	return gate_without(g, answer->result, answer->reason);
}

int gate_question(TALLOC_CTX *mem_ctx, struct gate *g, enum gate_step step,
		  enum proto_why why, uint32_t wait_ms, struct proto_ask *ask)
{
	*ask = (struct proto_ask) {
		.why = why,
		.owed_only = step == GATE_ASK_OWED ? PROTO_OWED_ONLY :
			step == GATE_ASK_KNOWN ? PROTO_KNOWN_ONLY :
			PROTO_OWED_ANY,
		.wait_ms = wait_ms,
		.path = cava_fd_path(mem_ctx, g->fd),
		.user = cava_user(g->cava),
		.client = g->cava->client_addr,
	};
	return gate_ident(g, &ask->ident);
}

/* Of `ms` from the first question on, however many follow. */
static uint32_t gate_left(struct gate *g, uint32_t ms)
{
	struct timeval now = timeval_current();

	if (timeval_is_zero(&g->end)) {
		g->end = timeval_current_ofs_msec(ms);
		return ms;
	}
	if (timeval_compare(&now, &g->end) >= 0) {
		return 0;
	}
	return usec_time_diff(&g->end, &now) / 1000;
}

uint32_t gate_timeout(const struct gate *g)
{
	return g->tiered ? g->cava->filter.tiered_timeout :
			   g->cava->filter.scan_timeout;
}

int gate_ident(const struct gate *g, struct ident *ident)
{
	struct cava_file *file = NULL;

	if (g->stream == NULL) {
		if (g->fsp != NULL) {
			file = cava_file_fetch(g->cava, g->fsp);
		}
		return cava_ident(file, g->fd, ident);
	}
	return cava_stream_ident(g->fd, g->stream->attribute, &g->content,
				 ident);
}

static void gate_cleared(struct cava_file *file, const struct gate *g)
{
	file->cleared = file->cava->filter_number;
	file->content = g->content;
}

static struct gate gate_of_fsp(struct cava *cava, struct files_struct *fsp,
			       struct cava_file *file)
{
	return (struct gate) {
		.cava = cava,
		.fsp = fsp,
		.fd = cava_fd(fsp),
		.operation = FILTER_READ,
		.own = file->own,
	};
}

bool cava_gate_passed(struct cava *cava, struct files_struct *fsp)
{
	const struct cava_file *file = NULL;

	if (!cava->filter.enabled || !cava_is_content(fsp)) {
		return true;
	}
	file = cava_file_fetch(cava, fsp);
	return file != NULL && file->cleared == cava->filter_number;
}

bool cava_gate_fast(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = NULL;
	struct content now;
	int ret = 0;

	if (!cava->filter.enabled || !cava_is_content(fsp)) {
		return true;
	}
	file = cava_file_fetch(cava, fsp);
	if (file == NULL || file->cleared != cava->filter_number) {
		return false;
	}
	if (file->own && file->writing > 0) {
		return true;	/* what it reads is what it writes */
	}
	ret = content_of_fd(cava_fd(fsp), &now);
	if (ret != 0 || !content_equal(&now, &file->content)) {
		file->cleared = 0;
		file->own = false;
		return false;
	}
	return true;
}

/* --- wait in a request --- */

struct cava_wait {
	struct cava_wait *prev, *next;
	struct tevent_context *ev;
	struct tevent_req *req;
	struct cava_file *file;	/* NULL: the handle went away */
	enum proto_why why;
	struct gate gate;
};

static void gate_wait_step(struct cava_wait *state, enum gate_step step);
static void gate_wait_answered(struct tevent_req *subreq);

static void gate_wait_cleanup(struct tevent_req *req,
			      enum tevent_req_state req_state)
{
	struct cava_wait *state = tevent_req_data(req, struct cava_wait);

	if (state->file != NULL) {
		DLIST_REMOVE(state->file->waits, state);
		state->file = NULL;
	}
}

struct tevent_req *cava_gate_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  struct cava *cava, struct files_struct *fsp,
				  enum proto_why why)
{
	struct tevent_req *req = NULL;
	struct cava_wait *state = NULL;
	struct cava_file *file = NULL;
	enum gate_step step = GATE_DENY;

	req = tevent_req_create(mem_ctx, &state, struct cava_wait);
	if (req == NULL) {
		return NULL;
	}
	file = cava_file_make(cava, fsp);
	if (tevent_req_nomem(file, req)) {
		return tevent_req_post(req, ev);
	}
	state->ev = ev;
	state->req = req;
	state->file = file;
	state->why = why;
	state->gate = gate_of_fsp(cava, fsp, file);
	DLIST_ADD(file->waits, state);
	tevent_req_set_cleanup_fn(req, gate_wait_cleanup);

	step = gate_look(&state->gate);
	gate_wait_step(state, step);
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

static void gate_wait_step(struct cava_wait *state, enum gate_step step)
{
	struct tevent_req *subreq = NULL;
	struct cava *cava = state->gate.cava;
	struct proto_ask ask;
	uint32_t left = 0;
	int ret = 0;

	if (step == GATE_GO) {
		gate_cleared(state->file, &state->gate);
		tevent_req_done(state->req);
		return;
	}
	if (step == GATE_DENY) {
		tevent_req_error(state->req, EACCES);
		return;
	}
	left = gate_left(&state->gate, gate_timeout(&state->gate));
	ret = gate_question(state, &state->gate, step, state->why, left,
			    &ask);
	if (ret != 0) {
		tevent_req_error(state->req, EACCES);
		return;
	}
	subreq = client_ask_send(state, state->ev, cava->client, &ask);
	if (tevent_req_nomem(subreq, state->req)) {
		return;
	}
	tevent_req_set_callback(subreq, gate_wait_answered, state);
}

static void gate_wait_answered(struct tevent_req *subreq)
{
	struct cava_wait *state = tevent_req_callback_data(subreq,
							   struct cava_wait);
	struct proto_answer answer = { .result = VERDICT_NONE };
	enum gate_step step = GATE_DENY;
	int error = client_ask_recv(subreq, state, &answer);

	TALLOC_FREE(subreq);
	if (state->file == NULL) {
		tevent_req_error(state->req, EBADF);
		return;
	}
	step = gate_answer(&state->gate, error, &answer);
	gate_wait_step(state, step);
}

int cava_gate_recv(struct tevent_req *req)
{
	return tevent_req_simple_recv_unix(req);
}

void cava_gate_forget(struct cava_file *file)
{
	struct cava_wait *wait = NULL;

	while ((wait = file->waits) != NULL) {
		DLIST_REMOVE(file->waits, wait);
		wait->file = NULL;
	}
}

bool cava_gate_restless(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_make(cava, fsp);
	struct cava_seen seen;
	struct gate g;
	int ret = ENOMEM;

	if (file != NULL) {
		g = gate_of_fsp(cava, fsp, file);
		ret = gate_facts(&g, &seen);
	}
	return ret == 0 && gate_fail(&g, VERDICT_REASON_CHANGED) == GATE_GO;
}

/* --- wait in poll() --- */

enum gate_step gate_sync(struct gate *g)
{
	TALLOC_CTX *frame = talloc_stackframe();
	enum gate_step step = gate_look(g);

	while (gate_asks(step)) {
		struct proto_answer answer = { .result = VERDICT_NONE };
		struct proto_ask ask;
		uint32_t left = gate_left(g, g->cava->filter.sync_wait);
		int error = gate_question(frame, g, step, PROTO_WHY_SYNC,
					  left, &ask);

		if (error != 0 && g->stream != NULL) {
			g->changed = true;	/* nowhere to be found */
			step = GATE_DENY;
			break;
		}
		if (error == 0) {
			error = client_ask_sync(g->cava->client, frame, &ask,
						&answer);
		}
		if (error == ETIMEDOUT) {
			step = gate_deny(g, VERDICT_REASON_SYNC);
			break;
		}
		step = gate_answer(g, error, &answer);
	}
	TALLOC_FREE(frame);
	return step;
}

int cava_gate_sync(struct cava *cava, struct files_struct *fsp)
{
	struct cava_file *file = cava_file_make(cava, fsp);
	enum gate_step step = GATE_DENY;
	struct gate g;

	if (file == NULL) {
		return EACCES;
	}
	g = gate_of_fsp(cava, fsp, file);
	step = gate_sync(&g);
	if (step == GATE_GO) {
		gate_cleared(file, &g);
	}
	return step == GATE_GO ? 0 : EACCES;
}
