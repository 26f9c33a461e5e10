/*
 * What is thought of an antivirus server: heartbeats, states, events.
 *
 * 1. A heartbeat is one of the connections a server may have. When all are
 *    taken by scans it goes out as soon as one is free, before a scan.
 * 2. A heartbeat that times out while answers to scans came in does not
 *    take a server offline: it is busy, not away.
 * 3. SERVER_SUSPECT timeouts of scans in a row make a server suspected,
 *    since heartbeats alone can look good on a server that hangs. Each good
 *    heartbeat then opens the way for one scan; a verdict ends the
 *    suspicion, and nothing else does. After each probe that failed more
 *    heartbeats pass, up to SERVER_PROBE_SKIP_MAX.
 * 4. A scan that fails is reason for a heartbeat out of turn, but not for
 *    more than one a second.
 * 5. What is out of use is not judged: it gets no heartbeats, and the late
 *    ends of its scans only count. A heartbeat under way is never cut short,
 *    since the server would still be busy with it, but what it says about
 *    what is no more is not listened to.
 * 6. Averages are exponentially weighted, a new value counting an eighth.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cavad/server_private.h"
#include "common/log.h"
#include "common/tick.h"

static void server_heartbeat_after(struct server *server, int64_t us);
static void server_heartbeat_done(struct tevent_req *subreq);
static void server_leave_time(struct tevent_context *ev,
			      struct tevent_timer *timer, struct timeval now,
			      void *private_data);

/* Pure. */

/* The event that is up while a server is in a state; 0 = none. */
static enum event_number server_state_event(enum server_state state)
{
	switch (state) {
	case SERVER_OFFLINE:
		return EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE;
	case SERVER_AV_ERROR:
		return EVENT_SW_AVSCAN_CAVA_AV_ERROR;
	case SERVER_VERSION:
		return EVENT_SW_AVSCAN_CAVA_WRONG_VERSION;
	case SERVER_SUSPECTED:
		return EVENT_CAVA_SERVER_SUSPECT;
	case SERVER_UNKNOWN:
	case SERVER_ONLINE:
	case SERVER_DISABLED:
	case SERVER_STANDBY:
		return 0;
	}
	return 0;
}

/* `interval` s, in us, give or take a tenth, so that the nodes of a cluster
 * do not all ask at once. */
static int64_t server_jitter(uint64_t interval, uint32_t dice)
{
	int64_t us = (int64_t)interval * 1000000;

	return us * 9 / 10 + us / 5 * (dice % 1024) / 1023;
}

static void server_times_add(struct server_times *t, int64_t sample)
{
	t->last = sample;
	t->average = t->average == 0 ? sample :
		     t->average + (sample - t->average) / 8;
	if (t->least == 0 || sample < t->least) {
		t->least = sample;
	}
}

/* The state of one. */

uint32_t server_limit(const struct server *server)
{
	uint32_t ours = (uint32_t)server->object->connections_maximum;
	uint32_t its = server->last.connections;

	return its != 0 && its < ours ? its : ours;
}

bool server_room(const struct server *server)
{
	return server->connections < server_limit(server);
}

void server_connection_free(struct server *server)
{
	server->connections--;
	servers_wake(server->servers);
}

void server_pool_check_offline(struct servers *s, struct server_pool *pool)
{
	const char *what = server_pool_what(pool);
	bool none = pool->in_use_count > 0;
	size_t i;

	for (i = 0; i < pool->in_use_count; i++) {
		if (pool->in_use[i]->state == SERVER_ONLINE ||
		    pool->in_use[i]->state == SERVER_UNKNOWN) {
			none = false;
		}
	}
	if (none == pool->all_offline) {
		return;
	}
	pool->all_offline = none;
	if (none) {
		event_raise(s->events, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, what,
			    "until one is back, open_on_fail of the filter "
			    "decides about files without a verdict");
		return;
	}
	event_clear(s->events, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, what);
}

void server_event_off(struct server *server)
{
	enum event_number number = server_state_event(server->state);

	if (number != 0) {
		event_clear(server->servers->events, number,
			    server->object->name);
	}
}

