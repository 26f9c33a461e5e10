/*
 * Does everything work? See selftest.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/selftest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cavad/probe.h"
#include "common/req.h"

#define SELFTEST_META "selftest"	/* when it was last begun, s */

struct selftest_state {
	struct tevent_context *ev;
	struct selftest_parts parts;
	struct selftest *result;
	bool nomem;
	char **servers;		/* names, ended by NULL */
	size_t server;		/* the next one to probe */
};

static void selftest_written(struct tevent_req *subreq);
static void selftest_opened(struct tevent_req *subreq);
static void selftest_probe(struct tevent_req *req);
static void selftest_probed(struct tevent_req *subreq);

const char *selftest_result_text(enum selftest_result result)
{
	static const char *const names[] = {
		[SELFTEST_OK] = "ok", [SELFTEST_WARNING] = "warning",
		[SELFTEST_FAILED] = "failed",
	};

	return names[result];
}

static void selftest_add(struct selftest_state *state, const char *step,
			 const char *about, enum selftest_result result,
			 const char *mend, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

static void selftest_add(struct selftest_state *state, const char *step,
			 const char *about, enum selftest_result result,
			 const char *mend, const char *fmt, ...)
{
	struct selftest *t = state->result;
	struct selftest_step *steps = talloc_realloc(
		t, t->steps, struct selftest_step, t->count + 1);
	struct selftest_step *s = NULL;
	va_list ap;

	if (steps == NULL) {
		state->nomem = true;
		return;
	}
	t->steps = steps;
	s = &steps[t->count];
	va_start(ap, fmt);
	*s = (struct selftest_step) {
		.step = step,
		.about = talloc_strdup(t, about),
		.result = result,
		.text = talloc_vasprintf(t, fmt, ap),
		.mend = result == SELFTEST_OK ? "" : talloc_strdup(t, mend),
	};
	va_end(ap);
	if (s->about == NULL || s->text == NULL || s->mend == NULL) {
		state->nomem = true;
		return;
	}
	t->count++;
}

/* What needs no question. */

static void selftest_service(struct selftest_state *state)
{
	const struct settings *s = &state->parts.config->settings;

	selftest_add(state, "cavad", "", s->service_enabled ? SELFTEST_OK :
		     SELFTEST_FAILED, "set service_enabled = yes",
		     "version %s, %s", CAVA_VERSION, s->service_enabled ?
		     "scanning is on" : "scanning is off: every file is "
		     "read unscanned");
}

static void selftest_zone(struct selftest_state *state,
			  const struct zone_status *z)
{
	struct filter f = config_filter(state->parts.config, z->name);
	size_t shares = 0;

	while (z->shares[shares].name != NULL) {
		shares++;
	}
	if (!f.enabled || f.profile == FILTER_NO_SCAN) {
		selftest_add(state, "zone", z->name, SELFTEST_WARNING,
			     "set filter_enabled = yes and another "
			     "scan_profile, if that is not what you want",
			     "its files are not scanned");
		return;
	}
	if (shares == 0) {
		selftest_add(state, "zone", z->name, SELFTEST_WARNING,
			     "put cava into vfs objects of a share "
			     "(vfs_cava(8)) and connect to it",
			     "no client has ever connected to a share of it: "
			     "it is not known whether vfs_cava is there");
		return;
	}
	selftest_add(state, "zone", z->name, SELFTEST_OK, "", "%zu %s known; "
		     "SMB connections now: %u", shares, shares == 1 ?
		     "share" : "shares", z->connections);
}

static void selftest_zones(struct selftest_state *state)
{
	struct zone_status z;
	unsigned int i = 0;

	for (i = 0; zone_status(state->parts.zones, i, &z); i++) {
		selftest_zone(state, &z);
	}
}

/* Does a server have to open CHECK$? */
static bool selftest_fetches(const struct config *c)
{
	struct server_object **s = c->servers;

	for (; *s != NULL; s++) {
		const struct engine_ops *ops = engine_find((*s)->server_uri);

		if ((*s)->enabled && ops != NULL && ops->fetches) {
			return true;
		}
	}
	return false;
}

static void selftest_avvendor(struct selftest_state *state)
{
	const struct selftest_parts *p = &state->parts;
	struct store_account *list = NULL;
	size_t count = 0;
	int ret = store_avvendor_list(p->store, state, &list);

	while (ret == 0 && list[count].name != NULL) {
		count++;
	}
	if (!selftest_fetches(p->config)) {
		selftest_add(state, "AVVendor", "", SELFTEST_OK, "",
			     "%zu accounts; no server that is enabled needs "
			     "one", count);
		return;
	}
	selftest_add(state, "AVVendor", "", count > 0 ? SELFTEST_OK :
		     SELFTEST_FAILED, "cavactl avvendor add ACCOUNT, with the "
		     "account that the antivirus servers log in with",
		     "%zu %s may fetch files through %s", count,
		     count == 1 ? "account" : "accounts",
		     p->config->settings.check_share);
}

static void selftest_events(struct selftest_state *state)
{
	const struct event *e = NULL;
	unsigned int i = 0;

	for (i = 0; (e = events_up(state->parts.events, i)) != NULL; i++) {
		selftest_add(state, "event", e->what,
			     e->severity == EVENT_CRITICAL ? SELFTEST_FAILED :
			     SELFTEST_WARNING, "cavactl events, and EVENTS in "
			     "cavad(8)", "%s%s%s", e->meaning,
			     e->text[0] != '\0' ? ": " : "", e->text);
	}
	if (i == 0) {
		selftest_add(state, "event", "", SELFTEST_OK, "", "none is "
			     "up");
	}
}

/* The database, the files process, the servers, in this order. */

/* Those that are enabled. */
static char **selftest_servers(struct selftest_state *state)
{
	size_t count = servers_count(state->parts.servers);
	char **names = talloc_zero_array(state, char *, count + 1);
	size_t n = 0;
	size_t i = 0;

	for (i = 0; names != NULL && i < count; i++) {
		struct server_status s = servers_status(
			state->parts.servers, i);

		if (s.state == SERVER_DISABLED) {
			continue;
		}
		names[n] = talloc_strdup(names, s.name);
		if (names[n] == NULL) {
			return NULL;
		}
		n++;
	}
	return names;
}

struct tevent_req *selftest_send(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev,
				 const struct selftest_parts *parts)
{
	struct selftest_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;
	char now[32] = "";

	req = tevent_req_create(mem_ctx, &state, struct selftest_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->parts = *parts;
	state->result = talloc_zero(state, struct selftest);
	state->servers = selftest_servers(state);
	if (tevent_req_nomem(state->result, req) ||
	    tevent_req_nomem(state->servers, req)) {
		return tevent_req_post(req, ev);
	}
	selftest_service(state);
	snprintf(now, sizeof(now), "%" PRId64, (int64_t)time(NULL));
	subreq = store_meta_put_send(state, ev, parts->store, SELFTEST_META,
				     now);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, selftest_written, req);
	return req;
}

static void selftest_written(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct selftest_state *state = tevent_req_data(req,
						       struct selftest_state);
	const struct settings *s = &state->parts.config->settings;
	char *none = talloc_asprintf(state, "%s/.cavad-selftest-none",
				     s->check_root);
	const struct files_begin begin = { .path = none };
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	selftest_add(state, "database", "", ret == 0 ? SELFTEST_OK :
		     SELFTEST_FAILED, "give state_dir room, or raise "
		     "store_size", "%s: %s", s->state_dir, ret == 0 ?
		     "a write was committed" : strerror(ret));
	if (tevent_req_nomem(none, req)) {
		return;
	}
	subreq = files_begin_send(state, state->ev, state->parts.files,
				  &begin);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, selftest_opened, req);
}