void server_event_on(struct server *server)
{
	enum event_number number = server_state_event(server->state);
	const char *why = server->last.detail;

	if (number != 0) {
		event_raise(server->servers->events, number,
			    server->object->name, "%s: %s",
			    server->object->server_uri, why[0] != '\0' ?
			    why : server_state_text(server->state));
	}
}

static void server_set_state(struct server *server, enum server_state state,
			     const char *why)
{
	struct servers *s = server->servers;
	enum event_number was = server_state_event(server->state);
	enum event_number is = server_state_event(state);
	const char *name = server->object->name;

	if (state == server->state) {
		return;
	}
	server->state = state;
	server->probe_open = false;
	if (was != 0) {
		event_clear(s->events, was, name);
	}
	if (is != 0) {
		event_raise(s->events, is, name, "%s: %s",
			    server->object->server_uri,
			    why[0] != '\0' ? why : server_state_text(state));
	}
	if (state == SERVER_ONLINE) {
		log_notice("antivirus server %s is online: %s%s%s", name,
			   server->last.version,
			   server->last.vendor[0] != '\0' ? ", " : "",
			   server->last.vendor);
		s->tell_usable = true;
	}
	server_pool_check_offline(s, server->pool);
	servers_wake(s);
}

/* In use, and out of it. */

void server_use(struct server *server)
{
	TALLOC_FREE(server->leave_timer);
	server->in_use = true;
	server->state = SERVER_UNKNOWN;
	server->timeouts = 0;
	server->probe_open = false;
	server->probe_skip = 0;
	server->probe_skip_next = 1;
	server_heartbeat(server);
}

void server_unuse(struct server *server, enum server_state state)
{
	struct servers *s = server->servers;
	struct timeval when;

	if (!server->in_use) {
		server->state = state;
		return;
	}
	server_event_off(server);
	tick_stop(server->tick);
	server->heartbeat_due = false;
	server->in_use = false;
	server->probe_open = false;
	server->state = state;
	if (server->connections == 0) {
		return;
	}
	when = tevent_timeval_current_ofs(SERVER_LEAVE_WAIT, 0);
	server->leave_timer = tevent_add_timer(s->ev, server, when,
					       server_leave_time, server);
	if (server->leave_timer == NULL) {
		server_take_all_back(server);
	}
}

static void server_leave_time(struct tevent_context *ev,
			      struct tevent_timer *timer, struct timeval now,
			      void *private_data)
{
	struct server *server = private_data;

	(void)ev;
	(void)timer;
	(void)now;
	server->leave_timer = NULL;	/* tevent frees it */
	server_take_all_back(server);
}

/* What answers to scans say. */

void server_probe_failed(struct server *server)
{
	server->probe_skip = server->probe_skip_next;
	if (server->probe_skip_next < SERVER_PROBE_SKIP_MAX) {
		server->probe_skip_next = server->probe_skip_next * 2 + 1;
	}
}

/* Rule 4. */
static void server_heartbeat_soon(struct server *server)
{
	int64_t pause = server->heartbeat_began + SERVER_BEAT_PAUSE -
			server_now();

	if (!server->in_use || server->heartbeat != NULL) {
		return;
	}
	if (pause <= 0) {
		server_heartbeat(server);
		return;
	}
	server_heartbeat_after(server, pause);
}

void server_answered(struct server *server, int error,
		     const struct engine_answer *answer, int64_t took)
{
	bool timed_out = error == ETIMEDOUT || answer->timed_out;
	bool verdict = error == 0 && answer->result != VERDICT_FAILED;

	server->scan_failures += !verdict;
	if (!server->in_use) {
		return;		/* rule 5 */
	}
	if (timed_out) {
		server->timeouts++;
		if (server->state == SERVER_ONLINE &&
		    server->timeouts >= SERVER_SUSPECT) {
			server_set_state(server, SERVER_SUSPECTED, "the last "
					 "scans timed out; one at a time is "
					 "tried until one succeeds");
		}
		return;
	}
	if (error != 0) {
		server_heartbeat_soon(server);
		return;
	}
	server->answers++;
	server_times_add(&server->scan_rtt, took);
	if (verdict || server->state != SERVER_SUSPECTED) {
		server->timeouts = 0;
	}
	if (verdict && server->state == SERVER_SUSPECTED) {
		server_set_state(server, SERVER_ONLINE, "");
	}
	if (verdict && server->state == SERVER_OFFLINE) {
		server_heartbeat_soon(server);
	}
	if (verdict) {
		server->probe_skip_next = 1;
	}
}