/* That there is no such file is the answer that is wanted. */
static void selftest_opened(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct selftest_state *state = tevent_req_data(req,
						       struct selftest_state);
	struct files_begun begun = { .fd = -1 };
	int ret = files_begin_recv(subreq, state, &begun);
	bool good = ret == 0 && begun.status == FILES_GONE;

	TALLOC_FREE(subreq);
	selftest_add(state, "files", "", good ? SELFTEST_OK : SELFTEST_FAILED,
		     "look at check_root and at the log of cavad; then restart "
		     "it", "the files process %s check_root (%s)", good ?
		     "answers, and reaches" : "does not reach",
		     state->parts.config->settings.check_root);
	selftest_zones(state);
	selftest_avvendor(state);
	selftest_probe(req);
}

/* The next server, or the end. */
static void selftest_probe(struct tevent_req *req)
{
	struct selftest_state *state = tevent_req_data(req,
						       struct selftest_state);
	const struct selftest_parts *p = &state->parts;
	const char *name = state->servers[state->server];
	struct tevent_req *subreq = NULL;

	if (state->servers[0] == NULL) {
		selftest_add(state, "server", "", SELFTEST_FAILED, "add or "
			     "enable one: [server NAME] of cavad.conf",
			     "none is enabled: nothing can be scanned");
	}
	if (name == NULL) {
		selftest_events(state);
		if (state->nomem) {
			tevent_req_oom(req);
			return;
		}
		tevent_req_done(req);
		return;
	}
	subreq = probe_send(state, state->ev, p->servers, p->config, name);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, selftest_probed, req);
}

static void selftest_server(struct selftest_state *state, const char *name,
			    const struct probe *p)
{
	const struct engine_status *s = &p->status;
	const char *why = p->heartbeat.error != 0 ?
			  strerror(p->heartbeat.error) : s->detail;

	if (!p->good) {
		selftest_add(state, "server", name, SELFTEST_FAILED,
			     "cavactl server probe NAME shows the exchange",
			     "%s: %s", p->uri, p->heartbeat.error == 0 &&
			     s->online && s->av_ok ? "its heartbeat is good, "
			     "its answer to a test scan is not" :
			     why[0] != '\0' ? why : "it does not work");
		return;
	}
	selftest_add(state, "server", name, SELFTEST_OK, "", "%s: %s%s%s",
		     p->uri, s->version, s->vendor[0] != '\0' ? ", " : "",
		     s->vendor);
}

static void selftest_probed(struct tevent_req *subreq)
{
	struct tevent_req *req = tevent_req_callback_data(subreq,
							  struct tevent_req);
	struct selftest_state *state = tevent_req_data(req,
						       struct selftest_state);
	const char *name = state->servers[state->server];
	struct probe *p = NULL;
	int ret = probe_recv(subreq, state, &p);

	TALLOC_FREE(subreq);
	if (ret == 0) {
		selftest_server(state, name, p);
	} else if (ret != ENOENT) {	/* else it was removed meanwhile */
		selftest_add(state, "server", name, SELFTEST_WARNING,
			     "try again", "%s", ret == EBUSY ?
			     "all of its connections are in use" :
			     strerror(ret));
	}
	talloc_free(p);
	state->server++;
	selftest_probe(req);
}

int selftest_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		  struct selftest **result)
{
	struct selftest_state *state = tevent_req_data(req,
						       struct selftest_state);
	int ret = req_error(req);

	if (ret == 0) {
		*result = talloc_move(mem_ctx, &state->result);
	}
	tevent_req_received(req);
	return ret;
}