/* Heartbeats. */

static void server_heartbeat_after(struct server *server, int64_t us)
{
	tick_in(server->tick, (uint64_t)us);
}

static void server_heartbeat_later(struct server *server)
{
	uint32_t dice = 0;
	ssize_t n;

	n = getrandom(&dice, sizeof(dice), GRND_NONBLOCK);
	if (n == -1) {
		dice = 512;	/* the middle: no jitter is no harm */
	}
	server_heartbeat_after(server, server_jitter(
		server->servers->cee->heartbeat_interval, dice));
}

void server_heartbeat_time(void *private_data)
{
	server_heartbeat(private_data);
}

/* At once, or when a connection is free (rule 1). */
void server_heartbeat(struct server *server)
{
	struct servers *s = server->servers;

	if (!server->in_use || server->heartbeat != NULL) {
		return;
	}
	tick_stop(server->tick);
	server->heartbeat_due = !server_room(server);
	if (server->heartbeat_due) {
		return;
	}
	server->heartbeat = server->engine->ops->heartbeat_send(
		s, s->ev, server->engine->engine);
	if (server->heartbeat == NULL) {
		server_heartbeat_later(server);
		return;
	}
	server->heartbeat_engine = server->engine;
	server->engine->users++;
	server->connections++;
	server->heartbeat_began = server_now();
	server->answers_before = server->answers;
	tevent_req_set_callback(server->heartbeat, server_heartbeat_done,
				server);
}

static void server_heartbeat_good(struct server *server)
{
	int64_t took = server_now() - server->heartbeat_began;

	server->good_heartbeats++;
	server_times_add(&server->heartbeat_rtt, took);
	if (server->timeouts < SERVER_SUSPECT) {
		server_set_state(server, SERVER_ONLINE, "");
		return;
	}
	server_set_state(server, SERVER_SUSPECTED, "it is back, but its last "
			 "scans timed out");
	if (server->probe_skip > 0) {
		server->probe_skip--;
		return;
	}
	server->probe_open = true;
	server->servers->tell_usable = true;
	servers_wake(server->servers);
}

static void server_heartbeat_done(struct tevent_req *subreq)
{
	struct server *server = tevent_req_callback_data_void(subreq);
	struct server_engine *engine = server->heartbeat_engine;
	struct engine_status status;
	int ret;

	ret = engine->ops->heartbeat_recv(subreq, &status);
	TALLOC_FREE(server->heartbeat);
	engine->users--;
	server_connection_free(server);
	if (!server->in_use) {
		return;
	}
	if (engine != server->engine) {
		server_heartbeat(server);
		return;
	}
	server_heartbeat_later(server);

	if (ret == ETIMEDOUT && server->answers != server->answers_before) {
		return;		/* rule 2 */
	}
	if (ret != 0) {
		status.online = false;
		if (status.detail[0] == '\0') {
			snprintf(status.detail, sizeof(status.detail), "%s",
				 strerror(ret));
		}
		/* what it was is still worth showing */
		memcpy(server->last.detail, status.detail,
		       sizeof(status.detail));
		server->last.online = false;
		server_set_state(server, SERVER_OFFLINE, status.detail);
		return;
	}
	server->last = status;
	servers_wake(server->servers);	/* other signatures? */
	server_remember_address(server, status.address);
	if (!status.online) {
		server_set_state(server, SERVER_OFFLINE, status.detail);
		return;
	}
	if (status.too_old) {
		server_set_state(server, SERVER_VERSION, status.detail);
		return;
	}
	if (!status.av_ok) {
		server_set_state(server, SERVER_AV_ERROR, status.detail);
		return;
	}
	server_heartbeat_good(server);
}
